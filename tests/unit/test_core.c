/* The bridge as its sessions see it: replies in order, fan-out byte for byte, limits, outages. */
#include "tests/unit/core_fixture.h"

/* Channels of different partitions where there are two. */
#define CHANNEL_0 "b"
#define CHANNEL_1 "a"

#define FOUR_BYTES                                                                                           \
  (int)(sizeof "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4\r\n1234\r\n" - 1) /* to a channel of one letter */

static int set_up(void **state) {
  *state = core_hub(1);
  return 0;
}

static int set_up_two(void **state) {
  *state = core_hub(2);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

static struct sb_bytes none(void) {
  return sb_bytes(NULL, 0);
}

/* ---- replies ---- */

static void a_publish_is_answered_when_it_has_come_back_in_the_log(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(session_publish(node, &session, CHANNEL_0, "hi"), SB_DONE);
  sb_core_turn(node->core);
  assert_output(&session, "");
  assert_int_equal(sb_session_waiting(&session), 1);
  core_run(hub);
  assert_output(&session, ":0\r\n");
  assert_int_equal(sb_session_waiting(&session), 0);
  session_close(node, &session);
}

static void replies_keep_the_order_of_the_requests_across_partitions(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session, subscriber;
  session_open(node, &session, 2);
  session_open(node, &subscriber, 2);
  session_subscribe(node, &subscriber, SB_SUB_CHANNEL, CHANNEL_1);
  assert_int_not_equal(sb_core_partition(node->core, sb_bytes_of(CHANNEL_0)),
                       sb_core_partition(node->core, sb_bytes_of(CHANNEL_1)));
  session_publish(node, &session, CHANNEL_0, "first");
  session_publish(node, &session, CHANNEL_1, "second");
  assert_true(sb_core_reply(node->core, &session, sb_bytes_of("+PONG\r\n")));
  session_publish(node, &session, CHANNEL_0, "third");
  sb_core_turn(node->core);
  assert_true(core_read(node, sb_core_partition(node->core, sb_bytes_of(CHANNEL_1))));
  assert_output(&session, "");
  core_run(hub);
  assert_output(&session, ":0\r\n:1\r\n+PONG\r\n:0\r\n");
  session_close(node, &session);
  session_close(node, &subscriber);
}

static void a_reply_that_waits_for_nothing_is_written_at_once(void **state) {
  struct node *node = core_join(*state, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  assert_true(sb_core_reply(node->core, &session, sb_bytes_of("+PONG\r\n")));
  assert_output(&session, "+PONG\r\n");
  assert_ptr_equal(sb_core_next_dirty(node->core), &session);
  assert_null(sb_core_next_dirty(node->core));
  session_close(node, &session);
}

static void sessions_are_answered_apart(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session a, b;
  session_open(node, &a, 2);
  session_open(node, &b, 2);
  session_subscribe(node, &b, SB_SUB_CHANNEL, "x");
  assert_true(session_take_back(node, &b, SB_SUB_CHANNEL, "x", "+left\r\n"));
  for (int i = 0; i < 3; i++) {
    session_publish(node, &a, "x", "1");
    session_publish(node, &b, "y", "2");
  }
  assert_true(session_ask(node, &a, SB_SUB_PATTERN, "nothing", "+joined\r\n"));
  core_run(hub);
  assert_output(&a, ":0\r\n:0\r\n:0\r\n+joined\r\n");
  assert_output(&b, "+left\r\n:0\r\n:0\r\n:0\r\n");
  session_close(node, &a);
  session_close(node, &b);
}

static void a_full_ring_waits_for_its_own_answers(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  sb_core_set_entry_max(node->core, 1 << 20);
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.outbox_bytes = 64 << 20;
  sb_core_reload(node->core, &settings);
  for (uint32_t i = 0; i < SB_RING_SLOTS_MAX; i++)
    assert_int_equal(session_publish(node, &session, "c", ""), SB_DONE);
  assert_int_equal(session_publish(node, &session, "c", ""), SB_WAIT);
  assert_false(sb_core_reply(node->core, &session, sb_bytes_of("+PONG\r\n")));
  uint32_t room = node->room;
  core_run(hub);
  assert_true(node->room > room);
  assert_int_equal(session.outlet.out.bytes, 4 * SB_RING_SLOTS_MAX);
  assert_int_equal(session_publish(node, &session, "c", ""), SB_DONE);
  core_run(hub);
  assert_in_range(session.ring.cap, 0, 1024); /* the flood is over */
  session_close(node, &session);
}

/* ---- fan-out ---- */

static void every_form_of_a_push_is_that_of_redis(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session publisher, two, three, pattern_two, pattern_three, shard_two, shard_three;
  struct sb_session *const sessions[] = {&publisher,     &two,       &three,      &pattern_two,
                                         &pattern_three, &shard_two, &shard_three};
  for (size_t i = 0; i < 7; i++) session_open(node, sessions[i], i == 2 || i == 4 || i == 6 ? 3 : 2);
  session_subscribe(node, &two, SB_SUB_CHANNEL, "news");
  session_subscribe(node, &three, SB_SUB_CHANNEL, "news");
  session_subscribe(node, &pattern_two, SB_SUB_PATTERN, "n*s");
  session_subscribe(node, &pattern_three, SB_SUB_PATTERN, "n*s");
  session_subscribe(node, &shard_two, SB_SUB_SHARD, "news");
  session_subscribe(node, &shard_three, SB_SUB_SHARD, "news");
  session_publish(node, &publisher, "news", "hi\r\n");
  sb_core_publish(node->core, &publisher, SB_SPUBLISH, sb_bytes_of("news"), none());
  session_publish(node, &publisher, "none", "x");
  core_run(hub);
  assert_output(&publisher, ":4\r\n:2\r\n:0\r\n");
  assert_output(&two, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\nhi\r\n\r\n");
  assert_output(&three, ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\nhi\r\n\r\n");
  assert_output(&pattern_two, "*4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n$4\r\nnews\r\n$4\r\nhi\r\n\r\n");
  assert_output(&pattern_three, ">4\r\n$8\r\npmessage\r\n$3\r\nn*s\r\n$4\r\nnews\r\n$4\r\nhi\r\n\r\n");
  assert_output(&shard_two, "*3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$0\r\n\r\n");
  assert_output(&shard_three, ">3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$0\r\n\r\n");
  assert_int_equal(core_stats(node).messages_sent, 6);
  for (size_t i = 0; i < 7; i++) session_close(node, sessions[i]);
}

static void a_run_of_entries_reaches_each_subscriber_whole(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session publisher, two, three;
  session_open(node, &publisher, 2);
  session_open(node, &two, 2);
  session_open(node, &three, 3);
  session_subscribe(node, &two, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &three, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &three, SB_SUB_CHANNEL, "d");
  const char raw[] =
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\n22\r\n";
  assert_int_equal(sb_core_publish_raw(node->core, &publisher, sb_bytes_of("c"), sb_bytes_of(raw), 2),
                   SB_DONE);
  session_publish(node, &publisher, "d", "3");
  session_publish(node, &publisher, "c", "4");
  sb_core_publish(node->core, &publisher, SB_SPUBLISH, sb_bytes_of("c"), none());
  core_run(hub);
  assert_output(&publisher, ":2\r\n:2\r\n:1\r\n:2\r\n:0\r\n");
  assert_int_equal(core_stats(node).messages_sent, 7);
  assert_output(&two,
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n22\r\n"
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n4\r\n");
  assert_output(&three,
                ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n22\r\n"
                ">3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$1\r\n3\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n4\r\n");
  session_close(node, &publisher);
  session_close(node, &two);
  session_close(node, &three);
}

static void a_session_gets_a_message_by_channel_and_by_each_pattern(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &session, SB_SUB_PATTERN, "[a-c]");
  session_publish(node, &session, "c", "1");
  session_publish(node, &session, "c", "2");
  core_run(hub);
  assert_output(&session, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n"
                          ">4\r\n$8\r\npmessage\r\n$5\r\n[a-c]\r\n$1\r\nc\r\n$1\r\n1\r\n:2\r\n"
                          ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n"
                          ">4\r\n$8\r\npmessage\r\n$5\r\n[a-c]\r\n$1\r\nc\r\n$1\r\n2\r\n:2\r\n");
  session_close(node, &session);
}

static void who_unsubscribed_gets_nothing_more(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  assert_false(session_ask(node, &session, SB_SUB_CHANNEL, "c", "+1\r\n"));
  session_publish(node, &session, "c", "before");
  assert_true(session_take_back(node, &session, SB_SUB_CHANNEL, "c", "+2\r\n"));
  assert_false(session_take_back(node, &session, SB_SUB_CHANNEL, "c", "+3\r\n"));
  session_publish(node, &session, "c", "after");
  core_run(hub);
  assert_output(&session, "+1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$6\r\nbefore\r\n:1\r\n+2\r\n+3\r\n:0\r\n");
  session_close(node, &session);
}

static void subscriptions_are_counted_and_listed(void **state) {
  struct node *node = core_join(*state, "a");
  struct sb_session a, b;
  struct sb_bytes name;
  session_open(node, &a, 2);
  session_open(node, &b, 2);
  session_subscribe(node, &a, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &b, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &a, SB_SUB_CHANNEL, "d");
  session_subscribe(node, &a, SB_SUB_PATTERN, "p*");
  session_subscribe(node, &b, SB_SUB_PATTERN, "p*");
  assert_int_equal(numsub(node, SB_SUB_CHANNEL, "c"), 2);
  assert_int_equal(numsub(node, SB_SUB_SHARD, "c"), 0);
  assert_int_equal(numpat(node), 1); /* Redis counts patterns, not who subscribes to them */
  struct sb_sub *sub = sb_session_next_sub(&a, SB_SUB_CHANNEL, NULL, &name);
  assert_true(sb_bytes_equal(name, sb_bytes_of("d")));
  sub = sb_session_next_sub(&a, SB_SUB_CHANNEL, sub, &name);
  assert_true(sb_bytes_equal(name, sb_bytes_of("c")));
  assert_null(sb_session_next_sub(&a, SB_SUB_CHANNEL, sub, &name));
  session_close(node, &a);
  assert_int_equal(numsub(node, SB_SUB_CHANNEL, "c"), 1);
  session_close(node, &b);
  assert_int_equal(numsub(node, SB_SUB_CHANNEL, "c"), 0);
  assert_int_equal(numpat(node), 0);
}

/* ---- limits ---- */

static void a_session_over_its_output_limit_gets_nothing_more_and_disturbs_nobody(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.output_hard_bytes = 100;
  struct node *node = core_join_with(hub, &settings);
  struct sb_session slow, fast;
  session_open(node, &slow, 2);
  session_open(node, &fast, 2);
  session_subscribe(node, &slow, SB_SUB_CHANNEL, "c");
  session_subscribe(node, &fast, SB_SUB_CHANNEL, "c");
  for (int i = 0; i < 4; i++) { /* a push is as long as its entry */
    session_publish(node, &fast, "c", "1234");
    core_run(hub);
    assert_output(&fast, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n1234\r\n:2\r\n");
    assert_int_equal(sb_session_is_over_limit(&slow), i >= 2);
    assert_int_equal(slow.outlet.out.bytes, i >= 2 ? 0 : FOUR_BYTES * (i + 1));
  }
  assert_int_equal(core_stats(node).outputs_over_limit, 1);
  struct sb_session *dirty = sb_core_next_dirty(node->core), *second = sb_core_next_dirty(node->core);
  assert_true(dirty == &slow || second == &slow);
  session_close(node, &slow);
  session_close(node, &fast);
}

static void what_fills_an_output_above_the_mark_is_told_when_it_crosses_it(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.output_mark_bytes = (size_t)2 * FOUR_BYTES;
  struct node *node = core_join_with(hub, &settings);
  struct sb_session slow, writer;
  session_open(node, &slow, 2);
  session_open(node, &writer, 2);
  session_subscribe(node, &slow, SB_SUB_CHANNEL, "c");
  assert_false(sb_core_output_rose(node->core));
  for (int i = 0; i < 5; i++) { /* told once, and again when it has been below */
    session_publish(node, &writer, "c", "1234");
    core_run(hub);
    assert_int_equal(sb_core_output_rose(node->core), i == 2 || i == 4);
    assert_false(sb_core_output_rose(node->core));
    if (i == 3) sb_output_drop(&slow.outlet.out, (size_t)3 * FOUR_BYTES);
    if (i == 3) session_publish(node, &writer, "c", "1234");
    if (i == 3) core_run(hub);
  }
  session_close(node, &slow);
  session_close(node, &writer);
}

static void publishers_wait_while_the_outbox_is_full(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.outbox_bytes = 100;
  struct node *node = core_join_with(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_DONE);
  assert_int_equal(session_publish(node, &session, "d", "1234"), SB_DONE);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_WAIT);
  assert_int_equal(core_stats(node).outbox_bytes, (size_t)2 * FOUR_BYTES);
  uint32_t room = node->room;
  core_run(hub);
  assert_true(node->room > room);
  assert_int_equal(core_stats(node).outbox_bytes, 0);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_DONE);
  core_run(hub);
  session_close(node, &session);
}

static void nobody_is_called_who_did_not_wait(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  core_run(hub);
  uint32_t room = node->room;
  session_publish(node, &session, "c", "1");
  core_run(hub);
  assert_int_equal(node->room, room);
  session_close(node, &session);
}

static void an_entry_that_would_never_go_is_too_large(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  sb_core_set_entry_max(node->core, FOUR_BYTES);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_DONE);
  assert_int_equal(session_publish(node, &session, "c", "12345"), SB_TOO_LARGE);
  assert_int_equal(sb_core_entry_max(node->core), FOUR_BYTES);
  sb_core_set_entry_max(node->core, 2 << 20);
  assert_int_equal(sb_core_entry_max(node->core), 1 << 20); /* the outbox would never take it */
  core_run(hub);
  assert_output(&session, ":0\r\n");
  session_close(node, &session);
}

static void a_run_is_taken_whole_or_not_at_all(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.outbox_bytes = 100;
  struct node *node = core_join_with(hub, &settings);
  struct sb_session session;
  const char raw[] =
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n2\r\n";
  session_open(node, &session, 2);
  assert_int_equal(session_publish(node, &session, "c", "1234567890"), SB_DONE);
  assert_int_equal(sb_core_publish_raw(node->core, &session, sb_bytes_of("c"), sb_bytes_of(raw), 2), SB_WAIT);
  assert_int_equal(sb_session_waiting(&session), 1);
  core_run(hub);
  assert_int_equal(sb_core_publish_raw(node->core, &session, sb_bytes_of("c"), sb_bytes_of(raw), 2), SB_DONE);
  assert_int_equal(sb_session_waiting(&session), 2);
  core_run(hub);
  assert_output(&session, ":0\r\n:0\r\n:0\r\n");
  session_close(node, &session);
}

static void an_empty_outbox_takes_any_entry(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *node = core_join_with(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  settings.outbox_bytes = 10;
  sb_core_reload(node->core, &settings);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_DONE);
  assert_int_equal(session_publish(node, &session, "c", "1234"), SB_WAIT);
  core_run(hub);
  assert_output(&session, ":0\r\n");
  session_close(node, &session);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_publish_is_answered_when_it_has_come_back_in_the_log),
      cmocka_unit_test_setup_teardown(replies_keep_the_order_of_the_requests_across_partitions, set_up_two,
                                      tear_down),
      TEST(a_reply_that_waits_for_nothing_is_written_at_once),
      TEST(sessions_are_answered_apart),
      TEST(a_full_ring_waits_for_its_own_answers),
      TEST(every_form_of_a_push_is_that_of_redis),
      TEST(a_run_of_entries_reaches_each_subscriber_whole),
      TEST(a_session_gets_a_message_by_channel_and_by_each_pattern),
      TEST(who_unsubscribed_gets_nothing_more),
      TEST(subscriptions_are_counted_and_listed),
      TEST(a_session_over_its_output_limit_gets_nothing_more_and_disturbs_nobody),
      TEST(what_fills_an_output_above_the_mark_is_told_when_it_crosses_it),
      TEST(publishers_wait_while_the_outbox_is_full),
      TEST(nobody_is_called_who_did_not_wait),
      TEST(an_entry_that_would_never_go_is_too_large),
      TEST(a_run_is_taken_whole_or_not_at_all),
      TEST(an_empty_outbox_takes_any_entry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
