#include "bridge/core/log/limbo.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/state/rows.h"

void sb_limbo_enter(struct sb_partition *part, bool same_log) {
  if (part->limbo.active) {
    part->limbo.same_log &= same_log;
    return;
  }
  SB_ASSERT(!part->limbo.batches && part->limbo.bytes == 0);
  size_t before = sb_partition_held(part);
  part->limbo.bytes = part->outbox.bytes;
  part->limbo.batches = sb_outbox_take(&part->outbox, false);
  part->limbo.incarnation = part->pace.incarnation;
  part->limbo.same_log = same_log;
  part->limbo.active = true;
  sb_partition_account(part, before);
}

void sb_limbo_leave(struct sb_partition *part, const struct sb_row *row) {
  if (!part->limbo.active) return;
  uint64_t ordered = row && part->limbo.same_log ? sb_row_ordered(row, part->limbo.incarnation) : 0;
  struct sb_batch *list = part->limbo.batches;
  size_t before = sb_partition_held(part);
  part->limbo.batches = NULL;
  part->limbo.bytes = 0;
  part->limbo.active = false;
  sb_partition_account(part, before);
  while (list && list->number != 0 && list->number <= ordered) {
    struct sb_batch *next = list->next;
    sb_partition_settle(part, list, SB_OUTCOME_UNKNOWN, sb_bytes(NULL, 0));
    sb_batch_free(list);
    list = next;
  }
  before = sb_partition_held(part);
  sb_outbox_put_back(&part->outbox, list);
  sb_partition_account(part, before);
}
