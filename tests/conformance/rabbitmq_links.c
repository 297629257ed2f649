/* Links that are alive, on a real RabbitMQ: readers that went dead are found out, nodes that start together
 * do each other no harm, what is refused is named, and what lasts is told again, at a low rate. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/base/log.h"
#include "tests/conformance/hub.h"
#include "tests/conformance/rabbitmq_fixture.h"
#include "tests/conformance/suite.h"
#include "transports/rabbitmq/amqp.h"

#define COMMAND_BYTES    1024
#define LOG_BYTES        ((size_t)256 * 1024)
#define ECHO_LIMIT_MS    400
#define REMIND_MS        1000
#define BEHIND_MS        2000
#define LARGE_BYTES      ((size_t)128 * 1024)
#define SLOW_BYTES_PER_S ((size_t)1024 * 1024)
/* Many frames come within it, on a busy machine as well. */
#define SLOW_LIMIT_MS    1500
#define NODES            6
/* Much more than the system keeps for a socket. */
#define HUGE_BYTES       ((size_t)12 * 1024 * 1024)
#define ROUNDS           3
#define OLD_LENGTH       400
#define WRITE_PAUSE_NS   50000000
#define NOT_COMING_BACK  "what the broker has confirmed does not come back"

/* ---- what the transports log ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[LOG_BYTES];
static size_t log_len;

static void take_line(void *owner, enum sb_log_level level, const char *area, const char *cause,
                      const char *line) {
  (void)owner;
  (void)cause;
  pthread_mutex_lock(&log_lock);
  int n =
      snprintf(log_text + log_len, LOG_BYTES - log_len, "%s %s: %s\n", sb_log_level_name(level), area, line);
  if (n > 0 && (size_t)n < LOG_BYTES - log_len) log_len += (size_t)n;
  log_text[log_len] = 0;
  pthread_mutex_unlock(&log_lock);
}

static void forget_log(void) {
  pthread_mutex_lock(&log_lock);
  log_len = 0;
  log_text[0] = 0;
  pthread_mutex_unlock(&log_lock);
}

static unsigned logged(const char *text) {
  unsigned count = 0;
  pthread_mutex_lock(&log_lock);
  for (const char *at = log_text; (at = strstr(at, text)); at += strlen(text)) count++;
  pthread_mutex_unlock(&log_lock);
  return count;
}

static void assert_logged(const char *text, unsigned times) {
  unsigned count = logged(text);
  if (count != times) fail_msg("\"%s\" was logged %u times and not %u:\n%s", text, count, times, log_text);
}

/* ---- the broker, past the transport ---- */

static bool try_ctl(const char *arguments) {
  char line[2 * COMMAND_BYTES];
  snprintf(line, sizeof line, "'%s' ctl '%s' -q %s >/dev/null 2>&1", SB_PRIVATE_RABBITMQ,
           rabbitmq_fixture_dir(), arguments);
  return system(line) == 0;
}

static void broker_ctl(const char *arguments) {
  if (!try_ctl(arguments)) fail_msg("rabbitmqctl %s failed", arguments);
}

static amqp_connection_state_t connect_admin(struct rabbitmq_fixture *fixture) {
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  assert_int_equal(amqp_socket_open(socket, "127.0.0.1", fixture->admin.port), AMQP_STATUS_OK);
  amqp_rpc_reply_t reply =
      amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
  assert_non_null(amqp_channel_open(connection, 1));
  return connection;
}

/* A queue that is no stream, on a connection of its own. */
static void declare_queue(struct rabbitmq_fixture *fixture, const char *name, const char *bound_by) {
  amqp_connection_state_t connection = connect_admin(fixture);
  assert_non_null(amqp_queue_declare(connection, 1, amqp_cstring_bytes(name), 0, 1, 0, 0, amqp_empty_table));
  if (bound_by)
    assert_non_null(amqp_queue_bind(connection, 1, amqp_cstring_bytes(name),
                                    amqp_cstring_bytes(fixture->admin.prefix), amqp_cstring_bytes(bound_by),
                                    amqp_empty_table));
  amqp_destroy_connection(connection);
}

static void delete_queue(struct rabbitmq_fixture *fixture, const char *name) {
  amqp_connection_state_t connection = connect_admin(fixture);
  assert_non_null(amqp_queue_delete(connection, 1, amqp_cstring_bytes(name), 0, 0));
  amqp_destroy_connection(connection);
}

/* ---- hubs ---- */

static struct rabbitmq_fixture *fixture_of(struct hub *hub) {
  return hub->fixture;
}

static struct sb_rabbitmq_settings *settings_of(struct hub *hub) {
  return &fixture_of(hub)->settings;
}

static int setup(void **state) {
  struct hub *hub = hub_new(&rabbitmq_fixture_ops, NULL, false);
  *state = hub;
  if (!hub->fixture) return -1;
  settings_of(hub)->heartbeat_s = 1;
  settings_of(hub)->remind_ms = REMIND_MS;
  settings_of(hub)->behind_ms = BEHIND_MS;
  forget_log();
  return 0;
}

static int teardown(void **state) {
  hub_free(*state);
  return 0;
}

static bool status_has(struct hub *hub, const char *text) {
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  sb_buf_append(&out, "", 1);
  bool has = strstr((const char *)out.data, text) != NULL;
  sb_buf_close(&out);
  return has;
}

/* Takes events, or lets them wait. What is waited for may change without an event. */
#define await(hub, take_events, condition)                                                                   \
  do {                                                                                                       \
    int64_t await_until_ms = hub_now_ms() + HUB_DEADLINE_MS;                                                 \
    while (!(condition)) {                                                                                   \
      if (take_events) hub_take_all(hub);                                                                    \
      if (hub_now_ms() >= await_until_ms) fail_msg("not in time: %s\n%s", #condition, log_text);             \
      nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);                                               \
    }                                                                                                        \
  } while (0)

static void attach_all(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
}

/* Makes the topology as somebody else would. */
static void prepare_topology(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
  hub_close(hub);
  forget_log();
}

/* A user of the broker who may do what the three patterns say. Others may use the broker at the same time. */
static char user[32];

static void delete_user(void) {
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line, "delete_user %s", user);
  if (user[0]) try_ctl(line);
}

static void allow(const char *permissions) {
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line, "set_permissions %s %s", user, permissions);
  broker_ctl(line);
}

static void allow_all(void) {
  allow("'.*' '.*' '.*'");
}

static void use_user(struct hub *hub, const char *permissions) {
  char line[COMMAND_BYTES];
  snprintf(user, sizeof user, "limited-%ld", (long)getpid());
  delete_user();
  snprintf(line, sizeof line, "add_user %s %s", user, user);
  broker_ctl(line);
  allow(permissions);
  settings_of(hub)->user = settings_of(hub)->password = user;
}

/* ---- readers ---- */

/* The broker confirms, and the messages go where nobody reads: to the node this looks as a reader that went
 * dead does. */
static void what_is_confirmed_and_does_not_come_back_is_an_outage(void **state) {
  struct hub *hub = *state;
  settings_of(hub)->echo_limit_ms = ECHO_LIMIT_MS;
  hub_start(hub);
  hub_attach_all(hub);
  hub_check_logs(hub);
  char aside[96];
  snprintf(aside, sizeof aside, "%s-aside", fixture_of(hub)->admin.prefix);
  declare_queue(fixture_of(hub), aside, "1");
  admin_bind(&fixture_of(hub)->admin, 1, false);
  uint64_t id = hub_publish(hub, 1, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, id)->outcome, SB_SETTLE_CONFIRMED);

  hub_await(hub, !hub->partitions[1].up[SB_LINK_CONSUME]);
  assert_true(hub->partitions[0].up[SB_LINK_CONSUME]); /* opened again alone first */
  await(hub, true, status_has(hub, NOT_COMING_BACK));
  hub_await(hub, hub->partitions[1].attaches >= 3); /* and then on another connection */
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_CONTINUED);

  admin_bind(&fixture_of(hub)->admin, 1, true);
  delete_queue(fixture_of(hub), aside);
  uint64_t other = hub_append(hub, 1);
  hub_await(hub, hub_links_are(hub, true) && hub_deliveries_of(hub, 1, other) == 1);
  id = hub_publish_until_confirmed(hub, 1);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1 && hub_links_are(hub, true));
}

static void a_bridge_that_takes_its_time_is_not_taken_for_a_dead_reader(void **state) {
  struct hub *hub = *state;
  enum { COUNT = SB_TRANSPORT_EVENTS_BYTES_MAX / LARGE_BYTES + 20 };
  settings_of(hub)->echo_limit_ms = ECHO_LIMIT_MS;
  hub_start(hub);
  hub_attach_all(hub);
  for (int i = 0; i < COUNT; i++) {
    uint64_t id = hub_next_id(hub);
    struct sb_envelope envelope = hub_envelope(id);
    struct sb_body *body = hub_body(id, LARGE_BYTES);
    admin_append(&fixture_of(hub)->admin, 1, &envelope, body);
    sb_body_unref(body);
  }
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) hub_publish(hub, p, 100);
  await(hub, false, status_has(hub, "broker_confirmed:3"));
  nanosleep(&(struct timespec){.tv_sec = 3 * ECHO_LIMIT_MS / 1000, .tv_nsec = 200000000}, NULL);
  hub_await(hub, hub->partitions[1].count >= COUNT);
  hub_check_logs(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
  assert_logged(NOT_COMING_BACK, 0);
}

static void a_large_message_on_a_slow_line_is_not_taken_for_a_dead_reader(void **state) {
  struct hub *hub = *state;
  settings_of(hub)->echo_limit_ms = SLOW_LIMIT_MS;
  hub_start(hub);
  hub_attach_all(hub);
  proxy_slow(fixture_of(hub)->proxy, SLOW_BYTES_PER_S);
  uint64_t id = hub_publish(hub, 1, SLOW_BYTES_PER_S * 3 * SLOW_LIMIT_MS / 1000);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) hub_publish(hub, p, 100);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1);
  hub_check_logs(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
  assert_logged(NOT_COMING_BACK, 0);
}

/* It is the last one that was read, so reading goes on with it: it takes longer than silence may last. */
static void a_large_message_on_a_slow_line_does_not_make_a_log_look_new(void **state) {
  struct hub *hub = *state;
  settings_of(hub)->rpc_timeout_ms = 2000;
  hub_start(hub);
  hub_attach_all(hub);
  uint64_t id = hub_publish(hub, 1, SLOW_BYTES_PER_S);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1 && hub->unsettled == 0);
  proxy_slow(fixture_of(hub)->proxy, SLOW_BYTES_PER_S / 4);
  hub->ops->cut(hub->fixture);
  hub_await(hub, hub->partitions[1].attaches == 2);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_CONTINUED);
  proxy_slow(fixture_of(hub)->proxy, 0);
  hub_check_logs(hub);
}

/* Others write to the new stream all the time: it never falls silent, which would tell where it ends. */
static void check_never_silent(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
  for (int i = 0; i < OLD_LENGTH; i++) hub_publish(hub, 1, 64);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == OLD_LENGTH);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  hub->ops->remake(hub->fixture, 1);
  uint64_t first = hub_append(hub, 1);
  hub->ops->back(hub->fixture);
  for (int length = 1; hub->partitions[1].attaches == 1; length++) {
    if (length == OLD_LENGTH) fail_msg("the new log had to become as long as the old one");
    nanosleep(&(struct timespec){.tv_nsec = WRITE_PAUSE_NS}, NULL);
    hub_append(hub, 1);
    hub_take_all(hub);
  }
  const struct hub_partition *partition = &hub->partitions[1];
  assert_int_equal(partition->how, SB_ATTACH_NEW_LOG);
  hub_await(hub, hub_deliveries_of(hub, 1, first) == 1);
  assert_int_equal(partition->deliveries[partition->attached_at].id, first);
}

static void a_stream_made_again_that_is_never_silent_is_a_new_log(void **state) {
  check_never_silent(*state);
  assert_logged("it ends before what was read from it last", 0);
}

static void with_several_hosts_a_stream_that_is_never_silent_is_not_anew_at_once(void **state) {
  struct hub *hub = *state;
  fixture_of(hub)->hosts = 2;
  check_never_silent(hub);
  assert_true(logged("it ends before what was read from it last") > 0);
}

/* Heartbeats are off, so that nothing but the watch over calls ends the connection. */
static void a_large_message_has_time_for_its_way_to_the_broker(void **state) {
  struct hub *hub = *state;
  settings_of(hub)->heartbeat_s = 0;
  settings_of(hub)->rpc_timeout_ms = 500;
  settings_of(hub)->remind_ms = 100; /* calls are looked at as often */
  hub_start(hub);
  hub_attach_all(hub);
  hub->ops->hold(hub->fixture, HOLD_REQUESTS);
  uint64_t id = hub_publish(hub, 1, HUGE_BYTES);
  nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
  hub->ops->hold(hub->fixture, HOLD_NOTHING);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1 && hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, id)->outcome, SB_SETTLE_CONFIRMED);
  assert_logged("a call that hung was ended", 0);
}

static void the_last_deliveries_are_acknowledged_too(void **state) {
  struct hub *hub = *state;
  use_user(hub, "'.*' '.*' '.*'");
  hub_start(hub);
  hub_attach_all(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) hub_publish(hub, p, 100);
  hub_check_logs(hub);
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line,
           "eval '0 = lists:sum([N || I <- rabbit_channel:info_all([user, messages_unacknowledged]), "
           "{user, <<\"%s\">>} <- I, {messages_unacknowledged, N} <- I]).'",
           user);
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (!try_ctl(line))
    if (hub_now_ms() >= until_ms) fail_msg("some deliveries stay unacknowledged");
  hub_check_logs(hub);
}

static void remake_while_away(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
  for (int i = 0; i < 10; i++) hub_publish(hub, 1, 100);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  hub->ops->away(hub->fixture);
  hub_await(hub, hub_links_are(hub, false));
  hub->ops->remake(hub->fixture, 1);
  hub->ops->back(hub->fixture);
}

static void with_several_hosts_a_stream_that_ends_early_is_not_anew_at_once(void **state) {
  struct hub *hub = *state;
  fixture_of(hub)->hosts = 2;
  remake_while_away(hub);
  await(hub, true, status_has(hub, "it ends before what was read from it last"));
  assert_int_equal(hub->partitions[1].attaches, 1);
  hub_await(hub, hub->partitions[1].attaches == 2);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_NEW_LOG);
  hub_await(hub, hub_links_are(hub, true));
  if (logged("cannot use") > 2)
    fail_msg("%s", log_text); /* at most once for each host, however often it is tried */
}

/* ---- nodes ---- */

static void nodes_that_start_together_on_nothing_lose_no_link(void **state) {
  (void)state;
  for (int round = 0; round < ROUNDS; round++) {
    struct hub *hubs[NODES];
    forget_log();
    for (int i = 0; i < NODES; i++) hubs[i] = hub_new(&rabbitmq_fixture_ops, i ? hubs[0] : NULL, false);
    for (int i = 0; i < NODES; i++) hub_start(hubs[i]);
    for (int i = 0; i < NODES; i++) attach_all(hubs[i]);
    for (int i = 0; i < NODES; i++)
      hub_await(hubs[i], hub_all_attached(hubs[i]) && hub_links_are(hubs[i], true));
    uint64_t id = hub_append(hubs[0], 2);
    for (int i = 0; i < NODES; i++) hub_await(hubs[i], hub_deliveries_of(hubs[i], 2, id) == 1);
    assert_logged("connected to", NODES);
    assert_logged("warn", 0);
    for (int i = NODES; i-- > 0;) hub_free(hubs[i]);
  }
}

static void nodes_begin_with_different_hosts(void **state) {
  (void)state;
  static const char *const hosts[] = {"amqp://127.0.0.1:1", "amqp://127.0.0.1:2", "amqp://127.0.0.1:3"};
  static const char *const names[] = {"sidebus web-1", "sidebus web-2", "sidebus web-3"};
  struct sb_transport_common common = {.partitions = 1, .prefix = "p"};
  bool used[3] = {false};
  for (int i = 0; i < 3; i++) {
    struct sb_rabbitmq_settings settings;
    sb_rabbitmq_settings_default(&settings);
    settings.hosts = hosts;
    settings.host_count = 3;
    settings.connection_name = names[i];
    struct sb_error error = {0};
    struct sb_transport *transport = sb_rabbitmq_new(&common, &settings, &error);
    assert_non_null(transport);
    struct sb_buf out = {0};
    sb_transport_status(transport, &out);
    unsigned port = (unsigned)(out.data[strlen("broker_host:127.0.0.1:")] - '0');
    assert_in_range(port, 1, 3);
    used[port - 1] = true;
    sb_buf_close(&out);
    sb_transport_free(transport);
  }
  assert_true(used[0] && used[1] && used[2]);
}

/* ---- what is refused ---- */

static void a_user_who_may_not_publish_is_told_so_once_and_then_seldom(void **state) {
  struct hub *hub = *state;
  prepare_topology(hub);
  use_user(hub, "'.*' '^$' '.*'");
  settings_of(hub)->declare = false;
  hub_start(hub);
  hub_attach_all(hub);
  hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub->tokens[0].outcome, SB_SETTLE_LOST);
  await(hub, true, status_has(hub, "no permission to write to exchange"));
  await(hub, true, logged("still down for") == 2);
  assert_false(hub->partitions[0].up[SB_LINK_PUBLISH]);
  assert_true(hub->partitions[0].up[SB_LINK_CONSUME]);
  assert_logged("connected to", 1);
  assert_in_range(logged("warn"), 3, 4); /* lost, maybe unusable, still down twice */
  assert_int_equal(logged("no permission to write to exchange"), logged("warn"));
  allow_all();
  hub_await(hub, hub_links_are(hub, true));
  hub_check_logs(hub);
  hub_close(hub);
}

static void a_user_who_may_not_read_is_told_so(void **state) {
  struct hub *hub = *state;
  prepare_topology(hub);
  use_user(hub, "'.*' '.*' '^$'");
  settings_of(hub)->declare = false;
  hub_start(hub);
  attach_all(hub);
  await(hub, true, status_has(hub, "no permission to read it: ACCESS_REFUSED"));
  await(hub, true, logged("still down for") == 4);
  assert_logged("connected to", 0);
  assert_logged("warn rabbitmq: stream", HUB_PARTITIONS);
  assert_logged("no permission to read it", HUB_PARTITIONS + 4);
  allow_all();
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  hub_check_logs(hub);
  hub_close(hub);
}

static void a_user_who_may_not_make_what_is_missing_is_told_so(void **state) {
  struct hub *hub = *state;
  use_user(hub, "'^$' '.*' '.*'");
  hub_start(hub);
  await(hub, true, status_has(hub, "no permission to configure it, and it does not exist: NOT_FOUND"));
  allow_all();
  hub_attach_all(hub);
  hub_check_logs(hub);
  hub_close(hub);
}

static void a_queue_that_is_no_stream_is_named_as_that(void **state) {
  struct hub *hub = *state;
  char name[96];
  snprintf(name, sizeof name, "%s.1", fixture_of(hub)->admin.prefix);
  settings_of(hub)->max_age = "1h";
  settings_of(hub)->max_bytes = 1000000000;
  declare_queue(fixture_of(hub), name, NULL);
  hub_start(hub);
  attach_all(hub);
  await(hub, true, status_has(hub, "no stream"));
  await(hub, true, logged("still down for") == 1);
  assert_logged("keeps the retention", 0);
  delete_queue(fixture_of(hub), name);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
}

static void the_bridge_hears_of_every_new_reason(void **state) {
  struct hub *hub = *state;
  settings_of(hub)->user = "nobody";
  hub->ops->away(hub->fixture);
  hub_start(hub);
  hub_await(hub, hub->reasons > 0);
  hub->ops->back(hub->fixture);
  await(hub, true, status_has(hub, "ACCESS_REFUSED"));
  unsigned before = hub->reasons;
  hub_await(hub, hub->reasons > before);
  await(hub, true, logged("still down for") == 1);
  assert_in_range(logged("warn"), 2, 4); /* that nobody is there, the refused login, that it lasts */
  hub_close(hub);
}

#define LINK_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      LINK_CASE(what_is_confirmed_and_does_not_come_back_is_an_outage),
      LINK_CASE(a_bridge_that_takes_its_time_is_not_taken_for_a_dead_reader),
      LINK_CASE(a_large_message_on_a_slow_line_is_not_taken_for_a_dead_reader),
      LINK_CASE(a_large_message_on_a_slow_line_does_not_make_a_log_look_new),
      LINK_CASE(a_stream_made_again_that_is_never_silent_is_a_new_log),
      LINK_CASE(with_several_hosts_a_stream_that_is_never_silent_is_not_anew_at_once),
      LINK_CASE(a_large_message_has_time_for_its_way_to_the_broker),
      LINK_CASE(the_last_deliveries_are_acknowledged_too),
      LINK_CASE(with_several_hosts_a_stream_that_ends_early_is_not_anew_at_once),
      cmocka_unit_test(nodes_that_start_together_on_nothing_lose_no_link),
      cmocka_unit_test(nodes_begin_with_different_hosts),
      LINK_CASE(a_user_who_may_not_publish_is_told_so_once_and_then_seldom),
      LINK_CASE(a_user_who_may_not_read_is_told_so),
      LINK_CASE(a_user_who_may_not_make_what_is_missing_is_told_so),
      LINK_CASE(a_queue_that_is_no_stream_is_named_as_that),
      LINK_CASE(the_bridge_hears_of_every_new_reason),
  };
  int rc = rabbitmq_fixture_start();
  if (rc) return rc;
  sb_log_to(take_line, NULL, SB_LOG_NOTICE);
  rc = conformance_run_cases("rabbitmq-links", tests, sizeof tests / sizeof *tests, NULL, NULL, argc, argv);
  delete_user();
  return rc;
}
