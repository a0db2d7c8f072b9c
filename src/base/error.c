#include "base/error.h"

#include "base/assert.h"

static const struct {
    int status;
    const char *code;
    const char *title;
    const char *advice;
} errors[] = {
#define X(name, status, code, title, advice) {status, code, title, advice},
    ERROR_LIST(X)
#undef X
};

static int index_of(int err)
{
    int index = -1 - err;
    ASSERT(index >= 0 && index < ERROR_COUNT);
    return index;
}

int error_status(int err)
{
    return errors[index_of(err)].status;
}

const char *error_code(int err)
{
    return errors[index_of(err)].code;
}

const char *error_title(int err)
{
    return errors[index_of(err)].title;
}

const char *error_advice(int err)
{
    return errors[index_of(err)].advice;
}
