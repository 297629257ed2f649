/* What a RabbitMQ link says of a port where no RabbitMQ is. The peers are threads of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transports/rabbitmq/connect.h"

#define CONNECT_MS 1000 /* how long a silent peer is waited for */

/* ---- peers ---- */

struct peer {
  const char *greets;  /* before anything else; NULL: nothing */
  const char *awaited; /* what must begin what it is told, for an answer */
  const char *answer;
  size_t answer_len; /* 0: it closes */
  bool silent;       /* to all else; false: it closes */
  int fd;
  uint16_t port;
  atomic_uint met;
  pthread_t thread;
};

static void talk(const struct peer *peer, int fd) {
  char told[64];
  if (peer->greets) send(fd, peer->greets, strlen(peer->greets), MSG_NOSIGNAL);
  ssize_t n = recv(fd, told, sizeof told, 0);
  size_t len = strlen(peer->awaited);
  if (n >= (ssize_t)len && memcmp(told, peer->awaited, len) == 0)
    send(fd, peer->answer, peer->answer_len, MSG_NOSIGNAL);
  else if (peer->silent)
    while (n > 0) n = recv(fd, told, sizeof told, 0);
}

static void *peer_main(void *arg) {
  struct peer *peer = arg;
  for (int fd; (fd = accept(peer->fd, NULL, NULL)) >= 0; close(fd)) {
    atomic_fetch_add(&peer->met, 1);
    talk(peer, fd);
  }
  return NULL;
}

static void start_peer(struct peer *peer) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(peer->fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(peer->fd, 8), 0);
  assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&at, &len), 0);
  peer->port = ntohs(at.sin_port);
  assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
}

static void stop_peer(struct peer *peer) {
  shutdown(peer->fd, SHUT_RDWR);
  pthread_join(peer->thread, NULL);
  close(peer->fd);
}

/* ---- the link ---- */

static void no_wake(void *owner) {
  (void)owner;
}

/* `proven`: a login has succeeded there before. */
static void open_link(const char *scheme, uint16_t port, bool proven, struct sb_error *error) {
  struct sb_rabbitmq_board board;
  struct sb_rabbitmq_link link;
  struct sb_rabbitmq_settings settings;
  char text[64];
  const char *const hosts[] = {text};
  struct sb_transport_common common = {.partitions = 1, .prefix = "p", .wake = no_wake};
  snprintf(text, sizeof text, "%s://127.0.0.1:%u", scheme, (unsigned)port);
  sb_rabbitmq_settings_default(&settings);
  settings.hosts = hosts;
  settings.host_count = 1;
  settings.connect_timeout_ms = CONNECT_MS;
  settings.tls.verify = false; /* reading the system's authorities takes a while */
  *error = (struct sb_error){0};
  assert_int_equal(sb_rabbitmq_board_init(&board, &common, &settings, error), 0);
  assert_int_equal(sb_rabbitmq_link_init(&link, &board, "test", error), 0);
  atomic_store(&board.hosts[0].proven, proven);
  assert_true(sb_rabbitmq_connect(&link, 1, error) < 0);
  sb_rabbitmq_link_drop(&link, false);
  sb_rabbitmq_link_close(&link);
  sb_rabbitmq_board_close(&board);
}

static void expect(struct peer *peer, const char *scheme, const char *expected) {
  struct sb_error error;
  start_peer(peer);
  open_link(scheme, peer->port, false, &error);
  stop_peer(peer);
  if (!strstr(error.text, expected)) fail_msg("expected \"%s\", got \"%s\"", expected, error.text);
}

#define ANSWER(text) .answer = (text), .answer_len = sizeof(text) - 1

static void another_protocol_at_the_port_is_named(void **state) {
  (void)state;
  struct peer http = {.awaited = "AMQP", ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n")};
  expect(&http, "amqp", "no AMQP 0-9-1 broker: HTTP is spoken there: is 127.0.0.1:");
  struct peer ssh = {.greets = "SSH-2.0-OpenSSH_9.2\r\n", .awaited = "none", .silent = true};
  expect(&ssh, "amqp", "SSH is spoken there");
  struct peer newer = {.awaited = "AMQP", ANSWER("AMQP\3\1\0\0")};
  expect(&newer, "amqp", "AMQP 1.0 is spoken there");
}

/* They wait for the end of a line, which AMQP's header does not have. */
static void who_is_silent_at_the_header_is_asked_with_a_line(void **state) {
  (void)state;
  struct peer redis = {.awaited = "PING\r\n", ANSWER("-NOAUTH Authentication required.\r\n"), .silent = true};
  expect(&redis, "amqp", "Redis is spoken there");
  struct peer http = {.awaited = "PING\r\n", ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n"), .silent = true};
  expect(&http, "amqp", "HTTP is spoken there");
}

static void a_port_that_wants_tls_is_named_with_what_to_write(void **state) {
  (void)state;
  static const char alert[] = "\x15\x03\x03\0\x02\x02\x28";
  struct peer alerts = {.awaited = "AMQP", ANSWER(alert)};
  expect(&alerts, "amqp", "the server expects TLS at this port: write amqps://127.0.0.1:");
  struct peer closes = {.awaited = "\x16\x03", ANSWER(alert)};
  expect(&closes, "amqp", "the server expects TLS at this port: write amqps://127.0.0.1:");
}

static void a_port_without_tls_is_named_when_tls_was_wanted(void **state) {
  (void)state;
  struct peer broker = {.awaited = "\x16\x03", ANSWER("AMQP\0\0\x09\x01")};
  expect(&broker, "amqps",
         "TLS: the server answered in plain text (AMQP), not in TLS: is it the right port?");
  struct peer silent = {.awaited = "none", .silent = true};
  expect(&silent, "amqps", "is it a port for TLS?");
}

static void a_broker_in_trouble_is_taken_for_nothing_else(void **state) {
  (void)state;
  struct peer closes = {.awaited = "none"};
  expect(&closes, "amqp", "connection closed unexpectedly");
  struct peer silent = {.awaited = "none", .silent = true};
  expect(&silent, "amqp", "request timed out");
  struct peer stuck = {.awaited = "PING", ANSWER("AMQP\0\0\x09\x01"), .silent = true};
  expect(&stuck, "amqp", "request timed out");
}

static void where_a_login_succeeded_once_nobody_is_asked_again(void **state) {
  (void)state;
  struct sb_error error;
  struct peer closes = {.awaited = "none"};
  start_peer(&closes);
  open_link("amqp", closes.port, true, &error);
  stop_peer(&closes);
  assert_int_equal(atomic_load(&closes.met), 1);
  assert_non_null(strstr(error.text, "connection closed unexpectedly"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(another_protocol_at_the_port_is_named),
      cmocka_unit_test(who_is_silent_at_the_header_is_asked_with_a_line),
      cmocka_unit_test(a_port_that_wants_tls_is_named_with_what_to_write),
      cmocka_unit_test(a_port_without_tls_is_named_when_tls_was_wanted),
      cmocka_unit_test(a_broker_in_trouble_is_taken_for_nothing_else),
      cmocka_unit_test(where_a_login_succeeded_once_nobody_is_asked_again),
  };
  return cmocka_run_group_tests_name("rabbitmq_socket", tests, NULL, NULL);
}
