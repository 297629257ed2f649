/* The outbox: when a batch may leave, how batches are numbered and sent again, and that nothing is lost or
 * counted twice whatever happens to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/sessions/session.h"

#define STEP 1000 /* one more batch may fly per this much collected */

static struct sb_session alice, bob;
static uint64_t total; /* of all outboxes here, which nobody looks at */

static struct sb_outbox new_outbox(void) {
  struct sb_outbox outbox;
  sb_outbox_init(&outbox, STEP, &total);
  return outbox;
}

static void append(struct sb_outbox *outbox, size_t len) {
  memset(sb_outbox_append(outbox, len, 4000, false, NULL, 0, 1), 'x', len);
}

/* Sends what may leave; returns how many batches that were. */
static uint32_t send_all(struct sb_outbox *outbox) {
  uint32_t sent = 0;
  for (struct sb_batch *batch; (batch = sb_outbox_next(outbox, false)); sent++) {
    assert_non_null(batch->body);
    sb_outbox_sent(outbox, batch, 100 + batch->number, 0);
  }
  return sent;
}

static bool accept(struct sb_outbox *outbox, uint64_t number) {
  struct sb_batch *batch = sb_outbox_accept(outbox, number);
  if (batch) sb_batch_free(batch);
  return batch != NULL;
}

/* ---- the window ---- */

static void a_lone_entry_may_leave_at_once(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  assert_null(sb_outbox_next(&outbox, false));
  append(&outbox, 10);
  struct sb_batch *batch = sb_outbox_next(&outbox, false);
  assert_non_null(batch);
  assert_int_equal(batch->number, 1);
  assert_int_equal(batch->count, 1);
  sb_outbox_close(&outbox);
}

static void one_more_batch_flies_per_step_collected_for_each_in_flight(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 1);
  append(&outbox, STEP - 1);
  assert_int_equal(send_all(&outbox), 0);
  append(&outbox, 1);
  assert_int_equal(send_all(&outbox), 1);
  append(&outbox, 2 * STEP - 1);
  assert_int_equal(send_all(&outbox), 0);
  append(&outbox, 1);
  assert_int_equal(send_all(&outbox), 1);
  assert_int_equal(outbox.in_flight, 3);
  sb_outbox_close(&outbox);
}

static void append_for(struct sb_outbox *outbox, struct sb_waiter waiter) {
  memset(sb_outbox_append_for(outbox, 10, 4000, false, &waiter), 'x', 10);
}

static void the_end_of_a_session_does_not_hold_up_what_follows(void **state) {
  (void)state;
  const struct sb_waiter leaves = {.count = 1, .what = SB_WAITS_LEFT},
                         asked_to_leave = {.session = &alice, .count = 1, .what = SB_WAITS_LEFT};
  struct sb_outbox outbox = new_outbox();
  append_for(&outbox, leaves);
  append_for(&outbox, leaves);
  assert_int_equal(send_all(&outbox), 1);
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 1); /* beside it */
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 0); /* but one only */
  assert_true(accept(&outbox, 1));
  assert_int_equal(send_all(&outbox), 0); /* what is in flight now is waited for */
  assert_true(accept(&outbox, 2));
  assert_int_equal(send_all(&outbox), 1);
  assert_true(accept(&outbox, 3));

  append_for(&outbox, asked_to_leave);
  append_for(&outbox, leaves);
  assert_int_equal(send_all(&outbox), 1);
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 0);
  assert_true(accept(&outbox, 4));
  assert_int_equal(send_all(&outbox), 1);
  assert_true(accept(&outbox, 5));

  append_for(&outbox, leaves);
  assert_int_equal(send_all(&outbox), 1);
  assert_true(sb_outbox_resend(&outbox));
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 1); /* until it is known that the way is clear */
  sb_outbox_close(&outbox);
}

static void what_collected_leaves_when_nothing_is_in_flight_any_more(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  send_all(&outbox);
  append(&outbox, 10);
  append(&outbox, 10);
  assert_int_equal(send_all(&outbox), 0);
  assert_true(accept(&outbox, 1));
  assert_int_equal(send_all(&outbox), 1);
  assert_int_equal(outbox.first->count, 2);
  assert_int_equal(outbox.first->number, 2);
  sb_outbox_close(&outbox);
}

static void at_most_16_batches_are_in_flight(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (int i = 0; i < 100; i++) append(&outbox, 4000);
  assert_int_equal(send_all(&outbox), SB_WINDOW_BATCHES_MAX);
  assert_true(accept(&outbox, 1));
  assert_int_equal(send_all(&outbox), 1);
  sb_outbox_close(&outbox);
}

static void at_most_1_mib_is_in_flight_but_a_larger_batch_flies_alone(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 2 * SB_WINDOW_BYTES_MAX);
  append(&outbox, SB_WINDOW_BYTES_MAX / 2);
  append(&outbox, SB_WINDOW_BYTES_MAX / 2);
  append(&outbox, 4000);
  assert_int_equal(send_all(&outbox), 1);
  accept(&outbox, 1);
  assert_int_equal(send_all(&outbox), 2);
  assert_true(outbox.in_flight_bytes <= SB_WINDOW_BYTES_MAX);
  accept(&outbox, 2);
  accept(&outbox, 3);
  assert_int_equal(send_all(&outbox), 1);
  sb_outbox_close(&outbox);
}

/* ---- batches ---- */

static void a_batch_is_closed_when_the_next_entry_does_not_fit(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 3000);
  append(&outbox, 1000);
  assert_null(outbox.first); /* exactly full: still open */
  append(&outbox, 1);
  assert_int_equal(outbox.first->plain_bytes, 4000);
  assert_int_equal(outbox.first->count, 2);
  assert_int_equal(outbox.open->count, 1);
  sb_outbox_close(&outbox);
}

static void an_entry_larger_than_a_batch_travels_alone(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  append(&outbox, 9000);
  append(&outbox, 10);
  assert_int_equal(outbox.first->plain_bytes, 10);
  assert_int_equal(outbox.first->next->plain_bytes, 9000);
  assert_int_equal(outbox.first->next->count, 1);
  assert_int_equal(outbox.open->plain_bytes, 10);
  sb_outbox_close(&outbox);
}

static void a_batch_has_4096_entries_at_most(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (int i = 0; i < SB_BATCH_ENTRIES_MAX + 1; i++)
    *sb_outbox_append(&outbox, 1, 1 << 20, false, &alice, (uint32_t)i, 1) = 'x';
  assert_int_equal(outbox.first->count, SB_BATCH_ENTRIES_MAX);
  assert_int_equal(outbox.open->count, 1);
  memset(sb_outbox_append(&outbox, 5000, 1 << 20, false, &alice, 5000, SB_BATCH_ENTRIES_MAX), 'x', 5000);
  assert_int_equal(outbox.open->count, SB_BATCH_ENTRIES_MAX); /* a run is not split */
  assert_int_equal(outbox.last->count, 1);
  sb_outbox_close(&outbox);
}

static void waiters_are_kept_as_runs_in_the_order_of_entries(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  const struct {
    struct sb_session *session;
    uint32_t slot, count;
  } given[] = {{&alice, 7, 1},  {&alice, 8, 3}, {&bob, 1, 1}, {&alice, 11, 2},
               {&alice, 14, 1}, {NULL, 0, 1},   {NULL, 0, 1}};
  const struct sb_waiter expected[] = {{&alice, NULL, 7, 4, SB_WAITS_INTEGER},
                                       {&bob, NULL, 1, 1, SB_WAITS_INTEGER},
                                       {&alice, NULL, 11, 2, SB_WAITS_INTEGER},
                                       {&alice, NULL, 14, 1, SB_WAITS_INTEGER},
                                       {NULL, NULL, 0, 2, SB_WAITS_INTEGER}};
  for (size_t i = 0; i < 7; i++)
    memset(sb_outbox_append(&outbox, 8, 4000, false, given[i].session, given[i].slot, given[i].count), 'x',
           8);
  assert_int_equal(outbox.open->waiters_count, 5);
  for (size_t i = 0; i < 5; i++) {
    assert_ptr_equal(outbox.open->waiters[i].session, expected[i].session);
    if (expected[i].session) assert_int_equal(outbox.open->waiters[i].slot, expected[i].slot);
    assert_int_equal(outbox.open->waiters[i].count, expected[i].count);
  }
  sb_outbox_close(&outbox);
}

static void a_control_entry_is_a_batch_of_its_own_behind_what_was_collected(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  sb_outbox_append_control(&outbox, sb_bytes_of("PING"));
  append(&outbox, 10);
  assert_false(outbox.first->control);
  assert_true(outbox.first->next->control);
  assert_int_equal(outbox.first->next->count, 1);
  assert_memory_equal(outbox.first->next->body->data, "PING", 4);
  assert_int_equal(outbox.open->count, 1);
  assert_int_equal(outbox.bytes, 24);
  sb_outbox_close(&outbox);
}

/* ---- numbers, echoes, sending again ---- */

static void numbers_follow_each_other_from_1(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (uint64_t n = 1; n <= 5; n++) {
    append(&outbox, 10);
    assert_int_equal(sb_outbox_next(&outbox, false)->number, n);
    assert_int_equal(sb_outbox_next(&outbox, false)->number,
                     n); /* the transport had no room: the same again */
    send_all(&outbox);
    assert_true(accept(&outbox, n));
  }
  assert_true(sb_outbox_empty(&outbox));
  assert_int_equal(outbox.bytes, 0);
  sb_outbox_close(&outbox);
}

static void only_an_echo_of_the_first_batch_is_taken(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  assert_false(accept(&outbox, 1));
  append(&outbox, 10);
  assert_false(accept(&outbox, 1)); /* not sent yet: it has no number */
  append(&outbox, 4000);
  send_all(&outbox);
  assert_int_equal(outbox.in_flight, 2);
  assert_false(accept(&outbox, 0));
  assert_true(accept(&outbox, 1));
  assert_false(accept(&outbox, 1));
  assert_true(accept(&outbox, 2));
  sb_outbox_close(&outbox);
}

static void sending_again_begins_with_the_oldest_and_keeps_the_numbers(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (int i = 0; i < 3; i++) append(&outbox, 4000);
  assert_int_equal(send_all(&outbox), 3);
  assert_true(accept(&outbox, 1));
  uint32_t attempt = outbox.attempt;
  assert_true(sb_outbox_resend(&outbox));
  assert_int_equal(outbox.attempt, attempt + 1);
  struct sb_batch *batch = sb_outbox_next(&outbox, false);
  assert_int_equal(batch->number, 2);
  assert_ptr_equal(batch, outbox.first);
  assert_int_equal(outbox.in_flight, 0);
  assert_int_equal(outbox.unsent_bytes, 8000);
  sb_outbox_close(&outbox);
}

static void with_nothing_in_flight_there_is_nothing_to_send_again(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  assert_false(sb_outbox_resend(&outbox));
  assert_int_equal(outbox.attempt, 0);
  assert_false(outbox.cautious);
  sb_outbox_close(&outbox);
}

static void after_trouble_one_batch_flies_until_an_echo_comes(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (int i = 0; i < 6; i++) append(&outbox, 4000);
  assert_true(send_all(&outbox) > 2);
  sb_outbox_resend(&outbox);
  assert_int_equal(send_all(&outbox), 1);
  assert_true(accept(&outbox, 1));
  assert_true(send_all(&outbox) > 2);
  sb_outbox_close(&outbox);
}

static void an_echo_of_an_earlier_sending_spares_the_next(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 4000);
  append(&outbox, 4000);
  assert_int_equal(send_all(&outbox), 2);
  sb_outbox_resend(&outbox);
  assert_true(accept(&outbox, 1));
  assert_int_equal(sb_outbox_next(&outbox, false)->number, 2);
  assert_int_equal(outbox.in_flight, 0);
  assert_int_equal(outbox.in_flight_bytes, 0);
  assert_int_equal(outbox.unsent_bytes, 4000);
  sb_outbox_close(&outbox);
}

static void what_comes_back_is_compared_with_what_was_sent(void **state) {
  (void)state;
  static const size_t lens[] = {1, 64, 1024, 1025, 1100, 5000, 60000};
  for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
    struct sb_outbox outbox = new_outbox();
    size_t len = lens[i];
    memset(sb_outbox_append(&outbox, len, 100000, false, &alice, 1, 1), 'x', len);
    struct sb_batch *batch = sb_outbox_next(&outbox, false);
    struct sb_body *same = sb_body_new(len), *longer = sb_body_new(len + 1);
    memset(same->data, 'x', len);
    memset(longer->data, 'x', len + 1);
    assert_true(sb_outbox_sent_this(&outbox, batch->number, false, same));
    assert_false(sb_outbox_sent_this(&outbox, batch->number, true, same));
    assert_false(sb_outbox_sent_this(&outbox, batch->number, false, longer));
    assert_true(sb_outbox_sent_this(&outbox, batch->number + 1, false, longer)); /* nothing here tells */
    same->data[0] = 'y';
    assert_false(sb_outbox_sent_this(&outbox, batch->number, false, same));
    same->data[0] = 'x';
    same->data[len - 1] = 'y';
    assert_false(sb_outbox_sent_this(&outbox, batch->number, false, same));
    memset(same->data, 'z', len);
    assert_false(sb_outbox_sent_this(&outbox, batch->number, false, same));
    sb_body_unref(same);
    sb_body_unref(longer);
    sb_outbox_close(&outbox);
  }
}

static void a_batch_that_cannot_go_leaves_its_number_to_another_entry(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  memset(sb_outbox_append(&outbox, 3000, 4000, false, &alice, 1, 1), 'x', 3000);
  struct sb_batch *batch = sb_outbox_next(&outbox, true);
  assert_true(batch->lz4);
  append(&outbox, 2000);
  append(&outbox, 10);
  sb_outbox_blank(&outbox, batch, sb_bytes_of("PING"));
  assert_int_equal(outbox.bytes, 4 + 2010);
  assert_int_equal(batch->waiters_count, 0);
  batch = sb_outbox_next(&outbox, false);
  assert_int_equal(batch->number, 1);
  assert_int_equal(batch->count, 1);
  assert_false(batch->lz4);
  assert_int_equal(batch->body->len, 4);
  assert_memory_equal(batch->body->data, "PING", 4);
  assert_int_equal(send_all(&outbox), 2);
  assert_int_equal(outbox.in_flight_bytes, 4 + 2010);
  assert_int_equal(outbox.unsent_bytes, 0);
  sb_outbox_close(&outbox);
}

/* ---- a new incarnation ---- */

static void what_was_taken_out_is_numbered_again_from_1_in_its_order(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  for (int i = 0; i < 4; i++)
    memset(sb_outbox_append(&outbox, 4000, 4000, false, NULL, 0, 1), "abcd"[i], 4000);
  send_all(&outbox);
  assert_true(accept(&outbox, 1));
  struct sb_batch *list = sb_outbox_take(&outbox, false);
  assert_true(sb_outbox_empty(&outbox));
  assert_int_equal(outbox.bytes, 0);
  sb_outbox_put_back(&outbox, list);
  assert_int_equal(outbox.bytes, 12000);
  for (uint64_t n = 1; n <= 3; n++) {
    struct sb_batch *batch = sb_outbox_next(&outbox, false);
    assert_int_equal(batch->number, n);
    assert_int_equal(batch->body->data[0], "abcd"[n]);
    sb_outbox_sent(&outbox, batch, n, 0);
    assert_true(accept(&outbox, n));
  }
  assert_true(sb_outbox_empty(&outbox));
  sb_outbox_close(&outbox);
}

static void control_batches_do_not_outlive_their_incarnation(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 10);
  sb_outbox_append_control(&outbox, sb_bytes_of("PING"));
  append(&outbox, 20);
  struct sb_batch *list = sb_outbox_take(&outbox, false);
  sb_outbox_append_control(&outbox, sb_bytes_of("PING"));
  append(&outbox, 30);
  sb_outbox_put_back(&outbox, list);
  assert_int_equal(outbox.bytes, 60);
  assert_int_equal(outbox.first->plain_bytes, 10);
  assert_int_equal(outbox.first->next->plain_bytes, 20);
  assert_null(outbox.first->next->next);
  assert_ptr_equal(outbox.last, outbox.first->next);
  assert_int_equal(outbox.open->plain_bytes, 30);
  sb_outbox_close(&outbox);
}

static void waiters_stay_with_their_batch(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  memset(sb_outbox_append(&outbox, 8, 4000, false, &alice, 3, 2), 'x', 8);
  sb_outbox_put_back(&outbox, sb_outbox_take(&outbox, false));
  assert_int_equal(outbox.first->waiters_count, 1);
  assert_ptr_equal(outbox.first->waiters[0].session, &alice);
  assert_int_equal(outbox.first->waiters[0].slot, 3);
  assert_int_equal(outbox.first->waiters[0].count, 2);
  sb_outbox_close(&outbox);
}

static void a_body_that_pays_is_packed_and_marked(void **state) {
  (void)state;
  struct sb_outbox outbox = new_outbox();
  append(&outbox, 3000);
  struct sb_batch *batch = sb_outbox_next(&outbox, true);
  assert_true(batch->lz4);
  assert_true(batch->body->len < 3000);
  assert_int_equal(batch->plain_bytes, 3000);
  struct sb_body *plain = sb_codec_unpack(batch->body);
  assert_int_equal(plain->len, 3000);
  sb_body_unref(plain);
  sb_outbox_close(&outbox);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lone_entry_may_leave_at_once),
      cmocka_unit_test(one_more_batch_flies_per_step_collected_for_each_in_flight),
      cmocka_unit_test(the_end_of_a_session_does_not_hold_up_what_follows),
      cmocka_unit_test(what_collected_leaves_when_nothing_is_in_flight_any_more),
      cmocka_unit_test(at_most_16_batches_are_in_flight),
      cmocka_unit_test(at_most_1_mib_is_in_flight_but_a_larger_batch_flies_alone),
      cmocka_unit_test(a_batch_is_closed_when_the_next_entry_does_not_fit),
      cmocka_unit_test(an_entry_larger_than_a_batch_travels_alone),
      cmocka_unit_test(a_batch_has_4096_entries_at_most),
      cmocka_unit_test(waiters_are_kept_as_runs_in_the_order_of_entries),
      cmocka_unit_test(a_control_entry_is_a_batch_of_its_own_behind_what_was_collected),
      cmocka_unit_test(numbers_follow_each_other_from_1),
      cmocka_unit_test(only_an_echo_of_the_first_batch_is_taken),
      cmocka_unit_test(sending_again_begins_with_the_oldest_and_keeps_the_numbers),
      cmocka_unit_test(with_nothing_in_flight_there_is_nothing_to_send_again),
      cmocka_unit_test(after_trouble_one_batch_flies_until_an_echo_comes),
      cmocka_unit_test(an_echo_of_an_earlier_sending_spares_the_next),
      cmocka_unit_test(what_comes_back_is_compared_with_what_was_sent),
      cmocka_unit_test(a_batch_that_cannot_go_leaves_its_number_to_another_entry),
      cmocka_unit_test(what_was_taken_out_is_numbered_again_from_1_in_its_order),
      cmocka_unit_test(control_batches_do_not_outlive_their_incarnation),
      cmocka_unit_test(waiters_stay_with_their_batch),
      cmocka_unit_test(a_body_that_pays_is_packed_and_marked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
