#include "bridge/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static void to_stderr(void *owner, enum sb_log_level level, const char *area, const char *line) {
  (void)owner;
  fprintf(stderr, "%s %s: %s\n", sb_log_level_name(level), area, line);
}

static sb_log_sink *the_sink = to_stderr;
static void *the_owner;
static atomic_int the_threshold = SB_LOG_NOTICE;

void sb_log_to(sb_log_sink *sink, void *owner, enum sb_log_level threshold) {
  the_sink = sink ? sink : to_stderr;
  the_owner = owner;
  atomic_store(&the_threshold, (int)threshold);
}

void sb_log_threshold(enum sb_log_level threshold) {
  atomic_store(&the_threshold, (int)threshold);
}

int sb_log_enabled(enum sb_log_level level) {
  return (int)level <= atomic_load_explicit(&the_threshold, memory_order_relaxed);
}

void sb_log(enum sb_log_level level, const char *area, const char *format, ...) {
  if (!sb_log_enabled(level)) return;
  char line[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
  the_sink(the_owner, level, area, line);
}

const char *sb_log_level_name(enum sb_log_level level) {
  static const char *const names[] = {"error", "warn", "notice", "info", "debug"};
  return names[level];
}
