#include "bridge/core/log/brought.h"

#include <string.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/entry.h"

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

bool sb_brought_text(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_bytes *text) {
  const struct sb_envelope *founder = genesis->envelope;
  const struct sb_assembly *whole = NULL;
  if (genesis->brought) {
    *text = sb_bytes(genesis->brought->data, genesis->brought->len);
    return text->len > 0;
  }
  for (int i = 0; i < SB_ASSEMBLIES; i++) {
    const struct sb_assembly *at = &brought->at[i];
    if (at->pieces > 0 && at->next == at->pieces && at->as_of == control->hello_at &&
        strcmp(at->node, founder->node) == 0 &&
        sb_incarnation_compare(at->incarnation, founder->incarnation) == 0 &&
        (!whole || at->touched > whole->touched))
      whole = at;
  }
  *text = whole ? sb_buf_bytes(&whole->text) : sb_bytes(NULL, 0);
  return text->len > 0;
}

bool sb_brought_read(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_keys *keys) {
  struct sb_bytes text;
  *keys = (struct sb_keys){0};
  if (sb_brought_text(brought, genesis, control, &text) && read_keys(keys, text)) return true;
  sb_keys_close(keys);
  return false;
}

struct sb_body *sb_brought_copy(const struct sb_assembler *brought, const struct sb_message *genesis,
                                const struct sb_control *control) {
  struct sb_bytes text;
  if (!control->brings_keys) return NULL;
  sb_brought_text(brought, genesis, control, &text);
  struct sb_body *copy = sb_body_new(text.len);
  if (text.len > 0) memcpy(copy->data, text.at, text.len);
  return copy;
}
