/* Topics and subscriptions over HTTP, against a server in this process that answers what a case tells it to.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "transports/servicebus/entities.h"

#define REPLIES_MAX 8
#define REQUEST_MAX 8192
#define IO_MS       5000
#define ENTRY(kind, inner)                                                                                   \
  "<entry><title>x</title><content><" kind "Description>" inner "</" kind "Description></content></entry>"
#define DETAIL(text) "<Error><Code>0</Code><Detail>" text "</Detail></Error>"
#define EMPTY_FEED   "<feed><title>Publicly Listed Services</title></feed>"
#define TOPIC        "<EnablePartitioning>false</EnablePartitioning><SupportOrdering>true</SupportOrdering>"

/* ---- the server: one connection per request ---- */

struct reply {
  int status;       /* 0: never answers */
  const char *body; /* NULL: empty */
  const char *header;
};

static struct {
  pthread_t thread;
  int listener;
  uint16_t port;
  int hold[2]; /* closing the write end lets a request that is never answered end */
  const struct reply *replies;
  size_t reply_count;
  atomic_size_t request_count; /* that were read */
  char requests[REPLIES_MAX][REQUEST_MAX];
} server;

static bool readable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, IO_MS) == 1;
}

/* Header and body of one request. */
static void read_request(int fd, char *out) {
  size_t len = 0;
  for (;;) {
    ssize_t n = readable(fd) ? read(fd, out + len, REQUEST_MAX - 1 - len) : 0;
    if (n <= 0) return;
    len += (size_t)n;
    out[len] = 0;
    const char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "content-length:");
    if (!end) continue;
    size_t body = length ? strtoul(length + 15, NULL, 10) : 0;
    if (len - (size_t)(end + 4 - out) >= body) return;
  }
}

static void write_reply(int fd, const struct reply *reply) {
  struct sb_buf out = {0};
  const char *body = reply->body ? reply->body : "";
  sb_buf_printf(&out, "HTTP/1.1 %d x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", reply->status,
                reply->header ? reply->header : "", strlen(body), body);
  for (size_t at = 0; at < out.len;) {
    ssize_t n = send(fd, out.data + at, out.len - at, MSG_NOSIGNAL);
    if (n <= 0) break; /* a client may have seen enough */
    at += (size_t)n;
  }
  sb_buf_close(&out);
}

static void *serve(void *unused) {
  (void)unused;
  for (size_t i = 0; i < server.reply_count; i++) {
    int fd = accept(server.listener, NULL, NULL);
    if (fd < 0) break; /* shut down: the case asked for less than it has replies */
    read_request(fd, server.requests[server.request_count]);
    server.request_count++;
    if (server.replies[i].status)
      write_reply(fd, &server.replies[i]);
    else
      readable(server.hold[0]);
    close(fd);
  }
  return NULL;
}

static void start_server(const struct reply *replies, size_t count) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  memset(&server, 0, sizeof server);
  server.replies = replies;
  server.reply_count = count;
  server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(server.listener, (struct sockaddr *)&address, len), 0);
  assert_int_equal(listen(server.listener, 8), 0);
  assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &len), 0);
  server.port = ntohs(address.sin_port);
  assert_int_equal(pipe(server.hold), 0);
  assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void) {
  close(server.hold[1]);
  shutdown(server.listener, SHUT_RDWR);
  pthread_join(server.thread, NULL);
  close(server.hold[0]);
  close(server.listener);
}

/* ---- what the cases share ---- */

static struct sb_servicebus_management settings_of(uint16_t port) {
  return (struct sb_servicebus_management){
      .host = "127.0.0.1",
      .port = port,
      .verify = true,
      .connect_timeout_ms = 2000,
      .request_timeout_ms = 5000,
      .credentials = {.kind = SB_SERVICEBUS_KEY, .key_name = "rule", .key = "hunter2"},
  };
}

static struct sb_servicebus_entities *begin(const struct reply *replies, size_t count) {
  start_server(replies, count);
  struct sb_servicebus_management settings = settings_of(server.port);
  struct sb_error error = {0};
  struct sb_servicebus_entities *entities = sb_servicebus_entities_new(&settings, &error);
  if (!entities) fail_msg("%s", error.text);
  return entities;
}

static void finish(struct sb_servicebus_entities *entities) {
  sb_servicebus_entities_free(entities);
  stop_server();
}

static const struct sb_servicebus_topic topic = {.ttl_s = 3600, .max_size_mb = 1024};
static const struct sb_servicebus_subscription subscription = {
    .lock_s = 10, .ttl_s = 3600, .auto_delete_idle_s = 600};

struct expectation {
  struct reply replies[2];
  enum sb_servicebus_result result;
  const char *text; /* part of the error, NULL: there is none */
};

static void expect(const struct expectation *e, enum sb_servicebus_result result,
                   const struct sb_error *error) {
  if (result != e->result)
    fail_msg("%d: %s, not %s: %s", e->replies[0].status, sb_servicebus_result_name(result),
             sb_servicebus_result_name(e->result), error->text);
  if (e->text ? !strstr(error->text, e->text) : *error->text != 0)
    fail_msg("\"%s\" instead of \"%s\"", error->text, e->text ? e->text : "");
  assert_null(strstr(error->text, "hunter2"));
  if (e->text) assert_non_null(strstr(error->text, "127.0.0.1: topic \"hub-0\""));
}

static char logged[1024];

static void keep_line(void *owner, enum sb_log_level level, const char *area, const char *cause,
                      const char *line) {
  (void)owner, (void)level, (void)area, (void)cause;
  snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

/* ---- cases ---- */

static void test_a_topic_is_asked_for_as_the_service_wants_it(void **state) {
  (void)state;
  static const struct reply replies[] = {{.status = 201, .body = ENTRY("Topic", TOPIC)}};
  struct sb_servicebus_entities *entities = begin(replies, 1);
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, NULL), SB_SERVICEBUS_CREATED);
  const char *request = server.requests[0];
  assert_non_null(strstr(request, "PUT /hub-0?api-version=2017-04 HTTP/1.1\r\n"));
  assert_non_null(strstr(request, "Content-Type: application/atom+xml;type=entry;charset=utf-8\r\n"));
  assert_non_null(strstr(request, "<DefaultMessageTimeToLive>PT1H</DefaultMessageTimeToLive>"));
  char expected[128];
  snprintf(expected, sizeof expected,
           "Authorization: SharedAccessSignature sr=http%%3a%%2f%%2f127.0.0.1%%3a%u%%2fhub-0&sig=",
           (unsigned)server.port);
  assert_non_null(strstr(request, expected));
  assert_null(strstr(request, "hunter2"));
  finish(entities);
}

static void test_a_subscription_stands_below_its_topic(void **state) {
  (void)state;
  static const struct reply replies[] = {{.status = 201}, {.status = 200}, {.status = 404}, {.status = 404}};
  struct sb_servicebus_entities *entities = begin(replies, 4);
  struct sb_error error = {0};
  assert_int_equal(sb_servicebus_subscription_ensure(entities, "hub-0", "web_01.a", &subscription, NULL),
                   SB_SERVICEBUS_CREATED);
  assert_non_null(strstr(server.requests[0], "PUT /hub-0/Subscriptions/web_01.a?api-version=2017-04 "));
  assert_non_null(strstr(server.requests[0], "<LockDuration>PT10S</LockDuration>"));
  assert_int_equal(sb_servicebus_subscription_remove(entities, "hub-0", "web_01.a", NULL),
                   SB_SERVICEBUS_REMOVED);
  assert_non_null(strstr(server.requests[1], "DELETE /hub-0/Subscriptions/web_01.a?api-version=2017-04 "));
  assert_int_equal(sb_servicebus_subscription_remove(entities, "hub-0", "web_01.a", &error),
                   SB_SERVICEBUS_NOT_FOUND);
  assert_string_equal(error.text,
                      "127.0.0.1: topic \"hub-0\": subscription \"web_01.a\": there is none (404)");
  assert_int_equal(sb_servicebus_subscription_ensure(entities, "hub-0", "web_01.a", &subscription, &error),
                   SB_SERVICEBUS_NOT_FOUND);
  assert_non_null(strstr(error.text, "its topic does not exist"));
  finish(entities);
}

static void test_each_status_has_a_meaning_and_says_what_to_do(void **state) {
  (void)state;
  static const struct expectation cases[] = {
      {{{.status = 201}}, SB_SERVICEBUS_CREATED, NULL},
      {{{.status = 401, .body = DETAIL("Manage,EntityWrite claims")}},
       SB_SERVICEBUS_UNAUTHORIZED,
       "not authorized (401: Manage,EntityWrite claims): check the key or token and the clock, and that it "
       "has "
       "the Manage right"},
      {{{.status = 403, .body = DETAIL("SubCode=40300. 10000 entities")}},
       SB_SERVICEBUS_FORBIDDEN,
       "SubCode=40300. 10000 entities"},
      {{{.status = 404}}, SB_SERVICEBUS_NOT_FOUND, "there is none (404)"},
      {{{.status = 400, .body = DETAIL("The value is out of range")}},
       SB_SERVICEBUS_REFUSED,
       "refused (400: The value is out of range)"},
      {{{.status = 302, .header = "Location: /elsewhere\r\n"}}, SB_SERVICEBUS_REFUSED, "refused (302)"},
      {{{.status = 409, .body = DETAIL("SubCode=40901. Another conflicting operation")}},
       SB_SERVICEBUS_BUSY,
       "Another conflicting operation"},
      {{{.status = 429}}, SB_SERVICEBUS_BUSY, "busy (429)"},
      {{{.status = 408}}, SB_SERVICEBUS_BUSY, "busy (408)"},
      {{{.status = 500}}, SB_SERVICEBUS_BUSY, "(500)"},
      {{{.status = 503, .body = "<html><p>no XML"}}, SB_SERVICEBUS_BUSY, "(503)"},
      {{{.status = 201, .body = "<html><p>no XML"}}, SB_SERVICEBUS_REFUSED, "not what Service Bus sends"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_servicebus_entities *entities = begin(cases[i].replies, 1);
    struct sb_error error = {0};
    expect(&cases[i], sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), &error);
    assert_int_equal(server.request_count, 1);
    finish(entities);
  }
}

static void test_an_existing_topic_is_looked_at(void **state) {
  (void)state;
  static const struct expectation cases[] = {
      {{{.status = 409}, {.status = 200, .body = ENTRY("Topic", TOPIC "<Status>Active</Status>")}},
       SB_SERVICEBUS_EXISTS,
       NULL},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Topic", "")}}, SB_SERVICEBUS_EXISTS, NULL},
      {{{.status = 409},
        {.status = 200, .body = ENTRY("Topic", "<EnablePartitioning>true</EnablePartitioning>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "EnablePartitioning, which breaks the order"},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Topic", "<SupportOrdering>false</SupportOrdering>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "without SupportOrdering"},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Topic", "<Status>SendDisabled</Status>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "its status is SendDisabled"},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Queue", "")}},
       SB_SERVICEBUS_UNSUITABLE,
       "is no topic"},
      {{{.status = 409}, {.status = 200, .body = EMPTY_FEED}}, SB_SERVICEBUS_BUSY, "deleted just now"},
      {{{.status = 409}, {.status = 404}}, SB_SERVICEBUS_BUSY, "deleted just now"},
      {{{.status = 409}, {.status = 401}}, SB_SERVICEBUS_UNAUTHORIZED, "not authorized (401)"},
      {{{.status = 409}, {.status = 200, .body = "gone"}},
       SB_SERVICEBUS_REFUSED,
       "not what Service Bus sends"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_servicebus_entities *entities = begin(cases[i].replies, 2);
    struct sb_error error = {0};
    expect(&cases[i], sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), &error);
    assert_non_null(strstr(server.requests[1], "GET /hub-0?api-version=2017-04 "));
    finish(entities);
  }
}

static void test_an_existing_subscription_is_looked_at(void **state) {
  (void)state;
  static const struct expectation cases[] = {
      {{{.status = 409}, {.status = 200, .body = ENTRY("Subscription", "<ForwardTo/>")}},
       SB_SERVICEBUS_EXISTS,
       NULL},
      {{{.status = 409},
        {.status = 200, .body = ENTRY("Subscription", "<RequiresSession>true</RequiresSession>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "RequiresSession"},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Subscription", "<ForwardTo>q</ForwardTo>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "ForwardTo"},
      {{{.status = 409}, {.status = 200, .body = ENTRY("Subscription", "<Status>ReceiveDisabled</Status>")}},
       SB_SERVICEBUS_UNSUITABLE,
       "ReceiveDisabled"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_servicebus_entities *entities = begin(cases[i].replies, 2);
    struct sb_error error = {0};
    expect(&cases[i], sb_servicebus_subscription_ensure(entities, "hub-0", "web", &subscription, &error),
           &error);
    finish(entities);
  }
}

static void test_other_settings_of_what_exists_are_logged(void **state) {
  (void)state;
  static const struct reply replies[] = {
      {.status = 409},
      {.status = 200,
       .body = ENTRY("Subscription", "<LockDuration>PT1M</LockDuration><DefaultMessageTimeToLive>PT1H"
                                     "</DefaultMessageTimeToLive><MaxDeliveryCount>10</MaxDeliveryCount>"
                                     "<AutoDeleteOnIdle>P10675199DT2H48M5.4775807S</AutoDeleteOnIdle>")}};
  struct sb_servicebus_entities *entities = begin(replies, 2);
  logged[0] = 0;
  sb_log_to(keep_line, NULL, SB_LOG_NOTICE);
  enum sb_servicebus_result result =
      sb_servicebus_subscription_ensure(entities, "hub-0", "web", &subscription, NULL);
  sb_log_to(NULL, NULL, SB_LOG_NOTICE);
  assert_int_equal(result, SB_SERVICEBUS_EXISTS);
  assert_non_null(strstr(logged,
                         "hub-0/Subscriptions/web exists with LockDuration PT1M, which holds instead of "
                         "lock_s = 10"));
  assert_non_null(strstr(logged, "MaxDeliveryCount 10"));
  assert_non_null(strstr(logged, "AutoDeleteOnIdle P10675199D"));
  assert_null(strstr(logged, "ttl_s"));
  finish(entities);
}

static void collect(void *owner, const char *name) {
  sb_buf_printf(owner, "%s ", name);
}

static void test_subscriptions_are_listed_page_by_page(void **state) {
  (void)state;
  struct sb_buf page = {0}, names = {0};
  sb_buf_text(&page, "<feed><title>Subscriptions</title>");
  for (unsigned i = 0; i < 100; i++)
    sb_buf_printf(&page, "<entry><title>%s-%u</title></entry>", i % 50 ? "other" : "Web", i);
  sb_buf_append(&page, "</feed>", sizeof "</feed>");
  const struct reply replies[] = {
      {.status = 200, .body = (const char *)page.data},
      {.status = 200, .body = "<feed><entry><title>web-x</title></entry></feed>"}};
  struct sb_servicebus_entities *entities = begin(replies, 2);
  assert_int_equal(sb_servicebus_subscriptions_list(entities, "hub-0", "web-", collect, &names, NULL),
                   SB_SERVICEBUS_EXISTS);
  assert_true(sb_bytes_equal(sb_buf_bytes(&names), sb_bytes_of("Web-0 Web-50 web-x ")));
  assert_non_null(
      strstr(server.requests[0], "GET /hub-0/Subscriptions?api-version=2017-04&$skip=0&$top=100 "));
  assert_non_null(strstr(server.requests[1], "&$skip=100&$top=100 "));
  finish(entities);
  sb_buf_close(&page);
  sb_buf_close(&names);
}

static void test_a_topic_tells_its_age_and_its_subscriptions(void **state) {
  (void)state;
  static const struct reply replies[] = {
      {.status = 200,
       .body = ENTRY("Topic", "<CreatedAt>2024-05-01T10:00:00.1234567Z</CreatedAt>"
                              "<SubscriptionCount>7</SubscriptionCount>")},
      {.status = 200, .body = ENTRY("Topic", "<SubscriptionCount>1</SubscriptionCount>")},
      {.status = 200, .body = ENTRY("Topic", "")},
      {.status = 200, .body = EMPTY_FEED}};
  struct sb_servicebus_entities *entities = begin(replies, 4);
  struct sb_error error = {0};
  struct sb_servicebus_topic_state is = {0};
  assert_int_equal(sb_servicebus_topic_look(entities, "hub-0", &is, NULL), SB_SERVICEBUS_EXISTS);
  assert_int_equal(is.subscriptions, 7);
  assert_string_equal(is.created, "2024-05-01T10:00:00.1234567Z");
  assert_int_equal(sb_servicebus_topic_look(entities, "hub-0", &is, NULL), SB_SERVICEBUS_EXISTS);
  assert_int_equal(is.subscriptions, 1);
  assert_string_equal(is.created, "");
  assert_int_equal(sb_servicebus_topic_look(entities, "hub-0", &is, &error), SB_SERVICEBUS_REFUSED);
  assert_int_equal(sb_servicebus_topic_look(entities, "hub-0", &is, &error), SB_SERVICEBUS_NOT_FOUND);
  finish(entities);
}

static void test_an_answer_has_a_limit(void **state) {
  (void)state;
  size_t len = (size_t)2 * 1024 * 1024;
  char *body = malloc(len + 1);
  memset(body, ' ', len);
  body[len] = 0;
  const struct reply replies[] = {{.status = 200, .body = body}};
  struct sb_servicebus_entities *entities = begin(replies, 1);
  struct sb_error error = {0};
  struct sb_servicebus_topic_state is;
  assert_int_equal(sb_servicebus_topic_look(entities, "hub-0", &is, &error), SB_SERVICEBUS_REFUSED);
  assert_non_null(strstr(error.text, "more than 1048576 bytes"));
  finish(entities);
  free(body);
}

static void test_names_that_would_change_the_address_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", "a/b", "a?b", "a b", "..", "a%2f", "-a", "a.", "\xc3\xbc"};
  struct sb_servicebus_entities *entities = begin(NULL, 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct sb_error error = {0};
    assert_int_equal(sb_servicebus_topic_ensure(entities, bad[i], &topic, &error), SB_SERVICEBUS_REFUSED);
    assert_int_equal(sb_servicebus_subscription_remove(entities, "hub-0", bad[i], &error),
                     SB_SERVICEBUS_REFUSED);
    assert_non_null(strstr(error.text, "the name cannot be used"));
  }
  finish(entities);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_a_server_that_is_silent_or_gone_is_unreachable(void **state) {
  (void)state;
  static const struct reply never[] = {{.status = 0}};
  start_server(never, 1);
  struct sb_servicebus_management settings = settings_of(server.port);
  settings.request_timeout_ms = 200;
  struct sb_servicebus_entities *entities = sb_servicebus_entities_new(&settings, NULL);
  struct sb_error error = {0};
  int64_t start = now_ms();
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), SB_SERVICEBUS_UNREACHABLE);
  assert_int_equal(error.code, SB_ERR_TIMEOUT);
  assert_in_range(now_ms() - start, 190, 3000);
  stop_server();
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), SB_SERVICEBUS_UNREACHABLE);
  assert_int_equal(error.code, SB_ERR_LINK);
  sb_servicebus_entities_free(entities);
}

static void *set_flag(void *flag) {
  while (server.request_count == 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  atomic_store((atomic_bool *)flag, true);
  return NULL;
}

static void test_a_stop_ends_a_request_that_waits(void **state) {
  (void)state;
  static const struct reply never[] = {{.status = 0}};
  static atomic_bool stop;
  pthread_t stopper;
  start_server(never, 1);
  struct sb_servicebus_management settings = settings_of(server.port);
  settings.request_timeout_ms = 30000;
  settings.stop = &stop;
  struct sb_servicebus_entities *entities = sb_servicebus_entities_new(&settings, NULL);
  struct sb_error error = {0};
  int64_t start = now_ms();
  assert_int_equal(pthread_create(&stopper, NULL, set_flag, &stop), 0);
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), SB_SERVICEBUS_STOPPED);
  assert_true(now_ms() - start < 5000);
  pthread_join(stopper, NULL);
  finish(entities);
}

static char token_file[] = "/tmp/test_entities.XXXXXX";

static void test_a_token_of_a_file_is_a_bearer(void **state) {
  (void)state;
  /* {} . {"exp":4102444800} and {"exp":7} */
  static const char good[] = "e30.eyJleHAiOjQxMDI0NDQ4MDB9.x", old[] = "e30.eyJleHAiOjd9.x";
  static const struct reply replies[] = {{.status = 201}};
  int fd = mkstemp(token_file);
  start_server(replies, 1);
  struct sb_servicebus_management settings = settings_of(server.port);
  settings.credentials =
      (struct sb_servicebus_credentials){.kind = SB_SERVICEBUS_TOKEN_FILE, .token_file = token_file};
  struct sb_servicebus_entities *entities = sb_servicebus_entities_new(&settings, NULL);
  struct sb_error error = {0};
  assert_int_equal(pwrite(fd, old, sizeof old - 1, 0), (ssize_t)sizeof old - 1);
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), SB_SERVICEBUS_UNREACHABLE);
  assert_non_null(strstr(error.text, "expired"));
  assert_int_equal(server.request_count, 0);
  assert_int_equal(pwrite(fd, good, sizeof good - 1, 0), (ssize_t)sizeof good - 1);
  assert_int_equal(sb_servicebus_topic_ensure(entities, "hub-0", &topic, &error), SB_SERVICEBUS_CREATED);
  assert_non_null(strstr(server.requests[0], "Authorization: Bearer e30.eyJleHAiOjQxMDI0NDQ4MDB9.x\r\n"));
  close(fd);
  unlink(token_file);
  finish(entities);
}

static void test_settings_that_cannot_work_are_refused_at_once(void **state) {
  (void)state;
  struct sb_servicebus_management settings = settings_of(1);
  struct sb_error error = {0};
  settings.host = "a/b";
  assert_null(sb_servicebus_entities_new(&settings, &error));
  settings = settings_of(0);
  assert_null(sb_servicebus_entities_new(&settings, &error));
  settings = settings_of(1);
  settings.credentials.key = NULL;
  assert_null(sb_servicebus_entities_new(&settings, &error));
  assert_int_equal(error.code, SB_ERR_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_topic_is_asked_for_as_the_service_wants_it),
      cmocka_unit_test(test_a_subscription_stands_below_its_topic),
      cmocka_unit_test(test_each_status_has_a_meaning_and_says_what_to_do),
      cmocka_unit_test(test_an_existing_topic_is_looked_at),
      cmocka_unit_test(test_an_existing_subscription_is_looked_at),
      cmocka_unit_test(test_other_settings_of_what_exists_are_logged),
      cmocka_unit_test(test_subscriptions_are_listed_page_by_page),
      cmocka_unit_test(test_a_topic_tells_its_age_and_its_subscriptions),
      cmocka_unit_test(test_an_answer_has_a_limit),
      cmocka_unit_test(test_names_that_would_change_the_address_are_refused),
      cmocka_unit_test(test_a_server_that_is_silent_or_gone_is_unreachable),
      cmocka_unit_test(test_a_stop_ends_a_request_that_waits),
      cmocka_unit_test(test_a_token_of_a_file_is_a_bearer),
      cmocka_unit_test(test_settings_that_cannot_work_are_refused_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
