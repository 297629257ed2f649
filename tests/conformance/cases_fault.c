#include <string.h>

#include "tests/conformance/cases.h"

static bool all_reattached(const struct hub *hub, unsigned attaches) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (hub->partitions[p].attaches < attaches) return false;
  return hub_all_attached(hub) && hub_links_are(hub, true);
}

static void publish_some(struct hub *hub, int count) {
  for (int i = 0; i < count; i++) hub_publish(hub, (uint32_t)i % HUB_PARTITIONS, 200);
}

static void refused_publishes_are_rejected_and_not_in_the_log(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, refuse);
  hub->ops->refuse(hub->fixture, true);
  uint64_t refused = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  hub->ops->refuse(hub->fixture, false);
  hub_check_logs(hub);
  assert_int_equal(hub_deliveries_of(hub, 0, refused), 0);
}

static void lose_publishes(struct hub *hub, enum fixture_hold what) {
  CASE_NEEDS(hub, hold);
  CASE_NEEDS(hub, cut);
  publish_some(hub, 9);
  hub_await(hub, hub->unsettled == 0);
  hub->ops->hold(hub->fixture, what);
  uint64_t first = hub->last_id + 1;
  publish_some(hub, 30);
  hub->ops->cut(hub->fixture);
  hub_await(hub, hub->unsettled == 0 && all_reattached(hub, 2));
  for (uint64_t id = first; id < first + 30; id++)
    assert_int_equal(hub_token_of(hub, id)->outcome, SB_SETTLE_LOST);
  hub_check_logs(hub);
}

static void publishes_that_do_not_reach_the_broker_are_lost_once(void **state) {
  struct hub *hub = *state;
  lose_publishes(hub, HOLD_REQUESTS);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].how, SB_ATTACH_CONTINUED);
}

static void publishes_whose_confirms_are_lost_are_settled_once(void **state) {
  lose_publishes(*state, HOLD_REPLIES);
}

static void held_publishes_that_arrive_late_are_confirmed(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, hold);
  hub->ops->hold(hub->fixture, HOLD_REQUESTS);
  publish_some(hub, 30);
  hub->ops->hold(hub->fixture, HOLD_NOTHING);
  hub_await(hub, hub->unsettled == 0);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_CONFIRMED);
  hub_check_logs(hub);
}

static void closing_with_an_unreachable_broker_loses_what_is_in_flight(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, hold);
  hub->ops->hold(hub->fixture, HOLD_REQUESTS);
  publish_some(hub, 30);
  hub_close(hub); /* within the deadline */
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_LOST);
}

static void cuts_under_load_lose_and_double_nothing_that_was_confirmed(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, cut);
  for (unsigned round = 0; round < 4; round++) {
    publish_some(hub, 150);
    hub->ops->cut(hub->fixture);
    hub_await(hub, all_reattached(hub, round + 2));
  }
  publish_some(hub, 150);
  hub_check_logs(hub);
}

/* The transport has read ahead and waits for room when the link is lost. */
static void a_cut_while_nobody_takes_events_loses_and_doubles_nothing(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, cut);
  CASE_NEEDS(hub, append);
  const size_t each = SB_TRANSPORT_EVENTS_MAX / 2; /* of one partition; all together do not fit */
  for (size_t i = 0; i < each; i++)
    for (uint32_t p = 0; p < HUB_PARTITIONS; p++) hub_append(hub, p);
  hub->ops->cut(hub->fixture);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) hub_append(hub, p);
  hub_await(hub, all_reattached(hub, 2));
  hub_check_logs(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].count, each + 2);
}

static void while_the_broker_is_away_publishing_is_refused(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, away);
  publish_some(hub, 30);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false) && hub->unsettled == 0);
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = hub_body(1, 64);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), SB_ERR_LINK);
  assert_int_equal(atomic_load(&body->refs), 1);
  sb_body_unref(body);
  hub->ops->back(hub->fixture);
  hub_await(hub, all_reattached(hub, 2));
  publish_some(hub, 30);
  hub_check_logs(hub);
}

static void a_transport_can_start_while_the_broker_is_away(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, away);
  CASE_NEEDS(hub, external);
  hub_close(hub);
  hub->ops->away(hub->fixture);
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub->ops->back(hub->fixture);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  hub_check_logs(hub);
}

static void closing_while_the_broker_is_away_ends(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, away);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  hub_close(hub);
}

static void what_others_wrote_meanwhile_is_read_on_from_the_position(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, away);
  CASE_NEEDS(hub, append);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[2].count == 10);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  uint64_t first = hub_append(hub, 2);
  for (int i = 0; i < 19; i++) hub_append(hub, 2);
  hub->ops->back(hub->fixture);
  hub_await(hub, all_reattached(hub, 2) && hub->partitions[2].count >= 30);
  assert_int_equal(hub->partitions[2].how, SB_ATTACH_CONTINUED);
  assert_int_equal(hub->partitions[2].attached_at, 10);
  for (size_t i = 0; i < 20; i++) assert_int_equal(hub->partitions[2].deliveries[10 + i].id, first + i);
  hub_check_logs(hub);
}

static void a_partition_that_was_empty_goes_on_after_a_lost_link(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, away);
  CASE_NEEDS(hub, append);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  uint64_t first = hub_append(hub, 1);
  uint64_t second = hub_append(hub, 1);
  hub->ops->back(hub->fixture);
  hub_await(hub, all_reattached(hub, 2) && hub->partitions[1].count >= 2);
  assert_int_equal(hub->partitions[1].deliveries[0].id, first);
  assert_int_equal(hub->partitions[1].deliveries[1].id, second);
  hub_check_logs(hub);
}

static void a_killed_broker_loses_and_doubles_nothing_that_was_confirmed(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, kill);
  publish_some(hub, 300);
  hub->ops->kill(hub->fixture);
  hub_await(hub, hub_links_are(hub, false) && hub->unsettled == 0);
  hub->ops->restart(hub->fixture);
  hub_await(hub, all_reattached(hub, 2));
  publish_some(hub, 30);
  hub_check_logs(hub);
}

static void retention_that_passed_the_position_is_a_gap(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, retention);
  CASE_NEEDS(hub, away);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  uint64_t last = hub->partitions[1].last;
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  uint64_t missed = hub_append(hub, 1);
  hub->ops->retention(hub->fixture, 1);
  uint64_t kept = hub_append(hub, 1);
  hub->ops->back(hub->fixture);
  hub_await(hub, all_reattached(hub, 2) && hub_deliveries_of(hub, 1, kept) == 1);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_GAP);
  assert_true(hub->partitions[1].last > last);
  assert_int_equal(hub_deliveries_of(hub, 1, missed), 0);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_CONTINUED);
  hub_check_logs(hub);
}

/* After the log of partition 1 was replaced; the others went on. */
static void check_new_log(struct hub *hub, unsigned attaches) {
  hub_await(hub, hub->partitions[1].attaches >= attaches && hub->partitions[1].attached);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_NEW_LOG);
  uint64_t id = hub_publish_until_confirmed(hub, 1);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1);
  const struct hub_partition *partition = &hub->partitions[1];
  assert_int_equal(partition->deliveries[partition->attached_at].id, id);
  assert_int_equal(hub->partitions[0].how == SB_ATTACH_NEW_LOG, false);
}

static void a_log_that_is_made_again_under_its_reader_is_a_new_log(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, remake);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  hub->ops->remake(hub->fixture, 1);
  check_new_log(hub, 2);
}

static void a_log_that_is_made_again_while_the_link_is_down_is_a_new_log(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, remake);
  CASE_NEEDS(hub, away);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  hub->ops->remake(hub->fixture, 1);
  hub->ops->back(hub->fixture);
  check_new_log(hub, 2);
}

/* The new log is longer than the old one was, so that the old position exists in it. */
static void a_longer_log_made_again_is_not_taken_for_the_old_one(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, remake);
  CASE_NEEDS(hub, away);
  CASE_NEEDS(hub, append);
  if (hub->ops->forward_only) skip();
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  hub->ops->remake(hub->fixture, 1);
  uint64_t first = hub_append(hub, 1);
  for (int i = 0; i < 39; i++) hub_append(hub, 1);
  hub->ops->back(hub->fixture);
  hub_await(hub, all_reattached(hub, 2) && hub->partitions[1].count >= 50);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_NEW_LOG);
  for (size_t i = 0; i < 40; i++) assert_int_equal(hub->partitions[1].deliveries[10 + i].id, first + i);
}

static void an_emptied_log_is_a_new_log(void **state) {
  struct hub *hub = *state;
  CASE_NEEDS(hub, empty);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  hub->ops->empty(hub->fixture, 1);
  check_new_log(hub, 2);
}

static void a_reopened_transport_starts_with_the_last_stored_batch_or_earlier(void **state) {
  struct hub *hub = *state;
  if (hub->ops->forward_only) skip();
  publish_some(hub, 31);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == 11);
  uint64_t last[HUB_PARTITIONS], sequence[HUB_PARTITIONS];
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    size_t count = p == 0 ? 11 : 10;
    hub_await(hub, hub->partitions[p].count == count);
    last[p] = hub->partitions[p].deliveries[count - 1].id;
    sequence[p] = hub->partitions[p].last;
  }
  hub_close(hub);
  hub_start(hub);
  hub_attach_all(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    hub_await(hub, hub_deliveries_of(hub, p, last[p]) == 1);
    assert_true(hub_is_first(hub->partitions[p].how));
    assert_int_equal(hub->partitions[p].last, sequence[p]);
  }
  hub_check_logs(hub);
}

static void a_reopened_forward_only_transport_reads_what_comes_after_its_attach(void **state) {
  struct hub *hub = *state;
  if (!hub->ops->forward_only) skip();
  publish_some(hub, 31);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[0].count == 11);
  uint64_t sequence = hub->partitions[0].last;
  hub_close(hub);
  hub_start(hub);
  hub_attach_all(hub);
  uint64_t first = hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub->partitions[0].count == 1);
  assert_true(hub_is_first(hub->partitions[0].how));
  assert_int_equal(hub->partitions[0].deliveries[0].id, first);
  assert_true(hub->partitions[0].last > sequence);
  hub_check_logs(hub);
}

const struct CMUnitTest fault_cases[] = {
    cmocka_unit_test(refused_publishes_are_rejected_and_not_in_the_log),
    cmocka_unit_test(publishes_that_do_not_reach_the_broker_are_lost_once),
    cmocka_unit_test(publishes_whose_confirms_are_lost_are_settled_once),
    cmocka_unit_test(held_publishes_that_arrive_late_are_confirmed),
    cmocka_unit_test(closing_with_an_unreachable_broker_loses_what_is_in_flight),
    cmocka_unit_test(cuts_under_load_lose_and_double_nothing_that_was_confirmed),
    cmocka_unit_test(a_cut_while_nobody_takes_events_loses_and_doubles_nothing),
    cmocka_unit_test(while_the_broker_is_away_publishing_is_refused),
    cmocka_unit_test(a_transport_can_start_while_the_broker_is_away),
    cmocka_unit_test(closing_while_the_broker_is_away_ends),
    cmocka_unit_test(what_others_wrote_meanwhile_is_read_on_from_the_position),
    cmocka_unit_test(a_partition_that_was_empty_goes_on_after_a_lost_link),
    cmocka_unit_test(a_killed_broker_loses_and_doubles_nothing_that_was_confirmed),
    cmocka_unit_test_setup(retention_that_passed_the_position_is_a_gap, case_setup_forgetful),
    cmocka_unit_test(a_log_that_is_made_again_under_its_reader_is_a_new_log),
    cmocka_unit_test(a_log_that_is_made_again_while_the_link_is_down_is_a_new_log),
    cmocka_unit_test(a_longer_log_made_again_is_not_taken_for_the_old_one),
    cmocka_unit_test(an_emptied_log_is_a_new_log),
    cmocka_unit_test(a_reopened_transport_starts_with_the_last_stored_batch_or_earlier),
    cmocka_unit_test(a_reopened_forward_only_transport_reads_what_comes_after_its_attach),
};
const size_t fault_case_count = sizeof fault_cases / sizeof *fault_cases;
