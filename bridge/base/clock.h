/* The monotonic clock, and deadlines on it: ms as int64_t, of which INT64_MAX is never. And the wall clock.
 * Not for the pure layers, which are told the time. */
#ifndef SB_BASE_CLOCK_H
#define SB_BASE_CLOCK_H

#include <stdint.h>

int64_t sb_clock_ms(void);

/* The wall clock: ms since 1970 in UTC. */
uint64_t sb_clock_unix_ms(void);

/* The monotonic clock for as little as reading a variable costs; it may be a few ms late. */
int64_t sb_clock_coarse_ms(void);

/* For poll(2): how long until `until_ms`, -1 for ever. */
int sb_clock_poll_ms(int64_t until_ms);

static inline int64_t sb_sooner(int64_t a, int64_t b) {
  return a < b ? a : b;
}

#endif
