/* The conformance suite: what transports/transport.h promises, checked on any transport. */
#ifndef SB_TESTS_CONFORMANCE_SUITE_H
#define SB_TESTS_CONFORMANCE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/conformance/fixture.h"

/* A program that ends with it was skipped. */
#define CONFORMANCE_SKIPPED 77

/* Runs cases; returns the exit status. An argument of the program is a pattern of cases to run. The
 * environment may say SB_TEST_SHARD=2/3, so that the cases are shared out to three processes, of which this
 * is the second, and SB_TEST_BUT, a pattern of cases to leave out. */
int conformance_run_cases(const char *name, const struct CMUnitTest *cases, size_t count,
                          CMFixtureFunction setup, CMFixtureFunction teardown, int argc, char **argv);

/* Likewise, the cases that every transport passes. */
int conformance_run(const struct fixture_ops *ops, int argc, char **argv);

#endif
