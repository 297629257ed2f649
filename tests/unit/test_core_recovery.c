/* Nobody is left, and somebody starts: what a founder takes from a log that can be read back. */
#include "tests/unit/keys_fixture.h"

/* Without a word, as after kill -9. */
/* The broker has dropped all before the message at which `word` stands last. */
static void retire_before(struct core_hub *hub, const char *word) {
  const struct message *message = last_control(hub, word);
  assert_non_null(message);
  keys_world.retired[0] = (size_t)(message - hub->logs[0].at);
}

static void keys_survive_when_all_nodes_are_killed(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(b, "INCR k", ":2\r\n");
  struct sb_id id = added_id(b, "XADD s * f v");
  kill_node(a);
  kill_node(b);
  struct node *c = keys_found(hub, "c");
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(c, "GET k", "$1\r\n2\r\n");
  const struct sb_key *s = sb_keys_find(&keys_part(c)->state.keys, sb_bytes_of("s"), 0);
  assert_non_null(s);
  assert_int_equal(sb_id_compare(s->stream.last, id), 0);
}

static void a_founder_that_reads_back_begins_with_no_state_but_that_of_the_log(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_int_equal(keys_world.asked, 0); /* the log was new */
  assert_false(last_genesis_keeps_keys(hub));
  kill_node(a);
  struct node *b = keys_found(hub, "b");
  assert_true(keys_world.asked > 0);
  assert_int_equal(keys_part(b)->state.keys.table.count, 0);
  struct node *c = keys_join(hub, "c");
  assert_equal_states(b, c);
}

/* A quarter of it at most lies between two. */
static void checkpoints_come_within_what_the_broker_keeps(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.log_bytes = 8000;
  settings.log_age_ms = 240000;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_session session;
  session_open(a, &session, 2);
  assert_reply(a, "SET k v", "+OK\r\n");
  for (int i = 0; i < 20; i++) {
    assert_true(core_stats(a).bytes_delivered < 2500);
    session_publish(a, &session, "c",
                    "a payload of 100 bytes, a payload of 100 bytes, a payload of 100 bytes, "
                    "a payload of 100 bytes, a pay");
    keys_pass(hub, 50);
    if (core_stats(a).checkpoints_sent > 0) break;
  }
  keys_pass(hub, 50);
  assert_int_equal(core_stats(a).checkpoints_sent, 1);
  assert_reply(a, "SET k w", "+OK\r\n");
  keys_pass(hub, 59000);
  assert_int_equal(core_stats(a).checkpoints_sent, 1);
  keys_pass(hub, 2000);
  assert_int_equal(core_stats(a).checkpoints_sent, 2);
  session_close(a, &session);
}

static void a_checkpoint_is_written_and_enough_when_retention_took_the_rest(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.checkpoint_messages = 10;
  settings.snapshot_piece_bytes = 60;
  struct node *a = keys_join_with(hub, &settings), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 0", "+OK\r\n");
  added_id(a, "XADD s MAXLEN ~ 3 * f v");
  for (int i = 0; i < 190; i++) {
    struct sb_buf reply = reply_to(a, "INCR k");
    sb_buf_close(&reply);
  }
  keys_pass(hub, 100);
  assert_true(core_stats(a).checkpoints_sent > 0);
  assert_int_equal(core_stats(b).checkpoints_sent, 0); /* one member writes it */
  retire_before(hub, "CHECKPOINT");
  struct sb_control control;
  const struct message *last = last_control(hub, "CHECKPOINT");
  assert_true(sb_control_read(sb_bytes(last->body->data, last->body->len), &control));
  assert_true(control.pieces > 1);
  keys_world.retired[0] -= control.pieces - 1; /* its first part, and what it is as of */
  keys_world.retired[0]--;
  assert_reply(a, "INCR k", ":191\r\n");
  kill_node(a);
  kill_node(b);
  struct node *c = keys_found(hub, "c");
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(c, "GET k", "$3\r\n191\r\n");
  assert_reply(c, "TYPE s", "+stream\r\n");
}

static void a_founder_says_that_there_are_no_keys_when_the_log_holds_no_state_any_more(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(a, "SET l 1", "+OK\r\n");
  kill_node(a);
  keys_world.retired[0] = hub->logs[0].count - 1; /* the SNAPSHOT for b is gone too */
  core_links(b, false);
  struct node *c = keys_found(hub, "c");
  assert_false(last_genesis_keeps_keys(hub));
  assert_reply(c, "EXISTS k l", ":0\r\n");
  core_links(b, true); /* it holds them */
  keys_pass(hub, 500);
  assert_equal_states(b, c);
  assert_reply(c, "EXISTS k l", ":2\r\n");
}

static void who_stays_ready_agrees_with_a_founder_that_kept_the_keys(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1 PX 100000", "+OK\r\n");
  assert_reply(a, "SET l 1 PX 5", "+OK\r\n");
  kill_node(a);
  core_links(b, false); /* it cannot answer */
  struct node *c = keys_found(hub, "c");
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(c, "INCR k", ":2\r\n");
  core_links(b, true);
  keys_pass(hub, 500);
  assert_equal_states(b, c);
  assert_reply(b, "GET k", "$1\r\n2\r\n");
}

static void reading_back_that_fails_is_tried_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 1", "+OK\r\n");
  kill_node(a);
  keys_world.fails = 3;
  struct node *b = keys_found(hub, "b");
  assert_int_equal(keys_world.fails, 0);
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(b, "GET k", "$1\r\n1\r\n");
}

static void reading_back_that_never_ends_does_not_keep_a_founder_for_ever(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 1", "+OK\r\n");
  kill_node(a);
  keys_world.silent = true;
  const struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  keys_pass(hub, 30000);
  assert_false(sb_core_ready(b->core));
  keys_pass(hub, 40000);
  assert_true(sb_core_ready(b->core));
  assert_false(last_genesis_keeps_keys(hub));
  assert_reply(b, "EXISTS k", ":0\r\n");
}

static void what_has_expired_meanwhile_does_not_come_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET soon 1 PX 1000", "+OK\r\n");
  assert_reply(a, "SET late 1 PX 3600000", "+OK\r\n");
  kill_node(a);
  struct node *b = keys_found(hub, "b"); /* more than a second later */
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(b, "EXISTS soon", ":0\r\n");
  assert_reply(b, "EXISTS late", ":1\r\n");
  assert_int_equal(keys_part(b)->state.keys.table.count, 1);
}

static void what_came_between_the_hello_and_the_founding_counts(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  static struct sb_session session; /* the core lets it go at its end only */
  assert_reply(a, "SET k 1", "+OK\r\n");
  kill_node(b);
  session_open(a, &session, 2);
  a->lose_nth = 0;
  assert_int_equal(send_command(a, &session, "INCR k"), SB_DONE);
  const struct sb_core_settings settings = keys_settings(hub, "c");
  /* Its batch is written, late, behind the HELLO of c; it answers nothing any more. */
  size_t before = hub->logs[0].count;
  sb_core_turn(a->core);
  assert_int_equal(hub->logs[0].count, before + 1);
  struct message late = hub->logs[0].at[--hub->logs[0].count];
  core_links(a, false);
  struct node *c = keys_start(hub, &settings);
  core_append(hub, 0, &late.envelope, sb_bytes(late.body->data, late.body->len));
  sb_body_unref(late.body);
  keys_pass(hub, FOUND_MS + 1000);
  assert_true(sb_core_ready(c->core));
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(c, "GET k", "$1\r\n2\r\n");
  sb_core_session_close(a->core, &session);
}

/* Ids must not run backwards for a clock that does. */
static void a_founder_is_above_all_generations_that_it_reads_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  uint64_t generation = info_of(a).generation;
  struct sb_id id = added_id(a, "XADD s * f v");
  kill_node(a);
  struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  /* Its last message is a HELLO of one who knew nothing. */
  hub->logs[0].at[hub->logs[0].count - 1].envelope.generation = 0;
  kill_node(b);
  settings = keys_settings(hub, "b");
  b = keys_start(hub, &settings);
  for (int i = 0; i < 100; i++) {
    hub->now_ms += 50;
    sb_core_now(b->core, hub->now_ms, UINT64_C(1500000000000) + hub->now_ms);
    keys_run(hub);
  }
  assert_true(sb_core_ready(b->core));
  assert_true(info_of(b).generation > generation);
  assert_true(sb_id_compare(added_id(b, "XADD s * f v"), id) > 0);
}

/* Its own parts must not push out what the state is applied to. */
static void many_keys_are_recovered_too(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.checkpoint_messages = 20;
  settings.outbox_bytes = (size_t)64 * 1024 * 1024;
  settings.history_bytes = 0;
  struct node *a = keys_join_with(hub, &settings);
  size_t len = (size_t)1024 * 1024;
  char *text = sb_malloc(len + 16);
  for (int i = 0; i < 22; i++) {
    int head = snprintf(text, 16, "SET k%d ", i);
    memset(text + head, 'x', len);
    text[(size_t)head + len] = 0;
    assert_reply(a, text, "+OK\r\n");
  }
  free(text);
  for (int i = 0; i < 20; i++) {
    struct sb_buf reply = reply_to(a, "INCR n");
    sb_buf_close(&reply);
  }
  keys_pass(hub, 1000);
  assert_true(core_stats(a).checkpoints_sent > 0);
  const struct message *last = last_control(hub, "CHECKPOINT");
  struct sb_control control;
  assert_true(sb_control_read(sb_bytes(last->body->data, last->body->len), &control));
  assert_int_equal(control.piece + 1, control.pieces);
  size_t at = (size_t)(last - hub->logs[0].at);
  keys_world.retired[0] = at - control.pieces;
  kill_node(a);
  settings = keys_settings(hub, "b");
  settings.history_bytes = 0;
  struct node *b = keys_found_with(hub, &settings);
  assert_true(last_genesis_keeps_keys(hub));
  assert_int_equal(keys_part(b)->state.keys.table.count, 23);
}

static int set_up_two(void **state) {
  return keys_set_up_with(state, 2);
}

/* The transport tells readings apart by their tokens. */
static void logs_are_read_back_side_by_side(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  char command[32];
  for (uint32_t p = 0; p < 2; p++) {
    snprintf(command, sizeof command, "SET %s 1", name_in(a, p, 0));
    assert_reply(a, command, "+OK\r\n");
  }
  kill_node(a);
  keys_world.silent = true;
  const struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  keys_pass(hub, FOUND_MS + 1000);
  assert_int_equal(keys_world.readings_count, 2);
  assert_true(keys_world.readings[0].token != keys_world.readings[1].token);
  keys_world.silent = false;
  keys_pass(hub, 1000);
  assert_true(sb_core_ready(b->core));
  for (uint32_t p = 0; p < 2; p++) assert_int_equal(b->core->logs.partitions[p].state.keys.table.count, 1);
}

/* The founding of another, which came to nothing, is no reason to mistrust what stands in the log. */
static void a_void_founding_hides_no_state(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.checkpoint_messages = 5;
  struct node *a = keys_join_with(hub, &settings), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  struct sb_buf body = {0};
  const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"),
                                  sb_bytes_of("GENESIS"),
                                  sb_bytes_of("10"),
                                  sb_bytes_of("1900000000000"),
                                  sb_bytes_of("1"),
                                  sb_bytes_of("empty"),
                                  sb_bytes_of("00112233445566778899aabbccddeeff")};
  sb_entry_append(&body, args, 7);
  struct sb_envelope envelope = {
      .version = SB_WIRE_VERSION, .count = 1, .node = "ghost", .incarnation = {5, 5}};
  size_t void_at = hub->logs[0].count;
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_close(&body);
  core_run(hub);
  for (int i = 0; i < 190; i++) {
    struct sb_buf reply = reply_to(a, "INCR k");
    sb_buf_close(&reply);
  }
  keys_pass(hub, 100);
  assert_non_null(last_control(hub, "CHECKPOINT"));
  keys_world.retired[0] = void_at - 1;
  kill_node(a);
  kill_node(b);
  struct node *c = keys_found(hub, "c");
  assert_true(last_genesis_keeps_keys(hub));
  assert_reply(c, "GET k", "$3\r\n191\r\n");
}

/* A joiner had to go above a start that somebody forged; who founds then knows of no start under its name,
 * and refuses one that high. */
static void a_joiner_forgets_a_forged_start_when_another_founds(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  const struct sb_envelope forged = {.version = SB_WIRE_VERSION,
                                     .count = 1,
                                     .incarnation = {.start_ms = SB_START_MS_LEAP_MAX, .nonce = UINT64_MAX},
                                     .node = "b"};
  assert_reply(a, "SET k 1", "+OK\r\n");
  core_append(hub, 0, &forged, sb_bytes_of("*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n"));
  keys_pass(hub, 100);
  a->lose_nth = 2; /* the answer to the HELLO above it */
  const struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  assert_false(sb_core_ready(b->core));
  core_links(b, false);
  kill_node(a);
  struct node *c = keys_found(hub, "c");
  assert_true(last_genesis_keeps_keys(hub));
  core_links(b, true);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(b, c);
  assert_int_equal(info_of(c).members, 2);
}

/* ---- a log that is made anew under running nodes ---- */

static void keys_outlive_a_log_that_is_made_anew(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(a, "SET soon x PX 20000", "+OK\r\n");
  assert_reply(a, "SET later x PX 60000", "+OK\r\n");
  struct sb_id id = added_id(b, "XADD s * f v");
  for (int round = 0; round < 2; round++) {
    keys_pass(hub, 12000);
    renew(hub);
    notices(b);
    notices(a);
    keys_pass(hub, 2 * FOUND_MS);
    assert_equal_states(a, b);
  }
  assert_reply(b, "INCR k", ":2\r\n");
  assert_reply(b, "GET soon", "$-1\r\n");
  assert_reply(b, "GET later", "$1\r\nx\r\n");
  struct sb_id next = added_id(a, "XADD s * f v");
  assert_true(sb_id_compare(next, id) > 0);
  struct node *c = keys_join(hub, "c");
  assert_reply(c, "GET k", "$1\r\n2\r\n");
}

static void who_starts_when_all_are_killed_reads_back_what_a_founder_brought(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 1", "+OK\r\n");
  renew(hub);
  notices(a);
  keys_pass(hub, 2 * FOUND_MS);
  assert_reply(a, "INCR k", ":2\r\n");
  kill_node(a);
  struct node *b = keys_found(hub, "b");
  assert_reply(b, "GET k", "$1\r\n2\r\n");
}

/* It was cut off, while others founded the log anew and were answered. */
static void who_comes_late_to_a_new_log_is_given_what_was_answered_in_it(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session subscriber, publisher;
  session_open(b, &subscriber, 2);
  session_open(a, &publisher, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  keys_run(hub);
  assert_reply(a, "SET k 1", "+OK\r\n");
  core_links(b, false);
  renew(hub);
  notices(a);
  keys_pass(hub, 2 * FOUND_MS);
  session_publish(a, &publisher, "c", "x");
  keys_run(hub);
  assert_output(&publisher, ":0\r\n");
  assert_reply(a, "INCR k", ":2\r\n");
  struct node *c = keys_join(hub, "c"); /* a SNAPSHOT stands behind it */
  notices(b);
  core_links(b, true);
  keys_pass(hub, FOUND_MS);
  assert_output(&subscriber, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n");
  assert_reply(b, "GET k", "$1\r\n2\r\n");
  assert_equal_states(a, b);
  assert_equal_states(a, c);
  session_close(a, &publisher);
  session_close(b, &subscriber);
}

/* What it had brought changes nothing. */
static void who_dies_while_it_brings_keys_leaves_the_founding_to_others(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.snapshot_piece_bytes = 20;
  struct node *a = keys_join_with(hub, &settings), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(a, "SET l 1", "+OK\r\n");
  keys_run(hub);
  core_links(b, false);
  renew(hub);
  notices(a);
  keys_run(hub);
  a->lose_nth = 3;
  for (int i = 0; i < 30 && !last_control(hub, "KEYS"); i++) keys_pass(hub, 50);
  assert_non_null(last_control(hub, "KEYS"));
  kill_node(a);
  notices(b);
  core_links(b, true);
  keys_pass(hub, 3 * FOUND_MS);
  assert_true(sb_core_ready(b->core));
  assert_int_equal(info_of(b).members, 1);
  assert_reply(b, "GET k", "$1\r\n1\r\n");
  assert_reply(b, "GET l", "$1\r\n1\r\n");
}

static void a_founder_brings_its_keys_again_when_a_part_of_them_was_lost(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.snapshot_piece_bytes = 20;
  struct node *a = keys_join_with(hub, &settings);
  assert_reply(a, "SET k 1", "+OK\r\n");
  renew(hub);
  notices(a);
  keys_run(hub);
  a->lose_nth = 1; /* the first part */
  keys_pass(hub, 4 * FOUND_MS);
  assert_true(sb_core_ready(a->core));
  assert_reply(a, "GET k", "$1\r\n1\r\n");
}

static void who_holds_most_of_a_lost_log_founds_the_next(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  b->up = false; /* it reads no more */
  assert_reply(a, "SET k 2", "+OK\r\n");
  b->up = true;
  renew(hub);
  notices(b);
  sb_core_turn(b->core);
  notices(a);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(a, b);
  assert_reply(b, "GET k", "$1\r\n2\r\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(keys_survive_when_all_nodes_are_killed),
      TEST(a_founder_that_reads_back_begins_with_no_state_but_that_of_the_log),
      TEST(checkpoints_come_within_what_the_broker_keeps),
      TEST(a_checkpoint_is_written_and_enough_when_retention_took_the_rest),
      TEST(a_founder_says_that_there_are_no_keys_when_the_log_holds_no_state_any_more),
      TEST(who_stays_ready_agrees_with_a_founder_that_kept_the_keys),
      TEST(reading_back_that_fails_is_tried_again),
      TEST(reading_back_that_never_ends_does_not_keep_a_founder_for_ever),
      TEST(what_has_expired_meanwhile_does_not_come_back),
      TEST(what_came_between_the_hello_and_the_founding_counts),
      TEST(a_founder_is_above_all_generations_that_it_reads_back),
      TEST(many_keys_are_recovered_too),
      cmocka_unit_test_setup_teardown(logs_are_read_back_side_by_side, set_up_two, keys_tear_down),
      TEST(a_void_founding_hides_no_state),
      TEST(a_joiner_forgets_a_forged_start_when_another_founds),
      TEST(keys_outlive_a_log_that_is_made_anew),
      TEST(who_starts_when_all_are_killed_reads_back_what_a_founder_brought),
      TEST(who_comes_late_to_a_new_log_is_given_what_was_answered_in_it),
      TEST(who_dies_while_it_brings_keys_leaves_the_founding_to_others),
      TEST(a_founder_brings_its_keys_again_when_a_part_of_them_was_lost),
      TEST(who_holds_most_of_a_lost_log_founds_the_next),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
