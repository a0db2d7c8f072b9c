#include "store/redis_answer.h"

/* Errors begin with a word in capitals; only "ERR" has to be read further. */
static const struct {
    struct str word;
    enum redis_answer answer;
} WORDS[] = {
    {{"MOVED ", 6}, REDIS_MOVED},
    {{"ASK ", 4}, REDIS_ASK},
    {{"TRYAGAIN ", 9}, REDIS_AGAIN},
    {{"BUSY ", 5}, REDIS_AGAIN},
    {{"CLUSTERDOWN ", 12}, REDIS_AWAY},
    {{"LOADING ", 8}, REDIS_AWAY},
    {{"MASTERDOWN ", 11}, REDIS_AWAY},
    {{"READONLY ", 9}, REDIS_AWAY},
    {{"ERR Function not found", 22}, REDIS_NO_FUNCTION},
};

/* "MOVED 3999 10.0.0.1:6381" */
static bool read_redirect(struct str text, const struct redis_host *asked,
                          struct redis_redirect *ret)
{
    uint64_t slot;
    struct str rest;
    str_split(text, ' ', &rest);
    struct str slot_text = str_split(rest, ' ', &rest);
    if (!str_parse_u64(slot_text, &slot) || slot >= REDIS_SLOTS) return false;
    ret->slot = (uint16_t)slot;
    return redis_host_read(rest, asked, &ret->host);
}

enum redis_answer redis_answer_of(const redisReply *reply, const struct redis_host *asked,
                                  struct redis_redirect *ret_redirect)
{
    enum redis_answer answer = REDIS_ANSWER;
    if (reply->type != REDIS_REPLY_ERROR) return answer;
    struct str text = str_make(reply->str, reply->len);
    /* A function that went wrong on its way has carried out what came before. */
    if (memmem(text.ptr, text.len, " script: ", 9) != NULL) return answer;
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        if (str_starts(text, WORDS[i].word)) answer = WORDS[i].answer;
    if ((answer == REDIS_MOVED || answer == REDIS_ASK) && !read_redirect(text, asked, ret_redirect))
        return REDIS_AGAIN; /* to nowhere: the map of slots will tell */
    return answer;
}
