/* The embedded broker, as far as the conformance suite does not reach: its own settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

#include "transports/memory/memory.h"

static void no_wake(void *owner) {
  (void)owner;
}

static struct sb_transport *started(const struct sb_memory_settings *settings) {
  struct sb_transport_common common = {.partitions = 2, .prefix = "t", .wake = no_wake};
  struct sb_transport *t = sb_memory_new(&common, settings);
  assert_int_equal(sb_transport_start(t, NULL), 0);
  return t;
}

/* Takes everything; returns how many deliveries there were. */
static size_t take_all(struct sb_transport *t) {
  size_t deliveries = 0;
  struct sb_event event;
  while (sb_transport_next(t, &event)) {
    deliveries += event.kind == SB_EVENT_DELIVERY;
    sb_event_close(&event);
  }
  return deliveries;
}

static int publish(struct sb_transport *t, size_t len) {
  struct sb_envelope envelope = {.version = 1, .count = 1, .node = "n"};
  struct sb_body *body = sb_body_new(len);
  memset(body->data, 'x', len);
  int rc = sb_transport_publish(t, 0, &envelope, body, 1);
  sb_body_unref(body);
  return rc;
}

static void end(struct sb_transport *t) {
  sb_transport_close(t);
  take_all(t);
  sb_transport_free(t);
}

static void assert_stored(struct sb_memory_logs *logs, uint64_t first, uint64_t past_last) {
  assert_int_equal(logs->at[0].first, first);
  assert_int_equal(logs->at[0].end, past_last);
}

static void read_messages_go_except_the_last(void **state) {
  (void)state;
  struct sb_memory_logs *logs = sb_memory_logs_new(2);
  struct sb_transport *t = started(&(struct sb_memory_settings){.logs = logs});
  sb_transport_attach(t, 0);
  for (int i = 0; i < 5; i++) assert_int_equal(publish(t, 10), 0);
  assert_stored(logs, 0, 5);
  assert_int_equal(take_all(t), 5);
  assert_stored(logs, 4, 5);
  end(t);
  sb_memory_logs_free(logs);
}

static void retention_keeps_as_many_messages_and_bytes_as_it_is_told(void **state) {
  (void)state;
  struct sb_memory_logs *logs = sb_memory_logs_new(2);
  struct sb_transport *t =
      started(&(struct sb_memory_settings){.logs = logs, .retain_messages = 3, .retain_bytes = 100});
  sb_transport_attach(t, 0);
  for (int i = 0; i < 5; i++) assert_int_equal(publish(t, 10), 0);
  take_all(t);
  assert_stored(logs, 2, 5);
  assert_int_equal(publish(t, 85), 0);
  take_all(t);
  assert_stored(logs, 4, 6);
  assert_int_equal(publish(t, 1000), 0);
  take_all(t);
  assert_stored(logs, 6, 7);
  end(t);
  sb_memory_logs_free(logs);
}

static void a_log_that_nobody_reads_does_not_grow(void **state) {
  (void)state;
  struct sb_memory_logs *logs = sb_memory_logs_new(2);
  struct sb_transport *t = started(&(struct sb_memory_settings){.logs = logs});
  for (int i = 0; i < 100; i++) {
    assert_int_equal(publish(t, 10), 0);
    take_all(t);
  }
  assert_stored(logs, 99, 100);
  sb_transport_attach(t, 0);
  assert_int_equal(take_all(t), 1);
  end(t);
  sb_memory_logs_free(logs);
}

static void publishing_ends_at_the_number_of_unread_messages(void **state) {
  (void)state;
  struct sb_transport *t = started(&(struct sb_memory_settings){.events_max = 3});
  sb_transport_attach(t, 0);
  for (int i = 0; i < 3; i++) assert_int_equal(publish(t, 1), 0);
  assert_int_equal(publish(t, 1), SB_ERR_FULL);
  assert_int_equal(take_all(t), 3);
  assert_int_equal(publish(t, 1), 0);
  end(t);
}

static void publishing_ends_at_the_number_of_unread_bytes(void **state) {
  (void)state;
  struct sb_transport *t = started(&(struct sb_memory_settings){.bytes_max = 100});
  sb_transport_attach(t, 0);
  assert_int_equal(publish(t, 60), 0);
  assert_int_equal(publish(t, 41), SB_ERR_FULL);
  assert_int_equal(publish(t, 40), 0);
  assert_int_equal(publish(t, 0), SB_ERR_FULL);
  assert_int_equal(take_all(t), 2);
  assert_int_equal(publish(t, 500), 0); /* larger than all of it, but alone */
  assert_int_equal(publish(t, 1), SB_ERR_FULL);
  end(t);
}

static void logs_serve_one_transport_at_a_time(void **state) {
  (void)state;
  struct sb_memory_logs *logs = sb_memory_logs_new(2);
  struct sb_memory_settings settings = {.logs = logs};
  struct sb_transport *t = started(&settings);
  struct sb_transport_common common = {.partitions = 2, .prefix = "t", .wake = no_wake};
  struct sb_transport *second = sb_memory_new(&common, &settings);
  struct sb_error error = {0};
  assert_int_equal(sb_transport_start(second, &error), SB_ERR_IN_USE);
  assert_int_not_equal(error.text[0], 0);
  end(t);
  assert_int_equal(sb_transport_start(second, &error), 0);
  end(second);
  sb_memory_logs_free(logs);
}

static void freeing_gives_back_every_body(void **state) {
  (void)state;
  struct sb_transport *t = started(NULL);
  sb_transport_attach(t, 0);
  struct sb_envelope envelope = {.version = 1, .count = 1, .node = "n"};
  struct sb_body *body = sb_body_new(1);
  for (int i = 0; i < 20; i++) assert_int_equal(sb_transport_publish(t, 0, &envelope, body, 1), 0);
  end(t);
  assert_int_equal(atomic_load(&body->refs), 1);
  sb_body_unref(body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(read_messages_go_except_the_last),
      cmocka_unit_test(retention_keeps_as_many_messages_and_bytes_as_it_is_told),
      cmocka_unit_test(a_log_that_nobody_reads_does_not_grow),
      cmocka_unit_test(publishing_ends_at_the_number_of_unread_messages),
      cmocka_unit_test(publishing_ends_at_the_number_of_unread_bytes),
      cmocka_unit_test(logs_serve_one_transport_at_a_time),
      cmocka_unit_test(freeing_gives_back_every_body),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
