/* hiredis on two nodes: what is published beside the first socket arrives beside the second. Blocking calls,
 * each with a time limit. Prints TAP.
 *
 *   hiredis_client PUBLISHER_SOCKET SUBSCRIBER_SOCKET
 *   hiredis_client --reconnect SOCKET CHANNEL   subscribes, says "subscribed", and when the connection is
 * lost reconnects, subscribes again and prints the next message */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEADLINE_S      10
#define PIPELINE        1000
#define BIG_BYTES       ((size_t)1024 * 1024)
#define RETRY_PAUSE_NS  20000000L
#define RECONNECT_TRIES (DEADLINE_S * 50)

static const char *publisher_path, *subscriber_path;
static int test_number, failures;
static bool test_failed;

__attribute__((format(printf, 2, 3))) static bool expect(bool holds, const char *format, ...) {
  if (holds) return true;
  va_list args;
  va_start(args, format);
  fputs("# ", stdout);
  vprintf(format, args);
  putchar('\n');
  va_end(args);
  test_failed = true;
  return false;
}

static void run(const char *name, void (*body)(void)) {
  test_failed = false;
  body();
  printf("%s %d - hiredis: %s\n", test_failed ? "not ok" : "ok", ++test_number, name);
  fflush(stdout);
  if (test_failed) failures++;
}

/* A connection, or NULL and a failed test. */
static redisContext *open_context(const char *path) {
  const struct timeval limit = {.tv_sec = DEADLINE_S};
  redisContext *c = redisConnectUnixWithTimeout(path, limit);
  if (!expect(c && c->err == 0, "connect %s: %s", path, c ? c->errstr : "no memory")) {
    if (c) redisFree(c);
    return NULL;
  }
  redisSetTimeout(c, limit);
  return c;
}

static bool is_text(const redisReply *reply, int type, const char *text) {
  return reply && reply->type == type && reply->len == strlen(text) &&
         memcmp(reply->str, text, reply->len) == 0;
}

/* [kind, name, payload] of `size` elements, the last being the payload. */
static bool is_message(const redisReply *reply, size_t size, const char *kind, const void *payload,
                       size_t len) {
  if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != size) return false;
  const redisReply *last = reply->element[size - 1];
  return is_text(reply->element[0], REDIS_REPLY_STRING, kind) && last->type == REDIS_REPLY_STRING &&
         last->len == len && memcmp(last->str, payload, len) == 0;
}

/* The next message of a subscriber is this payload. */
static bool expect_message(redisContext *c, size_t size, const char *kind, const void *payload, size_t len) {
  void *reply = NULL;
  if (!expect(redisGetReply(c, &reply) == REDIS_OK, "no %s: %s", kind, c->errstr)) return false;
  bool right = expect(is_message(reply, size, kind, payload, len), "a %s differs (%zu bytes)", kind, len);
  freeReplyObject(reply);
  return right;
}

static bool expect_integer(redisReply *reply, const redisContext *c) {
  bool right = expect(reply && reply->type == REDIS_REPLY_INTEGER, "no integer: %s",
                      reply && reply->str ? reply->str : c->errstr);
  if (reply) freeReplyObject(reply);
  return right;
}

static void expect_text(redisContext *c, int type, const char *text, const char *command) {
  redisReply *reply = redisCommand(c, command);
  expect(is_text(reply, type, text), "%s: %s", command, reply && reply->str ? reply->str : c->errstr);
  if (reply) freeReplyObject(reply);
}

static void commands_answer(void) {
  redisContext *c = open_context(publisher_path);
  if (!c) return;
  expect_text(c, REDIS_REPLY_STATUS, "PONG", "PING");
  expect_text(c, REDIS_REPLY_STRING, "hello", "PING hello");
  expect_text(c, REDIS_REPLY_STRING, "hello", "ECHO hello");
  expect_text(c, REDIS_REPLY_STATUS, "OK", "CLIENT SETNAME hiredis");
  expect_text(c, REDIS_REPLY_STRING, "hiredis", "CLIENT GETNAME");
  expect_text(c, REDIS_REPLY_STATUS, "OK", "SELECT 0");
  redisReply *echo = redisCommand(c, "ECHO %b", "a\0b\r\n", (size_t)5);
  expect(echo && echo->type == REDIS_REPLY_STRING && echo->len == 5 && memcmp(echo->str, "a\0b\r\n", 5) == 0,
         "ECHO of binary");
  if (echo) freeReplyObject(echo);
  redisReply *info = redisCommand(c, "INFO");
  expect(info && info->type == REDIS_REPLY_STRING && strstr(info->str, "loading:0"), "INFO");
  if (info) freeReplyObject(info);
  redisFree(c);
}

/* Subscribes with `subscribe`, publishes text, binary and nothing with `publish`, and reads them back. */
static void cross(const char *subscribe, const char *publish, size_t size, const char *kind) {
  static const struct {
    const char *at;
    size_t len;
  } payloads[] = {{"text", 4}, {"\0\xff\r\n$1\r\n", 9}, {"", 0}};
  redisContext *to = open_context(subscriber_path), *from = open_context(publisher_path);
  if (to && from) {
    redisReply *confirmed = redisCommand(to, subscribe);
    if (expect(confirmed && confirmed->type == REDIS_REPLY_ARRAY, "%s", subscribe))
      freeReplyObject(confirmed);
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
      if (!expect_integer(redisCommand(from, publish, payloads[i].at, payloads[i].len), from)) break;
      if (!expect_message(to, size, kind, payloads[i].at, payloads[i].len)) break;
    }
  }
  if (to) redisFree(to);
  if (from) redisFree(from);
}

static void plain_crosses(void) {
  cross("SUBSCRIBE h:plain", "PUBLISH h:plain %b", 3, "message");
}

static void pattern_crosses(void) {
  cross("PSUBSCRIBE h:p?tt*", "PUBLISH h:pattern %b", 4, "pmessage");
}

static void sharded_crosses(void) {
  cross("SSUBSCRIBE h:{shard}", "SPUBLISH h:{shard} %b", 3, "smessage");
}

static void big_crosses(void) {
  redisContext *to = open_context(subscriber_path), *from = open_context(publisher_path);
  unsigned char *big = malloc(BIG_BYTES);
  if (to && from && expect(big, "memory")) {
    uint32_t x = 1;
    for (size_t i = 0; i < BIG_BYTES; i++) {
      x = x * 1664525U + 1013904223U;
      big[i] = (unsigned char)(x >> 24);
    }
    freeReplyObject(redisCommand(to, "SUBSCRIBE h:big"));
    if (expect_integer(redisCommand(from, "PUBLISH h:big %b", big, BIG_BYTES), from))
      expect_message(to, 3, "message", big, BIG_BYTES);
  }
  free(big);
  if (to) redisFree(to);
  if (from) redisFree(from);
}

static void pipeline_keeps_order(void) {
  redisContext *to = open_context(subscriber_path), *from = open_context(publisher_path);
  if (to && from) {
    freeReplyObject(redisCommand(to, "SUBSCRIBE h:pipeline"));
    for (int i = 0; i < PIPELINE; i++) redisAppendCommand(from, "PUBLISH h:pipeline %d", i);
    for (int i = 0; i < PIPELINE; i++) {
      void *reply = NULL;
      redisGetReply(from, &reply);
      if (!expect_integer(reply, from)) break;
    }
    for (int i = 0; i < PIPELINE; i++) {
      char number[16];
      int len = snprintf(number, sizeof number, "%d", i);
      if (!expect_message(to, 3, "message", number, (size_t)len)) break;
    }
  }
  if (to) redisFree(to);
  if (from) redisFree(from);
}

/* UNSUBSCRIBE without names confirms each; afterwards the connection takes other commands again. */
static void unsubscribe_all(void) {
  redisContext *c = open_context(subscriber_path);
  if (!c) return;
  redisReply *reply = redisCommand(c, "SUBSCRIBE h:1 h:2");
  if (reply) freeReplyObject(reply);
  void *more = NULL;
  if (expect(redisGetReply(c, &more) == REDIS_OK, "second confirmation: %s", c->errstr))
    freeReplyObject(more);
  expect_text(c, REDIS_REPLY_ERROR,
              "ERR Can't execute 'echo': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
              "allowed in this context",
              "ECHO no");
  redisAppendCommand(c, "UNSUBSCRIBE");
  for (long long left = 1; left >= 0; left--) {
    void *gone = NULL;
    if (!expect(redisGetReply(c, &gone) == REDIS_OK, "confirmation: %s", c->errstr)) break;
    redisReply *one = gone;
    expect(one->type == REDIS_REPLY_ARRAY && one->elements == 3 && one->element[2]->integer == left,
           "count of a confirmation");
    freeReplyObject(gone);
  }
  expect_text(c, REDIS_REPLY_STRING, "yes", "ECHO yes");
  redisFree(c);
}

static bool subscribe_to(redisContext *c, const char *channel) {
  redisReply *reply = redisCommand(c, "SUBSCRIBE %s", channel);
  bool right = reply && reply->type == REDIS_REPLY_ARRAY;
  if (reply) freeReplyObject(reply);
  return right;
}

static bool reconnect(redisContext *c, const char *channel) {
  const struct timespec pause = {.tv_nsec = RETRY_PAUSE_NS};
  const struct timeval limit = {.tv_sec = DEADLINE_S};
  for (int i = 0; i < RECONNECT_TRIES; i++) {
    if (redisReconnect(c) == REDIS_OK && redisSetTimeout(c, limit) == REDIS_OK && subscribe_to(c, channel))
      return true;
    nanosleep(&pause, NULL);
  }
  return false;
}

static int survive_restart(const char *path, const char *channel) {
  redisContext *c = open_context(path);
  if (!c || !subscribe_to(c, channel)) return 1;
  puts("subscribed");
  fflush(stdout);
  void *reply = NULL;
  int code = 1;
  if (redisGetReply(c, &reply) == REDIS_OK) {
    puts("the connection was not lost");
  } else if (!reconnect(c, channel)) {
    printf("cannot reconnect: %s\n", c->errstr);
  } else if (redisGetReply(c, &reply) == REDIS_OK) {
    const redisReply *message = reply;
    printf("message %s\n", message->elements == 3 ? message->element[2]->str : "?");
    code = 0;
  }
  if (reply) freeReplyObject(reply);
  redisFree(c);
  return code;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--reconnect") == 0) return survive_restart(argv[2], argv[3]);
  if (argc != 3) {
    fputs("Usage: hiredis_client PUBLISHER_SOCKET SUBSCRIBER_SOCKET | --reconnect SOCKET CHANNEL\n", stderr);
    return 2;
  }
  publisher_path = argv[1];
  subscriber_path = argv[2];
  run("the connection commands answer", commands_answer);
  run("a plain subscription gets text, binary and empty payloads from the other node", plain_crosses);
  run("a pattern subscription gets text, binary and empty payloads from the other node", pattern_crosses);
  run("a sharded subscription gets text, binary and empty payloads from the other node", sharded_crosses);
  run("a payload of 1 MiB arrives whole", big_crosses);
  run("1,000 pipelined publishes arrive in order", pipeline_keeps_order);
  run("UNSUBSCRIBE without names confirms each and ends the mode", unsubscribe_all);
  printf("1..%d\n", test_number);
  return failures ? 1 : 0;
}
