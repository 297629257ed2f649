/* Random tests print the seed that they began with, and begin with SB_TEST_SEED when it is set. */
#ifndef SB_TESTS_UNIT_SEED_H
#define SB_TESTS_UNIT_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void seed_from_environment(void) {
  const char *given = getenv("SB_TEST_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20241122u;
  printf("seed %u (SB_TEST_SEED)\n", seed);
  srandom(seed);
}

/* 0 to bound - 1; bound is above 0. */
static inline uint32_t below(uint32_t bound) {
  if (bound == 0) abort();
  return (uint32_t)random() % bound;
}

#endif
