/* How a core comes to know the state of a log: HELLO, SNAPSHOT, GENESIS. */
#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "tests/unit/core_fixture.h"

static int set_up(void **state) {
  *state = core_hub(1);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

static void the_first_node_of_an_empty_log_founds_it_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_core_member_info member;
  assert_int_equal(hub->logs[0].count, 2);
  assert_non_null(last_control(hub, "GENESIS"));
  assert_int_equal(info_of(node).generation, 1700000000000 + hub->now_ms);
  assert_int_equal(info_of(node).joined_at, hub->logs[0].at[1].sequence);
  assert_true(sb_core_member_info(node->core, 0, 0, &member));
  assert_string_equal(member.name, "a");
  assert_true(member.self);
  assert_false(sb_core_member_info(node->core, 0, 1, &member));
}

static void a_log_where_nobody_answers_is_founded_anew_with_a_higher_generation(void **state) {
  struct core_hub *hub = *state;
  core_leave(core_join(hub, "a"));
  uint64_t before = hub->logs[0].at[1].envelope.generation + 1;
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  core_run(hub);
  core_pass(hub, FOUND_MS - 1);
  assert_false(sb_core_ready(b->core));
  core_pass(hub, 1);
  assert_true(sb_core_ready(b->core));
  assert_true(info_of(b).generation >= before);
  assert_int_equal(info_of(b).members, 1);
}

static void a_second_node_joins_through_a_snapshot(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  for (int i = 0; i < 5; i++) {
    session_publish(a, &session, "c", "before");
    core_run(hub);
  }
  struct node *b = core_join(hub, "b");
  assert_non_null(last_control(hub, "SNAPSHOT"));
  assert_int_equal(core_stats(a).snapshots_sent, 1);
  assert_int_equal(info_of(b).members, 2);
  assert_same_state(a, b);
  session_close(a, &session);
}

static void a_snapshot_of_many_parts_is_put_together(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.snapshot_piece_bytes = 7;
  struct node *a = core_join_with(hub, &settings), *b = core_join(hub, "b");
  assert_true(hub->logs[0].count > 20);
  assert_same_state(a, b);
}

static void a_snapshot_with_a_part_missing_is_not_taken_and_asked_for_again(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.snapshot_piece_bytes = 40;
  struct node *a = core_join_with(hub, &settings);
  settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  a->lose_nth = 2;
  core_links(b, true);
  core_run(hub);
  assert_int_equal(core_stats(a).snapshots_sent, 1);
  assert_false(sb_core_ready(b->core));
  core_pass(hub, 2 * FOUND_MS);
  assert_true(sb_core_ready(b->core));
  assert_int_equal(info_of(b).members, 2);
  assert_same_state(a, b);
}

/* Where an attach does not show what stands in the log, silence before the own HELLO proves nothing. */
static void where_the_tail_is_hidden_only_who_is_alone_founds_at_once(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.hides_tail = true;
  struct node *a = core_start(hub, &settings);
  sb_core_attached(a->core, 0, SB_ATTACH_FRESH);
  core_links(a, true);
  core_run(hub);
  core_pass(hub, FOUND_MS - 1);
  assert_false(sb_core_ready(a->core));
  core_pass(hub, 1);
  assert_true(sb_core_ready(a->core));
  core_leave(a);
  settings = core_settings(hub, "b");
  settings.hides_tail = true;
  struct node *b = core_start(hub, &settings);
  b->read[0] = hub->logs[0].count;
  sb_core_attached(b->core, 0, SB_ATTACH_ALONE);
  core_links(b, true);
  core_run(hub);
  assert_true(sb_core_ready(b->core));
  settings = core_settings(hub, "c");
  settings.hides_tail = true;
  struct node *c = core_start(hub, &settings);
  c->read[0] = hub->logs[0].count;
  sb_core_attached(c->core, 0, SB_ATTACH_FRESH);
  core_links(c, true);
  core_run(hub);
  assert_same_state(b, c);
  assert_int_equal(info_of(b).members, 2);
}

/* The limit is told by the link, or is lower than what was told. */
static void a_state_is_told_in_pieces_that_the_broker_takes(void **state) {
  (void)state;
  for (int told = 0; told < 2; told++) {
    struct core_hub *hub = core_hub(1);
    struct node *a = core_join(hub, "a");
    uint64_t generation = info_of(a).generation;
    a->takes_bytes = 300;
    if (told) sb_core_set_entry_max(a->core, 300);
    struct sb_core_settings settings = core_settings(hub, "b");
    struct node *b = core_start(hub, &settings);
    sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
    core_links(b, true);
    core_run(hub);
    core_pass(hub, told ? FOUND_MS / 2 : 4 * FOUND_MS);
    assert_true(sb_core_ready(b->core));
    assert_true(core_stats(a).snapshots_sent > 0);
    if (told) assert_int_equal(info_of(b).generation, generation);
    assert_same_state(a, b);
    core_hub_free(hub);
  }
}

/* A SNAPSHOT or GENESIS stands behind the HELLO of which it speaks, so for everybody else it is void. */
static void a_void_genesis_founds_nothing_under_the_own_name_either(void **state) {
  struct core_hub *hub = *state;
  core_leave(core_join(hub, "a"));
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  core_run(hub);
  const struct sb_partition *part = &b->core->logs.partitions[0];
  assert_int_equal(part->phase, SB_PHASE_WAITING);
  const struct sb_envelope envelope = {
      .version = SB_WIRE_VERSION, .count = 1, .node = "b", .incarnation = part->incarnation};
  const struct sb_control forged = {.kind = SB_CONTROL_GENESIS,
                                    .hello_at = hub->logs[0].at[0].sequence,
                                    .generation = 1900000000000,
                                    .partitions = 1};
  struct sb_body *body = sb_control_write(&forged);
  core_append(hub, 0, &envelope, sb_bytes(body->data, body->len));
  sb_body_unref(body);
  core_run(hub);
  assert_false(sb_core_ready(b->core));
  core_pass(hub, 4 * FOUND_MS);
  assert_true(sb_core_ready(b->core));
  assert_true(info_of(b).generation > 1900000000000); /* it was read all the same */
  assert_same_state(b, core_join(hub, "c"));
}

/* Alone when it attached: that says nothing of what it missed since. */
static void who_missed_something_does_not_found_at_once(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.hides_tail = true;
  struct node *a = core_start(hub, &settings);
  sb_core_attached(a->core, 0, SB_ATTACH_ALONE);
  settings = core_settings(hub, "b");
  settings.hides_tail = true;
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_ALONE);
  core_links(b, true);
  core_run(hub);
  assert_true(sb_core_ready(b->core));
  uint64_t generation = info_of(b).generation;
  core_pass(hub, 100);             /* so that another founding would have another generation */
  a->read[0] = hub->logs[0].count; /* all of it was lost to a */
  sb_core_attached(a->core, 0, SB_ATTACH_GAP);
  core_links(a, true);
  core_read(a, 0); /* its own HELLO; b is slower */
  sb_core_turn(a->core);
  core_run(hub);
  assert_same_state(a, b);
  assert_int_equal(info_of(b).generation, generation);
}

/* Two large answers side by side serve nobody: the next in turn waits while parts of the first one come. */
static void nobody_else_answers_while_parts_of_an_answer_come(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.snapshot_piece_bytes = 40;
  struct node *a = core_join_with(hub, &settings), *b = core_join(hub, "b");
  settings = core_settings(hub, "c");
  struct node *c = core_start(hub, &settings);
  sb_core_attached(c->core, 0, SB_ATTACH_FRESH);
  core_links(c, true);
  sb_core_turn(c->core);
  core_read(a, 0);
  core_read(b, 0);
  size_t from = hub->logs[0].count;
  sb_core_turn(a->core); /* all parts stand in the log */
  size_t parts = hub->logs[0].count - from;
  assert_true(parts > 3);
  for (size_t i = 0; i + 1 < parts; i++) { /* one arrives at b just before its turn would come */
    deliver(b, 0, &hub->logs[0].at[b->read[0]++]);
    hub->now_ms += FOUND_MS / 8 - 1;
    sb_core_now(b->core, hub->now_ms, 1700000000000 + hub->now_ms);
    sb_core_turn(b->core);
  }
  assert_int_equal(core_stats(b).snapshots_sent, 0);
  core_run(hub);
  assert_true(sb_core_ready(c->core));
  assert_int_equal(core_stats(b).snapshots_sent, 0);
}

/* A joiner keeps what comes behind its HELLO, but not the states that others send it. */
static void a_joiner_does_not_keep_the_text_of_snapshots(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  sb_core_turn(b->core);
  core_read(b, 0);
  static char text[20000];
  memset(text, 'x', sizeof text);
  const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"), sb_bytes_of("SNAPSHOT"),
                                  sb_bytes_of("1"),       sb_bytes_of("0"),
                                  sb_bytes_of("2"),       sb_bytes(text, sizeof text)};
  struct sb_buf entry = {0};
  struct sb_envelope envelope = hub->logs[0].at[0].envelope;
  envelope.number = 0;
  sb_entry_append(&entry, args, 6);
  for (int i = 0; i < 10; i++) core_append(hub, 0, &envelope, sb_buf_bytes(&entry));
  sb_buf_close(&entry);
  size_t before = b->core->logs.partitions[0].joining.kept.bytes;
  core_read(b, 0);
  assert_false(sb_core_ready(b->core));
  assert_true(b->core->logs.partitions[0].joining.kept.first != NULL);
  assert_true(b->core->logs.partitions[0].joining.kept.bytes - before < sizeof text);
  core_pass(hub, 2 * FOUND_MS);
  assert_true(sb_core_ready(b->core));
  assert_same_state(a, b);
}

/* A publish that was taken for lost and came through after all. */
static void a_part_that_comes_twice_is_taken_once(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.snapshot_piece_bytes = 100;
  struct node *a = core_join_with(hub, &settings);
  settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  sb_core_turn(a->core);
  core_read(a, 0);
  sb_core_turn(a->core); /* HELLO of b, then the parts */
  for (const struct core_log *log = &hub->logs[0]; b->read[0] < log->count; b->read[0]++) {
    struct message message = log->at[b->read[0]];
    deliver(b, 0, &message);
    message.sequence++;
    if (!sb_core_ready(b->core)) deliver(b, 0, &message);
  }
  assert_true(sb_core_ready(b->core));
  assert_int_equal(info_of(b).members, 2);
}

static void a_snapshot_that_does_not_know_the_joiner_is_no_answer(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  core_leave(core_join_with(hub, &settings));
  const struct message late = *last_control(hub, "SNAPSHOT"); /* it knows an earlier life of b */
  settings.nonce++;
  struct node *b = core_start(hub, &settings);
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true);
  struct sb_buf text = {0};
  uint32_t off = 0;
  struct sb_bytes args[6];
  char position[20];
  assert_int_equal(sb_entry_args(sb_bytes(late.body->data, late.body->len), &off, args, 6), 6);
  args[2] = sb_bytes(position,
                     sb_u64_text(10 * hub->logs[0].count, position)); /* as if it were of behind its HELLO */
  sb_entry_append(&text, args, 6);
  core_append(hub, 0, &late.envelope, sb_buf_bytes(&text));
  sb_buf_close(&text);
  core_read(b, 0);
  assert_false(sb_core_ready(b->core));
  core_pass(hub, 2 * FOUND_MS);
  assert_true(sb_core_ready(b->core));
  assert_same_state(a, b);
}

/* A SNAPSHOT of what the node has applied, in which one thing is another. */
static void append_snapshot(struct core_hub *hub, const struct node *node,
                            void (*change)(struct sb_state *state)) {
  struct sb_state changed = {0};
  struct sb_buf text = {0}, snapshot = {0};
  char position[20];
  sb_state_write(&node->core->logs.partitions[0].state, &text);
  assert_true(sb_state_read(&changed, sb_buf_bytes(&text)));
  change(&changed);
  sb_buf_clear(&text);
  sb_state_write(&changed, &text);
  sb_state_close(&changed);
  const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"),
                                  sb_bytes_of("SNAPSHOT"),
                                  sb_bytes(position, sb_u64_text(info_of(node).applied, position)),
                                  sb_bytes_of("0"),
                                  sb_bytes_of("1"),
                                  sb_buf_bytes(&text)};
  sb_entry_append(&snapshot, args, 6);
  core_append(hub, 0, &hub->logs[0].at[0].envelope, sb_buf_bytes(&snapshot));
  sb_buf_close(&snapshot);
  sb_buf_close(&text);
}

static void chain_ahead(struct sb_state *state) {
  state->chain.at = 1000000;
}

static void mark_ahead(struct sb_state *state) {
  state->mark = 1000000;
}

static void last_numbers(struct sb_state *state) {
  for (uint32_t i = 0; i < state->members.count; i++) state->members.at[i].number = UINT64_MAX;
}

static void last_time(struct sb_state *state) {
  state->time_ms = state->elder_ms = UINT64_MAX;
}

/* Whoever took such a state could not go on from there. */
static void a_snapshot_that_no_node_can_have_written_is_no_answer(void **state) {
  static void (*const changes[])(struct sb_state *) = {chain_ahead, mark_ahead, last_numbers, last_time};
  (void)state;
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    struct core_hub *hub = core_hub(1);
    struct node *a = core_join(hub, "a");
    struct sb_core_settings settings = core_settings(hub, "b");
    struct node *b = core_start(hub, &settings);
    sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
    core_links(b, true);
    sb_core_turn(b->core);
    core_read(a, 0);
    append_snapshot(hub, a, changes[i]);
    core_read(b, 0);
    assert_false(sb_core_ready(b->core));
    core_pass(hub, 2 * FOUND_MS);
    assert_true(sb_core_ready(b->core));
    assert_same_state(a, b);
    core_hub_free(hub);
  }
}

/* A GENESIS of a log that was deleted: its HELLO is not before it. Ready nodes do not heed it, nor may a
 * joiner. */
static void a_joiner_does_not_heed_a_genesis_that_nobody_heeds(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *node = core_start(hub, &settings);
  sb_core_attached(node->core, 0, SB_ATTACH_FRESH);
  core_links(node, true);
  const struct sb_envelope own = hub->logs[0].at[0].envelope; /* of its HELLO */
  core_append(
      hub, 0, &own,
      sb_bytes_of("*7\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$3\r\n500\r\n$1\r\n9\r\n$1\r\n1\r\n$5\r\nempty\r\n"
                  "$32\r\n00112233445566778899aabbccddeeff\r\n"));
  core_read(node, 0);
  assert_false(sb_core_ready(node->core));
  core_run(hub);
  assert_true(sb_core_ready(node->core)); /* by its own, which that one does not void */
  assert_int_equal(info_of(node).members, 1);
}

/* Its clock was ahead in an earlier life. */
static void a_joiner_goes_above_what_stands_under_its_name(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_join_with(hub, &settings);
  sb_core_now(b->core, hub->now_ms, 1900000000000);
  sb_core_attached(b->core, 0, SB_ATTACH_GAP); /* takes a new incarnation */
  core_run(hub);
  core_leave(b);
  b = core_join_with(hub, &settings); /* refused at first, and ready all the same */
  assert_int_equal(info_of(b).members, 2);
  assert_same_state(a, b);
}

static void what_was_ordered_before_a_node_joined_is_not_delivered_there(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  const struct sb_envelope foreign = {.foreign = true};
  sb_core_attached(b->core, 0, SB_ATTACH_FRESH);
  core_links(b, true); /* its HELLO is in the log */
  core_append(hub, 0, &foreign, sb_bytes_of("early"))->channel = body_of(sb_bytes_of("c"));
  core_run(hub);
  core_append(hub, 0, &foreign, sb_bytes_of("late"))->channel = body_of(sb_bytes_of("c"));
  core_run(hub);
  assert_int_equal(core_stats(a).foreign_messages, 2);
  assert_int_equal(core_stats(b).foreign_messages, 1);
}

/* What comes between the HELLO and the SNAPSHOT is applied to the state of the SNAPSHOT; who subscribed
 * before the log was lost from sight hears it. */
static void what_was_ordered_while_a_node_joined_is_not_missed(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session publisher, subscriber;
  session_open(a, &publisher, 2);
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  sb_core_attached(b->core, 0, SB_ATTACH_GAP); /* its HELLO is in the log */
  assert_false(sb_core_ready(b->core));
  size_t hello = hub->logs[0].count;
  session_publish(a, &publisher, "c", "1");
  sb_core_turn(a->core);
  core_read(a, 0); /* the HELLO and the batch: the SNAPSHOT is of behind both */
  session_publish(a, &publisher, "c", "2");
  sb_core_turn(a->core); /* sends the batch or the SNAPSHOT first: b has to cope with both */
  core_run(hub);
  assert_true(sb_core_ready(b->core));
  assert_same_state(a, b);
  session_publish(a, &publisher, "c", "3");
  core_run(hub);
  assert_output(&publisher, ":0\r\n:0\r\n:1\r\n"); /* between HELLO and its announcement b counts nothing */
  struct sb_buf expected = {0};
  if (info_of(b).joined_at < hub->logs[0].at[hello + 1].sequence)
    sb_buf_text(&expected, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n");
  sb_buf_append(&expected, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n3\r\n", 32);
  assert_output(&subscriber, (const char *)expected.data);
  sb_buf_close(&expected);
  session_close(a, &publisher);
  session_close(b, &subscriber);
}

static void another_number_of_partitions_is_fatal_for_who_comes_later(void **state) {
  struct core_hub *hub = *state;
  hub->partitions = 2; /* of which the second node knows the first only */
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  settings.partitions = 1;
  struct node *b = core_start(hub, &settings);
  b->up = true;
  sb_core_link(b->core, 0, SB_LINK_PUBLISH, true);
  sb_core_link(b->core, 0, SB_LINK_CONSUME, true);
  for (int i = 0; i < 5 && !b->fatal[0]; i++) {
    sb_core_turn(b->core);
    sb_core_turn(a->core);
    core_read(a, 0);
    core_read(b, 0);
  }
  assert_string_equal(b->fatal,
                      "topics.partitions is 1 here and 2 on the nodes that are running: make them the same");
  assert_false(sb_core_ready(b->core));
  assert_string_equal(a->fatal, "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(the_first_node_of_an_empty_log_founds_it_at_once),
      TEST(a_log_where_nobody_answers_is_founded_anew_with_a_higher_generation),
      TEST(a_second_node_joins_through_a_snapshot),
      TEST(a_snapshot_of_many_parts_is_put_together),
      TEST(a_snapshot_with_a_part_missing_is_not_taken_and_asked_for_again),
      TEST(where_the_tail_is_hidden_only_who_is_alone_founds_at_once),
      TEST(who_missed_something_does_not_found_at_once),
      TEST(nobody_else_answers_while_parts_of_an_answer_come),
      TEST(a_joiner_does_not_keep_the_text_of_snapshots),
      TEST(a_part_that_comes_twice_is_taken_once),
      TEST(a_snapshot_that_does_not_know_the_joiner_is_no_answer),
      TEST(a_snapshot_that_no_node_can_have_written_is_no_answer),
      TEST(a_joiner_does_not_heed_a_genesis_that_nobody_heeds),
      TEST(a_joiner_goes_above_what_stands_under_its_name),
      TEST(what_was_ordered_before_a_node_joined_is_not_delivered_there),
      TEST(what_was_ordered_while_a_node_joined_is_not_missed),
      TEST(a_state_is_told_in_pieces_that_the_broker_takes),
      TEST(a_void_genesis_founds_nothing_under_the_own_name_either),
      TEST(another_number_of_partitions_is_fatal_for_who_comes_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
