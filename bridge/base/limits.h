/* Every bound of the program, each with its reason. A limit that a user may change is a default here and a
 * key in the configuration; the others are fixed because the wire format or another node relies on them. */
#ifndef SB_BASE_LIMITS_H
#define SB_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ---- wire format: the same on every node ---- */

#define SB_WIRE_VERSION 2
#define SB_NODE_NAME_MAX                                                                                     \
  64 /* bytes of a node name; fits a header value and a Service Bus subscription name */
#define SB_INCARNATION_TEXT  40                     /* "<20 digits>-<16 hex>" and the terminating zero */
#define SB_PREFIX_BYTES_MAX  200                    /* leaves room for ".<partition>" in a short string */
#define SB_MAC_BYTES         32                     /* HMAC-SHA-256 */
#define SB_MAC_TEXT          (2 * SB_MAC_BYTES + 1) /* in hex, and the terminating zero */
#define SB_SIGNED_HEAD_MAX   384                    /* label, prefix, name with their lengths; 12 numbers */
#define SB_PARTITIONS_MAX    256                    /* partitions of one hub */
#define SB_BATCH_ENTRIES_MAX 4096                   /* an id is sequence * 4096 + index */
#define SB_SEQUENCE_MAX      ((UINT64_C(1) << 40) - 1) /* keeps both parts of an id below 2^53 (JavaScript) */
#define SB_GENERATION_MAX    ((UINT64_C(1) << 53) - 1) /* Unix ms; an exact number in JavaScript */
#define SB_START_MS_MAX      SB_GENERATION_MAX         /* of an incarnation */
/* A HELLO goes above this only one by one: so whoever writes to the log once does not use up a name's starts.
 */
#define SB_START_MS_LEAP_MAX (UINT64_C(1) << 52)
/* So far beyond what the eldest member has said may others take log time: longer than the eldest is silent
 * before it is said BYE to, with the longest lease that is a default (180 s, and a third of it). */
#define SB_TIME_AHEAD_MS     UINT64_C(300000)
#define SB_ABOUT_MAX         200  /* bytes that a HELLO says about its process, for people */
#define SB_MEMBERS_MAX       1024 /* rows of one log; a SNAPSHOT of them stays far below one part */
#define SB_DEPARTED_MAX      1024 /* departed rows kept, the oldest departure is forgotten first */

/* ---- batches and the outbox (LOG.md "Sending") ---- */

#define SB_BATCH_BYTES_DEFAULT 65536 /* a batch is closed when it holds this much */
#define SB_WINDOW_STEP_BYTES   16384 /* one more batch may fly per this much collected */
#define SB_WINDOW_BATCHES_MAX  16    /* batches in flight per partition */
#define SB_WINDOW_BYTES_MAX                                                                                  \
  ((size_t)1024 * 1024) /* bytes in flight per partition; one larger batch flies alone */
/* One entry that is larger than a message: what one part takes at least, and how many there are at most. */
#define SB_FRAGMENT_BYTES_MIN   64
#define SB_FRAGMENTS_MAX        4096
/* Of one entry in parts: as large as what RabbitMQ 4 takes in one message. */
#define SB_PAYLOAD_BYTES_MAX    ((size_t)16 * 1024 * 1024)
/* Of all that are not complete, in one log: they are part of its state, and travel with a SNAPSHOT. */
#define SB_UNFINISHED_BYTES_MAX (4 * SB_PAYLOAD_BYTES_MAX)
#define SB_OUTBOX_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define SB_BODY_BYTES_MAX                                                                                    \
  ((size_t)128 * 1024 * 1024) /* a body after decompression; RabbitMQ's own message limit */
#define SB_SNAPSHOT_PIECE_BYTES                                                                              \
  ((size_t)48 * 1024) /* leaves room for the entry around it in a 64 KiB message */
#define SB_SNAPSHOT_PIECES_MAX 4096
/* A whole SNAPSHOT; also what a joiner keeps while it waits: above it joins anew. */
#define SB_JOIN_BUFFER_BYTES   (SB_SNAPSHOT_PIECES_MAX * SB_SNAPSHOT_PIECE_BYTES)

/* ---- who subscribes to what: of all members, in one log; a SNAPSHOT of it must fit SB_JOIN_BUFFER_BYTES
 * ---- */

#define SB_INTEREST_ROWS_MAX                                                                                 \
  ((size_t)4 * 1024 * 1024)       /* channels, once for each member; 20 bytes in a SNAPSHOT */
#define SB_PATTERN_ROWS_MAX 65536 /* patterns, once for each member */
#define SB_PATTERN_BYTES_MAX                                                                                 \
  ((size_t)4 * 1024 * 1024)        /* of their names, and of the bit maps of their sets                      \
                                    */
#define SB_PATTERN_LENGTH_MAX 4096 /* bytes of one; all nodes ignore longer ones alike */
/* What they cost a message, for each byte of its channel's name: with the longest name a few ten milliseconds
 * on the only thread. Only what floats between two stars counts here; all else costs a message no more than
 * to look at each pattern once. */
#define SB_PATTERN_WORK_MAX   4096
/* What one message may cost in all: with channel_bytes above its default, patterns may cost less for a byte.
 */
#define SB_MESSAGE_STEPS_MAX  ((uint64_t)SB_PATTERN_WORK_MAX * 4096)
/* To match the messages of one batch, in steps of about a nanosecond: a batch is applied in one go. One that
 * alone costs more travels alone; a MULTI of many such is refused. */
#define SB_BATCH_STEPS_MAX    UINT64_C(20000000)
#define SB_MULTI_STEPS_MAX    UINT64_C(50000000)
/* Bytes of a channel that is published to. A longer one, which no node takes from a client, matches nothing.
 */
#define SB_CHANNEL_LENGTH_MAX 16384
#define SB_INTEREST_COUNT_MAX SB_SESSIONS_MAX /* of one node on one channel */

/* ---- shared keys, of one log: all nodes refuse the same ones, and a SNAPSHOT of them must fit
 * SB_JOIN_BUFFER_BYTES ---- */

#define SB_KEYS_BYTES_MAX     ((size_t)32 * 1024 * 1024) /* names, values, SB_KEY_OVERHEAD for each */
#define SB_KEY_OVERHEAD       160 /* what one costs besides, in memory and in a SNAPSHOT */
#define SB_KEY_NAME_MAX       ((size_t)64 * 1024)
/* Log time behind the founding of a log by one who had no keys, in which members may restore those of the log
 * before. Long enough for the broker's elections and a node's back-off; what is older surprises. */
#define SB_RESTORE_MS         60000
#define SB_MULTI_COMMANDS_MAX SB_BATCH_ENTRIES_MAX /* each may add an entry with an index of its own */

/* What is kept of a log that is read back, until a state is met in it. */
#define SB_REPLAY_KEPT_BYTES ((size_t)16 * 1024 * 1024)

/* What is read back of one log for a request that goes back behind the history; one at a time of each log.
 * The reply stays below what a session's output may have by default. */
#define SB_RANGE_BYTES_MAX ((size_t)24 * 1024 * 1024)

#define SB_HISTORY_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define SB_HISTORY_AGE_S_DEFAULT 3600

/* ---- sessions ---- */

#define SB_SESSIONS_DEFAULT      10000
#define SB_SESSIONS_MAX          1000000 /* of one node: what limits.sessions may say */
#define SB_CHANNEL_BYTES_DEFAULT 4096    /* of a channel's name: many times what apps use */
#define SB_PATTERN_BYTES_DEFAULT 1024    /* of a pattern */
#define SB_PATTERNS_DEFAULT      16384   /* of one node: four such nodes fill SB_PATTERN_ROWS_MAX */
#define SB_LIST_STEPS_MAX                                                                                    \
  UINT64_C(50000000) /* of PUBSUB CHANNELS with a pattern: some ten milliseconds                             \
                      */
#define SB_CONFIG_REQUEST_BYTES_MAX                                                                          \
  ((size_t)64 * 1024)                  /* of CONFIG GET and SET: all settings have a hundredth of it */
#define SB_RING_SLOTS_MAX        65536 /* unanswered requests of one session; 16 bytes each */
#define SB_REQUEST_BYTES_DEFAULT ((size_t)16 * 1024 * 1024) /* RabbitMQ 4 refuses larger messages */
#define SB_REQUEST_ARGS_MAX      (1024 * 1024) /* Redis: PROTO_MAX_MULTIBULK_LEN is of this size */
#define SB_PUBLISH_RUN_BYTES     8192  /* pipelined publishes taken together; a batch stays well filled */
#define SB_INLINE_BYTES_MAX      65536 /* Redis: PROTO_INLINE_MAX_SIZE */
#define SB_DESCRIPTORS_BESIDE    64    /* files and sockets of a bridge that are no sessions */
#define SB_DESCRIPTORS_MIN       32    /* what a bridge cannot start without: libuv ends the process */
#define SB_PASSWORD_BYTES_MIN    8     /* of a listener, where others may try; as NIST SP 800-63B */
#define SB_PASSWORD_DIFFERENT_MIN                                                                            \
  4 /* bytes in it: a random one of eight has more, but for a few of digits alone */
#define SB_PASSWORD_BYTES_LONG   16    /* from here on it is not looked at what it is made of */
#define SB_HUB_KEY_BYTES_MIN     43    /* of a text that holds 32 bytes: base64, without its padding */
#define SB_HUB_KEY_HEX_MIN       64    /* the same in hex */
#define SB_HUB_KEY_DIFFERENT_MIN 10    /* a random key of 64 hex digits has fewer once in 10^11 */
#define SB_READ_BYTES            65536 /* one read from a socket */
#define SB_OUTPUT_CHUNK_BYTES    16384 /* Redis: PROTO_REPLY_CHUNK_BYTES */
#define SB_OUTPUT_IOV_MAX        64    /* pieces handed to one writev */

/* ---- reading the log no faster than sessions do (bridge/redis/sockets/pace.h) ---- */

#define SB_PACE_PATIENCE_MS  1000 /* for a session that does not read, once: a busy program's pause */
/* A second; who reads less is waited for a part of the time only. A thirty-second of the hard limit where
 * that is lower. */
#define SB_PACE_RATE_BYTES   ((size_t)1024 * 1024)
#define SB_PACE_BUDGET_MS    4000 /* below the 5 s after which client libraries give up on a reply */
#define SB_PACE_OUTAGE_TIMES 2 /* as long as an outage lasted: what comes then is late by as much already */
#define SB_PACE_OUTAGE_MS    60000                     /* as Redis gives a reader above its soft limit */
#define SB_PACE_CLIENT_BYTES ((size_t)8 * 1024 * 1024) /* a second, that a client can be expected to read */
#define SB_PACE_REGAIN       10   /* the budget fills so many times slower than it empties */
#define SB_PACE_SILENCE_MS   1000 /* a log that waits to be heard for less had no outage */
#define SB_PACE_LOOK_MS      20   /* while the log stands: patience may have run out */

/* A file of certificates: those of all public authorities together have a quarter of a MiB. */
#define SB_PEM_BYTES_MAX ((size_t)2 * 1024 * 1024)

/* Of all sessions together, by default: a share of what the process may have, as the outbox, the history,
 * keys and what a broker sends need theirs. */
#define SB_SESSIONS_MEMORY_SHARE 4
#define SB_SESSIONS_MEMORY_MIN   ((uint64_t)64 * 1024 * 1024)
#define SB_MEMORY_SPARE_SHARE    64 /* so much of it is made free, as all sessions are looked at for that */
#define SB_NO_EVICT_SHARE        4  /* who asked for it goes when it takes so many times what others take */
#define SB_SUB_OVERHEAD                                                                                      \
  250 /* bytes of a subscription besides its name: docs/operations.md, "What subscriptions cost" */

/* What requests are taken in one turn of the loop, by the replies that were composed and by the time that it
 * took: of one session, of all that waited for their turn, and of all others; then signals and the log have
 * theirs. A reply is composed at some GB a second. */
#define SB_SHARE_BYTES_MAX ((size_t)1024 * 1024)
#define SB_TURN_BYTES_MAX  ((size_t)8 * 1024 * 1024)
#define SB_SHARE_NS_MAX    UINT64_C(5000000)
#define SB_TURN_NS_MAX     UINT64_C(10000000)

/* Sessions that have not given the password, of one listener: whoever can reach it can make them. */
#define SB_STRANGERS_MAX        128
#define SB_STRANGER_MS          10000 /* for giving it */
#define SB_STRANGER_INPUT_BYTES ((size_t)SB_READ_BYTES)
#define SB_WRONG_PASSWORD_MS    500 /* before a wrong one is told: 256 tries a second at most */

/* ---- transports ---- */

#define SB_TRANSPORT_EVENTS_MAX       4096 /* events queued towards the bridge */
#define SB_TRANSPORT_EVENTS_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define SB_TRANSPORT_STORED_MAX       512 /* the same of what is read back: deliveries wait behind it */
#define SB_TRANSPORT_STORED_BYTES_MAX ((size_t)1024 * 1024)
#define SB_TRANSPORT_READ_BACKS_MAX   4 /* partitions read back at a time; they share the room above */
#define SB_TRANSPORT_PUBLISH_MAX                                                                             \
  64 /* publishes queued per partition: a window, control messages, a resend                                 \
      */
/* What a slow line carries, 2 Mbit/s: a large message has so much more time for its way than a small one. */
#define SB_TRANSPORT_LINE_BYTES_PER_MS 256
#define SB_FOREIGN_CHANNEL_MAX         1024 /* bytes of the channel name in a foreign message */

/* ---- connecting ---- */

/* Of one name: more are not tried. A large pool has as many that answer. */
#define SB_NET_ADDRESSES_MAX 32

/* RFC 8305, 8: how long after one address the next is tried; less when the time would not do for all. */
#define SB_NET_ATTEMPT_DELAY_MS 250

/* How soon a stop is noticed by a thread that nobody can wake. */
#define SB_NET_STOP_POLL_MS 200

/* Questions that hang in the resolver, with a thread each: it gives up after some 30 s, and then more are
 * asked. */
#define SB_NET_LOOKUPS_MAX 16

/* Finding out what is spoken at a port where no broker answers: all of it, and how long silence is waited
 * for, after which another question is tried. */
#define SB_NET_GREETING_MS       3000
#define SB_NET_GREETING_QUIET_MS 500

/* ---- Azure Service Bus ---- */

/* Bytes of a message before its body: the most that encoding needs. */
#define SB_SERVICEBUS_HEAD_MAX 512

/* The service offers larger frames; but a frame is what a reader waits for. */
#define SB_SERVICEBUS_FRAME_BYTES 65536

/* Deliveries that are here and were not looked at. */
#define SB_SERVICEBUS_SESSION_BYTES ((size_t)4 * 1024 * 1024)

/* proton copies what it is to send: more than this at a time serves no one. */
#define SB_SERVICEBUS_SENDING_BYTES ((size_t)1024 * 1024)

/* Messages that are here and not applied: of one partition, and of all. Large ones get less credit. */
#define SB_SERVICEBUS_PREFETCH_MAX   2000
#define SB_SERVICEBUS_PREFETCH_BYTES ((size_t)16 * 1024 * 1024)

/* A body, and what programs of others may write before it. */
#define SB_SERVICEBUS_MESSAGE_BYTES_MAX (SB_BODY_BYTES_MAX + (size_t)64 * 1024)

/* What a receiver keeps for its next message. */
#define SB_SERVICEBUS_IDLE_BYTES ((size_t)64 * 1024)

/* What is held behind a missing message of one partition; the service keeps the rest. */
#define SB_SERVICEBUS_HELD_MAX       1024
#define SB_SERVICEBUS_HELD_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Messages that are remembered, to tell what comes twice: enough for all that may not be settled. */
#define SB_SERVICEBUS_PRINTS 1024

/* Answers: of $cbs, which have a few hundred bytes, and of the management: a feed of 100 descriptions has a
 * quarter of it. */
#define SB_SERVICEBUS_REPLY_BYTES_MAX  ((size_t)16 * 1024)
#define SB_SERVICEBUS_ANSWER_BYTES_MAX ((size_t)1024 * 1024)

/* Subscriptions of earlier lives that one start removes from a topic; more wait for the next start. */
#define SB_SERVICEBUS_LEFTOVERS_MAX 64

/* ---- the log ---- */

/* Lines that wait for stderr to take them: some thousand. */
#define SB_LOG_QUEUE_BYTES ((size_t)256 * 1024)
#define SB_LOG_FLUSH_MS    1000 /* of a stop, for who reads stderr; then what waits is lost */

/* ---- what was asked for and is not done: names come from outside, so all of it is bounded ---- */

#define SB_REFUSED_ROWS        128 /* kinds that are told apart, by what and by client library: 50 KiB */
#define SB_REFUSED_SHOWN       16  /* of them in INFO, which many programs ask for every few seconds */
#define SB_REFUSED_WHAT_TEXT   64  /* a command with its subcommand, or a SHA-1, and an option */
#define SB_REFUSED_CLIENT_TEXT 48  /* a library's name */
#define SB_REFUSED_ERROR_TEXT  256 /* what was replied */
#define SB_REFUSED_SCRIPT_MAX                                                                                \
  ((size_t)64 * 1024) /* bytes of a script whose SHA-1 is taken: half a millisecond */

/* ---- texts ---- */

#define SB_ERROR_TEXT_MAX 512

#endif
