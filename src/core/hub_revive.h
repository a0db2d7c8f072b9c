/* A room that the store has lost while it is in use here: the store was emptied (a Redis started
 * anew without its data). It shows when an append, or another verb that wants the room, is told
 * ERR_ROOM_NOT_FOUND, and when the tail of a list has gone back to nothing. A room that somebody
 * closed keeps its record, so only one whose record is missing is put again.
 *
 *   (lost) --store_room_put: only new, behind our tails--> put again, or somebody else was faster
 *                                                             |
 *                    the calls that met the loss are carried out again
 *
 * The lists begin behind what this hub knows of them (store_room_put.known), so readers who are at
 * the tail notice nothing, and those whose place is still in the copies lose nothing. Who is further
 * behind is told a gap: what was there is gone. Where another node knew less of the lists than
 * this one and was faster, the copies go back to what it knew, and readers beyond that are told a gap.
 *
 * What the store knew of the room besides is lost: idempotency keys, history, who was here; who is
 * here is said again. The hub's thread only. */
#ifndef STOA_CORE_HUB_REVIVE_H
#define STOA_CORE_HUB_REVIVE_H

#include <stdbool.h>

struct call;
struct hub;
struct hub_room;

/* Puts the room again, unless that is under way. Only for an active room. */
void hub_revive(struct hub_room *room);
/* The same for the room of this name. False: it is not active here, so the store is right. */
bool hub_revive_named(struct hub *hub, const char *name);
/* The call was told that there is no such room. True: it is carried out again, once, when the room
 * is there; so it must not have gone home. */
bool hub_revive_for(struct hub *hub, struct call *call);

#endif
