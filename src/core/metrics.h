/* What hub and workers count, one list each: name (behind stoa_), type, help. Counted by one
 * thread, read by any. */
#ifndef STOA_CORE_METRICS_H
#define STOA_CORE_METRICS_H

#include "base/counter.h"

#define HUB_METRICS(X)                                                                             \
    X(rooms_active, "gauge", "Rooms held in memory by the hub")                                    \
    X(rooms_refused_total, "counter",                                                              \
      "Rooms not activated because of the limit of rooms per node")                                \
    X(online_users, "gauge", "Users present, summed over rooms")                                   \
    X(appends_total, "counter", "Messages stored")                                                 \
    X(appends_duplicate_total, "counter", "Sends that repeated an idempotency key")                \
    X(appends_refused_total, "counter", "Sends refused by a quota or a rule")                      \
    X(appends_failed_total, "counter", "Sends that the store failed")                              \
    X(news_applied_total, "counter", "Notifications applied as they came")                         \
    X(news_stale_total, "counter", "Notifications of what was known")                              \
    X(news_hole_total, "counter", "Notifications that showed a hole, and led to a pull")           \
    X(pulls_total, "counter", "Reads of a room's news from the store")                             \
    X(pulls_failed_total, "counter", "Such reads that the store failed")                           \
    X(pull_messages_total, "counter", "Messages found by a pull")                                  \
    X(fallback_polls_total, "counter", "Pulls made because time had passed")                       \
    X(fallback_messages_total, "counter",                                                          \
      "Messages found by a fallback poll, so whose notification was lost")                         \
    X(cold_reads_total, "counter", "Reads for a cursor older than the copies in memory")           \
    X(history_reads_total, "counter", "Reads of history")                                          \
    X(notes_deferred_total, "counter",                                                             \
      "Times that a worker's queue was full and its news had to wait")                             \
    X(senders_refused_total, "counter",                                                            \
      "Sends refused because a room had too many senders at once")                                 \
    X(frames_freed_total, "counter", "Frames freed")                                               \
    X(viewers_total, "counter", "Users stored as viewers of a 5-minute bucket, known ones too")    \
    X(viewers_sketches_total, "counter", "Sketches stored, of batches too large to name")          \
    X(viewers_waiting, "gauge", "Batches of viewers on their way to the store")                    \
    X(viewers_failed_total, "counter", "Batches that the store failed, and that are given again")  \
    X(viewers_dropped_total, "counter", "Viewers dropped because too many waited for the store")   \
    X(viewers_reads_total, "counter", "Counts of viewers asked of the store")                      \
    X(samples_total, "counter", "Samples of history stored")                                       \
    X(samples_waiting, "gauge", "Samples on their way to the store")                               \
    X(samples_failed_total, "counter", "Samples that the store failed, and that are given again")  \
    X(samples_dropped_total, "counter", "Samples dropped because too many waited for the store")   \
    X(samples_reads_total, "counter", "Ranges of history asked of the store")                      \
    X(roll_up_total, "counter", "Users named to the shared store: here, still here, or gone")      \
    X(roll_up_waiting, "gauge", "Batches of users who came and went, on their way to the store")   \
    X(roll_up_failed_total, "counter", "Batches that the store failed, and that are said again")   \
    X(roll_up_dropped_total, "counter",                                                            \
      "Users not named because too many waited for the store, or too many nodes had the room")     \
    X(roll_up_again_total, "counter", "Times that everybody in a room was named again")            \
    X(head_counts_total, "counter", "Times that the store was asked how many are in a room")       \
    X(head_counts_failed_total, "counter", "Such counts that the store failed")                    \
    X(rooms_revived_total, "counter", "Rooms put again because the store had lost them")           \
    X(beats_failed_total, "counter", "Times that this node could not say that it is there")        \
    X(routes_version, "gauge", "What routes this node knows: the same number, the same routes")    \
    X(routes_changes_total, "counter", "Changes of the routes that this node has seen")            \
    X(routes_failed_total, "counter", "Times that the routes could not be asked for")              \
    X(rooms_assigned, "gauge", "Rooms assigned to a sect, in the whole fleet")                     \
    X(switch_lease, "gauge", "1: this node decides which rooms go to a VIP sect")                  \
    X(switch_promotions_total, "counter", "Rooms assigned to a VIP sect by the switch")            \
    X(switch_demotions_total, "counter", "Rooms that the switch took back")                        \
    X(switch_failed_total, "counter", "Such assignments that the store failed or refused")         \
    X(switch_dry_total, "counter", "Assignments that it would have made, were it not dry")         \
    X(peer_watches, "gauge", "Rooms that edges watch here, summed over edges")                     \
    X(peer_watches_refused_total, "counter",                                                       \
      "Rooms that an edge was not let watch, because it watches too many")                         \
    X(peer_news_total, "counter", "Messages told to edges as news")                                \
    X(peer_reads_copied_total, "counter", "Ranges given to edges without a look at the store")     \
    X(peers_behind_total, "counter",                                                               \
      "Times that an edge took no news of a room, and was told its newest message later")

#define WORKER_METRICS(X)                                                                          \
    X(polls_total, "counter", "Polls taken")                                                       \
    X(polls_parked, "gauge", "Polls parked now")                                                   \
    X(polls_held, "gauge", "Polls whose pace does not allow an answer yet")                        \
    X(polls_held_total, "counter", "Polls that the pace held")                                     \
    X(holds_broken_total, "counter", "Holds cut short by a high message")                          \
    X(polls_shed_total, "counter", "Polls refused because longer holds were not enough")           \
    X(pace_load_ms, "gauge", "Interval between answers that the load of this worker asks for")     \
    X(busy_permille, "gauge", "Busy share of this worker's loop")                                  \
    X(answer_capacity, "gauge", "Answers a second that this worker could give, as measured")       \
    X(polls_evicted_total, "counter", "Polls answered empty because their user had too many")      \
    X(polls_refused_total, "counter", "Polls refused: room missing, full, or store unavailable")   \
    X(polls_timed_out_total, "counter", "Polls answered empty at their time-out")                  \
    X(polls_cold_total, "counter", "Polls that needed a read from the store")                      \
    X(answers_total, "counter", "Answers given to polls")                                          \
    X(answers_encoded_total, "counter", "Answers encoded; the others were shared")                 \
    X(deliveries_total, "counter", "Messages in answers")                                          \
    X(skipped_total, "counter", "Messages that answers said were skipped")                         \
    X(gaps_total, "counter", "Answers that told a gap")                                            \
    X(slices_total, "counter", "Slices of fan-outs")                                               \
    X(calls_total, "counter", "Calls to the hub")                                                  \
    X(calls_refused_total, "counter", "Calls refused because too many were under way")             \
    X(rooms_subscribed, "gauge", "Rooms that this worker has a copy of")                           \
    X(attendees, "gauge", "Users present on this worker, summed over rooms")

struct hub_metrics {
#define X(name, type, help) struct counter name;
    HUB_METRICS(X)
#undef X
};

struct worker_metrics {
#define X(name, type, help) struct counter name;
    WORKER_METRICS(X)
#undef X
};

/* A gauge is moved up and down by its one thread. */
static inline void gauge_add(struct counter *c, int64_t n)
{
    counter_add(c, (uint64_t)n);
}

#endif
