/* Keys that outlive their log. Who was ready in a log that is lost from sight holds its keys: when that log
 * is made anew, and nobody in it knows better, it founds with them. They travel in KEYS, part by part,
 * between the founder's HELLO and its FOUND: so a founder that dies before its FOUND has changed nothing, and
 * behind an accepted one all have them. */
#include "bridge/core/internal.h"

void sb_held_drop(struct sb_partition *part) {
  sb_keys_close(&part->held.keys);
  part->held = (struct sb_held){0};
}

void sb_held_keep(struct sb_partition *part) {
  if (!part->ready) return;
  uint64_t time_ms = sb_partition_log_time(part);
  sb_held_drop(part);
  part->held = (struct sb_held){.keys = part->state.keys,
                                .upto = {part->state.generation, part->applied},
                                .time_ms = time_ms,
                                .at_ms = part->core->now_ms};
  part->state.keys = (struct sb_keys){0};
}

uint64_t sb_held_log_time(const struct sb_partition *part) {
  const struct sb_held *held = &part->held;
  return sb_id_is_none(held->upto) ? 0 : held->time_ms + (part->core->now_ms - held->at_ms);
}

bool sb_held_any(const struct sb_partition *part) {
  const struct sb_keys *keys = &part->held.keys;
  uint64_t now_ms = sb_held_log_time(part);
  size_t gone = 0;
  for (size_t i = 0; i < keys->expiring_count; i++) gone += keys->expiring[i]->expires_ms <= now_ms;
  return keys->table.count > gone;
}

void sb_brought_take(struct sb_assembler *brought, const struct sb_envelope *envelope,
                     const struct sb_control *control, uint64_t sequence) {
  struct sb_bytes text;
  brought->by_begin = true;
  sb_assembler_take(brought, envelope, control, sequence, &text);
}

static bool read_keys(struct sb_keys *keys, struct sb_bytes text) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  while (off < text.len) {
    uint32_t count = sb_entry_args(text, &off, args, SB_ENTRY_ARGS_MAX);
    if (count == 0 || !sb_keys_read(keys, args, count)) return false;
  }
  return true;
}

bool sb_brought_read(const struct sb_assembler *brought, const struct sb_envelope *founder, uint64_t hello_at,
                     struct sb_keys *keys) {
  const struct sb_assembly *whole = NULL;
  for (int i = 0; i < SB_ASSEMBLIES; i++) {
    const struct sb_assembly *at = &brought->at[i];
    if (at->parts > 0 && at->next == at->parts && at->as_of == hello_at &&
        strcmp(at->node, founder->node) == 0 &&
        sb_incarnation_compare(at->incarnation, founder->incarnation) == 0 &&
        (!whole || at->touched > whole->touched))
      whole = at;
  }
  *keys = (struct sb_keys){0};
  if (whole && read_keys(keys, sb_bytes(whole->text.data, whole->text.len))) return true;
  sb_keys_close(keys);
  return false;
}
