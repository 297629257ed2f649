/* Readers that wait while something else goes on: a history that fills, a gap, an outage, another log. */
#include "tests/unit/keys_fixture.h"

#define PREFILL_MS 60000 /* after which a node gives it up */
#define AHEAD_MS   500   /* for which a position beyond what is known is waited for */

static struct node *start(struct core_hub *hub, const char *name, bool prefill) {
  struct sb_core_settings settings = keys_settings(hub, name);
  settings.history_prefill = prefill;
  return keys_start(hub, &settings);
}

/* The values of all entries in what the session was sent: "1 2 3 ". */
static void assert_gets(struct sb_session *session, const char *expected) {
  struct sb_buf reply = take_output(session);
  struct sb_buf values = {0};
  sb_buf_append(&reply, "", 1);
  for (const char *at = (const char *)reply.data; (at = strstr(at, "$1\r\nn\r\n"));) {
    at = strchr(at + 7, '\n') + 1;
    sb_buf_append(&values, at, strcspn(at, "\r"));
    sb_buf_text(&values, " ");
  }
  sb_buf_append(&values, "", 1);
  assert_string_equal((const char *)values.data, expected);
  sb_buf_close(&values);
  sb_buf_close(&reply);
}

static void ask(struct node *node, struct sb_session *session, const char *text, enum sb_result expected) {
  assert_int_equal(send_command(node, session, text), expected);
}

/* ---- where "$" is ---- */

static void the_last_id_is_that_of_when_the_xread_came_while_a_history_fills(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session waits, leaves;
  added_id(a, "XADD s * n 1");
  keys_world.silent = true;
  struct node *b = start(hub, "b", true);
  keys_pass(hub, 100);
  session_open(b, &waits, 2);
  session_open(b, &leaves, 2);
  ask(b, &waits, "XREAD BLOCK 0 STREAMS t s 0-0 $", SB_WAIT);
  ask(b, &leaves, "XREAD BLOCK 0 STREAMS s $", SB_WAIT);
  session_close(b, &leaves);
  added_id(a, "XADD s * n 2");
  keys_world.silent = false;
  keys_pass(hub, 200);
  ask(b, &waits, "XREAD BLOCK 0 STREAMS t s 0-0 $", SB_DONE);
  assert_gets(&waits, "2 ");
  ask(b, &waits, "XREAD BLOCK 0 STREAMS s $", SB_DONE); /* anew */
  added_id(a, "XADD s * n 3");
  assert_gets(&waits, "3 ");
  session_close(b, &waits);
}

static void another_xread_than_the_one_that_waits_does_not_get_its_last_ids(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  added_id(a, "XADD s * n 1");
  keys_world.silent = true;
  struct node *b = start(hub, "b", true);
  keys_pass(hub, 100);
  session_open(b, &session, 2);
  ask(b, &session, "XREAD BLOCK 0 STREAMS s $", SB_WAIT);
  added_id(a, "XADD s * n 2");
  keys_pass(hub, 100);
  ask(b, &session, "XREAD BLOCK 0 STREAMS t u s $ $ $", SB_WAIT); /* more streams, and later */
  ask(b, &session, "XREAD BLOCK 0 STREAMS v u s $ $ $", SB_WAIT); /* as many, but others */
  keys_world.silent = false;
  keys_pass(hub, 200);
  ask(b, &session, "XREAD BLOCK 0 STREAMS v u s $ $ $", SB_DONE);
  added_id(a, "XADD s * n 3");
  assert_gets(&session, "3 ");
  session_close(b, &session);
}

static void who_is_blocked_is_taken_no_request_of(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  ask(a, &session, "XREAD BLOCK 0 STREAMS s $", SB_DONE);
  ask(a, &session, "XREAD BLOCK 0 STREAMS t $", SB_WAIT);
  ask(a, &session, "GET k", SB_WAIT);
  ask(a, &session, "SET k v", SB_WAIT);
  assert_int_equal(sb_core_publish(a->core, &session, SB_PUBLISH, sb_bytes_of("c"), sb_bytes_of("m")),
                   SB_WAIT);
  assert_false(sb_core_reply(a->core, &session, sb_bytes_of("+OK\r\n")));
  added_id(a, "XADD s * n 1");
  assert_gets(&session, "1 ");
  ask(a, &session, "GET k", SB_DONE);
  session_close(a, &session);
}

static void the_last_id_is_that_of_when_the_xread_came_while_a_range_is_read(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  char text[128], id[SB_ID_TEXT + 1];
  settings.history_bytes = 3000;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_session session;
  struct sb_id first = added_id(a, "XADD s * n 1"), second = added_id(a, "XADD s * n 2");
  for (int i = 0; i < 60; i++) added_id(a, "XADD other * n v");
  id[sb_id_text(second, id)] = 0;
  snprintf(text, sizeof text, "XDEL s %s", id);
  assert_reply(a, text, ":0\r\n");
  id[sb_id_text(first, id)] = 0;
  snprintf(text, sizeof text, "XREAD BLOCK 0 STREAMS s t %s $", id);
  session_open(a, &session, 2);
  keys_world.silent = true;
  ask(a, &session, text, SB_WAIT);
  added_id(a, "XADD t * n 3");
  keys_world.silent = false;
  keys_pass(hub, 200);
  ask(a, &session, text, SB_DONE);
  assert_gets(&session, "3 ");
  session_close(a, &session);
}

static void the_last_id_is_noted_in_each_log_as_soon_as_that_is_known(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start(hub, "a", false), *b = start(hub, "b", false);
  struct sb_session session;
  char read[64], add[64];
  const char *known = name_in(a, 0, 0);
  snprintf(read, sizeof read, "XREAD BLOCK 0 STREAMS %s %s $ $", known, name_in(a, 1, 0));
  snprintf(add, sizeof add, "XADD %s * n 1", known);
  session_open(a, &session, 2);
  sb_core_attached(a->core, 1, SB_ATTACH_GAP);
  ask(a, &session, read, SB_WAIT);
  added_id(b, add);
  keys_pass(hub, 1000);
  assert_true(sb_core_ready(a->core));
  ask(a, &session, read, SB_DONE);
  assert_gets(&session, "1 ");
  session_close(a, &session);
}

/* ---- gaps ---- */

/* `reader` waits for stream "s" and misses its entry with the value 1; it is not ready yet. */
static struct sb_id miss_one(struct node *reader, struct node *writer, struct sb_session *session) {
  session_open(reader, session, 2);
  added_id(writer, "XADD s * n 0");
  ask(reader, session, "XREAD BLOCK 0 STREAMS s $", SB_DONE);
  struct sb_id before = added_id(writer, "XADD other * n v");
  sb_core_attached(reader->core, 0, SB_ATTACH_GAP);
  struct sb_id missed = added_id(writer, "XADD s * n 1");
  keys_pass(writer->hub, 1000);
  assert_true(info_of(reader).ready);
  assert_true(sb_id_compare(missed, sb_id_end_of(missed.ms, info_of(reader).joined_at)) <= 0);
  return before;
}

static void who_waits_gets_what_came_in_a_gap_though_nothing_follows(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start(hub, "a", false), *b = start(hub, "b", false);
  struct sb_session session;
  miss_one(a, b, &session);
  assert_gets(&session, "1 ");
  session_close(a, &session);
}

static void of_a_gap_no_more_is_read_back_than_the_gap(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start(hub, "a", false), *b = start(hub, "b", false);
  struct sb_session session;
  keys_world.silent = true;
  struct sb_id before = miss_one(a, b, &session);
  assert_int_equal(core_stats(a).ranges_read_back, 1);
  assert_true(sb_id_compare(keys_part(a)->range.back.ask.before, before) > 0);
  keys_world.silent = false;
  keys_pass(hub, 1000);
  assert_gets(&session, "1 ");
  session_close(a, &session);
}

static void who_is_woken_while_a_history_fills_gets_what_came_before_too(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start(hub, "a", true), *b = start(hub, "b", false);
  struct sb_session session;
  keys_pass(hub, 100);
  keys_world.silent = true;
  miss_one(a, b, &session);
  added_id(b, "XADD s * n 2");
  keys_pass(hub, 1000);
  assert_gets(&session, "");
  keys_world.silent = false;
  keys_pass(hub, 1000);
  assert_gets(&session, "1 2 ");
  assert_int_equal(core_stats(a).ranges_read_back, 0);
  session_close(a, &session);
}

/* What waits for a history that was filling must not wait for the next one when the log is lost again. */
static void who_is_set_aside_ends_in_time_when_the_log_is_lost_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = start(hub, "a", true), *b = start(hub, "b", false);
  struct sb_session session;
  keys_pass(hub, 100);
  session_open(a, &session, 2);
  ask(a, &session, "XREAD BLOCK 5000 STREAMS s $", SB_DONE);
  keys_world.silent = true;
  sb_core_attached(a->core, 0, SB_ATTACH_GAP);
  keys_pass(hub, 1000);
  added_id(b, "XADD s * n 1");
  keys_pass(hub, 100);
  assert_true(info_of(a).ready);
  core_links(a, false);
  sb_core_attached(a->core, 0, SB_ATTACH_GAP);
  keys_pass(hub, 5000);
  assert_output(&session, "*-1\r\n");
  session_close(a, &session);
}

/* ---- outages ---- */

static void a_history_that_nobody_gives_is_given_up_in_an_outage_too(void **state) {
  struct core_hub *hub = *state;
  keys_join(hub, "a");
  keys_world.silent = true;
  struct node *b = start(hub, "b", true);
  struct sb_session session;
  session_open(b, &session, 2);
  ask(b, &session, "XLEN s", SB_WAIT);
  sb_core_link(b->core, 0, SB_LINK_PUBLISH, false);
  uint64_t begin_ms = hub->now_ms;
  assert_true(sb_core_deadline(b->core) <= begin_ms + PREFILL_MS);
  keys_pass(hub, PREFILL_MS);
  ask(b, &session, "XLEN s", SB_DONE);
  assert_output(&session, ":0\r\n");
  session_close(b, &session);
}

/* It may stand behind others who wait, and not have been asked when all were. */
static void who_waits_for_a_position_is_asked_when_its_time_is_over(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  char text[128], id[SB_ID_TEXT + 1];
  struct sb_id ahead = added_id(a, "XADD s * n 1");
  ahead.seq += 100000;
  id[sb_id_text(ahead, id)] = 0;
  snprintf(text, sizeof text, "XRANGE s %s +", id);
  session_open(a, &session, 2);
  ask(a, &session, text, SB_WAIT);
  core_pass(hub, AHEAD_MS - 50);
  uint32_t room = a->room;
  core_pass(hub, 50);
  assert_true(a->room > room);
  ask(a, &session, text, SB_DONE);
  assert_output(&session, "*0\r\n");
  session_close(a, &session);
}

/* A member whose clock is behind may let a stream live on that its reader has taken for gone. */
static void who_waits_for_a_stream_that_seemed_to_be_gone_gets_it_when_its_time_is_over(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session waits;
  struct sb_buf body = {0};
  ghost_joins(hub);
  added_id(a, "XADD s * n 1");
  assert_reply(a, "PEXPIRE s 1000", ":1\r\n");
  keys_pass(hub, 1000);
  session_open(a, &waits, 2);
  ask(a, &waits, "XREAD BLOCK 300 STREAMS t s 0-0 0-0", SB_DONE);
  append_command(&body, "PERSIST s");
  ghost_says(a, 1, 1, sb_buf_bytes(&body), 0);
  keys_pass(hub, 250);
  assert_output(&waits, "");
  keys_pass(hub, 100);
  assert_gets(&waits, "1 ");
  ask(a, &waits, "XREAD BLOCK 300 STREAMS t $", SB_DONE);
  keys_pass(hub, 350);
  assert_output(&waits, "*-1\r\n");
  session_close(a, &waits);
  sb_buf_close(&body);
}

static int set_up_two(void **state) {
  return keys_set_up_with(state, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(the_last_id_is_that_of_when_the_xread_came_while_a_history_fills),
      TEST(another_xread_than_the_one_that_waits_does_not_get_its_last_ids),
      TEST(who_is_blocked_is_taken_no_request_of),
      TEST(the_last_id_is_that_of_when_the_xread_came_while_a_range_is_read),
      cmocka_unit_test_setup_teardown(the_last_id_is_noted_in_each_log_as_soon_as_that_is_known, set_up_two,
                                      keys_tear_down),
      TEST(who_waits_gets_what_came_in_a_gap_though_nothing_follows),
      TEST(of_a_gap_no_more_is_read_back_than_the_gap),
      TEST(who_is_woken_while_a_history_fills_gets_what_came_before_too),
      TEST(who_is_set_aside_ends_in_time_when_the_log_is_lost_again),
      TEST(a_history_that_nobody_gives_is_given_up_in_an_outage_too),
      TEST(who_waits_for_a_stream_that_seemed_to_be_gone_gets_it_when_its_time_is_over),
      TEST(who_waits_for_a_position_is_asked_when_its_time_is_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
