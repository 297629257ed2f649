#include "bridge/core/log/partition.h"

#include "bridge/base/assert.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/held_keys.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/run_op.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

/* ---- the phase ---- */

/* What holds when each phase is entered; the moves between them are drawn in phase.c. */
static void check_entered(const struct sb_partition *part) {
  const struct sb_joining *joining = &part->joining;
  (void)joining;
  if (!sb_partition_is_ready(part)) SB_ASSERT(part->state.members.count == 0 && !part->answering.due);
  switch (part->phase) {
  case SB_PHASE_GREETING:
    SB_ASSERT(joining->kept.first == NULL);
    break;
  case SB_PHASE_WAITING:
  case SB_PHASE_FOUNDING:
  case SB_PHASE_ANSWERED:
    SB_ASSERT(joining->read_from <= joining->hello_at);
    break;
  case SB_PHASE_READY:
    SB_ASSERT(sb_partition_has_row(part));
    break;
  case SB_PHASE_LEFT:
    SB_ASSERT(!sb_partition_has_row(part) && sb_outbox_empty(&part->outbox));
    break;
  default:
    break;
  }
}

void sb_partition_move(struct sb_partition *part, enum sb_phase to) {
  SB_ASSERT(sb_phase_may(part->phase, to));
  part->phase = to;
  check_entered(part);
}

/* Before the state is known there is none, and nothing that belongs to one. */
static void check_unready(const struct sb_partition *part) {
  SB_ASSERT(part->state.members.count == 0 && part->state.keys.table.count == 0);
  SB_ASSERT(!part->answering.due && !part->lease.goodbye_said && part->lease.count == 0);
  SB_ASSERT(part->outbox.in_flight == 0);
  SB_ASSERT(part->prefill.state == SB_BACK_IDLE && !part->range.owner);
  SB_ASSERT(!part->sending.active || part->phase == SB_PHASE_WAITING); /* of the keys that it brings */
  SB_ASSERT(!part->joining.kept.first || sb_phase_has_echo(part->phase));
  (void)part;
}

static void check_ready(const struct sb_partition *part) {
  SB_ASSERT(!sb_limbo_is_active(&part->limbo));
  SB_ASSERT(part->recovery.state == SB_BACK_IDLE && !part->joining.kept.first);
  SB_ASSERT(part->joining.first != SB_FIRST_NEVER && !part->joining.log_is_bare);
  SB_ASSERT(part->applied >= part->joined_at && part->known_generation >= part->state.generation);
  SB_ASSERT(sb_partition_has_row(part) == (part->phase == SB_PHASE_READY));
  (void)part;
}

void sb_partition_check(const struct sb_partition *part) {
  SB_ASSERT(part->logs->outbox_bytes >= sb_partition_held(part));
  if (part->logs->failed) return; /* the node stops, in the middle of something */
  if (sb_partition_is_ready(part))
    check_ready(part);
  else
    check_unready(part);
}

bool sb_partition_has_row(const struct sb_partition *part) {
  if (!sb_partition_is_ready(part)) return false;
  int index = sb_state_member(&part->state, part->logs->settings.node);
  return index >= 0 &&
         sb_incarnation_compare(part->state.members.at[index].incarnation, part->incarnation) == 0;
}

bool sb_partition_log_is_bare(const struct sb_partition *part) {
  return part->joining.log_is_bare && !part->logs->settings.hides_tail;
}

/* ---- log time ---- */

/* Log time as last heard, carried on by the monotonic clock. */
static uint64_t own_time(const struct sb_partition *part) {
  return part->time_base + (part->logs->now_ms - part->time_at_ms);
}

uint64_t sb_partition_log_time(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  if (!sb_partition_is_ready(part)) { /* a founder's clock may be behind what it has recovered */
    uint64_t recovered = part->recovery.replay.state.time_ms,
             held = sb_held_keys_log_time(&part->held, logs->now_ms), begin = held ? held : logs->unix_ms;
    return begin > recovered ? begin : recovered;
  }
  uint64_t now = own_time(part);
  return now > part->state.time_ms ? now : part->state.time_ms;
}

uint64_t sb_partition_clock(const struct sb_partition *part) {
  return own_time(part);
}

uint64_t sb_partition_stamp(const struct sb_partition *part) {
  bool eldest = sb_partition_is_ready(part) && sb_state_is_eldest(&part->state, part->logs->settings.node);
  uint64_t time_ms = eldest ? own_time(part) : sb_partition_log_time(part);
  return time_ms < SB_TIME_MS_MAX ? time_ms : SB_TIME_MS_MAX; /* above that nobody would take the message */
}

void sb_partition_begin_time(struct sb_partition *part, uint64_t log_time_ms) {
  part->time_base = log_time_ms;
  part->time_at_ms = part->logs->now_ms;
}

void sb_partition_set_time(struct sb_partition *part, uint64_t log_time_ms) {
  if (part->time_base == 0 || log_time_ms > own_time(part)) sb_partition_begin_time(part, log_time_ms);
}

void sb_partition_know_generation(struct sb_partition *part, uint64_t generation) {
  if (generation > part->known_generation) part->known_generation = generation;
}

void sb_partition_outlive_generation(struct sb_partition *part) {
  if (part->known_generation < SB_GENERATION_MAX) part->known_generation++;
}

/* ---- what others say, and what can be read ---- */

void sb_partition_others_hold(struct sb_partition *part, struct sb_id holds) {
  part->best_held = sb_id_later(part->best_held, holds);
}

void sb_partition_others_hold_nothing(struct sb_partition *part) {
  part->best_held = (struct sb_id){0};
}

void sb_partition_log_begins(struct sb_partition *part, struct sb_id behind) {
  part->log_begin = behind;
}

void sb_partition_follows_from(struct sb_partition *part, struct sb_id behind) {
  SB_ASSERT(sb_partition_is_ready(part));
  part->followed_from = behind;
}

size_t sb_partition_held(const struct sb_partition *part) {
  return part->outbox.bytes + part->limbo.bytes;
}

/* ---- reading ---- */

struct sb_op_place sb_read_place(struct sb_partition *part, uint8_t proto, struct sb_buf *reply) {
  return (struct sb_op_place){
      .keys = &part->state.keys,
      .history = &part->history,
      .now_ms = sb_partition_log_time(part),
      .applied = sb_id_end_of(part->state.generation, part->applied),
      .proto = proto,
      .reply = reply,
      .reply_max = sb_reply_max(part->logs),
  };
}

struct sb_back_log sb_partition_back_log(struct sb_partition *part) {
  return (struct sb_back_log){part->logs, part->index, &part->dispatch, sb_partition_log_time(part)};
}

void sb_partition_back_turn(struct sb_partition *part, struct sb_back *back) {
  if (!sb_back_is_running(back)) return;
  const struct sb_back_log log = sb_partition_back_log(part);
  sb_back_turn(back, &log);
}

struct sb_back *sb_partition_back(struct sb_partition *part, uint64_t token) {
  struct sb_back *all[] = {&part->recovery, &part->prefill, &part->range.back};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (all[i]->state == SB_BACK_READING && all[i]->token == token) return all[i];
  return NULL;
}
