/* Linger and rate limit, for brokers that charge by message. */
#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "tests/unit/core_fixture.h"

#define LINGER_MS 20

static int set_up(void **state) {
  *state = core_hub(2);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

static struct node *join_paced(struct core_hub *hub, uint32_t linger_ms, uint32_t rate_per_s) {
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.linger_ms = linger_ms;
  settings.rate_per_s = rate_per_s;
  return core_join_with(hub, &settings);
}

static void time_is(struct node *node, uint64_t now_ms) {
  node->hub->now_ms = now_ms;
  sb_core_now(node->core, now_ms, 1700000000000 + now_ms);
}

/* The loop slept: what the core knows of the time is old when the request comes. */
static void a_linger_begins_with_the_turn_and_not_with_the_time_before_it(void **state) {
  struct core_hub *hub = *state;
  struct node *node = join_paced(hub, LINGER_MS, 0);
  struct sb_session session;
  session_open(node, &session, 2);
  uint64_t begin = hub->now_ms + 5000, before = core_stats(node).batches_published;
  session_publish(node, &session, name_in(node, 0, 0), "1");
  time_is(node, begin);
  sb_core_turn(node->core);
  assert_int_equal(core_stats(node).batches_published, before);
  assert_int_equal(sb_core_deadline(node->core), begin + LINGER_MS);
  time_is(node, begin + LINGER_MS - 1);
  session_publish(node, &session, name_in(node, 0, 0), "2");
  sb_core_turn(node->core);
  assert_int_equal(core_stats(node).batches_published, before);
  time_is(node, begin + LINGER_MS);
  core_run(hub);
  assert_int_equal(core_stats(node).batches_published, before + 1); /* both in one */
  assert_output(&session, ":0\r\n:0\r\n");
  session_close(node, &session);
}

/* Uses up what the bucket holds. */
static void empty_the_bucket(struct node *node, struct sb_session *session, uint32_t rate) {
  for (uint32_t i = 0; i < rate; i++) {
    session_publish(node, session, name_in(node, 0, 0), "x");
    core_run(node->hub);
  }
  struct sb_buf got = take_output(session);
  sb_buf_close(&got);
}

static void a_batch_that_waits_for_the_rate_goes_on_collecting(void **state) {
  struct core_hub *hub = *state;
  struct node *node = join_paced(hub, 0, 10);
  struct sb_session session;
  session_open(node, &session, 2);
  empty_the_bucket(node, &session, 20);
  uint64_t before = core_stats(node).batches_published;
  for (int i = 0; i < 5; i++) { /* a turn between each */
    session_publish(node, &session, name_in(node, 0, 0), "y");
    sb_core_turn(node->core);
  }
  assert_int_equal(core_stats(node).batches_published, before);
  time_is(node, hub->now_ms + 200);
  core_run(hub);
  assert_in_range(core_stats(node).batches_published - before, 1, 2);
  assert_int_equal(sb_session_waiting(&session), 0);
  struct sb_buf got = take_output(&session);
  sb_buf_close(&got);
  session_close(node, &session);
}

static void a_flood_in_one_log_leaves_the_other_its_share_of_the_rate(void **state) {
  struct core_hub *hub = *state;
  struct node *node = join_paced(hub, 0, 10);
  struct sb_session flood, lone;
  session_open(node, &flood, 2);
  session_open(node, &lone, 2);
  empty_the_bucket(node, &flood, 20);
  session_publish(node, &lone, name_in(node, 1, 0), "1");
  for (int i = 0; i < 3; i++) { /* a batch's worth each time */
    session_publish(node, &flood, name_in(node, 0, 0), "x");
    time_is(node, hub->now_ms + 100);
    core_run(hub);
  }
  assert_output(&lone, ":0\r\n");
  core_pass(hub, 1000);
  struct sb_buf got = take_output(&flood);
  sb_buf_close(&got);
  session_close(node, &flood);
  session_close(node, &lone);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_linger_begins_with_the_turn_and_not_with_the_time_before_it),
      TEST(a_batch_that_waits_for_the_rate_goes_on_collecting),
      TEST(a_flood_in_one_log_leaves_the_other_its_share_of_the_rate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
