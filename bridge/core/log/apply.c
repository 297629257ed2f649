/* What a message does at a node that is ready; what the entries of a batch do is in entries.c. */
#include "bridge/core/log/apply.h"

#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/admit.h"
#include "bridge/core/log/brought.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/claims.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/hello.h"
#include "bridge/core/log/interpret.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/restore.h"
#include "bridge/core/log/silence.h"
#include "bridge/core/log/snapshots.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/sum.h"

struct applier {
  struct sb_partition *part;
  uint64_t before; /* the sequence of the message before it */
  enum sb_follows follows;
};

/* ---- batches ---- */

/* Of the incarnation under which this node numbers its batches. */
static bool is_own(const struct sb_partition *part, const struct sb_envelope *envelope) {
  return sb_incarnation_compare(envelope->incarnation, part->dispatch.incarnation) == 0 &&
         strcmp(envelope->node, part->logs->settings.node) == 0;
}

/* A batch was accepted under our incarnation that we did not send: what it says counts, as for everybody. Who
 * waits for the one that we sent under its number is not told that it ran. */
static void say_impersonated(struct sb_partition *part, const struct sb_envelope *envelope) {
  part->logs->stats.batches_impersonated++;
  sb_logs_say(part->logs, SB_LOG_WARN,
              "partition %u: batch %llu of this node has a content that it did not send: somebody speaks in "
              "its name",
              part->index, (unsigned long long)envelope->number);
}

/* It took the number that our next batch would have had, and stands under our row. */
static bool takes_our_next_number(const struct sb_partition *part, const struct sb_batch *own) {
  return !own && sb_partition_has_row(part) &&
         sb_incarnation_compare(part->incarnation, part->dispatch.incarnation) == 0;
}

static struct sb_batch *accept_own(struct sb_partition *part, const struct sb_envelope *envelope) {
  struct sb_batch *own = sb_outbox_accept(&part->outbox, envelope->number);
  sb_dispatch_accepted(&part->dispatch, part->logs->settings.found_ms);
  if (takes_our_next_number(part, own)) {
    sb_outbox_skip(&part->outbox, envelope->number);
    say_impersonated(part, envelope);
  }
  return own;
}

static void say_interest_is_full(struct sb_partition *part) {
  if (part->interest_full) return;
  part->interest_full = true;
  sb_logs_say(
      part->logs, SB_LOG_ERROR,
      "partition %u: there are more subscriptions in the cluster than are counted; counts are too low",
      part->index);
}

static struct sb_applying applying(struct sb_partition *part, const struct sb_message *message) {
  return (struct sb_applying){
      .logs = part->logs,
      .state = &part->state,
      .history = &part->history,
      .partition = part->index,
      .part = part,
      .sender = message->envelope->node,
      .sequence = message->sequence,
      .now_ms = part->logs->now_ms,
      .body = message->body,
  };
}

static void note_applied(struct sb_partition *part, const struct sb_applied *applied) {
  part->logs->stats.entries_delivered += applied->entries;
  if (applied->restored) sb_checkpoint_want(&part->checkpoints, &part->logs->settings);
  if (applied->interest_is_full) say_interest_is_full(part);
}

static void accept_batch(struct sb_partition *part, const struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  struct sb_batch *own = NULL;
  part->logs->stats.batches_accepted++;
  sb_state_accepted(&part->state, message->sequence, envelope);
  sb_partition_time_heard(part, envelope->time_ms);
  sb_keys_expire_here(&part->state, &part->history, part->state.time_ms);
  sb_state_heard(&part->state, envelope->node, part->logs->now_ms);
  if (is_own(part, envelope))
    own = accept_own(part, envelope);
  else
    sb_partition_heard(part, envelope->node);
  if (own && message->strange) say_impersonated(part, envelope);
  bool whole = own && !message->strange && own->count == envelope->count;
  struct sb_applying of = applying(part, message);
  of.own = whole ? own : NULL;
  const struct sb_applied applied = sb_entries_apply(&of, envelope->count);
  note_applied(part, &applied);
  if (!own) return;
  /* Somebody else used the number of this batch. Its entries may not have been ordered, but they are not sent
   * again either: that would need a new incarnation while this row stands, and what flies behind this batch
   * would be ordered twice. */
  if (!whole) sb_logs_settle(part->logs, part, own, SB_OUTCOME_UNKNOWN, sb_bytes(NULL, 0));
  sb_partition_own_echo(part, own->first_sent_ms); /* which sending came back is not known */
  sb_batch_free(own);
}

/* One of our batches was dropped, so the one before it is missing: we send again from the oldest. If the
 * dropped one was of an earlier attempt, that was done already. */
static void go_back(struct sb_partition *part, const struct sb_envelope *envelope) {
  if (is_own(part, envelope) && envelope->attempt == part->outbox.attempt) sb_partition_resend(part);
}

static void apply_batch(void *who, const struct sb_message *message) {
  struct applier *applier = who;
  struct sb_partition *part = applier->part;
  struct sb_core_stats *stats = &part->logs->stats;
  const struct sb_envelope *envelope = message->envelope;
  if (!sb_entries_index(part->logs, sb_bytes(message->body->data, message->body->len), envelope->count)) {
    sb_message_dropped(part->logs, part->index, message, "its body is not what its headers say");
    return;
  }
  switch (sb_state_batch(&part->state, envelope)) {
  case SB_VERDICT_ACCEPTED:
    accept_batch(part, message);
    break;
  case SB_VERDICT_DUPLICATE:
    stats->batches_duplicate++;
    break;
  case SB_VERDICT_STRANGER:
    stats->batches_stranger++;
    if (sb_partition_has_row(part)) go_back(part, envelope); /* the generation rose while it was on its way */
    break;
  case SB_VERDICT_LOSS:
    stats->losses_shown++;
    part->applied = applier->before;
    applier->follows = SB_FOLLOWS_LOSS;
    break;
  case SB_VERDICT_HOLE:
    stats->batches_hole++;
    go_back(part, envelope);
    break;
  }
}

static void apply_foreign(void *who, const struct sb_message *message) {
  struct sb_partition *part = ((struct applier *)who)->part;
  struct sb_applying of = applying(part, message);
  of.sender = "";
  part->logs->stats.foreign_messages++;
  const struct sb_applied applied = sb_interpret_foreign(&of, message);
  note_applied(part, &applied);
}

/* ---- control messages ---- */

/* Another process with our name took our place. Our next HELLO names its incarnation. When it reads that, it
 * knows that we were alive when it came. */
static void displaced(struct sb_partition *part, const struct sb_envelope *envelope,
                      const struct sb_control *hello) {
  sb_joining_met(&part->joining, envelope->incarnation);
  sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: another process came under the name of this node: %.*s",
              part->index, (int)hello->about.len, (const char *)hello->about.at);
}

static void apply_hello(void *who, const struct sb_message *message, const struct sb_control *hello) {
  struct sb_partition *part = ((struct applier *)who)->part;
  struct sb_logs *logs = part->logs;
  const struct sb_envelope *envelope = message->envelope;
  bool same_name = strcmp(envelope->node, logs->settings.node) == 0;
  bool accepted = sb_state_hello(&part->state, envelope->node, envelope->incarnation, hello->partitions,
                                 envelope->generation);
  if (accepted) sb_state_accepted(&part->state, message->sequence, envelope);
  sb_partition_know_generation(part, part->state.generation);
  if (same_name && envelope->incarnation.nonce == logs->settings.nonce) {
    sb_state_heard(&part->state, envelope->node, logs->now_ms);
    return; /* whether our row stands by it, sb_partition_apply sees */
  }
  if (accepted) {
    sb_partition_others_hold(part, hello->holds);
    sb_logs_say(logs, SB_LOG_INFO, "partition %u: node %s joined", part->index, envelope->node);
    sb_partition_heard(part, envelope->node);
    sb_state_heard(&part->state, envelope->node, logs->now_ms);
  }
  if (!sb_partition_may_stay(part, envelope, hello)) return;
  if (accepted && same_name) displaced(part, envelope, hello);
  sb_partition_answer(part, message->sequence);
}

/* The new generation is below the old one, so ids have fallen. What is being read back from before has higher
 * ids than what comes now, and is given up. */
static void forget_what_was_before(struct sb_partition *part) {
  sb_partition_log_begins(part, part->history.begin);
  sb_partition_follows_from(part, part->history.begin);
  sb_range_drop(part);
  sb_prefill_drop(part);
  sb_history_record(&part->history, false);
  sb_logs_want_look(part->logs);
}

static void apply_genesis(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_partition *part = ((struct applier *)who)->part;
  struct sb_logs *logs = part->logs;
  struct sb_keys brought = {0};
  struct sb_genesis genesis = sb_genesis_of(message, control, &part->brought, &brought);
  struct sb_held_keys lost = sb_held_keys_of(part, message->sequence - 1);
  uint64_t before = part->state.generation;
  genesis.lost = &lost.keys;
  bool accepted = sb_genesis_apply(&part->state, &part->history, &genesis);
  sb_keys_close(&brought);
  if (!accepted) {
    const struct sb_claim refused =
        sb_sum_begin(genesis.sequence, genesis.name, genesis.incarnation, genesis.generation);
    sb_chain_refused(&part->chain, refused);
    return;
  }
  if (genesis.generation < before) forget_what_was_before(part);
  if (!genesis.keeps_keys && !genesis.brings_keys) {
    sb_partition_others_hold_nothing(part);
    sb_held_keys_take(&part->held, &lost, logs->now_ms);
  } else {
    sb_keys_close(&lost.keys);
  }
  sb_state_heard(&part->state, message->envelope->node, logs->now_ms);
  if (!sb_partitions_agree(part, genesis.partitions)) return; /* this node stops */
  sb_partition_know_generation(part, control->generation);
  sb_logs_say(logs, SB_LOG_NOTICE, "partition %u: node %s founded the log anew, generation %llu", part->index,
              message->envelope->node, (unsigned long long)control->generation);
}

static void apply_checkpoint(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_partition *part = ((struct applier *)who)->part;
  (void)message;
  sb_checkpoint_seen(&part->checkpoints, piece, part->state.keys.table.count > 0);
}

static void apply_snapshot(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_partition *part = ((struct applier *)who)->part;
  sb_state_snapshot_seen(&part->state, message->sequence);
  if (piece->as_of < message->sequence)
    sb_partition_snapshot_seen(part, piece->as_of, piece->piece + 1 == piece->pieces);
  apply_checkpoint(who, message, piece);
}

static void apply_keys(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_partition *part = ((struct applier *)who)->part;
  sb_brought_take(&part->brought, message->envelope, piece, message->sequence);
}

static void drop_malformed(void *who, const struct sb_message *message) {
  const struct sb_partition *part = ((struct applier *)who)->part;
  sb_message_dropped(part->logs, part->index, message, "not a control message that this version knows");
}

static const struct sb_reader reader = {
    .foreign = apply_foreign,
    .batch = apply_batch,
    .hello = apply_hello,
    .genesis = apply_genesis,
    .snapshot = apply_snapshot,
    .checkpoint = apply_checkpoint,
    .keys = apply_keys,
    .malformed = drop_malformed,
};

/* Our row stands now. We announce what belongs to it, and then send again, under new numbers, what was not
 * accepted before. */
static void begin_to_stand(struct sb_partition *part) {
  sb_partition_move(part, SB_PHASE_READY);
  sb_joining_met(&part->joining, (struct sb_incarnation){0});
  sb_partition_restamp(part);
  sb_partition_announce(part);
}

/* Our row is gone. If that was our own BYE and nothing waits to be sent, this node has left; else it joins
 * again. */
static enum sb_follows cease_to_stand(struct sb_partition *part) {
  if (part->logs->failed) return SB_FOLLOWS_NOTHING;
  if (!part->lease.goodbye_said || !sb_outbox_empty(&part->outbox)) return SB_FOLLOWS_REJOIN;
  sb_partition_move(part, SB_PHASE_LEFT);
  return SB_FOLLOWS_NOTHING;
}

enum sb_follows sb_partition_apply(struct sb_partition *part, const struct sb_message *message) {
  struct applier applier = {part, part->applied, SB_FOLLOWS_NOTHING};
  bool had_row = sb_partition_has_row(part);
  SB_ASSERT(sb_partition_is_ready(part) && message->sequence > part->applied);
  uint64_t agreed_at;
  if (sb_claims_judge(part, message, &agreed_at)) {
    part->applied = agreed_at; /* what came behind it may be different elsewhere: the gap begins there */
    return SB_FOLLOWS_GIVE_WAY;
  }
  part->applied = message->sequence;
  sb_checkpoint_count(&part->checkpoints, message->body->len, part->logs->now_ms);
  sb_interpret(&reader, &applier, message);
  sb_claims_follow(part, message);
  bool has_row = sb_partition_has_row(part);
  if (applier.follows != SB_FOLLOWS_NOTHING) return applier.follows;
  if (!had_row && has_row) begin_to_stand(part);
  return had_row && !has_row ? cease_to_stand(part) : SB_FOLLOWS_NOTHING;
}
