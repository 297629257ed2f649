/* One log, as this node follows it: the parts that it is made of, each with an owner of its own, and what all
 * who work on it ask. What happens to it begins in machine.h. */
#ifndef SB_CORE_LOG_PARTITION_H
#define SB_CORE_LOG_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/answering.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/held_keys.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/seen.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

struct sb_op_place;

struct sb_partition {
  struct sb_logs *logs;
  uint32_t index;
  bool publish_up, consume_up;
  struct sb_seen seen;
  struct sb_incarnation incarnation; /* ours, of the last HELLO */
  uint64_t known_generation;         /* the highest ever seen, also in other lives of the log */

  enum sb_phase phase; /* phase.h */

  /* the state, once known */
  struct sb_state state;
  uint64_t joined_at;  /* sequence as of which the state was taken: what is before it is not known here */
  uint64_t applied;    /* sequence of the last message applied */
  uint64_t time_base;  /* log time … */
  uint64_t time_at_ms; /* … at this monotonic time */
  bool interest_full;  /* said once */
  struct sb_checkpoints checkpoints;
  struct sb_chain chain; /* what was accepted lately, for others' claims */

  /* how it comes to be known, and how others are told */
  struct sb_joining joining;
  struct sb_answering answering;
  struct sb_sending sending;
  struct sb_lease lease;

  /* the keys of the log before */
  struct sb_held_keys held;
  struct sb_id best_held;      /* of all HELLOs that were read since the log began anew */
  struct sb_assembler brought; /* keys that founders bring */
  struct sb_back recovery;     /* of the keys, by a founder */

  /* what can be read of streams */
  struct sb_history history;
  struct sb_back prefill; /* of the history, by one who has just become ready */
  struct sb_range range;
  struct sb_id followed_from; /* nothing that came behind it was missed, since it is ready */
  struct sb_id log_begin; /* what the log held up to there can be read by nobody any more; 0-0: not known */

  /* publishing */
  struct sb_outbox outbox;
  struct sb_dispatch dispatch;
  struct sb_limbo limbo;
};

/* It knows the state. */
static inline bool sb_partition_is_ready(const struct sb_partition *part) {
  return sb_phase_is_ready(part->phase);
}

static inline bool sb_partition_is_linked(const struct sb_partition *part) {
  return part->publish_up && part->consume_up;
}

static inline struct sb_partition *sb_part_of(struct sb_logs *logs, struct sb_bytes key) {
  return &logs->partitions[sb_logs_partition(logs, key)];
}

/* Only this changes the phase. Asserts that the move is allowed, and what holds when it is entered. */
void sb_partition_move(struct sb_partition *part, enum sb_phase to);
/* Asserts what holds between events, of the phase and of all parts: for whoever ends one. */
void sb_partition_check(const struct sb_partition *part);

bool sb_partition_has_row(const struct sb_partition *part); /* our row stands at our incarnation */

/* The log was made anew while this process ran, and nothing but HELLOs came since. */
bool sb_partition_log_is_bare(const struct sb_partition *part);

/* ---- log time ---- */

uint64_t sb_partition_log_time(const struct sb_partition *part);
uint64_t sb_partition_clock(const struct sb_partition *part); /* by our own clock, once it is ready */
/* What we write into batches. The eldest goes by its own clock alone: others may run ahead of what it says,
 * and if it followed them, each would carry the other further. */
uint64_t sb_partition_stamp(const struct sb_partition *part);
/* Somebody says that it is at least this: a clock that runs ahead is followed. */
void sb_partition_set_time(struct sb_partition *part, uint64_t log_time_ms);
/* It is this, in a state that was taken over. */
void sb_partition_begin_time(struct sb_partition *part, uint64_t log_time_ms);

/* Such a generation was met. */
void sb_partition_know_generation(struct sb_partition *part, uint64_t generation);
/* The next one must be higher than all that were, not as high: they were of a log that is no more. */
void sb_partition_outlive_generation(struct sb_partition *part);

/* ---- what others say, and what can be read ---- */

/* A HELLO said up to where its sender holds the keys of the log before. Or: what HELLOs said so far counts no
 * more. */
void sb_partition_others_hold(struct sb_partition *part, struct sb_id holds);
void sb_partition_others_hold_nothing(struct sb_partition *part);

/* What the log held up to there can be read by nobody any more; 0-0: it is not known. */
void sb_partition_log_begins(struct sb_partition *part, struct sb_id behind);
/* Nothing that came behind it was missed. */
void sb_partition_follows_from(struct sb_partition *part, struct sb_id behind);

/* The bytes of all entries that wait for this log: to leave, to come back, or to be judged when the state is
 * known. */
size_t sb_partition_held(const struct sb_partition *part);

/* ---- reading ---- */

/* Where a session reads now. */
struct sb_op_place sb_read_place(struct sb_partition *part, uint8_t proto, struct sb_buf *reply);

/* For one who reads this log back. */
struct sb_back_log sb_partition_back_log(struct sb_partition *part);
void sb_partition_back_turn(struct sb_partition *part, struct sb_back *back);
/* The reading under way that has this token, or NULL. */
struct sb_back *sb_partition_back(struct sb_partition *part, uint64_t token);

#endif
