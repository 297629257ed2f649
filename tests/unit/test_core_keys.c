/* Keys and streams through the log: what a MULTI does and what a malformed one does not, ids, time. */
#include "tests/unit/keys_fixture.h"

#define MULTI_HEAD "*2\r\n$5\r\nMULTI\r\n"

/* ---- MULTI as others may write it ---- */

static const char *const hostile[] = {
    /* one argument that is no entry, half of one, more than one, none */
    MULTI_HEAD "$1\r\nx\r\n",
    MULTI_HEAD "$18\r\n*2\r\n$4\r\nINCR\r\n$1\r\n\r\n",
    MULTI_HEAD "$42\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n",
    MULTI_HEAD "$0\r\n\r\n",
    /* lengths that lie: the entry is longer, or shorter, than its argument */
    MULTI_HEAD "$20\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n",
    MULTI_HEAD "$22\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n",
    "*3\r\n$5\r\nMULTI\r\n$14\r\n*2\r\n$4\r\nINCR\r\n\r\n$21\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n",
    /* an entry that reaches over the end of its argument into the next one */
    "*3\r\n$5\r\nMULTI\r\n$18\r\n*2\r\n$4\r\nINCR\r\n$28\r\n\r\n$21\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n",
    /* one within another; what does not belong there */
    MULTI_HEAD "$43\r\n*2\r\n$5\r\nMULTI\r\n$21\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n\r\n\r\n",
    MULTI_HEAD "$28\r\n*2\r\n$7\r\nSIDEBUS\r\n$4\r\nPING\r\n\r\n",
    MULTI_HEAD "$25\r\n*2\r\n$8\r\nFLUSHALL\r\n$1\r\nk\r\n\r\n",
    MULTI_HEAD "$21\r\n*2\r\n$4\r\nincr\r\n$1\r\nk\r\n\r\n",
};

static void a_batch_with_a_malformed_multi_has_no_effect(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_buf body = {0};
  ghost_joins(hub);
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
    sb_buf_clear(&body);
    append_command(&body, "SET before 1");
    sb_buf_text(&body, hostile[i]);
    append_command(&body, "SET behind 1");
    ghost_says(a, 1, 3, sb_buf_bytes(&body), 0);
    if (core_stats(a).batches_malformed != i + 1) print_message("%s\n", hostile[i]);
    assert_int_equal(core_stats(a).batches_malformed, i + 1);
  }
  assert_reply(a, "EXISTS before behind k", ":0\r\n");
  sb_buf_clear(&body);
  append_command(&body, "INCR k");
  ghost_says(a, 1, 1, sb_buf_bytes(&body), 0); /* its number is still to come */
  assert_reply(a, "GET k", "$1\r\n1\r\n");
  sb_buf_close(&body);
}

static void a_multi_is_as_long_as_it_says(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_buf body = {0};
  static const char *const commands[] = {"INCR k", "PING x", "GET k", "ECHO y", "XREAD STREAMS s $"};
  ghost_joins(hub);
  append_multi(&body, commands, 5);
  ghost_says(a, 1, 1, sb_buf_bytes(&body), 0);
  assert_int_equal(core_stats(a).batches_malformed, 0);
  assert_reply(a, "GET k", "$1\r\n1\r\n");
  sb_buf_close(&body);
}

/* ---- one that a session sends ---- */

static void exec_is_answered_as_a_whole_in_its_place(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session, subscriber;
  struct sb_buf entries = {0}, reply = {0};
  session_open(a, &session, 2);
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  append_command(&entries, "SET k 1");
  append_command(&entries, "INCR k");
  append_command(&entries, "PUBLISH c hello");
  append_command(&entries, "INCR s");
  append_command(&entries, "XADD s * f v");
  append_command(&entries, "GET k");
  assert_int_equal(sb_core_exec(a->core, &session, 0, sb_buf_bytes(&entries), 6, true, &reply), SB_DONE);
  assert_int_equal(reply.len, 0);
  core_run(hub);
  assert_output(&session,
                "*6\r\n+OK\r\n:2\r\n:1\r\n:1\r\n-WRONGTYPE Operation against a key holding the wrong "
                "kind of value\r\n$1\r\n2\r\n");
  assert_output(&subscriber, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
  assert_equal_states(a, b);
  sb_buf_close(&entries);
  session_close(a, &session);
  session_close(b, &subscriber);
}

/* All of it or nothing: a client that looks at the reply to EXEC only is not told of a part that was refused.
 */
static void a_multi_that_would_not_fit_is_not_run_at_all(void **state) {
  static const size_t left = 600;
  static const char aborted[] = "-EXECABORT Transaction discarded because of: OOM command not allowed when "
                                "used memory > 'maxmemory'.\r\n";
  struct core_hub *hub = *state;
  struct node *nodes[] = {keys_join(hub, "a"), keys_join(hub, "b")};
  struct sb_session session, subscriber;
  struct sb_buf entries = {0}, reply = {0}, filling = {0};
  sb_buf_reserve(&filling, SB_KEYS_BYTES_MAX);
  memset(filling.data, 'x', filling.cap);
  filling.len = SB_KEYS_BYTES_MAX - SB_KEY_OVERHEAD - strlen("big") - left;
  for (int i = 0; i < 2; i++)
    assert_true(
        sb_keys_set_string(&keys_part(nodes[i])->state.keys, sb_bytes_of("big"), sb_buf_bytes(&filling), 0));
  session_open(nodes[0], &session, 2);
  session_open(nodes[1], &subscriber, 2);
  session_subscribe(nodes[1], &subscriber, SB_SUB_CHANNEL, "c");

  append_command(&entries, "PUBLISH c hello");
  append_command(&entries, "INCR one");
  append_command(&entries, "XADD two * f v");
  append_command(&entries, "SET three v");
  append_command(&entries, "SETNX four v");
  assert_int_equal(sb_core_exec(nodes[0]->core, &session, 0, sb_buf_bytes(&entries), 5, true, &reply),
                   SB_DONE);
  core_run(hub);
  assert_output(&session, aborted);
  assert_output(&subscriber, "");
  assert_reply(nodes[1], "EXISTS one two three four", ":0\r\n");

  sb_buf_clear(&entries);
  append_command(&entries, "INCR one");
  append_command(&entries, "SET big small");
  append_command(&entries, "DEL big");
  assert_int_equal(sb_core_exec(nodes[0]->core, &session, 0, sb_buf_bytes(&entries), 3, true, &reply),
                   SB_DONE);
  core_run(hub);
  assert_output(&session, "*3\r\n:1\r\n+OK\r\n:1\r\n");
  assert_equal_states(nodes[0], nodes[1]);
  sb_buf_close(&entries);
  sb_buf_close(&filling);
  session_close(nodes[0], &session);
  session_close(nodes[1], &subscriber);
}

static void ids_count_on_through_a_multi(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_buf body = {0};
  static const char *const commands[] = {"SPUBLISH c x", "PUBLISH c 1", "XADD c * f 2",
                                         "XADD none NOMKSTREAM * f v", "XADD c * f 4"};
  char expected[400];
  ghost_joins(hub);
  append_command(&body, "PUBLISH c 0");
  append_multi(&body, commands, 5);
  append_command(&body, "SPUBLISH c x");
  append_command(&body, "XADD c * f 5");
  ghost_says(a, 1, 4, sb_buf_bytes(&body), 0);
  sb_buf_close(&body);
  struct sb_id id = sb_id_at(keys_part(a)->state.generation, keys_part(a)->applied, 0);
  struct sb_buf reply = reply_to(a, "XRANGE c - +");
  const char *at = (const char *)reply.data;
  static const uint8_t indexes[] = {0, 1, 2, 4, 5};
  assert_memory_equal(at, "*5\r\n", 4);
  for (int i = 0; i < 5; i++) { /* 3 was taken by the one that was not added */
    snprintf(expected, sizeof expected, "\r\n%llu-%llu\r\n", (unsigned long long)id.ms,
             (unsigned long long)id.seq + indexes[i]);
    assert_non_null(at = strstr(at, expected));
  }
  sb_buf_close(&reply);
}

/* ---- time ---- */

static void keys_expire_by_log_time_and_not_by_the_clock(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_buf body = {0};
  assert_reply(a, "SET k v PX 60000", "+OK\r\n");
  sb_core_now(a->core, hub->now_ms, UINT64_C(1800000000000)); /* somebody sets the clock */
  assert_reply(a, "GET k", "$1\r\nv\r\n");
  ghost_joins(hub);
  append_command(&body, "SET other 1");
  ghost_says(a, 1, 1, sb_buf_bytes(&body), 59000);
  assert_reply(b, "GET k", "$1\r\nv\r\n");
  ghost_says(a, 2, 1, sb_buf_bytes(&body), 1000); /* no time has passed here, but in the log it has */
  assert_reply(a, "GET k", "$-1\r\n");
  assert_reply(b, "GET k", "$-1\r\n");
  assert_int_equal(keys_part(a)->state.keys.table.count, 1);
  assert_equal_states(a, b);
  sb_buf_close(&body);
}

static void a_key_is_gone_for_readers_when_log_time_says_so_though_nothing_comes(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k v PX 1000", "+OK\r\n");
  added_id(a, "XADD s * f v");
  assert_reply(a, "PEXPIRE s 1000", ":1\r\n");
  keys_pass(hub, 950);
  assert_reply(a, "EXISTS k s", ":2\r\n");
  keys_pass(hub, 50);
  assert_reply(a, "EXISTS k s", ":0\r\n");
  assert_reply(a, "XRANGE s - +", "*0\r\n");
  assert_reply(a, "PTTL k", ":-2\r\n");
}

static void what_depends_on_a_key_is_decided_in_the_order_of_the_log(void **state) {
  struct core_hub *hub = *state;
  struct node *nodes[] = {keys_join(hub, "a"), keys_join(hub, "b"), keys_join(hub, "c")};
  struct sb_session sessions[3];
  uint32_t taken = 0;
  for (int n = 0; n < 3; n++) {
    session_open(nodes[n], &sessions[n], 2);
    assert_int_equal(send_command(nodes[n], &sessions[n], "SET lock mine NX PX 5000"), SB_DONE);
  }
  core_run(hub);
  for (int n = 0; n < 3; n++) {
    struct sb_buf reply = take_output(&sessions[n]);
    taken += sb_bytes_equal(sb_buf_bytes(&reply), sb_bytes_of("+OK\r\n"));
    sb_buf_close(&reply);
    session_close(nodes[n], &sessions[n]);
  }
  assert_int_equal(taken, 1);
  assert_equal_states(nodes[0], nodes[1]);
  assert_equal_states(nodes[0], nodes[2]);
}

/* ---- joining ---- */

static void a_joiner_gets_the_keys_with_the_snapshot(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.snapshot_piece_bytes = 50;
  struct node *a = keys_join_with(hub, &settings);
  assert_reply(a, "SET k v", "+OK\r\n");
  assert_reply(a, "SET gone v PX 100", "+OK\r\n");
  assert_reply(a, "SET told v PXAT 99999999999123", "+OK\r\n");
  added_id(a, "XADD s * f v");
  assert_reply(a, "PEXPIRE s 100000", ":1\r\n");
  keys_pass(hub, 200);
  struct node *b = keys_join(hub, "b");
  assert_equal_states(a, b);
  assert_reply(b, "GET k", "$1\r\nv\r\n");
  assert_reply(b, "PEXPIRETIME told", ":99999999999123\r\n");
  assert_reply(b, "GET gone", "$-1\r\n");
  assert_reply(b, "TYPE s", "+stream\r\n");
  assert_reply(b, "INCR n", ":1\r\n");
  assert_equal_states(a, b);
}

/* ---- ids with messages ---- */

static void a_session_that_wants_them_gets_ids_with_its_messages(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session with, without, old, publisher;
  char text[64], expected[300];
  session_open(a, &with, 3);
  session_open(a, &without, 3);
  session_open(a, &old, 2);
  session_open(a, &publisher, 2);
  with.ids = old.ids = true; /* RESP2 has no attributes */
  session_subscribe(a, &with, SB_SUB_CHANNEL, "c");
  session_subscribe(a, &with, SB_SUB_SHARD, "c");
  session_subscribe(a, &without, SB_SUB_CHANNEL, "c");
  session_subscribe(a, &old, SB_SUB_CHANNEL, "c");
  session_publish(a, &publisher, "c", "1");
  assert_int_equal(sb_core_publish(a->core, &publisher, SB_SPUBLISH, sb_bytes_of("c"), sb_bytes_of("2")),
                   SB_DONE);
  session_publish(a, &publisher, "c", "3");
  core_run(hub);
  struct sb_id id = sb_id_at(keys_part(a)->state.generation, keys_part(a)->applied, 0);
  text[sb_id_text(id, text)] = 0;
  int len = snprintf(expected, sizeof expected,
                     "|1\r\n$2\r\nid\r\n$%zu\r\n%s\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n"
                     ">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n",
                     strlen(text), text);
  id.seq++; /* a sharded message takes none */
  text[sb_id_text(id, text)] = 0;
  snprintf(expected + len, sizeof expected - (size_t)len,
           "|1\r\n$2\r\nid\r\n$%zu\r\n%s\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n3\r\n", strlen(text),
           text);
  assert_output(&with, expected);
  assert_output(&without,
                ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n3\r\n");
  assert_output(&old,
                "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n3\r\n");
  assert_output(&publisher, ":3\r\n:1\r\n:3\r\n");
  session_close(a, &with);
  session_close(a, &without);
  session_close(a, &old);
  session_close(a, &publisher);
}

/* ---- time ---- */

/* A program that may write to the log joins, and says that it is tomorrow. */
static void who_says_that_it_is_tomorrow_ends_no_key(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_buf ping = {0};
  append_command(&ping, "PING");
  assert_reply(a, "SET k v EX 3600", "+OK\r\n");
  ghost_joins(hub);
  for (uint64_t i = 1; i <= 40; i++) { /* while nodes say their own */
    ghost_says(a, i, 1, sb_buf_bytes(&ping), 86400000);
    keys_pass(hub, LEASE_MS / 10);
  }
  sb_buf_close(&ping);
  assert_int_equal(keys_part(a)->state.members.count, 3);
  assert_in_range(keys_part(a)->state.time_ms - keys_part(a)->state.elder_ms, 1, SB_TIME_AHEAD_MS);
  assert_true(keys_part(a)->state.time_ms - sb_partition_clock(keys_part(a)) <= SB_TIME_AHEAD_MS);
  assert_reply(b, "GET k", "$1\r\nv\r\n");
  assert_reply(a, "SET k w NX", "$-1\r\n");
}

/* Where nobody has written for long, what another than the eldest says of time counts in full as soon as the
 * eldest, who reads it, says the same. */
static void log_time_catches_up_behind_a_long_silence(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  char name[64], command[96];
  snprintf(name, sizeof name, "%s", name_in(b, 1, 0));
  snprintf(command, sizeof command, "SET %s v EX 600", name);
  assert_reply(b, command, "+OK\r\n");
  keys_pass(hub, 3 * SB_TIME_AHEAD_MS);
  size_t silent = hub->logs[1].count;
  snprintf(command, sizeof command, "SET %s w NX", name);
  assert_reply(b, command, "$-1\r\n"); /* 300 s beyond the last word of the eldest */
  keys_run(hub);
  const struct sb_state *known = &a->core->logs.partitions[1].state;
  assert_int_equal(known->elder_ms, known->time_ms);
  assert_true(known->time_ms >= 1700000000000 + hub->now_ms - 1000);
  assert_int_equal(hub->logs[1].count, silent + 2); /* one word of the eldest was enough */
  assert_reply(b, command, "+OK\r\n");
}

static int two_partitions(void **state) {
  return keys_set_up_with(state, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_batch_with_a_malformed_multi_has_no_effect, keys_set_up,
                                      keys_tear_down),
      cmocka_unit_test_setup_teardown(a_multi_is_as_long_as_it_says, keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(exec_is_answered_as_a_whole_in_its_place, keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(a_multi_that_would_not_fit_is_not_run_at_all, keys_set_up,
                                      keys_tear_down),
      cmocka_unit_test_setup_teardown(ids_count_on_through_a_multi, keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(keys_expire_by_log_time_and_not_by_the_clock, keys_set_up,
                                      keys_tear_down),
      cmocka_unit_test_setup_teardown(a_key_is_gone_for_readers_when_log_time_says_so_though_nothing_comes,
                                      keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(what_depends_on_a_key_is_decided_in_the_order_of_the_log, keys_set_up,
                                      keys_tear_down),
      cmocka_unit_test_setup_teardown(a_joiner_gets_the_keys_with_the_snapshot, keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(a_session_that_wants_them_gets_ids_with_its_messages, keys_set_up,
                                      keys_tear_down),
      cmocka_unit_test_setup_teardown(who_says_that_it_is_tomorrow_ends_no_key, keys_set_up, keys_tear_down),
      cmocka_unit_test_setup_teardown(log_time_catches_up_behind_a_long_silence, two_partitions,
                                      keys_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
