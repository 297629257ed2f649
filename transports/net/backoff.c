#include "transports/net/backoff.h"

#include <stdlib.h>

#include "bridge/base/clock.h"

/* A pause is this share of the time for which the broker has failed: a quarter. Then a node makes some dozen
 * attempts until its pauses have grown to half a minute. */
#define SHARE       4
/* A refused connection costs next to nothing. With these pauses a broker that is back is found within a
 * second. */
#define AWAY_MAX_MS 500
/* A link that held so long was a good one. When links are lost sooner, again and again, the pauses grow. */
#define HELD_MS     5000

static int64_t within(int64_t value, int64_t min, int64_t max) {
  if (value > max) return max;
  return value < min ? min : value;
}

static int64_t jittered(int64_t pause_ms, unsigned *seed) {
  return pause_ms / 2 + rand_r(seed) % (pause_ms / 2 + 1);
}

int64_t sb_backoff_share_ms(const struct sb_backoff_limits *limits, int64_t since_ms, int64_t now_ms,
                            unsigned *seed) {
  return jittered(within((now_ms - since_ms) / SHARE, limits->min_ms, limits->max_ms), seed);
}

int64_t sb_backoff_doubled_ms(const struct sb_backoff_limits *limits, uint32_t failures, unsigned *seed) {
  int64_t pause_ms = limits->min_ms;
  for (uint32_t i = 1; i < failures && pause_ms < limits->max_ms; i++) pause_ms *= 2;
  return jittered(sb_sooner(pause_ms, limits->max_ms), seed);
}

/* A host that was away and now refuses, or the other way round, begins a new row of failures: it may be
 * another process by now. */
static void begin_row(struct sb_backoff *backoff, enum sb_failure failure, int64_t now_ms) {
  if (backoff->since_ms && backoff->row == failure) return;
  backoff->row = failure;
  backoff->since_ms = now_ms;
}

int64_t sb_backoff_ms(struct sb_backoff *backoff, const struct sb_backoff_limits *limits,
                      enum sb_failure failure, int64_t up_ms, int64_t now_ms) {
  if (failure == SB_FAILURE_LOST && up_ms >= HELD_MS) backoff->since_ms = 0;
  begin_row(backoff, failure, now_ms);
  struct sb_backoff_limits mine = *limits;
  /* All hosts together get no longer than one host alone would. */
  if (failure == SB_FAILURE_AWAY) mine.max_ms = within(mine.max_ms, 0, AWAY_MAX_MS) / mine.hosts;
  /* A good link that was lost may have been ended by somebody on purpose: the first attempt comes soon. If
   * links are lost again and again, the pauses grow. */
  if (failure == SB_FAILURE_LOST) mine.min_ms = within(mine.min_ms, 0, AWAY_MAX_MS);
  mine.min_ms = within(mine.min_ms, 0, mine.max_ms);
  return sb_backoff_share_ms(&mine, backoff->since_ms, now_ms, &backoff->seed);
}

int64_t sb_backoff_next(struct sb_backoff_host *hosts, const struct sb_backoff_limits *limits, size_t *at,
                        enum sb_failure failure, int64_t up_ms, int64_t now_ms) {
  struct sb_backoff_host *failed = &hosts[*at];
  const struct sb_backoff_limits first = {limits->min_ms, limits->min_ms, limits->hosts};
  int64_t pause_ms = sb_backoff_ms(&failed->backoff, limits, failure, up_ms, now_ms);
  int64_t least_ms = sb_backoff_share_ms(&first, now_ms, now_ms, &failed->backoff.seed);
  failed->due_ms = now_ms + pause_ms;
  size_t next = *at;
  for (size_t i = 1; i <= limits->hosts; i++) {
    size_t host = (*at + i) % limits->hosts;
    if (i == 1 || hosts[host].due_ms < hosts[next].due_ms) next = host;
  }
  *at = next;
  /* The other hosts may be due already. Without a least pause they would all be tried at once. */
  return within(hosts[next].due_ms - now_ms, least_ms < pause_ms ? least_ms : pause_ms, INT64_MAX);
}
