/* The values of the core as they go over a link, each both ways.
 *
 * x_pack fills in a part of a packet, which borrows from the value; x_of does the reverse, and
 * borrows texts from the packet. False: the part is missing, or a text is longer than its limit
 * (base/limit.h). Any thread. */
#ifndef STOA_LINK_LINK_VALUE_H
#define STOA_LINK_LINK_VALUE_H

#include "core/store.h"
#include "link/link_frame.h"

/* Into a terminated array. False: too long, or with an end mark of its own within. */
bool link_text_of(ProtobufCBinaryData from, char *to, size_t cap);

/* The key of a room, as far as a link looks at it. */
bool link_room_is_valid(struct str room);

void link_message_pack(const struct message *m, Link__Message *ret);
bool link_message_of(const Link__Message *from, struct message *ret);
/* The same for one that is stored: with an id, which is behind that of the one before it. */
bool link_stored_of(const Link__Message *from, struct message *ret);
void link_record_pack(const struct room_record *record, Link__Record *ret);
bool link_record_of(const Link__Record *from, struct room_record *ret);
void link_sample_pack(const struct sample *sample, Link__Sample *ret);
bool link_sample_of(const Link__Sample *from, struct sample *ret);
void link_present_pack(const struct store_present *user, Link__Present *ret);
bool link_present_of(const Link__Present *from, struct store_present *ret);
/* The caller frees ret->hot and what it points to: link_node_unpack(). */
void link_node_pack(const struct node_record *node, Link__Node *ret);
void link_node_unpack(Link__Node *packed);
bool link_node_of(const Link__Node *from, struct node_record *ret);
void link_route_pack(const struct route *route, Link__Route *ret);
bool link_route_of(const Link__Route *from, struct route *ret);

/* Errors travel by their code (base/error.h), since numbers differ between versions; an unknown one
 * is ERR_INTERNAL. OK is an empty code. */
struct str link_code(int err);
int link_error_of(ProtobufCBinaryData code);

#endif
