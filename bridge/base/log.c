#include "bridge/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define LINE_MAX 2048

static void to_stderr(void *owner, enum sb_log_level level, const char *area, const char *cause,
                      const char *line) {
  (void)owner;
  (void)cause;
  fprintf(stderr, "%s %s: %s\n", sb_log_level_name(level), area, line);
}

static sb_log_sink *the_sink = to_stderr;
static void *the_owner;
static atomic_int the_threshold = SB_LOG_NOTICE;
static _Atomic uint64_t over_rate_lines, dropped_lines;

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

/* Replaces control characters: none in a name or a reason may end the line or steer a terminal. */
static void say(enum sb_log_level level, const char *area, const char *cause, char *line) {
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
  the_sink(the_owner, level, area, cause, line);
}

void sb_log(enum sb_log_level level, const char *area, const char *format, ...) {
  if (!sb_log_enabled(level)) return;
  char line[LINE_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  say(level, area, format, line);
}

void sb_log_line(enum sb_log_level level, const char *area, const char *cause, const char *text) {
  if (!sb_log_enabled(level)) return;
  char line[LINE_MAX];
  snprintf(line, sizeof line, "%s", text);
  say(level, area, cause, line);
}

const char *sb_log_level_name(enum sb_log_level level) {
  static const char *const names[] = {"error", "warn", "notice", "info", "debug"};
  return names[level];
}

void sb_log_count_losses(uint64_t over_rate, uint64_t dropped) {
  atomic_fetch_add(&over_rate_lines, over_rate);
  atomic_fetch_add(&dropped_lines, dropped);
}

struct sb_log_losses sb_log_losses(void) {
  return (struct sb_log_losses){atomic_load(&over_rate_lines), atomic_load(&dropped_lines)};
}
