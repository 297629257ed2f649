/* Following a log once more, from a state that stands in it. That is the first whole SNAPSHOT or CHECKPOINT,
 * or an accepted GENESIS of a log without keys. A SNAPSHOT is as of an earlier message, so messages are kept
 * until it comes, and those behind its place are applied to its state. From then on every message is judged
 * as it was judged then: what was dropped is dropped again. */
#include "bridge/core/log/replay.h"

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/brought.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/interpret.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

void sb_replay_open(struct sb_replay *replay, struct sb_logs *logs, uint64_t log_now_ms, size_t history_bytes,
                    struct sb_history_slice *only) {
  *replay = (struct sb_replay){.logs = logs, .log_now_ms = log_now_ms, .first = UINT64_MAX};
  sb_kept_init(&replay->kept);
  sb_history_init(&replay->history, history_bytes, only ? 0 : logs->settings.history_age_ms);
  replay->history.slice = only;
}

void sb_replay_close(struct sb_replay *replay) {
  sb_state_close(&replay->state);
  sb_history_close(&replay->history);
  sb_kept_drop(&replay->kept);
  sb_assembler_clear(&replay->assembler);
  sb_assembler_clear(&replay->brought);
  replay->based = false;
}

/* ---- with a state ---- */

/* When this node would have received it, by its own clock: log time and that run side by side. */
static uint64_t received_ms(const struct sb_replay *replay) {
  uint64_t age = replay->log_now_ms > replay->state.time_ms ? replay->log_now_ms - replay->state.time_ms : 0;
  return replay->logs->now_ms > age ? replay->logs->now_ms - age : 0;
}

static struct sb_applying applying(struct sb_replay *replay, const struct sb_message *message) {
  return (struct sb_applying){
      .logs = replay->logs,
      .state = &replay->state,
      .history = &replay->history,
      .sender = message->envelope->node,
      .sequence = message->sequence,
      .now_ms = received_ms(replay),
      .body = message->body,
  };
}

static void apply_foreign(void *who, const struct sb_message *message) {
  struct sb_applying of = applying(who, message);
  of.sender = "";
  sb_interpret_foreign(&of, message);
}

static void apply_batch(void *who, const struct sb_message *message) {
  struct sb_replay *replay = who;
  const struct sb_envelope *envelope = message->envelope;
  struct sb_bytes body = sb_bytes(message->body->data, message->body->len);
  if (!sb_entries_index(replay->logs, body, envelope->count)) return;
  if (sb_state_batch(&replay->state, envelope) != SB_VERDICT_ACCEPTED) return;
  sb_state_accepted(&replay->state, message->sequence, envelope);
  sb_keys_expire_here(&replay->state, &replay->history, replay->state.time_ms);
  const struct sb_applying of = applying(replay, message);
  sb_entries_apply(&of, envelope->count);
}

static void apply_hello(void *who, const struct sb_message *message, const struct sb_control *hello) {
  struct sb_replay *replay = who;
  const struct sb_envelope *envelope = message->envelope;
  if (sb_state_hello(&replay->state, envelope->node, envelope->incarnation, hello->partitions,
                     envelope->generation))
    sb_state_accepted(&replay->state, message->sequence, envelope);
}

static void begin_behind(struct sb_replay *replay, uint64_t sequence) {
  sb_state_close(&replay->state);
  sb_kept_drop(&replay->kept);
  sb_assembler_clear(&replay->assembler);
  replay->based = false;
  replay->mark = replay->kept_from = sequence + 1;
}

/* The keys that a GENESIS brings may stand before what is read here: nothing can be followed over it then. */
static void apply_genesis(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_replay *replay = who;
  struct sb_keys brought = {0};
  const struct sb_genesis genesis = sb_genesis_of(message, control, &replay->brought, &brought);
  const struct sb_genesis_view view = {.mark = replay->state.mark, .keys_from = replay->first};
  if (sb_genesis_judge(&genesis, &view) == SB_GENESIS_UNKNOWN)
    begin_behind(replay, message->sequence);
  else
    sb_genesis_apply(&replay->state, &replay->history, &genesis);
  sb_keys_close(&brought);
}

static void apply_snapshot(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_replay *replay = who;
  (void)piece;
  sb_state_snapshot_seen(&replay->state, message->sequence);
}

static void take_keys(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_replay *replay = who;
  sb_brought_take(&replay->brought, message->envelope, piece, message->sequence);
}

static const struct sb_reader with_state = {
    .foreign = apply_foreign,
    .batch = apply_batch,
    .hello = apply_hello,
    .genesis = apply_genesis,
    .snapshot = apply_snapshot,
    .keys = take_keys,
};

static void apply(struct sb_replay *replay, const struct sb_message *message) {
  SB_ASSERT(replay->based);
  if (message->sequence <= replay->applied) return;
  replay->applied = message->sequence;
  sb_interpret(&with_state, replay, message);
}

/* ---- looking for one ---- */

static void apply_kept(struct sb_replay *replay) {
  struct sb_kept *kept;
  while ((kept = sb_kept_take(&replay->kept))) {
    const struct sb_message message = sb_kept_message(kept);
    apply(replay, &message);
    sb_kept_free(kept);
  }
}

static void begin_at(struct sb_replay *replay, uint64_t as_of) {
  replay->based = true;
  replay->base = replay->applied = as_of;
  replay->base_ms = replay->state.time_ms;
  sb_history_restart(&replay->history, sb_id_end_of(replay->state.generation, as_of));
  sb_assembler_clear(&replay->assembler);
  apply_kept(replay);
}

/* A state of a lower generation than one that was met before was written for an earlier log, and came late.
 */
static void try_state(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_replay *replay = who;
  struct sb_bytes text;
  if (control->as_of >= message->sequence || control->as_of + 1 < replay->kept_from) return;
  if (sb_assembler_take(&replay->assembler, message->envelope, control, message->sequence, &text) !=
      SB_ASSEMBLED_WHOLE)
    return;
  if (!sb_state_read(&replay->state, text)) return;
  if (replay->state.generation < replay->generation || !sb_state_stands_at(&replay->state, control->as_of) ||
      replay->state.partitions != replay->logs->settings.partitions)
    sb_state_close(&replay->state);
  else
    begin_at(replay, control->as_of);
}

/* A state that a GENESIS without the keys of before has made. */
static void begin_with_genesis(struct sb_replay *replay, const struct sb_message *message,
                               const struct sb_genesis *genesis) {
  replay->state.mark = replay->mark;
  sb_state_apply_genesis(&replay->state, genesis);
  sb_kept_drop(&replay->kept);
  begin_at(replay, message->sequence);
}

/* Only an accepted GENESIS raises the generation. */
static void look_at_genesis(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_replay *replay = who;
  struct sb_keys brought = {0};
  const struct sb_genesis genesis = sb_genesis_of(message, control, &replay->brought, &brought);
  const struct sb_genesis_view view = {replay->mark, replay->first, replay->first};
  enum sb_genesis_verdict verdict = sb_genesis_judge(&genesis, &view);
  if (verdict == SB_GENESIS_ACCEPTED) {
    if (genesis.generation > replay->generation) replay->generation = genesis.generation;
    if (!genesis.keeps_keys) begin_with_genesis(replay, message, &genesis);
  }
  if (verdict != SB_GENESIS_ABSENT) replay->mark = message->sequence + 1;
  sb_keys_close(&brought);
}

static void look_at_snapshot(void *who, const struct sb_message *message, const struct sb_control *piece) {
  struct sb_replay *replay = who;
  try_state(replay, message, piece);
  replay->mark = message->sequence + 1;
}

/* Keeps the message before it is looked at: if it completes a state, that is applied to all that was kept,
 * this message included. */
static void keep(void *who, const struct sb_message *message, const struct sb_control *control) {
  struct sb_replay *replay = who;
  sb_interpret_keep(&replay->kept, message, control, &replay->brought);
  while (replay->kept.bytes > SB_REPLAY_KEPT_BYTES) {
    struct sb_kept *oldest = sb_kept_take(&replay->kept);
    replay->kept_from = oldest->sequence + 1;
    sb_kept_free(oldest);
  }
}

static const struct sb_reader without_state = {
    .any = keep,
    .genesis = look_at_genesis,
    .snapshot = look_at_snapshot,
    .checkpoint = try_state,
    .keys = take_keys,
};

/* With a state nothing is kept; without one there is none. */
static void check(const struct sb_replay *replay) {
  if (replay->based)
    SB_ASSERT(!replay->kept.first && replay->applied >= replay->base);
  else
    SB_ASSERT(replay->state.members.count == 0 && replay->state.keys.table.count == 0);
  (void)replay;
}

void sb_replay_take(struct sb_replay *replay, const struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  if (replay->first == UINT64_MAX) replay->first = replay->kept_from = message->sequence;
  replay->last = message->sequence;
  if (!envelope->foreign && envelope->number > 0 && envelope->generation > replay->generation)
    replay->generation = envelope->generation;
  if (replay->based)
    apply(replay, message);
  else
    sb_interpret(&without_state, replay, message);
  check(replay);
  sb_body_unref(message->channel);
  sb_body_unref(message->body);
}
