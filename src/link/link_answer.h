/* Answers to requests: what the callbacks of core/store.h are told, as values that go over a link.
 *
 * Written by the cache node, read by the edge, who knows which verb it asked. A link_answer that was
 * read borrows texts from its packet and owns its arrays. Any thread. */
#ifndef STOA_LINK_LINK_ANSWER_H
#define STOA_LINK_LINK_ANSWER_H

#include "link/link_request.h"

struct link_room_answer {
    struct room_record record;
    bool created;
};

struct link_page_answer {
    const struct store_room_item *items;
    size_t count;
    bool more;
};

struct link_samples_answer {
    const struct sample *samples;
    size_t count;
    bool more;
};

struct link_online_answer {
    uint64_t online;
    int64_t as_of_ms;
};

struct link_answer {
    enum link_verb verb;
    int err; /* not 0: nothing else counts, but retry_after_ms of an append */
    union {
        struct store_appended appended;
        struct store_range range;
        struct link_room_answer room; /* of a put and a get */
        struct link_page_answer page;
        struct viewers_count viewers;
        struct link_samples_answer samples;
        struct link_online_answer online;
        struct store_presence_page presence;
        struct routes routes; /* version 0: what the edge knows is still true */
        bool is_held;
    };
    void *owned[2]; /* arrays of one that was read */
};

/* Appends the answer to the request `id`. One that is too long becomes ERR_OVERLOADED. */
void link_answer_write(struct buf *out, uint64_t id, const struct link_answer *answer);
/* Reads the answer to a request of that verb; one that does not fit it is ERR_INTERNAL. Released by
 * link_answer_deinit(). */
void link_answer_read(const Link__Packet *packet, enum link_verb verb, struct link_answer *ret);
void link_answer_deinit(struct link_answer *answer);

#endif
