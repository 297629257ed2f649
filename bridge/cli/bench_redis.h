/* The publisher and the subscriber of a measurement as a Redis client writes them with hiredis, synchronous
 * and pipelined. Works on sidebus and on redis-server alike. */
#ifndef SB_CLI_BENCH_REDIS_H
#define SB_CLI_BENCH_REDIS_H

#include "bridge/cli/bench_run.h"

extern const struct sb_bench_roles sb_bench_redis;

/* Opens plan->idle sessions, prints "holding N", and closes them when standard input ends. */
int sb_bench_hold_idle(const struct sb_bench_plan *plan, struct sb_error *error);

#endif
