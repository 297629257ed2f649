/* The chain: the sum over what was accepted, what a claim of another node shows, when this node claims
 * something itself, and who gives way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/sum.h"
#include "tests/unit/seed.h"

#define LEASE UINT64_C(15000)
#define NOW   UINT64_C(1000000)

static struct sb_incarnation inc(uint64_t start) {
  return (struct sb_incarnation){start, 7};
}

/* ---- the sum ---- */

static bool is(struct sb_claim claim, const char *text) {
  char got[SB_CLAIM_TEXT];
  sb_claim_text(&claim, got);
  return strcmp(got, text) == 0;
}

/* The example of docs/wire.md. */
static void the_sum_is_the_one_that_is_documented(void **state) {
  (void)state;
  const struct sb_incarnation web_1 = {UINT64_C(1796153088238), UINT64_C(0x963fcf44dc217976)},
                              web_2 = {UINT64_C(1796153090460), UINT64_C(0xa0195b8559b7b602)};
  struct sb_claim sum = sb_sum_begin(1, "web-1", web_1, UINT64_C(1796153088279));
  assert_true(is(sum, "1-651acc79-651acc79bb36d43e"));
  sb_sum_add(&sum, 2, "web-2", web_2, 0);
  assert_true(is(sum, "2-651acc79-b03105405d8241af"));
  struct sb_claim foreign = sum;
  sb_sum_add(&sum, 3, "web-2", web_2, 1);
  assert_true(is(sum, "3-651acc79-d8c0bcd524a61e17"));
  sb_sum_add(&foreign, 3, "", (struct sb_incarnation){0}, 0);
  assert_true(is(foreign, "3-651acc79-a84c975be1e77275"));
}

static void every_part_of_a_message_makes_another_sum(void **state) {
  (void)state;
  const struct sb_claim begin = sb_sum_begin(2, "a", inc(10), 1000);
  struct sb_claim sums[7];
  for (int i = 0; i < 7; i++) sums[i] = begin;
  sb_sum_add(&sums[1], 3, "a", inc(10), 1);
  sb_sum_add(&sums[2], 4, "a", inc(10), 1);
  sb_sum_add(&sums[3], 3, "b", inc(10), 1);
  sb_sum_add(&sums[4], 3, "a", inc(11), 1);
  sb_sum_add(&sums[5], 3, "a", (struct sb_incarnation){10, 8}, 1);
  sb_sum_add(&sums[6], 3, "a", inc(10), 2);
  for (int i = 0; i < 7; i++)
    for (int k = 0; k < i; k++) assert_true(sums[i].sum != sums[k].sum);
}

static void each_founding_begins_a_chain_of_its_own(void **state) {
  (void)state;
  const struct sb_claim begin = sb_sum_begin(2, "a", inc(10), 1000);
  const struct sb_claim others[] = {sb_sum_begin(3, "a", inc(10), 1000), sb_sum_begin(2, "b", inc(10), 1000),
                                    sb_sum_begin(2, "a", inc(11), 1000), sb_sum_begin(2, "a", inc(10), 1001)};
  for (int i = 0; i < 4; i++) assert_true(others[i].founding != begin.founding);
  struct sb_claim none = {0};
  sb_sum_add(&none, 3, "a", inc(10), 1);
  assert_true(sb_claim_equal(none, (struct sb_claim){0}));
}

/* ---- the sum in a state ---- */

/* A log that node "a" founded with incarnation 10: HELLO at 1, GENESIS at 2. */
static struct sb_state state_founded(void) {
  struct sb_state state = {0};
  const struct sb_genesis genesis = {
      .sequence = 2, .hello_at = 1, .generation = 1000, .partitions = 4, .name = "a", .incarnation = inc(10)};
  assert_true(sb_state_apply_genesis(&state, &genesis));
  return state;
}

static void chained(struct sb_state *state, uint64_t sequence, const char *name, uint64_t start,
                    uint64_t number) {
  struct sb_envelope envelope = {.incarnation = inc(start), .number = number};
  snprintf(envelope.node, sizeof envelope.node, "%s", name);
  sb_state_accepted(state, sequence, &envelope);
}

static void states_that_accepted_other_messages_are_not_equal(void **s) {
  (void)s;
  struct sb_state a = state_founded(), b = state_founded();
  chained(&a, 3, "a", 10, 1);
  assert_int_equal(a.chain.at, 3);
  assert_false(sb_state_equal(&a, &b));
  chained(&b, 3, "a", 10, 1);
  assert_true(sb_state_equal(&a, &b));
  sb_state_close(&a);
  sb_state_close(&b);
}

static void a_snapshot_and_a_checkpoint_carry_the_chain_on(void **s) {
  (void)s;
  struct sb_state a = state_founded();
  struct sb_buf text = {0};
  chained(&a, 3, "a", 10, 1);
  for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
    struct sb_state b = {0};
    sb_buf_clear(&text);
    if (checkpoint)
      sb_state_write_checkpoint(&a, &text);
    else
      sb_state_write(&a, &text);
    assert_true(sb_state_read(&b, sb_buf_bytes(&text)));
    chained(&a, 4 + (uint64_t)checkpoint, "", 0, 0);
    chained(&b, 4 + (uint64_t)checkpoint, "", 0, 0);
    assert_true(sb_claim_equal(a.chain, b.chain));
    sb_state_close(&b);
  }
  sb_buf_close(&text);
  sb_state_close(&a);
}

static void a_founding_begins_the_chain_anew_whoever_reads_it(void **s) {
  (void)s;
  struct sb_state a = state_founded(), b = {0};
  const struct sb_genesis genesis = {
      .sequence = 9, .hello_at = 8, .generation = 1001, .partitions = 4, .name = "b", .incarnation = inc(11)};
  chained(&a, 8, "b", 11, 0);
  const struct sb_claim before = a.chain;
  struct sb_genesis again = genesis;
  assert_true(sb_state_apply_genesis(&a, &genesis));
  assert_true(sb_state_apply_genesis(&b, &again));
  assert_true(sb_claim_equal(a.chain, b.chain));
  assert_true(a.chain.founding != before.founding);
  sb_state_close(&a);
  sb_state_close(&b);
}

/* ---- what a claim shows ---- */

struct follower {
  struct sb_chain chain;
  struct sb_claim own;
  uint64_t now_ms;
};

static void follow(struct follower *f, uint64_t sequence) {
  sb_sum_add(&f->own, sequence, "a", inc(10), sequence);
  sb_chain_add(&f->chain, f->own, false, f->now_ms);
}

static struct follower founded(void) {
  struct follower f = {.own = sb_sum_begin(10, "a", inc(10), 1000), .now_ms = NOW};
  sb_chain_begin(&f.chain, f.own, f.now_ms);
  return f;
}

static enum sb_chain_says compare(const struct follower *f, struct sb_claim claim, uint64_t sequence) {
  struct sb_claim own;
  return sb_chain_compare(&f->chain, claim, sequence, &own);
}

static void who_accepted_the_same_agrees_at_every_place(void **state) {
  (void)state;
  struct follower a = founded(), b = founded();
  struct sb_claim claims[100];
  for (uint64_t i = 0; i < 100; i++) {
    follow(&a, 20 + i * 3);
    follow(&b, 20 + i * 3);
    claims[i] = b.own;
  }
  for (int i = 0; i < 100; i++) assert_int_equal(compare(&a, claims[i], 1000), SB_CHAIN_AGREES);
  sb_chain_close(&a.chain);
  sb_chain_close(&b.chain);
}

static void one_message_that_only_one_accepted_is_a_difference_from_there_on(void **state) {
  (void)state;
  struct follower a = founded(), b = founded();
  struct sb_claim own, before;
  follow(&a, 20);
  follow(&b, 20);
  before = b.own;
  follow(&a, 30);                                             /* and b does not */
  assert_int_equal(compare(&b, a.own, 31), SB_CHAIN_DIFFERS); /* nothing stands there */
  assert_int_equal(compare(&a, b.own, 31),
                   SB_CHAIN_AGREES); /* it has only not come so far, for all we know */
  follow(&a, 40);
  follow(&b, 40);
  assert_int_equal(sb_chain_compare(&a.chain, b.own, 41, &own), SB_CHAIN_DIFFERS);
  assert_true(sb_claim_equal(own, a.own));
  assert_int_equal(compare(&b, a.own, 41), SB_CHAIN_DIFFERS);
  assert_int_equal(compare(&a, before, 41), SB_CHAIN_AGREES); /* late word of before is no difference */
  sb_chain_close(&a.chain);
  sb_chain_close(&b.chain);
}

static void a_place_that_others_accepted_and_this_node_has_passed_is_a_difference(void **state) {
  (void)state;
  struct follower a = founded(), b = founded();
  struct sb_claim own;
  follow(&b, 25);
  follow(&a, 20);
  follow(&a, 30);
  assert_int_equal(sb_chain_compare(&a.chain, b.own, 31, &own), SB_CHAIN_DIFFERS);
  assert_int_equal(own.at, 20); /* the last one before it */
  sb_chain_close(&a.chain);
  sb_chain_close(&b.chain);
}

static void nothing_is_said_of_what_is_not_known(void **state) {
  (void)state;
  struct follower a = founded();
  follow(&a, 20);
  follow(&a, 30);
  struct sb_claim claim = {.at = 25, .sum = 1, .founding = a.own.founding};
  assert_int_equal(compare(&a, claim, 31), SB_CHAIN_DIFFERS);
  assert_int_equal(compare(&a, claim, 25),
                   SB_CHAIN_SILENT); /* of a log that is no more: it was not there yet */
  claim.founding ^= 1;
  assert_int_equal(compare(&a, claim, 31), SB_CHAIN_SILENT); /* of a founding that nobody here knows */
  claim.founding = 0;
  assert_int_equal(compare(&a, claim, 31), SB_CHAIN_SILENT);
  sb_chain_begin(&a.chain, a.own, NOW); /* a joiner takes the state as of 30 */
  claim = (struct sb_claim){.at = 29, .sum = 1, .founding = a.own.founding};
  assert_int_equal(compare(&a, claim, 31), SB_CHAIN_SILENT); /* it has not seen what was before */
  assert_int_equal(compare(&a, a.own, 31), SB_CHAIN_AGREES);
  sb_chain_close(&a.chain);
  struct sb_chain nothing = {0};
  assert_int_equal(sb_chain_compare(&nothing, claim, 31, &claim), SB_CHAIN_SILENT);
}

static void links_are_kept_while_they_come_quickly_and_no_more_than_the_limit(void **state) {
  (void)state;
  struct follower a = founded();
  static struct sb_claim claims[3 * SB_CHAIN_KEPT];
  for (uint32_t i = 0; i < 3 * SB_CHAIN_KEPT; i++) {
    follow(&a, 20 + i);
    claims[i] = a.own;
    uint32_t at = below(i + 1);
    enum sb_chain_says says = compare(&a, claims[at], UINT32_MAX);
    assert_int_equal(says, i - at < SB_CHAIN_KEPT ? SB_CHAIN_AGREES : SB_CHAIN_SILENT);
  }
  assert_int_equal(a.chain.cap, SB_CHAIN_KEPT);
  sb_chain_close(&a.chain);
}

static void a_quiet_log_keeps_few_links(void **state) {
  (void)state;
  struct follower a = founded();
  struct sb_claim claims[16];
  for (uint32_t i = 0; i < 10000; i++, a.now_ms += 5000) {
    follow(&a, 20 + i);
    claims[i % 16] = a.own;
  }
  assert_int_equal(a.chain.cap, 16);
  for (int i = 0; i < 16; i++) assert_int_equal(compare(&a, claims[i], UINT32_MAX), SB_CHAIN_AGREES);
  sb_chain_close(&a.chain);
}

/* ---- foundings ---- */

static void who_goes_on_as_if_nothing_had_been_founded_differs(void **state) {
  (void)state;
  struct follower a = founded(), b = founded();
  follow(&a, 20);
  follow(&b, 20);
  struct sb_claim late = b.own;
  a.own = sb_sum_begin(30, "c", inc(40), 2000);
  sb_chain_add(&a.chain, a.own, false, NOW);
  follow(&a, 40);
  assert_int_equal(compare(&a, late, 41), SB_CHAIN_SILENT);
  follow(&b, 50);
  assert_int_equal(compare(&a, b.own, 51), SB_CHAIN_DIFFERS);
  sb_chain_close(&a.chain);
  sb_chain_close(&b.chain);
}

static void who_goes_on_behind_a_founding_that_was_refused_here_differs(void **state) {
  (void)state;
  struct follower a = founded(), b = founded();
  follow(&a, 20);
  b.own = sb_sum_begin(30, "c", inc(40), 2000);
  sb_chain_refused(&a.chain, b.own);
  assert_int_equal(compare(&a, b.own, 31), SB_CHAIN_DIFFERS);
  const struct sb_claim stale = sb_sum_begin(12, "c", inc(40), 2000);
  assert_int_equal(compare(&a, stale, 31), SB_CHAIN_SILENT); /* where that founding was in the log before */
  sb_chain_close(&a.chain);
  sb_chain_close(&b.chain);
}

/* ---- when something is claimed ---- */

static void a_busy_node_claims_something_in_every_few_batches_and_in_time(void **state) {
  (void)state;
  struct follower a = founded();
  assert_true(sb_chain_claims(&a.chain, NOW, LEASE));
  for (int i = 1; i < SB_CHAIN_EVERY; i++) assert_false(sb_chain_claims(&a.chain, NOW, LEASE));
  assert_true(sb_chain_claims(&a.chain, NOW, LEASE));
  assert_false(sb_chain_claims(&a.chain, NOW + 100, LEASE));
  assert_true(sb_chain_claims(&a.chain, NOW + LEASE / 3, LEASE)); /* every heartbeat does */
  sb_chain_close(&a.chain);
  struct sb_chain nothing = {0};
  assert_false(sb_chain_claims(&nothing, NOW, LEASE));
}

static void what_nobody_has_claimed_is_claimed_within_a_lease(void **state) {
  (void)state;
  struct follower a = founded();
  assert_true(sb_chain_due(&a.chain, LEASE, 0) == UINT64_MAX);
  follow(&a, 20);
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 0), NOW + LEASE / 3);
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 400), NOW + LEASE / 3 + 400);
  sb_chain_covered(&a.chain, 10, NOW + 1000); /* claims come, and the next one has time again */
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 0), NOW + 1000 + LEASE / 3);
  assert_true(sb_chain_claims(&a.chain, NOW + 2000, LEASE));
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 0), NOW + 2000 + LEASE / 3); /* ours is on its way */
  sb_chain_covered(&a.chain, 20, NOW + 2500);
  assert_true(sb_chain_due(&a.chain, LEASE, 0) == UINT64_MAX);
  sb_sum_add(&a.own, 30, "a", inc(10), 9);
  sb_chain_add(&a.chain, a.own, true, NOW); /* a heartbeat wants none behind it */
  assert_true(sb_chain_due(&a.chain, LEASE, 0) == UINT64_MAX);
  sb_chain_close(&a.chain);
}

/* ---- who gives way ---- */

static void the_lower_incarnation_stays_and_says_its_claim(void **state) {
  (void)state;
  struct follower a = founded();
  bool first;
  assert_true(sb_chain_claims(&a.chain, NOW, LEASE));
  assert_int_equal(sb_chain_differed(&a.chain, false, 0, NOW, LEASE, 200, &first), SB_CHAIN_STAY);
  assert_true(first);
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 0), NOW + 200);
  assert_false(sb_chain_claims(&a.chain, NOW + 100, LEASE));
  assert_true(sb_chain_claims(&a.chain, NOW + 200, LEASE));
  assert_true(sb_chain_due(&a.chain, LEASE, 0) == UINT64_MAX);
  sb_chain_close(&a.chain);
}

static void it_says_its_claim_until_that_is_of_the_place_that_differed(void **state) {
  (void)state;
  struct follower a = founded();
  bool first;
  sb_chain_differed(&a.chain, false, a.own.at + 1, NOW, LEASE, 0, &first);
  assert_true(sb_chain_claims(&a.chain, NOW, LEASE));
  assert_int_equal(sb_chain_due(&a.chain, LEASE, 0), NOW);
  a.own.at += 2;
  sb_chain_add(&a.chain, a.own, true, NOW); /* the heartbeat that said it */
  assert_true(sb_chain_claims(&a.chain, NOW, LEASE));
  assert_true(sb_chain_due(&a.chain, LEASE, 0) == UINT64_MAX);
  sb_chain_close(&a.chain);
}

static void one_difference_is_told_once_however_often_it_is_seen(void **state) {
  (void)state;
  struct follower a = founded();
  bool first;
  uint64_t now_ms = NOW;
  sb_chain_differed(&a.chain, false, 0, now_ms, LEASE, 0, &first);
  for (int i = 0; i < 20; i++) {
    now_ms += LEASE;
    sb_chain_differed(&a.chain, false, 0, now_ms, LEASE, 0, &first);
    assert_false(first);
  }
  sb_chain_differed(&a.chain, false, 0, now_ms + 2 * LEASE, LEASE, 0, &first);
  assert_true(first);
  sb_chain_close(&a.chain);
}

static void the_higher_incarnation_leaves_but_not_for_ever(void **state) {
  (void)state;
  struct follower a = founded();
  bool first;
  uint64_t now_ms = NOW;
  for (int i = 0; i < SB_CHAIN_LEAVES; i++, now_ms += 1000) {
    assert_int_equal(sb_chain_differed(&a.chain, true, 0, now_ms, LEASE, 0, &first), SB_CHAIN_LEAVE);
    assert_true(first);
    sb_chain_begin(&a.chain, a.own, now_ms);
  }
  assert_int_equal(sb_chain_differed(&a.chain, true, 0, now_ms, LEASE, 0, &first), SB_CHAIN_TIRED);
  assert_true(first);
  assert_int_equal(sb_chain_differed(&a.chain, true, 0, now_ms + 1, LEASE, 0, &first), SB_CHAIN_TIRED);
  assert_false(first);
  assert_int_equal(sb_chain_differed(&a.chain, true, 0, NOW + SB_CHAIN_LEAVES_MS, LEASE, 0, &first),
                   SB_CHAIN_LEAVE); /* the first time is long past */
  sb_chain_close(&a.chain);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sum_is_the_one_that_is_documented),
      cmocka_unit_test(every_part_of_a_message_makes_another_sum),
      cmocka_unit_test(each_founding_begins_a_chain_of_its_own),
      cmocka_unit_test(states_that_accepted_other_messages_are_not_equal),
      cmocka_unit_test(a_snapshot_and_a_checkpoint_carry_the_chain_on),
      cmocka_unit_test(a_founding_begins_the_chain_anew_whoever_reads_it),
      cmocka_unit_test(who_accepted_the_same_agrees_at_every_place),
      cmocka_unit_test(one_message_that_only_one_accepted_is_a_difference_from_there_on),
      cmocka_unit_test(a_place_that_others_accepted_and_this_node_has_passed_is_a_difference),
      cmocka_unit_test(nothing_is_said_of_what_is_not_known),
      cmocka_unit_test(links_are_kept_while_they_come_quickly_and_no_more_than_the_limit),
      cmocka_unit_test(a_quiet_log_keeps_few_links),
      cmocka_unit_test(who_goes_on_as_if_nothing_had_been_founded_differs),
      cmocka_unit_test(who_goes_on_behind_a_founding_that_was_refused_here_differs),
      cmocka_unit_test(a_busy_node_claims_something_in_every_few_batches_and_in_time),
      cmocka_unit_test(what_nobody_has_claimed_is_claimed_within_a_lease),
      cmocka_unit_test(the_lower_incarnation_stays_and_says_its_claim),
      cmocka_unit_test(it_says_its_claim_until_that_is_of_the_place_that_differed),
      cmocka_unit_test(one_difference_is_told_once_however_often_it_is_seen),
      cmocka_unit_test(the_higher_incarnation_leaves_but_not_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
