/* Nodes that have accepted different messages find out, and one of them joins anew. */
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "tests/unit/core_fixture.h"

static const struct sb_partition *log_of(const struct node *node, uint32_t partition) {
  return &node->core->logs.partitions[partition];
}

static void foreign_message(struct core_hub *hub, uint32_t partition, const char *text) {
  const struct sb_envelope foreign = {.foreign = true};
  core_append(hub, partition, &foreign, sb_bytes_of(text))->channel = body_of(sb_bytes_of("c"));
}

/* All messages up to now, but that one. */
static void skip_one(struct node *node, uint32_t partition) {
  node->read[partition]++;
  core_run(node->hub);
}

/* One that stands in no log, behind the last one that it has read. */
static void see_a_ghost(struct node *node) {
  const struct message *last = &node->hub->logs[0].at[node->read[0] - 1];
  struct message ghost = {.sequence = last->sequence + 1, .envelope = {.foreign = true}};
  ghost.body = body_of(sb_bytes_of("ghost"));
  ghost.channel = body_of(sb_bytes_of("c"));
  deliver(node, 0, &ghost);
  sb_body_unref(ghost.body);
  sb_body_unref(ghost.channel);
}

static void assert_same_chain(const struct node *a, const struct node *b, uint32_t partition) {
  assert_int_equal(log_of(a, partition)->applied, log_of(b, partition)->applied);
  assert_true(sb_claim_equal(log_of(a, partition)->state.chain, log_of(b, partition)->state.chain));
}

static void nodes_that_joined_at_different_times_hold_one_chain(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  foreign_message(hub, 0, "1");
  core_run(hub);
  struct node *b = core_join(hub, "b");
  core_pass(hub, 3 * LEASE_MS);
  struct node *c = core_join(hub, "c");
  core_pass(hub, 3 * LEASE_MS);
  assert_same_chain(a, b, 0);
  assert_same_chain(a, c, 0);
  assert_int_equal(core_stats(a).divergences + core_stats(b).divergences + core_stats(c).divergences, 0);
}

static void a_message_that_the_younger_node_missed_is_found_within_a_lease(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  struct sb_core_gap_info gap;
  core_pass(hub, LEASE_MS);
  uint64_t agreed = log_of(b, 0)->state.chain.at;
  foreign_message(hub, 0, "missed");
  skip_one(b, 0);
  core_pass(hub, LEASE_MS);
  assert_int_equal(core_stats(b).divergences, 1);
  assert_int_equal(core_stats(b).divergence_rejoins, 1);
  assert_int_equal(core_stats(a).divergence_rejoins, 0);
  assert_non_null(
      strstr(b->error_line, "node a (1700000001001-0000000000000061) and this node (17000000010"));
  assert_non_null(strstr(b->error_line, "joins anew"));
  assert_true(sb_core_gap_info(b->core, 0, &gap));
  assert_true(gap.after > 0 && gap.after <= agreed);
  assert_true(gap.before > agreed);
  core_pass(hub, 2 * LEASE_MS);
  assert_same_chain(a, b, 0);
  assert_int_equal(core_stats(b).gaps, 1);
  assert_int_equal(core_stats(a).gaps, 0);
}

static void the_elder_node_stays_though_it_missed_something_and_says_so_at_once(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  core_pass(hub, LEASE_MS);
  foreign_message(hub, 0, "missed");
  skip_one(a, 0);
  core_pass(hub, LEASE_MS);
  assert_int_equal(core_stats(b).divergence_rejoins, 1);
  assert_int_equal(core_stats(a).divergence_rejoins, 0);
  assert_int_equal(core_stats(a).gaps, 0);
  core_pass(hub, LEASE_MS);
  assert_same_chain(a, b, 0);
}

/* Heartbeats of the lease go to the first log only. */
static void it_is_found_in_a_log_that_is_quiet_otherwise(void **state) {
  struct core_hub *hub = *state;
  hub->partitions = 2;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  core_pass(hub, 3 * LEASE_MS);
  size_t before = hub->logs[1].count;
  core_pass(hub, 3 * LEASE_MS);
  assert_int_equal(hub->logs[1].count, before); /* nothing is claimed where nothing was accepted */
  foreign_message(hub, 1, "missed");
  skip_one(b, 1);
  core_pass(hub, LEASE_MS);
  assert_int_equal(core_stats(b).divergence_rejoins, 1);
  core_pass(hub, LEASE_MS);
  assert_same_chain(a, b, 1);
  before = hub->logs[1].count;
  core_pass(hub, 3 * LEASE_MS);
  assert_int_equal(hub->logs[1].count, before);
}

/* Its batches are a stranger's there; what they claim counts all the same. */
static void who_has_no_row_here_is_heard_too(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  core_pass(hub, LEASE_MS);
  b->deaf = 1;
  struct node *c = core_join(hub, "c");
  assert_int_equal(log_of(c, 0)->state.members.count, 3);
  while (hub->logs[0].at[b->read[0]].envelope.node[0] != 'c') deliver(b, 0, &hub->logs[0].at[b->read[0]++]);
  b->deaf = 0;
  skip_one(b, 0);
  core_pass(hub, LEASE_MS);
  assert_true(core_stats(b).batches_stranger > 0 || core_stats(b).divergences > 0);
  assert_true(core_stats(a).divergences + core_stats(b).divergences + core_stats(c).divergences > 0);
  core_pass(hub, 2 * LEASE_MS);
  assert_same_chain(a, b, 0);
  assert_same_chain(a, c, 0);
  assert_int_equal(info_of(a).members, 3);
}

static void a_node_does_not_join_anew_for_ever(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  for (uint64_t i = 1; i <= SB_CHAIN_LEAVES; i++) {
    core_pass(hub, LEASE_MS);
    see_a_ghost(b);
    core_pass(hub, LEASE_MS);
    assert_int_equal(core_stats(b).divergence_rejoins, i);
    assert_same_chain(a, b, 0);
  }
  core_pass(hub, LEASE_MS);
  see_a_ghost(b);
  core_pass(hub, 4 * LEASE_MS);
  assert_int_equal(core_stats(b).divergence_rejoins, SB_CHAIN_LEAVES);
  assert_int_equal(core_stats(b).divergences, SB_CHAIN_LEAVES + 1);
  assert_int_equal(core_stats(b).gaps, SB_CHAIN_LEAVES);
  assert_non_null(strstr(b->error_line, "stays as it is"));
  assert_true(sb_core_ready(b->core));
  core_pass(hub, SB_CHAIN_LEAVES_MS); /* it was mended meanwhile, or it was not: it tries again */
  assert_int_equal(core_stats(b).divergence_rejoins, SB_CHAIN_LEAVES + 1);
  core_pass(hub, LEASE_MS);
  assert_same_chain(a, b, 0);
}

static void late_word_of_one_that_joined_anew_is_no_difference(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  core_pass(hub, LEASE_MS);
  see_a_ghost(b);
  foreign_message(hub, 0, "1");
  core_pass(hub, 2 * LEASE_MS);
  struct message late = {0};
  for (size_t i = 0; i < hub->logs[0].count; i++) {
    const struct sb_envelope *envelope = &hub->logs[0].at[i].envelope;
    if (envelope->node[0] == 'b' && envelope->claim.founding) late.envelope = *envelope;
    if (core_stats(b).divergence_rejoins == 0) fail();
    if (envelope->node[0] == 'b' && envelope->number == 0 && i > 8) break; /* its second HELLO */
  }
  uint64_t before = core_stats(a).divergences;
  late.envelope.claim.sum++;
  core_pass(hub, 3 * LEASE_MS);
  core_append(hub, 0, &late.envelope, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  core_run(hub);
  assert_int_equal(core_stats(a).divergences, before);
  assert_same_chain(a, b, 0);
}

/* It missed who came, and saw go whom it knew. It hears from one that has no row here that they differ. By
 * its own state nobody is there to read its claim. Its first claim is of a place where both agree yet. */
static void who_believes_to_be_alone_says_its_claim_too(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  core_pass(hub, LEASE_MS);
  a->deaf = 1;
  struct sb_core_settings settings = core_settings(hub, "c");
  struct node *c = core_start(hub, &settings);
  sb_core_attached(c->core, 0, SB_ATTACH_FRESH);
  core_links(c, true);
  core_pass(hub, FOUND_MS / 2); /* b answers in place of a */
  assert_int_equal(log_of(c, 0)->state.members.count, 3);
  while (!sb_core_stop(b->core)) core_run(hub);
  core_leave(b);
  while (hub->logs[0].at[a->read[0]].envelope.node[0] != 'c') deliver(a, 0, &hub->logs[0].at[a->read[0]++]);
  a->deaf = 0;
  skip_one(a, 0);
  for (int i = 0; i < 20; i++) {
    struct sb_session session;
    session_open(c, &session, 2);
    assert_int_equal(session_publish(c, &session, "ch", "x"), SB_DONE);
    core_pass(hub, LEASE_MS / 5);
    struct sb_buf text = take_output(&session);
    sb_buf_close(&text);
    session_close(c, &session);
  }
  assert_true(core_stats(a).divergences > 0);
  assert_int_equal(core_stats(a).gaps, 0);
  assert_int_equal(core_stats(c).divergence_rejoins, 1);
  assert_same_chain(a, c, 0);
  assert_int_equal(info_of(a).members, 2);
}

/* Another program claims in the name of one that is below all members. */
static void forged_claims_make_nodes_give_way_a_few_times_and_no_more(void **state) {
  struct core_hub *hub = *state;
  struct node *a = core_join(hub, "a");
  core_pass(hub, 10);
  struct node *b = core_join(hub, "b");
  struct sb_envelope forged = {.version = SB_WIRE_VERSION, .count = 1, .number = 1, .base = 1};
  snprintf(forged.node, sizeof forged.node, "%s", "nobody");
  forged.incarnation = (struct sb_incarnation){1, 1};
  for (int i = 0; i < 20; i++) {
    core_pass(hub, LEASE_MS);
    forged.claim = log_of(a, 0)->state.chain;
    forged.claim.sum++;
    forged.generation = log_of(a, 0)->state.generation;
    core_append(hub, 0, &forged, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
    core_run(hub);
  }
  core_pass(hub, LEASE_MS);
  assert_int_equal(core_stats(a).divergence_rejoins, SB_CHAIN_LEAVES);
  assert_int_equal(core_stats(b).divergence_rejoins, SB_CHAIN_LEAVES);
  assert_int_equal(core_stats(a).divergences, SB_CHAIN_LEAVES + 1); /* one line for what goes on */
  assert_int_equal(info_of(a).members, 2);
  assert_same_chain(a, b, 0);
}

static int setup(void **state) {
  *state = core_hub(1);
  return 0;
}

static int teardown(void **state) {
  core_hub_free(*state);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nodes_that_joined_at_different_times_hold_one_chain),
      TEST(a_message_that_the_younger_node_missed_is_found_within_a_lease),
      TEST(the_elder_node_stays_though_it_missed_something_and_says_so_at_once),
      TEST(it_is_found_in_a_log_that_is_quiet_otherwise),
      TEST(who_has_no_row_here_is_heard_too),
      TEST(who_believes_to_be_alone_says_its_claim_too),
      TEST(a_node_does_not_join_anew_for_ever),
      TEST(forged_claims_make_nodes_give_way_a_few_times_and_no_more),
      TEST(late_word_of_one_that_joined_anew_is_no_difference),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
