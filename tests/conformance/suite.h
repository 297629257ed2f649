/* The conformance suite: what transports/transport.h promises, checked on any transport. */
#ifndef SB_TESTS_CONFORMANCE_SUITE_H
#define SB_TESTS_CONFORMANCE_SUITE_H

#include "tests/conformance/fixture.h"

/* A program that ends with it was skipped. */
#define CONFORMANCE_SKIPPED 77

/* Runs every case; returns the exit status. An argument of the program is a pattern of cases to run. */
int conformance_run(const struct fixture_ops *ops, int argc, char **argv);

#endif
