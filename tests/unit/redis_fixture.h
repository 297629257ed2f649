/* A bridge in one process for the tests of bridge/redis: a loop, the socket side, the core, and a log that
 * gives back what was published, when it is told to. Clients are sockets that the test reads and writes
 * itself. */
#ifndef SB_TESTS_REDIS_FIXTURE_H
#define SB_TESTS_REDIS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "bridge/base/log.h"
#include "bridge/core/core.h"
#include "bridge/redis/server.h"

#define DEADLINE_MS 20000
#define PARTITIONS  2
#define MIB         ((size_t)1024 * 1024)

struct posted {
  struct posted *next;
  uint32_t partition;
  struct sb_envelope envelope;
  struct sb_body *body;
  uint64_t token;
};

struct fixture {
  uv_loop_t loop;
  struct sb_server *server;
  struct sb_core *core;
  struct posted *first, **end;
  uint64_t sequence[PARTITIONS];
  bool log_stands; /* nothing comes back until it goes on */
  char folder[64], path[96];
  struct sb_server_settings settings;
  struct sb_core_settings core_settings;
};

static inline uint64_t wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint64_t steady_ms(void) {
  return uv_hrtime() / 1000000;
}

/* ---- the log ---- */

static inline int log_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                              struct sb_body *body, uint64_t token) {
  struct fixture *f = owner;
  struct posted *posted = sb_malloc(sizeof *posted);
  *posted = (struct posted){NULL, partition, *envelope, sb_body_ref(body), token};
  *f->end = posted;
  f->end = &posted->next;
  return 0;
}

static inline void log_drop_first(struct fixture *f) {
  struct posted *posted = f->first;
  f->first = posted->next;
  if (!f->first) f->end = &f->first;
  sb_body_unref(posted->body);
  free(posted);
}

static inline void log_deliver(struct fixture *f) {
  while (f->first) {
    struct posted *posted = f->first;
    struct sb_body *copy = sb_body_new(posted->body->len);
    memcpy(copy->data, posted->body->data, copy->len);
    uint32_t p = posted->partition;
    sb_core_settled(f->core, p, posted->token, SB_SETTLE_CONFIRMED);
    sb_core_delivery(f->core, p, ++f->sequence[p], &posted->envelope, NULL, copy);
    log_drop_first(f);
  }
}

static inline void set_link(struct fixture *f, bool up) {
  for (uint32_t p = 0; p < PARTITIONS; p++) {
    sb_core_link(f->core, p, SB_LINK_PUBLISH, up);
    sb_core_link(f->core, p, SB_LINK_CONSUME, up);
  }
}

/* ---- effects ---- */

static inline void io_room(void *owner) {
  sb_server_room(((struct fixture *)owner)->server);
}
static inline void io_outputs_full(void *owner, struct sb_session *session, size_t more) {
  sb_server_outputs_full(((struct fixture *)owner)->server, session, more);
}
static inline void io_released(void *owner, struct sb_session *session) {
  sb_server_released(((struct fixture *)owner)->server, session);
}
static inline void io_fatal(void *owner, const char *why) {
  (void)owner;
  fail_msg("fatal: %s", why);
}
static inline void io_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  (void)cause;
  (void)owner;
  (void)level;
  (void)line;
}
static inline void no_log(void *owner, enum sb_log_level level, const char *area, const char *cause,
                          const char *line) {
  (void)cause;
  (void)owner;
  (void)level;
  (void)area;
  (void)line;
}
static inline void io_broker_status(void *owner, struct sb_buf *out) {
  (void)owner;
  sb_buf_text(out, "broker_state:loopback\r\n");
}

/* ---- turns ---- */

static inline void turn(struct fixture *f) {
  uv_run(&f->loop, UV_RUN_NOWAIT);
  sb_core_now(f->core, uv_now(&f->loop), wall_ms());
  bool again = true;
  for (int round = 0; again && round < 100; round++) {
    if (!f->log_stands) log_deliver(f);
    sb_core_turn(f->core);
    again = sb_server_turn(f->server) || (f->first && !f->log_stands);
  }
}

static inline void pause_until_something(struct fixture *f) {
  struct pollfd loop = {.fd = uv_backend_fd(&f->loop), .events = POLLIN};
  poll(&loop, 1, 1);
}

/* Lets the bridge turn until `condition`, which is evaluated once a turn. */
#define until(f, condition)                                                                                  \
  do {                                                                                                       \
    uint64_t until_start = steady_ms();                                                                      \
    for (int until_turns = 0; !(condition); until_turns++) {                                                 \
      if (steady_ms() - until_start > DEADLINE_MS) fail_msg("not in time: %s", #condition);                  \
      if (until_turns > 0) pause_until_something(f);                                                         \
      turn(f);                                                                                               \
    }                                                                                                        \
  } while (0)

static inline struct sb_server_stats stats_of(struct fixture *f) {
  struct sb_server_stats stats;
  sb_server_stats(f->server, &stats);
  return stats;
}

/* Channels and patterns that the cluster counts, in all logs. */
static inline uint64_t counted(struct fixture *f) {
  struct sb_core_log_info info;
  uint64_t count = 0;
  for (uint32_t p = 0; p < PARTITIONS; p++) {
    sb_core_log_info(f->core, p, &info);
    count += info.channels + info.patterns;
  }
  return count;
}

/* ---- begin and end ---- */

static inline void fixture_init(struct fixture *f) {
  memset(f, 0, sizeof *f);
  snprintf(f->folder, sizeof f->folder, "/tmp/sb-local-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  snprintf(f->path, sizeof f->path, "%s/s.sock", f->folder);
  f->end = &f->first;
  f->settings = (struct sb_server_settings){
      .node = "n1",
      .broker = "loopback",
      .partitions = PARTITIONS,
      .socket = {.path = f->path, .mode = 0600},
      .sessions_max = 100,
      .memory_bytes = 1024 * MIB,
      .request_bytes = 4 * MIB,
      .input_bytes = 8 * MIB,
      .output_hard_bytes = 64 * MIB,
  };
  f->core_settings = (struct sb_core_settings){
      .node = "n1",
      .nonce = 1,
      .partitions = PARTITIONS,
      .batch_bytes = 65536,
      .outbox_bytes = 64 * MIB,
      .output_hard_bytes = 64 * MIB,
      .lease_ms = 15000,
      .found_ms = 3000,
  };
  sb_log_to(no_log, NULL, SB_LOG_NOTICE);
}

/* The bridge as it is before its links are up. */
static inline void fixture_open(struct fixture *f) {
  const struct sb_core_io io = {f,      log_publish, io_room, io_released,    io_fatal,
                                io_log, NULL,        NULL,    io_outputs_full};
  const struct sb_server_io server_io = {f, io_broker_status, NULL};
  struct sb_error error = {0};
  assert_int_equal(uv_loop_init(&f->loop), 0);
  f->server = sb_server_new(&f->loop, &f->settings, &server_io);
  f->core = sb_core_new(&f->core_settings, &io, uv_now(&f->loop), wall_ms());
  if (sb_server_start(f->server, f->core, &error) != 0) fail_msg("%s", error.text);
}

static inline void fixture_ready(struct fixture *f) {
  for (uint32_t p = 0; p < PARTITIONS; p++) sb_core_attached(f->core, p, SB_ATTACH_FRESH);
  set_link(f, true);
  until(f, sb_core_ready(f->core));
}

static inline void fixture_start(struct fixture *f) {
  fixture_open(f);
  fixture_ready(f);
}

static inline void fixture_begin(struct fixture *f) {
  fixture_init(f);
  fixture_start(f);
}

static inline void fixture_stop(struct fixture *f) {
  sb_server_close(f->server);
  while (uv_run(&f->loop, UV_RUN_NOWAIT) != 0) continue;
  while (f->first) log_drop_first(f);
  sb_core_free(f->core);
  sb_server_free(f->server);
  assert_int_equal(uv_loop_close(&f->loop), 0);
}

static inline void fixture_close(struct fixture *f) {
  fixture_stop(f);
  unlink(f->path);
  assert_int_equal(rmdir(f->folder), 0);
}

/* ---- clients ---- */

static inline int dial(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static inline int dial_tcp(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return fd;
}

/* A client whose session is open. */
static inline int join(struct fixture *f) {
  uint64_t before = stats_of(f).sessions_opened;
  int fd = dial(f->path);
  until(f, stats_of(f).sessions_opened > before);
  return fd;
}

/* What the socket takes now of `len` bytes. */
static inline size_t offer(int fd, const void *data, size_t len) {
  ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) fail_msg("send: %s", strerror(errno));
  return sent < 0 ? 0 : (size_t)sent;
}

static inline void say_bytes(struct fixture *f, int fd, const void *data, size_t len) {
  size_t sent = 0;
  until(f, (sent += offer(fd, (const char *)data + sent, len - sent)) == len);
}

static inline void say(struct fixture *f, int fd, const char *text) {
  say_bytes(f, fd, text, strlen(text));
}

/* Appends what there is to `got`; true at the end of the stream. */
static inline bool hear(int fd, struct sb_buf *got, size_t most) {
  sb_buf_reserve(got, most);
  ssize_t n = recv(fd, got->data + got->len, most, 0);
  if (n > 0) got->len += (size_t)n;
  if (n < 0 && errno != EAGAIN && errno != ECONNRESET) fail_msg("recv: %s", strerror(errno));
  return n == 0 || (n < 0 && errno == ECONNRESET);
}

static inline void expect_bytes(struct fixture *f, int fd, const void *data, size_t len) {
  struct sb_buf got = {0};
  bool end = false;
  until(f, end || got.len == len || (end = hear(fd, &got, len - got.len)) || got.len == len);
  if (!sb_bytes_equal(sb_buf_bytes(&got), sb_bytes(data, len)))
    fail_msg("expected <%.*s>, got <%.*s>%s", len > 2000 ? 2000 : (int)len, (const char *)data,
             got.len > 2000 ? 2000 : (int)got.len, (const char *)got.data, end ? " and the end" : "");
  sb_buf_close(&got);
}

static inline void expect(struct fixture *f, int fd, const char *text) {
  expect_bytes(f, fd, text, strlen(text));
}

/* Nothing more, then the end. */
static inline void expect_end(struct fixture *f, int fd) {
  struct sb_buf got = {0};
  until(f, hear(fd, &got, 4096));
  if (got.len) fail_msg("expected the end, got <%.*s>", (int)got.len, (const char *)got.data);
  sb_buf_close(&got);
}

/* All that was sent before has been read and judged, and nothing was said. */
static inline void expect_silence(struct fixture *f, int fd) {
  struct sb_buf got = {0};
  for (int i = 0; i < 20; i++) turn(f);
  if (hear(fd, &got, 4096)) fail_msg("expected silence, got the end");
  if (got.len) fail_msg("expected silence, got <%.*s>", (int)got.len, (const char *)got.data);
  sb_buf_close(&got);
}

/* The loop has nothing to do: it would sleep. */
static inline bool is_idle(struct fixture *f) {
  for (int i = 0; i < 20; i++) turn(f);
  struct pollfd loop = {.fd = uv_backend_fd(&f->loop), .events = POLLIN};
  return poll(&loop, 1, 0) == 0;
}

#endif
