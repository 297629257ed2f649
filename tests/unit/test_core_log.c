/* Several cores on one log: one order, leaving, dying, gaps. */
#include "tests/unit/core_fixture.h"

static int set_up(void **state) {
  *state = core_hub(1);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

/* ---- logs at rest ---- */

static size_t messages_of(struct core_hub *hub, uint32_t partition, uint64_t for_ms) {
  size_t before = hub->logs[partition].count;
  core_pass(hub, for_ms);
  return hub->logs[partition].count - before;
}

static struct node *join_with_signs(struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = core_settings(hub, name);
  settings.quiet_ms = LEASE_MS;
  return core_join_with(hub, &settings);
}

static void a_node_alone_asks_a_log_at_rest_for_a_sign_of_life(void **state) {
  struct core_hub *hub = *state;
  struct node *node = join_with_signs(hub, "a");
  assert_in_range(messages_of(hub, 0, 10 * LEASE_MS), 8, 10);
  assert_int_equal(core_stats(node).gaps, 0);
}

static void without_the_setting_a_log_at_rest_is_left_alone(void **state) {
  struct core_hub *hub = *state;
  core_join(hub, "a");
  assert_int_equal(messages_of(hub, 0, 10 * LEASE_MS), 0);
}

/* Partition 0 has the heartbeats. */
static void one_sign_of_life_serves_all_nodes(void **state) {
  (void)state;
  struct core_hub *hub = core_hub(2);
  join_with_signs(hub, "a");
  join_with_signs(hub, "b");
  join_with_signs(hub, "c");
  assert_in_range(messages_of(hub, 1, 10 * LEASE_MS), 8, 10);
  core_hub_free(hub);
}

static void who_hears_nothing_says_something(void **state) {
  (void)state;
  struct core_hub *hub = core_hub(2);
  struct node *deaf;
  join_with_signs(hub, "a");
  deaf = join_with_signs(hub, "b");
  core_pass(hub, LEASE_MS / 2);
  deaf->deaf = 2;
  size_t before = hub->logs[1].count;
  core_pass(hub, 2 * LEASE_MS);
  unsigned own = 0;
  for (size_t i = before; i < hub->logs[1].count; i++) own += hub->logs[1].at[i].envelope.node[0] == 'b';
  assert_in_range(own, 1, 6); /* what does not come back is sent again */
  core_hub_free(hub);
}

/* ---- order ---- */

static void all_nodes_deliver_in_one_order(void **state) {
  struct core_hub *hub = *state;
  struct node *nodes[] = {core_join(hub, "a"), core_join(hub, "b"), core_join(hub, "c")};
  struct sb_session publishers[3], subscribers[3];
  for (int n = 0; n < 3; n++) {
    session_open(nodes[n], &publishers[n], 2);
    session_open(nodes[n], &subscribers[n], 2);
    session_subscribe(nodes[n], &subscribers[n], SB_SUB_CHANNEL, "c");
  }
  for (int i = 0; i < 30; i++) {
    const char payload[] = {(char)('a' + i % 3), (char)('0' + i / 3), 0};
    session_publish(nodes[i % 3], &publishers[i % 3], "c", payload);
    if (i % 4 == 0) sb_core_turn(nodes[i % 3]->core);
    if (i % 7 == 0) core_run(hub);
  }
  core_run(hub);
  struct sb_buf texts[3] = {0};
  for (int n = 0; n < 3; n++) {
    struct iovec vec[SB_OUTPUT_IOV_MAX];
    int pieces = sb_output_peek(&subscribers[n].outlet.out, vec, SB_OUTPUT_IOV_MAX);
    for (int i = 0; i < pieces; i++) sb_buf_append(&texts[n], vec[i].iov_base, vec[i].iov_len);
    assert_int_equal(texts[n].len, 30 * strlen("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\na0\r\n"));
    assert_true(sb_bytes_equal(sb_buf_bytes(&texts[n]), sb_buf_bytes(&texts[0])));
  }
  for (int n = 0; n < 3; n++) {
    sb_buf_close(&texts[n]);
    assert_output(&publishers[n], ":3\r\n:3\r\n:3\r\n:3\r\n:3\r\n:3\r\n:3\r\n:3\r\n:3\r\n:3\r\n");
    session_close(nodes[n], &publishers[n]);
    session_close(nodes[n], &subscribers[n]);
  }
}

/* ---- leaving ---- */

static bool stop(struct node *node) {
  for (int i = 0; i < 10; i++) {
    bool done = sb_core_stop(node->core);
    core_run(node->hub);
    if (done) return true;
  }
  return false;
}

static void a_clean_stop_says_bye_and_the_last_one_says_so(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  assert_true(stop(a));
  const struct message *bye = last_control(hub, "BYE");
  assert_non_null(bye);
  assert_memory_equal(bye->body->data + bye->body->len - 10, "$4\r\nmore\r\n", 10);
  assert_int_equal(info_of(b).members, 1);
  core_leave(a);
  assert_true(stop(b));
  bye = last_control(hub, "BYE");
  assert_memory_equal(bye->body->data + bye->body->len - 10, "$4\r\nlast\r\n", 10);
  core_leave(b);
}

static void behind_the_last_bye_a_log_is_founded_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  assert_true(stop(a));
  core_leave(a);
  core_join(hub, "b"); /* asserts that it is ready without time passing */
}

static void a_stop_drains_what_was_taken_and_takes_no_more(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  for (int i = 0; i < 3; i++) session_publish(node, &session, "c", "1");
  assert_false(sb_core_stop(node->core));
  assert_int_equal(session_publish(node, &session, "c", "1"), SB_WAIT);
  assert_true(stop(node));
  assert_output(&session, ":0\r\n:0\r\n:0\r\n");
  assert_non_null(last_control(hub, "BYE"));
  session_close(node, &session);
}

static void a_stop_is_not_done_while_something_waits_for_the_broker(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *node = core_start(hub, &settings);
  struct sb_session session;
  session_open(node, &session, 2);
  for (int i = 0; i < 3; i++) assert_int_equal(session_publish(node, &session, "c", "1"), SB_DONE);
  assert_false(stop(node));
  struct sb_core_unanswered left;
  sb_core_unanswered(node->core, &left); /* what a stop that goes on gives up */
  assert_int_equal(left.requests, 3);
  assert_int_equal(left.unsent, 3);
  core_links(node, true);
  core_run(hub);
  assert_true(stop(node));
  assert_output(&session, ":0\r\n:0\r\n:0\r\n");
  sb_core_unanswered(node->core, &left);
  assert_int_equal(left.requests, 0);
  session_close(node, &session);
}

static void nobody_is_declared_dead_before_the_lease_is_over(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session;
  session_open(a, &session, 2);
  core_pass(hub, LEASE_MS);
  core_leave(b);
  for (uint64_t ms = 0; ms < LEASE_MS - 500; ms += 100) { /* each echo proves that the log works */
    session_publish(a, &session, "c", "");
    core_pass(hub, 100);
    assert_int_equal(info_of(a).members, 2);
  }
  session_close(a, &session);
}

static void a_member_that_is_silent_for_its_lease_is_declared_dead(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  core_pass(hub, 2 * LEASE_MS); /* heartbeats keep both */
  assert_int_equal(info_of(a).members, 2);
  core_leave(b);
  core_pass(hub, LEASE_MS / 2);
  assert_int_equal(info_of(a).members, 2);
  core_pass(hub, 2 * LEASE_MS);
  assert_int_equal(info_of(a).members, 1);
  assert_int_equal(core_stats(a).members_declared_dead, 1);
}

static void who_was_taken_for_dead_comes_back_with_what_it_had_to_say(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session, subscriber;
  session_open(b, &session, 2);
  session_open(a, &subscriber, 2);
  session_subscribe(a, &subscriber, SB_SUB_CHANNEL, "c");
  core_links(b, false);
  session_publish(b, &session, "c", "1");
  core_pass(hub, 3 * LEASE_MS);
  assert_int_equal(info_of(a).members, 1);
  core_links(b, true);
  core_run(hub);
  assert_int_equal(core_stats(b).rejoins, 1);
  assert_output(&session, ":1\r\n");
  assert_output(&subscriber, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n");
  assert_same_state(a, b);
  session_close(b, &session);
  session_close(a, &subscriber);
}

/* Starts a process under the name of one that may be running. */
static struct node *start_again(struct core_hub *hub, const char *name, uint64_t nonce) {
  struct sb_core_settings settings = core_settings(hub, name);
  settings.nonce = nonce;
  snprintf(settings.about, sizeof settings.about, "the one with nonce %llu", (unsigned long long)nonce);
  struct node *node = core_start(hub, &settings);
  for (uint32_t p = 0; p < hub->partitions; p++) sb_core_attached(node->core, p, SB_ATTACH_FRESH);
  core_links(node, true);
  return node;
}

static struct node *leave(struct node *node) {
  sb_core_free(node->core);
  node->core = NULL;
  return node;
}

static void forge_hello(struct core_hub *hub, const char *name, uint64_t start_ms) {
  struct sb_envelope envelope = {
      .version = SB_WIRE_VERSION, .count = 1, .incarnation = {.start_ms = start_ms, .nonce = UINT64_MAX}};
  snprintf(envelope.node, sizeof envelope.node, "%s", name);
  core_append(hub, 0, &envelope, sb_bytes_of("*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n"));
}

static void a_name_in_use_stops_the_newcomer_which_says_whom_it_met(void **state) {
  struct core_hub *hub = *state;
  struct node *first = start_again(hub, "a", 50), *other = core_join(hub, "b");
  core_pass(hub, 100);
  struct node *second = start_again(hub, "a", 40);
  core_pass(hub, 200);
  assert_string_equal(first->fatal, "");
  assert_non_null(strstr(second->fatal, "\"a\""));
  assert_non_null(strstr(second->fatal, "the one with nonce 50"));
  leave(second);
  core_pass(hub, 20 * FOUND_MS);
  assert_string_equal(first->fatal, "");
  assert_same_state(first, other);
  assert_int_equal(info_of(first).members, 2);
}

static void assert_the_first_stays(struct core_hub *hub, struct node *first, struct node *second) {
  core_pass(hub, 2 * FOUND_MS);
  assert_string_equal(first->fatal, "");
  assert_non_null(strstr(second->fatal, "the one with nonce 50"));
  leave(second);
  core_pass(hub, 2 * FOUND_MS);
  assert_string_equal(first->fatal, "");
  assert_true(sb_core_ready(first->core));
  assert_int_equal(info_of(first).members, 1);
}

static void renew_log(struct core_hub *hub) {
  struct core_log *log = &hub->logs[0];
  while (log->count > 0) sb_body_unref(log->at[--log->count].body);
}

static void comes_back_to_a_new_log(struct node *node) {
  node->read[0] = 0;
  sb_core_attached(node->core, 0, SB_ATTACH_NEW_LOG);
  core_links(node, true);
}

/* The newcomer has founded the new log before the other reads it. */
static void who_was_ready_in_a_deleted_log_came_before_who_founded_the_new_one(void **state) {
  struct core_hub *hub = *state;
  struct node *first = start_again(hub, "a", 50);
  core_pass(hub, 100);
  core_links(first, false);
  renew_log(hub);
  struct node *second = start_again(hub, "a", 40);
  core_pass(hub, FOUND_MS);
  assert_true(sb_core_ready(second->core));
  comes_back_to_a_new_log(first);
  assert_the_first_stays(hub, first, second);
}

/* Nor does it matter who of them comes first to the new one. */
static void of_two_that_were_ready_in_a_deleted_log_the_first_stays(void **state) {
  struct core_hub *hub = *state;
  struct node *first = start_again(hub, "a", 50);
  core_pass(hub, 100);
  core_links(first, false);
  struct node *second = start_again(hub, "a", 40);
  core_pass(hub, 2 * FOUND_MS);
  assert_true(sb_core_ready(second->core));
  renew_log(hub);
  comes_back_to_a_new_log(second);
  core_pass(hub, 2 * FOUND_MS);
  assert_true(sb_core_ready(second->core));
  comes_back_to_a_new_log(first);
  assert_the_first_stays(hub, first, second);
}

/* Its HELLO is lost: it follows the log from another's founding on, and has no row in it yet. */
static void who_follows_a_log_without_a_row_came_before_who_has_one(void **state) {
  struct core_hub *hub = *state;
  struct node *first = start_again(hub, "a", 50), *b = start_again(hub, "b", 60);
  core_read(first, 0); /* both HELLOs */
  core_read(b, 0);
  first->lose = true;
  core_pass(hub, FOUND_MS + 100);
  assert_true(sb_core_ready(first->core));
  assert_int_equal(info_of(b).members, 1);
  struct node *second = start_again(hub, "a", 40);
  core_run(hub);
  assert_int_equal(info_of(b).members, 2);
  first->lose = false;
  core_pass(hub, 2 * FOUND_MS);
  assert_string_equal(first->fatal, "");
  assert_non_null(strstr(second->fatal, "the one with nonce 50"));
}

static void who_was_killed_comes_back_under_its_name_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start_again(hub, "a", 50), *b = core_join(hub, "b");
  core_run(hub);
  core_links(a, false);
  leave(a);
  core_pass(hub, 10);
  a = start_again(hub, "a", 40);
  core_pass(hub, 50);
  assert_true(sb_core_ready(a->core));
  assert_int_equal(info_of(a).members, 2);
  core_pass(hub, 2 * LEASE_MS);
  assert_string_equal(a->fatal, "");
  assert_same_state(a, b);
}

/* By the highest start that there can be, and by the highest that one HELLO may take. */
static void a_forged_start_burns_no_name(void **state) {
  struct core_hub *hub = *state;
  const uint64_t starts[] = {SB_START_MS_MAX, SB_START_MS_LEAP_MAX, SB_START_MS_LEAP_MAX + 1,
                             SB_START_MS_MAX};
  struct node *a = start_again(hub, "a", 50), *b = core_join(hub, "b");
  for (int i = 0; i < 4; i++) {
    struct sb_session session;
    forge_hello(hub, "a", starts[i]);
    core_pass(hub, 10);
    session_open(a, &session, 2);
    session_publish(a, &session, "c", "1");
    core_pass(hub, 10);
    assert_output(&session, ":0\r\n");
    session_close(a, &session);
  }
  core_links(a, false);
  leave(a);
  a = start_again(hub, "a", 40);
  core_pass(hub, FOUND_MS / 2); /* not until b was silent for a lease, nor founding anew */
  assert_true(sb_core_ready(a->core));
  assert_int_equal(info_of(a).members, 2);
  assert_same_state(a, b);
}

static void a_program_that_says_hello_in_the_name_of_a_node_does_not_stop_it(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start_again(hub, "a", 50);
  core_run(hub);
  for (uint64_t i = 0; i < 5; i++) {
    struct sb_session session;
    forge_hello(hub, "a", 1700000000000 + hub->now_ms + 1000 * i);
    core_pass(hub, 10);
    session_open(a, &session, 2);
    session_publish(a, &session, "c", "1");
    core_pass(hub, 10);
    assert_output(&session, ":0\r\n");
    session_close(a, &session);
  }
  assert_string_equal(a->fatal, "");
}

/* Its HELLO in the other's name would turn out who has taken over. */
static void who_has_nothing_more_to_say_leaves_its_name_to_who_came(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start_again(hub, "a", 50);
  core_run(hub);
  struct node *next = start_again(hub, "a", 40);
  sb_core_turn(next->core); /* its HELLO is in the log, and a has not read it yet */
  assert_false(sb_core_stop(a->core));
  core_pass(hub, 10);
  assert_true(sb_core_stop(a->core));
  leave(a);
  core_pass(hub, 2 * LEASE_MS);
  assert_string_equal(next->fatal, "");
  assert_true(sb_core_ready(next->core));
}

/* ---- gaps ---- */

/* The last resort: a transport tells of what it was not given. Two batches of a never reached b, and a has
 * seen both accepted. */
static void a_base_above_what_was_accepted_shows_a_loss(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session, subscriber;
  struct sb_core_gap_info gap;
  session_open(a, &session, 2);
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  uint64_t applied = info_of(b).applied;
  for (int i = 0; i < 3; i++) {
    b->read[0] = hub->logs[0].count;
    session_publish(a, &session, "c", i < 2 ? "lost" : "shown");
    sb_core_turn(a->core);
    if (i < 2) b->read[0] = hub->logs[0].count;
    core_read(a, 0);
  }
  assert_int_equal(core_stats(b).losses_shown, 0);
  core_run(hub);
  assert_int_equal(core_stats(b).losses_shown, 1);
  assert_int_equal(core_stats(b).batches_hole, 0);
  assert_true(sb_core_gap_info(b->core, 0, &gap));
  assert_int_equal(gap.after, applied);
  assert_true(sb_core_ready(b->core));
  assert_same_state(a, b);
  session_publish(a, &session, "c", "4");
  core_run(hub);
  assert_output(&subscriber, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n4\r\n");
  assert_output(&session, ":1\r\n:1\r\n:1\r\n:1\r\n");
  session_close(a, &session);
  session_close(b, &subscriber);
}

static void a_gap_is_counted_shown_and_closed_by_a_snapshot(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_core_gap_info gap;
  struct sb_session session;
  session_open(a, &session, 2);
  assert_false(sb_core_gap_info(b->core, 0, &gap));
  uint64_t applied = info_of(b).applied;
  core_links(b, false);
  for (int i = 0; i < 3; i++) {
    session_publish(a, &session, "c", "1");
    core_run(hub);
  }
  b->read[0] = hub->logs[0].count - 1; /* retention passed the rest */
  sb_core_attached(b->core, 0, SB_ATTACH_GAP);
  assert_true(sb_core_gap_info(b->core, 0, &gap));
  assert_int_equal(gap.after, applied);
  assert_int_equal(gap.before, 0);
  core_links(b, true);
  core_run(hub);
  assert_true(sb_core_gap_info(b->core, 0, &gap));
  assert_int_equal(gap.before, info_of(b).joined_at);
  assert_true(gap.before > applied);
  assert_int_equal(core_stats(b).gaps, 1);
  assert_same_state(a, b);
  session_close(a, &session);
}

/* Its batch was ordered, but in the part of the log that it will not read. */
static void what_was_ordered_within_a_gap_is_answered_so_and_not_sent_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session, subscriber;
  session_open(b, &session, 2);
  session_open(a, &subscriber, 2);
  session_subscribe(a, &subscriber, SB_SUB_CHANNEL, "c");
  session_publish(b, &session, "c", "1");
  sb_core_turn(b->core);
  core_links(b, false);
  session_publish(b, &session, "c", "2");
  core_run(hub);
  b->read[0] = hub->logs[0].count;
  sb_core_attached(b->core, 0, SB_ATTACH_GAP);
  core_links(b, true);
  core_run(hub);
  assert_output(&session, "-GAP ordered, position unknown\r\n:1\r\n");
  assert_output(&subscriber,
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n");
  session_close(b, &session);
  session_close(a, &subscriber);
}

/* As above; but while it was away another process stood under its name, and had batches ordered too. */
static void what_was_ordered_before_another_process_had_the_name_is_not_sent_again(void **state) {
  struct core_hub *hub = *state;
  struct node *first = start_again(hub, "a", 50), *b = core_join(hub, "b");
  struct sb_session session, others, subscriber;
  session_open(first, &session, 2);
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  session_publish(first, &session, "c", "1");
  sb_core_turn(first->core);
  core_links(first, false);
  core_pass(hub, 100);
  struct node *second = start_again(hub, "a", 40);
  core_pass(hub, 100);
  session_open(second, &others, 2);
  session_publish(second, &others, "c", "2");
  core_run(hub);
  assert_output(&others, ":1\r\n");
  session_close(second, &others);
  first->read[0] = hub->logs[0].count;
  sb_core_attached(first->core, 0, SB_ATTACH_GAP);
  core_links(first, true);
  core_pass(hub, 100);
  assert_output(&session, "-GAP ordered, position unknown\r\n");
  assert_output(&subscriber,
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n");
  assert_string_equal(first->fatal, "");
  assert_non_null(strstr(second->fatal, "the one with nonce 50"));
  session_close(first, &session);
  session_close(b, &subscriber);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_node_alone_asks_a_log_at_rest_for_a_sign_of_life),
      TEST(without_the_setting_a_log_at_rest_is_left_alone),
      TEST(one_sign_of_life_serves_all_nodes),
      TEST(who_hears_nothing_says_something),
      TEST(all_nodes_deliver_in_one_order),
      TEST(a_clean_stop_says_bye_and_the_last_one_says_so),
      TEST(behind_the_last_bye_a_log_is_founded_at_once),
      TEST(a_stop_drains_what_was_taken_and_takes_no_more),
      TEST(a_stop_is_not_done_while_something_waits_for_the_broker),
      TEST(nobody_is_declared_dead_before_the_lease_is_over),
      TEST(a_member_that_is_silent_for_its_lease_is_declared_dead),
      TEST(who_was_taken_for_dead_comes_back_with_what_it_had_to_say),
      TEST(a_name_in_use_stops_the_newcomer_which_says_whom_it_met),
      TEST(who_was_ready_in_a_deleted_log_came_before_who_founded_the_new_one),
      TEST(of_two_that_were_ready_in_a_deleted_log_the_first_stays),
      TEST(who_follows_a_log_without_a_row_came_before_who_has_one),
      TEST(who_was_killed_comes_back_under_its_name_at_once),
      TEST(a_forged_start_burns_no_name),
      TEST(a_program_that_says_hello_in_the_name_of_a_node_does_not_stop_it),
      TEST(who_has_nothing_more_to_say_leaves_its_name_to_who_came),
      TEST(a_base_above_what_was_accepted_shows_a_loss),
      TEST(a_gap_is_counted_shown_and_closed_by_a_snapshot),
      TEST(what_was_ordered_within_a_gap_is_answered_so_and_not_sent_again),
      TEST(what_was_ordered_before_another_process_had_the_name_is_not_sent_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
