#include "bridge/core/log/interpret.h"

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/brought.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/key_text.h"

static void interpret_control(const struct sb_reader *reader, void *who, const struct sb_message *message,
                              const struct sb_control *control) {
  switch (control->kind) {
  case SB_CONTROL_HELLO:
    if (reader->hello) reader->hello(who, message, control);
    break;
  case SB_CONTROL_GENESIS:
    if (reader->genesis) reader->genesis(who, message, control);
    break;
  case SB_CONTROL_SNAPSHOT:
    if (reader->snapshot) reader->snapshot(who, message, control);
    break;
  case SB_CONTROL_CHECKPOINT:
    if (reader->checkpoint) reader->checkpoint(who, message, control);
    break;
  case SB_CONTROL_KEYS:
    if (reader->keys) reader->keys(who, message, control);
    break;
  }
}

void sb_interpret(const struct sb_reader *reader, void *who, const struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  struct sb_control control;
  bool is_control = !envelope->foreign && envelope->number == 0,
       is_known = is_control && sb_control_read(sb_bytes(message->body->data, message->body->len), &control);
  if (reader->any) reader->any(who, message, is_known ? &control : NULL);
  if (is_known) {
    interpret_control(reader, who, message, &control);
  } else if (is_control) {
    if (reader->malformed) reader->malformed(who, message);
  } else if (envelope->foreign) {
    if (reader->foreign) reader->foreign(who, message);
  } else if (reader->batch) {
    reader->batch(who, message);
  }
}

void sb_interpret_keep(struct sb_kept_list *list, const struct sb_message *message,
                       const struct sb_control *control, const struct sb_assembler *brought) {
  struct sb_message kept = *message;
  /* A CHECKPOINT changes nothing, and KEYS are put together as they pass. */
  if (control && (control->kind == SB_CONTROL_CHECKPOINT || control->kind == SB_CONTROL_KEYS)) return;
  if (control) kept.brought = sb_brought_copy(brought, message, control);
  sb_body_ref(kept.body);
  if (kept.channel) sb_body_ref(kept.channel);
  if (control && control->kind == SB_CONTROL_SNAPSHOT) sb_snapshot_drop_text(&kept, control);
  sb_kept_add(list, &kept);
}

struct sb_applied sb_interpret_foreign(const struct sb_applying *of, const struct sb_message *message) {
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"),
                                  sb_bytes(message->channel->data, message->channel->len),
                                  sb_bytes(message->body->data, message->body->len)};
  struct sb_body *body = sb_body_new(sb_entry_size(args, 3));
  struct sb_applying publish = *of;
  struct sb_applied applied = {0};
  sb_entry_write(body->data, args, 3);
  publish.body = body;
  if (sb_entries_index(of->logs, sb_bytes(body->data, body->len), 1)) {
    sb_state_accepted(of->state, message->sequence, message->envelope);
    applied = sb_entries_apply(&publish, 1);
  }
  sb_body_unref(body);
  return applied;
}

struct sb_genesis sb_genesis_of(const struct sb_message *message, const struct sb_control *control,
                                const struct sb_assembler *brought, struct sb_keys *keys) {
  bool whole = control->brings_keys && sb_brought_read(brought, message, control, keys);
  return (struct sb_genesis){
      .sequence = message->sequence,
      .hello_at = control->hello_at,
      .generation = control->generation,
      .time_ms = message->envelope->time_ms,
      .partitions = control->partitions,
      .name_key = control->name_key,
      .keeps_keys = control->keeps_keys,
      .brings_keys = control->brings_keys,
      .brought = whole ? keys : NULL,
      .name = message->envelope->node,
      .incarnation = message->envelope->incarnation,
  };
}

static void forget_streams(const struct sb_state *state, struct sb_history *history) {
  const struct sb_key *key;
  for (size_t at = 0; (key = sb_table_each(&state->keys.table, &at));)
    if (key->kind == SB_KEY_STREAM) sb_history_forget(history, sb_bytes(key->name, key->name_len));
}

bool sb_genesis_apply(struct sb_state *state, struct sb_history *history, const struct sb_genesis *genesis) {
  uint64_t before = state->generation;
  bool accepted = sb_state_judge_genesis(state, genesis) == SB_GENESIS_ACCEPTED;
  if (accepted && genesis->keeps_keys) sb_keys_expire_here(state, history, genesis->time_ms);
  if (accepted && !genesis->keeps_keys) forget_streams(state, history);
  if (!sb_state_apply_genesis(state, genesis)) return false;
  /* Ids have fallen. They rise again when a node that knows the higher generation says HELLO. A history
   * cannot hold both, so it begins anew. */
  if (genesis->generation < before)
    sb_history_restart(history, sb_id_end_of(genesis->generation, genesis->sequence));
  return true;
}
