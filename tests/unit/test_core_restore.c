/* Keys of a log that was lost, where one founds the next who has just started and has none: members that hold
 * them restore them. */
#include "tests/unit/keys_fixture.h"

/* Both hold what was in the log; it is made anew while they cannot reach it, and `c` founds it. */
static struct node *founded_by_another(struct core_hub *hub, struct node *a, struct node *b) {
  core_links(a, false);
  core_links(b, false);
  renew(hub);
  keys_pass(hub, 1);
  struct node *c = keys_join(hub, "c");
  assert_false(last_genesis_keeps_keys(hub));
  assert_int_equal(keys_part(c)->state.keys.table.count, 0);
  return c;
}

static void comes_back(struct node *node) {
  notices(node);
  core_links(node, true);
}

static void members_restore_what_a_fresh_founder_does_not_have(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  assert_reply(a, "SET soon x PX 20000", "+OK\r\n");
  assert_reply(a, "SET later x PX 60000", "+OK\r\n");
  struct sb_id id = added_id(b, "XADD s * f v");
  keys_pass(hub, 12000);
  struct node *c = founded_by_another(hub, a, b);
  keys_pass(hub, 12000);
  comes_back(a);
  comes_back(b);
  keys_pass(hub, 500);
  assert_equal_states(a, c);
  assert_equal_states(b, c);
  assert_reply(c, "GET k", "$1\r\n1\r\n");
  assert_reply(c, "GET soon", "$-1\r\n");
  assert_reply(c, "GET later", "$1\r\nx\r\n");
  keys_pass(hub, 40000);
  assert_reply(c, "GET later", "$-1\r\n");
  assert_true(sb_id_compare(added_id(c, "XADD s * f v"), id) > 0);
  assert_reply(c, "XLEN s", ":1\r\n");
}

/* What it holds is of before. */
static void what_was_written_since_stays(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k old", "+OK\r\n");
  assert_reply(a, "SET l old", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  assert_reply(c, "SET k new", "+OK\r\n");
  comes_back(a);
  comes_back(b);
  keys_pass(hub, 500);
  assert_equal_states(a, c);
  assert_reply(b, "GET k", "$3\r\nnew\r\n");
  assert_reply(b, "GET l", "$3\r\nold\r\n");
}

/* What a session had asked for before the loss is run behind what is restored. */
static void they_are_there_before_what_waits_to_be_sent(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_session session;
  assert_reply(a, "SET k 41", "+OK\r\n");
  session_open(a, &session, 2);
  core_links(a, false);
  assert_int_equal(send_command(a, &session, "INCR k"), SB_DONE);
  struct node *c = founded_by_another(hub, a, b);
  comes_back(a);
  keys_pass(hub, 500);
  assert_output(&session, ":42\r\n");
  assert_reply(c, "GET k", "$2\r\n42\r\n");
  session_close(a, &session);
}

static void one_restores_and_others_have_nothing_to_add(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  comes_back(a);
  keys_pass(hub, 500);
  assert_reply(c, "DEL k", ":1\r\n");
  comes_back(b);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(b, c);
  assert_reply(b, "EXISTS k", ":0\r\n");
  assert_true(sb_id_is_none(keys_part(b)->held.upto));
}

static void who_holds_less_waits_for_who_holds_more(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  b->up = false; /* it reads no more */
  assert_reply(a, "SET k 2", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  notices(a); /* its HELLO stands before that of b */
  notices(b);
  core_links(a, true);
  sb_core_turn(a->core);
  core_links(b, true);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(a, b);
  assert_reply(c, "GET k", "$1\r\n2\r\n");
}

static void but_not_for_ever(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  b->up = false;
  assert_reply(a, "SET k 2", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  notices(a);
  core_links(a, true);
  sb_core_turn(a->core);
  kill_node(a);
  comes_back(b);
  keys_pass(hub, FOUND_MS - 100);
  assert_reply(c, "GET k", "$-1\r\n");
  keys_pass(hub, 200);
  assert_reply(c, "GET k", "$1\r\n1\r\n");
}

static void what_is_old_is_not_restored(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  keys_pass(hub, SB_RESTORE_MS + 1000);
  assert_reply(c, "SET l 1", "+OK\r\n");
  comes_back(a);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(a, c);
  assert_reply(a, "EXISTS k l", ":1\r\n");
  assert_true(sb_id_is_none(keys_part(a)->held.upto));
}

/* It is the same log, and others know better what became of the keys. */
static void behind_a_gap_nothing_is_restored(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  core_links(b, false);
  assert_reply(a, "DEL k", ":1\r\n");
  sb_core_attached(b->core, 0, SB_ATTACH_GAP);
  core_links(b, true);
  keys_pass(hub, 2 * FOUND_MS);
  assert_equal_states(a, b);
  assert_reply(b, "EXISTS k", ":0\r\n");
}

/* The next log is deleted too, before anything was restored into it. */
static void what_was_not_restored_yet_is_held_on(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  a->lose = true;
  notices(a); /* it follows, and what it says is lost */
  core_links(a, true);
  keys_pass(hub, 500);
  assert_reply(c, "SET l 1", "+OK\r\n");
  assert_true(sb_partition_is_ready(keys_part(a)));
  kill_node(c);
  a->lose = false;
  renew(hub);
  notices(a);
  keys_pass(hub, 2 * FOUND_MS);
  assert_reply(a, "GET k", "$1\r\n1\r\n");
  assert_reply(a, "GET l", "$1\r\n1\r\n");
}

static void large_ones_travel_in_parts(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  struct sb_buf command = {0}, reply;
  sb_buf_text(&command, "SET k ");
  for (int i = 0; i < 3000; i++) sb_buf_text(&command, "x");
  sb_buf_append(&command, "", 1);
  assert_reply(a, (const char *)command.data, "+OK\r\n");
  struct node *c = founded_by_another(hub, a, b);
  a->takes_bytes = 1000;
  comes_back(a);
  keys_pass(hub, 2 * FOUND_MS);
  reply = reply_to(c, "GET k");
  assert_memory_equal(reply.data, "$3000\r\nxxx", 10);
  sb_buf_close(&reply);
  sb_buf_close(&command);
}

/* ---- what a founder brings, and others after it ---- */

static void says(struct core_hub *hub, const char *name, uint64_t nonce, const char *text) {
  struct sb_bytes args[WORDS_MAX];
  struct sb_buf body = {0};
  struct sb_envelope envelope = {
      .version = SB_WIRE_VERSION, .count = 1, .time_ms = 1700000000000 + hub->now_ms};
  snprintf(envelope.node, sizeof envelope.node, "%s", name);
  envelope.incarnation = (struct sb_incarnation){1700000000000, nonce};
  sb_entry_append(&body, args, split_words(text, args));
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_close(&body);
}

static void begins_to_bring(struct core_hub *hub, const char *name, uint64_t nonce, uint64_t hello_at,
                            const char *parts, const char *key) {
  char text[120];
  snprintf(text, sizeof text,
           "SIDEBUS KEYS %llu 0 %s *4\r\n$6\r\nSTRING\r\n$1\r\n%s\r\n$1\r\n1\r\n$1\r\n0\r\n",
           (unsigned long long)hello_at, parts, key);
  says(hub, name, nonce, text);
}

/* A SNAPSHOT of what the node has applied, which it did not send itself. */
static void sends_state_of(struct core_hub *hub, const struct node *node) {
  struct sb_buf text = {0}, body = {0};
  char as_of[20];
  sb_state_write(&keys_part(node)->state, &text);
  const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"),
                                  sb_bytes_of("SNAPSHOT"),
                                  sb_bytes(as_of, sb_u64_text(keys_part(node)->applied, as_of)),
                                  sb_bytes_of("0"),
                                  sb_bytes_of("1"),
                                  sb_buf_bytes(&text)};
  const struct sb_envelope envelope = {.version = SB_WIRE_VERSION, .count = 1, .node = "s"};
  sb_entry_append(&body, args, 6);
  core_append(hub, 0, &envelope, sb_buf_bytes(&body));
  sb_buf_close(&body);
  sb_buf_close(&text);
}

/* The founding is void, and moves the mark only if the keys that it brings were there; by the time that the
 * joiner applies it, others have begun to bring more than are put together. */
static void what_was_brought_is_known_to_a_joiner_however_long_it_waits(void **state) {
  struct core_hub *hub = *state;
  static const char *const late[] = {"q", "r", "s", "t"};
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 1", "+OK\r\n");
  a->lose = true; /* nobody answers */
  const struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  struct core_log *log = &hub->logs[0];
  uint64_t hello_at = 10 * (log->count + 1);
  char genesis[120];
  snprintf(genesis, sizeof genesis,
           "SIDEBUS GENESIS %llu 1800000000000 1 brought 00112233445566778899aabbccddeeff",
           (unsigned long long)hello_at);
  b->up = false;
  says(hub, "p", 1, "SIDEBUS HELLO 1 1");
  begins_to_bring(hub, "p", 1, hello_at, "1", "b");
  says(hub, "s", 9, "SIDEBUS SNAPSHOT 0 0 1 x");
  keys_run(hub);
  size_t state_at = log->count;
  sends_state_of(hub, a);
  struct message state_message = log->at[--log->count]; /* it comes late */
  says(hub, "p", 1, genesis);
  for (uint64_t i = 0; i < 4; i++) begins_to_bring(hub, late[i], 2 + i, hello_at, "2", "z");
  log->at[log->count] = state_message;
  log->at[log->count].sequence = 10 * (log->count + 1);
  log->count++;
  assert_true(log->count > state_at + 5);
  b->up = true;
  keys_run(hub);
  assert_equal_states(a, b);
  assert_int_equal(core_stats(b).gaps, 0);
  assert_int_equal(keys_part(b)->state.mark, 10 * log->count + 1);
}

/* A SNAPSHOT stands between its HELLO and the founding: that is void for who read the keys and for who came
 * behind them. */
static void a_void_founding_moves_the_mark_of_who_did_not_read_its_keys_too(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  uint64_t hello_at = 10 * (hub->logs[0].count + 1);
  char genesis[120];
  snprintf(genesis, sizeof genesis,
           "SIDEBUS GENESIS %llu 1800000000000 1 brought 00112233445566778899aabbccddeeff",
           (unsigned long long)hello_at);
  says(hub, "p", 1, "SIDEBUS HELLO 1 1");
  begins_to_bring(hub, "p", 1, hello_at, "1", "b");
  assert_reply(a, "SET k 1", "+OK\r\n");
  struct node *b = keys_join(hub, "b");
  says(hub, "p", 1, genesis);
  keys_run(hub);
  assert_equal_states(a, b);
  assert_int_equal(keys_part(b)->state.mark, 10 * hub->logs[0].count + 1);
}

/* None of its parts, or the last one, came. */
static void a_founding_whose_keys_are_not_there_is_not_there(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a"), *b = keys_join(hub, "b");
  for (int i = 0; i < 2; i++) {
    uint64_t hello_at = 10 * (hub->logs[0].count + 1), mark;
    char genesis[120];
    snprintf(genesis, sizeof genesis,
             "SIDEBUS GENESIS %llu 1800000000000 1 brought 00112233445566778899aabbccddeeff",
             (unsigned long long)hello_at);
    a->lose = b->lose = true; /* nobody answers its HELLO */
    says(hub, "p", 1 + (uint64_t)i, "SIDEBUS HELLO 1 1");
    if (i == 1) begins_to_bring(hub, "p", 2, hello_at, "2", "b");
    mark = keys_part(a)->state.mark;
    says(hub, "p", 1 + (uint64_t)i, genesis);
    keys_run(hub);
    a->lose = b->lose = false;
    assert_equal_states(a, b);
    assert_int_equal(keys_part(a)->state.mark, mark);
    keys_pass(hub, 2 * FOUND_MS);
  }
}

/* The broker takes no more of the keys that it brings, and somebody turns out to be ready. */
static void a_founder_that_is_answered_brings_nothing_any_more(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  assert_reply(a, "SET k 1", "+OK\r\n");
  core_links(a, false);
  renew(hub);
  notices(a);
  core_links(a, true);
  keys_run(hub);
  a->publish_result = SB_ERR_FULL;
  keys_pass(hub, FOUND_MS);
  assert_true(keys_part(a)->sending.active);
  says(hub, "s", 9, "SIDEBUS SNAPSHOT 0 0 1 x");
  keys_run(hub);
  assert_false(keys_part(a)->sending.active);
  a->publish_result = 0;
  keys_pass(hub, 4 * FOUND_MS);
  assert_true(sb_core_ready(a->core));
  assert_reply(a, "GET k", "$1\r\n1\r\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(members_restore_what_a_fresh_founder_does_not_have),
      TEST(what_was_written_since_stays),
      TEST(they_are_there_before_what_waits_to_be_sent),
      TEST(one_restores_and_others_have_nothing_to_add),
      TEST(who_holds_less_waits_for_who_holds_more),
      TEST(but_not_for_ever),
      TEST(what_is_old_is_not_restored),
      TEST(behind_a_gap_nothing_is_restored),
      TEST(what_was_not_restored_yet_is_held_on),
      TEST(large_ones_travel_in_parts),
      TEST(what_was_brought_is_known_to_a_joiner_however_long_it_waits),
      TEST(a_void_founding_moves_the_mark_of_who_did_not_read_its_keys_too),
      TEST(a_founding_whose_keys_are_not_there_is_not_there),
      TEST(a_founder_that_is_answered_brings_nothing_any_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
