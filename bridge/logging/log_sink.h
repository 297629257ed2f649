/* Log lines with a time stamp, on stderr, as text for people or as JSON for machines:
 *
 *     2026-11-22T10:00:00.123Z notice rabbitmq: mq-1:5671 is up
 *     {"ts":"2026-11-22T10:00:00.123Z","level":"notice","area":"rabbitmq","msg":"…","node":"web-01"}
 *
 * A caller puts its line into a bounded queue and goes on. A thread of the sink writes, and may wait for ever
 * for the reader of stderr. Lines for which the queue has no room are dropped and counted, and reported when
 * there is room again; so are lines over the rate of their cause (log_rate.h). */
#ifndef SB_LOGGING_LOG_SINK_H
#define SB_LOGGING_LOG_SINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/logging/log_rate.h"

/* Storage of the caller, static: a thread that hangs in a write may use it until the process ends. */
struct sb_log_stderr {
  bool json;
  char node[SB_NODE_NAME_MAX + 1];
  pthread_mutex_t lock; /* of all below */
  pthread_cond_t more, written;
  struct sb_buf queue; /* SB_LOG_QUEUE_BYTES at most */
  struct sb_log_rate rate;
  uint64_t dropped; /* lines since the last report */
  bool threaded, closing, closed;
};

/* From now on sb_log goes there. Not while other threads log. If no thread can be
 * made, callers write their lines themselves. */
void sb_log_stderr_open(struct sb_log_stderr *sink, bool json, const char *node, enum sb_log_level threshold);

/* Writes what is queued, for SB_LOG_FLUSH_MS at most, and puts sb_log back to what it was. */
void sb_log_stderr_close(struct sb_log_stderr *sink);

/* Appends one record with its line end. `unix_ms` is the time. */
void sb_log_record(struct sb_buf *out, const struct sb_log_stderr *sink, uint64_t unix_ms,
                   enum sb_log_level level, const char *area, const char *line);

#endif
