/* Ids of entries: their order, their neighbours, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/core/wire/id.h"
#include "tests/unit/seed.h"

#define MAX UINT64_MAX

static struct sb_id id(uint64_t ms, uint64_t seq) {
  return (struct sb_id){ms, seq};
}

static void assert_is(struct sb_id given, uint64_t ms, uint64_t seq) {
  assert_true(given.ms == ms);
  assert_true(given.seq == seq);
}

static void ids_are_ordered_by_the_first_part_then_the_second(void **state) {
  (void)state;
  const struct sb_id rising[] = {{0, 0}, {0, 1}, {0, MAX}, {1, 0}, {9, 10}, {10, 9}, {MAX, 0}, {MAX, MAX}};
  enum { COUNT = sizeof rising / sizeof *rising };
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++) {
      assert_int_equal(sb_id_compare(rising[i], rising[j]), (i > j) - (i < j));
      struct sb_id later = sb_id_later(rising[i], rising[j]);
      assert_int_equal(sb_id_compare(later, rising[i > j ? i : j]), 0);
    }
}

static void ids_of_a_log_grow_and_fit_a_number_of_javascript(void **state) {
  (void)state;
  assert_is(sb_id_at(7, 3, 5), 7, 3 * 4096 + 5);
  assert_is(sb_id_end_of(7, 3), 7, 4 * 4096 - 1);
  assert_true(sb_id_compare(sb_id_end_of(7, 3), sb_id_at(7, 4, 0)) < 0);
  assert_true(sb_id_compare(sb_id_end_of(7, SB_SEQUENCE_MAX), sb_id_at(8, 0, 0)) < 0);
  struct sb_id last = sb_id_end_of(SB_GENERATION_MAX, SB_SEQUENCE_MAX);
  assert_true(last.ms < UINT64_C(1) << 53);
  assert_true(last.seq < UINT64_C(1) << 53);
}

static void the_next_and_the_previous_id_are_neighbours(void **state) {
  (void)state;
  static const struct {
    struct sb_id low, high;
  } pairs[] = {
      {{0, 0}, {0, 1}},           {{5, 41}, {5, 42}},           {{5, MAX - 1}, {5, MAX}}, {{5, MAX}, {6, 0}},
      {{MAX - 1, MAX}, {MAX, 0}}, {{MAX, MAX - 1}, {MAX, MAX}}, {{0, MAX}, {1, 0}},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    struct sb_id at = pairs[i].low;
    assert_true(sb_id_next(&at));
    assert_is(at, pairs[i].high.ms, pairs[i].high.seq);
    assert_true(sb_id_previous(&at));
    assert_is(at, pairs[i].low.ms, pairs[i].low.seq);
  }
}

static void nothing_is_before_the_first_id_or_behind_the_last(void **state) {
  (void)state;
  struct sb_id first = {0, 0}, last = SB_ID_MAX;
  assert_false(sb_id_previous(&first));
  assert_is(first, 0, 0);
  assert_false(sb_id_next(&last));
  assert_is(last, MAX, MAX);
}

static void an_id_written_is_the_id_read(void **state) {
  (void)state;
  static const struct {
    struct sb_id id;
    const char *text;
  } known[] = {
      {{0, 0}, "0-0"},
      {{0, 10}, "0-10"},
      {{1732000000000, 4096}, "1732000000000-4096"},
      {{MAX, MAX}, "18446744073709551615-18446744073709551615"},
  };
  char text[SB_ID_TEXT];
  struct sb_id back;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t len = sb_id_text(known[i].id, text);
    assert_true(len <= sizeof text);
    assert_true(sb_bytes_equal(sb_bytes(text, len), sb_bytes_of(known[i].text)));
  }
  for (int i = 0; i < 10000; i++) {
    struct sb_id given = id((uint64_t)random() << below(34), (uint64_t)random() << below(34));
    assert_true(sb_id_parse(sb_bytes(text, sb_id_text(given, text)), 77, &back));
    assert_is(back, given.ms, given.seq);
  }
}

static void a_missing_second_part_is_what_the_caller_says(void **state) {
  (void)state;
  struct sb_id got;
  assert_true(sb_id_parse(sb_bytes_of("15"), 0, &got));
  assert_is(got, 15, 0);
  assert_true(sb_id_parse(sb_bytes_of("15"), MAX, &got));
  assert_is(got, 15, MAX);
  assert_true(sb_id_parse(sb_bytes_of("15-3"), MAX, &got));
  assert_is(got, 15, 3);
}

/* Each from memory of exactly its length, so that a sanitizer sees a read beyond it. */
static void what_is_no_id_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "-",
      "1-",
      "-1",
      "--",
      "1--1",
      "1-1-1",
      "+1-1",
      "1-+1",
      " 1-1",
      "1-1 ",
      "1 -1",
      "a",
      "1-a",
      "a-1",
      "*",
      "1-*",
      "$",
      "+",
      "(1-1",
      "01-1",
      "1-01",
      "00",
      "1.5",
      "1e3",
      "0x1",
      "1-1\n",
      "18446744073709551616",
      "18446744073709551616-0",
      "0-18446744073709551616",
      "111111111111111111111-1",
      "1-111111111111111111111",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    size_t len = strlen(bad[i]);
    char *exact = malloc(len ? len : 1);
    struct sb_id got;
    assert_non_null(exact);
    memcpy(exact, bad[i], len);
    if (sb_id_parse(sb_bytes(exact, len), 0, &got)) fail_msg("taken for an id: \"%s\"", bad[i]);
    free(exact);
  }
  struct sb_id got;
  assert_false(sb_id_parse(sb_bytes(NULL, 0), 0, &got));
  assert_false(sb_id_parse(sb_bytes("1\0-1", 4), 0, &got));
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_are_ordered_by_the_first_part_then_the_second),
      cmocka_unit_test(ids_of_a_log_grow_and_fit_a_number_of_javascript),
      cmocka_unit_test(the_next_and_the_previous_id_are_neighbours),
      cmocka_unit_test(nothing_is_before_the_first_id_or_behind_the_last),
      cmocka_unit_test(an_id_written_is_the_id_read),
      cmocka_unit_test(a_missing_second_part_is_what_the_caller_says),
      cmocka_unit_test(what_is_no_id_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
