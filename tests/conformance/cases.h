/* The cases, in two lists: what happens while the broker is well, and what happens when it is not. Each gets
 * a hub that is started and attached to empty logs. */
#ifndef SB_TESTS_CONFORMANCE_CASES_H
#define SB_TESTS_CONFORMANCE_CASES_H

#include "tests/conformance/hub.h"

extern const struct CMUnitTest flow_cases[], fault_cases[];
extern const size_t flow_case_count, fault_case_count;

/* For the case that needs forgetful logs; the others get the plain ones. */
int case_setup_forgetful(void **state);

#define CASE_NEEDS(hub, fault)                                                                               \
  do {                                                                                                       \
    if (!(hub)->ops->fault) skip();                                                                          \
  } while (0)

#endif
