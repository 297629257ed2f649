/* When a GENESIS is accepted. One rule for all who read it: they differ only in what they know of the log
 * before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"

enum keys { NONE, KEPT, BROUGHT, BROUGHT_BUT_MISSING };

struct judged {
  const char *what;
  uint64_t hello_at, sequence;
  enum keys keys;
  struct sb_genesis_view view;
  enum sb_genesis_verdict verdict;
};

static const struct judged cases[] = {
    /* who knows everything: a ready node, and one that reads a log back from a state on */
    {"nothing between HELLO and GENESIS", 10, 12, NONE, {0}, SB_GENESIS_ACCEPTED},
    {"with the keys as they were", 10, 12, KEPT, {0}, SB_GENESIS_ACCEPTED},
    {"with all that it brings", 10, 12, BROUGHT, {0}, SB_GENESIS_ACCEPTED},
    {"a mark before the HELLO", 10, 12, NONE, {.mark = 10}, SB_GENESIS_ACCEPTED},
    {"a mark where the HELLO is", 10, 12, NONE, {.mark = 11}, SB_GENESIS_ACCEPTED},
    {"a SNAPSHOT or GENESIS right behind the HELLO", 10, 12, NONE, {.mark = 12}, SB_GENESIS_VOID},
    {"void, and it lacks keys", 10, 12, BROUGHT_BUT_MISSING, {.mark = 12}, SB_GENESIS_VOID},
    {"not all that it brings is there", 10, 12, BROUGHT_BUT_MISSING, {0}, SB_GENESIS_ABSENT},
    {"its HELLO is where it is", 12, 12, NONE, {0}, SB_GENESIS_ABSENT},
    {"its HELLO is behind it", 13, 12, NONE, {0}, SB_GENESIS_ABSENT},
    {"its HELLO is behind it, and it would be void", 13, 12, NONE, {.mark = 99}, SB_GENESIS_ABSENT},
    /* who began to read at 10: one that joins, and one that looks for a state */
    {"read from the HELLO on", 10, 12, NONE, {0, 10, 10}, SB_GENESIS_ACCEPTED},
    {"its HELLO was not read", 9, 12, NONE, {0, 10, 10}, SB_GENESIS_UNKNOWN},
    {"nor were its keys", 9, 12, BROUGHT_BUT_MISSING, {0, 10, 10}, SB_GENESIS_UNKNOWN},
    {"its HELLO was not read, but a SNAPSHOT was", 9, 12, NONE, {12, 10, 10}, SB_GENESIS_VOID},
    {"keys missing, of which all would have been read",
     10,
     12,
     BROUGHT_BUT_MISSING,
     {0, 10, 10},
     SB_GENESIS_ABSENT},
    /* who reads back from a state on: every mark is known, and KEYS from 10 on */
    {"its keys may lie before what is read", 9, 12, BROUGHT_BUT_MISSING, {0, 0, 10}, SB_GENESIS_UNKNOWN},
    {"it brings none", 9, 12, NONE, {0, 0, 10}, SB_GENESIS_ACCEPTED},
    {"its keys were all read", 9, 12, BROUGHT, {0, 0, 10}, SB_GENESIS_ACCEPTED},
    {"void all the same", 9, 12, BROUGHT_BUT_MISSING, {11, 0, 10}, SB_GENESIS_VOID},
};

static struct sb_genesis founding_of(const struct judged *judged, struct sb_keys *keys) {
  return (struct sb_genesis){
      .sequence = judged->sequence,
      .hello_at = judged->hello_at,
      .generation = 7,
      .partitions = 1,
      .keeps_keys = judged->keys == KEPT,
      .brings_keys = judged->keys >= BROUGHT,
      .brought = judged->keys == BROUGHT ? keys : NULL,
      .name = "a",
      .incarnation = {SB_START_MS_LEAP_MAX, 1},
  };
}

static void test_the_rule(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_keys keys = {0};
    const struct sb_genesis genesis = founding_of(&cases[i], &keys);
    enum sb_genesis_verdict verdict = sb_genesis_judge(&genesis, &cases[i].view);
    if (verdict != cases[i].verdict) fail_msg("%s: %d and not %d", cases[i].what, verdict, cases[i].verdict);
  }
}

static void test_a_start_that_no_clock_says_founds_nothing_whoever_reads_it(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_keys keys = {0};
    struct sb_genesis genesis = founding_of(&cases[i], &keys);
    genesis.incarnation.start_ms++;
    assert_int_equal(sb_genesis_judge(&genesis, &cases[i].view), SB_GENESIS_ABSENT);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_rule),
      cmocka_unit_test(test_a_start_that_no_clock_says_founds_nothing_whoever_reads_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
