/* How the service is convinced of who we are, and we of the service: TLS, logins, tokens and their renewal,
 * from a key or from a file. On the test double, a process of its own. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/servicebus_logs.h"
#include "transports/servicebus/sas.h"

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
  logs_start(hub);
  logs_publish(hub, 30);
  logs_check_whole(hub);
}

static void a_certificate_of_an_unknown_authority_is_refused(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.tls.ca_file = NULL;
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, logs_status_says(hub, "certificate verify failed"));
  assert_true(hub_links_are(hub, false));
}

static void a_certificate_of_another_name_is_refused(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.host = "127.1"; /* the same address, and no name that the certificate has */
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, logs_status_says(hub, "certificate verify failed"));
  assert_true(hub_links_are(hub, false));
}

static void external_that_is_offered_is_not_taken(void **state) {
  struct hub *hub = *state;
  servicebus_double_do(&service, "external", "{}");
  logs_start(hub);
  logs_check_whole(hub);
}

static void a_wrong_key_is_told(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.credentials.key = "d3Jvbmc=";
  logs_of(hub)->settings.manage = false;
  hub_start(hub);
  hub_await(hub, logs_status_says(hub, "amqp:unauthorized-access"));
  assert_true(hub_links_are(hub, false));
}

static void tokens_are_put_and_renewed(void **state) {
  struct hub *hub = *state;
  use_tls(hub);
  logs_of(hub)->settings.auth = SB_SERVICEBUS_CBS;
  logs_of(hub)->settings.credentials.sas_lifetime_s = 4;
  logs_start(hub);
  long put = logs_counter("tokensPut");
  hub_await(hub, logs_counter("tokensPut") >= put + 4L * HUB_PARTITIONS);
  logs_publish(hub, 30);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void expired_tokens_are_replaced(void **state) {
  struct hub *hub = *state;
  logs_of(hub)->settings.auth = SB_SERVICEBUS_CBS;
  logs_start(hub);
  logs_publish(hub, 30);
  servicebus_double_do(&service, "expire-tokens", "{}");
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

/* ---- $cbs that refuses, or takes its time ---- */

static void use_tokens(struct hub *hub) {
  logs_of(hub)->settings.auth = SB_SERVICEBUS_CBS;
}

static void check_refused_at_first(struct hub *hub, int status) {
  char text[64];
  snprintf(text, sizeof text, "was refused: %d", status);
  use_tokens(hub);
  servicebus_double_do(&service, "requests", "{\"cbs_status\":%d}", status);
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, text));
  assert_true(hub_links_are(hub, false));
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

static void a_token_that_is_not_authorised_is_told_and_tried_again(void **state) {
  check_refused_at_first(*state, 401);
}

static void a_token_for_nothing_is_told_and_tried_again(void **state) {
  check_refused_at_first(*state, 404);
}

static void tokens_for_a_busy_service_are_put_again(void **state) {
  check_refused_at_first(*state, 503);
}

static void slow_answers_to_tokens_are_waited_for(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  servicebus_double_do(&service, "requests", "{\"delay_ms\":300}");
  int64_t since_ms = hub_now_ms();
  logs_start(hub);
  assert_true(hub_now_ms() - since_ms >= 600);
  logs_check_whole(hub);
}

static void an_answer_to_a_token_that_never_comes_is_not_waited_for(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.rpc_timeout_ms = 1000;
  servicebus_double_do(&service, "requests", "{\"delay_ms\":600000}");
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, "no answer of $cbs within 1000 ms"));
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

/* The old token is good for a while. */
static void a_renewal_that_fails_at_first_ends_nothing(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.credentials.sas_lifetime_s = 20;
  logs_start(hub);
  servicebus_double_do(&service, "requests", "{\"cbs_status\":500}");
  hub_await(hub, logs_status_says(hub, "was refused: 500"));
  assert_true(hub_links_are(hub, true));
  long put = logs_counter("tokensPut");
  servicebus_double_do(&service, "clear", "{}");
  hub_await(hub, logs_counter("tokensPut") >= put + 2L * HUB_PARTITIONS);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void an_attach_that_wants_a_new_token_gets_one(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_make_entities(hub);
  servicebus_double_do(&service, "refuse-attach",
                       "{\"entity\":\"%s\",\"condition\":\"amqp:unauthorized-access\"}",
                       logs_of(hub)->address);
  long put = logs_counter("tokensPut");
  logs_start(hub);
  assert_true(logs_counter("tokensPut") - put >= 2L * HUB_PARTITIONS + 2);
  logs_check_whole(hub);
}

/* ---- $cbs that goes away ---- */

static long detach_cbs(const char *condition) {
  return servicebus_double_ask(&service, "detach", "affected", "{\"kind\":\"cbs\",\"condition\":\"%s\"}",
                               condition);
}

/* Tokens are renewed over a new pair, and nobody notices. */
static void cbs_that_is_detached_is_opened_again_and_ends_nothing(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.credentials.sas_lifetime_s = 6;
  logs_of(hub)->settings.backoff_max_ms = HUB_DEADLINE_MS * 2;
  logs_start(hub);
  long connections = logs_counter("connections");
  static const char *const conditions[] = {"amqp:link:detach-forced", "com.microsoft:server-busy"};
  for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
    hub_await(hub, detach_cbs(conditions[i]) == 2);
    long put = logs_counter("tokensPut");
    hub_await(hub, logs_counter("tokensPut") >= put + 2L * HUB_PARTITIONS);
  }
  logs_publish(hub, 30);
  logs_check_whole(hub);
  assert_int_equal(logs_counter("connections"), connections);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

/* The answer goes with the pair: the question is asked again, sooner than it would time out. */
static void cbs_that_is_detached_before_its_answer_is_asked_again(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.rpc_timeout_ms = logs_of(hub)->settings.backoff_max_ms = HUB_DEADLINE_MS * 2;
  logs_make_entities(hub);
  servicebus_double_do(&service, "requests", "{\"delay_ms\":600000}");
  long put = logs_counter("tokensPut"), connections = logs_counter("connections");
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_counter("tokensPut") > put);
  servicebus_double_do(&service, "clear", "{}");
  assert_int_equal(detach_cbs("amqp:link:detach-forced"), 2);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  assert_int_equal(logs_counter("connections"), connections + 1);
  logs_check_whole(hub);
}

/* Others make a new connection, after a short pause; only a refusal is for a person. */
static void cbs_that_is_closed_for_an_unknown_reason_costs_the_connection(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.backoff_max_ms = HUB_DEADLINE_MS * 2;
  logs_start(hub);
  assert_int_equal(detach_cbs("amqp:internal-error"), 2);
  hub_await(hub, hub->partitions[0].attaches >= 2 && hub_all_attached(hub) && hub_links_are(hub, true));
  assert_true(logs_status_says(hub, "$cbs was closed: amqp:internal-error"));
  logs_check_whole(hub);
}

static int setup_credit(void **state) {
  servicebus_double_do(&service, "settings", "{\"link_credit\":0}");
  return logs_setup(state);
}

static int teardown_credit(void **state) {
  servicebus_double_do(&service, "settings", "{\"link_credit\":1000}");
  return logs_teardown(state);
}

static void cbs_without_credit_is_not_waited_for(void **state) {
  struct hub *hub = *state;
  use_tokens(hub);
  logs_of(hub)->settings.rpc_timeout_ms = 1000;
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, "no credit of $cbs within 1000 ms"));
  servicebus_double_do(&service, "settings", "{\"link_credit\":1000}");
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

/* ---- a token that others put into a file ---- */

static char token_file[64];

static void write_file(const char *text) {
  char next[80];
  snprintf(next, sizeof next, "%s.next", token_file);
  int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  size_t len = strlen(text);
  if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) != 0 || rename(next, token_file) != 0)
    fail_msg("the token file cannot be written");
}

static void write_token(unsigned lifetime_s) {
  struct sb_buf token = {0};
  uint64_t expiry_unix_s = (uint64_t)time(NULL) + lifetime_s;
  if (sb_servicebus_sas("sb://localhost/", service.key_name, service.key, expiry_unix_s, &token) != 0)
    fail_msg("a token cannot be signed");
  sb_buf_append(&token, "\n", 2);
  write_file((const char *)token.data);
  sb_buf_close(&token);
}

static int setup_token_file(void **state) {
  snprintf(token_file, sizeof token_file, "/tmp/sidebus-token-XXXXXX");
  int fd = mkstemp(token_file);
  if (fd < 0) return -1;
  close(fd);
  return logs_setup(state);
}

static int teardown_token_file(void **state) {
  unlink(token_file);
  return logs_teardown(state);
}

static void use_token_file(struct hub *hub) {
  struct sb_servicebus_settings *settings = &logs_of(hub)->settings;
  settings->auth = SB_SERVICEBUS_CBS;
  settings->credentials =
      (struct sb_servicebus_credentials){.kind = SB_SERVICEBUS_TOKEN_FILE, .token_file = token_file};
  settings->token_check_ms = 200;
}

static void a_newer_token_in_the_file_is_put_at_once(void **state) {
  struct hub *hub = *state;
  use_token_file(hub);
  write_token(3600);
  logs_start(hub);
  long put = logs_counter("tokensPut");
  logs_publish(hub, 30);
  hub_check_logs(hub);
  assert_int_equal(logs_counter("tokensPut"), put);
  write_token(7200);
  hub_await(hub, logs_counter("tokensPut") == put + 2L * HUB_PARTITIONS);
  logs_check_whole(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) assert_int_equal(hub->partitions[p].attaches, 1);
}

static void a_token_that_nobody_renews_is_told_and_its_successor_taken(void **state) {
  struct hub *hub = *state;
  use_token_file(hub);
  write_token(4);
  logs_start(hub);
  logs_publish(hub, 30);
  hub_check_logs(hub);
  hub_await(hub, logs_status_says(hub, "expired") && hub_links_are(hub, false));
  /* In its last second the service may be the first to say so. */
  hub_await(hub, logs_status_says(hub, token_file));
  write_token(3600);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

static void a_file_without_a_token_is_told_and_looked_at_again(void **state) {
  struct hub *hub = *state;
  use_token_file(hub);
  write_file("not a token\n");
  hub_start(hub);
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, logs_status_says(hub, "holds no token"));
  assert_true(hub_links_are(hub, false));
  write_token(3600);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
  logs_check_whole(hub);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest cases[] = {
#define FILE_CASE(name) cmocka_unit_test_setup_teardown(name, setup_token_file, teardown_token_file)
      LOGS_CASE(a_key_over_tls_connects),
      LOGS_CASE(a_certificate_of_an_unknown_authority_is_refused),
      LOGS_CASE(a_certificate_of_another_name_is_refused),
      LOGS_CASE(external_that_is_offered_is_not_taken),
      LOGS_CASE(a_wrong_key_is_told),
      LOGS_CASE(tokens_are_put_and_renewed),
      LOGS_CASE(expired_tokens_are_replaced),
      LOGS_CASE(a_token_that_is_not_authorised_is_told_and_tried_again),
      LOGS_CASE(a_token_for_nothing_is_told_and_tried_again),
      LOGS_CASE(tokens_for_a_busy_service_are_put_again),
      LOGS_CASE(slow_answers_to_tokens_are_waited_for),
      LOGS_CASE(an_answer_to_a_token_that_never_comes_is_not_waited_for),
      LOGS_CASE(a_renewal_that_fails_at_first_ends_nothing),
      LOGS_CASE(an_attach_that_wants_a_new_token_gets_one),
      LOGS_CASE(cbs_that_is_detached_is_opened_again_and_ends_nothing),
      LOGS_CASE(cbs_that_is_detached_before_its_answer_is_asked_again),
      LOGS_CASE(cbs_that_is_closed_for_an_unknown_reason_costs_the_connection),
      cmocka_unit_test_setup_teardown(cbs_without_credit_is_not_waited_for, setup_credit, teardown_credit),
      FILE_CASE(a_newer_token_in_the_file_is_put_at_once),
      FILE_CASE(a_token_that_nobody_renews_is_told_and_its_successor_taken),
      FILE_CASE(a_file_without_a_token_is_told_and_looked_at_again),
#undef FILE_CASE
  };
  return logs_run("servicebus-access", cases, sizeof cases / sizeof *cases, argc, argv);
}
