#include "bridge/ops/log_sink.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bridge/ops/escape.h"

static void stamp(struct sb_buf *out, uint64_t unix_ms) {
  time_t seconds = (time_t)(unix_ms / 1000);
  struct tm utc;
  char text[32];
  gmtime_r(&seconds, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  sb_buf_printf(out, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}

static void field(struct sb_buf *out, const char *name, const char *value) {
  sb_buf_printf(out, ",\"%s\":\"", name);
  sb_escape_json(sb_bytes_of(value), out);
  sb_buf_text(out, "\"");
}

void sb_log_record(struct sb_buf *out, const struct sb_log_stderr *sink, uint64_t unix_ms,
                   enum sb_log_level level, const char *area, const char *line) {
  if (!sink->json) {
    stamp(out, unix_ms);
    sb_buf_printf(out, " %s %s: ", sb_log_level_name(level), area);
    sb_escape_terminal(sb_bytes_of(line), out);
    sb_buf_text(out, "\n");
    return;
  }
  sb_buf_text(out, "{\"ts\":\"");
  stamp(out, unix_ms);
  sb_buf_text(out, "\"");
  field(out, "level", sb_log_level_name(level));
  field(out, "area", area);
  field(out, "msg", line);
  field(out, "node", sink->node);
  sb_buf_text(out, "}\n");
}

/* A pipe takes up to PIPE_BUF bytes whole; only longer lines may need a second call. */
static void write_all(struct sb_bytes record) {
  while (record.len > 0) {
    ssize_t n = write(STDERR_FILENO, record.at, record.len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    record = sb_bytes(record.at + n, record.len - (size_t)n);
  }
}

static void sink_line(void *owner, enum sb_log_level level, const char *area, const char *line) {
  int saved = errno; /* whoever logs an error may look at it afterwards */
  struct timespec now;
  struct sb_buf record = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  sb_log_record(&record, owner, unix_ms, level, area, line);
  write_all(sb_buf_bytes(&record));
  sb_buf_close(&record);
  errno = saved;
}

void sb_log_stderr_open(struct sb_log_stderr *sink, bool json, const char *node,
                        enum sb_log_level threshold) {
  sink->json = json;
  snprintf(sink->node, sizeof sink->node, "%s", node);
  sb_log_to(sink_line, sink, threshold);
}
