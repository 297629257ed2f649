#include "bridge/base/clock.h"

#include <limits.h>
#include <time.h>

static int64_t read_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sb_clock_ms(void) {
  return read_ms(CLOCK_MONOTONIC);
}

int64_t sb_clock_coarse_ms(void) {
  return read_ms(CLOCK_MONOTONIC_COARSE);
}

uint64_t sb_clock_unix_ms(void) {
  return (uint64_t)read_ms(CLOCK_REALTIME);
}

int sb_clock_poll_ms(int64_t until_ms) {
  if (until_ms == INT64_MAX) return -1;
  int64_t left_ms = until_ms - sb_clock_ms();
  if (left_ms <= 0) return 0;
  return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
