#include "bridge/core/log/logs.h"

#include <stdarg.h>
#include <stdio.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/core/wire/slot.h"

void sb_logs_say(struct sb_logs *logs, enum sb_log_level level, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  logs->io.log(logs->io.owner, level, format, line);
}

uint32_t sb_logs_partition(const struct sb_logs *logs, struct sb_bytes key) {
  return logs->settings.partitions == 1 ? 0 : sb_slot(key) % logs->settings.partitions;
}
