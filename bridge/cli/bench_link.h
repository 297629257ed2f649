/* One connection to a server that speaks the Redis protocol: hiredis, read in a way that keeps the client
 * cheap. hiredis moves what it has not parsed yet whenever it has parsed 1 KiB, so it is fed by small slices
 * from a larger buffer; that takes a third off the cost of a subscriber. */
#ifndef SB_CLI_BENCH_LINK_H
#define SB_CLI_BENCH_LINK_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "bridge/cli/bench_plan.h"

#define SB_BENCH_RECEIVE_BYTES 65536
#define SB_BENCH_SLICE_BYTES   2048

struct sb_bench_link {
  const struct sb_bench_plan *plan;
  redisContext *redis;
  uint8_t *received;
  size_t at, len; /* received[at, len) was not given to hiredis yet */
};

/* `where` is a path, unless there is a ':' and no '/' in it: that is host:port. Gives the
 * password in $SIDEBUS_PASSWORD, if there is one. Every wait on the connection ends after the plan's
 * patience. Closed by sb_bench_link_close in any case. */
int sb_bench_link_open(struct sb_bench_link *link, const struct sb_bench_plan *plan, const char *where,
                       struct sb_error *error);
void sb_bench_link_close(struct sb_bench_link *link);

/* Writes all that was appended. */
int sb_bench_link_flush(struct sb_bench_link *link, struct sb_error *error);

/* Waits for bytes and takes what has come. */
int sb_bench_link_receive(struct sb_bench_link *link, struct sb_error *error);

bool sb_bench_link_readable(const struct sb_bench_link *link, uint64_t wait_ns);

/* The next reply in what was received, to be freed with sb_bench_reply_free; *reply is NULL when there is no
 * complete one. */
int sb_bench_link_next(struct sb_bench_link *link, redisReply **reply, struct sb_error *error);

/* The same, waiting for it. */
int sb_bench_link_await(struct sb_bench_link *link, redisReply **reply, struct sb_error *error);

/* Sends one command and waits for its reply, which must be of the given type (REDIS_REPLY_…). */
int sb_bench_link_call(struct sb_bench_link *link, int argc, const char **words, const size_t *lens, int type,
                       struct sb_error *error);

/* Why hiredis refused. */
int sb_bench_link_lost(const struct sb_bench_link *link, struct sb_error *error);

#endif
