/* Subscriptions: both lists of every subscription agree, and nothing is left when the last one ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/core/interest.h"
#include "tests/unit/seed.h"

#define SESSIONS 6
#define NAMES    20

static struct sb_bytes name_of(uint32_t index) {
  static char names[NAMES][8];
  int len = snprintf(names[index], sizeof names[index], "c%u", index);
  return sb_bytes(names[index], (size_t)len);
}

static uint32_t subscribers(const struct sb_interest *interest, enum sb_sub_kind kind, struct sb_bytes name) {
  const struct sb_topic *topic = sb_interest_find(interest, kind, name);
  uint32_t walked = 0;
  for (const struct sb_sub *sub = topic ? topic->subs : NULL; sub; sub = sub->topic_next) {
    assert_ptr_equal(sub->topic, topic);
    if (sub->topic_next) assert_ptr_equal(sub->topic_next->topic_prev, sub);
    walked++;
  }
  assert_int_equal(topic ? topic->sub_count : 0, walked);
  return walked;
}

static void a_session_subscribes_to_a_name_once(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session session = {0};
  assert_true(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_false(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_int_equal(subscribers(&interest, SB_SUB_CHANNEL, sb_bytes_of("news")), 1);
  assert_int_equal(session.sub_count[SB_SUB_CHANNEL], 1);
  assert_true(sb_interest_remove(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_false(sb_interest_remove(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  sb_interest_close(&interest);
}

static void channels_patterns_and_shard_channels_are_apart(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session session = {0};
  sb_interest_add(&interest, &session, SB_SUB_PATTERN, sb_bytes_of("news"));
  assert_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_null(sb_interest_find(&interest, SB_SUB_SHARD, sb_bytes_of("news")));
  assert_false(sb_interest_remove(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_int_equal(interest.sub_count[SB_SUB_PATTERN], 1);
  sb_interest_leave(&interest, &session);
  sb_interest_close(&interest);
}

static void another_session_does_not_end_it(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session a = {0}, b = {0};
  sb_interest_add(&interest, &a, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_false(sb_interest_remove(&interest, &b, SB_SUB_CHANNEL, sb_bytes_of("news")));
  sb_interest_leave(&interest, &b);
  assert_int_equal(subscribers(&interest, SB_SUB_CHANNEL, sb_bytes_of("news")), 1);
  sb_interest_leave(&interest, &a);
  sb_interest_close(&interest);
}

static void names_are_bytes_of_any_value_and_may_be_empty(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session session = {0};
  assert_true(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes("a\0b", 3)));
  assert_true(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes("a\0c", 3)));
  assert_true(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes(NULL, 0)));
  assert_false(sb_interest_add(&interest, &session, SB_SUB_CHANNEL, sb_bytes("", 0)));
  assert_non_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes("", 0)));
  assert_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes("a", 1)));
  sb_interest_leave(&interest, &session);
  sb_interest_close(&interest);
}

static void a_leaving_session_leaves_nothing_behind(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session a = {0}, b = {0};
  for (uint32_t i = 0; i < NAMES; i++)
    for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
      sb_interest_add(&interest, &a, (enum sb_sub_kind)kind, name_of(i));
      if (i % 2) sb_interest_add(&interest, &b, (enum sb_sub_kind)kind, name_of(i));
    }
  sb_interest_leave(&interest, &a);
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    assert_null(a.subs[kind]);
    assert_int_equal(a.sub_count[kind], 0);
    assert_int_equal(interest.sub_count[kind], NAMES / 2);
    assert_int_equal(interest.topics[kind].count, NAMES / 2);
  }
  sb_interest_leave(&interest, &b);
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) assert_int_equal(interest.topics[kind].count, 0);
  sb_interest_close(&interest);
}

/* ---- random use against a matrix of who subscribes to what ---- */

static void assert_same(const struct sb_interest *interest, const struct sb_session *sessions,
                        bool (*subscribed)[NAMES]) {
  uint64_t total = 0;
  for (uint32_t n = 0; n < NAMES; n++) {
    uint32_t expected = 0;
    for (uint32_t s = 0; s < SESSIONS; s++) expected += subscribed[s][n];
    assert_int_equal(subscribers(interest, SB_SUB_CHANNEL, name_of(n)), expected);
    total += expected;
  }
  assert_int_equal(interest->sub_count[SB_SUB_CHANNEL], total);
  for (uint32_t s = 0; s < SESSIONS; s++) {
    uint32_t walked = 0;
    for (const struct sb_sub *sub = sessions[s].subs[SB_SUB_CHANNEL]; sub; sub = sub->session_next, walked++)
      assert_ptr_equal(sub->session, &sessions[s]);
    assert_int_equal(walked, sessions[s].sub_count[SB_SUB_CHANNEL]);
    for (uint32_t n = 0; n < NAMES; n++) walked -= subscribed[s][n];
    assert_int_equal(walked, 0);
  }
}

static void random_use_gives_what_a_matrix_would(void **state) {
  (void)state;
  struct sb_interest interest = {0};
  struct sb_session sessions[SESSIONS] = {0};
  bool subscribed[SESSIONS][NAMES] = {0};
  for (int round = 0; round < 20000; round++) {
    uint32_t s = below(SESSIONS), n = below(NAMES), dice = below(100);
    if (dice < 50) {
      assert_int_equal(sb_interest_add(&interest, &sessions[s], SB_SUB_CHANNEL, name_of(n)),
                       !subscribed[s][n]);
      subscribed[s][n] = true;
    } else if (dice < 98) {
      assert_int_equal(sb_interest_remove(&interest, &sessions[s], SB_SUB_CHANNEL, name_of(n)),
                       subscribed[s][n]);
      subscribed[s][n] = false;
    } else {
      sb_interest_leave(&interest, &sessions[s]);
      memset(subscribed[s], 0, sizeof subscribed[s]);
    }
    if (round % 50 == 0) assert_same(&interest, sessions, subscribed);
  }
  assert_same(&interest, sessions, subscribed);
  sb_interest_close(&interest);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_session_subscribes_to_a_name_once),
      cmocka_unit_test(channels_patterns_and_shard_channels_are_apart),
      cmocka_unit_test(another_session_does_not_end_it),
      cmocka_unit_test(names_are_bytes_of_any_value_and_may_be_empty),
      cmocka_unit_test(a_leaving_session_leaves_nothing_behind),
      cmocka_unit_test(random_use_gives_what_a_matrix_would),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
