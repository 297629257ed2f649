/* Who subscribes to what, in the whole cluster: what PUBLISH and PUBSUB count, and that nodes that join,
 * leave, die, come back or lose the log from sight are counted as what they have. */
#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/wire/sidebus.h"
#include "tests/unit/core_fixture.h"

#define PARTITIONS 2
#define IN_0       "b" /* channels of the first and the second partition */
#define IN_1       "a"

static int set_up(void **state) {
  *state = core_hub(PARTITIONS);
  return 0;
}

static int tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

/* ---- helpers ---- */

static void assert_interest_agrees(struct core_hub *hub) {
  for (uint32_t p = 0; p < hub->partitions; p++)
    for (int n = 1; n < NODES_MAX; n++)
      if (hub->nodes[0].core && hub->nodes[n].core)
        assert_true(sb_state_equal(&hub->nodes[0].core->logs.partitions[p].state,
                                   &hub->nodes[n].core->logs.partitions[p].state));
}

/* Closes the sessions of a node at the end of a test. */
#define END(node, ...)                                                                                       \
  do {                                                                                                       \
    struct sb_session *const ended[] = {__VA_ARGS__, NULL};                                                  \
    for (struct sb_session *const *at = ended; *at; at++) session_close(node, *at);                          \
  } while (0)

/* What one log counts, without asking it anything. */
static uint64_t known(const struct node *node, enum sb_sub_kind kind, const char *name) {
  const struct sb_partition *part =
      &node->core->logs.partitions[sb_core_partition(node->core, sb_bytes_of(name))];
  return sb_counts_channel(&part->state.counts, sb_counts_id(&part->state.counts, kind, sb_bytes_of(name)));
}

static uint64_t topics_of(const struct node *node) {
  uint64_t count = 0;
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) count += node->core->interest.topics[kind].count;
  return count;
}

/* The INTEREST entries of a node in a log behind `from`, as "name=count " each. */
static void said(const struct core_hub *hub, uint32_t partition, const char *node, size_t from, char *out,
                 size_t size) {
  size_t used = 0;
  out[0] = 0;
  for (size_t i = from; i < hub->logs[partition].count; i++) {
    const struct message *message = &hub->logs[partition].at[i];
    struct sb_bytes body = sb_bytes(message->body->data, message->body->len);
    if (message->envelope.number == 0 || strcmp(message->envelope.node, node) != 0) continue;
    for (uint32_t off = 0; off < body.len;) {
      struct sb_sidebus said;
      struct sb_bytes args[8];
      if (sb_sidebus_read(body, off, &said) && said.word == SB_SIDEBUS_INTEREST)
        used += (size_t)snprintf(out + used, size - used, "%.*s=%u ", (int)said.interest.name.len,
                                 (const char *)said.interest.name.at, said.interest.count);
      assert_true(sb_entry_args(body, &off, args, 8) > 0);
    }
  }
}

static size_t last_hello(const struct core_hub *hub, uint32_t partition, const char *node) {
  for (size_t i = hub->logs[partition].count; i > 0; i--) {
    const struct message *message = &hub->logs[partition].at[i - 1];
    if (strcmp(message->envelope.node, node) == 0 &&
        memmem(message->body->data, message->body->len, "HELLO", 5))
      return i - 1;
  }
  fail_msg("%s said no HELLO", node);
  return 0;
}

/* The log is deleted and made anew, and is empty. */
static void renew_log(struct core_hub *hub, uint32_t partition) {
  struct core_log *log = &hub->logs[partition];
  while (log->count > 0) {
    struct message *message = &log->at[--log->count];
    sb_body_unref(message->channel);
    sb_body_unref(message->body);
  }
  for (int n = 0; n < NODES_MAX; n++) hub->nodes[n].read[partition] = 0;
}

/* ---- counting ---- */

static void a_publish_is_answered_with_the_subscribers_of_the_cluster(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b"), *c = core_join(hub, "c");
  struct sb_session publisher, on_a, on_b[2], on_c;
  session_open(a, &publisher, 2);
  session_open(a, &on_a, 2);
  session_open(b, &on_b[0], 2);
  session_open(b, &on_b[1], 2);
  session_open(c, &on_c, 2);
  session_subscribe(b, &on_b[0], SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &on_b[1], SB_SUB_CHANNEL, IN_0);
  session_subscribe(c, &on_c, SB_SUB_PATTERN, "[ab]");
  session_subscribe(c, &on_c, SB_SUB_PATTERN, "b*");
  session_subscribe(b, &on_b[0], SB_SUB_PATTERN, "b*");
  session_subscribe(a, &on_a, SB_SUB_SHARD, IN_0);
  session_publish(a, &publisher, IN_0, "x");
  session_publish(a, &publisher, IN_1, "x");
  session_publish(a, &publisher, "elsewhere", "x");
  sb_core_publish(a->core, &publisher, SB_SPUBLISH, sb_bytes_of(IN_0), sb_bytes_of("x"));
  core_run(hub);
  assert_output(&publisher, ":5\r\n:1\r\n:0\r\n:1\r\n"); /* by channel 2, by patterns 3 */
  session_close(b, &on_b[1]);
  core_run(hub);
  session_publish(a, &publisher, IN_0, "x");
  core_run(hub);
  assert_output(&publisher, ":4\r\n");
  assert_interest_agrees(hub);
  END(a, &publisher, &on_a);
  END(b, &on_b[0]);
  END(c, &on_c);
}

static void a_question_about_several_logs_is_answered_once_in_the_order_of_its_names(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session one, two, asker;
  session_open(a, &one, 2);
  session_open(b, &two, 2);
  session_open(a, &asker, 2);
  session_subscribe(a, &one, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &two, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &two, SB_SUB_CHANNEL, IN_1);
  session_subscribe(b, &two, SB_SUB_SHARD, IN_1);
  const struct sb_bytes names[] = {sb_bytes_of(IN_1), sb_bytes_of(IN_0), sb_bytes_of("none"),
                                   sb_bytes_of(IN_1)};
  assert_int_equal(sb_core_ask(a->core, &asker, SB_SUB_CHANNEL, names, 4), SB_DONE);
  assert_int_equal(sb_core_ask(a->core, &asker, SB_SUB_SHARD, names, 2), SB_DONE);
  sb_core_turn(a->core);
  core_read(a, 1);
  assert_output(&asker, "");
  core_run(hub);
  assert_output(&asker, "*8\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:2\r\n$4\r\nnone\r\n:0\r\n$1\r\na\r\n:1\r\n"
                        "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:0\r\n");
  END(a, &one, &asker);
  END(b, &two);
}

static void numpat_counts_the_patterns_of_the_cluster_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session one, two;
  session_open(a, &one, 2);
  session_open(b, &two, 2);
  session_subscribe(a, &one, SB_SUB_PATTERN, "x*");
  session_subscribe(b, &two, SB_SUB_PATTERN, "x*");
  session_subscribe(b, &two, SB_SUB_PATTERN, "y*");
  session_subscribe(b, &two, SB_SUB_CHANNEL, "z");
  assert_int_equal(numpat(a), 2);
  assert_int_equal(numpat(b), 2);
  session_close(b, &two);
  core_run(hub);
  assert_int_equal(numpat(a), 1);
  END(a, &one);
}

/* Asked at a node that has not read yet what was replied elsewhere. */
static void a_question_knows_what_was_replied_on_another_node_before(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session subscriber, asker;
  struct sb_bytes name = sb_bytes_of(IN_0);
  session_open(b, &subscriber, 2);
  session_open(a, &asker, 2);
  assert_true(session_ask(b, &subscriber, SB_SUB_CHANNEL, IN_0, "+ok\r\n"));
  sb_core_turn(b->core);
  core_read(b, 0);
  assert_output(&subscriber, "+ok\r\n"); /* a knows nothing of it yet */
  assert_int_equal(known(a, SB_SUB_CHANNEL, IN_0), 0);
  assert_int_equal(sb_core_ask(a->core, &asker, SB_SUB_CHANNEL, &name, 1), SB_DONE);
  core_run(hub);
  assert_output(&asker, "*2\r\n$1\r\nb\r\n:1\r\n");
  END(a, &asker);
  END(b, &subscriber);
}

static void who_joins_knows_what_the_others_subscribe_to(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  settings.snapshot_piece_bytes = 50;
  struct node *a = core_join_with(hub, &settings);
  struct sb_session sessions[2], publisher;
  session_open(a, &sessions[0], 2);
  session_open(a, &sessions[1], 2);
  for (int i = 0; i < 2; i++) {
    session_subscribe(a, &sessions[i], SB_SUB_CHANNEL, IN_0);
    session_subscribe(a, &sessions[i], SB_SUB_SHARD, IN_1);
    session_subscribe(a, &sessions[i], SB_SUB_PATTERN, "?");
  }
  struct node *b = core_join(hub, "b");
  assert_int_equal(known(b, SB_SUB_CHANNEL, IN_0), 2);
  assert_interest_agrees(hub);
  session_open(b, &publisher, 2);
  session_publish(b, &publisher, IN_0, "x");
  sb_core_publish(b->core, &publisher, SB_SPUBLISH, sb_bytes_of(IN_1), sb_bytes_of("x"));
  core_run(hub);
  assert_output(&publisher, ":4\r\n:2\r\n");
  END(a, &sessions[0], &sessions[1]);
  END(b, &publisher);
}

/* What comes between the HELLO and the SNAPSHOT. */
static void who_joins_knows_what_was_subscribed_meanwhile(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_core_settings settings = core_settings(hub, "b");
  struct node *b = core_start(hub, &settings);
  struct sb_session session;
  session_open(a, &session, 2);
  for (uint32_t p = 0; p < PARTITIONS; p++) sb_core_attached(b->core, p, SB_ATTACH_FRESH);
  core_links(b, true); /* its HELLO is in the log */
  session_ask(a, &session, SB_SUB_CHANNEL, IN_0, "");
  sb_core_turn(a->core);
  core_read(a, 0);
  session_ask(a, &session, SB_SUB_PATTERN, "p*", "");
  session_take_back(a, &session, SB_SUB_CHANNEL, IN_0, "");
  core_run(hub);
  assert_interest_agrees(hub);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 0);
  assert_int_equal(numpat(b), 1);
  END(a, &session);
}

/* It asked before it knew the log: that is said and confirmed when it is ready. */
static void who_subscribes_before_the_node_is_ready_is_subscribed_when_it_is(void **state) {
  struct core_hub *hub = *state;
  struct sb_core_settings settings = core_settings(hub, "a");
  struct node *a = core_start(hub, &settings);
  struct sb_session session;
  session_open(a, &session, 2);
  session_ask(a, &session, SB_SUB_CHANNEL, IN_0, "+ok\r\n");
  core_run(hub);
  assert_output(&session, "");
  for (uint32_t p = 0; p < PARTITIONS; p++) sb_core_attached(a->core, p, SB_ATTACH_FRESH);
  core_links(a, true);
  core_run(hub);
  assert_output(&session, "+ok\r\n");
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 1);
  END(a, &session);
}

/* ---- sessions that end ---- */

static void a_session_that_ends_takes_its_interest_along_however_far_it_was(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  for (int read = 0; read < 5; read++) { /* of its SUBSCRIBE: not sent, sent, one log, both, and confirmed */
    struct sb_session *session = sb_calloc(1, sizeof *session);
    const char *names[] = {IN_0, IN_1};
    sb_core_session_open(a->core, session, 2);
    session_change(a, session, true, SB_SUB_CHANNEL, names, 2, "+ok\r\n");
    session_ask(a, session, SB_SUB_PATTERN, "*", "+ok\r\n");
    if (read > 0) sb_core_turn(a->core);
    if (read > 1) core_read(a, 1);
    if (read > 2) core_read(a, 0);
    if (read > 3) core_run(hub);
    sb_core_session_close(a->core, session);
    core_run(hub);
    free(session);
    assert_int_equal(topics_of(a), 0);
    assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 0);
    assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_1), 0);
    assert_int_equal(numpat(b), 0);
    assert_int_equal(core_stats(a).subscriptions[SB_SUB_CHANNEL], 0);
    assert_int_equal(core_stats(a).topics[SB_SUB_PATTERN], 0);
  }
  assert_interest_agrees(hub);
}

static void a_session_that_ends_leaves_the_others_of_its_node(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session stays, goes;
  session_open(a, &stays, 2);
  session_open(a, &goes, 2);
  session_subscribe(a, &stays, SB_SUB_CHANNEL, IN_0);
  session_subscribe(a, &goes, SB_SUB_CHANNEL, IN_0);
  session_close(a, &goes);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 1);
  END(a, &stays);
}

/* ---- nodes that end, and come back ---- */

static void the_interest_of_a_dead_node_is_gone_everywhere(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b"), *c = core_join(hub, "c");
  struct sb_session on_b, on_c;
  session_open(b, &on_b, 2);
  session_open(c, &on_c, 2);
  for (int i = 0; i < 2; i++) {
    session_subscribe(b, &on_b, SB_SUB_CHANNEL, i ? IN_1 : IN_0);
    session_subscribe(c, &on_c, SB_SUB_CHANNEL, i ? IN_1 : IN_0);
  }
  session_subscribe(b, &on_b, SB_SUB_PATTERN, "only b");
  session_subscribe(c, &on_c, SB_SUB_PATTERN, "only c");
  core_links(b, false);
  core_pass(hub, 4 * LEASE_MS);
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 1);
  assert_int_equal(numsub(c, SB_SUB_CHANNEL, IN_1), 1);
  assert_int_equal(numpat(a), 1);
  for (uint32_t p = 0; p < PARTITIONS; p++)
    assert_int_equal(sb_counts_pattern(&a->core->logs.partitions[p].state.counts, sb_bytes_of("only c"),
                                       sb_state_row(&a->core->logs.partitions[p].state, "c")->id),
                     1);
  END(b, &on_b);
  END(c, &on_c);
}

/* Before anything else, and what is active, not what was asked since: that follows in its place. */
static void who_was_taken_for_dead_says_first_what_is_active(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session active, asks, leaves;
  char text[200];
  session_open(b, &active, 2);
  session_open(b, &asks, 2);
  session_open(b, &leaves, 2);
  session_subscribe(b, &active, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &leaves, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &active, SB_SUB_PATTERN, "p*");
  core_links(b, false);
  session_publish(b, &active, IN_0, "1");
  session_ask(b, &asks, SB_SUB_CHANNEL, IN_0, "+in\r\n");
  session_ask(b, &asks, SB_SUB_CHANNEL, "new {b}", "+in\r\n");
  session_take_back(b, &leaves, SB_SUB_CHANNEL, IN_0, "+out\r\n");
  session_publish(b, &active, IN_0, "2");
  core_pass(hub, 4 * LEASE_MS);
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 0);
  core_links(b, true);
  core_pass(hub, 1000);
  assert_true(core_stats(b).rejoins > 0);
  said(hub, 0, "b", last_hello(hub, 0, "b"), text, sizeof text);
  assert_string_equal(text, "b=2 p*=1 b=3 new {b}=1 b=2 ");
  said(hub, 1, "b", last_hello(hub, 1, "b"), text, sizeof text);
  assert_string_equal(text, "p*=1 ");
  assert_output(&active, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n1\r\n:2\r\n"
                         "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n2\r\n:2\r\n");
  assert_output(&asks, "+in\r\n+in\r\n*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n2\r\n");
  assert_output(&leaves, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n1\r\n+out\r\n");
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 2);
  assert_int_equal(numpat(a), 1);
  assert_interest_agrees(hub);
  END(b, &active, &asks, &leaves);
}

/* Its SUBSCRIBE stands in the log behind the BYE that it did not know of: no row takes it, it is said again.
 */
static void what_was_said_behind_our_bye_is_said_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session;
  session_open(b, &session, 2);
  session_subscribe(b, &session, SB_SUB_CHANNEL, IN_0);
  sb_core_link(b->core, 0, SB_LINK_CONSUME, false);
  sb_core_link(b->core, 1, SB_LINK_CONSUME, false);
  b->up = false;
  core_pass(hub, 4 * LEASE_MS);
  assert_int_equal(info_of(a).members, 1);
  b->up = true;
  session_ask(b, &session, SB_SUB_CHANNEL, IN_1, "+in\r\n");
  session_ask(b, &session, SB_SUB_PATTERN, "p*", "+in\r\n");
  sb_core_turn(b->core);
  core_links(b, true);
  core_pass(hub, 1000);
  assert_output(&session, "+in\r\n+in\r\n");
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 1);
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_1), 1);
  assert_int_equal(numpat(a), 1);
  assert_interest_agrees(hub);
  END(b, &session);
}

static void a_clean_stop_ends_the_interest_of_open_sessions(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session stays, goes, late;
  struct sb_bytes name = sb_bytes_of(IN_0);
  bool done = false;
  session_open(b, &stays, 2);
  session_open(b, &goes, 2);
  session_open(b, &late, 2);
  session_subscribe(b, &stays, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &stays, SB_SUB_PATTERN, "*");
  session_subscribe(b, &goes, SB_SUB_CHANNEL, IN_0);
  session_ask(b, &late, SB_SUB_CHANNEL, IN_1, "+in\r\n"); /* taken before the stop: drained */
  assert_false(sb_core_stop(b->core));
  assert_int_equal(sb_core_subscribing(b->core, &stays, SB_SUB_CHANNEL, &name, 1), SB_WAIT);
  assert_int_equal(sb_core_unsubscribing(b->core, &stays), SB_WAIT);
  assert_int_equal(sb_core_ask(b->core, &stays, SB_SUB_CHANNEL, &name, 1), SB_WAIT);
  session_close(b, &goes);
  for (int i = 0; i < 10 && !done; i++) {
    done = sb_core_stop(b->core);
    core_run(hub);
  }
  assert_true(done);
  assert_output(&late, "+in\r\n");
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 0);
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_1), 0);
  assert_int_equal(numpat(a), 0);
  session_close(b, &stays);
  session_close(b, &late);
  assert_int_equal(b->released, 3);
  core_leave(b);
}

/* ---- the log is lost from sight ---- */

/* A subscription and an end are in flight when the log goes on without us; ordered or not, the session gets
 * its confirmations and the cluster counts what is asked. */
static void what_was_in_flight_in_a_gap_is_what_the_session_asked(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  for (int lost = 0; lost < 2; lost++) {
    struct sb_session session, leaver, publisher;
    struct sb_bytes name = sb_bytes_of(IN_0);
    session_open(b, &session, 2);
    session_open(b, &leaver, 2);
    session_open(a, &publisher, 2);
    session_subscribe(b, &leaver, SB_SUB_CHANNEL, IN_0);
    session_subscribe(b, &leaver, SB_SUB_CHANNEL, "kept {b}");
    b->lose = lost;
    session_ask(b, &session, SB_SUB_CHANNEL, IN_0, "+in\r\n");
    session_ask(b, &session, SB_SUB_PATTERN, IN_0 "*", "+in\r\n");
    session_take_back(b, &leaver, SB_SUB_CHANNEL, IN_0, "+out\r\n");
    assert_int_equal(sb_core_ask(b->core, &session, SB_SUB_CHANNEL, &name, 1), SB_DONE);
    sb_core_turn(b->core);
    b->lose = false;
    core_read(a, 0); /* for it the log is whole */
    b->read[0] = hub->logs[0].count;
    sb_core_attached(b->core, 0, SB_ATTACH_GAP);
    session_publish(a, &publisher, IN_0, "g");
    core_pass(hub, 4 * FOUND_MS);
    assert_interest_agrees(hub);
    struct sb_buf got = take_output(&session);
    assert_non_null(
        memmem(got.data, got.len, "+in\r\n+in\r\n", 10)); /* then what the gap left of the message */
    static const char answer[] = "*2\r\n$1\r\nb\r\n:1\r\n";
    assert_memory_equal(got.data + got.len - (sizeof answer - 1), answer, sizeof answer - 1);
    sb_buf_close(&got);
    got = take_output(&leaver);
    assert_true(got.len >= 6 && memcmp(got.data + got.len - 6, "+out\r\n", 6) == 0);
    sb_buf_close(&got);
    got = take_output(&publisher);
    sb_buf_close(&got); /* how many there were in the gap is not known */
    assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 1);
    assert_int_equal(numsub(a, SB_SUB_CHANNEL, "kept {b}"), 1);
    session_publish(a, &publisher, IN_0, "h");
    core_run(hub);
    assert_output(&publisher, ":2\r\n");
    assert_output(&session, "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nh\r\n"
                            "*4\r\n$8\r\npmessage\r\n$2\r\nb*\r\n$1\r\nb\r\n$1\r\nh\r\n");
    assert_output(&leaver, "");
    session_close(b, &session);
    session_close(b, &leaver);
    session_close(a, &publisher);
    core_run(hub);
    assert_int_equal(topics_of(b), 0);
    assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 0);
  }
}

static void a_log_made_anew_is_told_what_everybody_has(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session on_a, on_b, publisher;
  session_open(a, &on_a, 2);
  session_open(a, &publisher, 2);
  session_open(b, &on_b, 2);
  session_subscribe(a, &on_a, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &on_b, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &on_b, SB_SUB_PATTERN, "p*");
  b->lose = true; /* what is in flight is lost with the log */
  session_ask(b, &on_b, SB_SUB_CHANNEL, "late {b}", "+in\r\n");
  session_take_back(b, &on_b, SB_SUB_PATTERN, "p*", "+out\r\n");
  sb_core_turn(b->core);
  b->lose = false;
  renew_log(hub, 0);
  sb_core_attached(a->core, 0, SB_ATTACH_NEW_LOG);
  sb_core_attached(b->core, 0, SB_ATTACH_NEW_LOG);
  core_pass(hub, 6 * FOUND_MS);
  assert_true(sb_core_ready(a->core) && sb_core_ready(b->core));
  assert_output(&on_b, "+in\r\n+out\r\n");
  assert_interest_agrees(hub);
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 2);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, "late {b}"), 1);
  assert_int_equal(numpat(a), 0);
  session_publish(a, &publisher, IN_0, "x");
  core_run(hub);
  assert_output(&publisher, ":2\r\n");
  END(a, &on_a, &publisher);
  END(b, &on_b);
}

static void a_session_that_ends_in_a_gap_leaves_no_interest(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  for (int lost = 0; lost < 2; lost++) {
    struct sb_session *session = sb_calloc(1, sizeof *session);
    sb_core_session_open(b->core, session, 2);
    session_subscribe(b, session, SB_SUB_CHANNEL, IN_0);
    b->lose = lost;
    session_ask(b, session, SB_SUB_CHANNEL, "late {b}", "+in\r\n");
    session_ask(b, session, SB_SUB_PATTERN, "p*", "+in\r\n");
    sb_core_turn(b->core);
    b->lose = false;
    b->read[0] = hub->logs[0].count;
    sb_core_attached(b->core, 0, SB_ATTACH_GAP);
    sb_core_session_close(b->core, session);
    uint32_t released = b->released;
    core_pass(hub, 4 * FOUND_MS);
    assert_int_equal(b->released, released + 1);
    free(session);
    assert_int_equal(topics_of(b), 0);
    assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 0);
    assert_int_equal(numsub(a, SB_SUB_CHANNEL, "late {b}"), 0);
    assert_int_equal(numpat(a), 0);
    assert_interest_agrees(hub);
  }
}

/* What was announced under an incarnation goes with it: the next announcement says it anew, once. */
static void an_announcement_does_not_outlive_its_incarnation(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session stays, goes;
  char text[200];
  session_open(b, &stays, 2);
  session_open(b, &goes, 2);
  session_subscribe(b, &stays, SB_SUB_CHANNEL, IN_0);
  session_subscribe(b, &goes, SB_SUB_CHANNEL, IN_0);
  for (int i = 0; i < 2; i++) {
    sb_core_attached(b->core, 0, SB_ATTACH_GAP); /* its HELLO is in the log */
    b->publish_result = SB_ERR_FULL;             /* the announcement is not */
    core_pass(hub, FOUND_MS);
    assert_true(sb_core_ready(b->core));
    b->publish_result = 0;
  }
  session_take_back(b, &goes, SB_SUB_CHANNEL, IN_0, "+out\r\n");
  core_pass(hub, 1000);
  said(hub, 0, "b", last_hello(hub, 0, "b"), text, sizeof text);
  assert_string_equal(text, "b=2 b=1 ");
  assert_output(&goes, "+out\r\n");
  assert_int_equal(numsub(a, SB_SUB_CHANNEL, IN_0), 1);
  END(b, &stays, &goes);
}

/* Somebody used our name and our number: what we said with it is said again. */
static void what_a_forged_batch_took_the_place_of_is_said_again(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session, leaver;
  session_open(a, &session, 2);
  session_open(a, &leaver, 2);
  session_subscribe(a, &leaver, SB_SUB_CHANNEL, "left {b}");
  struct sb_envelope forged = hub->logs[0].at[hub->logs[0].count - 1].envelope; /* of its last batch */
  a->lose = true;
  session_ask(a, &session, SB_SUB_CHANNEL, IN_0, "+in\r\n");
  session_take_back(a, &leaver, SB_SUB_CHANNEL, "left {b}", "+out\r\n");
  sb_core_turn(a->core);
  a->lose = false;
  forged.number++;
  forged.count = 1; /* of two */
  core_append(hub, 0, &forged, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  core_pass(hub, 1000);
  assert_output(&session, "+in\r\n");
  assert_output(&leaver, "+out\r\n");
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 1);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, "left {b}"), 0);
  assert_interest_agrees(hub);
  END(a, &session, &leaver);
}

/* ---- the broker's limit becomes lower ---- */

static const char refused[] = "-ERR the broker's message limit became lower than this message\r\n";

static void a_subscription_that_the_broker_does_not_take_any_more_is_refused(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session, other;
  static const char longer[] =
      "{b} a name that is longer than what the broker takes by now, which is 100 bytes";
  const char *names[] = {longer, IN_1};
  session_open(a, &session, 2);
  session_open(a, &other, 2);
  session_change(a, &session, true, SB_SUB_CHANNEL, names, 2, "+in\r\n");
  a->takes_bytes = 100;
  assert_true(sb_core_reply(a->core, &session, sb_bytes_of("+PONG\r\n")));
  core_pass(hub, 1000);
  struct sb_buf got = take_output(&session);
  assert_int_equal(got.len, strlen(refused) + 7);
  assert_memory_equal(got.data, refused, strlen(refused));
  sb_buf_close(&got);
  assert_null(sb_interest_sub(&a->core->interest, &session.subs, SB_SUB_CHANNEL, sb_bytes_of(longer)));
  assert_int_equal(session.subs.count[SB_SUB_CHANNEL], 1); /* the name that was taken */
  a->takes_bytes = 0;
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, longer), 0);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_1), 1);
  session_subscribe(a, &other, SB_SUB_CHANNEL, longer);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, longer), 1);
  session_close(a, &session);
  session_close(a, &other);
  core_run(hub);
  assert_int_equal(topics_of(a), 0);
  assert_interest_agrees(hub);
}

static void an_end_that_the_broker_does_not_take_ends_here(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session;
  static const char longer[] =
      "{b} a name that is longer than what the broker takes by now, which is 100 bytes";
  session_open(a, &session, 2);
  session_subscribe(a, &session, SB_SUB_CHANNEL, longer);
  session_take_back(a, &session, SB_SUB_CHANNEL, longer, "+out\r\n");
  a->takes_bytes = 100;
  sb_core_turn(a->core);
  a->takes_bytes = 0;
  core_pass(hub, 1000);
  assert_output(&session, refused);
  assert_int_equal(numsub(b, SB_SUB_CHANNEL, longer), 0); /* it is said again as soon as it can be */
  assert_int_equal(topics_of(a), 0);
  session_close(a, &session);
  assert_interest_agrees(hub);
}

/* Only the entry that is too large is refused, not what was to travel with it. */
static void a_question_beside_what_the_broker_does_not_take_is_answered(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  struct sb_session session;
  const struct sb_bytes names[] = {sb_bytes_of(IN_0), sb_bytes_of(IN_1)};
  static const char payload[] =
      "with it in one batch: a payload that is longer than what the broker takes by now";
  session_open(a, &session, 2);
  session_publish(a, &session, IN_0, payload);
  session_ask(a, &session, SB_SUB_CHANNEL, IN_0, "+in\r\n");
  assert_int_equal(sb_core_ask(a->core, &session, SB_SUB_CHANNEL, names, 2), SB_DONE);
  a->takes_bytes = 100;
  core_pass(hub, 1000);
  char expected[200];
  snprintf(expected, sizeof expected, "%s+in\r\n*4\r\n$1\r\nb\r\n:1\r\n$1\r\na\r\n:0\r\n", refused);
  assert_output(&session, expected);
  END(a, &session);
}

/* It was sent when the broker took more, and perhaps ordered: it is divided under a new incarnation. */
static void what_was_sent_before_the_limit_became_lower_is_divided(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a"), *b = core_join(hub, "b");
  struct sb_session session;
  static const char payload[] =
      "with it in one batch: a payload that is longer than what the broker takes by now";
  for (int lost = 0; lost < 2; lost++) {
    session_open(a, &session, 2);
    session_subscribe(a, &session, SB_SUB_CHANNEL, "kept {b}");
    a->lose = lost;
    session_ask(a, &session, SB_SUB_CHANNEL, IN_0, "+in\r\n");
    session_publish(a, &session, "{b}", payload);
    sb_core_turn(a->core);
    a->lose = false;
    a->takes_bytes = 100;
    sb_core_settled(a->core, 0, a->token, SB_SETTLE_LOST);
    core_pass(hub, 1000);
    char expected[200];
    snprintf(expected, sizeof expected, "+in\r\n%s", lost ? refused : ":0\r\n");
    assert_output(&session, expected);
    assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 1);
    assert_int_equal(numsub(b, SB_SUB_CHANNEL, "kept {b}"), 1);
    a->takes_bytes = 0;
    session_close(a, &session);
    core_run(hub);
    assert_int_equal(numsub(b, SB_SUB_CHANNEL, IN_0), 0);
    assert_interest_agrees(hub);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_publish_is_answered_with_the_subscribers_of_the_cluster),
      TEST(a_question_about_several_logs_is_answered_once_in_the_order_of_its_names),
      TEST(numpat_counts_the_patterns_of_the_cluster_once),
      TEST(a_question_knows_what_was_replied_on_another_node_before),
      TEST(who_joins_knows_what_the_others_subscribe_to),
      TEST(who_joins_knows_what_was_subscribed_meanwhile),
      TEST(who_subscribes_before_the_node_is_ready_is_subscribed_when_it_is),
      TEST(a_session_that_ends_takes_its_interest_along_however_far_it_was),
      TEST(a_session_that_ends_leaves_the_others_of_its_node),
      TEST(the_interest_of_a_dead_node_is_gone_everywhere),
      TEST(who_was_taken_for_dead_says_first_what_is_active),
      TEST(what_was_said_behind_our_bye_is_said_again),
      TEST(a_clean_stop_ends_the_interest_of_open_sessions),
      TEST(what_was_in_flight_in_a_gap_is_what_the_session_asked),
      TEST(a_log_made_anew_is_told_what_everybody_has),
      TEST(a_session_that_ends_in_a_gap_leaves_no_interest),
      TEST(an_announcement_does_not_outlive_its_incarnation),
      TEST(what_a_forged_batch_took_the_place_of_is_said_again),
      TEST(a_subscription_that_the_broker_does_not_take_any_more_is_refused),
      TEST(an_end_that_the_broker_does_not_take_ends_here),
      TEST(a_question_beside_what_the_broker_does_not_take_is_answered),
      TEST(what_was_sent_before_the_limit_became_lower_is_divided),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
