#include "bridge/core/log/partition.h"

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/link.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/held.h"
#include "bridge/core/log/join.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/state/state.h"

void sb_partition_init(struct sb_partition *part, struct sb_logs *logs, uint32_t index) {
  const struct sb_core_settings *settings = &logs->settings;
  part->logs = logs;
  part->index = index;
  sb_kept_init(&part->joining.kept);
  part->seen.nobody_before = !settings->hides_tail;
  part->joining.read_from = UINT64_MAX;
  sb_outbox_init(&part->outbox,
                 settings->window_step_bytes ? settings->window_step_bytes : SB_WINDOW_STEP_BYTES);
  sb_history_init(&part->history, settings->history_bytes / settings->partitions, settings->history_age_ms);
  if (logs->io.read_back) sb_history_mark(&part->history);
  sb_partition_accepted(part); /* first values of the time-outs */
  sb_partition_hello(part);    /* leaves when the link is up */
}

static void abandon(struct sb_partition *part, struct sb_batch *list) {
  while (list) {
    struct sb_batch *next = list->next;
    sb_partition_settle(part, list, SB_OUTCOME_ABANDONED, sb_bytes(NULL, 0));
    sb_batch_free(list);
    list = next;
  }
}

void sb_partition_abandon(struct sb_partition *part) {
  struct sb_batch *limbo = part->limbo.batches;
  abandon(part, limbo);
  part->limbo.batches = NULL;
  abandon(part, sb_outbox_take(&part->outbox, false));
}

void sb_partition_close(struct sb_partition *part) {
  sb_back_drop(part, &part->recovery);
  sb_back_drop(part, &part->prefill);
  sb_range_drop(part);
  sb_kept_drop(&part->joining.kept);
  sb_assembler_clear(&part->joining.assembler);
  sb_assembler_clear(&part->brought);
  sb_held_drop(part);
  sb_buf_close(&part->sending.text);
  sb_outbox_close(&part->outbox);
  sb_state_close(&part->state);
  sb_history_close(&part->history);
  sb_lease_close(&part->lease);
}

bool sb_partition_link(struct sb_partition *part, enum sb_link_side side, bool up) {
  bool *at = side == SB_LINK_PUBLISH ? &part->publish_up : &part->consume_up;
  bool changed = *at != up;
  *at = up;
  return changed;
}

/* Waiting begins anew, for what ran out meanwhile proves nothing. */
void sb_partition_links_up(struct sb_partition *part) {
  part->seen.heard_ms = part->logs->now_ms;
  if (part->index == 0) sb_lease_clear(&part->lease);
  if (part->outbox.in_flight > 0) part->outbox.first->sent_ms = part->logs->now_ms;
  sb_partition_join_again(part);
}

void sb_partition_attached(struct sb_partition *part, enum sb_attach how) {
  if (how == SB_ATTACH_NEW_LOG) part->seen.nobody_before = !part->logs->settings.hides_tail;
  if (how == SB_ATTACH_ALONE) part->seen.nobody_before = true;
  if (how == SB_ATTACH_GAP)
    sb_partition_lost(part, true, "it was lost, or retention passed it, before it was read");
  if (how == SB_ATTACH_NEW_LOG) sb_partition_lost(part, false, "the log was emptied or made anew");
}

void sb_partition_stood(struct sb_partition *part, uint64_t ms) {
  sb_partition_join_put_off(part, ms);
  for (struct sb_batch *batch = part->outbox.first; batch != part->outbox.unsent; batch = batch->next)
    sb_put_off(part->logs, &batch->sent_ms, ms);
}
