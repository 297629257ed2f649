/* A state as a SNAPSHOT carries it: written and read back it is the same state, and what is not exactly a
 * state is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/core/state.h"
#include "tests/unit/seed.h"

static struct sb_incarnation random_incarnation(void) {
  return (struct sb_incarnation){(uint64_t)random() + 1, (uint64_t)random() << 32 ^ (uint64_t)random()};
}

/* As a log makes it: a founder, then joins, batches and leaves. */
static struct sb_state random_state(uint32_t changes) {
  struct sb_state state = {0};
  const struct sb_found found = {.sequence = 2 + below(1000),
                                 .hello_at = 1,
                                 .generation = (uint64_t)random(),
                                 .time_ms = (uint64_t)random(),
                                 .partitions = 1 + below(256),
                                 .name = "founder",
                                 .incarnation = random_incarnation()};
  sb_state_found(&state, &found);
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
                               &a.sf_mark,
                               &a.members.at[0].incarnation.nonce,
                               &a.members.at[0].number,
                               &a.members.at[0].previous.start_ms,
                               &a.members.at[0].previous_number,
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

/* ---- what no state says ---- */

#define HEAD    "*6\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n"
#define ZERO    "$18\r\n0-0000000000000000\r\n"
#define ONE     "$18\r\n1-0000000000000002\r\n"
#define MEMBER  "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n"
#define ANOTHER "*6\r\n$6\r\nMEMBER\r\n$1\r\nb\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n"
#define GONE    "*6\r\n$4\r\nGONE\r\n$1\r\nc\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n"

/* 65 bytes */
#define LONG_NAME                                                                                            \
  "*6\r\n$6\r\nMEMBER\r\n$65\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" ONE   \
  "$1\r\n5\r\n" ZERO "$1\r\n0\r\n"

static void malformed_states_are_refused(void **s) {
  (void)s;
  static const char *const bad[] = {
      "",
      MEMBER,
      "*1\r\n$5\r\nSTATE\r\n",
      "*6\r\n$5\r\nstate\r\n$1\r\n1\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n",
      "*5\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n",
      "*7\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n$1\r\n3\r\n",
      "*6\r\n$5\r\nSTATE\r\n$1\r\n0\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n", /* version 0 */
      "*6\r\n$5\r\nSTATE\r\n$1\r\n2\r\n$1\r\n9\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n", /* version 2 */
      "*6\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\n9\r\n$3\r\n257\r\n$1\r\n7\r\n$1\r\n3\r\n",
      "*6\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\nx\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n",
      "*6\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$16\r\n9007199254740992\r\n$1\r\n4\r\n$1\r\n7\r\n$1\r\n3\r\n", /* 2^53
                                                                                                       */
      HEAD HEAD,
      HEAD MEMBER HEAD,
      HEAD MEMBER MEMBER,
      HEAD MEMBER GONE GONE,
      HEAD "*1\r\n$4\r\nPING\r\n",
      HEAD "*5\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" ZERO,
      HEAD "*6\r\n$6\r\nMEMBER\r\n$0\r\n\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n",
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\n/\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n",
      HEAD LONG_NAME,
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n5\r\n" ZERO "$1\r\n0\r\n",
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$2\r\n-5\r\n" ZERO "$1\r\n0\r\n",
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n$1\r\n0\r\n$1\r\n0\r\n",
      HEAD "*6\r\n$6\r\nMEMBER\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\nx\r\n",
      HEAD MEMBER "\r\n",
      ("\r\n" HEAD),
  };
  struct sb_state state = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (reads(&state, bad[i], strlen(bad[i]))) fail_msg("taken for a state (%zu): %s", i, bad[i]);
  assert_true(reads(&state, HEAD MEMBER ANOTHER GONE, strlen(HEAD MEMBER ANOTHER GONE)));
  sb_state_close(&state);
}

static void no_bytes_are_no_state(void **s) {
  (void)s;
  struct sb_state state = {0};
  assert_false(sb_state_read(&state, sb_bytes(NULL, 0)));
}

static void a_name_is_a_member_or_departed_not_both(void **s) {
  (void)s;
  static const char both[] =
      HEAD MEMBER "*6\r\n$4\r\nGONE\r\n$1\r\na\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n";
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
    sb_buf_printf(&text, "*6\r\n$6\r\nMEMBER\r\n$5\r\nn%04d\r\n" ONE "$1\r\n5\r\n" ZERO "$1\r\n0\r\n", i);
  }
  assert_false(reads(&state, text.data, text.len));
  sb_buf_close(&text);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_state_written_is_the_state_read),
      cmocka_unit_test(reading_replaces_what_was_there),
      cmocka_unit_test(states_that_differ_anywhere_are_not_equal),
      cmocka_unit_test(a_cut_state_is_refused_unless_it_is_cut_between_rows),
      cmocka_unit_test(an_altered_state_is_refused_or_exactly_another_state),
      cmocka_unit_test(malformed_states_are_refused),
      cmocka_unit_test(no_bytes_are_no_state),
      cmocka_unit_test(a_name_is_a_member_or_departed_not_both),
      cmocka_unit_test(more_rows_than_a_log_can_have_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
