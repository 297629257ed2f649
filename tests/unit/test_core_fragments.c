/* Entries that are larger than what the broker takes in one message: cut, put together by everybody at the
 * place of the last part, and nothing of them where the last part is missing. */
#include "bridge/core/wire/sidebus.h"
#include "tests/unit/keys_fixture.h"

#define TAKES   300  /* bytes in a message */
#define PAYLOAD 2000 /* more than six of them */

/* Bytes that differ from place to place. */
static const char *payload(char first) {
  static char text[PAYLOAD + 1];
  for (size_t i = 0; i < PAYLOAD; i++) text[i] = (char)('a' + (i * i * 7 + i / 16) % 26);
  text[0] = first;
  return text;
}

static void takes(struct node *node, size_t bytes) {
  node->takes_bytes = bytes;
  sb_core_set_entry_max(node->core, bytes);
}

/* What a subscriber of "c" gets of it. */
static void assert_message(struct sb_session *session, char first) {
  struct sb_buf expected = {0};
  sb_buf_printf(&expected, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%s\r\n", PAYLOAD, payload(first));
  sb_buf_append(&expected, "", 1);
  assert_output(session, (const char *)expected.data);
  sb_buf_close(&expected);
}

static struct sb_state *state_of(struct node *node) {
  return &keys_part(node)->state;
}

static size_t unfinished(struct node *node) {
  return state_of(node)->unfinished_bytes;
}

/* All parts in the log, from that message on, fit. */
static void assert_parts_fit(const struct core_hub *hub, size_t first, size_t bytes) {
  struct sb_fragment part;
  size_t parts = 0;
  for (size_t i = first; i < hub->logs[0].count; i++) {
    const struct sb_body *body = hub->logs[0].at[i].body;
    if (!sb_fragment_read(sb_bytes(body->data, body->len), &part)) continue;
    assert_in_range(body->len, 1, bytes);
    parts++;
  }
  assert_true(parts > PAYLOAD / bytes);
}

/* ---- two nodes: one publishes, the other has a subscriber ---- */

struct pair {
  struct node *a, *b;
  struct sb_session publisher, subscriber;
};

static struct pair *pair(struct core_hub *hub) {
  static struct pair pair; /* sessions stay where they are */
  struct pair *p = &pair;
  *p = (struct pair){.a = keys_join(hub, "a")};
  p->b = keys_join(hub, "b");
  session_open(p->a, &p->publisher, 2);
  session_open(p->b, &p->subscriber, 2);
  session_subscribe(p->b, &p->subscriber, SB_SUB_CHANNEL, "c");
  takes(p->a, TAKES);
  return p;
}

/* The publisher's parts until so many were accepted, and the next one is lost. */
static void publish_but(struct pair *p, uint32_t parts) {
  p->a->lose_nth = parts + 1;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  core_run(p->a->hub);
  assert_true(unfinished(p->b) > 0);
  p->a->lose = true;
}

static void close_pair(struct pair *p) {
  assert_equal_states(p->a, p->b);
  assert_int_equal(unfinished(p->b), 0);
  assert_int_equal(core_stats(p->a).outbox_bytes, 0);
  session_close(p->a, &p->publisher);
  session_close(p->b, &p->subscriber);
}

/* ---- whole ---- */

static void a_large_message_arrives_whole_at_the_place_of_its_last_part(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  size_t before = hub->logs[0].count;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  assert_int_equal(session_publish(p->a, &p->publisher, "d", "behind"), SB_DONE);
  core_run(hub);
  assert_message(&p->subscriber, 'p');
  assert_output(&p->publisher, ":1\r\n:0\r\n");
  size_t parts = hub->logs[0].count - before - 1;
  assert_in_range(parts, PAYLOAD / TAKES, 2 * PAYLOAD / TAKES);
  struct sb_buf reply = reply_to(p->b, "XRANGE c - +"), id = {0};
  sb_buf_printf(&id, "-%llu\r\n", 4096ULL * hub->logs[0].at[before + parts - 1].sequence);
  sb_buf_append(&id, "", 1);
  assert_non_null(strstr((const char *)reply.data, (const char *)id.data));
  assert_non_null(strstr((const char *)reply.data, payload('p')));
  sb_buf_close(&reply);
  sb_buf_close(&id);
  close_pair(p);
}

static void commands_and_scripts_travel_in_parts_as_messages_do(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  struct sb_buf text = {0};
  sb_buf_printf(&text, "SET k %s", payload('k'));
  sb_buf_append(&text, "", 1);
  assert_reply(p->a, (const char *)text.data, "+OK\r\n");
  sb_buf_clear(&text);
  sb_buf_printf(&text, "$%d\r\n%s\r\n", PAYLOAD, payload('k'));
  sb_buf_append(&text, "", 1);
  assert_reply(p->b, "GET k", (const char *)text.data);
  sb_buf_clear(&text);
  sb_buf_printf(&text, "XADD s * f %s", payload('x'));
  sb_buf_append(&text, "", 1);
  added_id(p->a, (const char *)text.data);
  assert_reply(p->b, "XLEN s", ":1\r\n");
  assert_int_equal(sb_core_number(p->a->core, &p->publisher, sb_bytes_of("c"), sb_bytes_of(payload('n'))),
                   SB_DONE);
  core_run(hub);
  struct sb_buf got = take_output(&p->subscriber), replied = take_output(&p->publisher);
  sb_buf_append(&got, "", 1);
  assert_non_null(strstr((const char *)got.data, payload('n')));
  assert_in_range(replied.len, 2 * PAYLOAD, 3 * PAYLOAD);
  sb_buf_close(&got);
  sb_buf_close(&replied);
  sb_buf_close(&text);
  close_pair(p);
}

static void a_transaction_in_parts_is_one_and_its_ids_are_of_its_last_part(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  struct sb_buf entries = {0}, reply = {0};
  static char xadd[] = "XADD s * f 0123456789012345678901234567890123456789";
  for (int i = 0; i < 12; i++) append_command(&entries, xadd);
  assert_int_equal(sb_core_exec(p->a->core, &p->publisher, 0, sb_buf_bytes(&entries), 12, true, &reply),
                   SB_DONE);
  core_run(hub);
  struct sb_id last = keys_part(p->b)->state.keys.table.count
                          ? sb_keys_find(&state_of(p->b)->keys, sb_bytes_of("s"), 0)->stream.last
                          : (struct sb_id){0};
  assert_int_equal(last.seq, 4096 * hub->logs[0].at[hub->logs[0].count - 1].sequence + 11);
  assert_reply(p->b, "XLEN s", ":12\r\n");
  struct sb_buf got = take_output(&p->publisher);
  assert_memory_equal(got.data, "*12\r\n", 5);
  sb_buf_close(&got);
  sb_buf_close(&entries);
  close_pair(p);
}

static void a_message_to_several_channels_is_cut_for_each(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  const struct sb_bytes channels[] = {sb_bytes_of("d"), sb_bytes_of("c")};
  assert_int_equal(sb_core_publish_each(p->a->core, &p->publisher, channels, 2, sb_bytes_of(payload('e')),
                                        sb_bytes_of("+done\r\n")),
                   SB_DONE);
  core_run(hub);
  assert_message(&p->subscriber, 'e');
  assert_output(&p->publisher, "+done\r\n");
  close_pair(p);
}

static void what_no_number_of_parts_holds_is_refused(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  size_t most = sb_core_entry_max(p->a->core);
  assert_in_range(most, 100 * TAKES, (size_t)SB_FRAGMENTS_MAX * TAKES);
  struct sb_bytes too_much = sb_bytes(sb_calloc(1, most), most);
  assert_int_equal(sb_core_publish(p->a->core, &p->publisher, SB_PUBLISH, sb_bytes_of("c"), too_much),
                   SB_TOO_LARGE);
  too_much.len -= 64;
  assert_int_equal(sb_core_publish(p->a->core, &p->publisher, SB_PUBLISH, sb_bytes_of("d"), too_much),
                   SB_DONE);
  free((void *)(uintptr_t)too_much.at);
  sb_core_session_close(p->a->core, &p->publisher);
  sb_core_session_close(p->b->core, &p->subscriber);
}

/* ---- torn ---- */

static void when_its_publisher_dies_nothing_of_it_is_delivered_or_stays(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 3);
  assert_int_equal(session_publish(p->b, &p->subscriber, "c", "other"), SB_DONE);
  core_run(hub);
  assert_output(&p->subscriber, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nother\r\n:1\r\n");
  sb_core_session_close(p->a->core, &p->publisher);
  core_leave(p->a);
  core_pass(hub, 3 * LEASE_MS);
  assert_output(&p->subscriber, "");
  assert_int_equal(state_of(p->b)->members.count, 1);
  assert_int_equal(unfinished(p->b), 0);
  session_close(p->b, &p->subscriber);
}

static void when_its_publisher_comes_back_it_begins_again_from_the_first_part(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 3);
  core_links(p->a, false);
  core_pass(hub, 3 * LEASE_MS); /* taken for dead */
  assert_int_equal(state_of(p->b)->members.count, 1);
  assert_int_equal(unfinished(p->b), 0);
  p->a->lose = false;
  core_links(p->a, true);
  core_pass(hub, 2 * FOUND_MS);
  assert_message(&p->subscriber, 'p');
  assert_output(&p->publisher, ":1\r\n");
  close_pair(p);
}

/* What comes behind so many parts, its own echoes too, is lost for the publisher. */
static void publish_into_a_gap(struct core_hub *hub, size_t parts, const char *reply) {
  struct pair *p = pair(hub);
  size_t before = hub->logs[0].count;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  while (hub->logs[0].count < before + parts) {
    core_read(p->a, 0);
    sb_core_turn(p->a->core);
  }
  p->a->read[0] = hub->logs[0].count;
  sb_core_attached(p->a->core, 0, SB_ATTACH_GAP);
  core_pass(hub, 2 * FOUND_MS);
  assert_message(&p->subscriber, 'p');
  assert_output(&p->publisher, reply);
  close_pair(p);
}

static void behind_a_gap_it_is_sent_again(void **state) {
  publish_into_a_gap(*state, 3, ":1\r\n");
}

static void behind_a_gap_it_is_not_sent_again_when_its_last_part_was_ordered(void **state) {
  publish_into_a_gap(*state, (PAYLOAD + 40) / sb_fragment_bytes(TAKES) + 1,
                     "-GAP ordered, position unknown\r\n");
}

static void who_joins_in_the_middle_gets_it_whole(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 3);
  const struct sb_core_settings settings = keys_settings(hub, "d");
  struct node *c = keys_start(hub, &settings);
  core_pass(hub, FOUND_MS / 4); /* b answers, for what a writes is lost */
  assert_true(unfinished(c) > 0);
  assert_equal_states(c, p->b);
  struct sb_session session;
  session_open(c, &session, 2);
  session_subscribe(c, &session, SB_SUB_CHANNEL, "c");
  p->a->lose = false;
  core_pass(hub, 2 * FOUND_MS);
  assert_message(&session, 'p');
  assert_message(&p->subscriber, 'p');
  assert_output(&p->publisher, ":2\r\n");
  assert_equal_states(c, p->b);
  session_close(c, &session);
  close_pair(p);
}

static void its_session_may_close_before_it_is_there(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 3);
  sb_core_session_close(p->a->core, &p->publisher);
  assert_int_equal(p->a->released, 0);
  p->a->lose = false;
  core_pass(hub, 2 * FOUND_MS);
  assert_message(&p->subscriber, 'p');
  assert_int_equal(p->a->released, 1);
  session_close(p->b, &p->subscriber);
}

static void where_too_much_is_on_its_way_all_nodes_refuse_it(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  state_of(p->a)->unfinished_bytes += SB_UNFINISHED_BYTES_MAX - 1000; /* as if others had sent so much */
  state_of(p->b)->unfinished_bytes += SB_UNFINISHED_BYTES_MAX - 1000;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  core_run(hub);
  assert_output(&p->subscriber, "");
  assert_output(&p->publisher, "-BUSY too many large messages are on their way in this log\r\n");
  state_of(p->a)->unfinished_bytes -= SB_UNFINISHED_BYTES_MAX - 1000;
  state_of(p->b)->unfinished_bytes -= SB_UNFINISHED_BYTES_MAX - 1000;
  close_pair(p);
}

/* ---- the broker's limit changes ---- */

static void when_the_limit_falls_in_the_middle_it_is_cut_smaller_and_sent_again(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 2);
  p->a->lose = false;
  takes(p->a, 150);
  size_t before = hub->logs[0].count;
  core_pass(hub, 2 * FOUND_MS);
  assert_message(&p->subscriber, 'p');
  assert_output(&p->publisher, ":1\r\n");
  assert_parts_fit(hub, before, 150);
  close_pair(p);
}

static void a_limit_that_nobody_told_is_found(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  sb_core_set_entry_max(p->a->core, 1 << 20);
  p->a->takes_bytes = 400;
  size_t before = hub->logs[0].count;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  core_run(hub);
  assert_message(&p->subscriber, 'p');
  assert_parts_fit(hub, before, 400);
  assert_output(&p->publisher, ":1\r\n");
  close_pair(p);
}

/* The link announces more than is taken: it opens again after what was refused, and says one byte less. */
static void a_limit_that_the_link_tells_wrongly_is_found_in_few_steps(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  size_t before = hub->logs[0].count;
  int steps = 0;
  takes(p->a, 1 << 20);
  p->a->keeps_bytes = 300;
  assert_int_equal(session_publish(p->a, &p->publisher, "c", payload('p')), SB_DONE);
  core_run(hub);
  for (int passes = 0; core_stats(p->a).outbox_bytes > 0; passes++) {
    assert_in_range(passes, 0, 100);
    core_pass(hub, 50);
    if (p->a->dropped == 0) continue;
    assert_in_range(++steps, 1, 5);
    sb_core_settled(p->a->core, 0, p->a->token, SB_SETTLE_LOST);
    sb_core_link(p->a->core, 0, SB_LINK_PUBLISH, false);
    takes(p->a, p->a->dropped - 1);
    p->a->dropped = 0;
    sb_core_link(p->a->core, 0, SB_LINK_PUBLISH, true);
  }
  assert_true(steps > 1);
  assert_message(&p->subscriber, 'p');
  assert_parts_fit(hub, before, 300);
  assert_output(&p->publisher, ":1\r\n");
  close_pair(p);
}

static void where_not_even_parts_fit_any_more_it_is_refused(void **state) {
  struct core_hub *hub = *state;
  struct pair *p = pair(hub);
  publish_but(p, 2);
  p->a->lose = false;
  takes(p->a, 100);
  core_pass(hub, 2 * FOUND_MS);
  assert_output(&p->subscriber, "");
  assert_output(&p->publisher, "-ERR the broker's message limit became lower than this message\r\n");
  close_pair(p);
}

/* ---- parts that others write ---- */

#define PART(index, count, len, bytes)                                                                       \
  "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n" index "\r\n$1\r\n" count "\r\n$" len "\r\n" bytes "\r\n"
#define FIRST  "*3\r\n$3\r\nSET\r\n$1"
#define SECOND "\r\nk\r\n$1\r\nv\r\n"

struct said {
  const char *body;
  uint32_t count; /* of entries */
};

static void say(struct node *node, uint64_t *number, const struct said *said) {
  uint64_t malformed = core_stats(node).batches_malformed;
  ghost_says(node, *number, said->count, sb_bytes_of(said->body), 0);
  *number += core_stats(node).batches_malformed == malformed;
}

static void malformed_parts_have_no_effect(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  static const struct said hostile[] = {
      {PART("0", "2", "1", "x"), 1},
      {PART("3", "2", "1", "x"), 1},
      {PART("1", "1", "1", "x"), 1},
      {PART("1", "2", "0", ""), 1},
      {PART("x", "2", "1", "x"), 1},
      {PART("1", "2", "1", "x") SB_ENTRY_HEARTBEAT, 2}, /* not alone */
      {SB_ENTRY_HEARTBEAT PART("1", "2", "1", "x"), 2},
      {"*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n1\r\n$4\r\n4097\r\n$1\r\nx\r\n", 1},
  };
  ghost_joins(hub);
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
    ghost_says(a, 1, hostile[i].count, sb_bytes_of(hostile[i].body), 0);
    assert_int_equal(core_stats(a).batches_malformed, i + 1);
    assert_int_equal(unfinished(a), 0);
  }
}

static void only_parts_that_follow_one_another_make_an_entry(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  static const struct said first = {PART("1", "2", "15", FIRST), 1},
                           second = {PART("2", "2", "12", SECOND), 1},
                           third = {PART("3", "3", "12", SECOND), 1},
                           other = {PART("2", "3", "12", SECOND), 1}, ping = {SB_ENTRY_HEARTBEAT, 1};
  const struct said *const torn[] = {&second, &first, &third, &second, &first, &other,
                                     &second, &first, &ping,  &second, &first};
  uint64_t number = 1;
  ghost_joins(hub);
  for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
    say(a, &number, torn[i]);
    assert_int_equal(number, i + 2);
    assert_int_equal(unfinished(a), torn[i] == &first ? 15 : 0);
  }
  assert_reply(a, "EXISTS k", ":0\r\n");
  say(a, &number, &first); /* anew */
  say(a, &number, &second);
  assert_reply(a, "GET k", "$1\r\nv\r\n");
  assert_int_equal(core_stats(a).batches_malformed, 0);
}

static void parts_of_what_is_no_entry_make_nothing(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  static const struct said parts[] = {
      {PART("1", "2", "1", "x"), 1},
      {PART("2", "2", "1", "y"), 1},
      {PART("1", "2", "48", PART("1", "2", "1", "x")), 1}, /* a part in parts */
      {PART("2", "2", "1", "z"), 1},
      {PART("1", "2", "15", FIRST), 1}, /* more than one entry */
      {PART("2", "2", "26", SECOND "*1\r\n$4\r\nPING\r\n"), 1},
  };
  uint64_t number = 1;
  ghost_joins(hub);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    say(a, &number, &parts[i]);
    number = i + 2; /* the batch is accepted, whatever its parts make */
  }
  assert_int_equal(unfinished(a), 0);
  assert_int_equal(state_of(a)->members.at[1].number, 6);
  assert_reply(a, "EXISTS k", ":0\r\n");
}

static void keys_in_parts_survive_across_a_checkpoint(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = keys_settings(hub, "a");
  settings.checkpoint_messages = 5;
  struct node *a = keys_join_with(hub, &settings);
  ghost_joins(hub);
  ghost_says(a, 1, 1, sb_bytes_of(PART("1", "2", "15", FIRST)), 0);
  while (!last_control(hub, "CHECKPOINT")) {
    struct sb_buf reply = reply_to(a, "INCR n");
    sb_buf_close(&reply);
  }
  assert_int_equal(unfinished(a), 15);
  ghost_says(a, 2, 1, sb_bytes_of(PART("2", "2", "12", SECOND)), 0);
  keys_world.retired[0] =
      (size_t)(last_control(hub, "CHECKPOINT") - hub->logs[0].at) - 1; /* it is as of that */
  core_leave(a);
  struct node *b = keys_found(hub, "b");
  assert_reply(b, "GET k", "$1\r\nv\r\n");
}

/* What a NUMBER carries may look like the end of a BYE. */
static void a_number_of_last_is_no_word_of_the_last_member(void **state) {
  struct core_hub *hub = *state;
  struct node *a = keys_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  assert_int_equal(sb_core_number(a->core, &session, sb_bytes_of("c"), sb_bytes_of("last")), SB_DONE);
  core_run(hub);
  a->up = false; /* slow, and alive */
  const struct sb_core_settings settings = keys_settings(hub, "b");
  struct node *b = keys_start(hub, &settings);
  keys_pass(hub, FOUND_MS / 4);
  assert_false(sb_core_ready(b->core));
  sb_core_session_close(a->core, &session);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keys_set_up, keys_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_large_message_arrives_whole_at_the_place_of_its_last_part),
      TEST(commands_and_scripts_travel_in_parts_as_messages_do),
      TEST(a_transaction_in_parts_is_one_and_its_ids_are_of_its_last_part),
      TEST(a_message_to_several_channels_is_cut_for_each),
      TEST(what_no_number_of_parts_holds_is_refused),
      TEST(when_its_publisher_dies_nothing_of_it_is_delivered_or_stays),
      TEST(when_its_publisher_comes_back_it_begins_again_from_the_first_part),
      TEST(behind_a_gap_it_is_sent_again),
      TEST(behind_a_gap_it_is_not_sent_again_when_its_last_part_was_ordered),
      TEST(who_joins_in_the_middle_gets_it_whole),
      TEST(its_session_may_close_before_it_is_there),
      TEST(where_too_much_is_on_its_way_all_nodes_refuse_it),
      TEST(when_the_limit_falls_in_the_middle_it_is_cut_smaller_and_sent_again),
      TEST(a_limit_that_nobody_told_is_found),
      TEST(a_limit_that_the_link_tells_wrongly_is_found_in_few_steps),
      TEST(where_not_even_parts_fit_any_more_it_is_refused),
      TEST(malformed_parts_have_no_effect),
      TEST(only_parts_that_follow_one_another_make_an_entry),
      TEST(parts_of_what_is_no_entry_make_nothing),
      TEST(keys_in_parts_survive_across_a_checkpoint),
      TEST(a_number_of_last_is_no_word_of_the_last_member),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
