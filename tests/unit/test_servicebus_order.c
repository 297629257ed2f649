/* The order of a partition: each row of the table in servicebus/order.h, its limits, and random use against a
 * plain model of a subscription. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seed.h"
#include "transports/servicebus/order.h"

#define PATIENCE_MS 1000

/* ---- arrivals ---- */

static struct sb_servicebus_arrival arrival_of(uint64_t number, uint64_t sequence, uint64_t print,
                                               int64_t now_ms, size_t body_len) {
  return (struct sb_servicebus_arrival){.arrived_ms = now_ms,
                                        .message = {.body = sb_body_new(body_len),
                                                    .has_number = true,
                                                    .has_sequence = true,
                                                    .number = number,
                                                    .sequence = sequence,
                                                    .print = print}};
}

/* As the receiver does: what the order does not take is closed. */
static enum sb_servicebus_verdict give(struct sb_servicebus_order *order,
                                       struct sb_servicebus_arrival arrival) {
  enum sb_servicebus_verdict verdict = sb_servicebus_order_take(order, &arrival);
  assert_true(verdict == SB_ORDER_KEPT || verdict == SB_ORDER_DUPLICATE);
  if (verdict == SB_ORDER_DUPLICATE) sb_servicebus_message_close(&arrival.message);
  return verdict;
}

/* Own number and topic's number; the print is of both. */
static enum sb_servicebus_verdict take(struct sb_servicebus_order *order, uint64_t number, uint64_t sequence,
                                       int64_t now_ms) {
  return give(order, arrival_of(number, sequence, number << 32 | sequence, now_ms, 0));
}

static enum sb_servicebus_verdict next(struct sb_servicebus_order *order, int64_t now_ms, uint64_t *number) {
  struct sb_servicebus_arrival arrival;
  enum sb_servicebus_verdict verdict = sb_servicebus_order_next(order, now_ms, &arrival);
  if (verdict != SB_ORDER_DELIVER && verdict != SB_ORDER_BROKEN) return verdict;
  *number = arrival.message.number;
  sb_servicebus_message_close(&arrival.message);
  return verdict;
}

/* What comes out by `now_ms`: "1 2 G 5 N 1", with "-5" for one that is dropped as broken. */
static const char *out_of(struct sb_servicebus_order *order, int64_t now_ms) {
  static char text[16384];
  size_t len = 0;
  uint64_t number = 0;
  text[0] = 0;
  for (;;) {
    enum sb_servicebus_verdict verdict = next(order, now_ms, &number);
    const char *space = len ? " " : "";
    if (verdict == SB_ORDER_NONE) return text;
    if (verdict == SB_ORDER_GAP || verdict == SB_ORDER_NEW_LOG)
      len +=
          (size_t)snprintf(text + len, sizeof text - len, "%s%c", space, verdict == SB_ORDER_GAP ? 'G' : 'N');
    else
      len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%d", space,
                              verdict == SB_ORDER_BROKEN ? "-" : "", (int)number);
  }
}

static int setup(void **state) {
  struct sb_servicebus_order *order = sb_malloc(sizeof *order);
  sb_servicebus_order_init(order, PATIENCE_MS);
  *state = order;
  return 0;
}

static int teardown(void **state) {
  sb_servicebus_order_close(*state);
  free(*state);
  return 0;
}

/* Numbers `from` to `to`, each with ten times its number in the topic, handed on. */
static void hand_on(struct sb_servicebus_order *order, uint64_t from, uint64_t to) {
  uint64_t number = 0;
  for (uint64_t n = from; n <= to; n++) {
    assert_int_equal(take(order, n, 10 * n, 0), SB_ORDER_KEPT);
    assert_int_equal(next(order, 0, &number), SB_ORDER_DELIVER);
    assert_int_equal(number, n);
  }
}

/* ---- rows of the table ---- */

static void what_is_next_is_handed_on_at_once(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  assert_string_equal(out_of(order, 0), "");
  assert_int_equal(sb_servicebus_order_due_ms(order), INT64_MAX);
}

static void reading_may_begin_anywhere(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 4711, 4720);
}

static void what_is_above_waits_for_what_is_missing(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 6, 60, 100);
  take(order, 5, 50, 200);
  assert_string_equal(out_of(order, 200), "");
  take(order, 4, 40, 300);
  assert_string_equal(out_of(order, 300), "4 5 6");
}

static void what_stays_away_is_a_gap_when_patience_ends(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 5, 50, 100);
  take(order, 7, 70, 500);
  assert_int_equal(sb_servicebus_order_due_ms(order), 100 + PATIENCE_MS);
  assert_string_equal(out_of(order, 99 + PATIENCE_MS), "");
  assert_string_equal(out_of(order, 100 + PATIENCE_MS), "G 5");
  assert_int_equal(sb_servicebus_order_due_ms(order), 500 + PATIENCE_MS);
  assert_string_equal(out_of(order, 500 + PATIENCE_MS), "G 7");
}

static void a_lower_one_does_not_begin_the_wait_anew(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 7, 70, 0);
  take(order, 6, 60, PATIENCE_MS - 1);
  assert_int_equal(sb_servicebus_order_due_ms(order), PATIENCE_MS);
  assert_string_equal(out_of(order, PATIENCE_MS), "G 6 7");
}

static void what_came_before_is_a_duplicate(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  assert_int_equal(take(order, 5, 50, 0), SB_ORDER_DUPLICATE);
  assert_int_equal(take(order, 1, 10, 0), SB_ORDER_DUPLICATE);
  take(order, 7, 70, 0);
  assert_int_equal(take(order, 7, 70, 0), SB_ORDER_DUPLICATE); /* also of what is held */
  assert_string_equal(out_of(order, 0), "");
}

static void what_is_late_after_a_gap_is_dropped(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 5, 50, 0);
  assert_string_equal(out_of(order, PATIENCE_MS), "G 5");
  assert_int_equal(take(order, 4, 40, PATIENCE_MS), SB_ORDER_DUPLICATE);
}

static void another_message_of_a_passed_number_is_of_another_subscription(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  take(order, 9, 90, 0); /* of the old one: never comes out */
  assert_int_equal(take(order, 1, 200, 0), SB_ORDER_KEPT);
  assert_string_equal(out_of(order, 0), "G 1");
  take(order, 2, 210, 0);
  assert_string_equal(out_of(order, 0), "2");
  for (uint64_t n = 3; n <= 9; n++) take(order, n, 1000 + n, 0);
  assert_string_equal(out_of(order, 0), "3 4 5 6 7 8 9");
}

static void a_number_that_is_not_remembered_is_another_one_when_the_topic_went_on(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1000, 1005);
  take(order, 3, 20000, 0);
  assert_string_equal(out_of(order, 0), "G");
  assert_string_equal(out_of(order, PATIENCE_MS), "3");
}

static void another_message_that_does_not_go_on_is_of_another_topic(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  take(order, 1, 1, 0);
  assert_string_equal(out_of(order, 0), "N 1");
  take(order, 2, 2, 0);
  assert_string_equal(out_of(order, 0), "2");
}

static void one_that_does_not_go_on_is_broken_and_two_are_a_new_log(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  take(order, 6, 7, 0);
  assert_string_equal(out_of(order, 0), "-6 G");
  take(order, 7, 8, 0);
  assert_string_equal(out_of(order, 0), "N 7");
}

static void one_that_is_broken_alone_changes_nothing_more(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  take(order, 6, 7, 0);
  take(order, 7, 70, 0);
  assert_string_equal(out_of(order, 0), "-6 G 7");
  take(order, 8, 7, 0);
  assert_string_equal(out_of(order, 0), "-8 G");
}

/* ---- what the receiver tells ---- */

static void a_subscription_made_again_begins_at_one(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  take(order, 9, 90, 0); /* is gone with its subscription */
  sb_servicebus_order_restart(order, 1, false);
  assert_string_equal(out_of(order, PATIENCE_MS), "");
  take(order, 2, 101, 0);
  assert_string_equal(out_of(order, 0), "");
  take(order, 1, 100, 0);
  assert_string_equal(out_of(order, 0), "1 2");
}

static void after_that_a_lower_topics_number_is_a_new_log_at_once(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  sb_servicebus_order_restart(order, 1, false);
  take(order, 1, 1, 0);
  assert_string_equal(out_of(order, 0), "N 1");
}

static void a_topic_made_again_begins_at_one_too(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 5);
  sb_servicebus_order_restart(order, 1, true);
  take(order, 1, 1, 0);
  assert_string_equal(out_of(order, 0), "1");
}

static void a_cut_before_the_first_message_makes_patient(void **state) {
  struct sb_servicebus_order *order = *state;
  sb_servicebus_order_cut(order, 0);
  take(order, 8, 80, 0);
  assert_string_equal(out_of(order, 0), "");
  take(order, 7, 70, 0);
  assert_string_equal(out_of(order, PATIENCE_MS - 1), "");
  assert_string_equal(out_of(order, PATIENCE_MS), "7 8"); /* nothing was known to be missing */
}

static void a_cut_later_changes_nothing(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  sb_servicebus_order_cut(order, 0);
  hand_on(order, 4, 6);
}

static void a_cut_while_something_is_missing_begins_the_wait_anew(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 5, 50, 100);
  sb_servicebus_order_cut(order, 700); /* what is missing may have been on this link: locked just now */
  assert_int_equal(sb_servicebus_order_due_ms(order), 700 + PATIENCE_MS);
  for (int64_t ms = 800; ms < (int64_t)20 * PATIENCE_MS; ms += 100) sb_servicebus_order_cut(order, ms);
  assert_int_equal(sb_servicebus_order_due_ms(order), 100 + 8 * PATIENCE_MS); /* but not for ever */
}

/* ---- how long locks last ---- */

#define WALL_MS 1700000000000

/* `waited_ms` in the subscription, and as seen by a clock that is ahead by so much. */
static void show_lock(struct sb_servicebus_order *order, int64_t lock_ms, int64_t waited_ms,
                      int64_t ahead_ms) {
  struct sb_servicebus_message message = {.enqueued_ms = WALL_MS,
                                          .locked_until_ms = (uint64_t)(WALL_MS + waited_ms + lock_ms)};
  sb_servicebus_order_learn_lock(order, &message, WALL_MS + waited_ms + ahead_ms);
}

static int64_t patience_of(struct sb_servicebus_order *order) {
  hand_on(order, 1, 1);
  take(order, 3, 30, 0);
  return sb_servicebus_order_due_ms(order);
}

static void a_lock_that_is_longer_than_the_settings_say_is_waited_for(void **state) {
  struct sb_servicebus_order *order = *state;
  show_lock(order, 60000, 0, 5);
  show_lock(order, 60000, 40, 10);
  assert_int_equal(patience_of(order), 60000 - 5 + 2000);
}

static void a_lock_that_is_shorter_changes_nothing(void **state) {
  struct sb_servicebus_order *order = *state;
  order->patience_ms = 12000;
  show_lock(order, 5000, 0, 0);
  assert_int_equal(patience_of(order), 12000);
}

static void what_waited_for_long_does_not_show_a_longer_lock(void **state) {
  struct sb_servicebus_order *order = *state;
  show_lock(order, 10000, 100000, 0);
  assert_int_equal(patience_of(order), 12000);
}

static void a_clock_that_is_late_makes_no_longer_lock(void **state) {
  struct sb_servicebus_order *order = *state;
  show_lock(order, 10000, 100000, -80000);
  show_lock(order, 10000, 20, -80000);
  assert_int_equal(patience_of(order), 10020 + 2000);
}

static void no_lock_is_longer_than_the_service_makes_them(void **state) {
  struct sb_servicebus_order *order = *state;
  show_lock(order, 900000, 0, 0);
  assert_int_equal(patience_of(order), 302000);
}

static void what_shows_no_lock_changes_nothing(void **state) {
  struct sb_servicebus_order *order = *state;
  struct sb_servicebus_message none = {.enqueued_ms = WALL_MS};
  struct sb_servicebus_message odd = {.enqueued_ms = WALL_MS, .locked_until_ms = UINT64_MAX};
  sb_servicebus_order_learn_lock(order, &none, WALL_MS);
  sb_servicebus_order_learn_lock(order, &odd, WALL_MS);
  show_lock(order, 10000, 0, 500000);
  assert_int_equal(patience_of(order), PATIENCE_MS);
}

/* ---- limits ---- */

/* Numbers `from` to `to`, ten times as high in the topic. */
static void take_all(struct sb_servicebus_order *order, uint64_t from, uint64_t to, size_t body_len) {
  for (uint64_t n = from; n <= to; n++)
    assert_int_equal(give(order, arrival_of(n, 10 * n, n, 0, body_len)), SB_ORDER_KEPT);
}

static void however_many_are_held_only_time_makes_a_gap(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take_all(order, 5, 5 + SB_SERVICEBUS_HELD_MAX, 0);
  assert_string_equal(out_of(order, PATIENCE_MS - 1), "");
  take(order, 4, 40, 0);
  assert_memory_equal(out_of(order, PATIENCE_MS - 1), "4 5 6 7 ", 8);
  assert_int_equal(order->held_count, 0);
}

static void however_much_is_held_only_time_makes_a_gap(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take_all(order, 5, 6, SB_SERVICEBUS_HELD_BYTES_MAX);
  assert_string_equal(out_of(order, PATIENCE_MS - 1), "");
  assert_string_equal(out_of(order, PATIENCE_MS), "G 5 6");
  assert_int_equal(order->held_bytes, 0);
}

static void the_furthest_are_given_back_when_too_many_are_held(void **state) {
  struct sb_servicebus_order *order = *state;
  struct sb_servicebus_arrival arrival;
  hand_on(order, 1, 3);
  take_all(order, 6, 5 + SB_SERVICEBUS_HELD_MAX, 0);
  assert_false(sb_servicebus_order_surplus(order, &arrival));
  take(order, 5, 50, 0);
  assert_true(sb_servicebus_order_surplus(order, &arrival));
  assert_int_equal(arrival.message.number, 5 + SB_SERVICEBUS_HELD_MAX);
  sb_servicebus_message_close(&arrival.message);
  assert_false(sb_servicebus_order_surplus(order, &arrival));
  assert_int_equal(take(order, 5 + SB_SERVICEBUS_HELD_MAX, 100000, 0), SB_ORDER_KEPT); /* it comes again */
}

static void the_furthest_are_given_back_when_too_much_is_held_but_never_the_only_one(void **state) {
  struct sb_servicebus_order *order = *state;
  struct sb_servicebus_arrival arrival;
  hand_on(order, 1, 3);
  take_all(order, 5, 5, SB_SERVICEBUS_HELD_BYTES_MAX + 1);
  assert_false(sb_servicebus_order_surplus(order, &arrival));
  take_all(order, 6, 6, 1);
  assert_true(sb_servicebus_order_surplus(order, &arrival));
  assert_int_equal(arrival.message.number, 6);
  sb_servicebus_message_close(&arrival.message);
  assert_false(sb_servicebus_order_surplus(order, &arrival));
}

/* The earlier lock has ended by then. */
static void of_what_is_held_the_later_delivery_counts(void **state) {
  struct sb_servicebus_order *order = *state;
  hand_on(order, 1, 3);
  take(order, 5, 50, 0);
  struct sb_servicebus_arrival again = arrival_of(5, 50, (uint64_t)5 << 32 | 50, 0, 0);
  again.handle.life = 7;
  assert_int_equal(sb_servicebus_order_take(order, &again), SB_ORDER_DUPLICATE);
  assert_int_equal(again.handle.life, 0);
  assert_int_equal(order->held[0].handle.life, 7);
  sb_servicebus_message_close(&again.message);
}

static void credit_is_for_what_may_be_held(void **state) {
  struct sb_servicebus_order *order = *state;
  const size_t most = (size_t)SB_SERVICEBUS_HELD_MAX / 4 * 3, bytes = SB_SERVICEBUS_HELD_BYTES_MAX / 4 * 3;
  hand_on(order, 1, 3);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 0, 0), most);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 100, 0), most - 100);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 0, bytes / 10), 10);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 0, bytes * 10), 1);
  take_all(order, 5, 6, bytes / 10);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 1, bytes / 10), 7);
  assert_int_equal(sb_servicebus_order_ask_due_ms(order), INT64_MAX);
}

static void without_credit_it_is_probed_whether_what_is_missing_has_come(void **state) {
  struct sb_servicebus_order *order = *state;
  const uint64_t most = (uint64_t)SB_SERVICEBUS_HELD_MAX / 4 * 3;
  hand_on(order, 1, 3);
  take_all(order, 10, 9 + most, 0);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 0, 0), 1);
  assert_int_equal(sb_servicebus_order_credit(order, 0, 1, 0), 0);
  take(order, 10 + most, 10 * (10 + most), 0); /* not yet */
  assert_int_equal(sb_servicebus_order_credit(order, 0, 0, 0), 0);
  int64_t due_ms = sb_servicebus_order_ask_due_ms(order);
  assert_in_range(due_ms, 1, PATIENCE_MS / 2);
  assert_int_equal(sb_servicebus_order_credit(order, due_ms, 0, 0), 1);
  take(order, 5, 50, due_ms);
  assert_int_equal(sb_servicebus_order_credit(order, due_ms, 0, 0), 2);
  take(order, 6, 60, due_ms);
  take(order, 7, 70, due_ms);
  assert_int_equal(sb_servicebus_order_credit(order, due_ms, 0, 0), 8);
}

/* ---- a connection that is lost under load ---- */

#define STEP_MS       10
#define ASKED_AT_ONCE 100

/* A subscription, and a receiver that keeps to what the order says. */
struct load {
  struct sb_servicebus_order *order;
  int64_t now_ms, *ready_ms; /* by number: when it may be handed out; INT64_MAX: is */
  int *deliveries;
  uint64_t *aside;
  size_t aside_count;
  uint64_t sent, next_new; /* [1, sent], and the first that was never handed out */
  size_t credit, body_len, most_held, most_bytes;
  uint64_t handed_on;
};

static uint64_t next_of(const struct load *load) {
  for (uint64_t n = load->handed_on + 1; n < load->next_new; n++)
    if (load->ready_ms[n] <= load->now_ms) return n;
  return load->next_new <= load->sent ? load->next_new : 0;
}

static void hand_on_in_order(struct load *load) {
  uint64_t number = 0;
  enum sb_servicebus_verdict verdict;
  while ((verdict = next(load->order, load->now_ms, &number)) != SB_ORDER_NONE) {
    assert_int_equal(verdict, SB_ORDER_DELIVER); /* no gap */
    assert_int_equal(number, ++load->handed_on);
  }
}

static void set_aside(struct load *load) {
  struct sb_servicebus_arrival arrival;
  while (sb_servicebus_order_surplus(load->order, &arrival)) {
    load->aside[load->aside_count++] = arrival.message.number;
    sb_servicebus_message_close(&arrival.message);
  }
  while (sb_servicebus_order_has_room(load->order) && load->aside_count > 0)
    load->ready_ms[load->aside[--load->aside_count]] = load->now_ms;
}

static void deliver(struct load *load, uint64_t number) {
  if (number == load->next_new) load->next_new++;
  load->ready_ms[number] = INT64_MAX;
  load->deliveries[number]++;
  load->credit--;
  give(load->order, arrival_of(number, 10 * number, number, load->now_ms, load->body_len));
  hand_on_in_order(load);
  set_aside(load);
  if (load->order->held_count > load->most_held) load->most_held = load->order->held_count;
  if (load->order->held_bytes > load->most_bytes) load->most_bytes = load->order->held_bytes;
}

static void ask(struct load *load) {
  size_t more = sb_servicebus_order_credit(load->order, load->now_ms, load->credit, load->body_len);
  if (more > ASKED_AT_ONCE - load->credit) more = ASKED_AT_ONCE - load->credit;
  load->credit += more;
}

/* 100 messages were on their way; their locks end one after the other. */
static void check_load(struct sb_servicebus_order *order, int64_t lock_ms, uint64_t per_step,
                       size_t body_len) {
  uint64_t count = (uint64_t)(lock_ms / STEP_MS + 500) * per_step + 100, number;
  struct load load = {.order = order, .sent = 100, .next_new = 101, .body_len = body_len};
  load.ready_ms = sb_calloc(count + 1, sizeof *load.ready_ms);
  load.aside = sb_calloc(count + 1, sizeof *load.aside);
  load.deliveries = sb_calloc(count + 1, sizeof *load.deliveries);
  order->patience_ms = lock_ms + 2000;
  sb_servicebus_order_restart(order, 1, true);
  for (uint64_t n = 1; n <= 100; n++) load.ready_ms[n] = lock_ms / 2 + (int64_t)n * lock_ms / 200;
  while (load.handed_on < count && load.now_ms < 2 * lock_ms + 20000) {
    load.now_ms += STEP_MS;
    load.sent = load.sent + per_step < count ? load.sent + per_step : count;
    for (ask(&load); load.credit && (number = next_of(&load)); ask(&load)) deliver(&load, number);
  }
  assert_int_equal(load.handed_on, count);
  assert_in_range(load.most_held, 1, SB_SERVICEBUS_HELD_MAX);
  assert_in_range(load.most_bytes, 0, SB_SERVICEBUS_HELD_BYTES_MAX);
  for (uint64_t n = 1; n <= count; n++) assert_in_range(load.deliveries[n], 0, 2);
  assert_int_equal(order->held_count, 0);
  free(load.ready_ms);
  free(load.aside);
  free(load.deliveries);
}

static void many_behind_a_lost_connection_wait_at_the_service(void **state) {
  check_load(*state, 10000, 5, 0);
}

static void large_ones_behind_a_lost_connection_wait_at_the_service(void **state) {
  check_load(*state, 10000, 1, (size_t)200 * 1024);
}

static void they_do_for_the_longest_lock_too(void **state) {
  check_load(*state, 300000, 1, 0);
}

/* ---- random use ---- */

#define MESSAGES_MAX 600 /* of one life of a subscription: all are remembered */
#define WINDOW       6U  /* how far messages come out of order */

enum fate { TO_COME, LOST, GIVEN };

struct model_message {
  uint64_t number, sequence, print;
  enum fate fate;
  int64_t given_ms; /* when it was taken and kept; -1: not */
  bool handed_on, dropped;
};

struct world {
  struct sb_servicebus_order *order;
  int64_t now_ms;
  struct model_message messages[MESSAGES_MAX]; /* of this life, by number */
  size_t count, first;                         /* [0, first) were given or are lost */
  uint64_t sequence, print;
  bool has_last, excused; /* a gap or a new log was told since the last that was handed on */
  uint64_t last;          /* topic's number */
  size_t last_at;         /* behind the message that was handed on last, of this life */
  bool life_told;         /* the bridge knows of this life */
  size_t gaps, new_logs;
};

static void publish(struct world *w) {
  if (w->count == MESSAGES_MAX) return;
  w->sequence += 1 + below(8) / 7 * below(50); /* holes in the topic's numbers are none */
  w->messages[w->count] = (struct model_message){.number = w->count + 1,
                                                 .sequence = w->sequence,
                                                 .print = ++w->print,
                                                 .fate = below(40) == 0 ? LOST : TO_COME,
                                                 .given_ms = -1};
  w->count++;
}

/* Whether anything between the last that was handed on and this one was never handed on. */
static bool skips(const struct world *w, size_t at) {
  for (size_t i = w->last_at; i < at; i++)
    if (!w->messages[i].handed_on) return true;
  return false;
}

static void check_handed_on(struct world *w, const struct sb_servicebus_message *message) {
  size_t at = message->number - 1;
  assert_true(at < w->count);
  struct model_message *m = &w->messages[at];
  assert_int_equal(message->print, m->print);
  assert_false(m->handed_on); /* never twice */
  assert_true(m->given_ms >= 0);
  if (w->has_last) assert_true(m->sequence > w->last); /* never backwards */
  assert_true(w->life_told || w->excused);
  if (skips(w, at)) assert_true(w->excused);                 /* nothing is passed over silently */
  if (w->excused && w->life_told) assert_true(skips(w, at)); /* and no gap is told without need */
  m->handed_on = w->has_last = w->life_told = true;
  w->excused = false;
  w->last = m->sequence;
  w->last_at = at + 1;
}

static void drain(struct world *w) {
  struct sb_servicebus_arrival arrival;
  for (;;) {
    switch (sb_servicebus_order_next(w->order, w->now_ms, &arrival)) {
    case SB_ORDER_DELIVER:
      check_handed_on(w, &arrival.message);
      sb_servicebus_message_close(&arrival.message);
      break;
    case SB_ORDER_GAP:
      w->excused = true;
      w->gaps++;
      break;
    case SB_ORDER_NEW_LOG:
      w->excused = true;
      w->new_logs++;
      w->has_last = false;
      break;
    case SB_ORDER_NONE:
      return;
    default:
      fail_msg("a message is broken that is not");
    }
  }
}

/* Nothing that was given waits longer than patience. */
static void check_patience(const struct world *w) {
  for (size_t i = w->last_at; i < w->count; i++)
    if (w->messages[i].given_ms >= 0 && !w->messages[i].handed_on && !w->messages[i].dropped)
      assert_true(w->now_ms - w->messages[i].given_ms < PATIENCE_MS);
  int64_t due_ms = sb_servicebus_order_due_ms(w->order);
  assert_true(due_ms > w->now_ms);
}

static void give_again(struct world *w, struct model_message *m) {
  bool known = m->given_ms >= 0;
  enum sb_servicebus_verdict verdict =
      give(w->order, arrival_of(m->number, m->sequence, m->print, w->now_ms, below(3)));
  if (known || m->number <= w->last_at) {
    assert_int_equal(verdict, SB_ORDER_DUPLICATE);
    m->dropped = !m->handed_on && !known;
  } else {
    assert_int_equal(verdict, SB_ORDER_KEPT);
    m->given_ms = w->now_ms;
  }
  m->fate = GIVEN;
}

/* One of the next few that have not come. */
static void give_one(struct world *w) {
  while (w->first < w->count && w->messages[w->first].fate != TO_COME) w->first++;
  size_t reach = w->count - w->first;
  if (reach == 0) return;
  size_t at = w->first + below(reach < WINDOW ? (uint32_t)reach : below(3) ? 1 : WINDOW);
  if (w->messages[at].fate == TO_COME) give_again(w, &w->messages[at]);
}

static void give_duplicate(struct world *w) {
  if (w->first == 0) return;
  struct model_message *m = &w->messages[below((uint32_t)w->first)];
  if (m->fate == GIVEN) give_again(w, m);
}

/* Of the subscription, or with its topic; the receiver was told, or only numbers tell. The old life has to be
 * long enough, and what comes first in order, so that they can. */
static void make_again(struct world *w) {
  bool topic = below(2), told = below(2);
  if (!told && w->last_at < (size_t)4 * WINDOW) return;
  w->count = w->first = w->last_at = 0;
  w->life_told = false;
  if (topic) w->sequence = 0;
  if (told) {
    sb_servicebus_order_restart(w->order, 1, topic);
    w->excused = true; /* the receiver tells the bridge */
    if (topic) w->has_last = false;
  }
  publish(w);
  w->messages[0].fate = TO_COME;
  give_again(w, &w->messages[0]);
}

static void step(struct world *w) {
  uint32_t what = below(200);
  if (what < 80) {
    publish(w);
  } else if (what < 165) {
    give_one(w);
  } else if (what < 180) {
    give_duplicate(w);
  } else if (what < 198) {
    w->now_ms += below(what < 196 ? 50 : 2 * PATIENCE_MS);
  } else if (below(8) == 0 || w->count == MESSAGES_MAX) {
    make_again(w);
  }
}

static void random_arrivals_come_out_in_order_with_the_gaps_there_are(void **state) {
  struct world *w = sb_calloc(1, sizeof *w);
  w->order = *state;
  w->excused = true; /* the first attach */
  seed_from_environment();
  sb_servicebus_order_restart(w->order, 1, true);
  for (int i = 0; i < 400000; i++) {
    step(w);
    drain(w);
    check_patience(w);
  }
  assert_in_range(w->gaps, 500, SIZE_MAX); /* it was worth it */
  assert_in_range(w->new_logs, 20, SIZE_MAX);
  free(w);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      CASE(what_is_next_is_handed_on_at_once),
      CASE(reading_may_begin_anywhere),
      CASE(what_is_above_waits_for_what_is_missing),
      CASE(what_stays_away_is_a_gap_when_patience_ends),
      CASE(a_lower_one_does_not_begin_the_wait_anew),
      CASE(what_came_before_is_a_duplicate),
      CASE(what_is_late_after_a_gap_is_dropped),
      CASE(another_message_of_a_passed_number_is_of_another_subscription),
      CASE(a_number_that_is_not_remembered_is_another_one_when_the_topic_went_on),
      CASE(another_message_that_does_not_go_on_is_of_another_topic),
      CASE(one_that_does_not_go_on_is_broken_and_two_are_a_new_log),
      CASE(one_that_is_broken_alone_changes_nothing_more),
      CASE(a_subscription_made_again_begins_at_one),
      CASE(after_that_a_lower_topics_number_is_a_new_log_at_once),
      CASE(a_topic_made_again_begins_at_one_too),
      CASE(a_cut_before_the_first_message_makes_patient),
      CASE(a_cut_later_changes_nothing),
      CASE(a_cut_while_something_is_missing_begins_the_wait_anew),
      CASE(a_lock_that_is_longer_than_the_settings_say_is_waited_for),
      CASE(a_lock_that_is_shorter_changes_nothing),
      CASE(what_waited_for_long_does_not_show_a_longer_lock),
      CASE(a_clock_that_is_late_makes_no_longer_lock),
      CASE(no_lock_is_longer_than_the_service_makes_them),
      CASE(what_shows_no_lock_changes_nothing),
      CASE(however_many_are_held_only_time_makes_a_gap),
      CASE(however_much_is_held_only_time_makes_a_gap),
      CASE(the_furthest_are_given_back_when_too_many_are_held),
      CASE(the_furthest_are_given_back_when_too_much_is_held_but_never_the_only_one),
      CASE(of_what_is_held_the_later_delivery_counts),
      CASE(credit_is_for_what_may_be_held),
      CASE(without_credit_it_is_probed_whether_what_is_missing_has_come),
      CASE(many_behind_a_lost_connection_wait_at_the_service),
      CASE(large_ones_behind_a_lost_connection_wait_at_the_service),
      CASE(they_do_for_the_longest_lock_too),
      CASE(random_arrivals_come_out_in_order_with_the_gaps_there_are),
  };
#undef CASE
  return cmocka_run_group_tests_name("servicebus_order", tests, NULL, NULL);
}
