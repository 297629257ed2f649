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
#include "bridge/core/log/outside.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"

struct sb_core;

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

/* ---- events: sessions, and their output (sessions.h) ---- */

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
 * transport learns it; what names a subscription is not sent in fragments and must fit there. */
size_t sb_core_entry_max(const struct sb_core *core);
void sb_core_set_entry_max(struct sb_core *core, size_t bytes);

uint32_t sb_core_partition(const struct sb_core *core, struct sb_bytes key);

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
