/* How long a transport waits before it tries its broker again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transports/net/backoff.h"

#define SEEDS 200

static const struct sb_backoff_limits limits = {200, 30000, 1};

/* Fails in the same way from `at_ms` on for `for_ms`; the time of the try behind the end. */
static int64_t fail_for(struct sb_backoff *backoff, enum sb_failure failure, int64_t at_ms, int64_t for_ms) {
  int64_t until_ms = at_ms + for_ms;
  while (at_ms < until_ms) at_ms += sb_backoff_ms(backoff, &limits, failure, 0, at_ms);
  return at_ms;
}

static void a_broker_that_was_away_is_found_within_half_a_second(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < SEEDS; seed++)
    for (int64_t away_ms = 1; away_ms < 10000000; away_ms *= 7) {
      struct sb_backoff backoff = {.seed = seed};
      assert_in_range(fail_for(&backoff, SB_FAILURE_AWAY, 1000, away_ms) - 1000 - away_ms, 0, 500);
    }
}

static void what_a_broker_refused_costs_a_quarter_of_the_time_at_most(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < SEEDS; seed++)
    for (int64_t refused_ms = 1; refused_ms < 10000000; refused_ms *= 7) {
      struct sb_backoff backoff = {.seed = seed};
      int64_t late_ms = fail_for(&backoff, SB_FAILURE_REFUSED, 1000, refused_ms) - 1000 - refused_ms;
      assert_in_range(late_ms, 0, refused_ms / 4 > 200 ? refused_ms / 4 : 200);
      assert_in_range(late_ms, 0, 30000);
    }
}

static void what_is_refused_for_long_is_tried_seldom(void **state) {
  (void)state;
  struct sb_backoff backoff = {.seed = 1};
  int64_t at_ms = 1000;
  unsigned tries = 0;
  for (; at_ms < 3600000; tries++) at_ms += sb_backoff_ms(&backoff, &limits, SB_FAILURE_REFUSED, 0, at_ms);
  assert_in_range(tries, 120, 260); /* every 15 to 30 s */
}

static void a_long_outage_does_not_slow_what_comes_after_it(void **state) {
  (void)state;
  struct sb_backoff backoff = {.seed = 1};
  int64_t at_ms = fail_for(&backoff, SB_FAILURE_REFUSED, 1000, 3600000);
  at_ms = fail_for(&backoff, SB_FAILURE_AWAY, at_ms, 3600000);
  assert_in_range(sb_backoff_ms(&backoff, &limits, SB_FAILURE_REFUSED, 0, at_ms), 100, 200);
  assert_in_range(sb_backoff_ms(&backoff, &limits, SB_FAILURE_LOST, 1000, at_ms + 1000), 100, 200);
}

static void a_link_that_never_holds_is_tried_less_and_less(void **state) {
  (void)state;
  struct sb_backoff backoff = {.seed = 1};
  int64_t at_ms = 1000;
  unsigned tries = 0;
  for (; at_ms < 600000; tries++)
    at_ms += 100 + sb_backoff_ms(&backoff, &limits, SB_FAILURE_LOST, 100, at_ms);
  assert_in_range(tries, 20, 80);
  assert_in_range(sb_backoff_ms(&backoff, &limits, SB_FAILURE_LOST, 10000, at_ms + 10000), 100, 200);
}

static void a_round_over_many_hosts_takes_no_longer_than_one_host(void **state) {
  (void)state;
  const struct sb_backoff_limits three = {200, 30000, 3};
  struct sb_backoff backoff = {.seed = 1};
  int64_t began_ms = 1000, at_ms = began_ms;
  for (int i = 0; i < 30; i++) at_ms += sb_backoff_ms(&backoff, &three, SB_FAILURE_AWAY, 0, at_ms);
  assert_in_range(at_ms - began_ms, 0, 10 * 500);
}

/* A host that refuses a login, and one that is away, for an hour. */
static void a_host_that_is_away_does_not_make_another_be_asked_more_often(void **state) {
  (void)state;
  const struct sb_backoff_limits two = {200, 30000, 2};
  for (unsigned seed = 0; seed < SEEDS; seed++) {
    struct sb_backoff_host hosts[2] = {{.backoff.seed = seed}, {.backoff.seed = seed + 1}};
    unsigned tries[2] = {0};
    int64_t last_ms = 1000, longest_ms = 0;
    size_t at = 0;
    for (int64_t at_ms = 1000; at_ms < 3600000; tries[at]++) {
      if (at == 1 && at_ms - last_ms > longest_ms) longest_ms = at_ms - last_ms;
      if (at == 1) last_ms = at_ms;
      at_ms += sb_backoff_next(hosts, &two, &at, at == 0 ? SB_FAILURE_REFUSED : SB_FAILURE_AWAY, 0, at_ms);
    }
    assert_in_range(tries[0], 100, 280); /* as if it were alone */
    assert_in_range(longest_ms, 0, 1000);
  }
}

static void all_hosts_are_tried_in_turn(void **state) {
  (void)state;
  const struct sb_backoff_limits three = {200, 30000, 3};
  for (enum sb_failure failure = SB_FAILURE_AWAY; failure <= SB_FAILURE_LOST; failure++) {
    struct sb_backoff_host hosts[3] = {{.due_ms = 0}};
    int64_t at_ms = 1000;
    unsigned tries[3] = {0};
    size_t at = 2;
    for (int i = 0; i < 3; i++, tries[at]++)
      at_ms += sb_backoff_next(hosts, &three, &at, failure, 10000, at_ms);
    for (int i = 0; i < 3; i++) assert_int_equal(tries[i], 1);
    assert_in_range(at_ms, 1000, 1000 + 3 * 200);
  }
}

static void the_configured_limits_hold(void **state) {
  (void)state;
  const struct sb_backoff_limits narrow = {10, 100, 1};
  for (unsigned seed = 0; seed < SEEDS; seed++)
    for (enum sb_failure failure = SB_FAILURE_AWAY; failure <= SB_FAILURE_LOST; failure++) {
      struct sb_backoff backoff = {.seed = seed};
      assert_in_range(sb_backoff_ms(&backoff, &narrow, failure, 0, 1000), 5, 10);
      assert_in_range(sb_backoff_ms(&backoff, &narrow, failure, 0, 1000000), 50, 100);
    }
}

static void a_long_first_pause_is_for_what_is_refused_only(void **state) {
  (void)state;
  const struct sb_backoff_limits slow = {20000, 60000, 1};
  struct sb_backoff backoff = {.seed = 1};
  assert_in_range(sb_backoff_ms(&backoff, &slow, SB_FAILURE_LOST, 10000, 1000), 250, 500);
  assert_in_range(sb_backoff_ms(&backoff, &slow, SB_FAILURE_AWAY, 0, 2000), 250, 500);
  assert_in_range(sb_backoff_ms(&backoff, &slow, SB_FAILURE_REFUSED, 0, 3000), 10000, 20000);
}

static void nodes_do_not_come_back_all_at_once(void **state) {
  (void)state;
  unsigned by_slice[5] = {0};
  for (unsigned seed = 0; seed < SEEDS; seed++) {
    struct sb_backoff backoff = {.seed = seed};
    fail_for(&backoff, SB_FAILURE_AWAY, 1000, 60000);
    by_slice[(sb_backoff_ms(&backoff, &limits, SB_FAILURE_AWAY, 0, 70000) - 250) / 51]++;
  }
  for (int i = 0; i < 5; i++) assert_in_range(by_slice[i], SEEDS / 10, SEEDS / 3);
}

static void a_pause_doubles_with_each_failure_up_to_the_limit(void **state) {
  (void)state;
  const struct sb_backoff_limits narrow = {200, 1500, 1};
  const int64_t full_ms[] = {200, 200, 400, 800, 1500, 1500};
  for (unsigned seed = 0; seed < SEEDS; seed++)
    for (uint32_t failures = 0; failures < sizeof full_ms / sizeof *full_ms; failures++) {
      unsigned own = seed;
      assert_in_range(sb_backoff_doubled_ms(&narrow, failures, &own), full_ms[failures] / 2,
                      full_ms[failures]);
    }
  unsigned seed = 1;
  assert_in_range(sb_backoff_doubled_ms(&narrow, UINT32_MAX, &seed), 750, 1500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_broker_that_was_away_is_found_within_half_a_second),
      cmocka_unit_test(what_a_broker_refused_costs_a_quarter_of_the_time_at_most),
      cmocka_unit_test(what_is_refused_for_long_is_tried_seldom),
      cmocka_unit_test(a_long_outage_does_not_slow_what_comes_after_it),
      cmocka_unit_test(a_link_that_never_holds_is_tried_less_and_less),
      cmocka_unit_test(a_round_over_many_hosts_takes_no_longer_than_one_host),
      cmocka_unit_test(a_host_that_is_away_does_not_make_another_be_asked_more_often),
      cmocka_unit_test(all_hosts_are_tried_in_turn),
      cmocka_unit_test(the_configured_limits_hold),
      cmocka_unit_test(a_long_first_pause_is_for_what_is_refused_only),
      cmocka_unit_test(a_pause_doubles_with_each_failure_up_to_the_limit),
      cmocka_unit_test(nodes_do_not_come_back_all_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
