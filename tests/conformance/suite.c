#include "tests/conformance/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/cases.h"
#include "tests/conformance/hub.h"

static int setup(void **state, bool forgetful) {
  struct hub *hub = hub_new(*state, NULL, forgetful);
  *state = hub;
  if (!hub->fixture) return -1;
  hub_start(hub);
  hub_attach_all(hub);
  return 0;
}

static int case_setup(void **state) {
  return setup(state, false);
}

int case_setup_forgetful(void **state) {
  return setup(state, true);
}

static int teardown(void **state) {
  hub_free(*state);
  return 0;
}

int conformance_run_cases(const char *name, const struct CMUnitTest *cases, size_t count,
                          CMFixtureFunction setup_group, CMFixtureFunction teardown_group, int argc,
                          char **argv) {
  const char *shard = getenv("SB_TEST_SHARD"), *but = getenv("SB_TEST_BUT");
  size_t first = 0, step = 1, mine = 0;
  if (shard) {
    char *slash = NULL;
    first = strtoul(shard, &slash, 10);
    step = *slash == '/' ? strtoul(slash + 1, NULL, 10) : 0;
    if (first < 1 || first-- > step) {
      fprintf(stderr, "SB_TEST_SHARD=%s: not like 2/3\n", shard);
      return EXIT_FAILURE;
    }
  }
  if (but) cmocka_set_skip_filter(but);
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  struct CMUnitTest *picked = sb_calloc(count, sizeof *picked);
  for (size_t i = first; i < count; i += step) picked[mine++] = cases[i];
  int failed = _cmocka_run_group_tests(name, picked, mine, setup_group, teardown_group);
  free(picked);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int conformance_run(const struct fixture_ops *ops, int argc, char **argv) {
  size_t count = 0;
  struct CMUnitTest *tests = sb_calloc(flow_case_count + fault_case_count, sizeof *tests);
  for (size_t i = 0; i < flow_case_count; i++) tests[count++] = flow_cases[i];
  for (size_t i = 0; i < fault_case_count; i++) tests[count++] = fault_cases[i];
  for (size_t i = 0; i < count; i++) {
    if (!tests[i].setup_func) tests[i].setup_func = case_setup;
    tests[i].teardown_func = teardown;
    tests[i].initial_state = (void *)ops;
  }
  int status = conformance_run_cases(ops->name, tests, count, NULL, NULL, argc, argv);
  free(tests);
  return status;
}
