/* Reading back from a real RabbitMQ, beside the ordinary reading: what comes, what it may cost, and how it
 * ends when something happens to it. A reading that is under way is had by taking no events: then it waits
 * for room. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/hub.h"
#include "tests/conformance/rabbitmq_fixture.h"
#include "tests/conformance/suite.h"

#define LARGE_BYTES    ((size_t)64 * 1024)
#define LARGE_IN_QUEUE ((size_t)SB_TRANSPORT_STORED_BYTES_MAX / LARGE_BYTES)
/* More than the queue and all that is on its way can hold. */
#define LARGE_COUNT    160
#define BOUNDED_MS     10000
#define SILENCE_MS     2000
#define IDLE_MS        200
#define TIMEOUT_MS     2000
#define BEYOND_END     1000
#define SMALL_BYTES    100

/* ---- hubs ---- */

static struct rabbitmq_fixture *fixture_of(struct hub *hub) {
  return hub->fixture;
}

static int setup_hub(void **state, bool forgetful, bool impatient) {
  struct hub *hub = hub_new(&rabbitmq_fixture_ops, NULL, forgetful);
  *state = hub;
  if (!hub->fixture) return -1;
  struct sb_rabbitmq_settings *settings = &fixture_of(hub)->settings;
  settings->read_back_idle_ms = IDLE_MS;
  if (impatient) {
    settings->connect_timeout_ms = settings->rpc_timeout_ms = TIMEOUT_MS;
    settings->read_back_silence_ms = SILENCE_MS;
  }
  hub_start(hub);
  hub_attach_all(hub);
  return 0;
}

static int setup(void **state) {
  return setup_hub(state, false, false);
}

static int setup_forgetful(void **state) {
  return setup_hub(state, true, false);
}

/* For cases that wait for what does not come. */
static int setup_impatient(void **state) {
  return setup_hub(state, false, true);
}

static int teardown(void **state) {
  hub_free(*state);
  return 0;
}

/* ---- what is there ---- */

static void fill(struct hub *hub, uint32_t partition, size_t count, size_t len) {
  size_t before = hub->partitions[partition].count;
  for (size_t i = 0; i < count; i++) hub_publish(hub, partition, len);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[partition].count == before + count);
}

/* A log of everything that a log may hold. */
static void fill_mixed(struct hub *hub, uint32_t partition, size_t count) {
  size_t before = hub->partitions[partition].count, after = before + count;
  struct sb_body *body = sb_body_new(SMALL_BYTES), *empty = sb_body_new(0);
  memset(body->data, 'f', body->len);
  for (size_t i = 0; i < count; i++) {
    if (i % 5 == 1)
      hub->ops->foreign(hub->fixture, partition, i % 2 ? "a channel" : NULL, body);
    else if (i % 5 == 2)
      hub->ops->malformed(hub->fixture, partition, (unsigned)i % 10, body);
    else if (i % 5 == 3)
      hub->ops->foreign(hub->fixture, partition, "empty", empty);
    else
      hub_append(hub, partition);
  }
  sb_body_unref(body);
  sb_body_unref(empty);
  hub_await(hub, hub->partitions[partition].count == after);
}

static uint64_t sequence_of(const struct hub *hub, uint32_t partition, size_t index) {
  assert_in_range(index, 0, hub->partitions[partition].count - 1);
  return hub->partitions[partition].deliveries[index].sequence;
}

static const struct hub_read *read_all(struct hub *hub, uint32_t partition) {
  return hub_read_back(hub, partition, 0, hub->partitions[partition].last);
}

static void await_done(struct hub *hub, const struct hub_read *read) {
  hub_await(hub, read->ended);
  assert_int_equal(read->outcome, SB_STORED_DONE);
}

static void await_failed(struct hub *hub, const struct hub_read *read) {
  hub_await(hub, read->ended);
  assert_int_equal(read->outcome, SB_STORED_FAILED);
}

static void check_that_all_can_be_read(struct hub *hub, uint32_t partition) {
  const struct hub_read *all = read_all(hub, partition);
  await_done(hub, all);
  assert_int_equal(all->count, hub->partitions[partition].count);
  hub_assert_read(hub, all);
}

/* The value of a line of the status. */
static void status_of(struct hub *hub, const char *key, char *value, size_t size) {
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  sb_buf_append(&out, "", 1);
  const char *at = strstr((const char *)out.data, key);
  assert_non_null(at);
  at += strlen(key);
  snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
  sb_buf_close(&out);
}

static uint64_t counter(struct hub *hub, const char *key) {
  char value[24];
  status_of(hub, key, value, sizeof value);
  return strtoull(value, NULL, 10);
}

static bool link_is(struct hub *hub, const char *state) {
  char value[24];
  status_of(hub, "broker_link:", value, sizeof value);
  return strcmp(value, state) == 0;
}

/* Takes no events; the counters change without one. */
static void await_counter(struct hub *hub, const char *key, uint64_t value) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (counter(hub, key) < value) {
    if (hub_now_ms() >= until_ms) fail_msg("%s stays at %" PRIu64, key, counter(hub, key));
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  }
}

/* All of a partition that is more than may wait; as much of it as may waits. */
static const struct hub_read *begin_large(struct hub *hub, uint32_t partition) {
  uint64_t before = counter(hub, "broker_read_back:");
  const struct hub_read *read = read_all(hub, partition);
  await_counter(hub, "broker_read_back:", before + LARGE_IN_QUEUE);
  return read;
}

static void await_connections(struct hub *hub, size_t count) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (proxy_connections(fixture_of(hub)->proxy) != count)
    if (!hub_step(hub, until_ms)) fail_msg("there are never %zu connections", count);
}

/* What was up before is up again. */
static bool is_reattached(const struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (hub->partitions[p].attaches < 2) return false;
  return hub_all_attached(hub) && hub_links_are(hub, true);
}

/* Until the transport tries again by itself. */
static const struct hub_read *read_all_when_possible(struct hub *hub, uint32_t partition) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  const struct hub_read *read = NULL;
  int rc;
  while ((rc = hub_try_read_back(hub, partition, 0, hub->partitions[partition].last, &read)) != 0) {
    assert_int_equal(rc, SB_ERR_LINK);
    if (!hub_step(hub, until_ms)) fail_msg("nothing can be read back in time");
  }
  return read;
}

/* ---- while all is well ---- */

static void a_range_comes_as_it_was_delivered_while_live_traffic_goes_on(void **state) {
  struct hub *hub = *state;
  fill_mixed(hub, 0, 300);
  const struct hub_read *middle = hub_read_back(hub, 0, sequence_of(hub, 0, 50), sequence_of(hub, 0, 249));
  for (int i = 0; i < 300; i++) hub_publish(hub, (uint32_t)i % HUB_PARTITIONS, SMALL_BYTES);
  await_done(hub, middle);
  assert_int_equal(middle->count, 200);
  hub_assert_read(hub, middle);
  hub_check_logs(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void any_range_can_be_read_several_times(void **state) {
  struct hub *hub = *state;
  enum { COUNT = 200 };
  fill_mixed(hub, 0, COUNT);
  static const size_t ranges[][2] = {{0, COUNT - 1},         {0, 0},   {7, 7},
                                     {COUNT - 1, COUNT - 1}, {3, 130}, {3, 130}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    size_t first = ranges[i][0], last = ranges[i][1];
    const struct hub_read *read =
        hub_read_back(hub, 0, sequence_of(hub, 0, first), sequence_of(hub, 0, last));
    await_done(hub, read);
    assert_int_equal(read->count, last - first + 1);
    hub_assert_read(hub, read);
  }
  check_that_all_can_be_read(hub, 0);
}

static void the_end_of_a_long_log_is_read_without_its_begin(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  uint64_t before = proxy_carried(fixture_of(hub)->proxy);
  const struct hub_read *end =
      hub_read_back(hub, 0, sequence_of(hub, 0, LARGE_COUNT - 2), hub->partitions[0].last);
  await_done(hub, end);
  assert_int_equal(end->count, 2);
  hub_assert_read(hub, end);
  assert_in_range(proxy_carried(fixture_of(hub)->proxy) - before, 2 * LARGE_BYTES,
                  LARGE_COUNT / 2 * LARGE_BYTES);
}

static void what_was_stored_before_the_attach_can_be_read(void **state) {
  struct hub *hub = *state;
  enum { COUNT = 50 };
  fill(hub, 2, COUNT, SMALL_BYTES);
  hub_close(hub);
  hub_start(hub);
  hub_attach_all(hub);
  const struct hub_partition *read = &hub->partitions[2];
  uint64_t id = hub_publish(hub, 2, SMALL_BYTES);
  /* The last few that were stored before come first, one by one. */
  hub_await(hub, hub->unsettled == 0 && read->count > 0 && read->deliveries[read->count - 1].id == id);
  const struct hub_read *all = read_all(hub, 2);
  await_done(hub, all);
  assert_in_range(all->count, COUNT, COUNT + 1);
  assert_true(all->count > hub->partitions[2].count);
  for (size_t i = 1; i < all->count; i++) assert_int_equal(all->messages[i].id, all->messages[0].id + i);
}

static void two_partitions_are_read_beside_each_other_and_one_only_once(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT / 2, LARGE_BYTES);
  fill(hub, 1, LARGE_COUNT / 2, LARGE_BYTES);
  const struct hub_read *zero = read_all(hub, 0), *one = read_all(hub, 1), *none = NULL;
  await_counter(hub, "broker_read_back:", LARGE_IN_QUEUE);
  assert_int_equal(hub_try_read_back(hub, 0, 0, 1, &none), SB_ERR_FULL);
  await_done(hub, zero);
  await_done(hub, one);
  hub_assert_read(hub, zero);
  hub_assert_read(hub, one);
  assert_int_equal(zero->count, LARGE_COUNT / 2);
  assert_int_equal(one->count, LARGE_COUNT / 2);
  check_that_all_can_be_read(hub, 0);
}

static void who_takes_nothing_gets_deliveries_and_little_of_what_is_stored(void **state) {
  struct hub *hub = *state;
  enum { LIVE = 100 };
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  uint64_t delivered = counter(hub, "broker_delivered:");
  const struct hub_read *all = begin_large(hub, 0);
  for (int i = 0; i < LIVE; i++) hub_append(hub, (uint32_t)i % 2);
  await_counter(hub, "broker_delivered:", delivered + LIVE);
  assert_int_equal(counter(hub, "broker_read_back:"), LARGE_IN_QUEUE);
  await_done(hub, all);
  assert_int_equal(all->count, LARGE_COUNT);
  hub_assert_read(hub, all);
  hub_check_logs(hub);
}

static void its_connection_is_there_while_it_is_needed(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  assert_int_equal(proxy_connections(fixture_of(hub)->proxy), 2);
  for (int round = 0; round < 2; round++) {
    const struct hub_read *all = begin_large(hub, 0);
    assert_int_equal(proxy_connections(fixture_of(hub)->proxy), 3);
    await_done(hub, all);
    await_connections(hub, 2);
  }
  assert_true(hub_links_are(hub, true));
}

/* ---- what is no longer there ---- */

static void what_retention_removed_is_left_out(void **state) {
  struct hub *hub = *state;
  enum { GONE = 20 };
  fill(hub, 0, GONE, 1000);
  hub->ops->retention(hub->fixture, 0);
  uint64_t last = hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub_deliveries_of(hub, 0, last) == 1);
  const struct hub_partition *partition = &hub->partitions[0];

  for (size_t from = 0; from < 2; from++) {
    const struct hub_read *rest = hub_read_back(hub, 0, sequence_of(hub, 0, from), partition->last);
    await_done(hub, rest);
    assert_in_range(rest->count, 1, partition->count - GONE);
    size_t skipped = partition->count - rest->count;
    for (size_t i = 0; i < rest->count; i++)
      hub_assert_same(&rest->messages[i], &partition->deliveries[skipped + i]);
  }
  const struct hub_read *gone = hub_read_back(hub, 0, 0, sequence_of(hub, 0, GONE - 1));
  await_done(hub, gone);
  assert_int_equal(gone->count, 0);
}

static void beyond_the_end_it_fails_in_time(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, 10, SMALL_BYTES);
  uint64_t last = hub->partitions[0].last;
  const struct hub_read *most = hub_read_back(hub, 0, 0, last + BEYOND_END);
  await_failed(hub, most);
  assert_int_equal(most->count, 10);
  struct hub_watch watch = hub_watch();
  const struct hub_read *none = hub_read_back(hub, 0, last + 1, last + BEYOND_END);
  await_failed(hub, none);
  hub_took(&watch, SILENCE_MS, BOUNDED_MS);
  assert_int_equal(none->count, 0);
  check_that_all_can_be_read(hub, 0);
}

static void a_log_made_anew_ends_it(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  uint64_t last = hub->partitions[0].last;
  const struct hub_read *all = begin_large(hub, 0);
  hub->ops->remake(hub->fixture, 0);
  await_failed(hub, all);
  assert_in_range(all->count, LARGE_IN_QUEUE, LARGE_COUNT - 1);
  hub_await(hub, hub->partitions[0].attaches == 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_NEW_LOG);
  await_failed(hub, hub_read_back(hub, 0, last - 1, last));
  hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub_links_are(hub, true) && hub->partitions[0].attached_at < hub->partitions[0].count);
  await_done(hub, read_all(hub, 0));
}

/* ---- ended from here ---- */

static void what_is_stopped_ends_and_the_next_begins(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *all = begin_large(hub, 0);
  hub_stop_reading(hub, all);
  await_failed(hub, all);
  assert_in_range(all->count, LARGE_IN_QUEUE, LARGE_IN_QUEUE + 1); /* one was waiting for room */
  check_that_all_can_be_read(hub, 0);
}

static void stopping_what_is_unknown_changes_nothing(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *ended = hub_read_back(hub, 0, 0, sequence_of(hub, 0, 0));
  await_done(hub, ended);
  const struct hub_read *all = begin_large(hub, 0);
  hub_stop_reading(hub, ended);
  sb_transport_read_back_stop(hub->transport, UINT64_MAX);
  await_done(hub, all);
  hub_assert_read(hub, all);
}

static void closing_ends_what_is_under_way(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *all = begin_large(hub, 0), *other = hub_read_back(hub, 1, 0, BEYOND_END);
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, BOUNDED_MS);
  assert_int_equal(all->outcome, SB_STORED_FAILED);
  assert_int_equal(other->outcome, SB_STORED_FAILED);
}

static void closing_while_its_login_is_not_answered_ends(void **state) {
  struct hub *hub = *state;
  hub_close(hub);
  fixture_of(hub)->settings.connect_timeout_ms = HUB_DEADLINE_MS;
  hub_start(hub);
  hub_attach_all(hub);
  hub->ops->hold(hub->fixture, HOLD_REPLIES);
  const struct hub_read *read = hub_read_back(hub, 0, 0, 1);
  await_connections(hub, 3);
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, BOUNDED_MS);
  assert_int_equal(read->outcome, SB_STORED_FAILED);
}

/* ---- the broker goes ---- */

static void without_a_link_nothing_is_taken(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, 10, SMALL_BYTES);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false) && link_is(hub, "down"));
  const struct hub_read *none = NULL;
  assert_int_equal(hub_try_read_back(hub, 0, 0, 1, &none), SB_ERR_LINK);
  hub->ops->back(hub->fixture);
  hub_await(hub, is_reattached(hub));
  check_that_all_can_be_read(hub, 0);
}

static void a_cut_in_the_middle_fails_it(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *all = begin_large(hub, 0);
  hub->ops->cut(hub->fixture);
  struct hub_watch watch = hub_watch();
  await_failed(hub, all);
  hub_took(&watch, 0, BOUNDED_MS);
  assert_in_range(all->count, LARGE_IN_QUEUE, LARGE_COUNT - 1);
  hub_await(hub, is_reattached(hub));
  all = read_all_when_possible(hub, 0);
  await_done(hub, all);
  assert_int_equal(all->count, LARGE_COUNT);
  hub_assert_read(hub, all);
  hub_check_logs(hub);
}

static void a_killed_broker_fails_it_and_the_live_link_recovers(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *all = begin_large(hub, 0);
  hub->ops->kill(hub->fixture);
  struct hub_watch watch = hub_watch();
  await_failed(hub, all);
  hub_took(&watch, 0, BOUNDED_MS);
  assert_in_range(all->count, LARGE_IN_QUEUE, LARGE_COUNT - 1);
  hub->ops->restart(hub->fixture);
  hub_await(hub, is_reattached(hub));
  all = read_all_when_possible(hub, 0);
  await_done(hub, all);
  hub_assert_read(hub, all);
  hub_check_logs(hub);
}

static void a_login_that_is_not_answered_fails_it(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, 10, SMALL_BYTES);
  hub->ops->hold(hub->fixture, HOLD_REPLIES);
  struct hub_watch watch = hub_watch();
  await_failed(hub, read_all(hub, 0));
  hub_took(&watch, TIMEOUT_MS, BOUNDED_MS);
  hub->ops->hold(hub->fixture, HOLD_NOTHING);
  await_done(hub, read_all_when_possible(hub, 0));
  assert_true(hub_links_are(hub, true));
  hub_check_logs(hub);
}

static void a_broker_that_falls_silent_fails_it(void **state) {
  struct hub *hub = *state;
  fill(hub, 0, LARGE_COUNT, LARGE_BYTES);
  const struct hub_read *all = begin_large(hub, 0);
  hub->ops->hold(hub->fixture, HOLD_REPLIES);
  struct hub_watch watch = hub_watch();
  await_failed(hub, all);
  hub_took(&watch, SILENCE_MS, SILENCE_MS + BOUNDED_MS);
  hub->ops->hold(hub->fixture, HOLD_NOTHING);
  await_done(hub, read_all_when_possible(hub, 0));
  assert_true(hub_links_are(hub, true));
  hub_check_logs(hub);
}

#define READ_CASE(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IMPATIENT_CASE(name) cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      READ_CASE(a_range_comes_as_it_was_delivered_while_live_traffic_goes_on),
      READ_CASE(any_range_can_be_read_several_times),
      READ_CASE(the_end_of_a_long_log_is_read_without_its_begin),
      READ_CASE(what_was_stored_before_the_attach_can_be_read),
      READ_CASE(two_partitions_are_read_beside_each_other_and_one_only_once),
      READ_CASE(who_takes_nothing_gets_deliveries_and_little_of_what_is_stored),
      READ_CASE(its_connection_is_there_while_it_is_needed),
      cmocka_unit_test_setup_teardown(what_retention_removed_is_left_out, setup_forgetful, teardown),
      IMPATIENT_CASE(beyond_the_end_it_fails_in_time),
      IMPATIENT_CASE(a_log_made_anew_ends_it),
      READ_CASE(what_is_stopped_ends_and_the_next_begins),
      READ_CASE(stopping_what_is_unknown_changes_nothing),
      READ_CASE(closing_ends_what_is_under_way),
      READ_CASE(closing_while_its_login_is_not_answered_ends),
      READ_CASE(without_a_link_nothing_is_taken),
      READ_CASE(a_cut_in_the_middle_fails_it),
      READ_CASE(a_killed_broker_fails_it_and_the_live_link_recovers),
      IMPATIENT_CASE(a_login_that_is_not_answered_fails_it),
      IMPATIENT_CASE(a_broker_that_falls_silent_fails_it),
  };
  int rc = rabbitmq_fixture_start();
  if (rc) return rc;
  return conformance_run_cases("rabbitmq-read-back", tests, sizeof tests / sizeof *tests, NULL, NULL, argc,
                               argv);
}
