#include <dirent.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/cases.h"
#include "tests/unit/envelope_fixture.h"

/* Runs in which the publisher must not be quicker than the deadline allows. */
#define MANY 600

#define LARGE_BYTES ((size_t)1024 * 1024)

static const struct hub_delivery *delivery(const struct hub *hub, uint32_t partition, size_t index) {
  assert_in_range(index, 0, hub->partitions[partition].count - 1);
  return &hub->partitions[partition].deliveries[index];
}

static void pause_ms(long ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void a_published_batch_is_confirmed_and_delivered(void **state) {
  struct hub *hub = *state;
  uint64_t id = hub_publish(hub, 1, 100);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 1);
  assert_int_equal(hub_token_of(hub, id)->outcome, SB_SETTLE_CONFIRMED);
  assert_int_equal(delivery(hub, 1, 0)->id, id);
  assert_int_equal(delivery(hub, 1, 0)->len, 100);
  assert_null(delivery(hub, 1, 0)->channel);
}

static void an_empty_log_attaches_fresh_and_delivers_nothing(void **state) {
  struct hub *hub = *state;
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    assert_true(hub_is_first(hub->partitions[p].how));
    assert_int_equal(hub->partitions[p].attaches, 1);
  }
  hub_check_logs(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].count, 1);
}

static void every_field_of_an_envelope_arrives(void **state) {
  struct hub *hub = *state;
  const struct sb_envelope plain = hub_envelope(1), least = {.version = 1, .count = 1, .node = "a"};
  struct sb_envelope most = {.lz4 = true,
                             .version = INT32_MAX,
                             .count = INT32_MAX,
                             .attempt = INT32_MAX,
                             .number = INT64_MAX,
                             .base = INT64_MAX,
                             .generation = INT64_MAX,
                             .time_ms = INT64_MAX,
                             .incarnation = {UINT64_MAX, UINT64_MAX},
                             .claim = {.at = UINT64_MAX, .sum = UINT64_MAX, .founding = UINT32_MAX}};
  memset(most.node, 'Z', SB_NODE_NAME_MAX);
  const struct sb_envelope distinct = {.version = 2,
                                       .count = 4096,
                                       .attempt = 7,
                                       .number = 3,
                                       .base = 5,
                                       .generation = 11,
                                       .time_ms = 13,
                                       .incarnation = {17, 19},
                                       .claim = {.at = 23, .sum = 29, .founding = 31},
                                       .node = "n.o-d_e9"};
  enum { COUNT = 4 };
  const struct sb_envelope *const all[COUNT] = {&plain, &least, &most, &distinct};
  for (size_t i = 0; i < COUNT; i++) {
    struct sb_body *body = hub_body(i + 1, 32);
    assert_int_equal(hub_try(hub, 0, all[i], body, i + 1), 0);
    sb_body_unref(body);
  }
  hub_await(hub, hub->partitions[0].count == COUNT);
  for (size_t i = 0; i < COUNT; i++) assert_same_envelope(&delivery(hub, 0, i)->envelope, all[i]);
}

static void each_partition_keeps_the_order_of_publishing(void **state) {
  struct hub *hub = *state;
  for (int i = 0; i < MANY; i++) hub_publish(hub, (uint32_t)(i * 7 % HUB_PARTITIONS), 16 + (size_t)i % 500);
  hub_check_logs(hub);
}

static void two_transports_read_the_same_order(void **state) {
  struct hub *one = *state;
  CASE_NEEDS(one, external);
  struct hub *two = hub_new(one->ops, one, false);
  hub_start(two);
  hub_attach_all(two);
  two->last_id = UINT64_C(1) << 32;
  for (int i = 0; i < MANY; i++) {
    hub_publish(one, (uint32_t)i % HUB_PARTITIONS, 64);
    hub_publish(two, (uint32_t)i % HUB_PARTITIONS, 64);
  }
  const size_t each = 2 * MANY / HUB_PARTITIONS;
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    hub_await(one, one->unsettled == 0 && one->partitions[p].count == each);
    hub_await(two, two->unsettled == 0 && two->partitions[p].count == each);
    for (size_t i = 0; i < each; i++) {
      assert_int_equal(delivery(one, p, i)->id, delivery(two, p, i)->id);
      assert_int_equal(delivery(one, p, i)->sequence, delivery(two, p, i)->sequence);
    }
  }
  hub_free(two);
}

static void a_foreign_message_arrives_with_its_channel(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, foreign);
  struct sb_body *body = sb_body_new(5);
  memcpy(body->data, "hello", 5);
  hub->ops->foreign(hub->fixture, 2, "orders:7", body);
  sb_body_unref(body);
  hub_await(hub, hub->partitions[2].count == 1);
  const struct hub_delivery *got = delivery(hub, 2, 0);
  assert_true(got->envelope.foreign);
  assert_false(got->envelope.malformed);
  assert_string_equal(got->channel, "orders:7");
  assert_int_equal(got->len, 5);
  assert_memory_equal(got->head, "hello", 5);
}

static void a_foreign_message_may_have_no_channel(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, foreign);
  struct sb_body *body = sb_body_new(1);
  body->data[0] = 'x';
  hub->ops->foreign(hub->fixture, 0, NULL, body);
  sb_body_unref(body);
  hub_await(hub, hub->partitions[0].count == 1);
  assert_true(delivery(hub, 0, 0)->envelope.foreign);
  assert_null(delivery(hub, 0, 0)->channel);
}

static void malformed_headers_are_marked_and_do_not_stop_the_log(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, malformed);
  struct sb_body *body = hub_body(999999, 40);
  unsigned sent = 0;
  while (hub->ops->malformed(hub->fixture, 0, sent, body)) sent++;
  sb_body_unref(body);
  assert_int_not_equal(sent, 0);
  uint64_t good = hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub->partitions[0].count == sent + 1);
  for (unsigned i = 0; i < sent; i++) {
    if (!delivery(hub, 0, i)->envelope.malformed) fail_msg("malformed message %u passed", i);
    assert_false(delivery(hub, 0, i)->envelope.foreign);
  }
  assert_false(delivery(hub, 0, sent)->envelope.malformed);
  assert_int_equal(delivery(hub, 0, sent)->id, good);
}

static void an_empty_body_arrives_empty(void **state) {
  struct hub *hub = *state;
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = sb_body_new(0);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), 0);
  sb_body_unref(body);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == 1);
  assert_int_equal(hub->tokens[0].outcome, SB_SETTLE_CONFIRMED);
  assert_int_equal(delivery(hub, 0, 0)->len, 0);
}

/* Frame and buffer sizes have their pitfalls right at and beside powers of two. */
static void bodies_of_every_awkward_size_arrive_unharmed(void **state) {
  struct hub *hub = *state;
  size_t max = sb_transport_max_body(hub->transport), sent = 0;
  for (size_t size = 4096; size <= LARGE_BYTES; size *= 2)
    for (size_t len = size - 9; len <= size + 1; len++) {
      if (len > max) continue;
      hub_publish(hub, 0, len);
      sent++;
    }
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == sent);
  hub_check_logs(hub);
}

static void the_largest_body_arrives_and_one_byte_more_is_refused(void **state) {
  struct hub *hub = *state;
  size_t max = sb_transport_max_body(hub->transport);
  uint64_t id = hub_publish(hub, 0, max);
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = hub_body(1, max + 1);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), SB_ERR_TOO_LARGE);
  assert_int_equal(atomic_load(&body->refs), 1);
  sb_body_unref(body);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == 1);
  assert_int_equal(delivery(hub, 0, 0)->id, id);
  assert_int_equal(delivery(hub, 0, 0)->len, max);
}

static void a_delivered_body_may_be_changed(void **state) {
  struct hub *hub = *state;
  struct sb_body *body = hub_body(5, 200);
  struct sb_envelope envelope = hub_envelope(5);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 5), 0);
  hub_await(hub, hub->partitions[0].count == 1); /* the hub overwrites what it takes */
  assert_int_equal(hub_try(hub, 0, &envelope, body, 6), 0);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == 2);
  assert_int_equal(delivery(hub, 0, 0)->id, 5);
  assert_int_equal(delivery(hub, 0, 1)->id, 5);
  sb_body_unref(body);
}

static void closing_settles_what_is_in_flight_once(void **state) {
  struct hub *hub = *state;
  for (int i = 0; i < 40; i++) hub_publish(hub, (uint32_t)i % HUB_PARTITIONS, 1000);
  hub_close(
      hub); /* checks that nothing is left unsettled, the hub at every event that none is settled twice */
}

static size_t open_descriptors(void) {
  size_t count = 0;
  DIR *all = opendir("/proc/self/fd");
  assert_non_null(all);
  while (readdir(all)) count++;
  closedir(all);
  return count;
}

static void opening_and_closing_leaves_no_descriptor_open(void **state) {
  struct hub *hub = *state;
  hub_check_logs(hub);
  size_t before = open_descriptors();
  for (int i = 0; i < 5; i++) {
    hub_close(hub);
    hub_start(hub);
    hub_attach_all(hub);
  }
  /* A fixture's proxy closes its ends when it has seen ours closed. */
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (open_descriptors() > before && hub_now_ms() < until_ms) pause_ms(5);
  assert_in_range(open_descriptors(), 0, before);
}

static void a_transport_that_was_never_started_can_be_freed(void **state) {
  struct hub *hub = *state;
  hub_close(hub);
  hub->transport = hub->ops->transport(hub->fixture, NULL, NULL);
  sb_transport_free(hub->transport);
  hub->transport = NULL;
}

static void wake_is_called_when_the_queue_stops_being_empty(void **state) {
  struct hub *hub = *state;
  hub_check_logs(hub);
  assert_false(hub_take_all(hub));
  unsigned before = hub_rings(hub);
  size_t had = hub->partitions[0].count;
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = hub_body(hub_next_id(hub), 64);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), 0);
  sb_body_unref(body);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count > had && hub_rings(hub) > before);
}

static void status_is_made_of_lines_for_info(void **state) {
  struct hub *hub = *state;
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  assert_true(out.len > 2);
  assert_memory_equal(out.data + out.len - 2, "\r\n", 2);
  sb_buf_append(&out, "", 1);
  for (const char *line = (const char *)out.data; *line; line = strstr(line, "\r\n") + 2) {
    const char *colon = strchr(line, ':'), *end = strstr(line, "\r\n");
    assert_non_null(end);
    assert_true(colon && colon > line && colon < end);
  }
  sb_buf_close(&out);
}

/* ---- back-pressure ---- */

/* There when a sanitizer is. */
size_t sanitizer_bytes(void) __asm__("__sanitizer_get_current_allocated_bytes") __attribute__((weak));

static size_t allocated_bytes(void) {
  if (sanitizer_bytes) return sanitizer_bytes();
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/* Publishes up to `count` times without taking events, until there was no room for `patience_ms`. Returns how
 * many were taken; *full tells whether there was ever no room. */
static size_t publish_without_taking(struct hub *hub, size_t count, size_t len, int64_t patience_ms,
                                     bool *full) {
  size_t taken = 0;
  int64_t until_ms = hub_now_ms() + patience_ms;
  *full = false;
  while (taken < count && hub_now_ms() < until_ms) {
    uint64_t id = hub->last_id + 1;
    struct sb_envelope envelope = hub_envelope(id);
    struct sb_body *body = hub_body(id, len);
    struct hub_watch watch = hub_watch();
    int rc = hub_try(hub, 0, &envelope, body, id);
    hub_took(&watch, 0, 1000); /* never blocks */
    sb_body_unref(body);
    if (rc == 0) {
      hub_next_id(hub);
      taken++;
      until_ms = hub_now_ms() + patience_ms;
      continue;
    }
    assert_int_equal(rc, SB_ERR_FULL);
    *full = true;
    pause_ms(1);
  }
  return taken;
}

/* The most that is allocated until it has not grown for a while. */
static size_t allocated_when_settled(void) {
  size_t most = allocated_bytes();
  int64_t now_ms = hub_now_ms(), end_ms = now_ms + HUB_DEADLINE_MS, still_since_ms = now_ms;
  while ((now_ms = hub_now_ms()) < end_ms && now_ms - still_since_ms < 300) {
    size_t now = allocated_bytes();
    if (now > most) {
      most = now;
      still_since_ms = now_ms;
    }
    pause_ms(5);
  }
  return most;
}

static void a_consumer_that_takes_nothing_bounds_memory_and_loses_nothing(void **state) {
  struct hub *hub = *state;
  enum { LEN = 128 * 1024, COUNT = 640, ROOM = 24 * 1024 * 1024 };
  size_t before = allocated_bytes();
  bool full;
  size_t taken = publish_without_taking(hub, COUNT, LEN, 500, &full);
  if (!hub->ops->external) assert_true(full); /* there is nowhere else to put it */
  /* Queued deliveries, queued publishes of one partition, and room for buffers and a body or two on their
   * way. */
  assert_in_range(allocated_when_settled() - before, 0,
                  SB_TRANSPORT_EVENTS_BYTES_MAX + (size_t)SB_TRANSPORT_PUBLISH_MAX * LEN +
                      hub->ops->prefetch_bytes + ROOM);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == taken);
  hub_check_logs(hub);
}

static void many_small_events_wait_in_bounded_number(void **state) {
  struct hub *hub = *state;
  enum { COUNT = 3 * SB_TRANSPORT_EVENTS_MAX / 2 };
  bool full;
  size_t taken = publish_without_taking(hub, COUNT, 16, 500, &full);
  if (!hub->ops->external) assert_true(full);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == taken);
  hub_check_logs(hub);
}

static void a_publisher_that_is_too_fast_is_told_so_and_not_blocked(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, hold);
  enum { LEN = 64 * 1024, COUNT = 1000 }; /* more than all sockets on the way hold */
  hub->ops->hold(hub->fixture, HOLD_REQUESTS);
  bool full;
  size_t taken = publish_without_taking(hub, COUNT, LEN, 500, &full);
  assert_true(full);
  assert_true(taken < COUNT);
  hub->ops->hold(hub->fixture, HOLD_NOTHING);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == taken);
  hub_check_logs(hub);
}

static void what_was_delivered_can_be_read_back_or_it_says_that_it_cannot(void **state) {
  struct hub *hub = *state;
  const struct sb_transport_ops *ops = hub->transport->ops;
  assert_int_equal(ops->read_back != NULL, ops->reads_back);
  assert_int_equal(ops->read_back_stop != NULL, ops->reads_back);
  if (!ops->reads_back) return;
  for (int i = 0; i < 10; i++) hub_publish(hub, 1, 100);
  hub_await(hub, hub->partitions[1].count == 10);
  const struct hub_read *all = hub_read_back(hub, 1, 0, hub->partitions[1].last);
  hub_await(hub, all->ended);
  assert_int_equal(all->outcome, SB_STORED_DONE);
  assert_int_equal(all->count, 10);
  hub_assert_read(hub, all);
}

const struct CMUnitTest flow_cases[] = {
    cmocka_unit_test(a_published_batch_is_confirmed_and_delivered),
    cmocka_unit_test(an_empty_log_attaches_fresh_and_delivers_nothing),
    cmocka_unit_test(every_field_of_an_envelope_arrives),
    cmocka_unit_test(each_partition_keeps_the_order_of_publishing),
    cmocka_unit_test(two_transports_read_the_same_order),
    cmocka_unit_test(a_foreign_message_arrives_with_its_channel),
    cmocka_unit_test(a_foreign_message_may_have_no_channel),
    cmocka_unit_test(malformed_headers_are_marked_and_do_not_stop_the_log),
    cmocka_unit_test(an_empty_body_arrives_empty),
    cmocka_unit_test(bodies_of_every_awkward_size_arrive_unharmed),
    cmocka_unit_test(the_largest_body_arrives_and_one_byte_more_is_refused),
    cmocka_unit_test(a_delivered_body_may_be_changed),
    cmocka_unit_test(closing_settles_what_is_in_flight_once),
    cmocka_unit_test(opening_and_closing_leaves_no_descriptor_open),
    cmocka_unit_test(a_transport_that_was_never_started_can_be_freed),
    cmocka_unit_test(wake_is_called_when_the_queue_stops_being_empty),
    cmocka_unit_test(status_is_made_of_lines_for_info),
    cmocka_unit_test(a_consumer_that_takes_nothing_bounds_memory_and_loses_nothing),
    cmocka_unit_test(many_small_events_wait_in_bounded_number),
    cmocka_unit_test(what_was_delivered_can_be_read_back_or_it_says_that_it_cannot),
    cmocka_unit_test(a_publisher_that_is_too_fast_is_told_so_and_not_blocked),
};
const size_t flow_case_count = sizeof flow_cases / sizeof *flow_cases;
