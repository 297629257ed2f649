/* What only a real RabbitMQ does to its clients, beside the suite that every transport passes: TLS, logins
 * and permissions, alarms, a topology that is not as it should be, sockets that take nothing. Starts a broker
 * of its own, since it changes its limits and users. Runs where SIDEBUS_TEST_RABBITMQ says that brokers may
 * be used. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/hub.h"
#include "tests/conformance/proxy.h"
#include "tests/conformance/rabbitmq_admin.h"
#include "tests/conformance/suite.h"
#include "transports/rabbitmq/amqp.h"
#include "transports/rabbitmq/rabbitmq.h"

#define COMMAND_BYTES          1024
#define BROKER_DIR_BYTES       128
#define PATH_BYTES             (BROKER_DIR_BYTES + 32)
#define MORE_THAN_SOCKETS_HOLD ((size_t)16 << 20)

static char broker_dir[BROKER_DIR_BYTES];
static char other_ca[PATH_BYTES];
static uint16_t amqp_port, amqps_port;
static unsigned fixtures;

/* ---- the broker ---- */

static void take_port(const char *line, const char *key, uint16_t *port) {
  size_t len = strlen(key);
  if (strncmp(line, key, len) == 0) *port = (uint16_t)strtoul(line + len, NULL, 10);
}

static bool run(const char *line) {
  FILE *out = popen(line, "r");
  if (!out) return false;
  char answer[COMMAND_BYTES];
  while (fgets(answer, sizeof answer, out)) {
    take_port(answer, "AMQP_PORT=", &amqp_port);
    take_port(answer, "AMQPS_PORT=", &amqps_port);
  }
  return pclose(out) == 0;
}

static void broker_ctl(const char *arguments) {
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line, "'%s' ctl '%s' -q %s", SB_PRIVATE_RABBITMQ, broker_dir, arguments);
  if (!run(line)) fail_msg("rabbitmqctl %s failed", arguments);
}

static int broker_start(void **state) {
  (void)state;
  const char *temporary = getenv("TMPDIR");
  snprintf(broker_dir, sizeof broker_dir, "%s/sidebus-broker-XXXXXX", temporary ? temporary : "/tmp");
  if (!mkdtemp(broker_dir)) return -1;
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line, "'%s' start '%s' --tls", SB_PRIVATE_RABBITMQ, broker_dir);
  if (!run(line) || !amqp_port || !amqps_port) return -1;
  snprintf(other_ca, sizeof other_ca, "%s/other-ca.pem", broker_dir);
  snprintf(line, sizeof line,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=other' "
           "-keyout '%s/other-ca.key' -out '%s' 2>/dev/null",
           broker_dir, other_ca);
  return run(line) ? 0 : -1;
}

static int broker_stop(void **state) {
  (void)state;
  char line[COMMAND_BYTES];
  snprintf(line, sizeof line, "'%s' stop '%s'; rm -rf '%s'", SB_PRIVATE_RABBITMQ, broker_dir, broker_dir);
  return run(line) ? 0 : -1;
}

/* ---- logs on it ---- */

struct logs {
  uint32_t partitions;
  struct admin admin;
  struct sb_rabbitmq_settings settings;
  char host[64];
  const char *hosts[2];
};

static void set_host(struct logs *logs, const char *scheme, const char *name, uint16_t port) {
  snprintf(logs->host, sizeof logs->host, "%s://%s:%u", scheme, name, port);
  logs->hosts[0] = logs->host;
  logs->settings.hosts = logs->hosts;
  logs->settings.host_count = 1;
}

static void *open_logs(uint32_t partitions, bool forgetful) {
  (void)forgetful;
  struct logs *logs = sb_calloc(1, sizeof *logs);
  logs->partitions = partitions;
  logs->admin.port = amqp_port;
  snprintf(logs->admin.prefix, sizeof logs->admin.prefix, "broker-%u", fixtures++);
  sb_rabbitmq_settings_default(&logs->settings);
  logs->settings.backoff_min_ms = 10;
  logs->settings.backoff_max_ms = 100;
  logs->settings.rpc_timeout_ms = 3000;
  logs->settings.connect_timeout_ms = 2000;
  set_host(logs, "amqp", "127.0.0.1", amqp_port);
  return logs;
}

static struct sb_transport *make(void *fixture, void (*wake)(void *), void *wake_owner) {
  struct logs *logs = fixture;
  struct sb_transport_common common = {
      .partitions = logs->partitions, .prefix = logs->admin.prefix, .wake = wake, .wake_owner = wake_owner};
  struct sb_error error = {0};
  struct sb_transport *transport = sb_rabbitmq_new(&common, &logs->settings, &error);
  if (!transport) fail_msg("%s", error.text);
  return transport;
}

static void close_logs(void *fixture) {
  struct logs *logs = fixture;
  admin_remove_all(&logs->admin, logs->partitions);
  admin_disconnect(&logs->admin);
  free(logs);
}

static const struct fixture_ops ops = {
    .name = "rabbitmq-broker", .external = true, .open = open_logs, .transport = make, .close = close_logs};

static int setup(void **state) {
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

/* A connection past the transport, with channel 1 open. */
static amqp_connection_state_t connect_admin(void) {
  amqp_connection_state_t connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  assert_int_equal(amqp_socket_open(socket, "127.0.0.1", amqp_port), AMQP_STATUS_OK);
  amqp_rpc_reply_t reply =
      amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  assert_int_equal(reply.reply_type, AMQP_RESPONSE_NORMAL);
  assert_non_null(amqp_channel_open(connection, 1));
  return connection;
}

static amqp_bytes_t stream_name(struct hub *hub, uint32_t partition, char out[128]) {
  snprintf(out, 128, "%s.%" PRIu32, logs_of(hub)->admin.prefix, partition);
  return amqp_cstring_bytes(out);
}

static void delete_stream(struct hub *hub, uint32_t partition) {
  amqp_connection_state_t connection = connect_admin();
  char name[128];
  assert_non_null(amqp_queue_delete(connection, 1, stream_name(hub, partition, name), 0, 0));
  amqp_destroy_connection(connection);
}

static void declare_classic(struct hub *hub, uint32_t partition) {
  amqp_connection_state_t connection = connect_admin();
  char name[128];
  assert_non_null(
      amqp_queue_declare(connection, 1, stream_name(hub, partition, name), 0, 1, 0, 0, amqp_empty_table));
  amqp_destroy_connection(connection);
}

static bool status_has(struct hub *hub, const char *text) {
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  sb_buf_append(&out, "", 1);
  bool has = strstr((const char *)out.data, text) != NULL;
  sb_buf_close(&out);
  return has;
}

/* The status changes without an event, so this looks every few ms. */
static void await_status_and(struct hub *hub, const char *text, bool take_events) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (!status_has(hub, text)) {
    if (take_events) hub_take_all(hub);
    if (hub_now_ms() >= until_ms) {
      struct sb_buf out = {0};
      sb_transport_status(hub->transport, &out);
      fail_msg("the status does not say \"%s\" in time but %.*s", text, (int)out.len, (const char *)out.data);
    }
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  }
}

static void await_status(struct hub *hub, const char *text) {
  await_status_and(hub, text, true);
}

/* Makes the topology as somebody else would. */
static void prepare_topology(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
  hub_close(hub);
}

static void attach_all(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
}

static void check_read_back(struct hub *hub) {
  const struct hub_read *all = hub_read_back(hub, 0, 0, hub->partitions[0].last);
  hub_await(hub, all->ended);
  assert_int_equal(all->outcome, SB_STORED_DONE);
  assert_true(all->count > 0);
  hub_assert_read(hub, all);
}

/* ---- TLS ---- */

static void set_tls(struct hub *hub, const char *name, const char *ca_file) {
  struct logs *logs = logs_of(hub);
  set_host(logs, "amqps", name, amqps_port);
  logs->settings.tls.ca_file = ca_file;
}

static const char *good_ca(void) {
  static char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/tls/ca.pem", broker_dir);
  return path;
}

static void tls_with_the_right_authority_carries_messages(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "localhost", good_ca());
  hub_start(hub);
  hub_attach_all(hub);
  for (size_t len = 16; len <= ((size_t)1 << 20); len *= 4) hub_publish(hub, 0, len);
  hub_check_logs(hub);
  check_read_back(hub);
}

static void tls_takes_an_address_that_the_certificate_names(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "127.0.0.1", good_ca());
  hub_start(hub);
  hub_attach_all(hub);
}

static void tls_shows_a_client_certificate(void **state) {
  struct hub *hub = *state;
  char cert[PATH_BYTES], key[PATH_BYTES];
  snprintf(cert, sizeof cert, "%s/tls/client.pem", broker_dir);
  snprintf(key, sizeof key, "%s/tls/client.key", broker_dir);
  set_tls(hub, "localhost", good_ca());
  logs_of(hub)->settings.tls.cert_file = cert;
  logs_of(hub)->settings.tls.key_file = key;
  hub_start(hub);
  hub_attach_all(hub);
}

/* With TLS 1.3 it says so when the handshake is over here, and the alert may be lost with the connection. */
static void tls_with_a_client_certificate_of_another_authority_says_so_at_each_try(void **state) {
  struct hub *hub = *state;
  char key[PATH_BYTES];
  snprintf(key, sizeof key, "%s/other-ca.key", broker_dir);
  set_tls(hub, "localhost", good_ca());
  logs_of(hub)->settings.tls.cert_file = other_ca;
  logs_of(hub)->settings.tls.key_file = key;
  hub_start(hub);
  await_status(hub, "client certificate");
  for (int i = 0; i < 200; i++) { /* it is tried again and again */
    hub_take_all(hub);
    assert_false(status_has(hub, "the connection ended"));
    nanosleep(&(const struct timespec){.tv_nsec = 10000000}, NULL);
  }
}

static void tls_with_another_authority_is_refused_and_says_why(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "localhost", other_ca);
  hub_start(hub);
  await_status(hub, "TLS: certificate verify failed");
  assert_true(status_has(hub, "broker_link:down"));
}

static void tls_with_another_name_is_refused_and_says_why(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "127.1", good_ca()); /* the broker's address, but no name of the certificate */
  hub_start(hub);
  await_status(hub, "TLS: certificate verify failed: hostname mismatch");
}

static void tls_without_verification_takes_any_certificate(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "127.1", other_ca);
  logs_of(hub)->settings.tls.verify = false;
  hub_start(hub);
  hub_attach_all(hub);
}

static void a_missing_authority_file_is_named(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "localhost", "/nonexistent/ca.pem");
  hub_start(hub);
  await_status(hub, "/nonexistent/ca.pem");
}

static void tls_to_a_port_without_tls_says_so(void **state) {
  struct hub *hub = *state;
  set_tls(hub, "localhost", good_ca());
  set_host(logs_of(hub), "amqps", "localhost", amqp_port);
  hub_start(hub);
  await_status(hub, "TLS: the server answered in plain text (AMQP), not in TLS: is it the right port?");
}

static void a_port_with_tls_that_is_taken_for_a_plain_one_says_so(void **state) {
  struct hub *hub = *state;
  char expected[128];
  set_host(logs_of(hub), "amqp", "localhost", amqps_port);
  snprintf(expected, sizeof expected, "the server expects TLS at this port: write amqps://localhost:%u",
           (unsigned)amqps_port);
  hub_start(hub);
  await_status(hub, expected);
}

/* ---- login and permissions ---- */

static void a_wrong_password_is_said_and_not_shown(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.password = "wrong";
  hub_start(hub);
  await_status(hub, "ACCESS_REFUSED - Login was refused");
  assert_false(status_has(hub, "wrong"));
}

static void an_unknown_vhost_is_said(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.vhost = "nowhere";
  hub_start(hub);
  await_status(hub, "vhost nowhere not found");
}

static void check_minimal_permissions(struct hub *hub, bool declare) {
  prepare_topology(hub);
  char line[512];
  const char *prefix = logs_of(hub)->admin.prefix;
  broker_ctl("add_user minimal minimal");
  snprintf(line, sizeof line, "set_permissions minimal '^$' '^%s$' '^%s\\.[0-9]+$'", prefix, prefix);
  broker_ctl(line);
  logs_of(hub)->settings.user = logs_of(hub)->settings.password = "minimal";
  logs_of(hub)->settings.declare = declare;
  hub_start(hub);
  hub_attach_all(hub);
  hub_check_logs(hub);
  check_read_back(hub);
  hub_close(hub);
  broker_ctl("delete_user minimal");
}

static void minimal_permissions_suffice_where_nothing_is_declared(void **state) {
  check_minimal_permissions(*state, false);
}

static void minimal_permissions_suffice_where_all_that_is_declared_exists(void **state) {
  check_minimal_permissions(*state, true);
}

static void a_missing_write_permission_is_said(void **state) {
  struct hub *hub = *state;
  prepare_topology(hub);
  broker_ctl("add_user reader reader");
  broker_ctl("set_permissions reader '^$' '^$' '.*'");
  logs_of(hub)->settings.user = logs_of(hub)->settings.password = "reader";
  logs_of(hub)->settings.declare = false;
  hub_start(hub);
  attach_all(hub);
  hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub->tokens[0].outcome, SB_SETTLE_LOST);
  await_status(hub, "ACCESS_REFUSED");
  hub_close(hub);
  broker_ctl("delete_user reader");
}

/* ---- topology ---- */

static void a_missing_stream_is_named_and_found_when_it_is_made(void **state) {
  struct hub *hub = *state;
  prepare_topology(hub);
  delete_stream(hub, 1);
  logs_of(hub)->settings.declare = false;
  hub_start(hub);
  attach_all(hub);
  char name[128], text[256];
  stream_name(hub, 1, name);
  snprintf(text, sizeof text, "no queue '%s'", name);
  await_status(hub, text);
  hub_await(hub, hub->partitions[0].attached && hub->partitions[2].attached);
  const struct hub_read *none = hub_read_back(hub, 1, 0, 1);
  hub_await(hub, none->ended);
  assert_int_equal(none->outcome, SB_STORED_FAILED);
  admin_remake(&logs_of(hub)->admin, 1);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  hub_check_logs(hub);
}

static void a_queue_that_is_no_stream_is_named(void **state) {
  struct hub *hub = *state;
  prepare_topology(hub);
  delete_stream(hub, 1);
  declare_classic(hub, 1);
  hub_start(hub);
  await_status(hub, "inequivalent arg 'x-queue-type'");
  hub_close(hub);
  logs_of(hub)->settings.declare = false;
  hub_start(hub);
  attach_all(hub);
  await_status(hub, "of queue type rabbit_classic_queue");
}

static void other_retention_settings_do_not_stop_a_hub(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.max_age = "1h";
  logs_of(hub)->settings.max_bytes = 1000000000;
  logs_of(hub)->settings.segment_bytes = 1000000;
  prepare_topology(hub);
  logs_of(hub)->settings.max_age = "2h";
  hub_start(hub);
  hub_attach_all(hub);
  hub_check_logs(hub);
}

static void a_deleted_stream_is_made_again(void **state) {
  struct hub *hub = *state;
  hub_start(hub);
  hub_attach_all(hub);
  for (int i = 0; i < 10; i++) hub_publish(hub, 1, 100);
  hub_await(hub, hub->unsettled == 0 && hub->partitions[1].count == 10);
  delete_stream(hub, 1);
  hub_await(hub, hub->partitions[1].attaches == 2);
  assert_int_equal(hub->partitions[1].how, SB_ATTACH_NEW_LOG);
  uint64_t id = hub_publish_until_confirmed(hub, 1);
  hub_await(hub, hub_deliveries_of(hub, 1, id) == 1);
  assert_int_equal(hub->partitions[0].attaches, 1);
}

static void a_removed_binding_is_made_again(void **state) {
  struct hub *hub = *state;
  hub_start(hub);
  hub_attach_all(hub);
  admin_bind(&logs_of(hub)->admin, 2, false);
  uint64_t refused = hub_publish(hub, 2, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, refused)->outcome, SB_SETTLE_REJECTED);
  hub_check_logs(hub);
  assert_int_equal(hub_deliveries_of(hub, 2, refused), 0);
}

static void a_removed_exchange_is_made_again(void **state) {
  struct hub *hub = *state;
  hub_start(hub);
  hub_attach_all(hub);
  amqp_connection_state_t connection = connect_admin();
  assert_non_null(amqp_exchange_delete(connection, 1, amqp_cstring_bytes(logs_of(hub)->admin.prefix), 0));
  amqp_destroy_connection(connection);
  uint64_t lost = hub_publish(hub, 0, 100);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, lost)->outcome, SB_SETTLE_LOST);
  hub_check_logs(hub);
}

/* ---- a broker in trouble ---- */

static void a_broker_that_blocks_publishers_pauses_publishing_only(void **state) {
  struct hub *hub = *state;
  hub_start(hub);
  hub_attach_all(hub);
  broker_ctl("set_vm_memory_high_watermark 0.0000001");
  uint64_t first = hub_publish(hub, 0, 100);
  hub_await(hub, !hub->partitions[0].up[SB_LINK_PUBLISH] && !hub->partitions[2].up[SB_LINK_PUBLISH]);
  assert_true(status_has(hub, "broker_link:blocked"));
  assert_true(hub->partitions[0].up[SB_LINK_CONSUME]);
  struct sb_envelope envelope = hub_envelope(1);
  struct sb_body *body = hub_body(1, 64);
  assert_int_equal(hub_try(hub, 0, &envelope, body, 1), SB_ERR_LINK);
  sb_body_unref(body);
  broker_ctl("set_vm_memory_high_watermark absolute 1GB");
  hub_await(hub, hub->unsettled == 0 && hub_links_are(hub, true));
  assert_int_equal(hub_token_of(hub, first)->outcome, SB_SETTLE_CONFIRMED);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
  hub_check_logs(hub);
}

static void closing_while_the_broker_blocks_ends(void **state) {
  struct hub *hub = *state;
  hub_start(hub);
  hub_attach_all(hub);
  broker_ctl("set_vm_memory_high_watermark 0.0000001");
  hub_publish(hub, 0, 200000);
  hub_await(hub, !hub->partitions[0].up[SB_LINK_PUBLISH]);
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, 5000);
  broker_ctl("set_vm_memory_high_watermark absolute 1GB");
}

static void a_lower_message_limit_of_the_broker_is_learnt(void **state) {
  struct hub *hub = *state;
  broker_ctl("eval 'application:set_env(rabbit, max_message_size, 100000).'");
  hub_start(hub);
  hub_attach_all(hub);
  uint64_t id = hub_publish(hub, 0, 100001);
  hub_await(hub, hub->unsettled == 0);
  assert_int_equal(hub_token_of(hub, id)->outcome, SB_SETTLE_LOST);
  hub_await(hub, hub_links_are(hub, true));
  assert_int_equal(sb_transport_max_body(hub->transport), 100000);
  hub_publish(hub, 0, 100000);
  hub_check_logs(hub);
  hub_close(hub);
  broker_ctl("eval 'application:set_env(rabbit, max_message_size, 134217728).'");
}

/* The broker goes on sending heartbeats and does not take a byte: rabbitmq-c would wait for ever. */
static void a_call_that_hangs_is_ended(void **state) {
  struct hub *hub = *state;
  struct proxy *proxy = proxy_new(amqp_port);
  set_host(logs_of(hub), "amqp", "127.0.0.1", proxy_port(proxy));
  logs_of(hub)->settings.heartbeat_s = 6; /* the broker itself gives up after two to three of them */
  logs_of(hub)->settings.rpc_timeout_ms = 1000;
  hub_start(hub);
  hub_attach_all(hub);
  proxy_hold(proxy, true, false);
  struct hub_watch watch = hub_watch();
  hub_publish(hub, 0, MORE_THAN_SOCKETS_HOLD);
  hub_await(hub, hub->unsettled == 0);
  hub_took(&watch, 0, 11000);
  for (size_t i = 0; i < hub->token_count; i++) assert_int_equal(hub->tokens[i].outcome, SB_SETTLE_LOST);
  proxy_hold(proxy, false, false);
  hub_check_logs(hub);
  hub_close(hub);
  proxy_free(proxy);
}

static void a_broker_that_falls_silent_is_noticed(void **state) {
  struct hub *hub = *state;
  struct proxy *proxy = proxy_new(amqp_port);
  set_host(logs_of(hub), "amqp", "127.0.0.1", proxy_port(proxy));
  logs_of(hub)->settings.heartbeat_s = 1;
  hub_start(hub);
  hub_attach_all(hub);
  hub_publish(hub, 0, 100);
  proxy_hold(proxy, false, true);
  struct hub_watch watch = hub_watch();
  hub_await(hub, hub_links_are(hub, false) && hub->unsettled == 0);
  hub_took(&watch, 1000, 5000);
  assert_true(status_has(hub, "heartbeat timeout"));
  proxy_hold(proxy, false, false);
  hub_check_logs(hub);
  hub_close(hub);
  proxy_free(proxy);
}

static void heartbeats_keep_an_idle_link(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.heartbeat_s = 1;
  hub_start(hub);
  hub_attach_all(hub);
  hub_check_logs(hub);
  int64_t until_ms = hub_now_ms() + 5000; /* the broker gives up after two to three */
  while (hub_step(hub, until_ms)) continue;
  assert_true(hub_links_are(hub, true));
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

/* The reader holds a message that the bridge has no room for when its connection goes. */
static void a_link_lost_while_there_is_no_room_loses_nothing(void **state) {
  struct hub *hub = *state;
  enum { LEN = 128 * 1024, COUNT = SB_TRANSPORT_EVENTS_BYTES_MAX / LEN + 50 };
  struct proxy *proxy = proxy_new(amqp_port);
  set_host(logs_of(hub), "amqp", "127.0.0.1", proxy_port(proxy));
  logs_of(hub)->settings.heartbeat_s = 1;
  hub_start(hub);
  hub_attach_all(hub);
  for (int i = 0; i < COUNT; i++) {
    uint64_t id = hub_next_id(hub);
    struct sb_envelope envelope = hub_envelope(id);
    struct sb_body *body = hub_body(id, LEN);
    admin_append(&logs_of(hub)->admin, 1, &envelope, body);
    sb_body_unref(body);
  }
  char full[64];
  snprintf(full, sizeof full, "broker_delivered:%zu", (size_t)SB_TRANSPORT_EVENTS_BYTES_MAX / LEN);
  await_status_and(hub, full, false);
  proxy_away(proxy, true);
  await_status_and(hub, "broker_link:down", false);
  proxy_away(proxy, false);
  hub_await(hub, hub->partitions[1].count == COUNT);
  hub_check_logs(hub);
  hub_close(hub);
  proxy_free(proxy);
}

static void closing_while_a_call_hangs_ends(void **state) {
  struct hub *hub = *state;
  struct proxy *proxy = proxy_new(amqp_port);
  set_host(logs_of(hub), "amqp", "127.0.0.1", proxy_port(proxy));
  hub_start(hub);
  hub_attach_all(hub);
  proxy_hold(proxy, true, true);
  hub_publish(hub, 0, MORE_THAN_SOCKETS_HOLD);
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, 3000);
  proxy_free(proxy);
}

static void closing_during_a_login_that_is_not_answered_ends(void **state) {
  struct hub *hub = *state;
  struct proxy *proxy = proxy_new(amqp_port);
  proxy_hold(proxy, true, true);
  set_host(logs_of(hub), "amqp", "127.0.0.1", proxy_port(proxy));
  logs_of(hub)->settings.connect_timeout_ms = 60000;
  hub_start(hub);
  struct hub_watch watch = hub_watch();
  hub_close(hub);
  hub_took(&watch, 0, 3000);
  proxy_free(proxy);
}

static unsigned open_descriptors(void) {
  unsigned count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static void closing_leaves_no_descriptor_open(void **state) {
  struct hub *hub = *state;
  unsigned before = open_descriptors();
  hub_start(hub);
  hub_attach_all(hub);
  hub_close(hub);
  assert_int_equal(open_descriptors(), before);
  set_tls(hub, "localhost", good_ca());
  hub_start(hub);
  hub_attach_all(hub);
  hub_close(hub);
  assert_int_equal(open_descriptors(), before);
  set_tls(hub, "localhost", other_ca);
  hub_start(hub);
  await_status(hub, "TLS: certificate verify failed");
  hub_close(hub);
  assert_int_equal(open_descriptors(), before);
}

/* ---- hosts ---- */

static void the_next_host_is_tried(void **state) {
  struct hub *hub = *state;
  struct logs *logs = logs_of(hub);
  logs->hosts[1] = logs->host;
  logs->hosts[0] = "amqp://127.0.0.1:1";
  logs->settings.host_count = 2;
  hub_start(hub);
  hub_attach_all(hub);
  assert_true(status_has(hub, "broker_link:up"));
}

static void a_name_that_does_not_resolve_is_said(void **state) {
  struct hub *hub = *state;
  set_host(logs_of(hub), "amqp", "no-such-host.invalid", amqp_port);
  hub_start(hub);
  await_status(hub, "cannot resolve the name");
}

static void a_port_where_nobody_listens_is_said(void **state) {
  struct hub *hub = *state;
  set_host(logs_of(hub), "amqp", "127.0.0.1", 1);
  hub_start(hub);
  await_status(hub, "rabbitmq 127.0.0.1:1: Connection refused");
  hub_close(hub);
  set_host(logs_of(hub), "amqps", "127.0.0.1", 1);
  hub_start(hub);
  await_status(hub, "rabbitmq 127.0.0.1:1: Connection refused");
}

static void unusable_settings_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"mq-1",         "http://mq-1",     "amqp://",        "amqp://mq-1:0",
                                      "amqp://mq-1:", "amqp://mq:70000", "amqp://[::1",    "amqp://mq/vhost",
                                      "amqp://u@mq",  "amqp://mq:5672x", "amqp://[::1]:x", ""};
  struct sb_transport_common common = {.partitions = 1, .prefix = "p"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct sb_rabbitmq_settings settings;
    sb_rabbitmq_settings_default(&settings);
    settings.hosts = &wrong[i];
    settings.host_count = 1;
    struct sb_error error = {0};
    assert_null(sb_rabbitmq_new(&common, &settings, &error));
    assert_int_equal(error.code, SB_ERR_INVALID);
    assert_non_null(strstr(error.text, "rabbitmq: host \""));
  }
}

#define BROKER_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      BROKER_CASE(tls_with_the_right_authority_carries_messages),
      BROKER_CASE(tls_takes_an_address_that_the_certificate_names),
      BROKER_CASE(tls_shows_a_client_certificate),
      BROKER_CASE(tls_with_a_client_certificate_of_another_authority_says_so_at_each_try),
      BROKER_CASE(tls_with_another_authority_is_refused_and_says_why),
      BROKER_CASE(tls_with_another_name_is_refused_and_says_why),
      BROKER_CASE(tls_without_verification_takes_any_certificate),
      BROKER_CASE(a_missing_authority_file_is_named),
      BROKER_CASE(tls_to_a_port_without_tls_says_so),
      BROKER_CASE(a_port_with_tls_that_is_taken_for_a_plain_one_says_so),
      BROKER_CASE(a_wrong_password_is_said_and_not_shown),
      BROKER_CASE(an_unknown_vhost_is_said),
      BROKER_CASE(minimal_permissions_suffice_where_nothing_is_declared),
      BROKER_CASE(minimal_permissions_suffice_where_all_that_is_declared_exists),
      BROKER_CASE(a_missing_write_permission_is_said),
      BROKER_CASE(a_missing_stream_is_named_and_found_when_it_is_made),
      BROKER_CASE(a_queue_that_is_no_stream_is_named),
      BROKER_CASE(other_retention_settings_do_not_stop_a_hub),
      BROKER_CASE(a_deleted_stream_is_made_again),
      BROKER_CASE(a_removed_binding_is_made_again),
      BROKER_CASE(a_removed_exchange_is_made_again),
      BROKER_CASE(a_broker_that_blocks_publishers_pauses_publishing_only),
      BROKER_CASE(closing_while_the_broker_blocks_ends),
      BROKER_CASE(a_lower_message_limit_of_the_broker_is_learnt),
      BROKER_CASE(a_call_that_hangs_is_ended),
      BROKER_CASE(a_broker_that_falls_silent_is_noticed),
      BROKER_CASE(heartbeats_keep_an_idle_link),
      BROKER_CASE(a_link_lost_while_there_is_no_room_loses_nothing),
      BROKER_CASE(closing_while_a_call_hangs_ends),
      BROKER_CASE(closing_during_a_login_that_is_not_answered_ends),
      BROKER_CASE(closing_leaves_no_descriptor_open),
      BROKER_CASE(the_next_host_is_tried),
      BROKER_CASE(a_name_that_does_not_resolve_is_said),
      BROKER_CASE(a_port_where_nobody_listens_is_said),
      cmocka_unit_test(unusable_settings_are_refused),
  };
  if (!getenv("SIDEBUS_TEST_RABBITMQ")) {
    printf("1..0 # SKIP SIDEBUS_TEST_RABBITMQ names no broker\n");
    return CONFORMANCE_SKIPPED;
  }
  return conformance_run_cases(ops.name, tests, sizeof tests / sizeof *tests, broker_start, broker_stop, argc,
                               argv);
}
