/* What one subscriber saw: latencies, and whether every message came once and in order.
 *
 * The tally lies in memory that the measuring processes share (bench_run.h); the tracker beside it, which
 * remembers what has come, belongs to the subscriber alone. */
#ifndef SB_CLI_BENCH_TALLY_H
#define SB_CLI_BENCH_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/cli/bench_plan.h"

/* Latencies are counted in buckets of 1/64 of a power of two: exact below 64 ns, within 1.6 % above. */
#define SB_BENCH_BUCKET_BITS 6
#define SB_BENCH_BUCKETS     ((42 - SB_BENCH_BUCKET_BITS) << SB_BENCH_BUCKET_BITS) /* up to 2^41 ns */

struct sb_bench_latencies {
  uint64_t count, max_ns;
  uint64_t buckets[SB_BENCH_BUCKETS];
};

void sb_bench_latencies_add(struct sb_bench_latencies *all, uint64_t ns);
void sb_bench_latencies_merge(struct sb_bench_latencies *all, const struct sb_bench_latencies *more);

/* The latency that `share` (0 to 1) of the messages did not exceed; 0 when there are none. */
uint64_t sb_bench_latencies_at(const struct sb_bench_latencies *all, double share);

struct sb_bench_tally {
  uint64_t received;  /* different messages of this run */
  uint64_t doubled;   /* came again */
  uint64_t reordered; /* came after a later one of the same publisher on the same channel */
  uint64_t damaged;   /* another channel, or not the content that was sent */
  uint64_t foreign;   /* not of this run; no fault */
  uint64_t last_ns;
  struct sb_bench_latencies latencies;
  uint64_t order[SB_BENCH_CHANNELS_MAX]; /* per channel a hash over (publisher, number) in order of arrival */
};

struct sb_bench_tracker {
  const struct sb_bench_plan *plan;
  struct sb_bench_tally *tally;
  uint8_t *block;                 /* of the filling, when it is compared */
  uint64_t *next;                 /* per publisher and channel: 1 + the highest number that came */
  struct sb_buf *seen;            /* per publisher: a bit for every number */
  bool *ended;                    /* per channel */
  unsigned open_channels;         /* whose end has not come */
  uint64_t ended_ns, complete_ns; /* when the last end came, when nothing was missing any more; 0: not yet */
};

void sb_bench_tracker_init(struct sb_bench_tracker *tracker, const struct sb_bench_plan *plan,
                           struct sb_bench_tally *tally);
void sb_bench_tracker_close(struct sb_bench_tracker *tracker);

/* `channel` is where the message came from; now_ns when. */
void sb_bench_tracker_take(struct sb_bench_tracker *tracker, struct sb_bytes channel, struct sb_bytes payload,
                           uint64_t now_ns);

/* How much longer a subscriber listens, in ns; 0 when it is done. Before the last end mark that is the plan's
 * patience. After it late messages have SB_BENCH_LATE_MS to come; when all are there, another
 * SB_BENCH_LINGER_MS show what comes twice. `sent` is the number of messages of all publishers. */
#define SB_BENCH_LATE_MS   2000
#define SB_BENCH_LINGER_MS 100
uint64_t sb_bench_listen_ns(struct sb_bench_tracker *tracker, uint64_t sent, uint64_t now_ns);

#endif
