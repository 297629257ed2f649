#include "transports/memory/log.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"

#define FIRST_CAP 8

void sb_memory_log_close(struct sb_memory_log *log) {
  sb_memory_log_drop(log, log->end);
  free(log->ring);
  *log = (struct sb_memory_log){0};
}

static void grow(struct sb_memory_log *log) {
  size_t cap = log->cap ? log->cap * 2 : FIRST_CAP;
  struct sb_memory_entry *ring = sb_malloc(cap * sizeof *ring);
  for (uint64_t s = log->first; s < log->end; s++) ring[s & (cap - 1)] = *sb_memory_log_at(log, s);
  free(log->ring);
  log->ring = ring;
  log->cap = cap;
}

void sb_memory_log_append(struct sb_memory_log *log, const struct sb_envelope *envelope,
                          struct sb_body *channel, struct sb_body *body) {
  if (log->end - log->first == log->cap) grow(log);
  struct sb_memory_entry *entry = &log->ring[log->end & (log->cap - 1)];
  entry->envelope = *envelope;
  entry->channel = channel ? sb_body_ref(channel) : NULL;
  entry->body = sb_body_ref(body);
  log->bytes += body->len;
  log->end++;
}

void sb_memory_log_drop(struct sb_memory_log *log, uint64_t sequence) {
  for (; log->first < log->end && log->first < sequence; log->first++) {
    const struct sb_memory_entry *entry = sb_memory_log_at(log, log->first);
    log->bytes -= entry->body->len;
    sb_body_unref(entry->channel);
    sb_body_unref(entry->body);
  }
}

void sb_memory_log_restart(struct sb_memory_log *log, uint64_t sequence) {
  sb_memory_log_drop(log, log->end);
  log->first = log->end = sequence;
  log->life++;
}

struct sb_memory_logs *sb_memory_logs_new(uint32_t partitions) {
  struct sb_memory_logs *logs = sb_calloc(1, sizeof *logs + partitions * sizeof *logs->at);
  logs->partitions = partitions;
  return logs;
}

void sb_memory_logs_free(struct sb_memory_logs *logs) {
  if (!logs) return;
  for (uint32_t p = 0; p < logs->partitions; p++) sb_memory_log_close(&logs->at[p]);
  free(logs);
}
