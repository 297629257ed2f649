/* How a node comes to know the state of a log: HELLO, then the SNAPSHOT of somebody who is ready, or GENESIS
 * when there is nobody. Rules: docs/log.md, "Joining" and "Gaps". The phases and their moves are drawn in
 * phase.c. */
#include "bridge/core/log/join.h"

#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/brought.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/founding.h"
#include "bridge/core/log/hello.h"
#include "bridge/core/log/interpret.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/restore.h"
#include "bridge/core/log/seen.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/log/snapshots.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

#define RETRY_MS 20 /* the transport's queue was full */

/* ---- the state is known ---- */

/* A node that has just joined does not know what it missed, so its history begins here. Only in a log that
 * was empty before, nothing was missed. */
static void begin_history(struct sb_partition *part) {
  bool whole = part->joining.before == SB_BEFORE_NOTHING && part->logs->settings.log_begins_here;
  sb_history_restart(&part->history, whole ? (struct sb_id){0} : part->followed_from);
  sb_prefill_begin(part);
  if (!sb_back_is_running(&part->prefill)) part->logs->events->changed(part);
}

static void become_ready(struct sb_partition *part, uint64_t applied) {
  struct sb_logs *logs = part->logs;
  struct sb_id at = {part->state.generation, applied};
  sb_partition_move(part, part->phase == SB_PHASE_NEW ? SB_PHASE_DISPLACED : SB_PHASE_RETURNING);
  if (sb_partition_has_row(part)) sb_partition_move(part, SB_PHASE_READY);
  if (!sb_restore_is_due(part)) sb_restore_let_go(part);
  sb_sending_end(&part->sending);
  sb_back_drop(&part->recovery, logs);
  sb_prefill_drop(part);
  sb_range_drop(part);
  sb_checkpoint_restart(&part->checkpoints, part->state.keys.table.count > 0);
  part->joined_at = part->applied = applied;
  sb_partition_follows_from(part, sb_id_end_of(part->state.generation, applied));
  sb_partition_begin_time(part, part->state.time_ms);
  sb_chain_begin(&part->chain, part->state.chain, logs->now_ms);
  sb_partition_know_generation(part, part->state.generation);
  for (uint32_t i = 0; i < part->state.members.count; i++) part->state.members.at[i].heard_ms = logs->now_ms;
  sb_joining_ready(&part->joining, at, sb_partition_has_row(part));
  sb_logs_gap_over(logs, part->index, applied);
  begin_history(part);
  sb_logs_want_room(logs);
  sb_logs_say(logs, SB_LOG_INFO, "partition %u: ready at %llu, generation %llu, %u members", part->index,
              (unsigned long long)applied, (unsigned long long)part->state.generation,
              part->state.members.count);
}

/* What was sent when the log was lost from sight: what was ordered there is not known in detail, and whoever
 * waits for it is told so. All else is sent again. */
static void leave_limbo(struct sb_partition *part, const struct sb_row *row) {
  if (!sb_limbo_is_active(&part->limbo)) return;
  struct sb_batch *again, *ordered = sb_limbo_leave(&part->limbo, row, &again);
  sb_logs_settle_all(part->logs, part, ordered, SB_OUTCOME_UNKNOWN);
  sb_outbox_put_back(&part->outbox, again);
}

/* A SNAPSHOT; `time_ms` is the log time at which its sender wrote it. */
static void install(struct sb_partition *part, const struct sb_state *state, uint64_t as_of,
                    uint64_t time_ms) {
  part->state = *state;
  sb_joining_not_alone(&part->joining);
  become_ready(part, as_of);
  sb_partition_set_time(part, time_ms);
  leave_limbo(part, sb_state_row(&part->state, part->logs->settings.node));
  sb_partition_announce(part);
}

/* The own GENESIS. */
static void founded(struct sb_partition *part, const struct sb_message *message,
                    const struct sb_genesis *genesis) {
  if (!sb_partitions_agree(part, genesis->partitions)) return;
  sb_state_apply_genesis(&part->state, genesis);
  if (genesis->keeps_keys) sb_recovery_take_keys(part, message->sequence);
  sb_keys_expire(&part->state.keys, part->state.time_ms);
  become_ready(part, message->sequence);
  if (part->joining.before == SB_BEFORE_NOTHING) sb_partition_log_begins(part, part->followed_from);
  if (genesis->keeps_keys || genesis->brings_keys)
    sb_checkpoint_want(&part->checkpoints, &part->logs->settings);
  sb_kept_drop(&part->joining.kept);
  leave_limbo(part, NULL);
  sb_partition_announce(part);
}

/* Another node founded the log, and we have read everything since its HELLO, so we know that its GENESIS is
 * accepted. We take its state at once and follow the log from here, still without a row: so our sessions miss
 * nothing that is answered in it. */
static void follow(struct sb_partition *part, const struct sb_message *message,
                   const struct sb_genesis *genesis) {
  bool said_hello = sb_phase_has_echo(part->phase);
  if (!sb_partitions_agree(part, genesis->partitions)) return;
  sb_state_apply_genesis(&part->state, genesis);
  become_ready(part, message->sequence);
  sb_kept_drop(&part->joining.kept);
  leave_limbo(part, NULL);
  if (said_hello) sb_partition_hello(part);
}

/* ---- a joiner reads ---- */

struct joiner {
  struct sb_partition *part;
  enum sb_joined joined;
};

/* A state answers our HELLO only if it knows our incarnation. If it knows a higher one under our name, our
 * HELLO was refused. If it knows a lower one or none, it was written before our HELLO, perhaps in a log that
 * was deleted. Rule: docs/log.md, "Joining" (3). */
static bool answers_us(struct sb_partition *part, const struct sb_state *state) {
  struct sb_logs *logs = part->logs;
  const struct sb_row *row = sb_state_row(state, logs->settings.node);
  int compared = row ? sb_incarnation_compare(row->incarnation, part->incarnation) : -1;
  if (compared == 0 || !sb_partitions_agree(part, state->partitions)) return compared == 0;
  if (compared > 0) {
    sb_partition_go_above(part, row->incarnation.start_ms);
    sb_partition_hello(part);
  } else if (state->members.count >= SB_MEMBERS_MAX) {
    sb_logs_say(logs, SB_LOG_ERROR, "partition %u: there are %d members already; this node waits",
                part->index, SB_MEMBERS_MAX);
  }
  return false;
}

/* One piece of a SNAPSHOT that covers our HELLO; true when it made us ready. */
static bool take_piece(struct sb_partition *part, const struct sb_message *message,
                       const struct sb_control *piece) {
  if (piece->as_of < part->joining.hello_at || piece->as_of >= message->sequence) return false;
  struct sb_bytes text;
  enum sb_assembled got =
      sb_assembler_take(&part->joining.assembler, message->envelope, piece, message->sequence, &text);
  if (got == SB_ASSEMBLED_NOT) return false;
  sb_joining_progress(&part->joining, part->logs->now_ms);
  if (got == SB_ASSEMBLED_MORE) return false;
  struct sb_state state = {0};
  if (!sb_state_read(&state, text) || !sb_state_stands_at(&state, piece->as_of)) {
    sb_state_close(&state);
    sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: the SNAPSHOT of %s is malformed", part->index,
                message->envelope->node);
    part->logs->stats.batches_malformed++;
    return false;
  }
  if (!answers_us(part, &state)) {
    sb_state_close(&state);
    return false;
  }
  install(part, &state, piece->as_of, message->envelope->time_ms);
  return true;
}

/* Keeps the message before it is looked at: if it completes a state, that is applied to all that was kept,
 * this message included. */
static void read_any(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_partition *part = ((struct joiner *)who)->part;
  sb_joining_read(&part->joining, message, control);
  if (sb_phase_has_echo(part->phase)) /* it came behind our HELLO */
    sb_interpret_keep(&part->joining.kept, message, control, &part->brought);
}

static void own_hello(struct sb_partition *part, uint64_t sequence) {
  const struct sb_hello_echo echo = {
      .at = sequence,
      .now_ms = part->logs->now_ms,
      .nobody = sb_seen_nobody(&part->seen),
      .nothing = part->seen.state == SB_SEEN_EMPTY && part->known_generation == 0,
      .behind_equal = sb_id_compare(part->best_held, part->held.upto) == 0,
  };
  sb_joining_hello_seen(&part->joining, &echo);
  sb_partition_move(part, SB_PHASE_WAITING);
}

static void read_hello(void *who, const struct sb_message *message, const struct sb_control *hello) {
  struct sb_partition *part = ((struct joiner *)who)->part;
  if (sb_partition_sent(part, message->envelope)) {
    if (part->phase == SB_PHASE_GREETING) own_hello(part, message->sequence);
  } else if (sb_partition_may_stay(part, message->envelope, hello)) {
    sb_partition_others_hold(part, hello->holds);
  }
}

/* Somebody is ready, or has founded the log. This node does not found it any more, and brings it nothing. */
static void answered(struct sb_partition *part) {
  sb_sending_end(&part->sending);
  sb_partition_move(part, SB_PHASE_ANSWERED);
}

/* A GENESIS that is not as if it were absent. Rule: docs/log.md, "Joining" (5). */
static void read_judged(struct sb_partition *part, const struct sb_message *message,
                        const struct sb_genesis *genesis, enum sb_genesis_verdict verdict) {
  bool first = part->phase != SB_PHASE_ANSWERED, ours = sb_partition_sent(part, message->envelope);
  sb_joining_mark(&part->joining, message->sequence);
  /* The new state has no such start under our name. If the GENESIS is void after all, a SNAPSHOT will say so
   * again. */
  sb_joining_taken(&part->joining, 0);
  sb_partition_know_generation(part, genesis->generation);
  if (verdict == SB_GENESIS_ACCEPTED && !ours && !genesis->keeps_keys) {
    follow(part, message, genesis);
    return;
  }
  if (!sb_phase_has_echo(part->phase)) return;
  answered(part);
  if (!first) return;
  if (ours && verdict == SB_GENESIS_ACCEPTED)
    founded(part, message, genesis);
  else /* another founder came first, and its state has no row for us; or somebody speaks in our name */
    sb_partition_hello(part);
}

static void read_genesis(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_partition *part = ((struct joiner *)who)->part;
  struct sb_keys brought = {0};
  const struct sb_genesis genesis = sb_genesis_of(message, control, &part->brought, &brought);
  const struct sb_genesis_view view = {part->joining.mark, part->joining.read_from, part->joining.read_from};
  enum sb_genesis_verdict verdict = sb_genesis_judge(&genesis, &view);
  if (verdict != SB_GENESIS_ABSENT) read_judged(part, message, &genesis, verdict);
  sb_keys_close(&brought);
}

static void read_snapshot(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct joiner *joiner = who;
  struct sb_partition *part = joiner->part;
  sb_joining_mark(&part->joining, message->sequence);
  if (!sb_phase_has_echo(part->phase)) return;
  answered(part);
  if (take_piece(part, message, piece)) joiner->joined = SB_JOINED_BEHIND_SNAPSHOT;
}

static void read_keys(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_partition *part = ((struct joiner *)who)->part;
  sb_brought_take(&part->brought, message->envelope, piece, message->sequence);
  if (!sb_partition_sent(part, message->envelope)) sb_joining_keys_seen(&part->joining, part->logs->now_ms);
}

static const struct sb_reader reader = {
    .any = read_any,
    .hello = read_hello,
    .genesis = read_genesis,
    .snapshot = read_snapshot,
    .keys = read_keys,
};

enum sb_joined sb_partition_join(struct sb_partition *part, const struct sb_message *message) {
  struct joiner joiner = {part, SB_JOINED_NOT};
  SB_ASSERT(!sb_partition_is_ready(part));
  sb_interpret(&reader, &joiner, message);
  if (sb_partition_is_ready(part) || part->joining.kept.bytes <= SB_JOIN_BUFFER_BYTES) return joiner.joined;
  sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: no SNAPSHOT within %zu MiB of log; joining anew",
              part->index, SB_JOIN_BUFFER_BYTES / 1048576);
  sb_partition_hello(part);
  return SB_JOINED_NOT;
}

/* ---- timers: counted only while the log can be read and written ---- */

static uint64_t hello_wait_ms(const struct sb_partition *part) {
  return sb_logs_echo_ms(part->logs) << part->joining.tries;
}

/* Rule: docs/log.md, "Joining" (6). */
static uint64_t hello_due(const struct sb_partition *part) {
  const struct sb_joining *joining = &part->joining;
  bool busy = sb_founding_is_busy(part);
  switch (part->phase) {
  case SB_PHASE_NEW:
  case SB_PHASE_DISPLACED:
    return joining->hello_ms + RETRY_MS;
  case SB_PHASE_ANSWERED:
    return joining->hello_ms + 2 * hello_wait_ms(part);
  case SB_PHASE_FOUNDING:
    return busy ? UINT64_MAX : joining->genesis_sent_ms + hello_wait_ms(part);
  case SB_PHASE_WAITING:
    return busy ? UINT64_MAX : joining->hello_seen_ms + part->logs->settings.found_ms + hello_wait_ms(part);
  default:
    return joining->hello_ms + hello_wait_ms(part);
  }
}

void sb_partition_join_timers(struct sb_partition *part) {
  if (part->phase == SB_PHASE_LEFT) return;
  sb_prefill_turn(part); /* also to give it up */
  if (!sb_partition_is_linked(part)) return;
  if (!sb_partition_has_row(part)) {
    sb_founding_timers(part);
    if (part->logs->now_ms >= hello_due(part)) {
      if (!sb_phase_wants_hello(part->phase)) sb_joining_tried(&part->joining);
      sb_partition_hello(part);
    }
  }
  if (!sb_partition_is_ready(part)) return;
  sb_restore_timers(part);
  sb_partition_answer_timers(part);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t sb_partition_join_deadline(const struct sb_partition *part) {
  uint64_t due = sb_back_deadline(&part->prefill);
  if (part->phase == SB_PHASE_LEFT) return UINT64_MAX;
  if (!sb_partition_is_linked(part)) return due;
  if (!sb_partition_has_row(part)) due = earlier(due, earlier(hello_due(part), sb_founding_deadline(part)));
  if (part->sending.active) return earlier(due, part->logs->now_ms + RETRY_MS);
  return earlier(due, earlier(sb_partition_answer_deadline(part), sb_restore_deadline(part)));
}

void sb_partition_join_again(struct sb_partition *part) {
  sb_joining_wait_anew(&part->joining, part->logs->now_ms);
  if (sb_phase_wants_hello(part->phase) || part->phase == SB_PHASE_GREETING)
    sb_partition_hello(part);
  else
    sb_joining_progress(&part->joining, part->logs->now_ms);
}
