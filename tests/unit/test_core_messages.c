/* What a log may hold besides plain batches of Sidebus: foreign messages, packed batches, garbage. */
#include "tests/unit/core_fixture.h"

static int set_up(void **state) {
  *state = core_hub(1);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

static void a_foreign_message_is_published_on_the_channel_it_names(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session two, three;
  session_open(a, &two, 2);
  session_open(b, &three, 3);
  session_subscribe(a, &two, SB_SUB_CHANNEL, "news");
  session_subscribe(b, &three, SB_SUB_PATTERN, "n*");
  const struct sb_envelope foreign = {.foreign = true};
  core_append(hub, 0, &foreign, sb_bytes("{\"a\":\0}\r\n", 9))->channel = body_of(sb_bytes_of("news"));
  core_run(hub);
  assert_int_equal(two.outlet.out.bytes, strlen("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$9\r\n") + 11);
  assert_int_equal(three.outlet.out.bytes,
                   strlen(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$9\r\n") + 11);
  assert_int_equal(core_stats(a).foreign_messages, 1);
  assert_int_equal(core_stats(a).batches_malformed, 0);
  session_close(a, &two);
  session_close(b, &three);
}

static void a_foreign_message_may_be_empty_and_must_name_a_channel(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 2);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  const struct sb_envelope foreign = {.foreign = true};
  core_append(hub, 0, &foreign, sb_bytes(NULL, 0))->channel = body_of(sb_bytes_of("c"));
  core_append(hub, 0, &foreign, sb_bytes_of("lost"));
  core_run(hub);
  assert_output(&session, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n");
  assert_int_equal(core_stats(node).foreign_messages, 1);
  assert_int_equal(core_stats(node).batches_malformed, 1);
  session_close(node, &session);
}

static void garbage_is_counted_and_skipped(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  session_open(node, &session, 3);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_publish(node, &session, "c", "1");
  core_run(hub);
  const struct sb_envelope sound = hub->logs[0].at[hub->logs[0].count - 1].envelope; /* of the batch */
  const char entry[] = "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nx\r\n";
  struct sb_envelope bad[9];
  for (int i = 0; i < 9; i++) {
    bad[i] = sound;
    bad[i].number = sound.number + 1;
  }
  bad[0].malformed = true;
  bad[1].version = SB_WIRE_VERSION + 1;
  bad[2].generation = SB_GENERATION_MAX + 1;
  bad[3].lz4 = true;
  bad[4].count = 2;
  bad[5].count = 0;
  bad[6].count = SB_BATCH_ENTRIES_MAX + 1;
  bad[7].number = 0; /* then it would be a control message */
  bad[8].time_ms = SB_TIME_MS_MAX + 1;
  for (int i = 0; i < 9; i++) core_append(hub, 0, &bad[i], sb_bytes_of(entry));
  bad[0] = sound;
  bad[0].number = sound.number + 1;
  core_append(hub, 0, &bad[0], sb_bytes(entry, sizeof entry - 2)); /* cut */
  core_append(hub, 0, &bad[0], sb_bytes(entry, sizeof entry));     /* a byte too many */
  core_append(hub, 0, &bad[0], sb_bytes_of("*2\r\n$7\r\nSIDEBUS\r\n$3\r\nBYE\r\n"));
  core_append(hub, 0, &bad[0], sb_bytes(NULL, 0));
  bad[0].count = 0;
  core_append(hub, 0, &bad[0], sb_bytes(NULL, 0));
  bad[0].count = SB_BATCH_ENTRIES_MAX + 1;
  struct sb_buf pings = {0};
  for (uint32_t i = 0; i < bad[0].count; i++) sb_buf_text(&pings, "*1\r\n$4\r\nPING\r\n");
  core_append(hub, 0, &bad[0], sb_buf_bytes(&pings));
  sb_buf_close(&pings);
  session_publish(node, &session, "c", "2");
  core_run(hub);
  assert_int_equal(core_stats(node).batches_malformed, 15);
  assert_int_equal(core_stats(node).wire_version_met, SB_WIRE_VERSION + 1);
  assert_output(&session, ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n:1\r\n"
                          ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n2\r\n:1\r\n");
  session_close(node, &session);
}

/* What the transport has judged to have no right to be there: batches, control messages, foreign ones. */
static void what_was_refused_is_counted_by_its_kind_and_changes_nothing(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  struct sb_core_log_info info;
  session_open(node, &session, 2);
  session_subscribe(node, &session, SB_SUB_CHANNEL, "c");
  session_publish(node, &session, "c", "1");
  core_run(hub);
  struct sb_envelope bad = hub->logs[0].at[hub->logs[0].count - 1].envelope; /* of the batch */
  struct sb_envelope hello = hub->logs[0].at[0].envelope, foreign = {.foreign = true}, untrusted;
  bad.number++;
  untrusted = bad;
  untrusted.refused = SB_REFUSED_UNTRUSTED;
  snprintf(hello.node, sizeof hello.node, "b");
  hello.refused = foreign.refused = SB_REFUSED_UNSIGNED;
  bad.refused = SB_REFUSED_FORGED;
  core_append(hub, 0, &bad, sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nx\r\n"));
  core_append(hub, 0, &untrusted, sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nx\r\n"));
  core_append(hub, 0, &hello, sb_bytes_of("*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n"));
  core_append(hub, 0, &foreign, sb_bytes_of("x"))->channel = body_of(sb_bytes_of("c"));
  core_run(hub);
  session_publish(node, &session, "c", "2");
  core_run(hub);
  sb_core_log_info(node->core, 0, &info);
  assert_int_equal(info.members, 1);
  assert_int_equal(core_stats(node).batches_unsigned, 2);
  assert_int_equal(core_stats(node).batches_forged, 1);
  assert_int_equal(core_stats(node).batches_untrusted, 1);
  assert_int_equal(core_stats(node).batches_malformed, 0);
  assert_int_equal(core_stats(node).batches_resent, 0);
  assert_int_equal(core_stats(node).foreign_messages, 0);
  session_close(node, &session);
}

/* Also of one whose headers this version cannot read. */
static void a_joiner_says_which_other_version_it_met(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *node = core_start(hub, &settings);
  struct sb_envelope other = {.version = 1, .count = 1, .node = "old-1", .incarnation = {5, 5}};
  sb_core_attached(node->core, 0, SB_ATTACH_FRESH);
  core_links(node, true);
  core_append(hub, 0, &other, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  core_read(node, 0);
  assert_non_null(strstr(node->error_line, "node old-1 speaks wire version 1, this node 2: it cannot join"));
  assert_int_equal(core_stats(node).wire_version_met, 1);
  other = (struct sb_envelope){.version = 3, .malformed = true};
  core_append(hub, 0, &other, sb_bytes_of("?"));
  core_read(node, 0);
  assert_non_null(
      strstr(node->error_line, "node unknown speaks wire version 3, this node 2: it cannot join"));
  assert_int_equal(core_stats(node).wire_version_met, 3);
  assert_int_equal(core_stats(node).batches_malformed, 2);
  core_run(hub);
  assert_true(sb_core_ready(node->core));
  node->error_line[0] = 0;
  core_append(hub, 0, &other, sb_bytes_of("?"));
  core_run(hub);
  assert_string_equal(node->error_line, ""); /* it has joined: a warning will do */
  assert_int_equal(core_stats(node).batches_malformed, 3);
}

#define HELLO_SINCE(since)                                                                                   \
  "*8\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n"                                  \
  "$18\r\n0-0000000000000000\r\n" since "$3\r\n0-0\r\n"

/* HELLO and GENESIS with a number of partitions that no hub has, and others that say too little or too much.
 */
static void malformed_control_messages_are_counted_and_change_nothing(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  static const char *const bad[] = {
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n0\r\n$1\r\n1\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$3\r\n257\r\n$1\r\n1\r\n",
      "*3\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nhello\r\n$1\r\n1\r\n$1\r\n1\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\nx",
      HELLO_SINCE("$0\r\n\r\n"),
      HELLO_SINCE("$1\r\nx\r\n"),
      HELLO_SINCE("$13\r\n1099511627776\r\n"), /* 2^40 */
      HELLO_SINCE("$2\r\n5-\r\n"),
      HELLO_SINCE("$2\r\n-5\r\n"),
      HELLO_SINCE("$5\r\n5-5-5\r\n"),
      ("*7\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$2\r\n20\r\n$13\r\n1800000000000\r\n$1\r\n0\r\n$"
       "5\r\nempty\r\n"
       "$32\r\n00112233445566778899aabbccddeeff\r\n"),
      "*6\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$2\r\n20\r\n$13\r\n1800000000000\r\n$1\r\n1\r\n$"
      "5\r\nempty\r\n",
      ("*7\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$2\r\n20\r\n"
       "$16\r\n9007199254740992\r\n$1\r\n1\r\n$5\r\nempty\r\n"
       "$32\r\n00112233445566778899aabbccddeeff\r\n"),
      "*4\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$2\r\n20\r\n$13\r\n1800000000000\r\n",
      "*6\r\n$7\r\nSIDEBUS\r\n$8\r\nSNAPSHOT\r\n$2\r\n20\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n",
      "*6\r\n$7\r\nSIDEBUS\r\n$8\r\nSNAPSHOT\r\n$2\r\n20\r\n$1\r\n0\r\n$4\r\n4097\r\n$1\r\nx\r\n",
  };
  struct sb_envelope envelope = hub->logs[0].at[0].envelope; /* of a's HELLO */
  snprintf(envelope.node, sizeof envelope.node, "b");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) core_append(hub, 0, &envelope, sb_bytes_of(bad[i]));
  core_run(hub);
  struct sb_core_log_info info;
  sb_core_log_info(node->core, 0, &info);
  assert_int_equal(core_stats(node).batches_malformed, sizeof bad / sizeof *bad);
  assert_int_equal(info.members, 1);
  assert_int_equal(info.generation, hub->logs[0].at[1].envelope.time_ms);
  const char *const good[] = {"*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n",
                              HELLO_SINCE("$1\r\n0\r\n"), HELLO_SINCE("$13\r\n1099511627775\r\n"),
                              HELLO_SINCE("$3\r\n5-0\r\n")};
  for (size_t i = 0; i < 4; i++) {
    snprintf(envelope.node, sizeof envelope.node, "b%zu", i);
    core_append(hub, 0, &envelope, sb_bytes_of(good[i]));
  }
  core_run(hub);
  sb_core_log_info(node->core, 0, &info);
  assert_int_equal(info.members, 5);
}

/* Behind the highest there is no higher one to come back with: whoever has the name would ask for ever. */
static void an_incarnation_that_leaves_no_higher_one_is_malformed(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_envelope envelope = hub->logs[0].at[0].envelope; /* of a's HELLO */
  snprintf(envelope.node, sizeof envelope.node, "b");
  envelope.incarnation.start_ms = UINT64_MAX;
  core_append(hub, 0, &envelope, sb_bytes_of("*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n"));
  core_run(hub);
  assert_int_equal(core_stats(a).batches_malformed, 1);
  core_join(hub, "b");
}

static void a_batch_forged_in_our_name_leaves_nobody_waiting(void **state) {
  struct core_hub *hub = *state;
  struct node *node = core_join(hub, "a");
  struct sb_session session;
  struct sb_core_log_info info;
  session_open(node, &session, 2);
  node->lose = true;
  for (int i = 0; i < 3; i++) session_publish(node, &session, "c", "1");
  sb_core_turn(node->core);
  sb_core_log_info(node->core, 0, &info);
  struct sb_envelope forged = hub->logs[0].at[0].envelope; /* of its HELLO */
  forged.number = forged.count = 1;
  forged.generation = info.generation;
  core_append(hub, 0, &forged, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  core_run(hub);
  assert_output(&session, "-GAP ordered, position unknown\r\n-GAP ordered, position unknown\r\n"
                          "-GAP ordered, position unknown\r\n");
  session_close(node, &session);
}

/* It has the number, the incarnation and as many entries as the one that is on its way, and comes first. */
static void who_waits_for_a_batch_is_not_told_that_another_one_of_its_number_ran(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  session_publish(a, &session, "c", "real");
  sb_core_turn(a->core);
  struct message *sent = &hub->logs[0].at[hub->logs[0].count - 1];
  const struct sb_envelope forged = sent->envelope;
  sb_body_unref(sent->body); /* the log has the other one at its place, and ours behind it */
  sent->body = body_of(sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4\r\nfake\r\n"));
  core_append(hub, 0, &forged, sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4\r\nreal\r\n"));
  core_run(hub);
  assert_int_equal(core_stats(a).batches_impersonated, 1);
  assert_output(&session, "-GAP ordered, position unknown\r\n");
  session_publish(a, &session, "c", "next");
  core_run(hub);
  assert_output(&session, ":0\r\n");
  assert_int_equal(core_stats(a).batches_impersonated, 1);
  session_close(a, &session);
}

static void a_number_that_somebody_took_is_not_used_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  session_publish(a, &session, "c", "1");
  core_run(hub);
  assert_output(&session, ":0\r\n");
  struct sb_envelope forged = hub->logs[0].at[hub->logs[0].count - 1].envelope;
  forged.number = forged.base = forged.number + 1;
  core_append(hub, 0, &forged, sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4\r\nfake\r\n"));
  core_run(hub);
  assert_int_equal(core_stats(a).batches_impersonated, 1);
  session_publish(a, &session, "c", "2");
  core_run(hub);
  assert_output(&session, ":0\r\n"); /* and it would never have been answered */
  assert_int_equal(core_stats(a).batches_duplicate, 0);
  session_close(a, &session);
}

static void a_number_that_somebody_took_before_the_first_batch_is_not_used_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  struct sb_envelope forged = hub->logs[0].at[0].envelope; /* of its HELLO */
  forged.number = forged.base = forged.count = 1;
  forged.generation = info_of(a).generation;
  core_append(hub, 0, &forged, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  core_run(hub);
  session_open(a, &session, 2);
  session_publish(a, &session, "c", "1");
  core_run(hub);
  assert_output(&session, ":0\r\n"); /* and it would never have been answered */
  assert_int_equal(core_stats(a).batches_duplicate, 0);
  session_close(a, &session);
}

/* A heartbeat takes the place of what the broker does not take any more, and the log shows the older copy. */
static void an_older_copy_of_what_was_refused_since_is_no_word_of_others(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  session_open(a, &session, 2);
  a->lose = true;
  session_publish(a, &session, "c", "1");
  sb_core_turn(a->core);
  struct sb_envelope late = hub->logs[0].at[0].envelope;
  late.number = late.base = 1;
  late.generation = info_of(a).generation;
  a->takes_bytes = 20;
  core_pass(hub, FOUND_MS + 1000); /* it is sent again, and refused */
  assert_output(&session, "-ERR the broker's message limit became lower than this message\r\n");
  core_append(hub, 0, &late, sb_bytes_of("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\n1\r\n"));
  core_run(hub);
  assert_int_equal(core_stats(a).batches_accepted, 1);
  assert_int_equal(core_stats(a).batches_impersonated, 0);
  a->lose = false;
  a->takes_bytes = 0;
  session_publish(a, &session, "c", "2");
  core_run(hub);
  assert_output(&session, ":0\r\n");
  session_close(a, &session);
}

static void a_packed_batch_is_delivered_as_a_plain_one(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.compress = true;
  struct node *a = core_join_with(hub, &settings), *b = core_join(hub, "b");
  struct sb_session publisher, subscriber;
  char payload[3001] = {0}, expected[3100];
  memset(payload, 'x', 3000);
  snprintf(expected, sizeof expected, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3000\r\n%s\r\n", payload);
  session_open(a, &publisher, 2);
  session_open(b, &subscriber, 2);
  session_subscribe(b, &subscriber, SB_SUB_CHANNEL, "c");
  session_publish(a, &publisher, "c", payload);
  core_run(hub);
  const struct message *sent = &hub->logs[0].at[hub->logs[0].count - 1];
  assert_true(sent->envelope.lz4 && sent->body->len < 300);
  assert_int_equal(core_stats(a).batches_impersonated, 0); /* compared as it travelled */
  assert_output(&subscriber, expected);
  session_close(a, &publisher);
  session_close(b, &subscriber);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_foreign_message_is_published_on_the_channel_it_names),
      TEST(a_foreign_message_may_be_empty_and_must_name_a_channel),
      TEST(garbage_is_counted_and_skipped),
      TEST(a_joiner_says_which_other_version_it_met),
      TEST(what_was_refused_is_counted_by_its_kind_and_changes_nothing),
      TEST(malformed_control_messages_are_counted_and_change_nothing),
      TEST(an_incarnation_that_leaves_no_higher_one_is_malformed),
      TEST(a_batch_forged_in_our_name_leaves_nobody_waiting),
      TEST(who_waits_for_a_batch_is_not_told_that_another_one_of_its_number_ran),
      TEST(a_number_that_somebody_took_is_not_used_again),
      TEST(a_number_that_somebody_took_before_the_first_batch_is_not_used_again),
      TEST(an_older_copy_of_what_was_refused_since_is_no_word_of_others),
      TEST(a_packed_batch_is_delivered_as_a_plain_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
