/* What only Service Bus does to its clients, beside the suite that every transport passes: TLS, logins and
 * tokens, its conditions, entities that go and come, locks that expire, numbers with holes. On the test
 * double, a process of its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/hub.h"
#include "tests/conformance/servicebus_double.h"
#include "tests/conformance/suite.h"
#include "transports/servicebus.h"

static struct servicebus_double service;
static unsigned fixtures;

/* ---- logs on it ---- */

struct logs {
  uint32_t partitions;
  char prefix[32], subscription[32], topic[40], address[96]; /* of partition 0 */
  struct sb_servicebus_settings settings;
};

static void *open_logs(uint32_t partitions, bool forgetful) {
  (void)forgetful;
  struct logs *logs = sb_calloc(1, sizeof *logs);
  logs->partitions = partitions;
  snprintf(logs->prefix, sizeof logs->prefix, "broker-%u", fixtures++);
  snprintf(logs->subscription, sizeof logs->subscription, "node-1");
  snprintf(logs->topic, sizeof logs->topic, "%s-0", logs->prefix);
  snprintf(logs->address, sizeof logs->address, "%s/Subscriptions/%s", logs->topic, logs->subscription);
  servicebus_double_settings(&service, &logs->settings);
  logs->settings.subscription = logs->subscription;
  return logs;
}

static struct sb_transport *make(void *fixture, void (*wake)(void *), void *wake_owner) {
  struct logs *logs = fixture;
  struct sb_transport_common common = {
      .partitions = logs->partitions, .prefix = logs->prefix, .wake = wake, .wake_owner = wake_owner};
  struct sb_error error = {0};
  struct sb_transport *transport = sb_servicebus_new(&common, &logs->settings, &error);
  if (!transport) fail_msg("%s", error.text);
  return transport;
}

static void close_logs(void *fixture) {
  struct logs *logs = fixture;
  servicebus_double_do(&service, "clear", "{}");
  free(logs);
}

static const struct fixture_ops ops = {.name = "servicebus-broker",
                                       .external = true,
                                       .forward_only = true,
                                       .open = open_logs,
                                       .transport = make,
                                       .close = close_logs};

static int setup(void **state) {
  servicebus_double_do(&service, "clear", "{}");
  *state = hub_new(&ops, NULL, false);
  return 0;
}

static int teardown(void **state) {
  hub_free(*state);
  return 0;
}

static struct logs *logs_of(struct hub *hub) {
  return hub->fixture;
}

static void start(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
}

static bool status_says(const struct hub *hub, const char *text) {
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  sb_buf_append(&out, "", 1);
  bool says = strstr((const char *)out.data, text) != NULL;
  sb_buf_close(&out);
  return says;
}

static void publish_some(struct hub *hub, int count) {
  for (int i = 0; i < count; i++) hub_publish(hub, (uint32_t)i % HUB_PARTITIONS, 200);
}

static void check_whole(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (hub->partitions[p].how == SB_ATTACH_GAP || hub->partitions[p].how == SB_ATTACH_NEW_LOG)
      fail_msg("partition %u has a gap", p);
  hub_check_logs(hub);
}

/* ---- TLS, logins, tokens ---- */

static void use_tls(struct hub *hub) {
  struct sb_servicebus_settings *settings = &logs_of(hub)->settings;
  settings->plain = false;
  settings->port = service.amqps;
  settings->management_port = service.https;
  settings->tls.ca_file = service.ca_file;
}

static void a_key_over_tls_connects(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  start(hub);
  publish_some(hub, 30);
  check_whole(hub);
}

static void a_certificate_of_an_unknown_authority_is_refused(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.tls.ca_file = NULL;
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, status_says(hub, "certificate verify failed"));
  assert_true(hub_links_are(hub, false));
}

static void a_certificate_of_another_name_is_refused(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.host = "127.1"; /* the same address, and no name that the certificate has */
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, status_says(hub, "certificate verify failed"));
  assert_true(hub_links_are(hub, false));
}

static void external_that_is_offered_is_not_taken(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "external", "{}");
  start(hub);
  check_whole(hub);
}

static void a_wrong_key_is_told(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.credentials.key = "d3Jvbmc=";
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, status_says(hub, "amqp:unauthorized-access"));
  assert_true(hub_links_are(hub, false));
}

static void tokens_are_put_and_renewed(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.auth = SB_SERVICEBUS_CBS;
  logs_of(hub)->settings.credentials.sas_lifetime_s = 4;
  start(hub);
  long put = servicebus_double_tell(&service, "status", "tokensPut");
  hub_await(hub, servicebus_double_tell(&service, "status", "tokensPut") >= put + 2 * 2 * HUB_PARTITIONS);
  publish_some(hub, 30);
  check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void expired_tokens_are_replaced(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.auth = SB_SERVICEBUS_CBS;
  start(hub);
  publish_some(hub, 30);
  servicebus_double_do(&service, "expire-tokens", "{}");
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  check_whole(hub);
}

/* ---- conditions ---- */

static void an_idle_sender_that_is_detached_is_attached_again_silently(void **state) {
  struct hub *hub = *state;
  start(hub);
  hub_check_logs(hub);
  long attaches = servicebus_double_tell(&service, "status", "attaches");
  long links = servicebus_double_ask(&service, "detach", "affected", "{\"kind\":\"send\",\"entity\":\"%s*\"}",
                                     logs_of(hub)->prefix);
  assert_int_equal(links, HUB_PARTITIONS);
  hub_await(hub, servicebus_double_tell(&service, "status", "attaches") == attaches + links);
  publish_some(hub, 30);
  hub_await(hub, hub->unsettled == 0);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_CONFIRMED);
  check_whole(hub);
}

static void a_receiver_that_is_detached_goes_on(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 60);
  servicebus_double_do(&service, "detach", "{\"kind\":\"receive\"}");
  publish_some(hub, 60);
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub));
  check_whole(hub);
}

static void a_forced_connection_is_made_again(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 60);
  servicebus_double_do(&service, "close", "{}");
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  assert_true(status_says(hub, "amqp:connection:forced"));
  check_whole(hub);
}

static void a_busy_service_pauses_sending_and_loses_nothing(void **state) {
  struct hub *hub = *state;
  start(hub);
  servicebus_double_do(&service, "busy", "{\"entity\":\"%s\",\"ms\":600000}", logs_of(hub)->topic);
  uint64_t refused = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0 && !hub->partitions[0].up[SB_LINK_PUBLISH]);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  assert_true(hub->partitions[1].up[SB_LINK_PUBLISH]);
  servicebus_double_do(&service, "busy", "{\"ms\":0}");
  check_whole(hub);
}

/* ---- entities ---- */

static void a_deleted_subscription_is_made_again_with_a_gap(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "delete", "{\"entity\":\"%s\"}", logs_of(hub)->address);
  hub_await(hub, hub->partitions[0].attaches == 2);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  hub_check_logs(hub);
  assert_int_equal(hub->partitions[1].attaches, 1);
}

static void a_topic_made_again_by_others_is_a_new_log(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "recreate", "{\"entity\":\"%s\"}", logs_of(hub)->topic);
  hub_publish_until_confirmed(hub, 0);
  hub_await(hub, hub->partitions[0].how == SB_ATTACH_NEW_LOG);
  hub_check_logs(hub);
}

static void one_node_of_a_topic_is_alone(void **state) {
  struct hub *one = *state;
  start(one);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(one->partitions[p].how, SB_ATTACH_ALONE);
  struct hub *two = hub_new(&ops, one, false);
  snprintf(logs_of(one)->subscription, sizeof logs_of(one)->subscription, "node-2");
  start(two);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(two->partitions[p].how, SB_ATTACH_FRESH);
  hub_free(two);
}

/* ---- order and loss ---- */

static void lost_locks_and_duplicates_change_nothing(void **state) {
  struct hub *hub = *state;
  start(hub);
  servicebus_double_do(&service, "duplicate", "{\"entity\":\"%s\",\"count\":5}", logs_of(hub)->address);
  publish_some(hub, 60);
  servicebus_double_do(&service, "lose-locks", "{\"entity\":\"*\"}");
  publish_some(hub, 60);
  check_whole(hub);
  hub_await(hub, !status_says(hub, "broker_duplicates:0\r\n"));
}

static void messages_out_of_order_are_put_into_order(void **state) {
  struct hub *hub = *state;
  start(hub);
  servicebus_double_do(&service, "reorder", "{\"entity\":\"%s\",\"count\":3,\"by\":4}",
                       logs_of(hub)->address);
  publish_some(hub, 60);
  check_whole(hub);
}

static void a_lost_delivery_is_a_gap_after_the_lock(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "lose", "{\"entity\":\"%s\",\"count\":1}", logs_of(hub)->address);
  uint64_t lost = hub_publish(hub, 0, 100), next = hub_publish(hub, 0, 100);
  hub_await(hub, hub_deliveries_of(hub, 0, next) == 1);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  assert_int_equal(hub_deliveries_of(hub, 0, lost), 0);
  assert_int_equal(hub->partitions[0].deliveries[hub->partitions[0].attached_at].id, next);
  assert_true(hub->partitions[0].up[SB_LINK_CONSUME]);
}

static void holes_in_the_topics_numbers_are_none(void **state) {
  struct hub *hub = *state;
  start(hub);
  publish_some(hub, 30);
  servicebus_double_do(&service, "skip", "{\"entity\":\"%s\",\"count\":1000}", logs_of(hub)->topic);
  publish_some(hub, 30);
  check_whole(hub);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
      CASE(a_key_over_tls_connects),
      CASE(a_certificate_of_an_unknown_authority_is_refused),
      CASE(a_certificate_of_another_name_is_refused),
      CASE(external_that_is_offered_is_not_taken),
      CASE(a_wrong_key_is_told),
      CASE(tokens_are_put_and_renewed),
      CASE(expired_tokens_are_replaced),
      CASE(an_idle_sender_that_is_detached_is_attached_again_silently),
      CASE(a_receiver_that_is_detached_goes_on),
      CASE(a_forced_connection_is_made_again),
      CASE(a_busy_service_pauses_sending_and_loses_nothing),
      CASE(a_deleted_subscription_is_made_again_with_a_gap),
      CASE(a_topic_made_again_by_others_is_a_new_log),
      CASE(one_node_of_a_topic_is_alone),
      CASE(lost_locks_and_duplicates_change_nothing),
      CASE(messages_out_of_order_are_put_into_order),
      CASE(a_lost_delivery_is_a_gap_after_the_lock),
      CASE(holes_in_the_topics_numbers_are_none),
#undef CASE
  };
  if (!servicebus_double_start(&service)) {
    printf("1..0 # SKIP the Service Bus double cannot be started: node or its packages are missing\n");
    return CONFORMANCE_SKIPPED;
  }
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  int failed = cmocka_run_group_tests_name("servicebus-broker", tests, NULL, NULL);
  servicebus_double_stop(&service);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
