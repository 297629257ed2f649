/* What only Service Bus does to its clients, beside the suite that every transport passes: its conditions,
 * peers that fall silent, locks that expire, numbers with holes. On the test double, a process of its own. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/proxy.h"
#include "tests/conformance/servicebus_logs.h"

#define FOR_LONG_MS  600000
#define CLOSE_MAX_MS 12000 /* far below what an answer may take, with room for a slow machine */

/* ---- conditions ---- */

static void an_idle_sender_that_is_detached_is_attached_again_silently(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  hub_check_logs(hub);
  long attaches = logs_counter("attaches");
  long links = servicebus_double_ask(&service, "detach", "affected", "{\"kind\":\"send\",\"entity\":\"%s*\"}",
                                     logs_of(hub)->prefix);
  assert_int_equal(links, HUB_PARTITIONS);
  hub_await(hub, logs_counter("attaches") == attaches + links);
  logs_publish(hub, 30);
  hub_await(hub, hub->unsettled == 0);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_CONFIRMED);
  logs_check_whole(hub);
}

static void a_receiver_that_is_detached_goes_on(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 60);
  servicebus_double_do(&service, "detach", "{\"kind\":\"receive\"}");
  logs_publish(hub, 60);
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub));
  logs_check_whole(hub);
}

static void a_forced_connection_is_made_again(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 60);
  servicebus_double_do(&service, "close", "{}");
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  assert_true(logs_status_says(hub, "amqp:connection:forced"));
  logs_check_whole(hub);
}

static void a_busy_service_pauses_sending_and_loses_nothing(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "busy", "{\"entity\":\"%s\",\"ms\":600000}", logs_of(hub)->topic);
  uint64_t refused = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0 && !hub->partitions[0].up[SB_LINK_PUBLISH]);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  assert_true(hub->partitions[1].up[SB_LINK_PUBLISH]);
  servicebus_double_do(&service, "busy", "{\"ms\":0}");
  logs_check_whole(hub);
}

static void a_link_that_is_to_be_made_anew_is(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "reject",
                       "{\"entity\":\"%s\",\"condition\":\"amqp:link:transfer-limit-exceeded\"}",
                       logs_of(hub)->topic);
  long attaches = logs_counter("attaches");
  uint64_t refused = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0 && logs_counter("attaches") == attaches + 1);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  logs_check_whole(hub);
  assert_int_equal(hub->partitions[0].attaches, 1);
}

static void an_unknown_condition_makes_a_new_connection(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "reject", "{\"entity\":\"%s\",\"condition\":\"amqp:internal-error\"}",
                       logs_of(hub)->topic);
  hub_publish(hub, 0, 100);
  hub_await(hub, hub->partitions[1].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  assert_true(logs_status_says(hub, "amqp:internal-error"));
  logs_check_whole(hub);
}

/* A topic that is full, or disabled, is for a person: sends are tried slowly, and others are not held up. */
static void waits_for_a_person(struct hub *hub, const char *condition) {
  logs_of(hub)->settings.backoff_max_ms = 1500;
  logs_start(hub);
  servicebus_double_do(&service, "reject", "{\"entity\":\"%s\",\"condition\":\"%s\"}", logs_of(hub)->topic,
                       condition);
  uint64_t refused = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0 && !hub->partitions[0].up[SB_LINK_PUBLISH]);
  int64_t since_ms = hub_now_ms();
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  assert_true(logs_status_says(hub, condition));
  hub_publish_until_confirmed(hub, 1);
  hub_await(hub, hub->partitions[0].up[SB_LINK_PUBLISH]);
  assert_true(hub_now_ms() - since_ms >= 1000);
  assert_int_equal(hub->partitions[0].attaches, 1);
  logs_check_whole(hub);
}

static void a_full_topic_is_told_and_tried_slowly(void **state) {
  waits_for_a_person(*state, "amqp:resource-limit-exceeded");
}

static void a_disabled_topic_is_told_and_tried_slowly(void **state) {
  waits_for_a_person(*state, "com.microsoft:entity-disabled");
}

static void a_refused_attach_is_told_and_tried_slowly(void **state) {
  struct hub *hub = *state;
  struct logs *logs = logs_of(hub);
  logs->settings.backoff_max_ms = 1500;
  logs_make_entities(hub);
  servicebus_double_do(&service, "refuse-attach",
                       "{\"entity\":\"%s\",\"condition\":\"com.microsoft:entity-disabled\"}", logs->address);
  int64_t since_ms = hub_now_ms();
  logs_start(hub);
  assert_true(hub_now_ms() - since_ms >= 1500);
  assert_true(logs_status_says(hub, "com.microsoft:entity-disabled"));
  logs_check_whole(hub);
}

static void a_busy_management_is_given_time(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.busy_pause_ms = 2000;
  servicebus_double_do(&service, "refuse-rest", "{\"entity\":\"%s*\",\"status\":503}", logs_of(hub)->prefix);
  int64_t since_ms = hub_now_ms();
  logs_start(hub);
  assert_true(hub_now_ms() - since_ms >= 2000);
  logs_check_whole(hub);
}

/* ---- sizes ---- */

static void check_too_large(struct hub *hub, size_t len) {
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = hub_body(1, len);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), SB_ERR_TOO_LARGE);
  sb_body_unref(body);
}

static void what_is_too_large_is_refused_before_it_is_sent(void **state) {
  struct hub *hub = *state;
  logs_make_entities(hub);
  servicebus_double_do(&service, "max-message-size", "{\"bytes\":20000}");
  logs_start(hub);
  size_t most = sb_transport_max_body(hub->transport);
  assert_in_range(most, 19000, 20000);
  check_too_large(hub, most + 1);
  uint64_t largest = hub_publish(hub, 0, most);
  hub_await(hub, hub->unsettled == 0 && hub_deliveries_of(hub, 0, largest) == 1);
  logs_check_whole(hub);
}

/* The limit got smaller while the link was up: the service ends the link, or rejects the message. */
static void learns_the_smaller_limit(struct hub *hub, enum sb_settle outcome) {
  logs_start(hub);
  servicebus_double_do(&service, "max-message-size", "{\"entity\":\"%s\",\"bytes\":2000}",
                       logs_of(hub)->topic);
  uint64_t large = hub_publish(hub, 0, 4000);
  hub_await(hub, hub->unsettled == 0 && logs_status_says(hub, "amqp:link:message-size-exceeded"));
  assert_int_equal(hub_token_of(hub, large)->outcome, outcome);
  assert_int_equal(hub_deliveries_of(hub, 0, large), 0);
  logs_check_whole(hub);
}

static void an_oversize_message_that_ends_its_link_is_lost_once(void **state) {
  struct hub *hub = *state;
  learns_the_smaller_limit(hub, SB_SETTLE_LOST);
  assert_true(sb_transport_max_body(hub->transport) < 2000);
}

/* Nobody waits until a person would try again: the new limit is learnt at once. */
static void an_oversize_message_that_is_rejected_stops_nothing(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.backoff_max_ms = FOR_LONG_MS;
  servicebus_double_do(&service, "settings", "{\"oversize\":\"reject\"}");
  learns_the_smaller_limit(hub, SB_SETTLE_REJECTED);
  assert_true(sb_transport_max_body(hub->transport) < 2000);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void be_refused_and_attached_again(struct hub *hub, size_t len) {
  servicebus_double_do(&service, "reject",
                       "{\"entity\":\"%s\",\"condition\":\"com.microsoft:message-size-exceeded\"}",
                       logs_of(hub)->topic);
  long attaches = logs_counter("attaches");
  uint64_t refused = hub_publish(hub, 0, len);
  hub_await(hub, hub->unsettled == 0 && logs_counter("attaches") > attaches);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  hub_publish_until_confirmed(hub, 0);
}

/* The limit that links name is none that holds: the second refusal counts more than what they say. */
static void a_size_that_is_rejected_below_the_limit_becomes_the_limit(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.backoff_max_ms = FOR_LONG_MS;
  logs_start(hub);
  size_t announced = sb_transport_max_body(hub->transport);
  be_refused_and_attached_again(hub, 4000);
  assert_int_equal(sb_transport_max_body(hub->transport), announced);
  be_refused_and_attached_again(hub, 4000);
  assert_int_equal(sb_transport_max_body(hub->transport), 3999);
  check_too_large(hub, 4000);
  uint64_t smaller = hub_publish(hub, 0, 3999);
  hub_await(hub, hub->unsettled == 0 && hub_deliveries_of(hub, 0, smaller) == 1);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

/* The link that is ended does not tell which message it was: the largest that was on its way. */
static void a_size_that_ends_links_below_the_limit_becomes_the_limit(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.backoff_max_ms = FOR_LONG_MS;
  logs_start(hub);
  servicebus_double_do(&service, "slow-accept", "{\"ms\":%d}", FOR_LONG_MS);
  for (int i = 0; i < 2; i++) {
    uint64_t large = hub_publish(hub, 0, 4000);
    hub_publish(hub, 0, 100);
    hub_await(hub, hub_deliveries_of(hub, 0, large) == 1);
    servicebus_double_do(
        &service, "detach",
        "{\"entity\":\"%s\",\"kind\":\"send\",\"condition\":\"amqp:link:message-size-exceeded\"}",
        logs_of(hub)->topic);
    hub_await(hub, hub->unsettled == 0 && hub->partitions[0].up[SB_LINK_PUBLISH]);
  }
  assert_int_equal(sb_transport_max_body(hub->transport), 3999);
  check_too_large(hub, 4000);
  servicebus_double_do(&service, "clear", "{}");
  logs_check_whole(hub);
}

/* ---- outcomes that are late or lost ---- */

static void slow_acceptances_are_waited_for(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "slow-accept", "{\"ms\":700}");
  int64_t since_ms = hub_now_ms();
  logs_publish(hub, 30);
  hub_await(hub, hub->unsettled == 0);
  assert_true(hub_now_ms() - since_ms >= 700);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_CONFIRMED);
  logs_check_whole(hub);
}

static void a_send_whose_connection_is_lost_is_lost_and_may_have_come(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "lose-accept", "{\"entity\":\"%s\"}", logs_of(hub)->topic);
  uint64_t unsure = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, unsure)->outcome, SB_SETTLE_LOST);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
  assert_int_equal(hub_deliveries_of(hub, 0, unsure), 1);
}

static void a_send_without_an_outcome_is_lost_in_the_end(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.rpc_timeout_ms = 1000;
  logs_start(hub);
  servicebus_double_do(&service, "slow-accept", "{\"ms\":%d}", FOR_LONG_MS);
  int64_t since_ms = hub_now_ms();
  uint64_t unsure = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_true(hub_now_ms() - since_ms >= 3000);
  assert_int_equal(hub_token_of(hub, unsure)->outcome, SB_SETTLE_LOST);
  hub_await(hub, logs_status_says(hub, "no outcome within 3000 ms"));
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
  assert_int_equal(hub_deliveries_of(hub, 0, unsure), 1);
}

/* ---- credit that does not come ---- */

static int setup_credit(void **state) {
  servicebus_double_do(&service, "settings", "{\"link_credit\":0}");
  return logs_setup(state);
}

static int teardown_credit(void **state) {
  servicebus_double_do(&service, "settings", "{\"link_credit\":1000}");
  return logs_teardown(state);
}

/* First a new link, which gets none either, as the connection does not; then a new connection. */
static void a_sender_without_credit_is_made_anew(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.rpc_timeout_ms = 1000;
  logs_start(hub);
  long attaches = logs_counter("attaches"), connections = logs_counter("connections");
  struct hub_watch watch = hub_watch();
  uint64_t first = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0 && logs_counter("attaches") == attaches + 1);
  hub_took(&watch, 1000, 15000);
  assert_int_equal(hub_token_of(hub, first)->outcome, SB_SETTLE_LOST);
  assert_true(logs_status_says(hub, "no credit to send within 1000 ms"));
  assert_int_equal(logs_counter("connections"), connections);
  assert_int_equal(hub->partitions[0].attaches, 1);
  servicebus_double_do(&service, "settings", "{\"link_credit\":1000}");
  uint64_t second = hub_publish(hub, 0, 100);
  hub_await(hub, hub->partitions[1].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  assert_int_equal(hub_token_of(hub, second)->outcome, SB_SETTLE_LOST);
  assert_int_equal(logs_counter("connections"), connections + 1);
  logs_check_whole(hub);
  assert_int_equal(hub_deliveries_of(hub, 0, first) + hub_deliveries_of(hub, 0, second), 0);
}

/* ---- silence ---- */

static void a_frozen_service_is_left_after_the_idle_timeout(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "settings", "{\"min_peer_idle_ms\":100}");
  logs_of(hub)->settings.idle_timeout_ms = 2000;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  servicebus_double_do(&service, "freeze", "{}");
  struct hub_watch watch = hub_watch();
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  hub_took(&watch, 900, 15000);
  assert_true(logs_status_says(hub, "the service is silent"));
  logs_check_whole(hub);
}

/* Its own keepalives are a service's word: no traffic of messages is needed. */
static void an_idle_service_is_not_left(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "settings", "{\"min_peer_idle_ms\":100}");
  logs_of(hub)->settings.idle_timeout_ms = 1000;
  logs_start(hub);
  int64_t until_ms = hub_now_ms() + 4000;
  while (hub_step(hub, until_ms)) continue;
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
  assert_true(hub_links_are(hub, true));
}

static void a_receiver_without_messages_is_attached_again_silently(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.receive_quiet_ms = 400;
  logs_start(hub);
  long attaches = logs_counter("attaches");
  hub_await(hub, logs_counter("attaches") >= attaches + 3L * HUB_PARTITIONS);
  logs_publish(hub, 60);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    assert_int_equal(hub->partitions[p].attaches, 1);
    assert_true(hub->partitions[p].up[SB_LINK_CONSUME]);
  }
}

/* ---- order and loss ---- */

static void lost_locks_and_duplicates_change_nothing(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "duplicate", "{\"entity\":\"%s\",\"count\":5}", logs_of(hub)->address);
  logs_publish(hub, 60);
  servicebus_double_do(&service, "lose-locks", "{\"entity\":\"*\"}");
  logs_publish(hub, 60);
  logs_check_whole(hub);
  hub_await(hub, !logs_status_says(hub, "broker_duplicates:0\r\n"));
}

static void messages_out_of_order_are_put_into_order(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  servicebus_double_do(&service, "reorder", "{\"entity\":\"%s\",\"count\":3,\"by\":4}",
                       logs_of(hub)->address);
  logs_publish(hub, 60);
  logs_check_whole(hub);
}

static void a_lost_delivery_is_a_gap_after_the_lock(void **state) {
  struct hub *hub = *state;
  logs_start(hub);
  logs_publish(hub, 30);
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
  logs_start(hub);
  logs_publish(hub, 30);
  servicebus_double_do(&service, "skip", "{\"entity\":\"%s\",\"count\":1000}", logs_of(hub)->topic);
  logs_publish(hub, 30);
  logs_check_whole(hub);
}

/* ---- receive and delete ---- */

static void what_is_deleted_when_it_is_received_comes_once_and_in_order(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.receive = SB_SERVICEBUS_RECEIVE_AND_DELETE;
  logs_start(hub);
  logs_publish(hub, 300);
  logs_check_whole(hub);
  assert_int_equal(servicebus_double_tell(&service, "entities", "locked"), 0);
}

/* Messages go out to a connection that then breaks: they are deleted, and nobody has them. */
static void lose_what_is_on_its_way(struct hub *hub) {
  struct sb_body *body = sb_body_new(100);
  memset(body->data, 'x', body->len); /* not one of the hub's, which it counts */
  servicebus_double_do(&service, "freeze", "{}");
  for (int i = 0; i < 5; i++) servicebus_double_foreign(&service, logs_of(hub)->topic, "news", body);
  servicebus_double_do(&service, "drop", "{}");
  sb_body_unref(body);
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
}

static void what_was_deleted_on_its_way_is_a_gap(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.receive = SB_SERVICEBUS_RECEIVE_AND_DELETE;
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  lose_what_is_on_its_way(hub);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_CONTINUED);
  uint64_t next = hub_publish(hub, 0, 100);
  hub_await(hub, hub_deliveries_of(hub, 0, next) == 1);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  for (uint32_t p = 1; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].how, SB_ATTACH_CONTINUED);
  hub_check_logs(hub);
}

/* Nothing was received before, so that no number can tell. */
static void what_was_deleted_before_the_first_message_is_a_gap(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.receive = SB_SERVICEBUS_RECEIVE_AND_DELETE;
  logs_of(hub)->settings.manage = false;
  logs_make_entities(hub);
  logs_start(hub);
  /* The last partition's receiver has credit, so the first one's has. */
  uint64_t sign = hub_publish_until_confirmed(hub, HUB_PARTITIONS - 1);
  hub_await(hub, hub_deliveries_of(hub, HUB_PARTITIONS - 1, sign) == 1);
  lose_what_is_on_its_way(hub);
  assert_int_equal(hub->partitions[0].how, SB_ATTACH_GAP);
  hub_check_logs(hub);
}

/* ---- closing ---- */

/* A port where somebody listens and says nothing. */
static int listen_silently(uint16_t *port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0 ||
      getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    fail_msg("no socket to be had");
  *port = ntohs(at.sin_port);
  return fd;
}

static void close_in_time(struct hub *hub) {
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, CLOSE_MAX_MS);
}

static void be_patient(struct hub *hub) {
  logs_of(hub)->settings.host = "127.0.0.1"; /* where the silent listen */
  logs_of(hub)->settings.connect_timeout_ms = logs_of(hub)->settings.rpc_timeout_ms = FOR_LONG_MS;
}

/* While the port has somebody who takes the connection and says nothing. */
static void close_beside_silence(struct hub *hub, uint16_t *port) {
  int fd = listen_silently(port);
  be_patient(hub);
  hub_start(hub);
  int peer = accept(fd, NULL, NULL);
  close_in_time(hub);
  close(peer);
  close(fd);
}

static void it_closes_while_it_connects(void **state) {
  close_beside_silence(*state, &logs_of(*state)->settings.port);
}

static void it_closes_while_the_management_is_silent(void **state) {
  close_beside_silence(*state, &logs_of(*state)->settings.management_port);
}

static void it_closes_though_its_subscriptions_cannot_be_removed(void **state) {
  struct hub *hub = *state;
  struct proxy *proxy = proxy_new(service.http);
  logs_of(hub)->settings.management_port = proxy_port(proxy);
  be_patient(hub);
  logs_start(hub);
  proxy_hold(proxy, true, true);
  close_in_time(hub);
  proxy_free(proxy);
}

static void it_closes_while_the_service_is_frozen(void **state) {
  struct hub *hub = *state;
  be_patient(hub);
  logs_start(hub);
  servicebus_double_do(&service, "freeze", "{}");
  logs_publish(hub, 30);
  close_in_time(hub);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_LOST);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest cases[] = {
      LOGS_CASE(an_idle_sender_that_is_detached_is_attached_again_silently),
      LOGS_CASE(a_receiver_that_is_detached_goes_on),
      LOGS_CASE(a_forced_connection_is_made_again),
      LOGS_CASE(a_busy_service_pauses_sending_and_loses_nothing),
      LOGS_CASE(a_link_that_is_to_be_made_anew_is),
      LOGS_CASE(an_unknown_condition_makes_a_new_connection),
      LOGS_CASE(a_full_topic_is_told_and_tried_slowly),
      LOGS_CASE(a_disabled_topic_is_told_and_tried_slowly),
      LOGS_CASE(a_refused_attach_is_told_and_tried_slowly),
      LOGS_CASE(a_busy_management_is_given_time),
      LOGS_CASE(what_is_too_large_is_refused_before_it_is_sent),
      LOGS_CASE(an_oversize_message_that_ends_its_link_is_lost_once),
      LOGS_CASE(an_oversize_message_that_is_rejected_stops_nothing),
      LOGS_CASE(a_size_that_is_rejected_below_the_limit_becomes_the_limit),
      LOGS_CASE(a_size_that_ends_links_below_the_limit_becomes_the_limit),
      LOGS_CASE(slow_acceptances_are_waited_for),
      LOGS_CASE(a_send_whose_connection_is_lost_is_lost_and_may_have_come),
      LOGS_CASE(a_send_without_an_outcome_is_lost_in_the_end),
      cmocka_unit_test_setup_teardown(a_sender_without_credit_is_made_anew, setup_credit, teardown_credit),
      LOGS_CASE(a_frozen_service_is_left_after_the_idle_timeout),
      LOGS_CASE(an_idle_service_is_not_left),
      LOGS_CASE(a_receiver_without_messages_is_attached_again_silently),
      LOGS_CASE(lost_locks_and_duplicates_change_nothing),
      LOGS_CASE(messages_out_of_order_are_put_into_order),
      LOGS_CASE(a_lost_delivery_is_a_gap_after_the_lock),
      LOGS_CASE(holes_in_the_topics_numbers_are_none),
      LOGS_CASE(what_is_deleted_when_it_is_received_comes_once_and_in_order),
      LOGS_CASE(what_was_deleted_on_its_way_is_a_gap),
      LOGS_CASE(what_was_deleted_before_the_first_message_is_a_gap),
      LOGS_CASE(it_closes_while_it_connects),
      LOGS_CASE(it_closes_while_the_management_is_silent),
      LOGS_CASE(it_closes_though_its_subscriptions_cannot_be_removed),
      LOGS_CASE(it_closes_while_the_service_is_frozen),
  };
  return logs_run("servicebus-broker", cases, sizeof cases / sizeof *cases, argc, argv);
}
