#include "bridge/logging/log_sink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "bridge/base/thread.h"
#include "bridge/logging/escape.h"

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

static uint64_t clock_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t lines_of(struct sb_bytes records) {
  uint64_t lines = 0;
  for (size_t i = 0; i < records.len; i++) lines += records.at[i] == '\n';
  return lines;
}

/* Returns how many lines could not be written. A pipe takes up to PIPE_BUF bytes whole; only longer lines may
 * need a second call. Another process that shares stderr may have set it not to block. */
static uint64_t write_all(struct sb_bytes record) {
  while (record.len > 0) {
    ssize_t n = write(STDERR_FILENO, record.at, record.len);
    if (n > 0) {
      record = sb_bytes(record.at + n, record.len - (size_t)n);
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
      poll(&writable, 1, -1);
    } else if (n == 0 || errno != EINTR) {
      return lines_of(record); /* nobody reads it, or there is no room on a disk */
    }
  }
  return 0;
}

static void count_dropped(struct sb_log_stderr *sink, uint64_t lines) {
  sink->dropped += lines;
  sb_log_count_losses(0, lines);
}

/* Reports lines that were dropped where they would have stood. Only before other lines: if nothing can be
 * written, neither can the report, which would be made again and again. */
static void tell_losses(struct sb_log_stderr *sink, uint64_t until_ms) {
  char line[SB_LOG_RATE_EXAMPLE + 100];
  struct sb_log_cause *cause;
  uint64_t unix_ms = clock_ms(CLOCK_REALTIME);
  if (sink->dropped > 0 && sink->queue.len > 0) {
    snprintf(line, sizeof line, "%" PRIu64 " log lines were dropped: stderr did not take them",
             sink->dropped);
    sink->dropped = 0;
    sb_log_record(&sink->queue, sink, unix_ms, SB_LOG_WARN, "log", line);
  }
  while ((cause = sb_log_rate_due(&sink->rate, until_ms))) {
    snprintf(line, sizeof line, "%" PRIu64 " more lines like the last one of them: %s", cause->over,
             cause->last);
    cause->over = 0;
    sb_log_record(&sink->queue, sink, unix_ms, cause->level, cause->area, line);
  }
}

/* Waits until there is something to write, or the sink closes. */
static void wait_for_more(struct sb_log_stderr *sink) {
  while (sink->queue.len == 0 && !sink->closing) {
    uint64_t due = sb_log_rate_deadline(&sink->rate);
    if (due <= clock_ms(CLOCK_MONOTONIC)) return;
    if (due == UINT64_MAX)
      pthread_cond_wait(&sink->more, &sink->lock);
    else
      sb_condition_wait(&sink->more, &sink->lock, (int64_t)due);
  }
}

static void *write_lines(void *argument) {
  struct sb_log_stderr *sink = argument;
  struct sb_buf taken = {0};
  pthread_mutex_lock(&sink->lock);
  for (;;) {
    wait_for_more(sink);
    tell_losses(sink, sink->closing ? UINT64_MAX : clock_ms(CLOCK_MONOTONIC));
    if (sink->queue.len == 0 && sink->closing) break;
    struct sb_buf full = sink->queue;
    sink->queue = taken;
    taken = full;
    pthread_mutex_unlock(&sink->lock);
    uint64_t lost = write_all(sb_buf_bytes(&taken));
    taken.len = 0;
    pthread_mutex_lock(&sink->lock);
    count_dropped(sink, lost);
  }
  sb_buf_close(&taken);
  sb_buf_close(&sink->queue);
  sink->closed = true;
  pthread_cond_signal(&sink->written);
  pthread_mutex_unlock(&sink->lock);
  return NULL;
}

static void sink_line(void *owner, enum sb_log_level level, const char *area, const char *cause,
                      const char *line) {
  int saved = errno; /* a caller who logs an error may look at errno afterwards */
  struct sb_log_stderr *sink = owner;
  pthread_mutex_lock(&sink->lock);
  if (sb_log_rate_take(&sink->rate, clock_ms(CLOCK_MONOTONIC), level, area, cause, line)) {
    if (sink->queue.len < SB_LOG_QUEUE_BYTES) {
      sb_log_record(&sink->queue, sink, clock_ms(CLOCK_REALTIME), level, area, line);
    } else {
      count_dropped(sink, 1);
    }
  }
  if (sink->threaded) {
    pthread_cond_signal(&sink->more);
  } else {
    count_dropped(sink, write_all(sb_buf_bytes(&sink->queue)));
    sink->queue.len = 0;
  }
  pthread_mutex_unlock(&sink->lock);
  errno = saved;
}

void sb_log_stderr_open(struct sb_log_stderr *sink, bool json, const char *node,
                        enum sb_log_level threshold) {
  *sink = (struct sb_log_stderr){.json = json};
  snprintf(sink->node, sizeof sink->node, "%s", node);
  pthread_mutex_init(&sink->lock, NULL);
  sb_condition_init(&sink->more);
  sb_condition_init(&sink->written);
  /* Detached: the thread may wait for the reader of stderr for ever, and nobody may wait for the thread. */
  sink->threaded = sb_thread_start_detached(write_lines, sink) == 0;
  sb_log_to(sink_line, sink, threshold);
}

void sb_log_stderr_close(struct sb_log_stderr *sink) {
  sb_log_to(NULL, NULL, SB_LOG_NOTICE);
  if (!sink->threaded) return;
  int64_t until_ms = sb_clock_ms() + SB_LOG_FLUSH_MS;
  pthread_mutex_lock(&sink->lock);
  sink->closing = true;
  pthread_cond_signal(&sink->more);
  while (!sink->closed)
    if (!sb_condition_wait(&sink->written, &sink->lock, until_ms)) break;
  pthread_mutex_unlock(&sink->lock);
}
