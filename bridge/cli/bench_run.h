/* Runs a measurement: one process per subscriber and per publisher, started together. So each has its own
 * share of the processors, as clients of real apps have, and what each uses can be measured.
 *
 *     parent: fork subscribers ── all subscribed ── fork publishers ── all connected ── go
 *             wait for publishers ── publish an end mark on every channel ── wait for subscribers
 *
 * Nothing is lost when every subscriber has got, at the marks, what publishers counted as answered. */
#ifndef SB_CLI_BENCH_RUN_H
#define SB_CLI_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "bridge/cli/bench_plan.h"
#include "bridge/cli/bench_tally.h"

/* What a process leaves in shared memory. */
struct sb_bench_client {
  uint64_t sent; /* publishers: messages whose publish was answered */
  uint64_t first_ns;
  uint64_t cpu_ns; /* from the start of the measurement on */
  int code;
  char text[SB_ERROR_TEXT_MAX];
};

struct sb_bench_result {
  size_t size;
  struct sb_bench_client publishers[SB_BENCH_CLIENTS_MAX];
  struct sb_bench_client subscribers[SB_BENCH_CLIENTS_MAX];
  struct sb_bench_tally tallies[]; /* of the subscribers */
};

/* A process's place in the run. */
struct sb_bench_seat {
  unsigned index;
  struct sb_bench_client *client;
  struct sb_bench_result *result;
  int ready_fd, go_fd;
  uint64_t cpu_start_ns;
};

/* The part that knows the protocol. publish() and subscribe() run in processes of their own. */
struct sb_bench_roles {
  /* What the server needs before anybody connects. May be NULL. */
  int (*prepare)(const struct sb_bench_plan *plan, struct sb_error *error);
  /* Connects, calls sb_bench_go, sends, fills client->sent and first_ns. */
  int (*publish)(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error);
  /* Subscribes, calls sb_bench_ready, and feeds a tracker as long as sb_bench_listen_ns says. */
  int (*subscribe)(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error);
  /* Publishes the end marks. */
  int (*finish)(const struct sb_bench_plan *plan, struct sb_error *error);
  /* Removes what the run left at the server; called also after a failure. May be NULL. */
  int (*clean_up)(const struct sb_bench_plan *plan, struct sb_error *error);
};

/* The result is freed with sb_bench_result_free. After an error it holds what there was until then. */
int sb_bench_run(const struct sb_bench_plan *plan, const struct sb_bench_roles *roles,
                 struct sb_bench_result **result, struct sb_error *error);
void sb_bench_result_free(struct sb_bench_result *result);

/* In the process of a subscriber: says that it hears from now on. */
int sb_bench_ready(struct sb_bench_seat *seat, struct sb_error *error);
/* In the process of a publisher: says ready and waits for the start. */
int sb_bench_go(struct sb_bench_seat *seat, struct sb_error *error);

/* Messages of all publishers. Valid once the end marks are on their way. */
uint64_t sb_bench_sent(const struct sb_bench_plan *plan, const struct sb_bench_result *result);

/* When the n-th message of publisher `index` is due after the start at `start_ns`, for a plan with a rate. */
uint64_t sb_bench_due_ns(const struct sb_bench_plan *plan, unsigned index, uint64_t start_ns, uint64_t n);
void sb_bench_sleep_until(uint64_t due_ns);

#endif
