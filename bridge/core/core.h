/* The bridge, pure: events in, effects out. It holds the sessions' subscriptions, forms batches of what they
 * publish, follows the logs by the rules of the log protocol, fans out what the logs deliver and answers in
 * order. It has no clock, no socket, no thread and no randomness of its own: the same events give the same
 * effects.
 *
 * Use. Set the time with sb_core_now before the events of a loop turn, feed the events, then call
 * sb_core_turn once: it sends the batches that may leave. After it, write out the sessions of
 * sb_core_next_dirty and sleep until the next event or sb_core_deadline. One thread.
 *
 * Waiting. A call that answers SB_WAIT took nothing: the same request must be offered again after io.room was
 * called (or dropped with its session). The socket side stops reading from that session meanwhile. Should
 * another request come instead, what was noted for the first is forgotten. */
#ifndef SB_CORE_CORE_H
#define SB_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/link.h"
#include "bridge/base/log.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/session.h"

struct sb_core;

struct sb_core_settings {
  char node[SB_NODE_NAME_MAX + 1];
  uint64_t nonce;               /* random, drawn once per process */
  char about[SB_ABOUT_MAX + 1]; /* this process, for who meets it: host, process id, when it began */
  uint32_t partitions;
  size_t batch_bytes;       /* a batch is closed at this size; one larger entry travels alone */
  size_t outbox_bytes;      /* of all partitions together; above it publishers wait */
  size_t output_hard_bytes; /* per session; 0: no limit */
  size_t output_mark_bytes; /* per session: sb_core_output_rose tells when the log fills it above this */
  uint32_t lease_ms;        /* a member silent for this long may be declared dead */
  uint32_t quiet_ms;        /* a log that brings nothing for so long is asked for a sign of life; 0: never */
  uint32_t found_ms; /* T of the log protocol: nobody answers a HELLO for this long, so found the log anew */
  size_t window_step_bytes;     /* one more batch may fly per this much collected; 0: SB_WINDOW_STEP_BYTES */
  size_t snapshot_piece_bytes;  /* of a SNAPSHOT in one message; 0: SB_SNAPSHOT_PIECE_BYTES */
  uint32_t linger_ms;           /* a batch waits this long for company; 0: it leaves at the end of the turn */
  uint32_t rate_per_s;          /* batches a second over all partitions; 0: no limit */
  bool refuse_in_outage;        /* answer -BUSY while the broker is away instead of waiting */
  bool compress;                /* lz4 where it pays */
  bool hides_tail;              /* an attach does not show the last message that a log holds */
  bool log_begins_here;         /* nothing was in the logs before this process */
  size_t history_bytes;         /* of all partitions together; 0: nothing is kept */
  uint64_t history_age_ms;      /* 0: no limit */
  bool history_prefill;         /* at the start, what the log holds from before */
  uint64_t checkpoint_messages; /* between two checkpoints; 0: as many as pay */
  uint64_t log_bytes;           /* that the broker keeps of a log; 0: no limit */
  uint64_t log_age_ms;          /* likewise */
  size_t range_bytes;           /* of what is read back for one request; 0: SB_RANGE_BYTES_MAX */
  size_t channel_bytes;         /* of a name that is published or subscribed to; 0: SB_CHANNEL_LENGTH_MAX */
  size_t pattern_bytes;         /* of a pattern; 0: SB_PATTERN_LENGTH_MAX */
  size_t patterns_max;          /* that sessions of this node subscribe to; 0: no limit */
};

struct sb_core_io {
  void *owner;

  /* As sb_transport_publish: 0, SB_ERR_FULL, SB_ERR_LINK or SB_ERR_TOO_LARGE. Takes its own reference of
   * `body`. */
  int (*publish)(void *owner, uint32_t partition, const struct sb_envelope *envelope, struct sb_body *body,
                 uint64_t token);

  /* There may be room, or the bridge became ready: offer the requests again that were told to wait. Called
   * from sb_core_turn only. */
  void (*room)(void *owner);

  /* A closed session has no unanswered requests left: its memory may be freed. */
  void (*released)(void *owner, struct sb_session *session);

  /* The bridge cannot go on; stop with this reason. */
  void (*fatal)(void *owner, const char *why);

  /* `cause` as for sb_log_line. */
  void (*log)(void *owner, enum sb_log_level level, const char *cause, const char *line);

  /* As sb_transport_read_back; NULL where logs cannot be read back. */
  int (*read_back)(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token);
  void (*read_back_stop)(void *owner, uint64_t token);

  /* So much more is about to be kept for this session, and all of them together have more than
   * sb_core_set_outputs_max then: end who has most with sb_core_session_drop, until there is room or it is
   * this one. Called from within any event; nothing else may be called. NULL: there is no such limit. */
  void (*outputs_full)(void *owner, struct sb_session *session, size_t more);
};

struct sb_core *sb_core_new(const struct sb_core_settings *settings, const struct sb_core_io *io,
                            uint64_t now_ms, uint64_t unix_ms);

/* Close all sessions first; those that still wait for an answer are released from within. */
void sb_core_free(struct sb_core *core);

/* For a reload: the settings that may change while it runs are outbox_bytes, output_hard_bytes,
 * output_mark_bytes, refuse_in_outage, channel_bytes, pattern_bytes, patterns_max. */
void sb_core_reload(struct sb_core *core, const struct sb_core_settings *settings);

/* ---- events: time ---- */

/* now_ms is monotonic; unix_ms the wall clock, used for incarnations, generations and log time of a founder
 * only. */
void sb_core_now(struct sb_core *core, uint64_t now_ms, uint64_t unix_ms);

/* The end of a loop turn: timers that are due, batches that may leave, room. */
void sb_core_turn(struct sb_core *core);

/* When sb_core_turn wants to be called at the latest, in now_ms; UINT64_MAX when nothing is planned. */
uint64_t sb_core_deadline(const struct sb_core *core);

/* ---- events: the logs (link.h says what they mean) ---- */

void sb_core_link(struct sb_core *core, uint32_t partition, enum sb_link_side side, bool up);
void sb_core_attached(struct sb_core *core, uint32_t partition, enum sb_attach how);
void sb_core_settled(struct sb_core *core, uint32_t partition, uint64_t token, enum sb_settle outcome);

/* Takes both bodies; `channel` is that of a foreign message, else NULL. The body must be referenced by nobody
 * else. */
void sb_core_delivery(struct sb_core *core, uint32_t partition, uint64_t sequence,
                      const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body);

/* What io.read_back brings; as sb_core_delivery. */
void sb_core_stored(struct sb_core *core, uint32_t partition, uint64_t token, uint64_t sequence,
                    const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body);
void sb_core_stored_end(struct sb_core *core, uint32_t partition, uint64_t token, bool done);

/* ---- events: sessions ---- */

enum sb_result {
  SB_DONE,      /* accepted; a reply follows, or was written */
  SB_WAIT,      /* no room or not ready: offer it again after io.room */
  SB_BUSY,      /* refused: the broker is away and refuse_in_outage is set; sb_core_outage says why */
  SB_TOO_LARGE, /* the broker or the outbox would never take it; sb_core_refusal says so */
  SB_REFUSED,   /* a limit is in the way; sb_core_refusal says which one */
};

/* Why the last request was refused: a sentence for its client. It holds until the next request. */
const char *sb_core_refusal(const struct sb_core *core);

/* Initialises the structure, which the caller has zeroed. */
void sb_core_session_open(struct sb_core *core, struct sb_session *session, uint8_t proto);

/* Ends its subscriptions and drops its output. io.released follows, at once or when its last request was
 * answered. */
void sb_core_session_close(struct sb_core *core, struct sb_session *session);

/* As if it had exceeded its limit: its output goes, nothing is added any more, and it comes with
 * sb_core_next_dirty to be closed. Allowed from within io.outputs_full. */
void sb_core_session_drop(struct sb_core *core, struct sb_session *session);

/* What sb_output_memory may come to before io.outputs_full is called. */
void sb_core_set_outputs_max(struct sb_core *core, size_t bytes);

/* Whether a reply of so many bytes can be written to the session; else it is over its limit now, as if it had
 * been tried. For replies that are long to compose. */
bool sb_core_takes_reply(struct sb_core *core, struct sb_session *session, size_t len);

enum sb_publish_kind { SB_PUBLISH, SB_SPUBLISH };

/* One PUBLISH or SPUBLISH; its reply `:receivers` is written when the entry has come back in its log. */
enum sb_result sb_core_publish(struct sb_core *core, struct sb_session *session, enum sb_publish_kind kind,
                               struct sb_bytes channel, struct sb_bytes payload);

/* The same for `count` requests that are entries already: in canonical form with the name in upper case, all
 * to one channel, laid end to end. More than one: SB_PUBLISH_RUN_BYTES at most. Taken together or not at all;
 * what is not taken together may be taken one by one. */
enum sb_result sb_core_publish_raw(struct sb_core *core, struct sb_session *session, struct sb_bytes channel,
                                   struct sb_bytes raw, uint32_t count);

/* A reply that needs nothing from the log: written in its turn. False when the ring is full: treat as
 * SB_WAIT. */
bool sb_core_reply(struct sb_core *core, struct sb_session *session, struct sb_bytes reply);

/* A push outside the order of replies (MONITOR). Copied; dropped when the session is over its limit. */
void sb_core_push(struct sb_core *core, struct sb_session *session, struct sb_bytes push);

/* SUBSCRIBE and its kin, one request at a time: begin, then each name, then the confirmation of them all,
 * which is written in its turn when every log that was told has brought it back. What begins is ended in the
 * same turn. A subscription gets messages from the position in the log at which it came back. `sub_count` of
 * the session and the results below go by the order of requests. */
enum sb_result sb_core_subscribing(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                                   const struct sb_bytes *names, uint32_t count);
enum sb_result sb_core_unsubscribing(struct sb_core *core,
                                     struct sb_session *session); /* SB_DONE or SB_WAIT */
bool sb_core_subscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                       struct sb_bytes name); /* false: it was subscribed already */
bool sb_core_unsubscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                         struct sb_bytes name); /* false: it was not subscribed */
void sb_core_confirm(struct sb_core *core, struct sb_session *session, struct sb_bytes confirmation);

/* RESET, between sb_core_unsubscribing and sb_core_confirm: nothing more is pushed from now on, and its reply
 * waits until every log knows. */
void sb_core_reset(struct sb_core *core, struct sb_session *session);

/* A session that ends: nothing more is pushed from now on. */
void sb_core_unsubscribe_all(struct sb_core *core, struct sb_session *session);

/* The names that a session subscribes to, newest first; the view holds until that subscription ends. Begin
 * with NULL; NULL is returned behind the last. */
struct sb_sub *sb_session_next_sub(const struct sb_session *session, enum sb_sub_kind kind,
                                   struct sb_sub *after, struct sb_bytes *name);

/* PUBSUB NUMSUB, SHARDNUMSUB of the names, or NUMPAT (SB_SUB_PATTERN, no names): counts of the whole cluster.
 * The reply is written when the question has come back from the logs. */
enum sb_result sb_core_ask(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                           const struct sb_bytes *names, uint32_t count);

/* A command on keys or streams that writes (op.h): it travels, and its reply is written when it has come
 * back. Its keys are of one partition. */
enum sb_result sb_core_write(struct sb_core *core, struct sb_session *session, const struct sb_op *op);

/* One that only reads, but XREAD: appends the reply. SB_DONE, or SB_WAIT, also until all earlier requests of
 * the session are answered. */
enum sb_result sb_core_read(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                            struct sb_buf *reply);

/* XREAD: as above. Or nothing is appended, when it blocks: session->blocked is set until the reply was
 * written to the session's output, and any other request of it is told to wait meanwhile. */
enum sb_result sb_core_read_streams(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                                    struct sb_buf *reply);

/* EXEC: `count` entries laid end to end as sb_op_entry makes them, PUBLISH and SPUBLISH too, all of one
 * partition. `writes`: one of them does (PUBLISH does): they travel as one entry and are run together at its
 * place, and the reply is written then. Else they are run now, as sb_core_read. */
enum sb_result sb_core_exec(struct sb_core *core, struct sb_session *session, uint32_t partition,
                            struct sb_bytes entries, uint32_t count, bool writes, struct sb_buf *reply);

/* One payload to several channels; `reply` is written when all logs have brought it back. */
enum sb_result sb_core_publish_each(struct sb_core *core, struct sb_session *session,
                                    const struct sb_bytes *channels, uint32_t count, struct sb_bytes payload,
                                    struct sb_bytes reply);

/* What the script of ASP.NET SignalR's Redis backplane does: takes the next number of `key`, publishes
 * "<number> <payload>" to the channel of that name, replies [number, payload, what was published]. Numbers
 * come from the place in the log and never fall, also when the log began anew. */
enum sb_result sb_core_number(struct sb_core *core, struct sb_session *session, struct sb_bytes key,
                              struct sb_bytes payload);

/* Whether a channel's name is short enough to be published to. SB_DONE or SB_REFUSED. */
enum sb_result sb_core_channel(struct sb_core *core, struct sb_bytes channel);

/* Calls each(owner, name) for every channel of this node that matches the glob; pattern.at == NULL: all.
 * SB_DONE, or SB_REFUSED: to try that pattern on so many channels is too much work. Some may have been named
 * then. */
enum sb_result sb_core_channels(struct sb_core *core, enum sb_sub_kind kind, struct sb_bytes pattern,
                                void (*each)(void *owner, struct sb_bytes name), void *owner);

/* ---- effects: output ---- */

/* The next session with new output or over its limit, taken off the list; NULL when there is none. */
struct sb_session *sb_core_next_dirty(struct sb_core *core);

/* True when what came from the logs has filled the output of a session above output_mark_bytes since this was
 * asked last: write out what there is before more is taken. */
bool sb_core_output_rose(struct sb_core *core);

/* For `ms` up to now the bridge has taken nothing from the logs, of its own accord: that something did not
 * come back meanwhile proves nothing, so time-outs that wait for it are put off. */
void sb_core_logs_stood(struct sb_core *core, uint64_t ms);

/* ---- what is known ---- */

bool sb_core_ready(const struct sb_core *core); /* every partition has its state */

/* NULL while all links are up; else a sentence with why and since when, for people. Unix ms of the begin in
 * *since. */
const char *sb_core_outage(const struct sb_core *core, uint64_t *since_unix_ms);

/* For how long the oldest batch of this node that was sent has not come back, in ms; 0: all have. */
uint64_t sb_core_unheard_ms(const struct sb_core *core);

/* What the transport says of its trouble, for sb_core_outage. Copied. */
void sb_core_outage_reason(struct sb_core *core, const char *why);

/* The largest entry accepted, in bytes of its encoding. The daemon sets what one message holds when the
 * transport learns it; what names a subscription is not sent in parts and must fit there. */
size_t sb_core_entry_max(const struct sb_core *core);
void sb_core_set_entry_max(struct sb_core *core, size_t bytes);

uint32_t sb_core_partition(const struct sb_core *core, struct sb_bytes key);

struct sb_core_stats {
  uint64_t entries_published; /* accepted from sessions */
  uint64_t entries_delivered; /* applied from the logs */
  uint64_t messages_sent;     /* pushes to local subscribers */
  uint64_t batches_published; /* first sendings */
  uint64_t batches_resent;
  uint64_t batches_accepted;
  uint64_t batches_duplicate; /* dropped: number seen before */
  uint64_t batches_hole;      /* dropped: a number before it is missing */
  uint64_t losses_shown;      /* dropped: its sender knows of batches that this node was not shown */
  uint64_t batches_stranger;  /* dropped: no row, or another incarnation or generation */
  uint64_t batches_malformed; /* dropped: not what docs/wire.md allows */
  uint64_t foreign_messages;
  uint64_t gaps;
  uint64_t rejoins;
  uint64_t snapshots_sent;
  uint64_t checkpoints_sent;
  uint64_t ranges_read_back; /* begun for requests that go back behind the history */
  uint64_t members_declared_dead;
  uint64_t outputs_over_limit;
  uint64_t bytes_published;             /* of bodies, as sent */
  uint64_t bytes_delivered;             /* of bodies, as received */
  uint64_t outbox_bytes;                /* now */
  uint64_t outbox_max;                  /* what it may have */
  uint64_t subscriptions[SB_SUB_KINDS]; /* of this node's sessions, now */
  uint64_t topics[SB_SUB_KINDS];        /* channels, patterns, shard channels that have any, now */
};
void sb_core_stats(const struct sb_core *core, struct sb_core_stats *out);

struct sb_core_log_info {
  bool ready, publish_up, consume_up;
  uint64_t generation;
  uint64_t joined_at; /* this node knows everything behind this sequence */
  uint64_t applied;   /* sequence of the last message applied */
  uint64_t log_time_ms;
  uint32_t members;
  uint64_t channels, patterns; /* that members subscribe to, once for each member */
  uint32_t in_flight;          /* batches */
  uint64_t lag_ms;             /* how long the oldest batch in flight has been on its way; 0: none is */
  uint64_t waiting_bytes;      /* in the outbox of this partition */
  uint64_t keys, keys_bytes;   /* strings and streams that nodes share */
  uint64_t history_entries, history_bytes;
  struct sb_id history_begin; /* what is behind it can be read here */
};
void sb_core_log_info(const struct sb_core *core, uint32_t partition, struct sb_core_log_info *out);

struct sb_core_member_info {
  const char *name;
  char incarnation[SB_INCARNATION_TEXT];
  uint64_t number;             /* last accepted batch */
  uint64_t silent_ms;          /* since its last batch there; only partition 0 has heartbeats */
  uint64_t channels, patterns; /* that its sessions subscribe to; shard channels are among the channels */
  bool self;
};
/* Members in order of joining; false behind the last. */
bool sb_core_member_info(const struct sb_core *core, uint32_t partition, uint32_t index,
                         struct sb_core_member_info *out);

struct sb_core_gap_info {
  uint64_t unix_ms;
  uint32_t partition;
  uint64_t generation;
  uint64_t after;  /* last sequence applied before it */
  uint64_t before; /* the state continues behind this sequence; 0 while the gap is open */
  const char *why;
};
/* The most recent gaps, newest first; false behind the last. */
bool sb_core_gap_info(const struct sb_core *core, uint32_t index, struct sb_core_gap_info *out);

/* ---- a clean stop ---- */

/* Accept no more publishes (SB_WAIT); when the outbox is empty the node says BYE in every log. True when
 * everything is done; call it after each turn until then or until the caller's deadline. */
bool sb_core_stop(struct sb_core *core);

/* What sessions asked for and no log has brought back: nobody is answered when the core is freed now. */
struct sb_core_unanswered {
  uint64_t requests; /* messages, what writes keys, questions; not what tells of subscriptions */
  uint64_t unsent;   /* of them; the others may be ordered all the same */
};
void sb_core_unanswered(const struct sb_core *core, struct sb_core_unanswered *out);

#endif
