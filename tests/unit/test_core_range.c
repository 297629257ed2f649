/* Streams from before a node's history begins: read back from the log for who asks. */
#include "tests/unit/keys_fixture.h"

#define FEW_BYTES ((size_t)3000)

static struct node *join_with_little_memory(struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = keys_settings(hub, name);
  settings.history_bytes = FEW_BYTES;
  settings.history_prefill = true;
  struct node *node = keys_join_with(hub, &settings);
  keys_pass(hub, 100);
  keys_world.asked = 0; /* its prefill did */
  return node;
}

static void add_entries(struct node *node, const char *stream, int from, int to) {
  char text[64];
  for (int i = from; i <= to; i++) {
    snprintf(text, sizeof text, "XADD %s * n %d", stream, i);
    added_id(node, text);
  }
}

/* The values in a reply: "1 2 3 ". */
static void assert_values(struct node *node, const char *text, const char *expected) {
  struct sb_buf reply = reply_to(node, text);
  struct sb_buf values = {0};
  for (const char *at = (const char *)reply.data; (at = strstr(at, "$1\r\nn\r\n"));) {
    at = strchr(at + 7, '\n') + 1;
    sb_buf_append(&values, at, strcspn(at, "\r"));
    sb_buf_text(&values, " ");
  }
  sb_buf_append(&values, "", 1);
  if (strcmp((const char *)values.data, expected) != 0)
    print_message("%s: %s\n", text, (const char *)reply.data);
  assert_string_equal((const char *)values.data, expected);
  sb_buf_close(&values);
  sb_buf_close(&reply);
}

static void assert_says(struct node *node, const char *text, const char *part) {
  struct sb_buf reply = reply_to(node, text);
  if (!strstr((const char *)reply.data, part)) fail_msg("%s: %s", text, (const char *)reply.data);
  sb_buf_close(&reply);
}

static const char *with_id(const char *before, struct sb_id id, const char *behind) {
  static char text[128];
  snprintf(text, sizeof text, "%s %llu-%llu%s", before, (unsigned long long)id.ms, (unsigned long long)id.seq,
           behind);
  return text;
}

static void a_range_from_before_the_history_is_read_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 3);
  struct sb_id fourth = added_id(a, "XADD s * n 4");
  added_id(a, "XADD s * n 5");
  add_entries(a, "other", 1, 60);
  assert_true(keys_part(a)->history.begin.ms > 0);
  assert_values(a, "XRANGE s - +", "1 2 3 4 5 ");
  assert_int_equal(keys_world.asked, 1);
  assert_values(a, "XREVRANGE s + -", "5 4 3 2 1 ");
  assert_values(a, "XREVRANGE s + - COUNT 2", "5 4 ");
  assert_values(a, "XRANGE s - + COUNT 2", "1 2 ");
  assert_values(a, with_id("XRANGE s", fourth, " +"), "4 5 ");
  assert_values(a, with_id("XRANGE s -", fourth, ""), "1 2 3 4 ");
  assert_values(a, with_id("XREAD STREAMS s", fourth, ""), "5 ");
  assert_values(a, "XREAD COUNT 3 STREAMS s 0", "1 2 3 ");
  assert_int_equal(core_stats(a).ranges_read_back, keys_world.asked);
}

static void what_was_taken_away_since_is_not_read_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a"), *b = join_with_little_memory(hub, "b");
  add_entries(a, "s", 1, 3);
  struct sb_id fourth = added_id(a, "XADD s * n 4");
  add_entries(b, "s", 5, 9);
  add_entries(b, "gone", 1, 3);
  add_entries(b, "other", 1, 60);
  assert_reply(a, with_id("XDEL s", fourth, ""), ":0\r\n"); /* here it was gone already */
  assert_values(a, "XRANGE s - +", "1 2 3 5 6 7 8 9 ");
  struct sb_buf reply = reply_to(b, "XTRIM s MAXLEN = 6");
  sb_buf_close(&reply);
  reply = reply_to(b, "DEL gone");
  sb_buf_close(&reply);
  assert_values(a, "XRANGE s - +", "3 5 6 7 8 9 ");
  assert_values(b, "XREVRANGE s + - COUNT 5", "9 8 7 6 5 ");
  assert_values(b, "XRANGE gone - +", "");
  assert_reply(a, "SET gone 1", "+OK\r\n");
  assert_says(a, "XRANGE gone - +", "-WRONGTYPE");
}

/* An exact trim counts entries behind the range too. */
static void a_trim_counts_what_lies_behind_the_range(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 3);
  struct sb_id fourth = added_id(a, "XADD s * n 4");
  add_entries(a, "s", 5, 8);
  struct sb_id last = added_id(a, "XADD s * n 9");
  add_entries(a, "other", 1, 60);
  struct sb_buf reply = reply_to(a, "XTRIM s MAXLEN = 7");
  sb_buf_close(&reply);
  assert_values(a, with_id("XRANGE s -", fourth, ""), "3 4 ");
  reply = reply_to(a, with_id("XDEL s", last, ""));
  sb_buf_close(&reply);
  assert_values(a, with_id("XRANGE s -", fourth, ""), "3 4 ");
  reply = reply_to(a, "XTRIM s MAXLEN = 5");
  sb_buf_close(&reply);
  /* Whether the one that was deleted there had been there is not known in here. */
  assert_says(a, with_id("XRANGE s -", fourth, ""), "-ERR the range is older");
  assert_values(a, "XRANGE s - +", "4 5 6 7 8 ");
}

static void messages_are_read_back_too(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  static struct sb_session session;
  session_open(a, &session, 2);
  for (int i = 0; i < 20; i++) {
    char payload[16];
    snprintf(payload, sizeof payload, "p%d", i);
    assert_int_equal(session_publish(a, &session, i % 2 ? "c" : "d", payload), SB_DONE);
    if (i % 4 == 3) core_run(hub); /* four in a batch */
  }
  struct sb_buf output = take_output(&session);
  sb_buf_close(&output);
  session_close(a, &session);
  add_entries(a, "other", 1, 60);
  assert_says(a, "XRANGE c - +", "*10\r\n");
  assert_says(a, "XREVRANGE c + - COUNT 1", "$4\r\ndata\r\n$3\r\np19\r\n");
  assert_says(a, "XREAD COUNT 1 STREAMS d c 0 0", "*2\r\n*2\r\n$1\r\nd\r\n");
}

/* Though nothing in the log has said so yet. */
static void what_has_expired_when_it_is_asked_for_is_not_read(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  static struct sb_session session;
  session_open(a, &session, 2);
  assert_int_equal(session_publish(a, &session, "c", "told"), SB_DONE);
  core_run(hub);
  struct sb_buf output = take_output(&session);
  sb_buf_close(&output);
  add_entries(a, "s", 1, 3);
  add_entries(a, "other", 1, 60);
  assert_reply(a, "SET c v PX 1000", "+OK\r\n");
  assert_reply(a, "PEXPIRE s 1000", ":1\r\n");
  keys_world.silent = true;
  assert_int_equal(send_command(a, &session, "XRANGE s - +"), SB_WAIT);
  keys_pass(hub, 1000);
  keys_world.silent = false;
  assert_reply(a, "GET c", "$-1\r\n");
  keys_run(hub);
  assert_int_equal(send_command(a, &session, "XRANGE s - +"), SB_DONE);
  output = take_output(&session); /* it had not then */
  assert_memory_equal(output.data, "*3\r\n", 4);
  sb_buf_close(&output);
  session_close(a, &session);
  assert_values(a, "XRANGE s - +", "");
  assert_says(a, "XRANGE c - +", "$4\r\ntold\r\n"); /* what was published is no part of the string */
}

static void what_is_known_to_be_here_is_not_read_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 3);
  struct sb_id last = added_id(a, "XADD s * n 4");
  add_entries(a, "other", 1, 60);
  assert_true(keys_part(a)->history.begin.ms > 0);
  assert_values(a, "XRANGE never - +", "");
  assert_values(a, "XREVRANGE other + - COUNT 1", "60 ");
  assert_values(a, with_id("XREAD STREAMS s", last, ""), ""); /* a quiet stream that somebody follows */
  add_entries(a, "s", 5, 5);
  assert_values(a, with_id("XREAD STREAMS s", last, ""), "5 ");
  assert_int_equal(keys_world.asked, 0);
}

/* Another name whose entries were evicted may be taken for the one that is waited for. */
static void who_waits_at_a_quiet_stream_gets_its_first_entry_without_reading_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  struct sb_session session;
  char busy[24];
  uint64_t number = 0;
  do {
    snprintf(busy, sizeof busy, "n%llu", (unsigned long long)number++);
  } while (((sb_name_hash(sb_bytes_of(busy)) ^ sb_name_hash(sb_bytes_of("quiet"))) >> 32 & 4095) != 0);
  add_entries(a, "quiet", 1, 1);
  session_open(a, &session, 2);
  assert_int_equal(send_command(a, &session, "XREAD BLOCK 0 STREAMS quiet $"), SB_DONE);
  add_entries(a, busy, 1, 100);
  assert_true(sb_history_lacks(&keys_part(a)->history, sb_bytes_of("quiet"),
                               sb_id_at(keys_part(a)->state.generation, 70, 0)));
  add_entries(a, "quiet", 2, 2);
  struct sb_buf reply = take_output(&session);
  sb_buf_append(&reply, "", 1);
  assert_non_null(strstr((const char *)reply.data, "$1\r\nn\r\n$1\r\n2\r\n"));
  sb_buf_close(&reply);
  assert_int_equal(core_stats(a).ranges_read_back, 0);
  session_close(a, &session);
}

static void what_a_log_has_lost_is_as_trimmed(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.history_bytes = FEW_BYTES;
  settings.checkpoint_messages = 10;
  struct node *a = keys_join_with(hub, &settings);
  add_entries(a, "s", 1, 200);
  keys_pass(hub, 100);
  assert_true(core_stats(a).checkpoints_sent > 1);
  keys_world.retired[0] = 20;
  struct sb_buf reply = reply_to(a, "XRANGE s - +");
  long count = strtol((const char *)reply.data + 1, NULL, 10);
  const char *at = strstr((const char *)reply.data, "$1\r\nn\r\n");
  assert_non_null(at);
  long first = strtol(strchr(at + 7, '\n'), NULL, 10);
  assert_true(first > 1 && first < 150);
  assert_int_equal(count, 200 - first + 1);
  sb_buf_close(&reply);
  uint32_t asked = keys_world.asked;
  keys_world.retired[0] = hub->logs[0].count - 1; /* no state is left */
  reply = reply_to(a, "XRANGE s - +");
  assert_true(keys_world.asked > asked);
  asked = keys_world.asked;
  assert_int_equal(strtol((const char *)reply.data + 1, NULL, 10), keys_part(a)->history.entries);
  sb_buf_close(&reply);
  assert_says(a, "XRANGE s - +", "*"); /* and that is known now */
  assert_int_equal(keys_world.asked, asked);
}

/* Up to where it was read no state is left; while it was read a CHECKPOINT was written, and the history moved
 * on behind that. */
static void what_the_log_holds_behind_a_reading_in_vain_is_not_lost(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.history_bytes = FEW_BYTES;
  settings.checkpoint_messages = 30;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_session session;
  session_open(a, &session, 2);
  add_entries(a, "s", 1, 50);
  keys_world.retired[0] = hub->logs[0].count - 1;
  keys_world.silent = true;
  assert_int_equal(send_command(a, &session, "XRANGE s - +"), SB_WAIT);
  add_entries(a, "s", 51, 200);
  uint64_t held = keys_part(a)->history.entries;
  keys_world.silent = false;
  keys_run(hub);
  session_close(a, &session);
  struct sb_buf reply = reply_to(a, "XRANGE s - +");
  assert_true(strtoull((const char *)reply.data + 1, NULL, 10) > held);
  sb_buf_close(&reply);
}

static void too_much_at_once_is_refused_and_a_count_is_not(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.history_bytes = FEW_BYTES;
  settings.range_bytes = 2000;
  struct node *a = keys_join_with(hub, &settings);
  add_entries(a, "s", 1, 60);
  assert_says(a, "XRANGE s - +", "ask for fewer with COUNT");
  assert_says(a, "XREVRANGE s + -", "ask for fewer with COUNT");
  assert_says(a, "XREAD STREAMS s 0", "ask for fewer with COUNT");
  assert_values(a, "XRANGE s - + COUNT 3", "1 2 3 ");
  assert_values(a, "XREAD COUNT 2 STREAMS s 0", "1 2 ");
}

static void reading_back_that_fails_is_an_error(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 60);
  keys_world.fails = 2;
  assert_says(a, "XRANGE s - + COUNT 1", "*1\r\n");
  assert_int_equal(keys_world.asked, 3);
  keys_world.silent = true;
  assert_says(a, "XRANGE s - + COUNT 1", "-ERR the range is older than what this node holds in memory");
  keys_world.silent = false;
  keys_world.readings_count = 0;
  assert_says(a, "XRANGE s - + COUNT 1", "*1\r\n");
}

static void sessions_wait_for_their_turn_and_who_closes_gives_it_up(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 60);
  struct sb_session first, second;
  session_open(a, &first, 2);
  session_open(a, &second, 2);
  keys_world.silent = true;
  assert_int_equal(send_command(a, &first, "XRANGE s - + COUNT 1"), SB_WAIT);
  assert_int_equal(send_command(a, &second, "XRANGE s - + COUNT 2"), SB_WAIT);
  keys_run(hub);
  assert_int_equal(keys_world.readings_count, 1);
  uint32_t room = a->room;
  session_close(a, &first);
  assert_int_equal(keys_world.readings_count, 0);
  keys_run(hub);
  assert_true(a->room > room);
  keys_world.silent = false;
  assert_int_equal(send_command(a, &second, "XRANGE s - + COUNT 2"), SB_WAIT);
  keys_run(hub);
  assert_int_equal(send_command(a, &second, "XRANGE s - + COUNT 2"), SB_DONE);
  struct sb_buf reply = take_output(&second);
  assert_memory_equal(reply.data, "*2\r\n", 4);
  sb_buf_close(&reply);
  session_close(a, &second);
}

static void xread_blocks_behind_what_was_read_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  struct sb_id first = added_id(a, "XADD s * n 1");
  struct sb_id second = added_id(a, "XADD s * n 2");
  add_entries(a, "other", 1, 60);
  assert_reply(a, with_id("XDEL s", second, ""), ":0\r\n");
  static struct sb_session session;
  session_open(a, &session, 2);
  const char *text = with_id("XREAD BLOCK 0 STREAMS s", first, "");
  assert_int_equal(send_command(a, &session, text), SB_WAIT);
  keys_run(hub);
  assert_int_equal(send_command(a, &session, text), SB_DONE);
  assert_non_null(session.blocked);
  add_entries(a, "s", 3, 3);
  assert_null(session.blocked);
  struct sb_buf reply = take_output(&session);
  sb_buf_append(&reply, "", 1);
  assert_non_null(strstr((const char *)reply.data, "$1\r\n3\r\n"));
  sb_buf_close(&reply);
  session_close(a, &session);
}

/* More came in one turn than the history holds. */
static void who_blocks_is_not_served_a_part(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a"), *b = join_with_little_memory(hub, "b");
  static struct sb_session session;
  struct sb_id first = added_id(a, "XADD s * n 1");
  session_open(a, &session, 2);
  assert_int_equal(send_command(a, &session, with_id("XREAD BLOCK 0 STREAMS s", first, "")), SB_DONE);
  assert_non_null(session.blocked);
  a->up = false; /* it reads all at once, later */
  add_entries(b, "s", 2, 60);
  a->up = true;
  keys_pass(hub, 100);
  assert_null(session.blocked);
  struct sb_buf reply = take_output(&session);
  sb_buf_append(&reply, "", 1);
  assert_non_null(strstr((const char *)reply.data, "$1\r\ns\r\n*59\r\n"));
  sb_buf_close(&reply);
  session_close(a, &session);
}

static int set_up_two(void **state) {
  return keys_set_up_with(state, 2);
}

static void streams_of_several_logs_are_read_back_together(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  const char *one = name_in(a, 0, 0), *other = name_in(a, 1, 0);
  add_entries(a, one, 1, 40);
  add_entries(a, other, 1, 40);
  char text[64];
  snprintf(text, sizeof text, "XREAD COUNT 2 STREAMS %s %s 0 0", other, one);
  assert_values(a, text, "1 2 1 2 ");
  assert_int_equal(core_stats(a).ranges_read_back, 2);
}

static void a_log_that_was_made_anew_ends_what_is_read_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = join_with_little_memory(hub, "a");
  add_entries(a, "s", 1, 60);
  static struct sb_session session;
  session_open(a, &session, 2);
  keys_world.silent = true;
  assert_int_equal(send_command(a, &session, "XRANGE s - + COUNT 1"), SB_WAIT);
  keys_run(hub);
  assert_int_equal(keys_world.readings_count, 1);
  sb_core_attached(a->core, 0, SB_ATTACH_GAP);
  assert_int_equal(keys_world.readings_count, 0);
  keys_world.silent = false;
  keys_pass(hub, FOUND_MS + 5000);
  enum sb_result result = SB_WAIT;
  for (int i = 0; i < 10 && result == SB_WAIT; i++) {
    result = send_command(a, &session, "XRANGE s - + COUNT 1");
    keys_pass(hub, 100);
  }
  assert_int_equal(result, SB_DONE);
  session_close(a, &session);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_range_from_before_the_history_is_read_back),
      TEST(what_was_taken_away_since_is_not_read_back),
      TEST(a_trim_counts_what_lies_behind_the_range),
      TEST(messages_are_read_back_too),
      TEST(what_has_expired_when_it_is_asked_for_is_not_read),
      TEST(what_is_known_to_be_here_is_not_read_back),
      TEST(who_waits_at_a_quiet_stream_gets_its_first_entry_without_reading_back),
      TEST(what_a_log_has_lost_is_as_trimmed),
      TEST(what_the_log_holds_behind_a_reading_in_vain_is_not_lost),
      TEST(too_much_at_once_is_refused_and_a_count_is_not),
      TEST(reading_back_that_fails_is_an_error),
      TEST(sessions_wait_for_their_turn_and_who_closes_gives_it_up),
      TEST(xread_blocks_behind_what_was_read_back),
      TEST(who_blocks_is_not_served_a_part),
      cmocka_unit_test_setup_teardown(streams_of_several_logs_are_read_back_together, set_up_two,
                                      keys_tear_down),
      TEST(a_log_that_was_made_anew_ends_what_is_read_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
