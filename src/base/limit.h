/* Every limit on what a peer can make this process hold. A limit has a counter in /metrics and a
 * test that reaches it. Those that an operator may want to change are settings
 * (docs/operations.md); these are the fixed ones, and the bounds of the settings. */
#ifndef STOA_BASE_LIMIT_H
#define STOA_BASE_LIMIT_H

/* Names and texts, bytes. */
#define LIMIT_APP_NAME        64
#define LIMIT_ROOM_ID         64
#define LIMIT_ROOM_KEY        (LIMIT_APP_NAME + 1 + LIMIT_ROOM_ID) /* "app/room" */
#define LIMIT_USER_ID         64
#define LIMIT_USER_NAME       64
#define LIMIT_TYPE            32
#define LIMIT_TITLE           256
#define LIMIT_SECT            64
#define LIMIT_IDEMPOTENCY_KEY 64
#define LIMIT_TOKEN           4096 /* a signed token, as text */

/* HTTP. */
#define LIMIT_REQUEST_LINE   4096
#define LIMIT_HEADER_BYTES   16384
#define LIMIT_HEADER_COUNT   64
#define LIMIT_BODY_BYTES     131072  /* of a request */
#define LIMIT_CHUNKED_BYTES  1048576 /* of a chunked body as it comes, with its chunk lines */
#define LIMIT_PIPELINE_BYTES 16384   /* read ahead behind a request that is being answered */

/* Messages. */
#define LIMIT_MESSAGE_BODY    65536 /* upper bound of a room's max_body_bytes */
#define LIMIT_POLL_NORMAL     200   /* normal messages in one answer, and upper bound of ?limit= */
#define LIMIT_POLL_HIGH       200   /* high messages in one answer */
#define LIMIT_POLL_TIMEOUT_MS 60000
#define LIMIT_JSON_DEPTH      64
#define LIMIT_IDEMPOTENCY_MS  (5 * 60 * 1000)

/* A room's copy in memory, per list. */
#define LIMIT_FEED_FRAMES 1024
#define LIMIT_FEED_BYTES  (1024 * 1024)

/* Between threads. */
#define LIMIT_CALLS_PER_WORKER 4096 /* calls a worker may have under way at the hub */
#define LIMIT_NOTES_PER_WORKER 16384

/* Audience. */
#define LIMIT_POLLS_PER_USER   8 /* parked at once, per user and room */
#define LIMIT_ROOMS_PER_NODE   100000
#define LIMIT_SENDERS_PER_ROOM 65536 /* who sent lately */
#define LIMIT_WORKERS          64
#define LIMIT_NODE_NAME        64
#define LIMIT_ADDRESS          64 /* HOST:PORT of a node */
#define LIMIT_VERSION          32
#define LIMIT_NODES            4096          /* in one fleet */
#define LIMIT_ROUTES           4096          /* rooms assigned to a sect */
#define LIMIT_ROOM_NODES       LIMIT_WORKERS /* that name users of one room (store/attendance.h) */

/* Links between nodes. */
#define LIMIT_LINKS            1024 /* connections of edges at one node */
#define LIMIT_LINK_GREETING    64   /* of them, those that have not proved the secret yet */
#define LIMIT_LINK_HELLO       4096 /* bytes of a packet, until then */
#define LIMIT_LINK_FRAME       (8 * 1024 * 1024)
#define LIMIT_LINK_UNPACKED    (32ul * 1024 * 1024) /* memory of one packet */
#define LIMIT_LINK_CALLS       4096 /* requests of one edge under way; more are refused */
#define LIMIT_LINK_READS       32   /* of them, ranges asked of the store at once; more wait */
#define LIMIT_LINK_QUEUE       (4ul * 1024 * 1024)  /* for an edge: beyond it no news, */
#define LIMIT_LINK_ANSWERS     (16ul * 1024 * 1024) /* and beyond this no ranges or pages */
#define LIMIT_LINK_STUCK       (64ul * 1024 * 1024) /* and beyond this it is cut off */
#define LIMIT_LINK_ROOMS       LIMIT_ROOMS_PER_NODE /* watched by one edge */
#define LIMIT_LINK_REFUSALS    5 /* wrong proofs of one address in a minute; then it has to wait */
#define LIMIT_LINK_CALLS_OUT   65536                /* an edge's own, under way */
#define LIMIT_LINK_CALLS_BYTES (64ul * 1024 * 1024) /* what they hold */
#define LIMIT_LINK_SEEDS       16                   /* addresses in a link:// URL */

/* At Redis, per node of ours. */
#define LIMIT_REDIS_CALLS       65536                /* commands under way */
#define LIMIT_REDIS_CALL_BYTES  (64ul * 1024 * 1024) /* of them */
#define LIMIT_REDIS_REPLY_BYTES (64ul * 1024 * 1024) /* of one reply */
#define LIMIT_REDIS_NODES       1024
#define LIMIT_REDIS_JOBS        65536                /* calls to the store under way */
#define LIMIT_REDIS_JOB_BYTES   (64ul * 1024 * 1024) /* of their arguments */
#define LIMIT_REDIS_HELD        1024 /* news of a room that wait for an acknowledgement */

/* Counting: what waits for a store that is away. */
#define LIMIT_PRESENCE_WAITING_BYTES (64ul * 1024 * 1024)
#define LIMIT_VIEWERS_WAITING_BYTES  (64ul * 1024 * 1024)
#define LIMIT_SAMPLES_WAITING        65536
#define LIMIT_POINTS                 1500 /* of a room's history, in one answer */

#endif
