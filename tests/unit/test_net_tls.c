/* TLS as every link has it: which certificates, names, versions and ciphers are taken, and what is said of
 * the others. The servers are OpenSSL's, at the other end of a pair of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "transports/net/greeting.h"
#include "transports/net/stream.h"

#define TIMEOUT_MS  20000
#define ECHO_BYTES  ((size_t)3 * 1024 * 1024)
#define DAY_S       86400L
#define SERVER_ONLY "serverAuth"

/* ---- certificates ---- */

struct identity {
  EVP_PKEY *key;
  X509 *certificate;
};

static struct identity authority, stranger;
static char ca_file[] = "/tmp/test_net_tls.XXXXXX";

static void add_extension(X509 *certificate, int nid, const char *value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

/* `issuer` NULL: of its own. `names` and `purpose` NULL: none. */
static struct identity make_identity(const struct identity *issuer, const char *common_name,
                                     const char *names, const char *purpose, long from_s, long to_s) {
  struct identity made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
  assert_non_null(made.key);
  X509_set_version(made.certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
  X509_NAME *name = X509_get_subject_name(made.certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
  X509_set_issuer_name(made.certificate, issuer ? X509_get_subject_name(issuer->certificate) : name);
  X509_set_pubkey(made.certificate, made.key);
  if (!issuer) add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (names) add_extension(made.certificate, NID_subject_alt_name, names);
  if (purpose) add_extension(made.certificate, NID_ext_key_usage, purpose);
  assert_true(X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
  return made;
}

static void free_identity(struct identity *identity) {
  EVP_PKEY_free(identity->key);
  X509_free(identity->certificate);
}

static void write_authority(const struct identity *identity) {
  FILE *file = fopen(ca_file, "we");
  assert_non_null(file);
  assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
  fclose(file);
}

/* ---- the server ---- */

struct server {
  struct identity identity;
  int newest;          /* version; 0: as OpenSSL has it */
  const char *ciphers; /* NULL: as OpenSSL has them */
  const char *plain;   /* what a server without TLS says; NULL: it has TLS */
  int fd;
  pthread_t thread;
  bool shook;
  char named[256]; /* whom the client asked for */
};

static void echo(SSL *ssl) {
  char bytes[16384];
  for (int n; (n = SSL_read(ssl, bytes, sizeof bytes)) > 0;)
    if (SSL_write(ssl, bytes, n) <= 0) break;
  SSL_shutdown(ssl);
}

static void serve_tls(struct server *server) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_security_level(ctx, 0);
  SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
  if (server->newest) SSL_CTX_set_max_proto_version(ctx, server->newest);
  if (server->ciphers) SSL_CTX_set_cipher_list(ctx, server->ciphers);
  SSL_CTX_set_dh_auto(ctx, 1);
  SSL_CTX_use_certificate(ctx, server->identity.certificate);
  SSL_CTX_use_PrivateKey(ctx, server->identity.key);
  SSL *ssl = SSL_new(ctx);
  SSL_set_fd(ssl, server->fd);
  server->shook = SSL_accept(ssl) == 1;
  const char *named = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  snprintf(server->named, sizeof server->named, "%s", named ? named : "");
  if (server->shook) echo(ssl);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
}

static void *serve(void *arg) {
  struct server *server = arg;
  char first[64];
  /* OpenSSL's own sockets raise it; the client's must not. */
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  if (!server->plain)
    serve_tls(server);
  else if (recv(server->fd, first, sizeof first, 0) > 0)
    send(server->fd, server->plain, strlen(server->plain), MSG_NOSIGNAL);
  close(server->fd);
  return NULL;
}

/* ---- the client ---- */

static bool never(void *owner) {
  (void)owner;
  return false;
}

static const struct sb_net_wait patience = {.stopping = never, .wake_fd = -1};

static int open_stream(struct sb_net_stream *stream, struct server *server, const char *host, bool verify,
                       struct sb_error *error) {
  const struct sb_net_tls_settings tls = {.ca_file = ca_file, .verify = verify};
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  server->fd = fds[1];
  assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
  sb_net_stream_init(stream);
  return sb_net_stream_open(stream, fds[0], &tls, host, &patience, sb_clock_ms() + TIMEOUT_MS, error);
}

static void close_stream(struct sb_net_stream *stream, struct server *server) {
  sb_net_stream_close(stream);
  pthread_join(server->thread, NULL);
}

static int try(struct server *server, const char *host, bool verify, struct sb_error *error) {
  struct sb_net_stream stream;
  *error = (struct sb_error){0};
  int rc = open_stream(&stream, server, host, verify, error);
  close_stream(&stream, server);
  return rc;
}

static void expect_refused(struct server *server, const char *host, bool verify, const char *why) {
  struct sb_error error;
  if (try(server, host, verify, &error) != SB_ERR_REFUSED || !strstr(error.text, why))
    fail_msg("%s: expected \"%s\", got %d \"%s\"", host, why, error.code, error.text);
}

static void expect_taken(struct server *server, const char *host, bool verify) {
  struct sb_error error;
  if (try(server, host, verify, &error) != 0) fail_msg("%s: %s", host, error.text);
  assert_true(server->shook);
}

/* ---- names ---- */

/* "localhost", a zero byte, ".evil": what looks at C strings takes it for localhost. */
#define WITH_A_ZERO "DER:3011820f6c6f63616c686f7374002e6576696c"

static void names_are_matched_by_subject_alternative_names_alone(void **state) {
  (void)state;
  static const struct {
    const char *common_name, *names, *host;
    bool taken;
  } cases[] = {
      {"x", "DNS:localhost", "localhost", true},
      {"x", "DNS:LocalHost", "LOCALHOST", true},
      {"x", "DNS:other.example,DNS:localhost", "localhost", true},
      {"localhost", NULL, "localhost", false},
      {"localhost", "DNS:other.example", "localhost", false},
      {"localhost", "IP:127.0.0.1", "localhost", false},
      {"localhost", "email:a@localhost", "localhost", false},
      {"localhost", "URI:amqps://localhost", "localhost", false},
      {"localhost", WITH_A_ZERO, "localhost", false},
      {"x", "DNS:*", "localhost", false},
      {"x", "DNS:*", "mq.example.com", false},
      {"x", "DNS:*.*", "example.com", false},
      {"x", "DNS:loc*", "localhost", false},
      {"x", "DNS:*host", "localhost", false},
      {"x", "DNS:*.com", "example.com", false},
      {"x", "DNS:*.example.com", "mq.example.com", true},
      {"x", "DNS:*.example.com", "mq.example.com.", true},
      {"x", "DNS:*.example.com", "a.mq.example.com", false},
      {"x", "DNS:*.example.com", "example.com", false},
      {"x", "DNS:m*.example.com", "mq.example.com", false},
      {"x", "DNS:*q.example.com", "mq.example.com", false},
      {"x", "DNS:mq.*.com", "mq.example.com", false},
      {"x", "DNS:mq.example.com", "mq.example.com.", true},
      {"x", "DNS:example.com", "mq.example.com", false},
      {"x", "IP:127.0.0.1", "127.0.0.1", true},
      {"x", "IP:127.0.0.2", "127.0.0.1", false},
      {"127.0.0.1", NULL, "127.0.0.1", false},
      {"127.0.0.1", "DNS:127.0.0.1", "127.0.0.1", false},
      {"x", "DNS:*.0.0.1", "127.0.0.1", false},
      {"x", "IP:::1", "::1", true},
      {"x", "IP:::1", "0:0::1", true},
      {"x", "IP:fe80::1", "fe80::1%lo", true},
      {"::1", "DNS:::1", "::1", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct server server = {
        .identity = make_identity(&authority, cases[i].common_name, cases[i].names, SERVER_ONLY, 0, DAY_S)};
    if (cases[i].taken)
      expect_taken(&server, cases[i].host, true);
    else
      expect_refused(&server, cases[i].host, true, "certificate verify failed: ");
    expect_taken(&server, cases[i].host, false);
    free_identity(&server.identity);
  }
}

static void what_a_certificate_is_for_is_told_without_its_control_characters(void **state) {
  (void)state;
  struct server server = {
      .identity = make_identity(&authority, "x", "IP:10.0.0.9,DNS:mq,DNS:a\nb", SERVER_ONLY, 0, DAY_S)};
  expect_refused(&server, "localhost", true, "have 10.0.0.9, mq, a?b, not localhost");
  free_identity(&server.identity);
  server.identity = make_identity(&authority, "localhost", NULL, SERVER_ONLY, 0, DAY_S);
  expect_refused(&server, "localhost", true, "have no name (a common name does not count), not localhost");
  free_identity(&server.identity);
}

/* ---- certificates ---- */

static void only_servers_that_the_authority_vouches_for_are_taken(void **state) {
  (void)state;
  const char *names = "DNS:localhost";
  struct server server = {.identity = make_identity(&authority, "x", names, "clientAuth", 0, DAY_S)};
  expect_refused(&server, "localhost", true, "purpose");
  free_identity(&server.identity);
  server.identity = make_identity(&stranger, "x", names, SERVER_ONLY, 0, DAY_S);
  expect_refused(&server, "localhost", true, "certificate verify failed: unable to get local issuer");
  free_identity(&server.identity);
  server.identity = make_identity(&authority, "x", names, SERVER_ONLY, -2 * DAY_S, -DAY_S);
  expect_refused(&server, "localhost", true, "certificate expired on 20");
  free_identity(&server.identity);
  server.identity = make_identity(&authority, "x", names, SERVER_ONLY, DAY_S, 2 * DAY_S);
  expect_refused(&server, "localhost", true, "certificate is not valid before 20");
  free_identity(&server.identity);
}

static void an_authority_that_changes_holds_from_the_next_connection_on(void **state) {
  (void)state;
  struct server server = {.identity = make_identity(&stranger, "x", "DNS:localhost", SERVER_ONLY, 0, DAY_S)};
  expect_refused(&server, "localhost", true, "certificate verify failed");
  write_authority(&stranger);
  expect_taken(&server, "localhost", true);
  write_authority(&authority);
  expect_refused(&server, "localhost", true, "certificate verify failed");
  free_identity(&server.identity);
}

static void files_and_names_that_cannot_be_used_are_told(void **state) {
  (void)state;
  struct sb_net_tls_peer peer = {0};
  struct sb_error error = {0};
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  struct sb_net_tls_settings tls = {.ca_file = "/nonexistent.pem", .verify = true};
  assert_int_equal(sb_net_tls_set_up(ctx, &tls, "localhost", &peer, &error), SB_ERR_INVALID);
  assert_string_equal(error.text, "TLS: cannot read the CA file /nonexistent.pem: No such file or directory");
  tls.ca_file = "/dev/null";
  assert_int_equal(sb_net_tls_set_up(ctx, &tls, "localhost", &peer, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "cannot read the CA file /dev/null"));
  tls.ca_file = ca_file;
  /* OpenSSL would take these for "any name" and "any name below". */
  static const char *const no_names[] = {"", ".", ".example.com"};
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(sb_net_tls_set_up(ctx, &tls, no_names[i], &peer, &error), SB_ERR_INVALID);
    assert_non_null(strstr(error.text, "is no host name"));
  }
  tls = (struct sb_net_tls_settings){.cert_file = ca_file, .key_file = ca_file};
  assert_int_equal(sb_net_tls_set_up(ctx, &tls, "localhost", &peer, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "cannot read the key /tmp/"));
  SSL_CTX_free(ctx);
}

/* ---- versions and ciphers ---- */

static void nothing_below_tls_1_2_is_taken_verified_or_not(void **state) {
  (void)state;
  struct server server = {.identity = make_identity(&authority, "x", "DNS:localhost", SERVER_ONLY, 0, DAY_S),
                          .ciphers = "ALL"};
  for (int verify = 0; verify < 2; verify++) {
    server.newest = TLS1_VERSION;
    expect_refused(&server, "localhost", verify, "no TLS 1.2 or later");
    server.newest = TLS1_1_VERSION;
    expect_refused(&server, "localhost", verify, "no TLS 1.2 or later");
    server.newest = TLS1_2_VERSION;
    expect_taken(&server, "localhost", verify);
    server.newest = TLS1_3_VERSION;
    expect_taken(&server, "localhost", verify);
  }
  free_identity(&server.identity);
}

static void no_cipher_without_authentication_or_encryption_is_taken(void **state) {
  (void)state;
  static const char *const ciphers[] = {"aNULL", "eNULL", "aNULL:eNULL:ADH:AECDH"};
  struct server server = {.identity = make_identity(&authority, "x", "DNS:localhost", SERVER_ONLY, 0, DAY_S),
                          .newest = TLS1_2_VERSION};
  for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
    server.ciphers = ciphers[i];
    expect_refused(&server, "localhost", true, "no cipher in common");
    expect_refused(&server, "localhost", false, "no cipher in common");
  }
  free_identity(&server.identity);
}

/* ---- the wrong port ---- */

static void a_port_that_answers_in_plain_text_is_named_as_such(void **state) {
  (void)state;
  struct server server = {.plain = "HTTP/1.1 400 Bad Request\r\n\r\n"};
  expect_refused(&server, "localhost", true,
                 "answered in plain text (HTTP), not in TLS: is it the right port?");
  server.plain = "AMQP0091";
  expect_refused(&server, "localhost", false, "answered in plain text (AMQP)");
  server.plain = "-ERR unknown command\r\n";
  expect_refused(&server, "localhost", true, "answered in plain text (Redis)");
  server.plain = "hello, who are you?\r\n";
  expect_refused(&server, "localhost", true, "answered in plain text (no protocol that is known)");
}

static void what_is_said_first_tells_the_protocol(void **state) {
  (void)state;
  static const struct {
    const char *head, *name;
    size_t len;
  } cases[] = {
      {"\x15\x03\x03\0\x02\x02\x28", "TLS", 7},
      {"\x16\x03\x01\x02\0\x01", "TLS", 6},
      {"HTTP/1.1", "HTTP", 8},
      {"<!DOCTYP", "HTTP", 8},
      {"-NOAUTH ", "Redis", 8},
      {"+PONG\r\n", "Redis", 7},
      {"AMQP\0\0\x09\x01", "AMQP 0-9-1", 8},
      {"\x01\0\0\0\0\x01\xf4\0", "AMQP 0-9-1", 8},
      {"AMQP\3\x01\0\0", "AMQP 1.0", 8},
      {"AMQP\1\1\0\x0a", "AMQP", 8},
      {"SSH-2.0-", "SSH", 8},
      {"\x15", "no protocol that is known", 1},
      {"HTT", "no protocol that is known", 3},
      {"", "no protocol that is known", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(sb_net_greeting_name((const uint8_t *)cases[i].head, cases[i].len), cases[i].name);
}

/* ---- the stream ---- */

static void the_server_is_asked_for_by_name_never_by_address(void **state) {
  (void)state;
  struct server server = {
      .identity = make_identity(&authority, "x", "DNS:mq.example.com,IP:127.0.0.1", SERVER_ONLY, 0, DAY_S)};
  expect_taken(&server, "mq.example.com.", true);
  assert_string_equal(server.named, "mq.example.com");
  expect_taken(&server, "127.0.0.1", true);
  assert_string_equal(server.named, "");
  free_identity(&server.identity);
}

static void more_than_the_socket_takes_goes_both_ways_whole(void **state) {
  (void)state;
  struct server server = {.identity = make_identity(&authority, "x", "DNS:localhost", SERVER_ONLY, 0, DAY_S)};
  struct sb_net_stream stream;
  struct sb_error error = {0};
  unsigned char *sent = malloc(ECHO_BYTES), *got = malloc(ECHO_BYTES);
  size_t written = 0, have = 0;
  int64_t until_ms = sb_clock_ms() + TIMEOUT_MS;
  for (size_t i = 0; i < ECHO_BYTES; i++) sent[i] = (unsigned char)(i * 31 >> 3);
  assert_int_equal(open_stream(&stream, &server, "localhost", true, &error), 0);
  while (have < ECHO_BYTES) {
    ssize_t n = written < ECHO_BYTES
                    ? sb_net_stream_write(&stream, sent + written, ECHO_BYTES - written, &error)
                    : SB_NET_AGAIN;
    if (n > 0) written += (size_t)n;
    ssize_t m = sb_net_stream_read(&stream, got + have, ECHO_BYTES - have, &error);
    if (m > 0) have += (size_t)m;
    assert_true(n != SB_NET_BROKEN && m != SB_NET_BROKEN && m != 0);
    if (n > 0 || m > 0 || sb_net_stream_buffered(&stream)) continue;
    short events = sb_net_stream_events(&stream, true, written < ECHO_BYTES);
    assert_int_equal(sb_net_await(&patience, stream.fd, events, until_ms), 0);
  }
  assert_memory_equal(sent, got, ECHO_BYTES);
  close_stream(&stream, &server);
  free(sent);
  free(got);
  free_identity(&server.identity);
}

static int set_up_group(void **state) {
  (void)state;
  int fd = mkstemp(ca_file);
  if (fd < 0) return -1;
  close(fd);
  authority = make_identity(NULL, "authority", NULL, NULL, 0, DAY_S);
  stranger = make_identity(NULL, "stranger", NULL, NULL, 0, DAY_S);
  write_authority(&authority);
  return 0;
}

static int tear_down_group(void **state) {
  (void)state;
  free_identity(&authority);
  free_identity(&stranger);
  return unlink(ca_file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_matched_by_subject_alternative_names_alone),
      cmocka_unit_test(what_a_certificate_is_for_is_told_without_its_control_characters),
      cmocka_unit_test(only_servers_that_the_authority_vouches_for_are_taken),
      cmocka_unit_test(an_authority_that_changes_holds_from_the_next_connection_on),
      cmocka_unit_test(files_and_names_that_cannot_be_used_are_told),
      cmocka_unit_test(nothing_below_tls_1_2_is_taken_verified_or_not),
      cmocka_unit_test(no_cipher_without_authentication_or_encryption_is_taken),
      cmocka_unit_test(a_port_that_answers_in_plain_text_is_named_as_such),
      cmocka_unit_test(what_is_said_first_tells_the_protocol),
      cmocka_unit_test(the_server_is_asked_for_by_name_never_by_address),
      cmocka_unit_test(more_than_the_socket_takes_goes_both_ways_whole),
  };
  return cmocka_run_group_tests_name("net_tls", tests, set_up_group, tear_down_group);
}
