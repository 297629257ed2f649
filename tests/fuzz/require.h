/* What a harness insists on: the fuzzer counts an abort as a find, and keeps the input. */
#ifndef SB_TESTS_FUZZ_REQUIRE_H
#define SB_TESTS_FUZZ_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(what)                                                                                        \
  do {                                                                                                       \
    if (!(what)) {                                                                                           \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                     \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

#endif
