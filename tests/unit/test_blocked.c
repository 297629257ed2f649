/* XREADs that wait: who is looked at when, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/session.h"

static const struct sb_id from_begin = {0, 0}, first = {1, 1}, second = {1, 2};

static struct sb_blocked *block(struct sb_blocking *blocking, struct sb_session *session, const char *keys,
                                uint64_t ends_ms) {
  struct sb_awaited_stream streams[8];
  uint32_t count = 0;
  for (; keys[count]; count++)
    streams[count] =
        (struct sb_awaited_stream){sb_bytes(&keys[count], 1), first, (uint32_t)(keys[count] & 1), false};
  return sb_blocking_begin(blocking, session, 7, streams, count, UINT64_MAX, ends_ms);
}

static void wake(struct sb_blocking *blocking, const char *key) {
  sb_blocking_wake(blocking, sb_bytes_of(key), second, from_begin);
}

static void who_is_looked_at_is_who_something_came_for_in_that_order(void **state) {
  (void)state;
  struct sb_blocking blocking;
  struct sb_session sessions[3] = {0};
  struct sb_blocked *blocked[3];
  sb_blocking_init(&blocking);
  for (int i = 0; i < 3; i++) blocked[i] = block(&blocking, &sessions[i], i == 1 ? "b" : "a", 0);
  assert_null(sb_blocking_next(&blocking));
  wake(&blocking, "b");
  wake(&blocking, "c");
  wake(&blocking, "a");
  wake(&blocking, "b");
  assert_ptr_equal(sb_blocking_next(&blocking), blocked[1]);
  struct sb_blocked *x = sb_blocking_next(&blocking), *y = sb_blocking_next(&blocking);
  assert_true((x == blocked[0] && y == blocked[2]) || (x == blocked[2] && y == blocked[0]));
  assert_null(sb_blocking_next(&blocking));
  assert_ptr_equal(sb_blocked_session(blocked[2]), &sessions[2]);
  for (int i = 0; i < 3; i++) sb_blocking_end(&blocking, blocked[i]);
  assert_int_equal(blocking.keys.count, 0);
  sb_blocking_close(&blocking);
}

static void the_stream_to_which_an_entry_came_first_stands_first(void **state) {
  (void)state;
  struct sb_blocking blocking;
  struct sb_session session = {0};
  struct sb_awaited_stream streams[3];
  sb_blocking_init(&blocking);
  struct sb_blocked *blocked = block(&blocking, &session, "abc", 0);
  wake(&blocking, "c");
  wake(&blocking, "b");
  wake(&blocking, "c");
  sb_blocked_streams(blocked, streams);
  assert_memory_equal(streams[0].name.at, "c", 1);
  assert_memory_equal(streams[1].name.at, "b", 1);
  assert_memory_equal(streams[2].name.at, "a", 1);
  assert_int_equal(sb_id_compare(streams[0].after, second), 0); /* nothing came between */
  assert_int_equal(sb_id_compare(streams[2].after, first), 0);
  sb_blocked_looked(blocked, streams, true);
  sb_blocked_streams(blocked, streams);
  assert_memory_equal(streams[0].name.at, "a", 1);
  sb_blocking_end(&blocking, blocked);
  sb_blocking_close(&blocking);
}

static void a_key_named_twice_is_awaited_once(void **state) {
  (void)state;
  struct sb_blocking blocking;
  struct sb_session session = {0};
  sb_blocking_init(&blocking);
  struct sb_blocked *blocked = block(&blocking, &session, "aba", 0);
  assert_int_equal(sb_blocked_count(blocked), 2);
  sb_blocking_end(&blocking, blocked);
  sb_blocking_close(&blocking);
}

/* Its time comes before it was looked at, and what came for it must be read back first. */
static void who_is_put_aside_while_something_more_came_is_in_one_list(void **state) {
  (void)state;
  struct sb_blocking blocking;
  struct sb_session sessions[2] = {0};
  sb_blocking_init(&blocking);
  struct sb_blocked *late = block(&blocking, &sessions[0], "a", 10),
                    *other = block(&blocking, &sessions[1], "b", 0);
  wake(&blocking, "a");
  wake(&blocking, "b");
  assert_ptr_equal(sb_blocking_due(&blocking, 10), late);
  sb_blocking_set_overdue(&blocking, late);
  sb_blocking_set_aside(&blocking, late);
  assert_null(sb_blocking_due(&blocking, 10));
  assert_ptr_equal(sb_blocking_next(&blocking), other);
  assert_null(sb_blocking_next(&blocking));
  wake(&blocking, "a"); /* it is aside: that is enough */
  assert_null(sb_blocking_next(&blocking));
  wake(&blocking, "b");
  sb_blocking_again(&blocking);
  assert_ptr_equal(sb_blocking_next(&blocking), other);
  assert_ptr_equal(sb_blocking_next(&blocking), late);
  assert_true(sb_blocked_is_overdue(late));
  sb_blocking_end(&blocking, late);
  sb_blocking_end(&blocking, other);
  sb_blocking_close(&blocking);
}

static void times_come_in_their_order(void **state) {
  (void)state;
  static const uint64_t ends_ms[] = {50, 10, 40, 30, 20, 60};
  enum { COUNT = sizeof ends_ms / sizeof ends_ms[0] };
  struct sb_blocking blocking;
  struct sb_session sessions[COUNT] = {0};
  struct sb_blocked *blocked[COUNT], *due;
  sb_blocking_init(&blocking);
  for (int i = 0; i < COUNT; i++) blocked[i] = block(&blocking, &sessions[i], "a", ends_ms[i]);
  sb_blocking_end(&blocking, blocked[3]);
  assert_int_equal(sb_blocking_deadline(&blocking, 5), 10);
  assert_null(sb_blocking_due(&blocking, 9));
  for (uint64_t at = 10; at <= 60; at += 10) {
    if (at == 30) continue;
    assert_non_null(due = sb_blocking_due(&blocking, at));
    assert_int_equal(ends_ms[sb_blocked_session(due) - sessions], at);
    sb_blocking_end(&blocking, due);
  }
  assert_true(sb_blocking_deadline(&blocking, 70) == UINT64_MAX);
  sb_blocking_close(&blocking);
}

static void entries_that_may_have_come_wake_the_readers_of_their_log_alone(void **state) {
  (void)state;
  struct sb_blocking blocking;
  struct sb_session sessions[2] = {0};
  sb_blocking_init(&blocking);
  struct sb_blocked *odd = block(&blocking, &sessions[0], "a", 0),
                    *even = block(&blocking, &sessions[1], "b", 0);
  sb_blocking_wake_all(&blocking, 1);
  assert_ptr_equal(sb_blocking_next(&blocking), odd);
  assert_null(sb_blocking_next(&blocking));
  assert_true(sb_blocked_may_have_something(odd));
  assert_false(sb_blocked_may_have_something(even));
  sb_blocking_pass(&blocking, 0, second, from_begin);
  struct sb_awaited_stream stream;
  sb_blocked_streams(even, &stream);
  assert_int_equal(sb_id_compare(stream.after, second), 0);
  sb_blocked_streams(odd, &stream);
  assert_int_equal(sb_id_compare(stream.after, first), 0);
  sb_blocking_end(&blocking, odd);
  sb_blocking_end(&blocking, even);
  sb_blocking_close(&blocking);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_is_looked_at_is_who_something_came_for_in_that_order),
      cmocka_unit_test(the_stream_to_which_an_entry_came_first_stands_first),
      cmocka_unit_test(a_key_named_twice_is_awaited_once),
      cmocka_unit_test(who_is_put_aside_while_something_more_came_is_in_one_list),
      cmocka_unit_test(times_come_in_their_order),
      cmocka_unit_test(entries_that_may_have_come_wake_the_readers_of_their_log_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
