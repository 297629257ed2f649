/* Slots for replies: written in the order in which they were taken, whatever is known first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/sessions/ring.h"

static void what_is_answered_behind_another_waits(void **state) {
  (void)state;
  struct sb_ring ring = {0};
  uint32_t a, b;
  assert_true(sb_ring_expect(&ring, 1, &a));
  assert_true(sb_ring_expect(&ring, 2, &b));
  sb_ring_set_integers(&ring, b, 2, 7);
  assert_null(sb_ring_first(&ring));
  sb_ring_set_bytes(&ring, a, sb_bytes_of("+OK\r\n"), 0);
  const struct sb_slot *slot = sb_ring_first(&ring);
  assert_int_equal(slot->state, SB_SLOT_BYTES);
  assert_memory_equal(slot->bytes, "+OK\r\n", slot->len);
  sb_ring_drop_first(&ring);
  assert_int_equal(sb_ring_first(&ring)->integer, 7);
  sb_ring_skip(&ring, 2);
  assert_int_equal(sb_ring_waiting(&ring), 0);
  sb_ring_close(&ring);
}

static void a_prepared_reply_is_known_when_the_last_entry_has_come(void **state) {
  (void)state;
  struct sb_ring ring = {0};
  uint32_t slot;
  assert_true(sb_ring_expect(&ring, 1, &slot));
  sb_ring_set_bytes(&ring, slot, sb_bytes_of("done"), 2);
  assert_int_equal(sb_ring_count_down(&ring, slot), 1);
  assert_null(sb_ring_first(&ring));
  assert_int_equal(sb_ring_count_down(&ring, slot), 0);
  assert_non_null(sb_ring_first(&ring));
  sb_ring_drop_first(&ring);
  sb_ring_close(&ring);
}

static void what_is_forgotten_still_waits_for_its_entries(void **state) {
  (void)state;
  struct sb_ring ring = {0};
  uint32_t slot;
  assert_true(sb_ring_expect(&ring, 3, &slot));
  sb_ring_set_bytes(&ring, slot, sb_bytes_of("12345"), 1);
  sb_ring_set_bytes(&ring, slot + 1, sb_bytes_of("678"), 0);
  assert_int_equal(sb_ring_forget(&ring), 8);
  assert_int_equal(sb_ring_forget(&ring), 0);
  assert_int_equal(sb_ring_waiting(&ring), 3);
  assert_int_equal(sb_ring_count_down(&ring, slot), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sb_ring_first(&ring)->len, 0);
    sb_ring_drop_first(&ring);
  }
  assert_null(sb_ring_first(&ring));
  sb_ring_skip(&ring, 1);
  sb_ring_close(&ring);
}

/* Numbers of slots wrap around: here in the middle of what waits. */
static void a_ring_grows_while_slots_wait_and_keeps_them(void **state) {
  (void)state;
  enum { COUNT = 100 };
  struct sb_ring ring = {.expected = UINT32_MAX - COUNT / 2, .answered = UINT32_MAX - COUNT / 2};
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t slot;
    assert_true(sb_ring_expect(&ring, 1, &slot));
    sb_ring_set_integers(&ring, slot, 1, i);
  }
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_int_equal(sb_ring_first(&ring)->integer, i);
    sb_ring_drop_first(&ring);
  }
  sb_ring_close(&ring);
}

static void a_ring_has_so_many_slots_and_no_more(void **state) {
  (void)state;
  struct sb_ring ring = {0};
  uint32_t slot;
  assert_true(sb_ring_expect(&ring, SB_RING_SLOTS_MAX, &slot));
  assert_false(sb_ring_expect(&ring, 1, &slot));
  assert_int_equal(sb_ring_waiting(&ring), SB_RING_SLOTS_MAX);
  sb_ring_skip(&ring, 1);
  assert_true(sb_ring_expect(&ring, 1, &slot));
  sb_ring_skip(&ring, SB_RING_SLOTS_MAX);
  sb_ring_shrink(&ring);
  assert_null(ring.slots); /* the flood is over */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_answered_behind_another_waits),
      cmocka_unit_test(a_prepared_reply_is_known_when_the_last_entry_has_come),
      cmocka_unit_test(what_is_forgotten_still_waits_for_its_entries),
      cmocka_unit_test(a_ring_grows_while_slots_wait_and_keeps_them),
      cmocka_unit_test(a_ring_has_so_many_slots_and_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
