/* What messages mean to whoever reads them, live or once more. */
#include "bridge/core/log/interpret.h"

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/held.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/key_text.h"

struct sb_body *sb_foreign_entry(const struct sb_message *message) {
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"),
                                  sb_bytes(message->channel->data, message->channel->len),
                                  sb_bytes(message->body->data, message->body->len)};
  struct sb_body *body = sb_body_new(sb_entry_size(args, 3));
  sb_entry_write(body->data, args, 3);
  return body;
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
  /* Ids fall, until the HELLO of one who knows the higher generation: no history holds both. */
  if (genesis->generation < before)
    sb_history_restart(history, sb_id_end_of(genesis->generation, genesis->sequence));
  return true;
}
