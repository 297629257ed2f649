/* The state of a log, rule by rule of the log protocol: what is accepted, what is refused, and that a
 * SNAPSHOT says exactly the state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/core/state/state.h"

#define GENERATION 1000
#define PARTITIONS 4

static struct sb_incarnation inc(uint64_t start) {
  return (struct sb_incarnation){start, 7};
}

/* A log that node "a" founded with incarnation 10: HELLO at 1, GENESIS at 2. */
static struct sb_state founded(void) {
  struct sb_state state = {0};
  const struct sb_genesis genesis = {.sequence = 2,
                                     .hello_at = 1,
                                     .generation = GENERATION,
                                     .time_ms = 500,
                                     .partitions = PARTITIONS,
                                     .name = "a",
                                     .incarnation = inc(10)};
  assert_true(sb_state_apply_genesis(&state, &genesis));
  return state;
}

static bool hello(struct sb_state *state, const char *name, uint64_t start) {
  return sb_state_hello(state, name, inc(start), PARTITIONS, 0);
}

static enum sb_verdict batch(struct sb_state *state, const char *name, uint64_t start, uint64_t number) {
  struct sb_envelope envelope = {
      .generation = state->generation, .incarnation = inc(start), .number = number, .time_ms = 0};
  snprintf(envelope.node, sizeof envelope.node, "%s", name);
  return sb_state_batch(state, &envelope);
}

static void accept_batches(struct sb_state *state, const char *name, uint64_t start, uint64_t first,
                           uint64_t last) {
  for (uint64_t n = first; n <= last; n++)
    assert_int_equal(batch(state, name, start, n), SB_VERDICT_ACCEPTED);
}

/* ---- batches ---- */

static void a_batch_with_the_next_number_is_accepted(void **s) {
  (void)s;
  struct sb_state state = founded();
  accept_batches(&state, "a", 10, 1, 3);
  assert_int_equal(sb_state_row(&state, "a")->number, 3);
  sb_state_close(&state);
}

static void a_lower_number_is_a_duplicate_and_a_higher_one_a_hole(void **s) {
  (void)s;
  struct sb_state state = founded();
  accept_batches(&state, "a", 10, 1, 3);
  assert_int_equal(batch(&state, "a", 10, 3), SB_VERDICT_DUPLICATE);
  assert_int_equal(batch(&state, "a", 10, 1), SB_VERDICT_DUPLICATE);
  assert_int_equal(batch(&state, "a", 10, 5), SB_VERDICT_HOLE);
  assert_int_equal(batch(&state, "a", 10, UINT64_MAX), SB_VERDICT_HOLE);
  assert_int_equal(sb_state_row(&state, "a")->number, 3);
  assert_int_equal(batch(&state, "a", 10, 4), SB_VERDICT_ACCEPTED);
  sb_state_close(&state);
}

static void a_batch_without_a_row_of_its_incarnation_and_generation_is_a_stranger(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_envelope other = {.generation = GENERATION + 1, .incarnation = inc(10), .number = 1, .node = "a"};
  assert_int_equal(batch(&state, "b", 10, 1), SB_VERDICT_STRANGER);
  assert_int_equal(batch(&state, "a", 9, 1), SB_VERDICT_STRANGER);
  assert_int_equal(batch(&state, "a", 11, 1), SB_VERDICT_STRANGER);
  assert_int_equal(sb_state_batch(&state, &other), SB_VERDICT_STRANGER);
  other.generation = GENERATION - 1;
  assert_int_equal(sb_state_batch(&state, &other), SB_VERDICT_STRANGER);
  sb_state_bye(&state, "a", inc(10), 0);
  assert_int_equal(batch(&state, "a", 10, 1), SB_VERDICT_STRANGER); /* departed */
  sb_state_close(&state);
}

/* Whoever joined behind the eldest takes log time a little beyond what that one said, however often. */
static void the_eldest_is_believed_and_others_within_a_bound(void **s) {
  (void)s;
  struct sb_state state = founded();
  hello(&state, "b", 20);
  struct sb_envelope other = {.generation = GENERATION, .incarnation = inc(20), .node = "b"};
  for (other.number = 1; other.number <= 3; other.number++) {
    other.time_ms = other.number == 3 ? UINT64_MAX : 86400000 * other.number;
    assert_int_equal(sb_state_batch(&state, &other), SB_VERDICT_ACCEPTED);
    assert_int_equal(state.time_ms, 500 + SB_TIME_AHEAD_MS);
    assert_int_equal(state.elder_ms, 500);
  }
  struct sb_envelope eldest = {.generation = GENERATION, .incarnation = inc(10), .number = 1, .node = "a"};
  eldest.time_ms = 1000; /* it has time to go on */
  sb_state_batch(&state, &eldest);
  assert_int_equal(state.elder_ms, 1000);
  assert_int_equal(state.time_ms, 500 + SB_TIME_AHEAD_MS);
  eldest.number = 2;
  eldest.time_ms = 86400000;
  sb_state_batch(&state, &eldest);
  assert_int_equal(state.time_ms, 86400000);
  sb_state_close(&state);
}

static void who_becomes_the_eldest_begins_at_log_time(void **s) {
  (void)s;
  for (int bye = 0; bye < 2; bye++) {
    struct sb_state state = founded();
    hello(&state, "b", 20);
    struct sb_envelope other = {.generation = GENERATION, .incarnation = inc(20), .number = 1, .node = "b"};
    other.time_ms = 900;
    sb_state_batch(&state, &other);
    assert_int_equal(state.elder_ms, 500);
    if (bye)
      assert_true(sb_state_bye(&state, "a", inc(10), 0));
    else
      assert_true(hello(&state, "a", 30)); /* it comes again, behind b */
    assert_true(sb_state_is_eldest(&state, "b"));
    assert_int_equal(state.elder_ms, 900);
    other.number = 2;
    other.time_ms = 86400000;
    sb_state_batch(&state, &other);
    assert_int_equal(state.time_ms, 86400000);
    sb_state_close(&state);
  }
}

static void log_time_is_the_highest_accepted(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_envelope envelope = {.generation = GENERATION, .incarnation = inc(10), .number = 1, .node = "a"};
  envelope.time_ms = 900;
  sb_state_batch(&state, &envelope);
  assert_int_equal(state.time_ms, 900);
  envelope.number = 2;
  envelope.time_ms = 700;
  assert_int_equal(sb_state_batch(&state, &envelope), SB_VERDICT_ACCEPTED);
  assert_int_equal(state.time_ms, 900);
  envelope.number = 9; /* dropped: says nothing */
  envelope.time_ms = 5000;
  sb_state_batch(&state, &envelope);
  assert_int_equal(state.time_ms, 900);
  sb_state_close(&state);
}

/* ---- HELLO ---- */

static void a_hello_makes_the_last_member(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_true(hello(&state, "b", 5));
  assert_true(hello(&state, "c", 5));
  assert_int_equal(sb_state_member(&state, "a"), 0);
  assert_int_equal(sb_state_member(&state, "b"), 1);
  assert_int_equal(sb_state_member(&state, "c"), 2);
  assert_int_equal(sb_state_member(&state, "d"), -1);
  accept_batches(&state, "b", 5, 1, 1);
  sb_state_close(&state);
}

static void a_hello_with_a_higher_incarnation_is_the_bye_of_the_older(void **s) {
  (void)s;
  struct sb_state state = founded();
  hello(&state, "b", 5);
  accept_batches(&state, "a", 10, 1, 4);
  assert_true(hello(&state, "a", 11));
  assert_int_equal(state.members.count, 2);
  assert_int_equal(sb_state_member(&state, "a"), 1); /* it joined behind b */
  assert_int_equal(batch(&state, "a", 10, 5), SB_VERDICT_STRANGER);
  accept_batches(&state, "a", 11, 1, 1);
  sb_state_close(&state);
}

static void a_hello_remembers_the_last_incarnation_that_had_a_batch_accepted(void **s) {
  (void)s;
  struct sb_state state = founded();
  accept_batches(&state, "a", 10, 1, 4);
  hello(&state, "a", 11);
  assert_int_equal(sb_incarnation_compare(sb_state_row(&state, "a")->previous, inc(10)), 0);
  assert_int_equal(sb_state_row(&state, "a")->previous_number, 4);
  hello(&state, "a", 12); /* nothing was accepted under 11 */
  assert_int_equal(sb_incarnation_compare(sb_state_row(&state, "a")->previous, inc(10)), 0);
  assert_int_equal(sb_state_row(&state, "a")->previous_number, 4);
  accept_batches(&state, "a", 12, 1, 2);
  hello(&state, "a", 13);
  assert_int_equal(sb_incarnation_compare(sb_state_row(&state, "a")->previous, inc(12)), 0);
  assert_int_equal(sb_state_row(&state, "a")->previous_number, 2);
  sb_state_close(&state);
}

static void turn(struct sb_state *state, uint64_t start, uint64_t nonce, uint64_t batches) {
  struct sb_envelope envelope = {.node = "a", .incarnation = {start, nonce}, .generation = GENERATION};
  assert_true(sb_state_hello(state, "a", envelope.incarnation, PARTITIONS, 0));
  while (envelope.number++ < batches) assert_int_equal(sb_state_batch(state, &envelope), SB_VERDICT_ACCEPTED);
}

static uint64_t ordered(const struct sb_state *state, uint64_t start, uint64_t nonce) {
  return sb_row_ordered(sb_state_row(state, "a"), (struct sb_incarnation){start, nonce});
}

/* Each of them asks, when it comes back, what of its own was ordered. */
static void two_processes_that_have_one_name_by_turns_each_find_their_past(void **s) {
  (void)s;
  struct sb_state state = founded();
  accept_batches(&state, "a", 10, 1, 4);
  turn(&state, 11, 8, 2); /* another process */
  turn(&state, 12, 8, 3); /* the same one again */
  turn(&state, 13, 7, 0);
  assert_int_equal(ordered(&state, 10, 7), 4);
  assert_int_equal(ordered(&state, 12, 8), 3);
  assert_int_equal(ordered(&state, 11, 8), 0); /* nobody asks: what it had sent it sent again since */
  turn(&state, 14, 8, 0);                      /* nothing was accepted under 13 */
  assert_int_equal(ordered(&state, 10, 7), 4);
  assert_int_equal(ordered(&state, 12, 8), 3);
  turn(&state, 15, 7, 1);
  turn(&state, 16, 8, 0);
  assert_int_equal(ordered(&state, 12, 8), 3);
  assert_int_equal(ordered(&state, 15, 7), 1);
  assert_int_equal(ordered(&state, 10, 7), 0);
  sb_state_bye(&state, "a", (struct sb_incarnation){16, 8}, 0);
  turn(&state, 17, 9, 0); /* who departed is remembered too */
  assert_int_equal(ordered(&state, 12, 8), 3);
  assert_int_equal(ordered(&state, 15, 7), 1);
  sb_state_close(&state);
}

static void a_hello_with_an_incarnation_not_higher_than_any_known_is_refused(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_false(hello(&state, "a", 10));
  assert_false(hello(&state, "a", 9));
  assert_false(sb_state_hello(&state, "a", (struct sb_incarnation){10, 6}, PARTITIONS, 0));
  assert_true(sb_state_hello(&state, "a", (struct sb_incarnation){10, 8}, PARTITIONS, 0));
  sb_state_close(&state);
}

/* So no single message uses up the starts of a name. */
static void a_start_above_all_clocks_must_be_the_next_one(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_false(hello(&state, "a", SB_START_MS_MAX));
  assert_false(hello(&state, "b", SB_START_MS_LEAP_MAX + 1));
  assert_true(hello(&state, "a", SB_START_MS_LEAP_MAX));
  assert_false(hello(&state, "a", SB_START_MS_LEAP_MAX + 2));
  assert_true(hello(&state, "a", SB_START_MS_LEAP_MAX + 1));
  struct sb_genesis genesis = {.sequence = 100,
                               .hello_at = 99,
                               .generation = GENERATION + 1,
                               .partitions = PARTITIONS,
                               .name = "a",
                               .incarnation = inc(SB_START_MS_LEAP_MAX + 1)};
  assert_false(sb_state_apply_genesis(&state, &genesis));
  genesis.incarnation = inc(SB_START_MS_LEAP_MAX);
  assert_true(sb_state_apply_genesis(&state, &genesis)); /* nor did the other one count as a GENESIS */
  sb_state_close(&state);
}

static void a_departed_incarnation_still_counts_as_known(void **s) {
  (void)s;
  struct sb_state state = founded();
  hello(&state, "b", 5);
  accept_batches(&state, "b", 5, 1, 2);
  assert_true(sb_state_bye(&state, "b", inc(5), 2));
  assert_false(hello(&state, "b", 5));
  assert_true(hello(&state, "b", 6));
  assert_int_equal(sb_state_row(&state, "b")->previous_number, 2);
  assert_int_equal(state.departed.count, 0);
  sb_state_close(&state);
}

static void a_hello_of_another_number_of_partitions_is_refused(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_false(sb_state_hello(&state, "b", inc(5), PARTITIONS + 1, 0));
  assert_int_equal(state.members.count, 1);
  sb_state_close(&state);
}

static void a_hello_that_knows_a_higher_generation_raises_it(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_true(sb_state_hello(&state, "b", inc(5), PARTITIONS, GENERATION));
  assert_int_equal(state.generation, GENERATION);
  assert_true(sb_state_hello(&state, "c", inc(5), PARTITIONS, GENERATION + 50));
  assert_int_equal(state.generation, GENERATION + 51);
  sb_state_hello(&state, "c", inc(5), PARTITIONS, GENERATION + 500); /* refused: says nothing */
  assert_int_equal(state.generation, GENERATION + 51);
  sb_state_close(&state);
}

static void a_generation_never_leaves_its_range(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_true(sb_state_hello(&state, "b", inc(5), PARTITIONS, SB_GENERATION_MAX));
  assert_true(state.generation == SB_GENERATION_MAX);
  accept_batches(&state, "b", 5, 1, 1);
  sb_state_close(&state);
}

static void members_are_bounded_and_a_member_may_always_come_back(void **s) {
  (void)s;
  struct sb_state state = founded();
  char name[16];
  for (int i = 1; i < SB_MEMBERS_MAX; i++) {
    snprintf(name, sizeof name, "m%d", i);
    assert_true(hello(&state, name, 5));
  }
  assert_false(hello(&state, "one-more", 5));
  assert_true(hello(&state, "a", 11));
  assert_int_equal(state.members.count, SB_MEMBERS_MAX);
  sb_state_close(&state);
}

/* ---- SNAPSHOT and GENESIS ---- */

static bool found_at(struct sb_state *state, uint64_t sequence, uint64_t hello_at) {
  const struct sb_genesis genesis = {.sequence = sequence,
                                     .hello_at = hello_at,
                                     .generation = GENERATION + sequence,
                                     .time_ms = 1,
                                     .partitions = PARTITIONS + 1,
                                     .name = "z",
                                     .incarnation = inc(99)};
  return sb_state_apply_genesis(state, &genesis);
}

static void a_genesis_empties_the_state_but_for_the_founder(void **s) {
  (void)s;
  struct sb_state state = founded();
  hello(&state, "b", 5);
  hello(&state, "c", 5);
  sb_state_bye(&state, "c", inc(5), 0);
  assert_true(found_at(&state, 8, 5));
  assert_int_equal(state.members.count, 1);
  assert_int_equal(state.departed.count, 0);
  assert_string_equal(state.members.at[0].name, "z");
  assert_int_equal(state.generation, GENERATION + 8);
  assert_int_equal(state.partitions, PARTITIONS + 1);
  assert_int_equal(state.time_ms, 1);
  assert_int_equal(batch(&state, "z", 99, 1), SB_VERDICT_ACCEPTED);
  sb_state_close(&state);
}

static void a_genesis_is_void_behind_a_snapshot(void **s) {
  (void)s;
  struct sb_state state = founded();
  sb_state_snapshot_seen(&state, 6);
  assert_false(found_at(&state, 8, 5));
  assert_string_equal(state.members.at[0].name, "a");
  assert_int_equal(state.generation, GENERATION);
  sb_state_close(&state);
}

static void a_genesis_is_void_behind_another_also_behind_a_void_one(void **s) {
  (void)s;
  struct sb_state state = founded();
  sb_state_snapshot_seen(&state, 6);
  assert_false(found_at(&state, 8, 5)); /* void */
  assert_false(found_at(&state, 9, 7)); /* there is one between, although it was void */
  assert_true(found_at(&state, 12, 10));
  assert_false(found_at(&state, 13, 11));
  sb_state_close(&state);
}

static void a_snapshot_before_the_hello_does_not_void_a_genesis(void **s) {
  (void)s;
  struct sb_state state = founded();
  sb_state_snapshot_seen(&state, 6);
  assert_true(found_at(&state, 8, 7));
  sb_state_close(&state);
}

/* Positions of a log that was deleted mean nothing in the one that took its place. */
static void a_genesis_whose_hello_is_not_before_it_says_nothing(void **s) {
  (void)s;
  struct sb_state state = founded();
  assert_false(found_at(&state, 8, 8));
  assert_false(found_at(&state, 8, 500));
  assert_string_equal(state.members.at[0].name, "a");
  assert_true(found_at(&state, 9, 7)); /* it does not void the next one either */
  sb_state_close(&state);
}

static void the_first_message_of_a_log_may_be_a_hello_at_zero(void **s) {
  (void)s;
  struct sb_state state = {0};
  assert_true(found_at(&state, 1, 0));
  sb_state_close(&state);
}

/* ---- BYE ---- */

static void a_bye_makes_a_member_a_departed_row(void **s) {
  (void)s;
  struct sb_state state = founded();
  hello(&state, "b", 5);
  accept_batches(&state, "b", 5, 1, 3);
  assert_true(sb_state_bye(&state, "b", inc(5), 3));
  assert_int_equal(sb_state_member(&state, "b"), -1);
  assert_int_equal(sb_state_row(&state, "b")->number, 3);
  assert_int_equal(state.departed.count, 1);
  sb_state_close(&state);
}

static void a_bye_is_void_when_the_row_moved_or_is_another(void **s) {
  (void)s;
  struct sb_state state = founded();
  accept_batches(&state, "a", 10, 1, 3);
  assert_false(sb_state_bye(&state, "a", inc(10), 2));
  assert_false(sb_state_bye(&state, "a", inc(10), 4));
  assert_false(sb_state_bye(&state, "a", inc(9), 3));
  assert_false(sb_state_bye(&state, "a", inc(11), 3));
  assert_false(sb_state_bye(&state, "b", inc(10), 3));
  assert_int_equal(state.members.count, 1);
  assert_true(sb_state_bye(&state, "a", inc(10), 3));
  assert_false(sb_state_bye(&state, "a", inc(10), 3)); /* it is gone */
  assert_int_equal(state.departed.count, 1);
  sb_state_close(&state);
}

static void the_oldest_departure_is_forgotten_first(void **s) {
  (void)s;
  struct sb_state state = founded();
  char name[16];
  for (int i = 0; i < SB_DEPARTED_MAX + 2; i++) {
    snprintf(name, sizeof name, "m%d", i);
    assert_true(hello(&state, name, 5));
    assert_true(sb_state_bye(&state, name, inc(5), 0));
  }
  assert_int_equal(state.departed.count, SB_DEPARTED_MAX);
  assert_null(sb_state_row(&state, "m0"));
  assert_null(sb_state_row(&state, "m1"));
  assert_non_null(sb_state_row(&state, "m2"));
  sb_state_close(&state);
}

/* ---- interest ---- */

static bool interest(struct sb_state *state, const char *name, enum sb_sub_kind kind, const char *topic,
                     uint32_t count) {
  return sb_state_interest(state, name, kind, sb_bytes_of(topic), count);
}

static uint64_t sessions_on(const struct sb_state *state, const char *channel) {
  return sb_counts_channel(&state->counts,
                           sb_counts_id(&state->counts, SB_SUB_CHANNEL, sb_bytes_of(channel)));
}

/* Three members, each with two channels, a shard channel and a pattern. */
static struct sb_state with_interest(void) {
  struct sb_state state = founded();
  static const char *const names[] = {"a", "b", "c"};
  hello(&state, "b", 5);
  hello(&state, "c", 5);
  for (uint32_t i = 0; i < 3; i++) {
    assert_true(interest(&state, names[i], SB_SUB_CHANNEL, "all", 1 + i));
    assert_true(interest(&state, names[i], SB_SUB_CHANNEL, names[i], 10));
    assert_true(interest(&state, names[i], SB_SUB_SHARD, "all", 1));
    assert_true(interest(&state, names[i], SB_SUB_PATTERN, "*", 1));
  }
  return state;
}

static void assert_gone_but_for_others(const struct sb_state *state, const char *name, uint64_t all) {
  assert_int_equal(sessions_on(state, "all"), all);
  assert_int_equal(sessions_on(state, name), 0);
  assert_int_equal(
      sb_counts_channel(&state->counts, sb_counts_id(&state->counts, SB_SUB_SHARD, sb_bytes_of("all"))), 2);
  assert_int_equal(sb_counts_matching(&state->counts, sb_bytes_of("x")), 2);
  assert_int_equal(state->counts.count, 6);
  assert_int_equal(state->counts.pattern_rows, 2);
  for (uint32_t i = 0; i < state->members.count; i++) {
    const struct sb_row *row = &state->members.at[i];
    if (strcmp(row->name, name) == 0) {
      assert_int_equal(row->channels + row->patterns, 0);
      continue;
    }
    assert_int_equal(sessions_on(state, row->name), 10);
    assert_int_equal(row->channels, 3);
    assert_int_equal(row->patterns, 1);
  }
}

static void interest_is_absolute_and_counted_for_its_member(void **s) {
  (void)s;
  struct sb_state state = with_interest();
  assert_int_equal(sessions_on(&state, "all"), 6);
  assert_int_equal(sb_state_row(&state, "b")->channels, 3);
  assert_int_equal(sb_state_row(&state, "b")->patterns, 1);
  interest(&state, "b", SB_SUB_CHANNEL, "all", 7);
  interest(&state, "b", SB_SUB_CHANNEL, "all", 7);
  assert_int_equal(sessions_on(&state, "all"), 11);
  assert_int_equal(sb_state_row(&state, "b")->channels, 3);
  interest(&state, "b", SB_SUB_CHANNEL, "all", 0);
  interest(&state, "b", SB_SUB_PATTERN, "*", 0);
  assert_int_equal(sb_state_row(&state, "b")->channels, 2);
  assert_int_equal(sb_state_row(&state, "b")->patterns, 0);
  assert_int_equal(sb_state_row(&state, "a")->channels, 3);
  sb_state_close(&state);
}

static void who_is_no_member_has_no_interest(void **s) {
  (void)s;
  struct sb_state state = with_interest();
  assert_true(interest(&state, "d", SB_SUB_CHANNEL, "all", 7));
  sb_state_bye(&state, "c", inc(5), 0);
  assert_true(interest(&state, "c", SB_SUB_CHANNEL, "all", 7));
  assert_gone_but_for_others(&state, "c", 3);
  sb_state_close(&state);
}

static void a_bye_takes_the_interest_of_that_member_only(void **s) {
  (void)s;
  static const char *const names[] = {"a", "b", "c"};
  for (uint32_t i = 0; i < 3; i++) {
    struct sb_state state = with_interest();
    assert_false(sb_state_bye(&state, names[i], inc(i == 0 ? 10 : 5), 1)); /* void */
    assert_int_equal(sessions_on(&state, "all"), 6);
    assert_true(sb_state_bye(&state, names[i], inc(i == 0 ? 10 : 5), 0));
    assert_gone_but_for_others(&state, names[i], 6 - (i + 1));
    sb_state_close(&state);
  }
}

static void a_hello_takes_the_interest_of_the_older_incarnation_only(void **s) {
  (void)s;
  static const char *const names[] = {"a", "b", "c"};
  for (uint32_t i = 0; i < 3; i++) {
    struct sb_state state = with_interest();
    assert_false(hello(&state, names[i], 4)); /* refused */
    assert_int_equal(sessions_on(&state, "all"), 6);
    assert_true(hello(&state, names[i], 11));
    assert_gone_but_for_others(&state, names[i], 6 - (i + 1));
    interest(&state, names[i], SB_SUB_CHANNEL, "all", 100); /* it says again what it has */
    assert_int_equal(sessions_on(&state, "all"), 6 - (i + 1) + 100);
    assert_int_equal(sb_state_row(&state, names[i])->channels, 1);
    sb_state_close(&state);
  }
}

/* Neither a newcomer nor one who comes back after a BYE has what somebody had before. */
static void a_new_row_begins_without_interest(void **s) {
  (void)s;
  struct sb_state state = with_interest();
  hello(&state, "d", 5);
  assert_int_equal(sb_state_row(&state, "d")->channels, 0);
  sb_state_bye(&state, "a", inc(10), 0);
  hello(&state, "e", 5);
  hello(&state, "a", 11);
  assert_gone_but_for_others(&(struct sb_state){.counts = state.counts}, "a", 5);
  assert_int_equal(sb_state_row(&state, "a")->channels, 0);
  interest(&state, "e", SB_SUB_CHANNEL, "all", 40);
  sb_state_bye(&state, "d", inc(5), 0);
  sb_state_bye(&state, "a", inc(11), 0);
  assert_int_equal(sessions_on(&state, "all"), 45);
  sb_state_close(&state);
}

static void a_genesis_takes_all_interest(void **s) {
  (void)s;
  struct sb_state state = with_interest();
  sb_state_snapshot_seen(&state, 6);
  assert_false(found_at(&state, 8, 5)); /* void */
  assert_int_equal(state.counts.count, 9);
  assert_true(found_at(&state, 12, 10));
  assert_int_equal(state.counts.count, 0);
  assert_int_equal(state.counts.patterns.count, 0);
  assert_int_equal(state.counts.pattern_bytes, 0);
  interest(&state, "z", SB_SUB_CHANNEL, "all", 2);
  assert_int_equal(sessions_on(&state, "all"), 2);
  sb_state_close(&state);
}

/* ---- keys ---- */

static struct sb_state with_keys(void) {
  struct sb_state state = founded();
  assert_true(sb_keys_set_string(&state.keys, sb_bytes_of("string"), sb_bytes_of("value"), 0));
  assert_non_null(sb_keys_stream(&state.keys, sb_bytes_of("stream"), state.time_ms));
  return state;
}

static void keys_are_nobodys_and_stay_when_members_come_and_go(void **s) {
  (void)s;
  struct sb_state state = with_keys();
  hello(&state, "b", 5);
  assert_true(sb_state_bye(&state, "a", inc(10), 0));
  assert_true(sb_state_bye(&state, "b", inc(5), 0));
  assert_true(hello(&state, "a", 11));
  assert_non_null(sb_keys_find(&state.keys, sb_bytes_of("string"), state.time_ms));
  assert_non_null(sb_keys_find(&state.keys, sb_bytes_of("stream"), state.time_ms));
  sb_state_close(&state);
  assert_int_equal(state.keys.bytes, 0);
}

static void a_genesis_takes_all_keys(void **s) {
  (void)s;
  struct sb_state state = with_keys();
  sb_keys_set_string(&state.keys, sb_bytes_of("string"), sb_bytes_of("value"), state.time_ms + 1);
  sb_state_snapshot_seen(&state, 6);
  assert_false(found_at(&state, 8, 5)); /* void */
  assert_int_equal(state.keys.table.count, 2);
  assert_true(found_at(&state, 12, 10));
  assert_int_equal(state.keys.table.count, 0);
  assert_int_equal(state.keys.expiring_count, 0);
  assert_int_equal(state.keys.bytes, 0);
  assert_true(sb_keys_set_string(&state.keys, sb_bytes_of("string"), sb_bytes_of("again"), 0));
  sb_state_close(&state);
}

static void a_genesis_that_keeps_keys_keeps_those_that_last_beyond_its_time(void **s) {
  (void)s;
  struct sb_state state = with_keys();
  const struct sb_genesis genesis = {.sequence = 12,
                                     .hello_at = 10,
                                     .generation = GENERATION + 1,
                                     .time_ms = 800,
                                     .partitions = PARTITIONS,
                                     .keeps_keys = true,
                                     .name = "z",
                                     .incarnation = inc(99)};
  sb_keys_set_string(&state.keys, sb_bytes_of("short"), sb_bytes_of("value"), 800);
  sb_keys_set_string(&state.keys, sb_bytes_of("long"), sb_bytes_of("value"), 801);
  assert_true(sb_state_apply_genesis(&state, &genesis));
  assert_int_equal(state.members.count, 1);
  assert_int_equal(state.time_ms, 800);
  assert_int_equal(state.keys.table.count, 3); /* "short" does not count to the limit either */
  assert_null(sb_keys_find(&state.keys, sb_bytes_of("short"), 0));
  assert_true(sb_keys_find(&state.keys, sb_bytes_of("long"), 800)->expires_ms == 801);
  assert_non_null(sb_keys_find(&state.keys, sb_bytes_of("string"), 800));
  assert_non_null(sb_keys_find(&state.keys, sb_bytes_of("stream"), 800));
  sb_state_close(&state);
}

/* ---- entries in fragments ---- */

static enum sb_fragments part(struct sb_state *state, const char *name, uint32_t index, uint32_t count,
                              const char *bytes, struct sb_buf *whole) {
  const struct sb_fragment part = {index, count, sb_bytes_of(bytes)};
  *whole = (struct sb_buf){0};
  return sb_state_fragment(state, name, &part, whole);
}

static void parts_of_two_members_do_not_mix(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_buf whole;
  hello(&state, "b", 20);
  assert_int_equal(part(&state, "a", 1, 2, "one ", &whole), SB_FRAGMENTS_MORE);
  assert_int_equal(part(&state, "b", 1, 3, "three ", &whole), SB_FRAGMENTS_MORE);
  assert_int_equal(part(&state, "b", 2, 3, "four ", &whole), SB_FRAGMENTS_MORE);
  assert_int_equal(state.unfinished_bytes, 4 + 6 + 5);
  assert_int_equal(part(&state, "a", 2, 2, "two", &whole), SB_FRAGMENTS_WHOLE);
  assert_true(sb_bytes_equal(sb_buf_bytes(&whole), sb_bytes_of("one two")));
  sb_buf_close(&whole);
  assert_int_equal(part(&state, "b", 3, 3, "five", &whole), SB_FRAGMENTS_WHOLE);
  assert_true(sb_bytes_equal(sb_buf_bytes(&whole), sb_bytes_of("three four five")));
  sb_buf_close(&whole);
  assert_int_equal(state.unfinished_bytes, 0);
  assert_int_equal(part(&state, "c", 1, 2, "x", &whole), SB_FRAGMENTS_VOID);
  sb_state_close(&state);
}

static void what_is_unfinished_goes_with_its_incarnation(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_buf whole;
  hello(&state, "b", 20);
  part(&state, "b", 1, 2, "x", &whole);
  assert_true(hello(&state, "b", 21));
  assert_int_equal(state.unfinished_bytes, 0);
  assert_int_equal(part(&state, "b", 2, 2, "y", &whole), SB_FRAGMENTS_VOID);
  part(&state, "b", 1, 2, "x", &whole);
  assert_true(sb_state_bye(&state, "b", inc(21), 0));
  assert_int_equal(state.unfinished_bytes, 0);
  part(&state, "a", 1, 2, "x", &whole);
  const struct sb_genesis genesis = {.sequence = 9,
                                     .hello_at = 8,
                                     .generation = 2000,
                                     .partitions = PARTITIONS,
                                     .name = "b",
                                     .incarnation = inc(22)};
  assert_true(sb_state_apply_genesis(&state, &genesis));
  assert_int_equal(state.unfinished_bytes, 0);
  assert_int_equal(part(&state, "b", 2, 2, "y", &whole), SB_FRAGMENTS_VOID);
  sb_state_close(&state);
}

/* An entry is bounded, and so is all that is unfinished; who comes too late begins again later. */
static void what_is_unfinished_is_bounded(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_buf whole;
  struct sb_fragment piece = {1, 3, {sb_calloc(1, SB_PAYLOAD_BYTES_MAX), SB_PAYLOAD_BYTES_MAX - 1}};
  static const char *const names[] = {"a", "b", "c", "d"};
  for (int i = 0; i < 4; i++) {
    if (i > 0) assert_true(hello(&state, names[i], 20));
    assert_int_equal(sb_state_fragment(&state, names[i], &piece, &whole), SB_FRAGMENTS_MORE);
  }
  assert_int_equal(part(&state, "b", 2, 3, "xy", &whole), SB_FRAGMENTS_VOID); /* too much in one */
  assert_int_equal(state.unfinished_bytes, 3 * (SB_PAYLOAD_BYTES_MAX - 1));
  assert_int_equal(part(&state, "a", 2, 3, "x", &whole), SB_FRAGMENTS_MORE);
  hello(&state, "e", 20);
  piece.bytes.len++;
  assert_int_equal(sb_state_fragment(&state, "e", &piece, &whole), SB_FRAGMENTS_MORE);
  hello(&state, "f", 20);
  assert_int_equal(part(&state, "f", 1, 2, "xy", &whole), SB_FRAGMENTS_MORE); /* exactly full */
  assert_int_equal(state.unfinished_bytes, SB_UNFINISHED_BYTES_MAX);
  assert_int_equal(part(&state, "f", 2, 2, "x", &whole), SB_FRAGMENTS_VOID);
  assert_int_equal(state.unfinished_bytes, SB_UNFINISHED_BYTES_MAX - 2);
  assert_int_equal(part(&state, "f", 1, 2, "x", &whole), SB_FRAGMENTS_MORE);
  free((void *)(uintptr_t)piece.bytes.at);
  sb_state_close(&state);
}

static void another_batch_ends_what_is_unfinished(void **s) {
  (void)s;
  struct sb_state state = founded();
  struct sb_buf whole;
  hello(&state, "b", 20);
  part(&state, "a", 1, 2, "x", &whole);
  sb_state_fragments_end(&state, "b");
  sb_state_fragments_end(&state, "nobody");
  assert_int_equal(state.unfinished_bytes, 1);
  sb_state_fragments_end(&state, "a");
  assert_int_equal(state.unfinished_bytes, 0);
  sb_state_close(&state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_batch_with_the_next_number_is_accepted),
      cmocka_unit_test(a_lower_number_is_a_duplicate_and_a_higher_one_a_hole),
      cmocka_unit_test(a_batch_without_a_row_of_its_incarnation_and_generation_is_a_stranger),
      cmocka_unit_test(log_time_is_the_highest_accepted),
      cmocka_unit_test(the_eldest_is_believed_and_others_within_a_bound),
      cmocka_unit_test(who_becomes_the_eldest_begins_at_log_time),
      cmocka_unit_test(a_hello_makes_the_last_member),
      cmocka_unit_test(a_hello_with_a_higher_incarnation_is_the_bye_of_the_older),
      cmocka_unit_test(a_hello_remembers_the_last_incarnation_that_had_a_batch_accepted),
      cmocka_unit_test(two_processes_that_have_one_name_by_turns_each_find_their_past),
      cmocka_unit_test(a_hello_with_an_incarnation_not_higher_than_any_known_is_refused),
      cmocka_unit_test(a_start_above_all_clocks_must_be_the_next_one),
      cmocka_unit_test(a_departed_incarnation_still_counts_as_known),
      cmocka_unit_test(a_hello_of_another_number_of_partitions_is_refused),
      cmocka_unit_test(a_hello_that_knows_a_higher_generation_raises_it),
      cmocka_unit_test(a_generation_never_leaves_its_range),
      cmocka_unit_test(members_are_bounded_and_a_member_may_always_come_back),
      cmocka_unit_test(a_genesis_empties_the_state_but_for_the_founder),
      cmocka_unit_test(a_genesis_is_void_behind_a_snapshot),
      cmocka_unit_test(a_genesis_is_void_behind_another_also_behind_a_void_one),
      cmocka_unit_test(a_snapshot_before_the_hello_does_not_void_a_genesis),
      cmocka_unit_test(a_genesis_whose_hello_is_not_before_it_says_nothing),
      cmocka_unit_test(the_first_message_of_a_log_may_be_a_hello_at_zero),
      cmocka_unit_test(a_bye_makes_a_member_a_departed_row),
      cmocka_unit_test(a_bye_is_void_when_the_row_moved_or_is_another),
      cmocka_unit_test(the_oldest_departure_is_forgotten_first),
      cmocka_unit_test(interest_is_absolute_and_counted_for_its_member),
      cmocka_unit_test(who_is_no_member_has_no_interest),
      cmocka_unit_test(a_bye_takes_the_interest_of_that_member_only),
      cmocka_unit_test(a_hello_takes_the_interest_of_the_older_incarnation_only),
      cmocka_unit_test(a_new_row_begins_without_interest),
      cmocka_unit_test(a_genesis_takes_all_interest),
      cmocka_unit_test(keys_are_nobodys_and_stay_when_members_come_and_go),
      cmocka_unit_test(a_genesis_takes_all_keys),
      cmocka_unit_test(a_genesis_that_keeps_keys_keeps_those_that_last_beyond_its_time),
      cmocka_unit_test(parts_of_two_members_do_not_mix),
      cmocka_unit_test(what_is_unfinished_goes_with_its_incarnation),
      cmocka_unit_test(what_is_unfinished_is_bounded),
      cmocka_unit_test(another_batch_ends_what_is_unfinished),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
