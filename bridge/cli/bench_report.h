/* The outcome of a measurement: figures from what its processes left, for people and as JSON. */
#ifndef SB_CLI_BENCH_REPORT_H
#define SB_CLI_BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bridge/cli/bench_run.h"

struct sb_bench_report {
  uint64_t sent;         /* answered publishes of all publishers */
  uint64_t deliveries;   /* of all subscribers */
  double seconds;        /* from the first publish to the last delivery at the slowest subscriber */
  double per_second;     /* messages, each counted once however many subscribers it has */
  double publish_cpu_ns; /* of the publishers, per message */
  double receive_cpu_ns; /* of one subscriber, per message */
  uint64_t lost, doubled, reordered, damaged, foreign; /* summed over the subscribers */
  unsigned diverged;                   /* channels that two subscribers saw in different orders */
  struct sb_bench_latencies latencies; /* of all deliveries */
};

void sb_bench_report_make(struct sb_bench_report *report, const struct sb_bench_plan *plan,
                          const struct sb_bench_result *result);

/* Every message once, in order, and as it was sent, at every subscriber. */
bool sb_bench_report_clean(const struct sb_bench_report *report);

void sb_bench_report_print(const struct sb_bench_report *report, const struct sb_bench_plan *plan, FILE *to);

#endif
