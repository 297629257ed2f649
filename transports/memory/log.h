/* The log of one partition, kept in the process: a window [first, end) of numbered messages. No thread, no
 * I/O. What it holds it holds by reference. */
#ifndef SB_TRANSPORTS_MEMORY_LOG_H
#define SB_TRANSPORTS_MEMORY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"

struct sb_memory_entry {
  struct sb_envelope envelope;
  struct sb_body *channel; /* of a foreign message, else NULL */
  struct sb_body *body;
};

/* Storage that the caller holds; zeroed is an empty log. */
struct sb_memory_log {
  uint64_t life;                /* another one when the log was emptied or made again */
  uint64_t first, end;          /* sequences that are stored; equal when it is empty */
  size_t bytes;                 /* of the stored bodies */
  struct sb_memory_entry *ring; /* sequence s is at ring[s % cap]; cap is zero or a power of two */
  size_t cap;
};

void sb_memory_log_close(struct sb_memory_log *log);

/* Takes references of its own. */
void sb_memory_log_append(struct sb_memory_log *log, const struct sb_envelope *envelope,
                          struct sb_body *channel, struct sb_body *body);

/* first <= sequence < end. Holds until the next append. */
static inline const struct sb_memory_entry *sb_memory_log_at(const struct sb_memory_log *log,
                                                             uint64_t sequence) {
  return &log->ring[sequence & (log->cap - 1)];
}

/* Forgets what is below `sequence`; what is not stored yet cannot be forgotten. */
void sb_memory_log_drop(struct sb_memory_log *log, uint64_t sequence);

/* Forgets everything; the next message gets `sequence`. */
void sb_memory_log_restart(struct sb_memory_log *log, uint64_t sequence);

/* The logs of all partitions, for a caller that lets them outlive a transport. */
struct sb_memory_logs {
  uint32_t partitions;
  bool in_use; /* a transport was started on them and is not yet closed */
  struct sb_memory_log at[];
};

struct sb_memory_logs *sb_memory_logs_new(uint32_t partitions);
void sb_memory_logs_free(struct sb_memory_logs *logs);

#endif
