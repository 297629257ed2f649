/* A measuring program: throughput, latency and correctness of a bus, seen from its clients. `sidebus bench`
 * is one (sb_cli_bench in cli.h), tests/bench/raw_rabbitmq.c another. */
#ifndef SB_CLI_BENCH_H
#define SB_CLI_BENCH_H

#include "bridge/cli/bench_run.h"

struct sb_bench_program {
  const char *name; /* stands before its errors */
  const char *usage;
  const char *default_socket; /* NULL: there is none */
  const struct sb_bench_roles *roles;
  /* Holds plan->idle sessions until standard input ends; NULL when the program cannot. */
  int (*hold_idle)(const struct sb_bench_plan *plan, struct sb_error *error);
};

/* Returns the exit status: 0; 1 when messages were lost, doubled, reordered or damaged, or the run failed; 2
 * for a command line that makes no sense. */
int sb_bench_main(const struct sb_bench_program *program, int argc, char **argv);

#endif
