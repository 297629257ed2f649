#include "bridge/core/log/logs.h"

#include <stdarg.h>
#include <stdio.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/wire/slot.h"

void sb_logs_say(struct sb_logs *logs, enum sb_log_level level, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  logs->io.log(logs->io.owner, level, format, line);
}

void sb_logs_settle(struct sb_logs *logs, struct sb_partition *part, const struct sb_batch *batch,
                    enum sb_outcome outcome, struct sb_bytes reply) {
  for (uint32_t i = 0; i < batch->waiters_count; i++)
    logs->events->settled(part, &batch->waiters[i], outcome, reply);
}

void sb_logs_settle_all(struct sb_logs *logs, struct sb_partition *part, struct sb_batch *list,
                        enum sb_outcome outcome) {
  while (list) {
    struct sb_batch *next = list->next;
    sb_logs_settle(logs, part, list, outcome, sb_bytes(NULL, 0));
    sb_batch_free(list);
    list = next;
  }
}

void sb_logs_gap(struct sb_logs *logs, const struct sb_gap *gap) {
  struct sb_gap *noted = &logs->gaps[logs->gap_count++ % SB_GAPS_KEPT];
  *noted = *gap;
  noted->unix_ms = logs->unix_ms;
  logs->stats.gaps++;
  sb_logs_say(logs, SB_LOG_WARN, "partition %u: gap behind %llu: %s", gap->partition,
              (unsigned long long)gap->after, gap->why);
}

void sb_logs_gap_over(struct sb_logs *logs, uint32_t partition, uint64_t before) {
  for (uint64_t i = 0; i < SB_GAPS_KEPT && i < logs->gap_count; i++)
    if (logs->gaps[i].partition == partition && logs->gaps[i].before == 0) logs->gaps[i].before = before;
}

uint32_t sb_logs_partition(const struct sb_logs *logs, struct sb_bytes key) {
  return logs->settings.partitions == 1 ? 0 : sb_slot(key) % logs->settings.partitions;
}
