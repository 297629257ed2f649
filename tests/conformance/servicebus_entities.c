/* Topics and subscriptions: made over HTTPS or by others, refused, deleted and made again, those of other
 * nodes and of earlier lives. On the test double, a process of its own. */
#include <stdio.h>

#include "tests/conformance/servicebus_logs.h"

#define FOR_EVER 1000000

/* ---- the management ---- */

/* Partition 0 waits, the others do not; it is told why, and tried again. */
static void check_refused_management(struct hub *hub, int status, const char *text) {
  servicebus_double_do(&service, "refuse-rest", "{\"entity\":\"%s*\",\"status\":%d,\"count\":%d}",
                       logs_of(hub)->topic, status, FOR_EVER);
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, text));
  for (uint32_t p = 1; p < HUB_PARTITIONS; p++) hub_publish_until_confirmed(hub, p);
  assert_false(hub->partitions[0].attached || hub->partitions[0].up[SB_LINK_PUBLISH]);
  assert_true(logs_status_says(hub, "broker_link:partly-up"));
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

static void management_that_is_not_authorised_is_told(void **state) {
  check_refused_management(*state, 401, "not authorized (401");
}

static void management_that_is_forbidden_is_told(void **state) {
  check_refused_management(*state, 403, "forbidden (403");
}

static void management_that_is_busy_is_asked_again(void **state) {
  check_refused_management(*state, 503, "the service is busy or fails (503");
}

static void a_subscription_that_cannot_be_made_again_stalls_no_other(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "refuse-rest", "{\"status\":503,\"count\":%d}", FOR_EVER);
  servicebus_double_do(&service, "delete", "{\"entity\":\"%s\"}", logs_of(hub)->address);
  hub_await(hub, logs_status_says(hub, "(503") && !hub->partitions[0].up[SB_LINK_CONSUME]);
  for (uint32_t p = 1; p < HUB_PARTITIONS; p++) {
    uint64_t id = hub_publish_until_confirmed(hub, p);
    hub_await(hub, hub_deliveries_of(hub, p, id) == 1);
    assert_int_equal(hub->partitions[p].attaches, 1);
  }
  assert_false(hub->partitions[0].up[SB_LINK_CONSUME]);
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, hub->partitions[0].attaches == 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  hub_check_logs(hub);
}

/* ---- entities that others made ---- */

static void leave_entities_to_others(struct hub *hub) {
  logs_of(hub)->settings.manage = false;
  logs_of(hub)->settings.management_port = 0;
}

static void entities_of_others_need_the_rights_to_send_and_listen_only(void **state) {
  struct hub *hub = *state;
  long rest = logs_counter("restRequests");
  leave_entities_to_others(hub);
  logs_make_entities(hub);
  servicebus_double_do(&service, "rule",
                       "{\"name\":\"least\",\"key\":\"bGVhc3Q=\",\"rights\":[\"Listen\",\"Send\"]}");
  logs_of(hub)->settings.credentials.key_name = "least";
  logs_of(hub)->settings.credentials.key = "bGVhc3Q=";
  logs_start(hub);
  logs_publish(hub, 60);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].how, SB_ATTACH_FRESH);
  assert_int_equal(logs_counter("restRequests"), rest);
}

static void a_missing_right_is_told(void **state) {
  struct hub *hub = *state;
  leave_entities_to_others(hub);
  logs_make_entities(hub);
  servicebus_double_do(&service, "rule", "{\"name\":\"ears\",\"key\":\"ZWFycw==\",\"rights\":[\"Listen\"]}");
  logs_of(hub)->settings.credentials.key_name = "ears";
  logs_of(hub)->settings.credentials.key = "ZWFycw==";
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, hub_all_attached(hub) && logs_status_says(hub, "amqp:unauthorized-access"));
  assert_true(logs_status_says(hub, "broker_link:publish-down"));
  assert_true(logs_status_says(hub, "sending was ended by the service"));
}

static void entities_that_others_have_not_made_are_told_and_waited_for(void **state) {
  struct hub *hub = *state;
  leave_entities_to_others(hub);
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, "make it, or set manage = true"));
  assert_true(hub_links_are(hub, false));
  logs_make_entities(hub);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

/* Only numbers tell then, so the new log shows at its first message. */
static void a_topic_that_others_made_again_with_ours_is_a_new_log(void **state) {
  struct hub *hub = *state;
  leave_entities_to_others(hub);
  logs_make_entities(hub);
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "recreate", "{\"entity\":\"%s\",\"subscriptions\":true}",
                       logs_of(hub)->topic);
  hub_await(hub, hub->partitions[0].attaches == 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub->partitions[0].how == SB_ATTACH_NEW_LOG);
  hub_check_logs(hub);
}

/* ---- entities ---- */

static void a_deleted_subscription_is_made_again_with_a_gap(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "delete", "{\"entity\":\"%s\"}", logs_of(hub)->address);
  hub_await(hub, hub->partitions[0].attaches == 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  hub_check_logs(hub);
  assert_int_equal(hub->partitions[1].attaches, 1);
}

/* Its age tells, before there is any message. */
static void a_topic_made_again_by_others_is_a_new_log(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "recreate", "{\"entity\":\"%s\"}", logs_of(hub)->topic);
  hub_await(hub, hub->partitions[0].attaches == 2 && hub_links_are(hub, true));
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_NEW_LOG);
  hub_check_logs(hub);
  assert_int_equal(hub->partitions[0].attaches, 2);
}

static void one_node_of_a_topic_is_alone(void **state) {
  struct hub *one = *state;
  logs_start(one);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(one->partitions[p].how, SB_ATTACH_ALONE);
  struct hub *two = hub_new(&logs_ops, one, false);
  logs_subscribe_as(two, "node-2");
  logs_start(two);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(two->partitions[p].how, SB_ATTACH_FRESH);
  hub_free(two);
}

/* ---- a connection that is lost under load ---- */

static void publish_news(struct hub *hub, int count) {
  servicebus_double_do(&service, "publish", "{\"topic\":\"%s\",\"subject\":\"news\",\"count\":%d}",
                       logs_of(hub)->topic, count);
}

/* 50 messages are locked to a connection that is gone, others come until their locks end, and nothing is
 * given up. */
static void check_lost_under_load(struct hub *hub, int others) {
  servicebus_double_do(&service, "freeze", "{}");
  publish_news(hub, 50);
  servicebus_double_do(&service, "drop", "{}");
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  publish_news(hub, others);
  uint64_t last = hub_publish(hub, 0, 100);
  hub_await(hub, hub_deliveries_of(hub, 0, last) == 1);
  assert_int_equal(hub->partitions[0].attaches, 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_CONTINUED);
  logs_check_whole(hub);
}

/* It waits at the service. */
static void more_than_may_be_held_behind_lost_messages_is_no_gap(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.lock_s = 5;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  check_lost_under_load(hub, 3000);
}

static void a_lock_that_others_made_longer_is_waited_for(void **state) {
  struct hub *hub = *state;
  leave_entities_to_others(hub);
  logs_make_entities(hub);
  servicebus_double_do(&service, "entity", "{\"entity\":\"%s\",\"settings\":{\"lockDuration_ms\":5000}}",
                       logs_of(hub)->address);
  assert_int_equal(logs_of(hub)->settings.lock_s, 1);
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  check_lost_under_load(hub, 10);
}

/* ---- earlier lives, and ours ---- */

static bool is_there(struct hub *hub, const char *subscription) {
  char query[256], path[128];
  snprintf(query, sizeof query, "entities?entity=%s", logs_of(hub)->topic);
  snprintf(path, sizeof path, "%s/Subscriptions/%s", logs_of(hub)->topic, subscription);
  return servicebus_double_mentions(&service, query, path);
}

static void make_subscription(struct hub *hub, const char *name) {
  servicebus_double_do(&service, "create", "{\"entity\":\"%s/Subscriptions/%s\"}", logs_of(hub)->topic, name);
}

static void only_subscriptions_of_earlier_lives_are_removed(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "create", "{\"entity\":\"%s\"}", logs_of(hub)->topic);
  make_subscription(hub, "web.bbbbbbbb");
  make_subscription(hub, "web.eu.xxxxxxxx");
  make_subscription(hub, "webb.xxxxxxx");
  make_subscription(hub, "web.frontend"); /* of others, and as long as ours */
  make_subscription(hub, "web.BBBBBBBC");
  logs_subscribe_as(hub, "web.aaaaaaaa");
  logs_of(hub)->settings.leftovers = "web.";
  logs_start(hub);
  assert_false(is_there(hub, "web.bbbbbbbb"));
  assert_true(is_there(hub, "web.eu.xxxxxxxx"));
  assert_true(is_there(hub, "webb.xxxxxxx"));
  assert_true(is_there(hub, "web.frontend"));
  assert_true(is_there(hub, "web.BBBBBBBC"));
  assert_true(is_there(hub, "web.aaaaaaaa"));
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_FRESH);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_ALONE);
}

static void no_subscription_is_removed_when_none_is_a_leftover(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "create", "{\"entity\":\"%s\"}", logs_of(hub)->topic);
  make_subscription(hub, "web.bbbbbbbb");
  logs_subscribe_as(hub, "web.aaaaaaaa");
  logs_start(hub);
  assert_true(is_there(hub, "web.bbbbbbbb"));
}

static void our_subscriptions_go_with_us(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  assert_true(is_there(hub, "node-1"));
  hub_close(hub);
  assert_false(is_there(hub, "node-1"));
}

static void our_subscriptions_stay_when_they_should(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.remove_on_stop = false;
  logs_start(hub);
  hub_close(hub);
  assert_true(is_there(hub, "node-1"));
}

int main(int argc, char **argv) {
  static const struct CMUnitTest cases[] = {
      LOGS_CASE(management_that_is_not_authorised_is_told),
      LOGS_CASE(management_that_is_forbidden_is_told),
      LOGS_CASE(management_that_is_busy_is_asked_again),
      LOGS_CASE(a_subscription_that_cannot_be_made_again_stalls_no_other),
      LOGS_CASE(entities_of_others_need_the_rights_to_send_and_listen_only),
      LOGS_CASE(a_missing_right_is_told),
      LOGS_CASE(entities_that_others_have_not_made_are_told_and_waited_for),
      LOGS_CASE(a_topic_that_others_made_again_with_ours_is_a_new_log),
      LOGS_CASE(a_deleted_subscription_is_made_again_with_a_gap),
      LOGS_CASE(a_topic_made_again_by_others_is_a_new_log),
      LOGS_CASE(one_node_of_a_topic_is_alone),
      LOGS_CASE(more_than_may_be_held_behind_lost_messages_is_no_gap),
      LOGS_CASE(a_lock_that_others_made_longer_is_waited_for),
      LOGS_CASE(only_subscriptions_of_earlier_lives_are_removed),
      LOGS_CASE(no_subscription_is_removed_when_none_is_a_leftover),
      LOGS_CASE(our_subscriptions_go_with_us),
      LOGS_CASE(our_subscriptions_stay_when_they_should),
  };
  return logs_run("servicebus-entities", cases, sizeof cases / sizeof *cases, argc, argv);
}
