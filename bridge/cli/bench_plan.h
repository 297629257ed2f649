/* What a measurement does: its options, as `sidebus bench` and tests/bench/raw_rabbitmq take them. */
#ifndef SB_CLI_BENCH_PLAN_H
#define SB_CLI_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"

#define SB_BENCH_SOCKETS_MAX  16
#define SB_BENCH_CLIENTS_MAX  256                 /* publishers; also subscribers: each is a process */
#define SB_BENCH_CHANNELS_MAX 4096                /* subscribed to with one command */
#define SB_BENCH_MESSAGES_MAX (UINT64_C(1) << 30) /* per publisher; a subscriber keeps a bit for each */
#define SB_BENCH_SESSIONS_MAX 1000000

struct sb_bench_sockets {
  const char *at[SB_BENCH_SOCKETS_MAX]; /* a path, or host:port */
  unsigned count;
};

struct sb_bench_plan {
  struct sb_bench_sockets sockets, publish_to, subscribe_to;
  unsigned publishers;
  unsigned subscribers; /* on each socket */
  unsigned channels;
  const char *channel;  /* names are "<channel>:<0 … channels - 1>" */
  struct sb_buf *names; /* of the channels */
  size_t payload_bytes;
  uint64_t messages; /* per publisher */
  double seconds;    /* stop after this even when `messages` were not sent; 0: no such limit */
  double rate;       /* messages a second of all publishers together; 0: as fast as the window lets them */
  unsigned window;   /* unanswered publishes of one publisher */
  double patience;   /* seconds without any progress that end the run */
  unsigned idle;     /* instead of measuring, hold so many idle sessions */
  bool compressible, verify, lean, json;
  uint32_t run;
};

/* Reads the command line; `usage` comes before the list of options that --help prints, `default_socket` (may
 * be NULL) is used when none is named. Returns 0, 1 when help was printed, or a code of sb_error; only after
 * 0 there is something to close. Strings are kept by reference. */
int sb_bench_plan_init(struct sb_bench_plan *plan, int argc, char **argv, const char *usage,
                       const char *default_socket, struct sb_error *error);
void sb_bench_plan_close(struct sb_bench_plan *plan);

/* The socket of the n-th publisher, of the n-th of all subscribers. */
const char *sb_bench_publish_socket(const struct sb_bench_plan *plan, unsigned n);
const char *sb_bench_subscribe_socket(const struct sb_bench_plan *plan, unsigned n);
unsigned sb_bench_subscribers(const struct sb_bench_plan *plan);

#endif
