#include "bridge/core/log/limbo.h"

#include "bridge/base/assert.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/state/rows.h"

static void check(const struct sb_limbo *limbo) {
  SB_ASSERT(sb_limbo_is_active(limbo) || (!limbo->batches && limbo->bytes == 0));
  SB_ASSERT(limbo->batches || limbo->bytes == 0);
  (void)limbo;
}

void sb_limbo_enter(struct sb_limbo *limbo, struct sb_outbox *outbox, struct sb_incarnation incarnation,
                    bool same_log) {
  check(limbo);
  if (!sb_limbo_is_active(limbo)) {
    limbo->state = SB_LIMBO_SAME_LOG;
    limbo->bytes = outbox->bytes;
    limbo->batches = sb_outbox_take(outbox, false);
    limbo->total = outbox->total;
    *limbo->total += limbo->bytes;
    limbo->incarnation = incarnation;
  }
  if (!same_log) limbo->state = SB_LIMBO_NEW_LOG;
  check(limbo);
}

struct sb_batch *sb_limbo_leave(struct sb_limbo *limbo, const struct sb_row *row, struct sb_batch **again) {
  bool same_log = limbo->state == SB_LIMBO_SAME_LOG;
  uint64_t upto = row && same_log ? sb_row_ordered(row, limbo->incarnation) : 0;
  struct sb_batch *ordered = sb_limbo_abandon(limbo), **end = &ordered;
  while (*end && (*end)->number != 0 && (*end)->number <= upto) end = &(*end)->next;
  *again = *end;
  *end = NULL;
  return ordered;
}

struct sb_batch *sb_limbo_abandon(struct sb_limbo *limbo) {
  check(limbo);
  struct sb_batch *batches = limbo->batches;
  if (limbo->total) *limbo->total -= limbo->bytes;
  *limbo = (struct sb_limbo){.state = SB_LIMBO_NONE};
  return batches;
}
