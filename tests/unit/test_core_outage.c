/* The bridge in trouble: outages, what was sent and did not come back, sessions that end while they wait. */
#include "tests/unit/core_fixture.h"

static int set_up(void **state) {
  *state = core_hub(1);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

/* ---- outages ---- */

static void an_outage_is_a_pause(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  core_links(node, false);
  for (int i = 0; i < 3; i++) assert_int_equal(session_publish(node, &session, "d", "1"), SB_DONE);
  core_pass(hub, 10 * LEASE_MS);
  assert_output(&session, "");
  core_links(node, true);
  core_run(hub);
  assert_output(&session, ":0\r\n:0\r\n:0\r\n");
  session_close(node, &session);
}

static void where_outages_are_refused_a_publish_is_busy_until_all_links_are_up(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.refuse_in_outage = true;
  struct node *node = core_start(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_BUSY);
  sb_core_link(node->core, 0, SB_LINK_PUBLISH, true);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_BUSY);
  core_links(node, true);
  core_run(hub);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_DONE);
  sb_core_link(node->core, 0, SB_LINK_CONSUME, false);
  assert_int_equal(session_publish(node, &session, "c", "2"), SB_BUSY);
  assert_int_equal(sb_session_waiting(&session), 1); /* what was taken is not given up */
  sb_core_link(node->core, 0, SB_LINK_CONSUME, true);
  core_run(hub);
  assert_output(&session, ":0\r\n");
  session_close(node, &session);
}

static void where_outages_are_refused_a_full_outbox_is_busy_too(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.refuse_in_outage = true;
  settings.outbox_bytes = 40;
  struct node *node = core_join_with(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_DONE);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_BUSY);
  core_run(hub);
  session_close(node, &session);
}

static void a_reload_changes_how_outages_are_met(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *node = core_join_with(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  core_links(node, false);
  settings.refuse_in_outage = true;
  sb_core_reload(node->core, &settings);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_BUSY);
  settings.refuse_in_outage = false;
  sb_core_reload(node->core, &settings);
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_DONE);
  core_links(node, true);
  core_run(hub);
  session_close(node, &session);
}

static void an_outage_is_known_with_its_begin_and_its_reason(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  uint64_t since = 0;
  assert_null(sb_core_outage(node->core, &since));
  core_pass(hub, 500);
  uint64_t begin = 1700000000000 + hub->now_ms;
  core_links(node, false);
  core_pass(hub, 500);
  assert_string_equal(sb_core_outage(node->core, &since), "connection lost");
  assert_int_equal(since, begin);
  sb_core_outage_reason(node->core, "mq-1: connection refused");
  assert_string_equal(sb_core_outage(node->core, &since), "mq-1: connection refused");
  core_links(node, true);
  assert_null(sb_core_outage(node->core, &since));
}

/* ---- what was sent and did not come back ---- */

static void a_publish_that_got_lost_is_sent_again_and_answered_once(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  static const enum sb_settle outcomes[] = {SB_SETTLE_LOST, SB_SETTLE_REJECTED};
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  for (int i = 0; i < 2; i++) {
    node->lose = true;
    session_publish(node, &session, "c", "1");
    core_run(hub);
    node->lose = false;
    sb_core_settled(node->core, 0, node->token, outcomes[i]);
    core_pass(hub, 1000);
    assert_output(&session, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n:1\r\n");
  }
  assert_int_equal(core_stats(node).batches_resent, 2);
  session_close(node, &session);
}

/* The bridge left it in the log, for sessions to follow. */
static void what_was_not_looked_for_is_not_sent_again(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_publish(node, &session, "c", "1");
  sb_core_turn(node->core);
  for (int i = 0; i < 100; i++) {
    hub->now_ms += FOUND_MS / 10;
    sb_core_now(node->core, hub->now_ms, 1700000000000 + hub->now_ms);
    sb_core_logs_stood(node->core, FOUND_MS / 10);
    sb_core_turn(node->core);
    assert_true(sb_core_deadline(node->core) > hub->now_ms);
  }
  assert_int_equal(sb_core_unheard_ms(node->core), 10 * FOUND_MS);
  core_run(hub);
  assert_output(&session, ":0\r\n");
  assert_int_equal(core_stats(node).batches_resent, 0);
  assert_int_equal(sb_core_unheard_ms(node->core), 0);
  session_close(node, &session);
}

/* Neither by a flood of its own, nor with one batch in flight and nothing more to say. */
static void who_leaves_the_log_alone_is_not_taken_for_dead(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session;
  session_open(a, &session, 2);
  static char payload[1000];
  memset(payload, 'x', sizeof payload - 1);
  for (int much = 0; much < 2; much++) {
    a->deaf = 1;
    for (int i = 0; i < (much ? 900 : 1); i++) session_publish(a, &session, "c", payload);
    for (int i = 0; i < 60; i++) {
      core_pass(hub, LEASE_MS / 20);
      sb_core_logs_stood(a->core, LEASE_MS / 20);
    }
    assert_int_equal(core_stats(b).members_declared_dead, 0);
    a->deaf = 0;
    core_run(hub);
    struct sb_buf got = take_output(&session);
    assert_int_equal(got.len, 4 * (much ? 900 : 1));
    sb_buf_close(&got);
  }
  assert_int_equal(core_stats(a).batches_resent, 0);
  assert_int_equal(core_stats(a).rejoins, 0);
  session_close(a, &session);
}

static void a_joiner_that_did_not_look_for_an_answer_does_not_found(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_log_info before, after;
  sb_core_log_info(a->core, 0, &before);
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  sb_core_turn(b->core); /* HELLO */
  while (core_read(b, 0)) sb_core_turn(b->core);
  for (int i = 0; i < 100; i++) {
    hub->now_ms += FOUND_MS / 10;
    sb_core_now(b->core, hub->now_ms, 1700000000000 + hub->now_ms);
    sb_core_logs_stood(b->core, FOUND_MS / 10);
    sb_core_turn(b->core);
  }
  core_run(hub);
  assert_true(sb_core_ready(b->core));
  sb_core_log_info(b->core, 0, &after);
  assert_int_equal(after.members, 2);
  assert_int_equal(after.generation, before.generation);
}

static void a_confirm_is_no_proof_and_no_reason_to_send_again(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_publish(node, &session, "c", "1");
  sb_core_turn(node->core);
  sb_core_settled(node->core, 0, node->token, SB_SETTLE_CONFIRMED);
  sb_core_turn(node->core);
  assert_output(&session, "");
  core_run(hub);
  assert_output(&session, ":0\r\n");
  assert_int_equal(core_stats(node).batches_resent, 0);
  session_close(node, &session);
}

static void a_publish_that_was_taken_for_lost_and_came_through_is_delivered_once(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_publish(node, &session, "c", "1");
  sb_core_turn(node->core);
  sb_core_settled(node->core, 0, node->token, SB_SETTLE_LOST);
  sb_core_turn(node->core);
  assert_int_equal(hub->logs[0].count, 5); /* HELLO, GENESIS, the subscription, the batch, the batch */
  core_run(hub);
  assert_output(&session, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n:1\r\n");
  assert_int_equal(core_stats(node).batches_duplicate, 1);
  session_close(node, &session);
}

static void silence_is_the_last_reason_to_send_again(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  node->lose = true;
  session_publish(node, &session, "c", "1");
  core_run(hub);
  node->lose = false;
  core_pass(hub, FOUND_MS - 1);
  assert_output(&session, "");
  assert_in_range(sb_core_deadline(node->core), hub->now_ms, hub->now_ms + 1);
  core_pass(hub, 1);
  assert_output(&session, ":0\r\n");
  session_close(node, &session);
}

static void a_redelivery_of_the_broker_is_dropped(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_publish(node, &session, "c", "1");
  core_run(hub);
  assert_output(&session, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n:1\r\n");
  for (size_t i = 0; i < hub->logs[0].count; i++) deliver(node, 0, &hub->logs[0].at[i]);
  assert_output(&session, "");
  assert_int_equal(core_stats(node).batches_duplicate, hub->logs[0].count);
  session_close(node, &session);
}

static void a_full_transport_is_asked_again_when_it_has_room(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  node->publish_result = SB_ERR_FULL;
  session_publish(node, &session, "c", "1");
  core_run(hub);
  assert_in_range(sb_core_deadline(node->core), hub->now_ms + 1, hub->now_ms + 100);
  node->publish_result = 0;
  core_pass(hub, 100);
  assert_output(&session, ":0\r\n");
  assert_int_equal(core_stats(node).batches_resent, 0);
  session_close(node, &session);
}

static void a_batch_that_the_broker_does_not_take_any_more_is_refused_and_the_next_goes_on(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_publish(node, &session, "c", "1");
  session_publish(node, &session, "c", "2");
  node->takes_bytes = 20; /* a heartbeat, and no publish */
  core_run(hub);
  assert_output(&session, "-ERR the broker's message limit became lower than this message\r\n"
                          "-ERR the broker's message limit became lower than this message\r\n");
  node->takes_bytes = 0;
  session_publish(node, &session, "c", "3");
  core_pass(hub, 100);
  assert_output(&session, ":0\r\n");
  assert_int_equal(core_stats(node).outbox_bytes, 0);
  assert_int_equal(core_stats(node).batches_hole, 0);
  session_close(node, &session);
}

/* ---- sessions that end ---- */

static void a_session_that_waits_for_nothing_is_released_at_once(void **state) {
  struct node *node = core_join(*state, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  sb_core_reply(node->core, &session, sb_bytes_of("+OK\r\n"));
  sb_core_session_close(node->core, &session);
  assert_int_equal(node->released, 1);
  assert_ptr_equal(node->last_released, &session);
  assert_int_equal(session.outlet.out.bytes, 0);
  assert_null(sb_core_next_dirty(node->core));
  assert_int_equal(numsub(node, SB_SUB_CHANNEL, "c"), 0);
}

static void a_session_closed_while_it_waits_is_released_once_with_its_last_answer(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session *session = sb_calloc(1, sizeof *session), other;
  sb_core_session_open(node->core, session, 2);
  session_open(node, &other, 2);
  for (int i = 0; i < 10; i++) {
    session_publish(node, session, "c", "1");
    session_publish(node, &other, "c", "2");
  }
  sb_core_reply(node->core, session, sb_bytes_of("+PONG\r\n"));
  sb_core_session_close(node->core, session);
  assert_int_equal(node->released, 0);
  core_run(hub);
  assert_int_equal(node->released, 1);
  assert_ptr_equal(node->last_released, session);
  assert_null(session->ring.slots);
  free(session);
  assert_output(&other, ":0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n");
  sb_core_session_close(node->core, &other);
  assert_int_equal(node->released, 2);
}

static void a_session_still_waiting_at_the_end_is_released_from_within(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session sent, lost, kept;
  session_open(node, &sent, 2);
  session_open(node, &lost, 2);
  session_open(node, &kept, 2);
  session_publish(node, &lost, "c", "1");
  sb_core_turn(node->core);
  core_links(node, false);
  sb_core_attached(node->core, 0, SB_ATTACH_GAP); /* what was sent before waits for a SNAPSHOT now */
  session_publish(node, &sent, "c", "2");
  session_publish(node, &kept, "d", "3");
  sb_core_session_close(node->core, &lost);
  sb_core_session_close(node->core, &sent);
  sb_core_session_close(node->core, &kept);
  assert_int_equal(node->released, 0);
  core_leave(node);
  assert_int_equal(node->released, 3);
}

static void a_closed_session_gets_nothing(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_publish(node, &session, "c", "1");
  sb_core_session_close(node->core, &session);
  core_run(hub);
  sb_core_push(node->core, &session, sb_bytes_of("+x\r\n"));
  assert_int_equal(session.outlet.out.bytes, 0);
  assert_null(sb_core_next_dirty(node->core));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(an_outage_is_a_pause),
      TEST(where_outages_are_refused_a_publish_is_busy_until_all_links_are_up),
      TEST(where_outages_are_refused_a_full_outbox_is_busy_too),
      TEST(a_reload_changes_how_outages_are_met),
      TEST(an_outage_is_known_with_its_begin_and_its_reason),
      TEST(a_publish_that_got_lost_is_sent_again_and_answered_once),
      TEST(what_was_not_looked_for_is_not_sent_again),
      TEST(who_leaves_the_log_alone_is_not_taken_for_dead),
      TEST(a_joiner_that_did_not_look_for_an_answer_does_not_found),
      TEST(a_confirm_is_no_proof_and_no_reason_to_send_again),
      TEST(a_publish_that_was_taken_for_lost_and_came_through_is_delivered_once),
      TEST(silence_is_the_last_reason_to_send_again),
      TEST(a_redelivery_of_the_broker_is_dropped),
      TEST(a_full_transport_is_asked_again_when_it_has_room),
      TEST(a_batch_that_the_broker_does_not_take_any_more_is_refused_and_the_next_goes_on),
      TEST(a_session_that_waits_for_nothing_is_released_at_once),
      TEST(a_session_closed_while_it_waits_is_released_once_with_its_last_answer),
      TEST(a_session_still_waiting_at_the_end_is_released_from_within),
      TEST(a_closed_session_gets_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
