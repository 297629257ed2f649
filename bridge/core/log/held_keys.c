#include "bridge/core/log/held_keys.h"

#include "bridge/base/assert.h"
#include "bridge/base/table.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/key_text.h"

void sb_held_keys_drop(struct sb_held_keys *held) {
  sb_keys_close(&held->keys);
  *held = (struct sb_held_keys){0};
}

uint64_t sb_held_keys_log_time(const struct sb_held_keys *held, uint64_t now_ms) {
  SB_ASSERT(!sb_held_keys_is_there(held) || now_ms >= held->at_ms);
  return sb_held_keys_is_there(held) ? held->time_ms + (now_ms - held->at_ms) : 0;
}

bool sb_held_keys_any(const struct sb_held_keys *held, uint64_t now_ms) {
  const struct sb_keys *keys = &held->keys;
  uint64_t time_ms = sb_held_keys_log_time(held, now_ms);
  size_t gone = 0;
  SB_ASSERT(sb_held_keys_is_there(held) || keys->table.count == 0);
  for (size_t i = 0; i < keys->expiring_count; i++) gone += keys->expiring[i]->expires_ms <= time_ms;
  return keys->table.count > gone;
}

static void add(const struct sb_held_keys *held, uint64_t held_ms, struct sb_keys *keys, uint64_t time_ms) {
  const struct sb_key *key;
  for (size_t at = 0; (key = sb_table_each(&held->keys.table, &at));) {
    struct sb_key_text text = sb_key_text_of(key);
    if (key->expires_ms > 0 && key->expires_ms <= held_ms) continue;
    if (key->expires_ms > 0) text.expires_ms = time_ms + (key->expires_ms - held_ms);
    sb_keys_add(keys, &text);
  }
}

void sb_held_keys_take(struct sb_held_keys *held, const struct sb_held_keys *taken, uint64_t now_ms) {
  struct sb_held_keys whole = *taken;
  if (taken->adds) add(held, sb_held_keys_log_time(held, now_ms), &whole.keys, taken->time_ms);
  sb_held_keys_drop(held);
  *held = whole;
}

void sb_held_keys_restore_at(struct sb_held_keys *held, uint64_t at_ms) {
  SB_ASSERT(sb_held_keys_is_there(held));
  held->restore_ms = at_ms;
}
