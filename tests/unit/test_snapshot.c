/* A state as a SNAPSHOT carries it: written and read back it is the same state, and what is not exactly a
 * state is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/state/state.h"
#include "tests/unit/seed.h"

static struct sb_incarnation random_incarnation(void) {
  return (struct sb_incarnation){(uint64_t)random() + 1, (uint64_t)random() << 32 ^ (uint64_t)random()};
}

/* As a log makes it: a founder, then joins, batches and leaves. */
static struct sb_state random_state(uint32_t changes) {
  struct sb_state state = {0};
  const struct sb_genesis genesis = {.sequence = 2 + below(1000),
                                     .hello_at = 1,
                                     .generation = (uint64_t)random(),
                                     .time_ms = (uint64_t)random(),
                                     .partitions = 1 + below(256),
                                     .name = "founder",
                                     .incarnation = random_incarnation()};
  sb_state_apply_genesis(&state, &genesis);
  for (uint32_t i = 0; i < changes; i++) {
    char name[16];
    snprintf(name, sizeof name, "n%u", below(12));
    const struct sb_row *row = sb_state_row(&state, name);
    bool member = sb_state_member(&state, name) >= 0;
    if (below(3) == 0) {
      sb_state_hello(&state, name, random_incarnation(), state.partitions, 0);
    } else if (member && below(4) == 0) {
      sb_state_bye(&state, name, row->incarnation, row->number);
    } else if (member) {
      struct sb_envelope envelope = {.generation = state.generation,
                                     .incarnation = row->incarnation,
                                     .number = row->number + 1,
                                     .time_ms = (uint64_t)random()};
      memcpy(envelope.node, name, sizeof name);
      sb_state_batch(&state, &envelope);
    }
  }
  return state;
}

/* Fragments of some entries that have come. */
static void begin_parts(struct sb_state *state) {
  char bytes[40];
  for (uint32_t i = 0; i < state->members.count; i++) {
    uint32_t count = 2 + below(3);
    for (uint32_t index = 1; index < 1 + below(count); index++) {
      struct sb_buf whole;
      snprintf(bytes, sizeof bytes, "$%u\r\n*2\r\n", below(1000000));
      const struct sb_fragment part = {index, count, sb_bytes_of(bytes)};
      if (sb_state_fragment(state, state->members.at[i].name, &part, &whole) == SB_FRAGMENTS_WHOLE)
        sb_buf_close(&whole);
    }
  }
}

/* The same with members that subscribe to channels and patterns, and to the same ones among them, and send
 * entries in fragments. */
static struct sb_state random_interest(uint32_t changes) {
  struct sb_state state = random_state(40);
  begin_parts(&state);
  for (uint32_t i = 0; i < changes; i++) {
    char topic[16];
    const struct sb_row *row = &state.members.at[below(state.members.count)];
    uint32_t count = below(4) == 0 ? 0 : below(8) == 0 ? SB_INTEREST_COUNT_MAX : 1 + below(1000);
    enum sb_sub_kind kind = (enum sb_sub_kind)below(SB_SUB_KINDS);
    snprintf(topic, sizeof topic, "%u", below(kind == SB_SUB_PATTERN ? 20 : 500));
    assert_true(sb_state_interest(&state, row->name, kind, sb_bytes_of(topic), count));
  }
  return state;
}

/* The same with keys, of which some have expired. */
static struct sb_state random_keys(uint32_t changes) {
  struct sb_state state = random_interest(40);
  for (uint32_t i = 0; i < changes; i++) {
    char name[16], value[16];
    snprintf(name, sizeof name, "%u", below(200));
    snprintf(value, sizeof value, "value %u", below(1000));
    uint64_t expires_ms = below(2) ? state.time_ms - 50 + below(100) : 0;
    sb_keys_expire(&state.keys, state.time_ms);
    if (below(2)) {
      assert_true(sb_keys_set_string(&state.keys, sb_bytes_of(name), sb_bytes_of(value), expires_ms));
      continue;
    }
    struct sb_key *key = sb_keys_stream(&state.keys, sb_bytes_of(name), state.time_ms);
    if (!key) continue;
    key->stream = (struct sb_stream){{5 + below(5), below(5)}, {below(5), below(5)}, below(100)};
    sb_keys_set_expiry(&state.keys, key, expires_ms);
  }
  state.time_ms += 10;
  return state;
}

/* Reads a copy of exactly `len` bytes, so that a sanitizer sees a read beyond them. */
static bool reads(struct sb_state *out, const void *text, size_t len) {
  uint8_t *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, text, len);
  bool read = sb_state_read(out, sb_bytes(copy, len));
  free(copy);
  return read;
}

static void a_state_written_is_the_state_read(void **s) {
  (void)s;
  for (int round = 0; round < 200; round++) {
    struct sb_state state = random_state(below(100)), back = {0};
    struct sb_buf text = {0};
    sb_state_write(&state, &text);
    assert_true(reads(&back, text.data, text.len));
    assert_true(sb_state_equal(&state, &back));
    sb_state_close(&state);
    sb_state_close(&back);
    sb_buf_close(&text);
  }
}

static void assert_same_tallies(const struct sb_state *a, const struct sb_state *b) {
  for (uint32_t i = 0; i < a->members.count; i++) {
    assert_int_equal(a->members.at[i].channels, b->members.at[i].channels);
    assert_int_equal(a->members.at[i].patterns, b->members.at[i].patterns);
  }
  assert_int_equal(a->counts.pattern_bytes, b->counts.pattern_bytes);
}

static void interest_written_is_the_interest_read(void **s) {
  (void)s;
  for (int round = 0; round < 100; round++) {
    struct sb_state state = random_interest(below(2000)), back = {0};
    struct sb_buf text = {0};
    sb_state_write(&state, &text);
    assert_true(reads(&back, text.data, text.len));
    assert_true(sb_state_equal(&state, &back) && sb_state_equal(&back, &state));
    assert_int_equal(state.unfinished_bytes, back.unfinished_bytes);
    assert_same_tallies(&state, &back);
    uint32_t gone = below(state.members.count); /* what comes next has the same effect on both */
    char name[SB_NODE_NAME_MAX + 1];
    memcpy(name, state.members.at[gone].name, sizeof name);
    struct sb_incarnation incarnation = state.members.at[gone].incarnation;
    uint64_t number = state.members.at[gone].number;
    assert_true(sb_state_bye(&state, name, incarnation, number));
    assert_true(sb_state_bye(&back, name, incarnation, number));
    incarnation.start_ms++;
    assert_true(sb_state_hello(&state, name, incarnation, state.partitions, 0));
    assert_true(sb_state_hello(&back, name, incarnation, state.partitions, 0));
    sb_state_interest(&state, name, SB_SUB_CHANNEL, sb_bytes_of("1"), 3);
    sb_state_interest(&back, name, SB_SUB_CHANNEL, sb_bytes_of("1"), 3);
    assert_true(sb_state_equal(&state, &back));
    assert_same_tallies(&state, &back);
    sb_state_close(&state);
    sb_state_close(&back);
    sb_buf_close(&text);
  }
}

static void keys_written_are_the_keys_read(void **s) {
  (void)s;
  for (int round = 0; round < 100; round++) {
    struct sb_state state = random_keys(below(1000)), back = {0};
    struct sb_buf text = {0};
    sb_state_write(&state, &text);
    assert_true(reads(&back, text.data, text.len));
    assert_true(sb_state_equal(&state, &back) && sb_state_equal(&back, &state));
    sb_keys_expire(&state.keys, state.time_ms);
    assert_int_equal(state.keys.bytes, back.keys.bytes); /* they will refuse the same */
    sb_keys_set_string(&back.keys, sb_bytes_of("1"), sb_bytes_of("x"), back.time_ms);
    sb_keys_set_string(&state.keys, sb_bytes_of("1"), sb_bytes_of("y"), back.time_ms);
    assert_true(sb_state_equal(&state, &back)); /* its time has come, in both */
    sb_keys_set_string(&back.keys, sb_bytes_of("1"), sb_bytes_of("x"), back.time_ms + 1);
    assert_false(sb_state_equal(&state, &back) || sb_state_equal(&back, &state));
    sb_state_close(&state);
    sb_state_close(&back);
    sb_buf_close(&text);
  }
}

static void a_checkpoint_is_the_state_without_subscriptions(void **s) {
  (void)s;
  struct sb_state state = random_keys(300), back = {0};
  struct sb_buf text = {0};
  assert_true(state.counts.count > 0);
  sb_state_write_checkpoint(&state, &text);
  assert_true(reads(&back, text.data, text.len));
  assert_int_equal(back.counts.count + back.counts.pattern_rows, 0);
  assert_true(back.keys.table.count > 0);
  assert_true(sb_keys_equal(&state.keys, &back.keys, state.time_ms));
  sb_counts_close(&state.counts);
  assert_true(sb_state_equal(&state, &back)); /* all else is there */
  sb_state_close(&state);
  sb_state_close(&back);
  sb_buf_close(&text);
}

/* 10 members with 20,000 channels each, as one joins a large hub: 20 bytes for each, and little around them.
 */
static void a_channel_takes_20_bytes_of_a_snapshot(void **s) {
  (void)s;
  enum { MEMBERS = 10, CHANNELS = 20000 };
  struct sb_state state = random_state(0), back = {0};
  struct sb_buf text = {0};
  char name[32];
  for (uint32_t m = 0; m < MEMBERS; m++) {
    snprintf(name, sizeof name, "m%u", m);
    assert_true(sb_state_hello(&state, name, (struct sb_incarnation){5, 5}, state.partitions, 0));
    for (uint32_t c = 0; c < CHANNELS; c++) {
      char channel[32];
      snprintf(channel, sizeof channel, "a connection of m%u: %u", m, c);
      assert_true(sb_state_interest(&state, name, SB_SUB_CHANNEL, sb_bytes_of(channel), 1));
    }
  }
  sb_state_write(&state, &text);
  assert_in_range(text.len, 20 * MEMBERS * CHANNELS, 21 * MEMBERS * CHANNELS);
  assert_true(reads(&back, text.data, text.len));
  assert_true(sb_state_equal(&state, &back));
  sb_state_close(&state);
  sb_state_close(&back);
  sb_buf_close(&text);
}

static void reading_replaces_what_was_there(void **s) {
  (void)s;
  struct sb_state state = random_state(50), other = random_state(50);
  struct sb_buf text = {0};
  assert_false(sb_state_equal(&state, &other));
  sb_state_write(&state, &text);
  assert_true(reads(&other, text.data, text.len));
  assert_true(sb_state_equal(&state, &other));
  sb_state_close(&state);
  sb_state_close(&other);
  sb_buf_close(&text);
}

static void states_that_differ_anywhere_are_not_equal(void **s) {
  (void)s;
  struct sb_state a = random_state(0), b = {0};
  struct sb_buf text = {0};
  sb_state_hello(&a, "n", (struct sb_incarnation){5, 5}, a.partitions, 0);
  sb_state_bye(&a, "n", (struct sb_incarnation){5, 5}, 0);
  sb_state_write(&a, &text);
  uint64_t *const numbers[] = {&a.generation,
                               &a.time_ms,
                               &a.mark,
                               &a.members.at[0].incarnation.nonce,
                               &a.members.at[0].number,
                               &a.members.at[0].previous.start_ms,
                               &a.members.at[0].previous_number,
                               &a.members.at[0].other.nonce,
                               &a.members.at[0].other_number,
                               &a.departed.at[0].number};
  assert_true(reads(&b, text.data, text.len));
  assert_true(sb_state_equal(&a, &b));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    ++*numbers[i];
    assert_false(sb_state_equal(&a, &b));
    --*numbers[i];
  }
  a.partitions++;
  assert_false(sb_state_equal(&a, &b));
  a.partitions--;
  a.members.at[0].name[0]++;
  assert_false(sb_state_equal(&a, &b));
  sb_state_close(&a);
  sb_state_close(&b);
  sb_buf_close(&text);
}

/* One thing at a time: a count, whose it is, a channel, a pattern, one more or one less. */
static void states_whose_interest_differs_are_not_equal(void **s) {
  (void)s;
  static const struct {
    const char *name;
    enum sb_sub_kind kind;
    const char *topic;
    uint32_t count;
  } changes[] = {
      {"founder", SB_SUB_CHANNEL, "c", 2}, {"founder", SB_SUB_CHANNEL, "c", 0},
      {"founder", SB_SUB_CHANNEL, "d", 1}, {"founder", SB_SUB_SHARD, "c", 1},
      {"n", SB_SUB_CHANNEL, "c", 1},       {"founder", SB_SUB_PATTERN, "p", 2},
      {"founder", SB_SUB_PATTERN, "p", 0}, {"founder", SB_SUB_PATTERN, "q", 1},
      {"n", SB_SUB_PATTERN, "p", 1},
  };
  struct sb_state a = random_state(0), b = {0};
  struct sb_buf text = {0};
  sb_state_hello(&a, "n", (struct sb_incarnation){5, 5}, a.partitions, 0);
  sb_state_interest(&a, "founder", SB_SUB_CHANNEL, sb_bytes_of("c"), 1);
  sb_state_interest(&a, "founder", SB_SUB_PATTERN, sb_bytes_of("p"), 1);
  sb_state_write(&a, &text);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    assert_true(reads(&b, text.data, text.len));
    assert_true(sb_state_equal(&a, &b));
    sb_state_interest(&b, changes[i].name, changes[i].kind, sb_bytes_of(changes[i].topic), changes[i].count);
    if (sb_state_equal(&a, &b) || sb_state_equal(&b, &a)) fail_msg("change %zu is not seen", i);
  }
  /* As many rows, and as many sessions, of another member. */
  assert_true(reads(&b, text.data, text.len));
  sb_state_interest(&b, "founder", SB_SUB_CHANNEL, sb_bytes_of("c"), 0);
  sb_state_interest(&b, "n", SB_SUB_CHANNEL, sb_bytes_of("c"), 1);
  assert_false(sb_state_equal(&a, &b));
  assert_true(reads(&b, text.data, text.len));
  sb_state_interest(&b, "founder", SB_SUB_PATTERN, sb_bytes_of("p"), 0);
  sb_state_interest(&b, "n", SB_SUB_PATTERN, sb_bytes_of("p"), 1);
  assert_false(sb_state_equal(&a, &b));
  sb_state_close(&a);
  sb_state_close(&b);
  sb_buf_close(&text);
}

static void states_whose_parts_differ_are_not_equal(void **s) {
  (void)s;
  static const struct sb_fragment parts[] = {{1, 2, {(const uint8_t *)"x", 1}},
                                             {1, 3, {(const uint8_t *)"x", 1}},
                                             {1, 2, {(const uint8_t *)"y", 1}},
                                             {1, 2, {(const uint8_t *)"xx", 2}},
                                             {2, 3, {(const uint8_t *)"x", 1}}};
  struct sb_buf whole;
  for (size_t i = 0; i < 5; i++)
    for (size_t k = 0; k < 5; k++) {
      struct sb_state a = {0}, b = {0};
      const struct sb_genesis genesis = {
          .sequence = 2, .hello_at = 1, .generation = 5, .partitions = 1, .name = "a"};
      sb_state_apply_genesis(&a, &genesis);
      sb_state_apply_genesis(&b, &genesis);
      const struct sb_fragment first = {1, 3, sb_bytes_of("x")};
      if (parts[i].index == 2) sb_state_fragment(&a, "a", &first, &whole);
      if (parts[k].index == 2) sb_state_fragment(&b, "a", &first, &whole);
      assert_int_equal(sb_state_fragment(&a, "a", &parts[i], &whole), SB_FRAGMENTS_MORE);
      assert_int_equal(sb_state_fragment(&b, "a", &parts[k], &whole), SB_FRAGMENTS_MORE);
      assert_int_equal(sb_state_equal(&a, &b), i == k);
      sb_state_close(&a);
      sb_state_close(&b);
    }
}

/* A cut between two rows gives a state of fewer rows: the number of parts of a SNAPSHOT guards against that.
 */
static void a_cut_state_is_refused_unless_it_is_cut_between_rows(void **s) {
  (void)s;
  struct sb_state state = random_state(60), back = {0};
  struct sb_buf text = {0};
  sb_state_write(&state, &text);
  uint32_t taken = 0;
  for (size_t len = 0; len < text.len; len++) {
    if (!reads(&back, text.data, len)) {
      assert_int_equal(back.members.count + back.departed.count, 0);
      assert_null(back.members.at);
      continue;
    }
    taken++;
    assert_int_equal(text.data[len], '*');
    assert_true(back.members.count + back.departed.count < state.members.count + state.departed.count);
  }
  assert_int_equal(taken, state.members.count + state.departed.count);
  sb_state_close(&back);
  sb_state_close(&state);
  sb_buf_close(&text);
}

/* There is one text for a state: whatever is read is, written again, what was read. */
static void an_altered_state_is_refused_or_exactly_another_state(void **s) {
  (void)s;
  struct sb_state state = random_state(40), back = {0};
  struct sb_buf text = {0}, again = {0};
  sb_state_write(&state, &text);
  for (size_t at = 0; at < text.len; at++)
    for (int c = 0; c < 256; c++) {
      uint8_t was = text.data[at];
      text.data[at] = (uint8_t)c;
      if (reads(&back, text.data, text.len)) {
        sb_buf_clear(&again);
        sb_state_write(&back, &again);
        if (!sb_bytes_equal(sb_buf_bytes(&again), sb_buf_bytes(&text)))
          fail_msg("byte %zu, '%c' made '%c', is read as something else", at, was, c);
      }
      text.data[at] = was;
    }
  sb_state_close(&back);
  sb_state_close(&state);
  sb_buf_close(&text);
  sb_buf_close(&again);
}

/* The channels of a member come in any order: altered interest is refused, or is another state that is the
 * same when it was written and read once more. */
static void altered_interest_is_refused_or_another_state(void **s) {
  (void)s;
  struct sb_state state = random_interest(30), back = {0}, third = {0};
  struct sb_buf text = {0}, again = {0};
  sb_state_write(&state, &text);
  for (size_t at = 0; at < text.len; at++)
    for (int bit = 0; bit < 8; bit++) {
      text.data[at] ^= (uint8_t)(1 << bit);
      if (reads(&back, text.data, text.len)) {
        sb_buf_clear(&again);
        sb_state_write(&back, &again);
        assert_true(reads(&third, again.data, again.len));
        if (!sb_state_equal(&back, &third)) fail_msg("byte %zu, bit %d", at, bit);
        if (sb_state_equal(&back, &state)) fail_msg("byte %zu, bit %d is not part of the state", at, bit);
        assert_same_tallies(&back, &third);
      }
      text.data[at] ^= (uint8_t)(1 << bit);
    }
  sb_state_close(&third);
  sb_state_close(&back);
  sb_state_close(&state);
  sb_buf_close(&text);
  sb_buf_close(&again);
}

/* Keys come in any order too. */
static void altered_keys_are_refused_or_another_state(void **s) {
  (void)s;
  struct sb_state state = random_state(0), back = {0}, third = {0};
  struct sb_buf text = {0}, again = {0};
  sb_keys_set_string(&state.keys, sb_bytes_of("k"), sb_bytes_of("value"), state.time_ms + 1);
  sb_keys_set_string(&state.keys, sb_bytes_of("l"), sb_bytes_of(""), 0);
  sb_keys_stream(&state.keys, sb_bytes_of("s"), 0)->stream = (struct sb_stream){{12, 345}, {12, 45}, 67};
  sb_state_write(&state, &text);
  for (size_t at = 0; at < text.len; at++)
    for (int c = 0; c < 256; c++) {
      uint8_t was = text.data[at];
      text.data[at] = (uint8_t)c;
      if (c != was && reads(&back, text.data, text.len)) {
        sb_buf_clear(&again);
        sb_state_write(&back, &again);
        assert_true(reads(&third, again.data, again.len));
        if (!sb_state_equal(&back, &third)) fail_msg("byte %zu, '%c' made '%c'", at, was, c);
        if (sb_state_equal(&back, &state)) fail_msg("byte %zu, '%c' is not part of the state", at, c);
      }
      text.data[at] = was;
    }
  sb_state_close(&third);
  sb_state_close(&back);
  sb_state_close(&state);
  sb_buf_close(&text);
  sb_buf_close(&again);
}

/* ---- what no state says ---- */

#define STATE_OF(args, word, version, partitions, restore_until)                                             \
  args "\r\n$5\r\n" word "\r\n$1\r\n" version "\r\n$1\r\n9\r\n$1\r\n" partitions                             \
       "\r\n$1\r\n7\r\n$1\r\n3\r\n$1\r\n" restore_until "\r\n"
#define CHAIN   "$27\r\n3-0000000a-00000000000000bb\r\n"
#define KEY     "$32\r\n00112233445566778899aabbccddeeff\r\n$1\r\n7\r\n" CHAIN
#define HEAD    STATE_OF("*10", "STATE", "2", "4", "0") KEY
#define ZERO    "$18\r\n0-0000000000000000\r\n"
#define NONE    ZERO "$1\r\n0\r\n"
#define ONE     "$18\r\n1-0000000000000002\r\n"
#define MEMBER  "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE NONE
#define ANOTHER "*8\r\n$6\r\nMEMBER\r\n$1\r\nb\r\n" ONE "$1\r\n5\r\n" NONE NONE
#define GONE    "*8\r\n$4\r\nGONE\r\n$1\r\nc\r\n" ONE "$1\r\n5\r\n" NONE NONE

/* 65 bytes */
#define LONG_NAME                                                                                            \
  "*8\r\n$6\r\nMEMBER\r\n$65\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" ONE   \
  "$1\r\n5\r\n" NONE NONE

static void malformed_states_are_refused(void **s) {
  (void)s;
  static const char *const bad[] = {
      "",
      MEMBER,
      "*1\r\n$5\r\nSTATE\r\n",
      STATE_OF("*10", "state", "2", "4", "0") KEY,
      STATE_OF("*7", "STATE", "2", "4", "0"),
      STATE_OF("*11", "STATE", "2", "4", "0") KEY "$1\r\n0\r\n",
      STATE_OF("*10", "STATE", "2", "4", "x") KEY,
      STATE_OF("*10", "STATE", "1", "4", "0") KEY, /* of another version */
      STATE_OF("*10", "STATE", "3", "4", "0") KEY,
      STATE_OF("*10", "STATE", "2", "0", "0") KEY,
      "*10\r\n$5\r\nSTATE\r\n$1\r\n2\r\n$1\r\n9\r\n$3\r\n257\r\n$1\r\n7\r\n$1\r\n3\r\n$1\r\n0\r\n" KEY,
      "*10\r\n$5\r\nSTATE\r\n$1\r\n2\r\n$1\r\nx\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n$1\r\n0\r\n" KEY,
      "*10\r\n$5\r\nSTATE\r\n$1\r\n2\r\n$16\r\n9007199254740992\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n$"
      "1\r\n0\r\n" KEY, /* 2^53 */
      STATE_OF("*10", "STATE", "2", "4", "0") "$0\r\n\r\n$1\r\n7\r\n" CHAIN,
      STATE_OF("*10", "STATE", "2", "4",
               "0") "$32\r\n00112233445566778899aabbccddeeff\r\n$1\r\n8\r\n" CHAIN, /* above log time */
      STATE_OF("*9", "STATE", "2", "4", "0") "$32\r\n00112233445566778899aabbccddeeff\r\n",
      STATE_OF("*10", "STATE", "2", "4", "0") "$31\r\n00112233445566778899aabbccddeef\r\n$1\r\n7\r\n" CHAIN,
      STATE_OF("*10", "STATE", "2", "4", "0") "$33\r\n00112233445566778899aabbccddeeff0\r\n$1\r\n7\r\n" CHAIN,
      STATE_OF("*10", "STATE", "2", "4", "0") "$32\r\n00112233445566778899AABBCCDDEEFF\r\n$1\r\n7\r\n" CHAIN,
      STATE_OF("*10", "STATE", "2", "4", "0") "$32\r\n0011223344556677 899aabbccddeeff\r\n$1\r\n7\r\n" CHAIN,
      STATE_OF("*9", "STATE", "2", "4", "0") "$32\r\n00112233445566778899aabbccddeeff\r\n$1\r\n7\r\n",
      STATE_OF(
          "*10", "STATE", "2", "4",
          "0") "$32\r\n00112233445566778899aabbccddeeff\r\n$1\r\n7\r\n$27\r\n3-00000000-00000000000000bb\r\n",
      STATE_OF("*10", "STATE", "2", "4",
               "0") "$32\r\n00112233445566778899aabbccddeeff\r\n$1\r\n7\r\n$10\r\n3-0000000a\r\n",
      HEAD HEAD,
      HEAD MEMBER HEAD,
      HEAD MEMBER MEMBER,
      HEAD MEMBER GONE GONE,
      HEAD "*1\r\n$4\r\nPING\r\n",
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE,
      HEAD "*7\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE ZERO,
      HEAD "*9\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE NONE "$1\r\n0\r\n",
      HEAD "*8\r\n$6\r\nMEMBER\r\n$0\r\n\r\n" ONE "$1\r\n5\r\n" NONE NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\n/\r\n" ONE "$1\r\n5\r\n" NONE NONE,
      HEAD LONG_NAME,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n5\r\n" NONE NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$2\r\n-5\r\n" NONE NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$20\r\n18446744073709551615\r\n" NONE NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n$1\r\n0\r\n$1\r\n0\r\n" NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\nx\r\n" NONE,
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE "$1\r\n0\r\n$1\r\n0\r\n",
      HEAD "*8\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE ZERO "$1\r\nx\r\n",
      HEAD MEMBER "\r\n",
      ("\r\n" HEAD),
  };
  struct sb_state state = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (reads(&state, bad[i], strlen(bad[i]))) fail_msg("taken for a state (%zu): %s", i, bad[i]);
  assert_true(reads(&state, HEAD MEMBER ANOTHER GONE, strlen(HEAD MEMBER ANOTHER GONE)));
  sb_state_close(&state);
}

/* ---- what nobody's interest says ---- */

struct line {
  const char *why;
  const char *text;
  size_t len;
};

#define LINE(why, text)                                                                                      \
  { why, text, sizeof(text) - 1 }
#define COUNTS_OF(name, len, data)       "*3\r\n$6\r\nCOUNTS\r\n" name "$" len "\r\n" data "\r\n"
#define PATTERN_OF(name, rest)           "*4\r\n$7\r\nPATTERN\r\n" name rest
#define PART_OF(name, next, count, data) "*5\r\n$4\r\nPART\r\n" name next count data
#define A                                "$1\r\na\r\n"
#define ROW_1                            "hashhashmorehash\1\0\0\0"
#define ROW_2                            "hashhashMOREhash\100\102\017\0" /* the most that there may be */

static void lines_of_interest_are_taken(void **s) {
  (void)s;
  static const struct line good[] = {
      LINE("one channel", COUNTS_OF(A, "20", ROW_1)),
      LINE("two channels", COUNTS_OF(A, "40", ROW_1 ROW_2)),
      LINE("in two lines", COUNTS_OF(A, "20", ROW_1) COUNTS_OF(A, "20", ROW_2)),
      LINE("of two members", COUNTS_OF(A, "20", ROW_1) COUNTS_OF("$1\r\nb\r\n", "20", ROW_1)),
      LINE("a pattern", PATTERN_OF(A, "$1\r\n*\r\n$1\r\n1\r\n")),
      LINE("the empty pattern", PATTERN_OF(A, "$0\r\n\r\n$7\r\n1000000\r\n")),
      LINE("of two members",
           PATTERN_OF(A, "$1\r\n*\r\n$1\r\n1\r\n") PATTERN_OF("$1\r\nb\r\n", "$1\r\n*\r\n$1\r\n1\r\n")),
  };
  struct sb_state state = {0};
  struct sb_buf text = {0};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    sb_buf_clear(&text);
    sb_buf_text(&text, HEAD MEMBER ANOTHER GONE);
    sb_buf_append(&text, good[i].text, good[i].len);
    if (!reads(&state, text.data, text.len)) fail_msg("not taken: %s", good[i].why);
    assert_true(state.counts.count + state.counts.pattern_rows > 0);
  }
  sb_state_close(&state);
  sb_buf_close(&text);
}

static void malformed_lines_of_interest_are_refused(void **s) {
  (void)s;
  static const struct line bad[] = {
      LINE("COUNTS of too few arguments", "*2\r\n$6\r\nCOUNTS\r\n" A),
      LINE("COUNTS of too many", "*4\r\n$6\r\nCOUNTS\r\n" A "$20\r\n" ROW_1 "\r\n$0\r\n\r\n"),
      LINE("COUNTS of a stranger", COUNTS_OF("$1\r\nx\r\n", "20", ROW_1)),
      LINE("COUNTS of one who departed", COUNTS_OF("$1\r\nc\r\n", "20", ROW_1)),
      LINE("COUNTS of no name", COUNTS_OF("$0\r\n\r\n", "20", ROW_1)),
      LINE("COUNTS of a name that goes on behind a zero", COUNTS_OF("$2\r\na\0\r\n", "20", ROW_1)),
      LINE("COUNTS of a name of 65 bytes",
           COUNTS_OF("$65\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "20",
                     ROW_1)),
      LINE("a row cut short", COUNTS_OF(A, "19", "hashhashmorehash\1\0\0")),
      LINE("a row and a byte", COUNTS_OF(A, "21", ROW_1 "x")),
      LINE("a row of no sessions", COUNTS_OF(A, "20", "hashhashmorehash\0\0\0\0")),
      LINE("a row of more sessions than there may be", COUNTS_OF(A, "20", "hashhashmorehash\101\102\017\0")),
      LINE("the same channel twice", COUNTS_OF(A, "40", ROW_1 ROW_1)),
      LINE("the same channel in two lines",
           COUNTS_OF(A, "20", ROW_1) COUNTS_OF(A, "20", "hashhashmorehash\2\0\0\0")),
      LINE("PATTERN of too few arguments", "*3\r\n$7\r\nPATTERN\r\n" A "$1\r\n*\r\n"),
      LINE("PATTERN of too many", "*5\r\n$7\r\nPATTERN\r\n" A "$1\r\n*\r\n$1\r\n1\r\n$1\r\n1\r\n"),
      LINE("PATTERN of a stranger", PATTERN_OF("$1\r\nx\r\n", "$1\r\n*\r\n$1\r\n1\r\n")),
      LINE("PATTERN of one who departed", PATTERN_OF("$1\r\nc\r\n", "$1\r\n*\r\n$1\r\n1\r\n")),
      LINE("PATTERN of a name that goes on", PATTERN_OF("$2\r\na\0\r\n", "$1\r\n*\r\n$1\r\n1\r\n")),
      LINE("PATTERN of no number", PATTERN_OF(A, "$1\r\n*\r\n$1\r\nx\r\n")),
      LINE("PATTERN of no sessions", PATTERN_OF(A, "$1\r\n*\r\n$1\r\n0\r\n")),
      LINE("PATTERN of a leading zero", PATTERN_OF(A, "$1\r\n*\r\n$2\r\n01\r\n")),
      LINE("PATTERN of too many sessions", PATTERN_OF(A, "$1\r\n*\r\n$7\r\n1000001\r\n")),
      LINE("the same pattern twice",
           PATTERN_OF(A, "$1\r\n*\r\n$1\r\n1\r\n") PATTERN_OF(A, "$1\r\n*\r\n$1\r\n2\r\n")),
      LINE("PART of a stranger", PART_OF("$1\r\nx\r\n", "$1\r\n2\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")),
      LINE("PART of one who departed", PART_OF("$1\r\nc\r\n", "$1\r\n2\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")),
      LINE("PART of nothing", PART_OF(A, "$1\r\n2\r\n", "$1\r\n3\r\n", "$0\r\n\r\n")),
      LINE("PART before the first", PART_OF(A, "$1\r\n1\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")),
      LINE("PART behind the last", PART_OF(A, "$1\r\n4\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")),
      LINE("PART of too many", PART_OF(A, "$1\r\n2\r\n", "$4\r\n4097\r\n", "$1\r\nx\r\n")),
      LINE("PART without a count", "*4\r\n$4\r\nPART\r\n" A "$1\r\n2\r\n$1\r\nx\r\n"),
      LINE("PART twice", PART_OF(A, "$1\r\n2\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")
                             PART_OF(A, "$1\r\n2\r\n", "$1\r\n3\r\n", "$1\r\nx\r\n")),
      LINE("lower case", "*3\r\n$6\r\ncounts\r\n" A "$20\r\n" ROW_1 "\r\n"),
  };
  struct sb_state state = {0};
  struct sb_buf text = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    sb_buf_clear(&text);
    sb_buf_text(&text, HEAD MEMBER ANOTHER GONE);
    sb_buf_append(&text, bad[i].text, bad[i].len);
    if (reads(&state, text.data, text.len)) fail_msg("taken: %s", bad[i].why);
    assert_int_equal(state.members.count, 0);
    assert_null(state.counts.slots);
  }
  sb_buf_clear(&text);
  sb_buf_text(&text, HEAD); /* whose they are comes first */
  sb_buf_append(&text, COUNTS_OF(A, "20", ROW_1), sizeof COUNTS_OF(A, "20", ROW_1) - 1);
  sb_buf_text(&text, MEMBER);
  assert_false(reads(&state, text.data, text.len));
  sb_buf_close(&text);
}

/* ---- what no keys say: their lines have a test of their own ---- */

#define STRING_OF(name, expires) "*4\r\n$6\r\nSTRING\r\n$1\r\n" name "\r\n$1\r\nv\r\n$1\r\n" expires "\r\n"
#define STREAM_OF(name, expires)                                                                             \
  "*6\r\n$6\r\nSTREAM\r\n$1\r\n" name "\r\n$3\r\n5-1\r\n$3\r\n0-0\r\n$1\r\n1\r\n$1\r\n" expires "\r\n"

/* The log time of HEAD is 7. */
static void keys_of_a_state_are_taken_or_all_is_refused(void **s) {
  (void)s;
  static const char *const good[] = {
      STRING_OF("k", "0"),
      STRING_OF("k", "8") STREAM_OF("s", "9") STREAM_OF("t", "0"),
  };
  static const char *const bad[] = {
      STRING_OF("k", "7"), /* its time has come */
      STREAM_OF("s", "1"),
      STRING_OF("k", "9") STREAM_OF("s", "7"),
      STRING_OF("k", "0") STRING_OF("k", "0"),
      STRING_OF("k", "0") STREAM_OF("k", "0"),
      STRING_OF("k", "0") STRING_OF("l", "x"),
      STRING_OF("k", "0") "*2\r\n$6\r\nSTRING\r\n$1\r\nl\r\n",
  };
  struct sb_state state = {0};
  struct sb_buf text = {0};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    sb_buf_clear(&text);
    sb_buf_printf(&text, "%s%s", HEAD MEMBER, good[i]);
    assert_true(reads(&state, text.data, text.len));
    assert_int_equal(state.keys.table.count, i == 0 ? 1 : 3);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    sb_buf_clear(&text);
    sb_buf_printf(&text, "%s%s", HEAD MEMBER, bad[i]);
    if (reads(&state, text.data, text.len)) fail_msg("taken: %s", bad[i]);
    assert_int_equal(state.keys.table.count + state.members.count, 0);
  }
  assert_false(reads(&state, STRING_OF("k", "0") HEAD, sizeof(STRING_OF("k", "0") HEAD) - 1));
  sb_buf_close(&text);
}

static void more_interest_than_a_log_can_have_is_refused(void **s) {
  (void)s;
  struct sb_state state = {0};
  struct sb_buf text = {0};
  for (size_t over = 0; over < 2; over++) {
    sb_buf_clear(&text);
    sb_buf_printf(&text, HEAD MEMBER "*3\r\n$6\r\nCOUNTS\r\n" A "$%zu\r\n",
                  20 * (SB_INTEREST_ROWS_MAX + over));
    for (size_t i = 0; i < SB_INTEREST_ROWS_MAX + over; i++) {
      const uint8_t row[20] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), [SB_NAME_ID_BYTES] = 1};
      sb_buf_append(&text, row, sizeof row);
    }
    sb_buf_text(&text, "\r\n");
    assert_int_equal(sb_state_read(&state, sb_buf_bytes(&text)), over == 0);
  }
  sb_buf_close(&text);
}

static void no_bytes_are_no_state(void **s) {
  (void)s;
  struct sb_state state = {0};
  assert_false(sb_state_read(&state, sb_bytes(NULL, 0)));
}

static void a_name_is_a_member_or_departed_not_both(void **s) {
  (void)s;
  static const char both[] = HEAD MEMBER "*8\r\n$4\r\nGONE\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" NONE NONE;
  struct sb_state state = {0};
  assert_false(reads(&state, both, sizeof both - 1));
}

static void more_rows_than_a_log_can_have_are_refused(void **s) {
  (void)s;
  struct sb_state state = {0};
  struct sb_buf text = {0};
  sb_buf_text(&text, HEAD);
  for (int i = 0; i <= SB_MEMBERS_MAX; i++) {
    if (i == SB_MEMBERS_MAX) assert_true(reads(&state, text.data, text.len));
    sb_buf_printf(&text, "*8\r\n$6\r\nMEMBER\r\n$5\r\nn%04d\r\n" ONE "$1\r\n5\r\n" NONE NONE, i);
  }
  assert_false(reads(&state, text.data, text.len));
  sb_buf_close(&text);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_state_written_is_the_state_read),
      cmocka_unit_test(interest_written_is_the_interest_read),
      cmocka_unit_test(keys_written_are_the_keys_read),
      cmocka_unit_test(a_checkpoint_is_the_state_without_subscriptions),
      cmocka_unit_test(a_channel_takes_20_bytes_of_a_snapshot),
      cmocka_unit_test(reading_replaces_what_was_there),
      cmocka_unit_test(states_that_differ_anywhere_are_not_equal),
      cmocka_unit_test(states_whose_interest_differs_are_not_equal),
      cmocka_unit_test(states_whose_parts_differ_are_not_equal),
      cmocka_unit_test(a_cut_state_is_refused_unless_it_is_cut_between_rows),
      cmocka_unit_test(an_altered_state_is_refused_or_exactly_another_state),
      cmocka_unit_test(altered_interest_is_refused_or_another_state),
      cmocka_unit_test(altered_keys_are_refused_or_another_state),
      cmocka_unit_test(malformed_states_are_refused),
      cmocka_unit_test(lines_of_interest_are_taken),
      cmocka_unit_test(malformed_lines_of_interest_are_refused),
      cmocka_unit_test(keys_of_a_state_are_taken_or_all_is_refused),
      cmocka_unit_test(more_interest_than_a_log_can_have_is_refused),
      cmocka_unit_test(no_bytes_are_no_state),
      cmocka_unit_test(a_name_is_a_member_or_departed_not_both),
      cmocka_unit_test(more_rows_than_a_log_can_have_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
