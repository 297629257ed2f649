/* When the log is left alone for sessions to follow. Time is told by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/redis/sockets/pace.h"

#define MIB ((size_t)1024 * 1024)

/* As wide as what they are compared with. */
static const uint64_t BUDGET_MS = SB_PACE_BUDGET_MS, REGAIN = SB_PACE_REGAIN, OUTAGE_MS = SB_PACE_OUTAGE_MS,
                      OUTAGE_TIMES = SB_PACE_OUTAGE_TIMES, LOOK_MS = SB_PACE_LOOK_MS,
                      PATIENCE_MS = SB_PACE_PATIENCE_MS;
#define START 1000000

/* A session that is behind all the time and whose peer reads `rate` bytes a second. */
struct reader {
  struct sb_pace_session session;
  size_t rate;
};

static struct sb_pace open_pace(void) {
  struct sb_pace pace;
  sb_pace_init(&pace, START, 32 * MIB, 8 * MIB);
  return pace;
}

static struct reader reader_of(const struct sb_pace *pace, size_t rate) {
  struct reader reader = {.rate = rate};
  sb_pace_session_init(pace, &reader.session);
  return reader;
}

/* `ms` pass, a turn each, with these sessions behind. Returns how long the log stood. */
static uint64_t pass(struct sb_pace *pace, struct reader *readers, int count, uint64_t ms) {
  uint64_t before = pace->stood_ms;
  for (uint64_t i = 0; i < ms; i++) {
    bool behind = false;
    sb_pace_tell_time(pace, pace->now_ms + 1);
    for (int r = 0; r < count; r++) {
      sb_pace_has_read(pace, &readers[r].session, readers[r].rate / 1000);
      behind |= sb_pace_is_patient(pace, &readers[r].session);
    }
    if (!sb_pace_decide(pace, behind)) sb_pace_goes_on(pace, 0);
  }
  return pace->stood_ms - before;
}

/* The log was silent for so long, and something of ours was on its way all that time. */
static void outage(struct sb_pace *pace, uint64_t ms) {
  sb_pace_decide(pace, false);
  sb_pace_tell_time(pace, pace->now_ms + ms);
  assert_true(sb_pace_was_silent(pace));
  sb_pace_goes_on(pace, ms);
}

static void test_the_mark_leaves_room_below_both_limits(void **state) {
  (void)state;
  assert_int_equal(sb_pace_mark(32 * MIB, 8 * MIB), 4 * MIB);
  assert_int_equal(sb_pace_mark(32 * MIB, 0), 8 * MIB);
  assert_int_equal(sb_pace_mark(4 * MIB, 4 * MIB), MIB);
  assert_int_equal(sb_pace_mark(0, 4 * MIB), 2 * MIB);
  assert_int_equal(sb_pace_mark(0, 0), SIZE_MAX);
}

static void test_who_does_not_read_holds_the_log_up_once_and_briefly(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, 0);
  assert_in_range(pass(&pace, &reader, 1, 10000), PATIENCE_MS - LOOK_MS, PATIENCE_MS);
  assert_int_equal(pass(&pace, &reader, 1, 100000), 0);
  assert_int_equal(pace.times, 1);
  assert_int_equal(pace.used_up, 0);
}

static void test_many_who_do_not_read_hold_it_up_no_longer_than_one(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader readers[100];
  for (int i = 0; i < 100; i++) readers[i] = reader_of(&pace, 0);
  assert_in_range(pass(&pace, readers, 100, 10000), PATIENCE_MS - LOOK_MS, PATIENCE_MS);
}

static void test_who_dribbles_holds_it_up_for_its_share_of_the_time(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, SB_PACE_RATE_BYTES / 20);
  uint64_t stood = pass(&pace, &reader, 1, 60000);
  assert_true(stood >= 60000 / 25);
  assert_true(stood <= PATIENCE_MS + 60000 / 19);
}

static void test_who_reads_is_waited_for_as_long_as_the_budget_lasts(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, 2 * SB_PACE_RATE_BYTES);
  assert_in_range(pass(&pace, &reader, 1, BUDGET_MS - 2 * LOOK_MS), BUDGET_MS - 2 * LOOK_MS - 1, BUDGET_MS);
  assert_int_equal(pace.used_up, 0);
  uint64_t stood =
      pass(&pace, &reader, 1, 110000); /* nothing of it is left: a tenth of what passes comes back */
  assert_in_range(stood, 9000, 11000);
  assert_true(pace.used_up > 0);
}

/* Two who take turns: the log stands for a moment at a time, and what it stands is used up in between. */
static void test_a_budget_that_is_used_up_between_two_stands_is_counted_once(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  uint64_t now_ms = pace.now_ms;
  for (int i = 0; i < 3000; i++) {
    sb_pace_tell_time(&pace, now_ms += 10);
    sb_pace_decide(&pace, true);
    sb_pace_tell_time(&pace, now_ms += 10);
    sb_pace_decide(&pace, i % 2 == 0);
  }
  assert_int_equal(pace.used_up, 1);
  sb_pace_decide(&pace, false);
  sb_pace_tell_time(&pace, now_ms += (uint64_t)BUDGET_MS * SB_PACE_REGAIN);
  sb_pace_decide(&pace, false);
  for (int i = 0; i < 3000; i++) {
    sb_pace_tell_time(&pace, now_ms += 10);
    sb_pace_decide(&pace, true);
  }
  assert_int_equal(pace.used_up, 2);
}

static void test_however_many_take_turns_the_node_has_one_budget(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  uint64_t stood = 0;
  for (int i = 0; i < 100; i++) { /* each connects anew, with all its patience */
    struct reader reader = reader_of(&pace, 0);
    stood += pass(&pace, &reader, 1, PATIENCE_MS);
  }
  assert_in_range(stood, BUDGET_MS - LOOK_MS, BUDGET_MS + 100 * PATIENCE_MS / REGAIN);
}

static void test_after_an_outage_it_may_stand_twice_as_long_as_that_lasted(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, 2 * SB_PACE_RATE_BYTES);
  pass(&pace, &reader, 1, BUDGET_MS + 10); /* nothing is left from before */
  outage(&pace, 25000);
  assert_in_range(pass(&pace, &reader, 1, 50000), 49900, 50000);
  outage(&pace, 25 * OUTAGE_MS);
  assert_in_range(pass(&pace, &reader, 1, 2 * OUTAGE_MS), OUTAGE_MS, OUTAGE_MS + OUTAGE_MS / REGAIN);
}

static void test_a_quiet_log_is_no_outage_nor_is_one_that_stood_because_of_us(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, 2 * SB_PACE_RATE_BYTES);
  pass(&pace, &reader, 1, BUDGET_MS + 1);
  sb_pace_decide(&pace, false);
  sb_pace_tell_time(&pace, pace.now_ms + 5000);
  sb_pace_goes_on(&pace, 10); /* nothing of ours waited for longer */
  assert_true(pace.budget <= 5000 + (LOOK_MS + 2) * REGAIN);

  pace.budget = BUDGET_MS * REGAIN;
  sb_pace_decide(&pace, true);
  sb_pace_tell_time(&pace, pace.now_ms + 3000);
  sb_pace_decide(&pace, false);
  assert_false(sb_pace_was_silent(&pace));
  sb_pace_goes_on(&pace, 3000); /* what waited all that time waited for us */
  assert_int_equal(pace.budget, (BUDGET_MS - 3000) * REGAIN);
}

static void test_a_lost_link_is_an_outage_from_its_loss_on(void **state) {
  (void)state;
  struct sb_pace pace = open_pace();
  struct reader reader = reader_of(&pace, 2 * SB_PACE_RATE_BYTES);
  pass(&pace, &reader, 1, BUDGET_MS + 1);
  sb_pace_decide(&pace, false);
  sb_pace_tell_time(&pace, pace.now_ms + 20000);
  sb_pace_link_lost(&pace);
  uint64_t before = pace.budget;
  sb_pace_tell_time(&pace, pace.now_ms + 3000);
  sb_pace_link_lost(&pace); /* that of the other side */
  sb_pace_goes_on(&pace, 0);
  assert_int_equal(pace.budget, before + 3000 + 3000 * OUTAGE_TIMES * REGAIN);
}

static void test_with_a_low_limit_who_reads_a_part_of_it_each_second_is_waited_for(void **state) {
  (void)state;
  struct sb_pace pace;
  sb_pace_init(&pace, START, MIB, 0);
  struct reader quick = reader_of(&pace, MIB / 31), slow = reader_of(&pace, MIB / 200);
  assert_true(pass(&pace, &quick, 1, BUDGET_MS) > BUDGET_MS - 2 * LOOK_MS);
  pace.budget = BUDGET_MS * REGAIN;
  sb_pace_session_init(&pace, &slow.session);
  assert_true(pass(&pace, &slow, 1, BUDGET_MS) < 2 * PATIENCE_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_mark_leaves_room_below_both_limits),
      cmocka_unit_test(test_who_does_not_read_holds_the_log_up_once_and_briefly),
      cmocka_unit_test(test_many_who_do_not_read_hold_it_up_no_longer_than_one),
      cmocka_unit_test(test_who_dribbles_holds_it_up_for_its_share_of_the_time),
      cmocka_unit_test(test_who_reads_is_waited_for_as_long_as_the_budget_lasts),
      cmocka_unit_test(test_a_budget_that_is_used_up_between_two_stands_is_counted_once),
      cmocka_unit_test(test_however_many_take_turns_the_node_has_one_budget),
      cmocka_unit_test(test_after_an_outage_it_may_stand_twice_as_long_as_that_lasted),
      cmocka_unit_test(test_a_quiet_log_is_no_outage_nor_is_one_that_stood_because_of_us),
      cmocka_unit_test(test_a_lost_link_is_an_outage_from_its_loss_on),
      cmocka_unit_test(test_with_a_low_limit_who_reads_a_part_of_it_each_second_is_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
