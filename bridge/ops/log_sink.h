/* Log lines with a time stamp, on stderr, as text for people or as JSON for machines:
 *
 *     2026-11-22T10:00:00.123Z notice rabbitmq: mq-1:5671 is up
 *     {"ts":"2026-11-22T10:00:00.123Z","level":"notice","area":"rabbitmq","msg":"mq-1:5671 is
 * up","node":"web-01"}
 *
 * One line is one write(), so lines of several threads and processes do not mix. What stderr does not take at
 * once (a full pipe that is set not to block) is dropped: logging never holds up the bridge. */
#ifndef SB_OPS_LOG_SINK_H
#define SB_OPS_LOG_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"

/* Storage of the caller, which outlives all logging. */
struct sb_log_stderr {
  bool json;
  char node[SB_NODE_NAME_MAX + 1];
};

/* From now on sb_log goes there. Not while other threads log. */
void sb_log_stderr_open(struct sb_log_stderr *sink, bool json, const char *node, enum sb_log_level threshold);

/* Appends one record with its line end. `unix_ms` is the time. */
void sb_log_record(struct sb_buf *out, const struct sb_log_stderr *sink, uint64_t unix_ms,
                   enum sb_log_level level, const char *area, const char *line);

#endif
