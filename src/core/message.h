/* A message as the store keeps it. All strings are borrowed. */
#ifndef STOA_CORE_MESSAGE_H
#define STOA_CORE_MESSAGE_H

#include "base/str.h"

enum list_kind { LIST_HIGH, LIST_NORMAL };
#define LIST_KINDS 2

struct message {
    uint64_t id;      /* core/id.h */
    uint64_t prev;    /* the id before it in its list, 0 for the first: how a cache sees a hole */
    uint64_t ordinal; /* running number in its list, from 1: for counting alone, never order */
    enum list_kind list;
    struct str type; /* 1-32 of a-z0-9._- ; "room.*" are control messages, sent by the server */
    struct str from; /* user id, or empty */
    struct str name; /* shown name, or empty */
    struct str body; /* valid JSON, any value */
};

#endif
