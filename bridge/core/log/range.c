#include "bridge/core/log/range.h"

#include "bridge/base/assert.h"
#include "bridge/base/limits.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/wire/id.h"

#define GIVE_UP_MS 30000
#define NUDGE_MS   20 /* then the owner is offered it again: many others may wait before it */
#define CLAIM_MS                                                                                             \
  60000 /* an owner that does not come for so long loses it; it may be waiting for another log meanwhile */

bool sb_range_is_of(const struct sb_logs *logs, uint32_t partition, struct sb_bytes name) {
  return sb_logs_partition(logs, name) == partition;
}

static size_t most_bytes(const struct sb_logs *logs) {
  return logs->settings.range_bytes ? logs->settings.range_bytes : SB_RANGE_BYTES_MAX;
}

void sb_range_begin(struct sb_range *range, const struct sb_back_log *log, const void *session,
                    const struct sb_range_ask *ask, const struct sb_range_begin *from) {
  SB_ASSERT(!range->owner && session);
  for (uint32_t i = 0; i < ask->count; i++)
    if (sb_range_is_of(log->logs, log->partition, ask->names[i]))
      sb_history_slice_add(&range->what, ask->names[i], ask->from[i]);
  range->what.to = ask->to;
  range->what.backwards = ask->backwards;
  range->what.limit = ask->limit;
  /* If only the last few entries are wanted, it need not reach that far. */
  bool reaches = !ask->backwards || ask->limit == UINT64_MAX;
  const struct sb_back_ask back = {
      .to = from->applied,
      .history_bytes = most_bytes(log->logs),
      .only = &range->what,
      .before = from->oldest,
      .span = reaches ? from->messages : 0,
      .give_up_ms = GIVE_UP_MS,
  };
  sb_back_begin(&range->back, log, &back, from->state);
  range->owner = session;
  range->log_ms = log->log_now_ms;
  range->nudge_ms = 0;
}

void sb_range_end(struct sb_range *range, struct sb_logs *logs) {
  SB_ASSERT(range->owner);
  sb_back_drop(&range->back, logs);
  sb_history_slice_close(&range->what);
  range->owner = NULL;
}

bool sb_range_is_same(const struct sb_range *range, const struct sb_logs *logs, uint32_t partition,
                      const struct sb_range_ask *ask) {
  const struct sb_history_slice *what = &range->what;
  if (sb_id_compare(what->to, ask->to) != 0 || what->backwards != ask->backwards || what->limit != ask->limit)
    return false;
  for (uint32_t i = 0; i < ask->count; i++)
    if (sb_range_is_of(logs, partition, ask->names[i]) &&
        !sb_history_slice_has(what, ask->names[i], ask->from[i]))
      return false;
  return true;
}

enum sb_range_says sb_range_outcome(const struct sb_range *range, const char **why) {
  const struct sb_back *back = &range->back;
  SB_ASSERT(range->owner);
  if (back->state != SB_BACK_DONE) return SB_RANGE_WAITS;
  *why = back->failed;
  if (!*why && back->replay.last != back->ask.to) *why = "the log has changed meanwhile";
  if (!*why && range->what.unsure) *why = "entries were trimmed by length that cannot be counted any more";
  if (!*why && !sb_history_slice_is_met(&back->replay.history))
    *why = "it is too much at once; ask for fewer with COUNT";
  return *why ? SB_RANGE_FAILED : SB_RANGE_READ;
}

bool sb_range_has_ended(const struct sb_range *range) {
  return range->back.state == SB_BACK_DONE && range->nudge_ms == 0;
}

void sb_range_offer(struct sb_range *range, uint64_t now_ms) {
  SB_ASSERT(sb_range_has_ended(range));
  range->nudge_ms = now_ms;
  range->drop_ms = now_ms + CLAIM_MS;
}

bool sb_range_nudges(struct sb_range *range, uint64_t now_ms, bool *gone) {
  if (!range->owner || range->back.state != SB_BACK_DONE || now_ms < range->nudge_ms) return false;
  range->nudge_ms = now_ms + NUDGE_MS;
  *gone = now_ms >= range->drop_ms;
  return true;
}

uint64_t sb_range_due_ms(const struct sb_range *range) {
  if (!range->owner) return UINT64_MAX;
  return range->back.state == SB_BACK_DONE ? range->nudge_ms : sb_back_deadline(&range->back);
}
