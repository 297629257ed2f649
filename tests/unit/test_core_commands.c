/* Commands that are asked of one node: numbers, one payload to several channels, readers that wait. */
#include "tests/unit/keys_fixture.h"

#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"

static int set_up_two_logs(void **state) {
  return keys_set_up_with(state, 2);
}

/* ---- numbers ---- */

static struct sb_buf reply_to_number(struct node *node, struct sb_bytes key) {
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(sb_core_number(node->core, &session, key, sb_bytes_of("text")), SB_DONE);
  keys_run(node->hub);
  struct sb_buf reply = take_output(&session);
  sb_buf_append(&reply, "", 1);
  session_close(node, &session);
  return reply;
}

/* The number that a key is given; all three parts of the reply say the same. */
static int64_t number_of(struct node *node, const char *key) {
  struct sb_buf reply = reply_to_number(node, sb_bytes_of(key));
  char message[40], expected[120];
  int64_t number;
  const char *digits = (const char *)reply.data + strlen("*3\r\n:");
  assert_true(sb_bytes_i64(sb_bytes(digits, strcspn(digits, "\r")), &number));
  snprintf(message, sizeof message, "%lld text", (long long)number);
  snprintf(expected, sizeof expected, "*3\r\n:%lld\r\n$4\r\ntext\r\n$%zu\r\n%s\r\n", (long long)number,
           strlen(message), message);
  assert_string_equal((const char *)reply.data, expected);
  sb_buf_close(&reply);
  return number;
}

static void assert_no_number(struct node *node, struct sb_bytes key, const char *error) {
  struct sb_buf reply = reply_to_number(node, key);
  assert_string_equal((const char *)reply.data, error);
  sb_buf_close(&reply);
}

static void assert_value(struct node *node, const char *key, int64_t value) {
  char command[40], digits[24], expected[60];
  snprintf(command, sizeof command, "GET %s", key);
  snprintf(digits, sizeof digits, "%lld", (long long)value);
  snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(digits), digits);
  assert_reply(node, command, expected);
}

static void numbers_grow_whichever_node_is_asked_and_are_published(void **state) {
  struct core_hub *hub = *state;
  struct node *nodes[] = {keys_join(hub, "a"), keys_join(hub, "b")};
  struct sb_session subscriber;
  char payload[40], expected[120];
  int64_t last = 0;
  session_open(nodes[1], &subscriber, 2);
  session_subscribe(nodes[1], &subscriber, SB_SUB_CHANNEL, "k");
  for (int i = 0; i < 6; i++) {
    int64_t number = number_of(nodes[i % 2], "k");
    assert_true(number > last);
    last = number;
    assert_value(nodes[(i + 1) % 2], "k", number);
    snprintf(payload, sizeof payload, "%lld text", (long long)number);
    snprintf(expected, sizeof expected, "*3\r\n$7\r\nmessage\r\n$1\r\nk\r\n$%zu\r\n%s\r\n", strlen(payload),
             payload);
    assert_output(&subscriber, expected);
  }
  assert_reply(nodes[0], "XLEN k", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
  assert_equal_states(nodes[0], nodes[1]);
  session_close(nodes[1], &subscriber);
}

static void a_number_above_all_is_an_error_and_leaves_its_key(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 9223372036854775806", "+OK\r\n");
  assert_int_equal(number_of(a, "k"), INT64_MAX);
  assert_no_number(a, sb_bytes_of("k"), "-ERR increment or decrement would overflow\r\n");
  assert_value(a, "k", INT64_MAX);
}

static void a_number_is_above_what_its_key_held_and_leaves_its_expiry(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 9000000000000000000 PX 100000", "+OK\r\n");
  assert_int_equal(number_of(a, "k"), INT64_C(9000000000000000001));
  assert_int_equal(number_of(a, "k"), INT64_C(9000000000000000002));
  const struct sb_key *key = sb_keys_find(&keys_part(a)->state.keys, sb_bytes_of("k"), 0);
  assert_non_null(key);
  assert_true(key->expires_ms > 0);
  assert_reply(a, "SET k -5", "+OK\r\n");
  assert_true(number_of(a, "k") > 0);
}

/* Neither the log nor a key remembers the last one then: the key was deleted. */
static void numbers_do_not_fall_when_a_log_begins_anew(void **state) {
  struct core_hub *hub = *state;
  struct node *nodes[] = {keys_join(hub, "a"), keys_join(hub, "b")};
  uint64_t generation = info_of(nodes[0]).generation;
  for (int i = 0; i < 20; i++) number_of(nodes[i % 2], "k");
  int64_t last = number_of(nodes[0], "k");
  assert_reply(nodes[0], "DEL k", ":1\r\n");
  struct core_log *log = &hub->logs[0];
  while (log->count > 0) sb_body_unref(log->at[--log->count].body);
  for (int n = 0; n < 2; n++) {
    nodes[n]->read[0] = 0;
    sb_core_attached(nodes[n]->core, 0, SB_ATTACH_NEW_LOG);
  }
  keys_pass(hub, 6 * FOUND_MS);
  assert_true(info_of(nodes[0]).ready && info_of(nodes[1]).ready);
  assert_true(info_of(nodes[0]).generation > generation);
  assert_reply(nodes[0], "EXISTS k", ":0\r\n");
  assert_true(number_of(nodes[1], "k") > last);
  assert_equal_states(nodes[0], nodes[1]);
}

/* The reply of XADD; which of its batch's entries it is. */
static void assert_added_at(struct sb_session *session, uint64_t index) {
  struct sb_buf reply = take_output(session);
  struct sb_id id;
  sb_buf_append(&reply, "", 1);
  const char *line = strchr((const char *)reply.data, '\n');
  assert_non_null(line);
  assert_true(sb_id_parse(sb_bytes(line + 1, strcspn(line + 1, "\r")), 0, &id));
  assert_int_equal(id.seq % SB_BATCH_ENTRIES_MAX, index);
  sb_buf_close(&reply);
}

static void a_number_for_a_name_that_is_too_long_is_refused_and_stops_nothing(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.batch_bytes = (size_t)256 * 1024; /* two entries in one batch */
  struct node *a = keys_join_with(hub, &settings), *b = keys_join(hub, "b");
  struct sb_buf name = {0};
  struct sb_session numbers, adds;
  sb_buf_append(&name, "k", 1);
  while (name.len <= SB_KEY_NAME_MAX) sb_buf_append(&name, "k", 1);
  session_open(a, &numbers, 2);
  session_open(a, &adds, 2);
  assert_int_equal(sb_core_number(a->core, &numbers, sb_buf_bytes(&name), sb_bytes_of("text")), SB_DONE);
  assert_int_equal(send_command(a, &adds, "XADD s * f v"), SB_DONE);
  core_run(hub);
  assert_output(&numbers, "-ERR key is longer than 65536 bytes\r\n");
  assert_added_at(&adds, 1); /* the number took its place all the same */
  struct sb_buf range = reply_to(a, "XRANGE s - +");
  assert_reply(b, "XRANGE s - +", (const char *)range.data);
  sb_buf_close(&range);
  assert_int_equal(core_stats(a).batches_malformed, 0);
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(b, "INCR k", ":2\r\n");
  assert_true(number_of(b, "n") > 0);
  assert_equal_states(a, b);
  name.len--; /* the longest that there may be */
  struct sb_buf reply = reply_to_number(b, sb_buf_bytes(&name));
  assert_int_equal(reply.data[0], '*');
  sb_buf_close(&reply);
  assert_equal_states(a, b);
  sb_buf_close(&name);
  session_close(a, &numbers);
  session_close(a, &adds);
}

static void what_is_no_number_gets_none_and_nothing_is_published(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session subscriber;
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "k");
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "s");
  assert_reply(a, "SET k text", "+OK\r\n");
  added_id(a, "XADD s * f v");
  assert_no_number(a, sb_bytes_of("k"), "-ERR value is not an integer or out of range\r\n");
  assert_no_number(a, sb_bytes_of("s"),
                   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
  assert_output(&subscriber, "");
  assert_reply(b, "GET k", "$4\r\ntext\r\n");
  assert_reply(b, "XLEN s", ":1\r\n");
  assert_equal_states(a, b);
  session_close(b, &subscriber);
}

/* ---- one payload to several channels ---- */

static enum sb_result publish_each(struct node *node, struct sb_session *session, const char *payload) {
  const struct sb_bytes channels[] = {sb_bytes_of(name_in(node, 0, 0)), sb_bytes_of(name_in(node, 1, 0)),
                                      sb_bytes_of(name_in(node, 0, 1))};
  return sb_core_publish_each(node->core, session, channels, 3, sb_bytes_of(payload), sb_bytes_of("$-1\r\n"));
}

static void several_channels_are_answered_once_when_all_logs_brought_it_back(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session, subscriber;
  char expected[120];
  session_open(a, &session, 2);
  session_open(a, &subscriber, 2);
  for (uint32_t p = 0; p < 2; p++) session_subscribe(a, &subscriber, SB_SUB_CHANNEL, name_in(a, p, 0));
  assert_int_equal(publish_each(a, &session, "text"), SB_DONE);
  assert_int_equal(sb_session_waiting(&session), 1);
  sb_core_turn(a->core);
  assert_true(core_read(a, 0));
  assert_output(&session, "");
  assert_int_equal(sb_session_waiting(&session), 1);
  assert_true(core_read(a, 1));
  assert_output(&session, "$-1\r\n");
  snprintf(
      expected, sizeof expected,
      "*3\r\n$7\r\nmessage\r\n$1\r\n%s\r\n$4\r\ntext\r\n*3\r\n$7\r\nmessage\r\n$1\r\n%s\r\n$4\r\ntext\r\n",
      name_in(a, 0, 0), name_in(a, 1, 0));
  assert_output(&subscriber, expected);
  core_run(hub);
  assert_output(&session, "");
  session_close(a, &session);
  session_close(a, &subscriber);
}

static void several_channels_wait_until_there_is_room_for_all(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  char payload[61] = {0};
  memset(payload, 'y', sizeof payload - 1);
  settings.outbox_bytes = 2000;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_session session, filler;
  session_open(a, &session, 2);
  session_open(a, &filler, 2);
  a->publish_result = SB_ERR_FULL;
  while (core_stats(a).outbox_bytes < settings.outbox_bytes - 200)
    assert_int_equal(session_publish(a, &filler, name_in(a, 0, 0), "x"), SB_DONE);
  uint64_t held = core_stats(a).outbox_bytes, published = core_stats(a).entries_published;
  assert_true(held + 3 * sizeof payload > settings.outbox_bytes);
  assert_int_equal(publish_each(a, &session, payload), SB_WAIT); /* though one of them would fit */
  assert_int_equal(core_stats(a).outbox_bytes, held);
  assert_int_equal(core_stats(a).entries_published, published);
  assert_int_equal(sb_session_waiting(&session), 0);
  uint32_t room = a->room;
  core_run(hub);
  assert_int_equal(a->room, room);
  a->publish_result = 0;
  keys_pass(hub, 100);
  assert_true(a->room > room);
  assert_int_equal(publish_each(a, &session, payload), SB_DONE);
  assert_true(core_stats(a).outbox_bytes <= settings.outbox_bytes);
  core_run(hub);
  assert_output(&session, "$-1\r\n");
  struct sb_buf replies = take_output(&filler);
  sb_buf_close(&replies);
  session_close(a, &session);
  session_close(a, &filler);
}

static void several_channels_that_never_fit_are_too_large(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  char payload[701] = {0};
  memset(payload, 'y', sizeof payload - 1);
  settings.outbox_bytes = 2000;
  struct node *a = keys_join_with(hub, &settings);
  struct sb_session session;
  session_open(a, &session, 2);
  assert_int_equal(publish_each(a, &session, payload), SB_REFUSED);
  assert_string_equal(
      sb_core_refusal(a->core),
      "3 messages of 2196 bytes together are more than the 2000 bytes of outbox.max_bytes, use "
      "fewer channels in one request");
  assert_int_equal(core_stats(a).outbox_bytes, 0);
  assert_int_equal(sb_session_waiting(&session), 0);
  session_close(a, &session);
}

/* ---- positions that another node gave out ---- */

/* A command with an id in the place of its @. */
static enum sb_result send_with_id(struct node *node, struct sb_session *session, const char *command,
                                   struct sb_id id) {
  char text[120], id_text[SB_ID_TEXT + 1];
  const char *at = strchr(command, '@');
  assert_non_null(at);
  id_text[sb_id_text(id, id_text)] = 0;
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - command), command, id_text, at + 1);
  return send_command(node, session, text);
}

static void assert_entries(struct sb_session *session, uint32_t count) {
  char head[16];
  struct sb_buf reply = take_output(session);
  sb_buf_append(&reply, "", 1);
  int len = snprintf(head, sizeof head, "*%u\r\n", count);
  assert_int_equal(strncmp((const char *)reply.data, head, (size_t)len), 0);
  sb_buf_close(&reply);
}

#define AHEAD_MS       500
#define AHEAD_PAUSE_MS 10000

static const char *const ranges[] = {"XRANGE s @ +", "XRANGE s (@ +", "XREVRANGE s + @"};

static void a_position_ahead_of_this_node_is_waited_for(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session;
  session_open(b, &session, 2);
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    b->up = false; /* it reads nothing */
    struct sb_id id = added_id(a, "XADD s * f v");
    added_id(a, "XADD s * f w");
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_WAIT);
    assert_true(sb_core_deadline(b->core) <= hub->now_ms + AHEAD_MS);
    core_pass(hub, AHEAD_MS - 50);
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_WAIT);
    b->up = true;
    uint32_t room = b->room;
    core_run(hub);
    assert_true(b->room > room);
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_DONE);
    assert_entries(&session, ranges[i][9] == '(' ? 1 : 2);
  }
  session_close(b, &session);
}

static void a_position_that_does_not_come_is_answered_with_what_is_there(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session;
  session_open(b, &session, 2);
  b->up = false;
  struct sb_id id = added_id(a, "XADD s * f v");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_WAIT);
    core_pass(hub, AHEAD_MS - 50);
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_WAIT);
    uint32_t room = b->room;
    core_pass(hub, 50);
    assert_true(b->room > room);
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_DONE);
    assert_output(&session, "*0\r\n");
    core_pass(hub, AHEAD_PAUSE_MS - 50); /* whoever makes such positions up does not hold up a session */
    assert_int_equal(send_with_id(b, &session, ranges[i], id), SB_DONE);
    assert_output(&session, "*0\r\n");
    core_pass(hub, 50);
  }
  session_close(b, &session);
}

/* Nobody asks any more, and nothing is planned for it. */
static void who_waits_for_a_position_and_goes_leaves_no_timer(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session;
  session_open(b, &session, 2);
  b->up = false;
  struct sb_id id = added_id(a, "XADD s * f v");
  assert_int_equal(send_with_id(b, &session, ranges[0], id), SB_WAIT);
  session_close(b, &session);
  core_pass(hub, AHEAD_MS);
  assert_int_equal(b->core->logs.readers_due_ms, UINT64_MAX);
  assert_true(sb_core_deadline(b->core) > hub->now_ms);
}

static void what_is_here_is_answered_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session;
  session_open(b, &session, 2);
  struct sb_id id = added_id(a, "XADD s * f v");
  assert_int_equal(send_with_id(b, &session, "XRANGE s @ +", id), SB_DONE);
  assert_entries(&session, 1);
  assert_int_equal(send_with_id(b, &session, "XRANGE s (@ +", id), SB_DONE); /* it has missed nothing */
  assert_output(&session, "*0\r\n");
  assert_int_equal(send_with_id(b, &session, "XREVRANGE s @ 1000-0 COUNT 1", id), SB_DONE);
  assert_entries(&session, 1);
  session_close(b, &session);
}

static void positions_that_no_node_can_have_given_out_are_answered_at_once(void **state) {
  static const char *const commands[] = {
      "XRANGE s 1800000000000-0 +",
      "XRANGE s + +",
      "XREVRANGE s + 1800000000000-0",
      "XRANGE s 18446744073709551615-18446744073709551615 +",
      "XRANGE s 1800000000000-1 1800000000000-0", /* holds nothing */
  };
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  added_id(a, "XADD s * f v");
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    assert_int_equal(send_command(a, &session, commands[i]), SB_DONE);
    assert_output(&session, "*0\r\n");
  }
  session_close(a, &session);
}

/* ---- readers need no room ---- */

/* It goes on reading its log, but what it publishes stays with it. */
static void keep_full(struct node *node, struct sb_session *filler) {
  node->publish_result = SB_ERR_FULL;
  session_open(node, filler, 2);
  while (session_publish(node, filler, "c", "x") == SB_DONE) continue;
}

static void assert_full(const struct node *node, const struct sb_core_settings *settings) {
  assert_true(core_stats(node).outbox_bytes > settings->outbox_bytes - settings->outbox_bytes / 8);
}

static void empty_again(struct node *node, struct sb_session *filler) {
  node->publish_result = 0;
  keys_pass(node->hub, 100);
  struct sb_buf replies = take_output(filler);
  assert_true(replies.len > 0);
  sb_buf_close(&replies);
  session_close(node, filler);
}

static struct sb_core_settings small_outbox(const struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = keys_settings(hub, name);
  settings.outbox_bytes = 1000;
  return settings;
}

static void who_waits_for_a_position_needs_no_room_in_the_outbox(void **state) {
  struct core_hub *hub = *state;
  const struct sb_core_settings settings = small_outbox(hub, "b");
  struct node *a = keys_join(hub, "a"), *b = keys_join_with(hub, &settings);
  struct sb_session session, filler;
  session_open(b, &session, 2);
  keep_full(b, &filler);
  for (int comes = 1; comes >= 0; comes--) {
    b->up = false;
    struct sb_id id = added_id(a, "XADD s * f v");
    assert_int_equal(send_with_id(b, &session, "XRANGE s @ +", id), SB_WAIT);
    b->up = comes;
    uint32_t room = b->room;
    core_pass(hub, comes ? 50 : AHEAD_MS);
    assert_true(b->room > room);
    assert_full(b, &settings);
    assert_int_equal(send_with_id(b, &session, "XRANGE s @ +", id), SB_DONE);
    assert_entries(&session, comes ? 1 : 0);
  }
  b->up = true;
  session_close(b, &session);
  empty_again(b, &filler);
}

static void who_waits_for_the_state_needs_no_room_in_the_outbox(void **state) {
  struct core_hub *hub = *state;
  const struct sb_core_settings settings = small_outbox(hub, "b");
  struct node *a = keys_join(hub, "a");
  struct sb_session session, filler;
  assert_reply(a, "SET k v", "+OK\r\n");
  a->up = false; /* it does not hear the HELLO */
  struct node *b = keys_start(hub, &settings);
  assert_false(sb_core_ready(b->core));
  session_open(b, &session, 2);
  keep_full(b, &filler);
  assert_int_equal(send_command(b, &session, "GET k"), SB_WAIT);
  core_run(hub);
  assert_int_equal(send_command(b, &session, "GET k"), SB_WAIT);
  uint32_t room = b->room;
  a->up = true;
  core_run(hub);
  assert_true(sb_core_ready(b->core));
  assert_true(b->room > room);
  assert_full(b, &settings);
  assert_int_equal(send_command(b, &session, "GET k"), SB_DONE);
  assert_output(&session, "$1\r\nv\r\n");
  session_close(b, &session);
  empty_again(b, &filler);
}

static void who_waits_for_prefill_needs_no_room_in_the_outbox(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = small_outbox(hub, "b");
  struct node *a = keys_join(hub, "a");
  struct sb_session session, filler;
  added_id(a, "XADD s * f v");
  settings.history_prefill = true;
  keys_world.silent = true;
  struct node *b = keys_start(hub, &settings);
  keys_pass(hub, 100);
  assert_true(sb_core_ready(b->core));
  session_open(b, &session, 2);
  keep_full(b, &filler);
  assert_int_equal(send_command(b, &session, "XLEN s"), SB_WAIT);
  uint32_t room = b->room;
  keys_world.silent = false;
  keys_pass(hub, 100);
  assert_true(b->room > room);
  assert_full(b, &settings);
  assert_int_equal(send_command(b, &session, "XLEN s"), SB_DONE);
  assert_output(&session, ":1\r\n");
  session_close(b, &session);
  empty_again(b, &filler);
}

/* ---- large replies ---- */

#define TOO_LARGE "-ERR reply is too large for limits.output.hard_bytes, use COUNT or fewer commands\r\n"

static enum sb_result send_exec(struct node *node, struct sb_session *session, const char *const *commands,
                                uint32_t count, bool writes) {
  struct sb_buf entries = {0}, reply = {0};
  for (uint32_t i = 0; i < count; i++) append_command(&entries, commands[i]);
  enum sb_result result = sb_core_exec(node->core, session, 0, sb_buf_bytes(&entries), count, writes, &reply);
  if (reply.len > 0) assert_true(sb_core_reply(node->core, session, sb_buf_bytes(&reply)));
  sb_buf_close(&reply);
  sb_buf_close(&entries);
  core_run(node->hub);
  return result;
}

static void a_reply_that_no_session_may_be_sent_is_an_error(void **state) {
  static const char *const too_large[] = {"XRANGE s - +", "XREVRANGE s + -", "XREAD STREAMS s 0",
                                          "XREAD STREAMS s s 0 0"};
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.output_hard_bytes = 1000;
  struct node *a = keys_join_with(hub, &settings);
  char command[400], value[300] = {0};
  memset(value, 'x', sizeof value - 1);
  snprintf(command, sizeof command, "XADD s * f %s", value);
  for (int i = 0; i < 5; i++) added_id(a, command);
  for (size_t i = 0; i < sizeof too_large / sizeof too_large[0]; i++)
    assert_reply(a, too_large[i], TOO_LARGE);
  static const char *const reads[] = {"XREAD COUNT 2 STREAMS s 0", "XREAD COUNT 2 STREAMS s 0"};
  struct sb_session session;
  session_open(a, &session, 2);
  assert_int_equal(send_exec(a, &session, reads, 2, false), SB_DONE);
  struct sb_buf both = take_output(&session);
  assert_in_range(both.len, 600, 1000);
  sb_buf_append(&both, "", 1);
  assert_non_null(strstr((const char *)both.data, TOO_LARGE));
  sb_buf_close(&both);
  session_close(a, &session);
  struct sb_buf reply = reply_to(a, "XRANGE s - + COUNT 2");
  assert_int_equal(reply.data[0], '*');
  assert_true(reply.len > 600);
  sb_buf_close(&reply);
}

/* Nobody would read it, and there may be a batch full of such writes. */
static void what_a_session_that_takes_no_more_has_written_is_not_told(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  assert_reply(a, "SET k old", "+OK\r\n");
  session_open(a, &session, 2);
  assert_int_equal(send_command(a, &session, "SET k new XX GET"), SB_DONE);
  sb_core_session_drop(a->core, &session);
  keys_run(hub);
  assert_int_equal(a->core->logs.reply.len, 0);
  session_close(a, &session);
  assert_reply(a, "GET k", "$3\r\nnew\r\n");
}

/* What is done is done; what is too much to be told is told to be so. */
static void a_transaction_replies_no_more_than_a_session_may_be_sent(void **state) {
  static const char *const commands[] = {"GET k", "GET k", "GET k", "GET k", "SET k v", "GET k"};
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.output_hard_bytes = 1200;
  struct node *a = keys_join_with(hub, &settings);
  char set[400], expected[1400], value[300] = {0};
  memset(value, 'x', sizeof value - 1);
  snprintf(set, sizeof set, "SET k %s", value);
  for (int writes = 0; writes < 2; writes++) {
    struct sb_session session;
    assert_reply(a, set, "+OK\r\n");
    session_open(a, &session, 2);
    assert_int_equal(send_exec(a, &session, commands, writes ? 6 : 4, writes), SB_DONE);
    snprintf(expected, sizeof expected, "*%d\r\n$299\r\n%s\r\n$299\r\n%s\r\n$299\r\n%s\r\n%s%s",
             writes ? 6 : 4, value, value, value, TOO_LARGE, writes ? "+OK\r\n$1\r\nv\r\n" : "");
    assert_output(&session, expected);
    session_close(a, &session);
  }
  assert_reply(a, "GET k", "$1\r\nv\r\n");
}

/* Each would have to be read as far as it fits: so little asks for that much work. */
static void behind_a_range_that_does_not_fit_no_other_is_read_in_a_transaction(void **state) {
  static const char *const commands[] = {"XRANGE s - + COUNT 1", "XRANGE s - +", "XRANGE s - + COUNT 1",
                                         "XREAD STREAMS s 0-0",  "XLEN s",       "SET k v"};
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  char value[300] = {0}, add[400], begin[400], id[SB_ID_TEXT + 1];
  settings.output_hard_bytes = 1200;
  struct node *a = keys_join_with(hub, &settings);
  memset(value, 'x', sizeof value - 1);
  snprintf(add, sizeof add, "XADD s * f %s", value);
  struct sb_id first = added_id(a, add);
  for (int i = 0; i < 4; i++) added_id(a, add);
  id[sb_id_text(first, id)] = 0;
  for (int writes = 0; writes < 2; writes++) {
    struct sb_session session;
    session_open(a, &session, 2);
    assert_int_equal(send_exec(a, &session, commands, writes ? 6 : 5, writes), SB_DONE);
    struct sb_buf reply = take_output(&session);
    sb_buf_append(&reply, "", 1);
    snprintf(begin, sizeof begin, "*%d\r\n*1\r\n*2\r\n$%zu\r\n%s\r\n*2\r\n$1\r\nf\r\n", writes ? 6 : 5,
             strlen(id), id);
    assert_memory_equal(reply.data, begin, strlen(begin));
    assert_non_null(strstr((const char *)reply.data, "\r\n-ERR"));
    assert_string_equal(strstr((const char *)reply.data, "\r\n-ERR"),
                        writes ? "\r\n" TOO_LARGE TOO_LARGE TOO_LARGE ":5\r\n+OK\r\n"
                               : "\r\n" TOO_LARGE TOO_LARGE TOO_LARGE ":5\r\n");
    sb_buf_close(&reply);
    session_close(a, &session);
  }
}

int main(void) {
#define TEST(name)     cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
#define TEST_TWO(name) cmocka_unit_test_setup_teardown(name, set_up_two_logs, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(numbers_grow_whichever_node_is_asked_and_are_published),
      TEST(a_number_above_all_is_an_error_and_leaves_its_key),
      TEST(a_number_is_above_what_its_key_held_and_leaves_its_expiry),
      TEST(a_reply_that_no_session_may_be_sent_is_an_error),
      TEST(what_a_session_that_takes_no_more_has_written_is_not_told),
      TEST(a_transaction_replies_no_more_than_a_session_may_be_sent),
      TEST(behind_a_range_that_does_not_fit_no_other_is_read_in_a_transaction),
      TEST(numbers_do_not_fall_when_a_log_begins_anew),
      TEST(a_number_for_a_name_that_is_too_long_is_refused_and_stops_nothing),
      TEST(what_is_no_number_gets_none_and_nothing_is_published),
      TEST_TWO(several_channels_are_answered_once_when_all_logs_brought_it_back),
      TEST_TWO(several_channels_wait_until_there_is_room_for_all),
      TEST_TWO(several_channels_that_never_fit_are_too_large),
      TEST(a_position_ahead_of_this_node_is_waited_for),
      TEST(a_position_that_does_not_come_is_answered_with_what_is_there),
      TEST(who_waits_for_a_position_and_goes_leaves_no_timer),
      TEST(what_is_here_is_answered_at_once),
      TEST(positions_that_no_node_can_have_given_out_are_answered_at_once),
      TEST(who_waits_for_a_position_needs_no_room_in_the_outbox),
      TEST(who_waits_for_the_state_needs_no_room_in_the_outbox),
      TEST(who_waits_for_prefill_needs_no_room_in_the_outbox),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
