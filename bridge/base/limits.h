/* Every bound of the program, each with its reason. A limit that a user may change is a default here and a
 * key in the configuration; the others are fixed because the wire format or another node relies on them. */
#ifndef SB_BASE_LIMITS_H
#define SB_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ---- wire format: the same on every node ---- */

#define SB_WIRE_VERSION      2
/* Bytes of a node name; it fits a header value and a Service Bus subscription name. */
#define SB_NODE_NAME_MAX     64
#define SB_INCARNATION_TEXT  40                     /* "<20 digits>-<16 hex>" and the terminating zero */
#define SB_PREFIX_BYTES_MAX  200                    /* leaves room for ".<partition>" in a short string */
#define SB_MAC_BYTES         32                     /* HMAC-SHA-256 */
#define SB_MAC_TEXT          (2 * SB_MAC_BYTES + 1) /* in hex, and the terminating zero */
#define SB_SIGNED_HEAD_MAX   416                    /* label, prefix, name with their lengths; 15 numbers */
#define SB_CLAIM_TEXT        47   /* "<20 digits>-<8 hex>-<16 hex>" and the terminating zero */
#define SB_PARTITIONS_MAX    256  /* partitions of one hub */
#define SB_BATCH_ENTRIES_MAX 4096 /* an id is sequence * 4096 + index */
#define SB_SEQUENCE_MAX      ((UINT64_C(1) << 40) - 1) /* keeps both parts of an id below 2^53 (JavaScript) */
#define SB_GENERATION_MAX    ((UINT64_C(1) << 53) - 1) /* Unix ms; an exact number in JavaScript */
#define SB_START_MS_MAX      SB_GENERATION_MAX         /* of an incarnation */
#define SB_TIME_MS_MAX       SB_GENERATION_MAX         /* of log time: lives of keys are added to it */
#define SB_NUMBER_MAX        SB_GENERATION_MAX /* of a batch, in a state: others are counted up from it */
/* Above this a HELLO's start must be the next one of its name: so nobody uses up a name's starts with one
 * message. */
#define SB_START_MS_LEAP_MAX (UINT64_C(1) << 52)
/* How far others may take log time beyond what the eldest member has said. Longer than a silent eldest stays
 * a member with the longest lease that is a default: 180 s, and a third of it. */
#define SB_TIME_AHEAD_MS     UINT64_C(300000)
#define SB_ABOUT_MAX         200  /* bytes that a HELLO says about its process, for people */
#define SB_MEMBERS_MAX       1024 /* rows of one log; in a SNAPSHOT they take a few pieces */
#define SB_DEPARTED_MAX      1024 /* departed rows kept, the oldest departure is forgotten first */

/* ---- batches and the outbox (docs/log.md, "Sending") ---- */

#define SB_BATCH_BYTES_DEFAULT  65536 /* a batch is closed when it holds this much */
#define SB_WINDOW_STEP_BYTES    16384 /* for so many bytes collected one more batch may fly */
#define SB_WINDOW_BATCHES_MAX   16    /* batches in flight per partition */
/* Bytes in flight per partition; one larger batch flies alone. */
#define SB_WINDOW_BYTES_MAX     ((size_t)1024 * 1024)
/* An entry that is larger than a message: bytes of a fragment at least, fragments at most. */
#define SB_FRAGMENT_BYTES_MIN   64
#define SB_FRAGMENTS_MAX        4096
/* Bytes of an entry in fragments: as many as RabbitMQ 4 takes in one message. */
#define SB_PAYLOAD_BYTES_MAX    ((size_t)16 * 1024 * 1024)
/* Bytes of all unfinished entries of one log: they are part of its state, and travel with a SNAPSHOT. */
#define SB_UNFINISHED_BYTES_MAX (4 * SB_PAYLOAD_BYTES_MAX)
#define SB_OUTBOX_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
/* A body after decompression; RabbitMQ's own message limit. */
#define SB_BODY_BYTES_MAX       ((size_t)128 * 1024 * 1024)
/* Leaves room for the entry around it in a 64 KiB message. */
#define SB_SNAPSHOT_PIECE_BYTES ((size_t)48 * 1024)
#define SB_SNAPSHOT_PIECES_MAX  4096
/* A whole SNAPSHOT; also what a joiner keeps while it waits: above it joins anew. */
#define SB_JOIN_BUFFER_BYTES    (SB_SNAPSHOT_PIECES_MAX * SB_SNAPSHOT_PIECE_BYTES)

/* ---- the chain: what nodes accepted, compared (docs/log.md) ---- */

/* How many sums of one log are kept to compare claims with: more than are added while a claim is on its way.
 * They take 64 KiB where the log is busy, 256 bytes where it brings less than one message in four seconds. */
#define SB_CHAIN_KEPT      4096
#define SB_CHAIN_KEPT_MS   60000 /* a claim that took longer need not be judged */
#define SB_CHAIN_EVERY     64    /* a node claims something in every so many batches, at least */
/* A node that differs from another joins anew, but only so often within that time. Each time is a gap for its
 * sessions, and what three did not heal, a fourth will not. */
#define SB_CHAIN_LEAVES    3
#define SB_CHAIN_LEAVES_MS UINT64_C(600000)

/* ---- who subscribes to what, in one log: a SNAPSHOT of it must fit SB_JOIN_BUFFER_BYTES ---- */

/* Channels, once for each member; 20 bytes in a SNAPSHOT. */
#define SB_INTEREST_ROWS_MAX  ((size_t)4 * 1024 * 1024)
#define SB_PATTERN_ROWS_MAX   65536 /* patterns, once for each member */
/* Bytes of patterns' names, and of the bit maps of their sets. */
#define SB_PATTERN_BYTES_MAX  ((size_t)4 * 1024 * 1024)
#define SB_PATTERN_LENGTH_MAX 4096 /* bytes of one; all nodes ignore longer ones alike */
/* Steps that all patterns together cost a message for each byte of its channel's name: with the longest name
 * a few ten milliseconds on the only thread. Only what floats between two stars counts here. Apart from that
 * a message costs no more than a look at each pattern. */
#define SB_PATTERN_WORK_MAX   4096
/* Steps that one message may cost in all: with channel_bytes above its default, patterns may cost less for
 * each byte. */
#define SB_MESSAGE_STEPS_MAX  ((uint64_t)SB_PATTERN_WORK_MAX * 4096)
/* Steps, of about a nanosecond, to match all messages of one batch, which is applied in one go. A message
 * that costs more travels alone; a MULTI of many such is refused. */
#define SB_BATCH_STEPS_MAX    UINT64_C(20000000)
#define SB_MULTI_STEPS_MAX    UINT64_C(50000000)
/* Bytes of a channel's name. No node takes a longer one from a client; one in the log matches nothing. */
#define SB_CHANNEL_LENGTH_MAX 16384
#define SB_INTEREST_COUNT_MAX SB_SESSIONS_MAX /* of one node on one channel */

/* ---- shared keys of one log: all nodes refuse alike; a SNAPSHOT must fit SB_JOIN_BUFFER_BYTES ---- */

#define SB_KEYS_BYTES_MAX     ((size_t)32 * 1024 * 1024) /* names, values, SB_KEY_OVERHEAD for each */
#define SB_KEY_OVERHEAD       160 /* what one costs besides, in memory and in a SNAPSHOT */
#define SB_KEY_NAME_MAX       ((size_t)64 * 1024)
/* When a node without keys has founded a log, members restore those of the log before for so long in log
 * time. Long enough for the broker's elections and a node's back-off. Keys that come back later would
 * surprise. */
#define SB_RESTORE_MS         60000
#define SB_MULTI_COMMANDS_MAX SB_BATCH_ENTRIES_MAX /* each may add an entry with an index of its own */

/* Bytes that are kept of a log that is read back, until a state is met in it. */
#define SB_REPLAY_KEPT_BYTES ((size_t)16 * 1024 * 1024)

/* Bytes that are read back of one log for a request that reaches behind the history. Each log has one such
 * reading at a time. The reply stays below what a session's output may have by default. */
#define SB_RANGE_BYTES_MAX ((size_t)24 * 1024 * 1024)

#define SB_HISTORY_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define SB_HISTORY_AGE_S_DEFAULT 3600

/* ---- sessions ---- */

#define SB_SESSIONS_DEFAULT         10000
#define SB_SESSIONS_MAX             1000000 /* of one node: what limits.sessions may say */
#define SB_CHANNEL_BYTES_DEFAULT    4096    /* of a channel's name: many times what apps use */
#define SB_PATTERN_BYTES_DEFAULT    1024    /* of a pattern */
#define SB_PATTERNS_DEFAULT         16384   /* of one node: four such nodes fill SB_PATTERN_ROWS_MAX */
/* Steps of PUBSUB CHANNELS with a pattern: some ten milliseconds. */
#define SB_LIST_STEPS_MAX           UINT64_C(50000000)
/* Of CONFIG GET and SET: all settings together have a hundredth of it. */
#define SB_CONFIG_REQUEST_BYTES_MAX ((size_t)64 * 1024)
#define SB_RING_SLOTS_MAX           65536 /* unanswered requests of one session; 16 bytes each */
#define SB_REQUEST_BYTES_DEFAULT    ((size_t)16 * 1024 * 1024) /* RabbitMQ 4 refuses larger messages */
#define SB_REQUEST_ARGS_MAX         (1024 * 1024) /* Redis: PROTO_MAX_MULTIBULK_LEN is of this size */
#define SB_PUBLISH_RUN_BYTES        8192  /* pipelined publishes taken together; a batch stays well filled */
#define SB_INLINE_BYTES_MAX         65536 /* Redis: PROTO_INLINE_MAX_SIZE */
#define SB_DESCRIPTORS_BESIDE       64    /* files and sockets of a bridge that are no sessions */
#define SB_DESCRIPTORS_MIN          32    /* what a bridge cannot start without: libuv ends the process */
#define SB_PASSWORD_BYTES_MIN       8     /* of a listener, where others may try; as NIST SP 800-63B */
/* Different bytes in a password: a random one of eight bytes has more, but for a few of digits alone. */
#define SB_PASSWORD_DIFFERENT_MIN   4
#define SB_PASSWORD_BYTES_LONG      16    /* a password of so many bytes may be made of anything */
#define SB_HUB_KEY_BYTES_MIN        43    /* of a text that holds 32 bytes: base64, without its padding */
#define SB_HUB_KEY_HEX_MIN          64    /* the same in hex */
#define SB_HUB_KEY_DIFFERENT_MIN    10    /* a random key of 64 hex digits has fewer once in 10^11 */
#define SB_READ_BYTES               65536 /* one read from a socket */
#define SB_OUTPUT_CHUNK_BYTES       16384 /* Redis: PROTO_REPLY_CHUNK_BYTES */
#define SB_OUTPUT_IOV_MAX           64    /* pieces handed to one writev */

/* ---- reading the log no faster than sessions do (bridge/redis/sockets/pace.h) ---- */

#define SB_PACE_PATIENCE_MS  1000 /* with a session that does not read, once: a busy program's pause */
/* A second. A session that reads less is waited for only part of the time. Where a thirty-second of the hard
 * limit is lower, that counts. */
#define SB_PACE_RATE_BYTES   ((size_t)1024 * 1024)
#define SB_PACE_BUDGET_MS    4000  /* below the 5 s after which client libraries give up on a reply */
#define SB_PACE_OUTAGE_TIMES 2     /* of an outage's length: its messages are late by that much already */
#define SB_PACE_OUTAGE_MS    60000 /* as Redis gives a reader above its soft limit */
#define SB_PACE_CLIENT_BYTES ((size_t)8 * 1024 * 1024) /* a second: what a client can be expected to read */
#define SB_PACE_REGAIN       10   /* the budget fills so many times slower than it empties */
#define SB_PACE_SILENCE_MS   1000 /* a log that was silent for less had no outage */
#define SB_PACE_LOOK_MS      20   /* while the log stands: patience may have run out */

/* A file of certificates: those of all public authorities together have a quarter of a MiB. */
#define SB_PEM_BYTES_MAX ((size_t)2 * 1024 * 1024)

/* All sessions together have this share (one of so many) of the process's memory by default. The outbox, the
 * history, the keys and what a broker sends need theirs. */
#define SB_SESSIONS_MEMORY_SHARE 4
#define SB_SESSIONS_MEMORY_MIN   ((uint64_t)64 * 1024 * 1024)
#define SB_MEMORY_SPARE_SHARE    64 /* this share is freed at a time: that looks at all sessions */
#define SB_NO_EVICT_SHARE        4  /* a NO-EVICT session goes when it takes so many times what others take */
/* Bytes of a subscription besides its name: docs/operations.md, "What subscriptions cost". */
#define SB_SUB_OVERHEAD          250

/* How many requests are taken in one turn of the loop, measured by the bytes of their replies and by the time
 * that they took. SHARE is for one session. TURN is for all sessions that waited for their turn, and again
 * for all others; then signals and the log have theirs. A reply is composed at some GB a second. */
#define SB_SHARE_BYTES_MAX ((size_t)1024 * 1024)
#define SB_TURN_BYTES_MAX  ((size_t)8 * 1024 * 1024)
#define SB_SHARE_NS_MAX    UINT64_C(5000000)
#define SB_TURN_NS_MAX     UINT64_C(10000000)

/* Sessions of one listener that have not given the password: whoever can reach it can make them. */
#define SB_STRANGERS_MAX        128
#define SB_STRANGER_MS          10000 /* for giving it */
#define SB_STRANGER_INPUT_BYTES ((size_t)SB_READ_BYTES)
#define SB_WRONG_PASSWORD_MS    500 /* before the reply to a wrong one: 256 tries a second at most */

/* ---- transports ---- */

#define SB_TRANSPORT_EVENTS_MAX        4096 /* events queued towards the bridge */
#define SB_TRANSPORT_EVENTS_BYTES_MAX  ((size_t)32 * 1024 * 1024)
#define SB_TRANSPORT_STORED_MAX        512 /* events of what is read back: deliveries wait behind them */
#define SB_TRANSPORT_STORED_BYTES_MAX  ((size_t)1024 * 1024)
#define SB_TRANSPORT_READ_BACKS_MAX    4  /* partitions read back at a time; they share the room above */
#define SB_TRANSPORT_PUBLISH_MAX       64 /* publishes queued per partition: a window, control, a resend */
/* What a slow line carries, 2 Mbit/s: a large message has the time for its way that this takes. */
#define SB_TRANSPORT_LINE_BYTES_PER_MS 256
#define SB_FOREIGN_CHANNEL_MAX         1024 /* bytes of the channel name in a foreign message */

/* ---- connecting ---- */

/* Addresses of one name: more are not tried. */
#define SB_NET_ADDRESSES_MAX 32

/* RFC 8305, 8: how long after one address the next is tried. Less when else the last would get no time. */
#define SB_NET_ATTEMPT_DELAY_MS 250

/* How soon a stop is noticed by a thread that nobody can wake. */
#define SB_NET_STOP_POLL_MS 200

/* Look-ups that hang in the resolver, with a thread each. It gives up after some 30 s; until then no more are
 * begun. */
#define SB_NET_LOOKUPS_MAX 16

/* Finding out what is spoken at a port where no broker answers: how long in all, and after how much silence
 * the next question is tried. */
#define SB_NET_GREETING_MS       3000
#define SB_NET_GREETING_QUIET_MS 500

/* ---- Azure Service Bus ---- */

/* Bytes of a message before its body, at most. */
#define SB_SERVICEBUS_HEAD_MAX 640

/* The service offers larger frames, but a reader can use a frame only when it is whole. */
#define SB_SERVICEBUS_FRAME_BYTES 65536

/* Bytes of deliveries that have come and were not looked at yet. */
#define SB_SERVICEBUS_SESSION_BYTES ((size_t)4 * 1024 * 1024)

/* Bytes given to proton at a time. It copies what it sends, so more would not make it faster. */
#define SB_SERVICEBUS_SENDING_BYTES ((size_t)1024 * 1024)

/* Messages that have come and are not applied: of one partition, and bytes of all. Large ones get less
 * credit. */
#define SB_SERVICEBUS_PREFETCH_MAX   2000
#define SB_SERVICEBUS_PREFETCH_BYTES ((size_t)16 * 1024 * 1024)

/* A body, and what other programs may write before it. */
#define SB_SERVICEBUS_MESSAGE_BYTES_MAX (SB_BODY_BYTES_MAX + (size_t)64 * 1024)

/* Memory that a receiver keeps for its next message. */
#define SB_SERVICEBUS_IDLE_BYTES ((size_t)64 * 1024)

/* Messages of one partition that are held while an earlier one is missing; the service keeps the rest. */
#define SB_SERVICEBUS_HELD_MAX       1024
#define SB_SERVICEBUS_HELD_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Messages that are remembered, to notice one that comes twice: as many as can be unsettled. */
#define SB_SERVICEBUS_PRINTS 1024

/* Answers. Of $cbs: they have a few hundred bytes. Of the management: a feed of 100 descriptions takes a
 * quarter of this. */
#define SB_SERVICEBUS_REPLY_BYTES_MAX  ((size_t)16 * 1024)
#define SB_SERVICEBUS_ANSWER_BYTES_MAX ((size_t)1024 * 1024)

/* Subscriptions of earlier lives that one start removes from a topic; more wait for the next start. */
#define SB_SERVICEBUS_LEFTOVERS_MAX 64

/* ---- the log ---- */

/* Lines that wait for stderr to take them: some thousand. */
#define SB_LOG_QUEUE_BYTES ((size_t)256 * 1024)
#define SB_LOG_FLUSH_MS    1000 /* how long a stop waits for the reader of stderr: then lines are lost */

/* ---- what clients asked for and were refused: names come from outside, so all of it is bounded ---- */

#define SB_REFUSED_ROWS        128 /* rows of that list, each for a request and a client library: 50 KiB */
#define SB_REFUSED_SHOWN       16  /* rows in INFO, which many programs ask for every few seconds */
#define SB_REFUSED_WHAT_TEXT   64  /* a command with its subcommand, or a SHA-1, and an option */
#define SB_REFUSED_CLIENT_TEXT 48  /* a library's name */
#define SB_REFUSED_ERROR_TEXT  256 /* what was replied */
/* Bytes of a script whose SHA-1 is taken: half a millisecond. */
#define SB_REFUSED_SCRIPT_MAX  ((size_t)64 * 1024)

/* ---- texts ---- */

#define SB_ERROR_TEXT_MAX 512

#endif
