/* Subscriptions as their session sees them: confirmed once, when every log that was told has brought them
 * back; what the logs bring meanwhile waits behind the confirmation, and nothing else waits. */
#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/ring.h"
#include "tests/unit/core_fixture.h"

#define PARTITIONS 3

struct fixture {
  struct core_hub *hub;
  struct node *node;
  struct sb_session session, publisher;
  const char *n0, *m0, *n1, *n2; /* channels; the digit is their partition */
};

static int set_up(void **state) {
  struct fixture *f = sb_calloc(1, sizeof *f);
  f->hub = core_hub(PARTITIONS);
  f->node = core_join(f->hub, "a");
  session_open(f->node, &f->session, 2);
  session_open(f->node, &f->publisher, 2);
  f->n0 = name_in(f->node, 0, 0);
  f->m0 = name_in(f->node, 0, 1);
  f->n1 = name_in(f->node, 1, 0);
  f->n2 = name_in(f->node, 2, 0);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  core_hub_free(f->hub);
  free(f);
  return 0;
}

/* What is sent at the end of a turn stands in the logs; nobody has read it. */
static void send(struct fixture *f) {
  sb_core_turn(f->node->core);
}

static void join(struct fixture *f, const char *first, const char *second, const char *confirmation) {
  const char *names[] = {first, second};
  assert_int_equal(
      session_change(f->node, &f->session, true, SB_SUB_CHANNEL, names, second ? 2 : 1, confirmation),
      second ? 2 : 1);
}

static void leave(struct fixture *f, const char *first, const char *second, const char *confirmation) {
  const char *names[] = {first, second};
  assert_int_equal(
      session_change(f->node, &f->session, false, SB_SUB_CHANNEL, names, second ? 2 : 1, confirmation),
      second ? 2 : 1);
}

static void publish(struct fixture *f, const char *channel, const char *payload) {
  assert_int_equal(session_publish(f->node, &f->publisher, channel, payload), SB_DONE);
}

/* Its log is read up to here. */
static void read_log(struct fixture *f, uint32_t partition) {
  core_read(f->node, partition);
}

/* The session gets this, and then nothing more: `format` has %s where names of channels are. */
__attribute__((format(printf, 2, 3))) static void expect(struct fixture *f, const char *format, ...) {
  char text[1000];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  assert_output(&f->session, text);
}

#define MESSAGE(payload) "*3\r\n$7\r\nmessage\r\n$1\r\n%s\r\n$1\r\n" payload "\r\n"

static void finish(struct fixture *f) {
  core_run(f->hub);
  assert_null(f->session.outlet.holds);
  assert_int_equal(f->session.outlet.held_bytes, 0);
  session_close(f->node, &f->session);
  session_close(f->node, &f->publisher);
  core_run(f->hub);
  for (int kind = 0; kind < SB_SUB_KINDS; kind++)
    assert_int_equal(f->node->core->interest.topics[kind].count, 0);
}

/* ---- confirmations ---- */

static void a_subscription_in_several_logs_is_confirmed_once_by_the_last(void **state) {
  struct fixture *f = *state;
  const char *names[] = {f->n0, f->n1, f->n2, f->m0};
  assert_int_equal(session_change(f->node, &f->session, true, SB_SUB_CHANNEL, names, 4, "+joined\r\n"), 4);
  send(f);
  expect(f, "%s", "");
  read_log(f, 2);
  read_log(f, 0);
  expect(f, "%s", "");
  assert_int_equal(sb_session_waiting(&f->session), 1);
  read_log(f, 1);
  expect(f, "%s", "+joined\r\n");
  assert_int_equal(sb_session_waiting(&f->session), 0);
  finish(f);
  expect(f, "%s", "");
}

static void a_pattern_is_confirmed_when_it_came_back_in_every_log(void **state) {
  struct fixture *f = *state;
  assert_true(session_ask(f->node, &f->session, SB_SUB_PATTERN, "*", "+joined\r\n"));
  send(f);
  for (uint32_t p = PARTITIONS; p > 1; p--) read_log(f, p - 1);
  expect(f, "%s", "");
  read_log(f, 0);
  expect(f, "%s", "+joined\r\n");
  assert_true(session_take_back(f->node, &f->session, SB_SUB_PATTERN, "*", "+left\r\n"));
  send(f);
  for (uint32_t p = PARTITIONS; p > 1; p--) read_log(f, p - 1);
  expect(f, "%s", "");
  read_log(f, 0);
  expect(f, "%s", "+left\r\n");
  finish(f);
}

static void what_is_known_already_is_confirmed_at_once(void **state) {
  struct fixture *f = *state;
  const char *twice[] = {f->n0, f->n0};
  assert_int_equal(session_change(f->node, &f->session, true, SB_SUB_CHANNEL, twice, 2, "+1\r\n"), 1);
  send(f);
  read_log(f, 0);
  expect(f, "%s", "+1\r\n");
  assert_false(session_ask(f->node, &f->session, SB_SUB_CHANNEL, f->n0, "+2\r\n"));
  expect(f, "%s", "+2\r\n");
  assert_false(session_take_back(f->node, &f->session, SB_SUB_CHANNEL, f->n1, "+3\r\n"));
  expect(f, "%s", "+3\r\n");
  finish(f);
}

/* Asked for again before the first request came back: still in its turn. */
static void what_is_under_way_is_confirmed_behind_it(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, NULL, "+1\r\n");
  assert_false(session_ask(f->node, &f->session, SB_SUB_CHANNEL, f->n0, "+2\r\n"));
  expect(f, "%s", "");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "+1\r\n+2\r\n");
  finish(f);
}

static void who_changes_its_mind_is_what_it_said_last(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, NULL, "+1\r\n");
  leave(f, f->n0, NULL, "+2\r\n");
  join(f, f->n0, NULL, "+3\r\n");
  assert_int_equal(f->session.subs.count[SB_SUB_CHANNEL], 1);
  core_run(f->hub);
  expect(f, "%s", "+1\r\n+2\r\n+3\r\n");
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n0), 1);
  leave(f, f->n0, NULL, "+4\r\n");
  join(f, f->n0, NULL, "+5\r\n");
  leave(f, f->n0, NULL, "+6\r\n");
  publish(f, f->n0, "x");
  core_run(f->hub);
  expect(f, "%s", "+4\r\n+5\r\n+6\r\n");
  assert_output(&f->publisher, ":0\r\n");
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n0), 0);
  finish(f);
}

static void a_subscription_hears_nothing_that_was_ordered_before_it(void **state) {
  struct fixture *f = *state;
  publish(f, f->n0, "1");
  join(f, f->n0, NULL, "+ok\r\n");
  publish(f, f->n0, "2");
  core_run(f->hub);
  expect(f, "+ok\r\n" MESSAGE("2"), f->n0);
  assert_output(&f->publisher, ":0\r\n:1\r\n");
  finish(f);
}

/* A pattern is active in each log from its own echo there on. */
static void a_pattern_hears_nothing_that_was_ordered_before_it_in_that_log(void **state) {
  struct fixture *f = *state;
  publish(f, f->n1, "1");
  assert_true(session_ask(f->node, &f->session, SB_SUB_PATTERN, "?", "+ok\r\n"));
  publish(f, f->n1, "2");
  send(f);
  read_log(f, 0);
  read_log(f, 2);
  read_log(f, 1);
  expect(f, "+ok\r\n*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\n%s\r\n$1\r\n2\r\n", f->n1);
  assert_output(&f->publisher, ":0\r\n:1\r\n");
  finish(f);
}

/* ---- what is held ---- */

static void a_message_waits_behind_the_confirmation_of_its_subscription(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+ok\r\n");
  send(f);
  read_log(f, 0);
  publish(f, f->n0, "x");
  send(f);
  read_log(f, 0);
  assert_output(&f->publisher, ":1\r\n"); /* nobody else waits for it */
  expect(f, "%s", "");
  assert_true(f->session.outlet.held_bytes > 0);
  read_log(f, 1);
  expect(f, "+ok\r\n" MESSAGE("x"), f->n0);
  publish(f, f->n0, "y");
  core_run(f->hub);
  expect(f, MESSAGE("y"), f->n0);
  finish(f);
}

static void the_same_log_waits_and_the_others_flow_on(void **state) {
  struct fixture *f = *state;
  join(f, f->m0, f->n2, "+1\r\n");
  core_run(f->hub);
  expect(f, "%s", "+1\r\n");
  join(f, f->n0, f->n1, "+2\r\n");
  send(f);
  read_log(f, 0);
  publish(f, f->n2, "x");
  publish(f, f->m0, "y"); /* of the same log as n0: the two have one order */
  publish(f, f->n0, "z");
  send(f);
  read_log(f, 0);
  read_log(f, 2);
  expect(f, MESSAGE("x"), f->n2);
  read_log(f, 1);
  expect(f, "+2\r\n" MESSAGE("y") MESSAGE("z"), f->m0, f->n0);
  finish(f);
}

static void a_pattern_waits_in_the_logs_that_brought_it_back(void **state) {
  struct fixture *f = *state;
  join(f, f->n2, NULL, "+1\r\n");
  core_run(f->hub);
  expect(f, "%s", "+1\r\n");
  assert_true(session_ask(f->node, &f->session, SB_SUB_PATTERN, f->n0, "+2\r\n"));
  send(f);
  read_log(f, 0);
  publish(f, f->n0, "x");
  publish(f, f->n2, "y");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "");
  read_log(f, 2); /* the pattern: the message may be sent now */
  send(f);
  read_log(f, 2);
  expect(f, "%s", "");
  read_log(f, 1);
  expect(f, "+2\r\n*4\r\n$8\r\npmessage\r\n$1\r\n%s\r\n$1\r\n%s\r\n$1\r\nx\r\n" MESSAGE("y"), f->n0, f->n0,
         f->n2);
  finish(f);
}

static void a_confirmation_waits_for_the_replies_before_it(void **state) {
  struct fixture *f = *state;
  assert_int_equal(session_publish(f->node, &f->session, f->n1, "1"), SB_DONE);
  join(f, f->n0, NULL, "+ok\r\n");
  send(f);
  read_log(f, 0);
  publish(f, f->n0, "x");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "");
  assert_true(sb_core_reply(f->node->core, &f->session, sb_bytes_of("+PONG\r\n")));
  read_log(f, 1);
  expect(f, ":0\r\n+ok\r\n" MESSAGE("x") "+PONG\r\n", f->n0);
  finish(f);
}

static void what_is_held_is_released_in_the_order_of_the_log(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+1\r\n");
  publish(f, f->n0, "x");
  join(f, f->m0, f->n2, "+2\r\n");
  publish(f, f->n0, "y");
  publish(f, f->m0, "z");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "");
  read_log(f, 1); /* the first is complete, the second is not: what came between is free */
  expect(f, "+1\r\n" MESSAGE("x"), f->n0);
  publish(f, f->n0, "w");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "");
  read_log(f, 2);
  expect(f, "+2\r\n" MESSAGE("y") MESSAGE("z") MESSAGE("w"), f->n0, f->m0, f->n0);
  finish(f);
}

static void a_later_confirmation_that_is_complete_waits_for_the_earlier(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+1\r\n");
  publish(f, f->n0, "x");
  join(f, f->m0, f->n2, "+2\r\n");
  publish(f, f->m0, "y");
  publish(f, f->n2, "z");
  send(f);
  read_log(f, 0);
  read_log(f, 2);
  expect(f, "%s", "");
  read_log(f, 1);
  expect(f, "+1\r\n" MESSAGE("x") "+2\r\n" MESSAGE("y") MESSAGE("z"), f->n0, f->m0, f->n2);
  finish(f);
}

/* ---- leaving ---- */

static void an_end_is_confirmed_behind_the_last_message(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+in\r\n");
  core_run(f->hub);
  expect(f, "%s", "+in\r\n");
  publish(f, f->n0, "1");
  leave(f, f->n0, f->n1, "+out\r\n");
  publish(f, f->n0, "2");
  send(f);
  read_log(f, 0);
  expect(f, MESSAGE("1"), f->n0);
  assert_output(&f->publisher, ":1\r\n:0\r\n");
  core_run(f->hub);
  expect(f, "%s", "+out\r\n");
  finish(f);
}

/* Nothing is held for who leaves: what the other log brings until its echo comes before the confirmation. */
static void who_leaves_hears_each_log_to_its_end(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+in\r\n");
  core_run(f->hub);
  expect(f, "%s", "+in\r\n");
  publish(f, f->n1, "1");
  send(f);
  leave(f, f->n0, f->n1, "+out\r\n");
  send(f);
  read_log(f, 0);
  assert_null(f->session.outlet.holds);
  read_log(f, 1); /* the message; the end is sent when the batch before it has come back */
  expect(f, MESSAGE("1"), f->n1);
  core_run(f->hub);
  expect(f, "%s", "+out\r\n");
  finish(f);
}

static void an_end_waits_behind_what_is_held(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+in\r\n");
  publish(f, f->n0, "1");
  leave(f, f->n0, NULL, "+out\r\n");
  publish(f, f->n0, "2");
  send(f);
  read_log(f, 0);
  expect(f, "%s", "");
  read_log(f, 1);
  expect(f, "+in\r\n" MESSAGE("1") "+out\r\n", f->n0);
  finish(f);
}

static void after_a_reset_nothing_is_pushed(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, f->n1, "+in\r\n");
  assert_true(session_ask(f->node, &f->session, SB_SUB_PATTERN, "*", "+in\r\n"));
  core_run(f->hub);
  expect(f, "%s", "+in\r\n+in\r\n");
  publish(f, f->n0, "1"); /* ordered before the end */
  send(f);
  sb_core_unsubscribe_all(f->node->core, &f->session);
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    assert_int_equal(f->session.subs.count[kind], 0);
    assert_null(f->session.subs.first[kind]);
  }
  assert_int_equal(sb_session_waiting(&f->session), 0);
  core_run(f->hub);
  expect(f, "%s", "");
  assert_output(&f->publisher, ":2\r\n"); /* the cluster counts what the log knows */
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n0), 0);
  assert_int_equal(numpat(f->node), 0);
  finish(f);
}

static void who_subscribes_right_after_a_reset_is_subscribed(void **state) {
  struct fixture *f = *state;
  join(f, f->n0, NULL, "+in\r\n");
  core_run(f->hub);
  sb_core_unsubscribe_all(f->node->core, &f->session);
  join(f, f->n0, NULL, "+again\r\n");
  publish(f, f->n0, "1");
  core_run(f->hub);
  expect(f, "+in\r\n+again\r\n" MESSAGE("1"), f->n0);
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n0), 1);
  finish(f);
}

/* ---- limits ---- */

static void what_is_held_counts_to_the_output_limit(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  struct sb_session other;
  const size_t one = strlen("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n");
  settings.output_hard_bytes = 3 * one + strlen("+ok\r\n"); /* the confirmation that waits counts, too */
  sb_core_reload(f->node->core, &settings);
  session_open(f->node, &other, 2);
  session_subscribe(f->node, &other, SB_SUB_CHANNEL, f->n0);
  join(f, f->n2, NULL, "");
  core_run(f->hub);
  join(f, f->n0, f->n1, "+ok\r\n");
  send(f);
  read_log(f, 0);
  publish(f, f->n2, "0"); /* flows: what is held and what is not count together */
  send(f);
  read_log(f, 2);
  for (int i = 1; i <= 3; i++) {
    publish(f, f->n0, "1");
    send(f);
    read_log(f, 0);
    assert_int_equal(f->session.outlet.held_bytes, i <= 2 ? one * (size_t)i : 0);
    assert_int_equal(sb_session_is_over_limit(&f->session), i > 2);
    char expected[100];
    snprintf(expected, sizeof expected, MESSAGE("1"), f->n0);
    assert_output(&other, expected);
  }
  assert_null(f->session.outlet.holds);
  assert_int_equal(f->session.outlet.out.bytes, 0);
  assert_int_equal(core_stats(f->node).outputs_over_limit, 1);
  read_log(f, 1);
  expect(f, "%s", ""); /* not even the confirmation: it will be closed */
  session_close(f->node, &other);
  finish(f);
}

static void a_subscription_waits_while_the_outbox_is_full_and_an_end_does_not(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  struct sb_bytes name = sb_bytes_of(f->n0);
  join(f, f->n0, NULL, "+in\r\n");
  core_run(f->hub);
  settings.outbox_bytes = 80;
  sb_core_reload(f->node->core, &settings);
  publish(f, f->n1, "more than half of it");
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_CHANNEL, &name, 1), SB_WAIT);
  assert_int_equal(sb_session_waiting(&f->session), 0);
  leave(f, f->n0, NULL, "+out\r\n");
  uint32_t room = f->node->room;
  core_run(f->hub);
  assert_true(f->node->room > room);
  expect(f, "%s", "+in\r\n+out\r\n");
  join(f, f->n0, NULL, "+again\r\n");
  core_run(f->hub);
  expect(f, "%s", "+again\r\n");
  assert_int_equal(core_stats(f->node).outbox_bytes, 0);
  finish(f);
}

static void what_no_log_takes_is_not_begun(void **state) {
  struct fixture *f = *state;
  struct sb_bytes names[] = {sb_bytes_of("short"),
                             sb_bytes_of("a name that is not short enough for this log")};
  sb_core_set_entry_max(f->node->core, 80);
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_CHANNEL, names, 2), SB_REFUSED);
  assert_string_equal(sb_core_refusal(f->node->core),
                      "subscription of 108 bytes is larger than the 80 bytes that the log takes");
  assert_int_equal(sb_session_waiting(&f->session), 0);
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_CHANNEL, names, 1), SB_DONE);
  assert_true(sb_core_subscribe(f->node->core, &f->session, SB_SUB_CHANNEL, names[0]));
  sb_core_confirm(f->node->core, &f->session, sb_bytes_of("+ok\r\n"));
  core_run(f->hub);
  expect(f, "%s", "+ok\r\n");
  finish(f);
}

static void names_that_are_too_many_for_one_request_are_told_so(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  struct sb_bytes names[] = {sb_bytes_of("a"), sb_bytes_of("b")};
  settings.outbox_bytes = 100;
  sb_core_reload(f->node->core, &settings);
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_CHANNEL, names, 2), SB_REFUSED);
  assert_string_equal(
      sb_core_refusal(f->node->core),
      "2 subscriptions of 128 bytes together are more than the 100 bytes of outbox.max_bytes, "
      "use fewer in one request");
  assert_int_equal(sb_session_waiting(&f->session), 0);
  finish(f);
}

/* Publishers would keep it out for ever if it had to fit beside what they keep there. */
static void a_large_request_is_taken_while_the_outbox_is_less_than_half_full(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  const char *names[] = {f->n0, f->m0, f->n1, f->n2};
  struct sb_bytes list[4];
  for (int i = 0; i < 4; i++) list[i] = sb_bytes_of(names[i]);
  char payload[160] = {0};
  memset(payload, 'x', sizeof payload - 1);
  publish(f, f->n1, payload);
  uint64_t half = core_stats(f->node).outbox_bytes;
  settings.outbox_bytes = 2 * half - 2;
  sb_core_reload(f->node->core, &settings);
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_CHANNEL, list, 4), SB_WAIT);
  settings.outbox_bytes = 2 * half;
  sb_core_reload(f->node->core, &settings);
  assert_int_equal(session_change(f->node, &f->session, true, SB_SUB_CHANNEL, names, 4, "+in\r\n"), 4);
  core_run(f->hub);
  expect(f, "%s", "+in\r\n");
  finish(f);
}

/* A batch is applied in one go, so what its messages cost has a bound; what flies in it does not. */
static void messages_that_cost_much_to_match_are_not_put_in_one_batch(void **state) {
  struct fixture *f = *state;
  char name[16], channel[1001];
  const char *const names[] = {name};
  memset(channel, 'c', 1000);
  channel[1000] = 0;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  settings.channel_bytes = SB_CHANNEL_BYTES_DEFAULT;
  sb_core_reload(f->node->core, &settings);
  uint64_t before = core_stats(f->node).batches_published;
  for (int i = 0; i < 8; i++) publish(f, channel, "x");
  core_run(f->hub);
  assert_int_equal(core_stats(f->node).batches_published, before + 1);
  for (uint32_t i = 0; i < SB_PATTERN_WORK_MAX; i++) {
    snprintf(name, sizeof name, "*%u*", i);
    assert_int_equal(session_change(f->node, &f->session, true, SB_SUB_PATTERN, names, 1, "+p\r\n"), 1);
  }
  core_run(f->hub);
  struct sb_buf confirmed = take_output(&f->session);
  sb_buf_close(&confirmed);
  before = core_stats(f->node).batches_published;
  for (int i = 0; i < 8; i++) publish(f, channel, "x"); /* of 4 million steps each */
  core_run(f->hub);
  assert_int_equal(core_stats(f->node).batches_published, before + 2);
  finish(f);
}

/* What a message may cost in all stays the same. */
static void where_names_may_be_long_patterns_may_cost_less(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  struct sb_buf texts = {0};
  struct sb_bytes names[SB_PATTERN_WORK_MAX / 4 + 1];
  const uint32_t most = SB_PATTERN_WORK_MAX / 4;
  for (uint32_t i = 0; i <= most; i++) sb_buf_printf(&texts, "*%04u*", i);
  for (uint32_t i = 0; i <= most; i++) names[i] = sb_bytes(texts.data + (size_t)i * 6, 6);
  settings.channel_bytes = 4 * (size_t)SB_CHANNEL_BYTES_DEFAULT;
  sb_core_reload(f->node->core, &settings);
  struct sb_core *core = f->node->core;
  assert_int_equal(sb_core_subscribing(core, &f->session, SB_SUB_PATTERN, names, most + 1), SB_REFUSED);
  assert_int_equal(sb_core_subscribing(core, &f->session, SB_SUB_PATTERN, names, most), SB_DONE);
  sb_core_confirm(core, &f->session, sb_bytes_of("+ok\r\n"));
  expect(f, "%s", "+ok\r\n");
  sb_buf_close(&texts);
  finish(f);
}

static void no_session_has_more_than_one_request_can_take_back(void **state) {
  struct fixture *f = *state;
  struct sb_bytes name = sb_bytes_of("*");
  uint32_t most = SB_SLOT_LEFT_MAX / PARTITIONS;
  f->session.subs.count[SB_SUB_PATTERN] = most;
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_PATTERN, &name, 1), SB_REFUSED);
  assert_non_null(strstr(sb_core_refusal(f->node->core), " subscriptions that one session may have"));
  f->session.subs.count[SB_SUB_PATTERN] = most - 1;
  assert_int_equal(sb_core_subscribing(f->node->core, &f->session, SB_SUB_PATTERN, &name, 1), SB_DONE);
  f->session.subs.count[SB_SUB_PATTERN] = 0;
  sb_core_confirm(f->node->core, &f->session, sb_bytes_of("+ok\r\n"));
  expect(f, "%s", "+ok\r\n");
  finish(f);
}

/* It has all the channels already: nothing goes to a log, only the answers pile up behind the publish. */
static void answers_that_wait_count_to_the_output_limit(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  join(f, f->n0, NULL, "+in\r\n");
  core_run(f->hub);
  expect(f, "%s", "+in\r\n");
  settings.output_hard_bytes = 100;
  sb_core_reload(f->node->core, &settings);
  assert_int_equal(session_publish(f->node, &f->session, f->n1, "x"), SB_DONE);
  for (int i = 1; i <= 11; i++) {
    assert_false(session_ask(f->node, &f->session, SB_SUB_CHANNEL, f->n0, "+10 bytes\r"));
    assert_int_equal(sb_session_is_over_limit(&f->session), i > 10);
  }
  assert_int_equal(core_stats(f->node).outputs_over_limit, 1);
  finish(f);
  assert_int_equal(f->session.outlet.kept_bytes, 0);
}

static void questions_that_wait_count_to_the_output_limit(void **state) {
  struct fixture *f = *state;
  struct sb_core_settings settings = core_settings(f->hub, "a");
  struct sb_bytes names[] = {sb_bytes_of(f->n0), sb_bytes_of(f->n1)};
  settings.output_hard_bytes = 1000;
  sb_core_reload(f->node->core, &settings);
  for (int i = 0; i < 100 && !sb_session_is_over_limit(&f->session); i++)
    assert_int_equal(sb_core_ask(f->node->core, &f->session, SB_SUB_CHANNEL, names, 2), SB_DONE);
  assert_true(sb_session_is_over_limit(&f->session));
  assert_true(f->session.outlet.kept_bytes <= 1000);
  finish(f);
  assert_int_equal(f->session.outlet.kept_bytes, 0);
}

/* However many are confirmed late: there is one hold for each log while nothing waits in them. */
static void a_flood_of_subscriptions_needs_one_hold(void **state) {
  struct fixture *f = *state;
  char name[24];
  uint32_t holds = 0, asked = 0;
  assert_int_equal(session_publish(f->node, &f->session, f->n1, "x"), SB_DONE);
  for (int i = 0; asked < 200; i++) {
    snprintf(name, sizeof name, "flood %d", i);
    if (sb_core_partition(f->node->core, sb_bytes_of(name)) == 1) continue;
    assert_true(session_ask(f->node, &f->session, SB_SUB_CHANNEL, name, "+"));
    asked++;
  }
  send(f);
  read_log(f, 0);
  read_log(f, 2);
  for (const struct sb_hold *hold = f->session.outlet.holds; hold; hold = hold->next) holds++;
  assert_int_equal(holds, 2);
  finish(f);
}

/* ---- what the broker refuses ---- */

static void a_pattern_that_one_log_does_not_take_is_gone_from_all(void **state) {
  struct fixture *f = *state;
  f->node->refuses = 1 + 1;
  assert_true(session_ask(f->node, &f->session, SB_SUB_PATTERN, "*", "+joined\r\n"));
  core_run(f->hub);
  assert_int_equal(f->session.subs.count[SB_SUB_PATTERN], 0);
  struct sb_buf got = take_output(&f->session);
  assert_memory_equal(got.data, "-ERR", 4);
  sb_buf_close(&got);
  publish(f, f->n0, "x");
  publish(f, f->n1, "x");
  core_run(f->hub);
  assert_output(&f->publisher, ":0\r\n:0\r\n");
  expect(f, "%s", "");
  assert_int_equal(f->node->core->interest.topics[SB_SUB_PATTERN].count, 0);
  finish(f);
}

static void a_refusal_takes_back_nothing_that_was_asked_later(void **state) {
  struct fixture *f = *state;
  f->node->core->logs.settings.batch_bytes = 1; /* an entry a batch */
  f->node->refuses = 1 + 1;
  join(f, f->n1, NULL, "+1\r\n");
  leave(f, f->n1, NULL, "+2\r\n");
  join(f, f->n1, NULL, "+3\r\n");
  core_run(f->hub);
  struct sb_buf got = take_output(&f->session);
  assert_memory_equal(got.data, "-ERR", 4);
  assert_memory_equal(got.data + got.len - 8, "+2\r\n+3\r\n", 8);
  sb_buf_close(&got);
  assert_int_equal(f->session.subs.count[SB_SUB_CHANNEL], 1);
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n1), 1);
  leave(f, f->n1, NULL, "+out\r\n");
  core_run(f->hub);
  expect(f, "%s", "+out\r\n");
  assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n1), 0);
  finish(f);
}

/* ---- sessions that end ---- */

static void a_session_closed_with_subscriptions_under_way_is_released_once(void **state) {
  struct fixture *f = *state;
  for (int read = 0; read < 4; read++) { /* how much of it has come back when the session ends */
    struct sb_session *session = sb_calloc(1, sizeof *session);
    const char *names[] = {f->n0, f->n1, f->n2};
    struct sb_bytes asked = sb_bytes_of(f->n2);
    uint32_t released = f->node->released;
    sb_core_session_open(f->node->core, session, 2);
    session_change(f->node, session, true, SB_SUB_CHANNEL, names, 3, "+1\r\n");
    session_ask(f->node, session, SB_SUB_PATTERN, "*", "+2\r\n");
    session_take_back(f->node, session, SB_SUB_CHANNEL, f->n1, "+3\r\n");
    assert_int_equal(sb_core_ask(f->node->core, session, SB_SUB_CHANNEL, &asked, 1), SB_DONE);
    assert_int_equal(session_publish(f->node, session, f->n0, "x"), SB_DONE);
    assert_true(sb_core_reply(f->node->core, session, sb_bytes_of("+PONG\r\n")));
    if (read > 0) send(f);
    for (int p = 0; p + 1 < read; p++) read_log(f, (uint32_t)p);
    sb_core_session_close(f->node->core, session);
    assert_int_equal(f->node->released, released);
    assert_int_equal(session->outlet.held_bytes, 0);
    assert_int_equal(session->outlet.kept_bytes, 0); /* nobody reads what it would be answered */
    core_run(f->hub);
    assert_int_equal(f->node->released, released + 1);
    assert_ptr_equal(f->node->last_released, session);
    assert_null(session->ring.slots);
    assert_null(session->outlet.holds);
    free(session);
    assert_int_equal(numsub(f->node, SB_SUB_CHANNEL, f->n0), 0);
    assert_int_equal(numpat(f->node), 0);
    for (int kind = 0; kind < SB_SUB_KINDS; kind++)
      assert_int_equal(f->node->core->interest.topics[kind].count, 0);
  }
  finish(f);
}

/* The log will never say what it was waiting for. */
static void a_session_with_subscriptions_under_way_at_the_end_is_released_from_within(void **state) {
  struct fixture *f = *state;
  struct sb_session *sessions[2];
  for (int i = 0; i < 2; i++) {
    const char *names[] = {f->n0, f->n1};
    struct sb_bytes asked[] = {sb_bytes_of(f->n2), sb_bytes_of(f->n0)};
    sessions[i] = sb_calloc(1, sizeof *sessions[i]);
    sb_core_session_open(f->node->core, sessions[i], 2);
    session_change(f->node, sessions[i], true, SB_SUB_CHANNEL, names, 2, "+1\r\n");
    session_ask(f->node, sessions[i], SB_SUB_PATTERN, "*", "+2\r\n");
    assert_int_equal(sb_core_ask(f->node->core, sessions[i], SB_SUB_CHANNEL, asked, 2), SB_DONE);
    session_take_back(f->node, sessions[i], SB_SUB_CHANNEL, f->n0, "+3\r\n");
    send(f);
    if (i == 1) sb_core_attached(f->node->core, 0, SB_ATTACH_GAP); /* some wait for a SNAPSHOT */
  }
  session_close(f->node, &f->session);
  session_close(f->node, &f->publisher);
  uint32_t released = f->node->released;
  for (int i = 0; i < 2; i++) sb_core_session_close(f->node->core, sessions[i]);
  assert_int_equal(f->node->released, released);
  core_leave(f->node);
  assert_int_equal(f->node->released, released + 2);
  for (int i = 0; i < 2; i++) {
    assert_null(sessions[i]->ring.slots);
    free(sessions[i]);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_subscription_in_several_logs_is_confirmed_once_by_the_last),
      TEST(a_pattern_is_confirmed_when_it_came_back_in_every_log),
      TEST(what_is_known_already_is_confirmed_at_once),
      TEST(what_is_under_way_is_confirmed_behind_it),
      TEST(who_changes_its_mind_is_what_it_said_last),
      TEST(a_subscription_hears_nothing_that_was_ordered_before_it),
      TEST(a_pattern_hears_nothing_that_was_ordered_before_it_in_that_log),
      TEST(a_message_waits_behind_the_confirmation_of_its_subscription),
      TEST(the_same_log_waits_and_the_others_flow_on),
      TEST(a_pattern_waits_in_the_logs_that_brought_it_back),
      TEST(a_confirmation_waits_for_the_replies_before_it),
      TEST(what_is_held_is_released_in_the_order_of_the_log),
      TEST(a_later_confirmation_that_is_complete_waits_for_the_earlier),
      TEST(an_end_is_confirmed_behind_the_last_message),
      TEST(who_leaves_hears_each_log_to_its_end),
      TEST(an_end_waits_behind_what_is_held),
      TEST(after_a_reset_nothing_is_pushed),
      TEST(who_subscribes_right_after_a_reset_is_subscribed),
      TEST(what_is_held_counts_to_the_output_limit),
      TEST(a_subscription_waits_while_the_outbox_is_full_and_an_end_does_not),
      TEST(what_no_log_takes_is_not_begun),
      TEST(names_that_are_too_many_for_one_request_are_told_so),
      TEST(a_large_request_is_taken_while_the_outbox_is_less_than_half_full),
      TEST(messages_that_cost_much_to_match_are_not_put_in_one_batch),
      TEST(where_names_may_be_long_patterns_may_cost_less),
      TEST(no_session_has_more_than_one_request_can_take_back),
      TEST(answers_that_wait_count_to_the_output_limit),
      TEST(questions_that_wait_count_to_the_output_limit),
      TEST(a_flood_of_subscriptions_needs_one_hold),
      TEST(a_pattern_that_one_log_does_not_take_is_gone_from_all),
      TEST(a_refusal_takes_back_nothing_that_was_asked_later),
      TEST(a_session_closed_with_subscriptions_under_way_is_released_once),
      TEST(a_session_with_subscriptions_under_way_at_the_end_is_released_from_within),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
