/* Streams as one node reads them: XREAD that waits, and how far back a history goes. */
#include "tests/unit/keys_fixture.h"

/* ---- XREAD ---- */

/* The reply to an XREAD of one stream with one entry. */
static void one_entry(char *out, size_t size, const char *name, struct sb_id id, const char *field,
                      const char *value) {
  char text[SB_ID_TEXT + 1];
  text[sb_id_text(id, text)] = 0;
  snprintf(out, size,
           "*1\r\n*2\r\n$%zu\r\n%s\r\n*1\r\n*2\r\n$%zu\r\n%s\r\n*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
           strlen(name), name, strlen(text), text, strlen(field), field, strlen(value), value);
}

static void xread_gives_what_is_there_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  char expected[300];
  struct sb_id id = added_id(a, "XADD s * f v");
  one_entry(expected, sizeof expected, "s", id, "f", "v");
  assert_reply(b, "XREAD BLOCK 0 STREAMS s 0-0", expected);
  assert_reply(b, "XREAD STREAMS s $", "*-1\r\n");
}

static void xread_is_woken_by_another_node(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session added, published, publisher;
  char expected[300];
  session_open(b, &added, 2);
  session_open(b, &published, 2);
  session_open(a, &publisher, 2);
  assert_int_equal(send_command(b, &added, "XREAD BLOCK 0 STREAMS other s $ $"), SB_DONE);
  assert_int_equal(send_command(b, &published, "XREAD BLOCK 60000 STREAMS c $"), SB_DONE);
  core_run(hub);
  assert_non_null(added.blocked);
  assert_output(&added, "");
  one_entry(expected, sizeof expected, "s", added_id(a, "XADD s * f v"), "f", "v");
  assert_null(added.blocked);
  assert_output(&added, expected);
  assert_non_null(published.blocked);
  session_publish(a, &publisher, "c", "hello");
  core_run(hub);
  struct sb_id id = sb_id_at(keys_part(a)->state.generation, keys_part(a)->applied, 0);
  one_entry(expected, sizeof expected, "c", id, "data", "hello");
  assert_output(&published, expected);
  assert_output(&publisher, ":0\r\n");
  session_close(a, &publisher);
  session_close(b, &added);
  session_close(b, &published);
}

static void xread_ends_with_nothing_when_its_time_has_come(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session two, three;
  session_open(a, &two, 2);
  session_open(a, &three, 3);
  assert_int_equal(send_command(a, &two, "XREAD BLOCK 200 STREAMS s $"), SB_DONE);
  assert_int_equal(send_command(a, &three, "XREAD BLOCK 100 STREAMS s t $ $"), SB_DONE);
  assert_true(sb_core_deadline(a->core) <= hub->now_ms + 100);
  core_pass(hub, 50);
  assert_output(&three, "");
  core_pass(hub, 50);
  assert_output(&three, "_\r\n");
  assert_output(&two, "");
  core_pass(hub, 100);
  assert_output(&two, "*-1\r\n");
  assert_null(two.blocked);
  session_close(a, &two);
  session_close(a, &three);
}

static void xread_goes_with_its_session(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session first, second;
  session_open(a, &first, 2);
  session_open(a, &second, 2);
  assert_int_equal(send_command(a, &first, "XREAD BLOCK 0 STREAMS s $"), SB_DONE);
  assert_int_equal(send_command(a, &second, "XREAD BLOCK 500 STREAMS s $"), SB_DONE);
  sb_core_session_close(a->core, &first);
  assert_int_equal(a->released, 1);
  struct sb_id id = added_id(a, "XADD s * f v");
  char expected[300];
  one_entry(expected, sizeof expected, "s", id, "f", "v");
  assert_output(&second, expected);
  session_close(a, &second);
}

/* Signalled, and closed before it is served. */
static void xread_may_go_when_it_was_just_woken(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session sessions[3], writer;
  session_open(a, &writer, 2);
  for (int i = 0; i < 3; i++) {
    session_open(a, &sessions[i], 2);
    assert_int_equal(send_command(a, &sessions[i], "XREAD BLOCK 0 STREAMS s $"), SB_DONE);
  }
  assert_int_equal(send_command(a, &writer, "XADD s * f v"), SB_DONE);
  sb_core_turn(a->core); /* it leaves */
  core_read(a, 0);       /* and is applied: all three are woken */
  sb_core_session_close(a->core, &sessions[1]);
  core_run(hub);
  for (int i = 0; i < 3; i += 2) {
    assert_null(sessions[i].blocked);
    struct sb_buf reply = take_output(&sessions[i]);
    assert_true(reply.len > 0);
    sb_buf_close(&reply);
    session_close(a, &sessions[i]);
  }
  struct sb_buf reply = take_output(&writer);
  sb_buf_close(&reply);
  session_close(a, &writer);
}

static void xread_waits_on_when_what_came_was_taken_away_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  struct sb_buf body = {0};
  session_open(a, &session, 2);
  assert_int_equal(send_command(a, &session, "XREAD BLOCK 1000 STREAMS s $"), SB_DONE);
  ghost_joins(hub);
  append_command(&body, "XADD s * f v");
  append_command(&body, "DEL s");
  ghost_says(a, 1, 2, sb_buf_bytes(&body), 0);
  sb_buf_close(&body);
  assert_non_null(session.blocked);
  assert_output(&session, "");
  core_pass(hub, 1000);
  assert_output(&session, "*-1\r\n");
  session_close(a, &session);
}

/* ---- how far back ---- */

/* Who waits gets what came in the gap; only the node's memory begins anew. */
static void what_came_in_a_gap_is_read_back(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  struct node *a = keys_join_with(hub, &settings), *b = keys_join(hub, "b");
  struct sb_session session;
  char expected[300];
  session_open(a, &session, 2);
  struct sb_id first = added_id(b, "XADD s * f 1");
  assert_reply(a, "XLEN s", ":1\r\n");
  assert_int_equal(send_command(a, &session, "XREAD BLOCK 0 STREAMS s $"), SB_DONE);
  sb_core_attached(a->core, 0, SB_ATTACH_GAP);
  core_run(hub);
  keys_pass(hub, 1000);
  assert_true(info_of(a).ready);
  assert_reply(a, "XLEN s", ":0\r\n");
  struct sb_id begin = info_of(a).history_begin;
  assert_int_equal(begin.seq, sb_id_end_of(1, info_of(a).joined_at).seq);
  struct sb_id id = added_id(b, "XADD s * f 2");
  assert_true(sb_id_compare(id, begin) > 0);
  keys_pass(hub, 100);
  one_entry(expected, sizeof expected, "s", id, "f", "2");
  assert_output(&session, expected); /* it waits on through the gap */
  one_entry(expected, sizeof expected, "s", first, "f", "1");
  assert_reply(a, "XREAD COUNT 1 STREAMS s 0-0", expected);
  assert_reply(b, "XLEN s", ":2\r\n");
  session_close(a, &session);
}

static struct node *with_prefill(struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = keys_settings(hub, name);
  settings.history_prefill = true;
  return keys_start(hub, &settings);
}

static void a_node_that_starts_fills_its_history_from_the_log(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session publisher;
  session_open(a, &publisher, 2);
  struct sb_id first = added_id(a, "XADD s * f 1");
  struct sb_id second = added_id(a, "XADD s * f 2");
  added_id(a, "XADD t * f 3");
  session_publish(a, &publisher, "s", "4");
  core_run(hub);
  assert_reply(a, "DEL t", ":1\r\n");
  char command[100], text[SB_ID_TEXT + 1];
  text[sb_id_text(second, text)] = 0;
  snprintf(command, sizeof command, "XDEL s %s", text);
  assert_reply(a, command, ":1\r\n");
  struct node *b = with_prefill(hub, "b");
  keys_pass(hub, 100);
  struct sb_buf expected = reply_to(a, "XRANGE s - +");
  assert_reply(b, "XRANGE s - +", (const char *)expected.data);
  sb_buf_close(&expected);
  assert_reply(b, "XLEN s", ":2\r\n");
  assert_reply(b, "EXISTS t", ":0\r\n");
  assert_true(sb_id_compare(info_of(b).history_begin, first) < 0);
  assert_output(&publisher, ":0\r\n");
  session_close(a, &publisher);
}

static void what_is_taken_away_while_a_history_fills_stays_away(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session waits;
  struct sb_id ids[4];
  char command[100], text[SB_ID_TEXT + 1], expected[300];
  for (int i = 0; i < 4; i++) ids[i] = added_id(a, "XADD s * f v");
  added_id(a, "XADD t * f v");
  keys_world.silent = true;
  struct node *b = with_prefill(hub, "b");
  keys_pass(hub, 100);
  assert_int_equal(keys_world.readings_count, 1);
  session_open(b, &waits, 2);
  /* Whoever reads a stream may hold a position from before this node. */
  assert_int_equal(send_command(b, &waits, "XREAD COUNT 1 BLOCK 0 STREAMS s 0-0"), SB_WAIT);
  uint32_t room = b->room;
  text[sb_id_text(ids[1], text)] = 0;
  snprintf(command, sizeof command, "XDEL s %s", text);
  assert_reply(a, command, ":1\r\n");
  text[sb_id_text(ids[2], text)] = 0;
  snprintf(command, sizeof command, "XTRIM s MINID %s", text);
  assert_reply(a, command, ":1\r\n");
  assert_reply(a, "DEL t", ":1\r\n");
  keys_world.silent = false;
  keys_pass(hub, 200);
  struct sb_buf all = reply_to(a, "XRANGE s - +");
  assert_reply(b, "XRANGE s - +", (const char *)all.data);
  sb_buf_close(&all);
  assert_reply(b, "XLEN s", ":2\r\n");
  assert_reply(b, "XLEN t", ":0\r\n");
  assert_true(b->room > room);
  assert_int_equal(send_command(b, &waits, "XREAD COUNT 1 BLOCK 0 STREAMS s 0-0"), SB_DONE);
  one_entry(expected, sizeof expected, "s", ids[2], "f", "v");
  assert_output(&waits, expected);
  session_close(b, &waits);
}

/* It has just joined; the log is deleted and made anew by another, and it does not know yet. */
static void what_stands_in_the_next_log_fills_no_history_of_this_one(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  char command[40];
  for (int i = 0; i < 30; i++) {
    snprintf(command, sizeof command, "XADD s * n %d", i);
    added_id(a, command);
  }
  keys_world.silent = true;
  struct node *b = with_prefill(hub, "b");
  assert_true(sb_core_ready(b->core));
  b->up = false;
  renew(hub);
  notices(a);
  keys_pass(hub, 2 * FOUND_MS);
  added_id(a, "XADD s * n new");
  keys_world.silent = false;
  keys_run(hub);
  assert_true(hub->logs[0].count < 30);
  assert_int_equal(keys_part(b)->prefill.state, SB_BACK_IDLE);
  assert_int_equal(keys_part(b)->history.entries, 0);
}

static void without_prefill_a_history_begins_where_the_node_joined(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  added_id(a, "XADD s * f 1");
  struct node *b = keys_join(hub, "b");
  assert_int_equal(keys_world.asked, 0);
  assert_reply(b, "XLEN s", ":0\r\n");
  assert_reply(b, "TYPE s", "+stream\r\n"); /* the state knows it */
  struct sb_id id = added_id(a, "XADD s * f 2");
  assert_true(sb_id_compare(info_of(b).history_begin, id) < 0);
  assert_reply(b, "XLEN s", ":1\r\n");
  assert_reply(a, "XLEN s", ":2\r\n");
}

/* A history holds so much: there is no need to read a log of any length from its begin. */
static void a_short_history_is_not_filled_from_the_begin_of_a_long_log(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.checkpoint_messages = 50;
  settings.history_bytes = 2000;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_buf body = {0};
  ghost_joins(hub);
  append_command(&body, "XADD s * field value");
  append_command(&body, "SET k 1");
  for (uint64_t i = 1; i <= 960; i++) ghost_says(a, i, 2, sb_buf_bytes(&body), 0);
  sb_buf_close(&body);
  assert_true(core_stats(a).checkpoints_sent > 0);
  settings = keys_settings(hub, "b");
  settings.history_bytes = 2000;
  settings.history_prefill = true;
  struct node *b = keys_start(hub, &settings);
  keys_pass(hub, 500);
  assert_int_equal(keys_world.asked, 1);
  assert_true(keys_world.asked_from > 0);
  assert_true(info_of(b).history_entries > 0);
}

/* The history of one who follows: both generations of ids cannot be in it. */
static void a_founding_with_a_lower_generation_ends_the_history_before_it(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_envelope envelope = {
      .version = SB_WIRE_VERSION, .count = 1, .node = "ghost", .incarnation = {1700000000000, 99}};
  struct sb_buf body = {0};
  added_id(a, "XADD s * f 1");
  core_links(a, false); /* it answers nobody */
  append_command(&body, "SIDEBUS HELLO 1 1");
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_clear(&body);
  append_command(&body, "SIDEBUS GENESIS 40 1000 1 keys 00112233445566778899aabbccddeeff");
  assert_int_equal(hub->logs[0].at[hub->logs[0].count - 1].sequence, 40);
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_clear(&body);
  append_command(&body, "XADD s * f 2");
  envelope.number = envelope.base = 1;
  envelope.generation = 1000;
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_close(&body);
  core_read(a, 0);
  assert_int_equal(keys_part(a)->state.generation, 1000);
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  sb_history_seek(&keys_part(a)->history, sb_bytes_of("s"), (struct sb_id){0}, SB_ID_MAX, false, &cursor);
  assert_true(sb_history_next(&cursor, &entry));
  assert_int_equal(entry.id.ms, 1000);
  assert_false(sb_history_next(&cursor, &entry));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(xread_gives_what_is_there_at_once),
      TEST(xread_is_woken_by_another_node),
      TEST(xread_ends_with_nothing_when_its_time_has_come),
      TEST(xread_goes_with_its_session),
      TEST(xread_may_go_when_it_was_just_woken),
      TEST(xread_waits_on_when_what_came_was_taken_away_again),
      TEST(what_came_in_a_gap_is_read_back),
      TEST(a_node_that_starts_fills_its_history_from_the_log),
      TEST(what_is_taken_away_while_a_history_fills_stays_away),
      TEST(what_stands_in_the_next_log_fills_no_history_of_this_one),
      TEST(without_prefill_a_history_begins_where_the_node_joined),
      TEST(a_short_history_is_not_filled_from_the_begin_of_a_long_log),
      TEST(a_founding_with_a_lower_generation_ends_the_history_before_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
