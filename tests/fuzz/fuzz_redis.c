/* Bytes from sockets, through the parser, all commands, the core and a log of this process, to what comes
 * back. The first byte of an input chooses the settings; then it is a script for a few clients:
 *
 *   say       some of the input as it is, or one of a list of requests, whole or cut
 *   read      what the bridge has written; else it piles up
 *   end       the client closes its sending side, or is gone; another takes its place
 *   log       it stands or goes on, its link goes down or comes up
 *   time      passes
 *
 * Checked besides what the sanitizers see: what a client gets is well-formed RESP; nothing is left when all
 * have gone. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/log.h"
#include "bridge/redis/server.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/events.h"
#include "bridge/redis/sockets/server_struct.h"
#include "tests/fuzz/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTITIONS  2
#define CLIENTS     3
#define STEPS_MAX   120
#define DEPTH_MAX   16
#define POSTED_MAX  4096
#define REPLIES_MAX ((size_t)4 * 1024 * 1024)

struct posted {
  struct posted *next;
  uint32_t partition;
  struct sb_envelope envelope;
  struct sb_body *body;
  uint64_t token;
};

struct bridge {
  uv_loop_t loop;
  struct sb_server *server;
  struct sb_core *core;
  struct posted *first, **end;
  uint64_t sequence[PARTITIONS];
  uint64_t now_ms;
  bool log_stands, failed;
  int fds[CLIENTS];
  struct sb_buf got[CLIENTS];
};

/* ---- requests ---- */

static const char *const requests[] = {
    "PING\r\n",
    "HELLO 3\r\n",
    "HELLO 2 AUTH default secret SETNAME me\r\n",
    "AUTH secret\r\n",
    "SUBSCRIBE c d\r\n",
    "UNSUBSCRIBE\r\n",
    "PSUBSCRIBE c* *d* [a-c]? *[x-z]?*\r\n",
    "PUNSUBSCRIBE c*\r\n",
    "SSUBSCRIBE s\r\n",
    "SUNSUBSCRIBE\r\n",
    "PUBLISH c message\r\n",
    ("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\nxy\r\n"
     "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\nz\r\n"),
    "SPUBLISH s message\r\n",
    "PUBSUB CHANNELS *\r\n",
    "PUBSUB CHANNELS *a?[b-c]*d\r\n",
    "PUBSUB NUMSUB c d\r\n",
    "PUBSUB NUMPAT\r\n",
    "SET k v PX 100\r\n",
    "GET k\r\n",
    "MULTI\r\n",
    "EXEC\r\n",
    "DISCARD\r\n",
    "WATCH k\r\n",
    "INCRBY k 7\r\n",
    "GETDEL k\r\n",
    "DEL k c\r\n",
    "EXPIRE k 1 NX\r\n",
    "XADD c * f v\r\n",
    "XADD x MAXLEN ~ 3 * f v g w\r\n",
    "XRANGE c - + COUNT 3\r\n",
    "XREVRANGE c + -\r\n",
    "XREAD COUNT 2 STREAMS c x 0 0\r\n",
    "XREAD BLOCK 50 STREAMS c x $ $\r\n",
    "XREAD BLOCK 0 STREAMS c $\r\n",
    "XINFO STREAM c FULL\r\n",
    "XTRIM c MAXLEN 1\r\n",
    "XLEN c\r\n",
    "MONITOR\r\n",
    "RESET\r\n",
    "QUIT\r\n",
    "CLIENT LIST\r\n",
    "CLIENT KILL TYPE pubsub\r\n",
    "CLIENT KILL ID 1\r\n",
    "CLIENT SETNAME x\r\n",
    "CLIENT UNBLOCK 1 ERROR\r\n",
    "CONFIG GET *\r\n",
    "CONFIG SET maxclients 100\r\n",
    "COMMAND DOCS get\r\n",
    "COMMAND LIST FILTERBY PATTERN x*\r\n",
    "COMMAND GETKEYS XREAD STREAMS a b 0 0\r\n",
    "INFO\r\n",
    "SIDEBUS STATUS\r\n",
    "SIDEBUS NODES\r\n",
    "SIDEBUS REFUSED\r\n",
    "SIDEBUS SLOT c\r\n",
    "SIDEBUS IDS ON\r\n",
    "SIDEBUS GAPS\r\n",
    "TYPE k\r\nEXISTS k c\r\nPTTL k\r\n",
    "SCRIPT LOAD x\r\n",
    ("*4\r\n$4\r\nEVAL\r\n$60\r\nfor i=2,#ARGV do redis.call('publish', ARGV[i], ARGV[1]) end "
     "\r\n$1\r\n0\r\n$1\r\nm\r\n"),
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab",
    "*1048577\r\n",
    "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n",
    "POST / HTTP/1.1\r\n",
};

#define REQUESTS (sizeof requests / sizeof requests[0])

/* ---- the log ---- */

static int on_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                      struct sb_body *body, uint64_t token) {
  struct bridge *bridge = owner;
  struct posted *posted = sb_malloc(sizeof *posted);
  *posted = (struct posted){NULL, partition, *envelope, sb_body_ref(body), token};
  *bridge->end = posted;
  bridge->end = &posted->next;
  return 0;
}

static struct posted *unqueue(struct bridge *bridge) {
  struct posted *posted = bridge->first;
  bridge->first = posted->next;
  if (!bridge->first) bridge->end = &bridge->first;
  return posted;
}

static void deliver(struct bridge *bridge) {
  for (int i = 0; bridge->first && !bridge->log_stands && i < POSTED_MAX; i++) {
    struct posted *posted = unqueue(bridge);
    struct sb_body *copy = sb_body_new(posted->body->len);
    memcpy(copy->data, posted->body->data, copy->len);
    sb_core_settled(bridge->core, posted->partition, posted->token, SB_SETTLE_CONFIRMED);
    sb_core_delivery(bridge->core, posted->partition, ++bridge->sequence[posted->partition],
                     &posted->envelope, NULL, copy);
    sb_body_unref(posted->body);
    free(posted);
  }
}

static void set_links(struct bridge *bridge, bool up) {
  for (uint32_t p = 0; p < PARTITIONS; p++) {
    sb_core_link(bridge->core, p, SB_LINK_PUBLISH, up);
    sb_core_link(bridge->core, p, SB_LINK_CONSUME, up);
  }
}

static void on_room(void *owner) {
  sb_server_room(((struct bridge *)owner)->server);
}

static void on_outputs_full(void *owner, struct sb_session *session, size_t more) {
  sb_server_outputs_full(((struct bridge *)owner)->server, session, more);
}

static void on_released(void *owner, struct sb_session *session) {
  sb_server_released(((struct bridge *)owner)->server, session);
}

static void on_fatal(void *owner, const char *why) {
  (void)why;
  ((struct bridge *)owner)->failed = true;
}

static void on_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  (void)owner;
  (void)level;
  (void)cause;
  REQUIRE(line[0] != 0);
}

static void no_log(void *owner, enum sb_log_level level, const char *area, const char *cause,
                   const char *line) {
  (void)area;
  on_log(owner, level, cause, line);
}

/* ---- the loop ---- */

static void turn(struct bridge *bridge) {
  bool again = true;
  uv_run(&bridge->loop, UV_RUN_NOWAIT);
  sb_core_now(bridge->core, bridge->now_ms, UINT64_C(1790000000000) + bridge->now_ms);
  for (int round = 0; again && round < 10; round++) {
    deliver(bridge);
    sb_core_turn(bridge->core);
    again = sb_server_turn(bridge->server) || (bridge->first && !bridge->log_stands);
  }
  REQUIRE(sb_core_deadline(bridge->core) > 0);
}

/* ---- what clients get ---- */

/* The end of the line at `off`; 0: there is none yet. */
static size_t line_end(const struct sb_buf *text, size_t off) {
  const uint8_t *end = off < text->len ? memchr(text->data + off, '\n', text->len - off) : NULL;
  if (!end) return 0;
  REQUIRE(end[-1] == '\r');
  return (size_t)(end + 1 - text->data);
}

/* The end of the value at `off`; 0: it is not whole. */
static size_t value_end(const struct sb_buf *text, size_t off, int depth) {
  size_t end = line_end(text, off);
  uint64_t count;
  REQUIRE(depth < DEPTH_MAX);
  if (end == 0) return 0;
  uint8_t type = text->data[off];
  REQUIRE(type != 0 && strchr("+-:_,#($=*%~>|", type));
  if (strchr("+-:_,#(", type)) return end;
  if (end - off == 5 && memcmp(text->data + off + 1, "-1", 2) == 0) return end;
  REQUIRE(sb_bytes_u64(sb_bytes(text->data + off + 1, end - off - 3), REPLIES_MAX, &count));
  if (type == '$' || type == '=') {
    if (text->len - end < count + 2) return 0;
    REQUIRE(memcmp(text->data + end + count, "\r\n", 2) == 0);
    return end + count + 2;
  }
  for (count = type == '%' || type == '|' ? 2 * count : count; count > 0 && end > 0; count--)
    end = value_end(text, end, depth + 1);
  return end > 0 && type == '|' ? value_end(text, end, depth + 1) : end;
}

static void read_replies(struct bridge *bridge, int which) {
  struct sb_buf *got = &bridge->got[which];
  uint8_t bytes[16384];
  ssize_t len;
  while ((len = recv(bridge->fds[which], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
    sb_buf_append(got, bytes, (size_t)len);
  size_t used = 0, end;
  while (used < got->len && (end = value_end(got, used, 0)) > 0) used = end;
  if (used > 0) memmove(got->data, got->data + used, got->len - used);
  got->len -= used;
}

/* ---- clients ---- */

static void join(struct bridge *bridge, int which) {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
  bridge->fds[which] = pair[0];
  bridge->got[which].len = 0;
  REQUIRE(sb_connection_open(bridge->server, &bridge->server->unix_listener, pair[1]));
}

static void go(struct bridge *bridge, int which) {
  close(bridge->fds[which]);
  turn(bridge);
}

static void say(struct bridge *bridge, int which, const void *at, size_t len) {
  (void)!send(bridge->fds[which], at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the script ---- */

static void say_something(struct bridge *bridge, int which, struct input *in, uint8_t how) {
  if (how & 1) {
    struct sb_bytes bytes = take_bytes(in);
    say(bridge, which, bytes.at, bytes.len);
    return;
  }
  const char *request = requests[take(in) % REQUESTS];
  size_t len = strlen(request);
  if ((how & 6) == 6) len = take(in) % (len + 1);
  say(bridge, which, request, len);
}

static void change(struct bridge *bridge, int which, uint8_t how) {
  static const uint16_t waits[] = {1, 20, 110, 600, 4000, 20000, 50, 5};
  switch (how & 7) {
  case 0:
    shutdown(bridge->fds[which], SHUT_WR);
    break;
  case 1:
    go(bridge, which);
    join(bridge, which);
    break;
  case 2:
    bridge->log_stands = !bridge->log_stands;
    break;
  case 3:
    set_links(bridge, false);
    break;
  case 4:
    set_links(bridge, true);
    break;
  default:
    bridge->now_ms += waits[how >> 3 & 7];
  }
}

static void step(struct bridge *bridge, struct input *in) {
  uint8_t choice = take(in);
  int which = choice % CLIENTS;
  uint8_t how = (uint8_t)(choice / CLIENTS);
  switch (how & 3) {
  case 0:
  case 1:
    say_something(bridge, which, in, how >> 2);
    break;
  case 2:
    read_replies(bridge, which);
    break;
  default:
    change(bridge, which, how >> 2 | (uint8_t)(take(in) << 3));
  }
  if (!(how & 32)) turn(bridge);
}

static void begin(struct bridge *bridge, uint8_t choice) {
  const struct sb_server_settings server = {
      .node = "n1",
      .broker = "loopback",
      .partitions = PARTITIONS,
      .socket = {.password = choice & 1 ? "secret" : NULL},
      .sessions_max = 100,
      .request_bytes = choice & 2 ? 200 : 65536,
      .input_bytes = choice & 2 ? 400 : 131072,
      .output_hard_bytes = choice & 4 ? 2000 : 1 << 20,
      .output_soft_bytes = choice & 4 ? 500 : 0,
      .output_soft_seconds = 1,
  };
  const struct sb_core_settings core = {
      .node = "n1",
      .nonce = 1,
      .partitions = PARTITIONS,
      .batch_bytes = choice & 8 ? 100 : 65536,
      .outbox_bytes = choice & 8 ? 2000 : 1 << 20,
      .output_hard_bytes = server.output_hard_bytes,
      .lease_ms = 15000,
      .found_ms = 300,
      .history_bytes = choice & 16 ? 2000 : 1 << 20,
      .refuse_in_outage = choice & 32,
      .channel_bytes = choice & 16 ? 8 : 0,
      .patterns_max = choice & 16 ? 3 : 0,
  };
  const struct sb_core_io io = {.owner = bridge,
                                .publish = on_publish,
                                .room = on_room,
                                .released = on_released,
                                .fatal = on_fatal,
                                .log = on_log,
                                .outputs_full = on_outputs_full};
  struct sb_error error;
  bridge->end = &bridge->first;
  sb_log_to(no_log, NULL, SB_LOG_DEBUG);
  REQUIRE(uv_loop_init(&bridge->loop) == 0);
  bridge->now_ms = uv_now(&bridge->loop) + 1000000; /* ahead of the loop's own, so that only it counts */
  bridge->server = sb_server_new(&bridge->loop, &server, &(const struct sb_server_io){0});
  bridge->core = sb_core_new(&core, &io, bridge->now_ms, UINT64_C(1790000000000) + bridge->now_ms);
  REQUIRE(sb_server_start(bridge->server, bridge->core, &error) == 0);
  for (uint32_t p = 0; p < PARTITIONS; p++) sb_core_attached(bridge->core, p, SB_ATTACH_FRESH);
  for (int i = 0; i < CLIENTS; i++) join(bridge, i);
  set_links(bridge, true);
  for (int i = 0; choice & 64 && i < 3; i++) { /* ready at once */
    bridge->now_ms += 400;
    turn(bridge);
  }
}

static void end(struct bridge *bridge) {
  for (int i = 0; i < CLIENTS; i++) {
    read_replies(bridge, i);
    close(bridge->fds[i]);
    sb_buf_close(&bridge->got[i]);
  }
  sb_server_close(bridge->server);
  while (uv_run(&bridge->loop, UV_RUN_NOWAIT) != 0) continue;
  REQUIRE(!sb_link_linked(&bridge->server->roster.open));
  while (bridge->first) {
    struct posted *posted = unqueue(bridge);
    sb_body_unref(posted->body);
    free(posted);
  }
  sb_core_free(bridge->core);
  sb_server_free(bridge->server);
  REQUIRE(uv_loop_close(&bridge->loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  struct bridge bridge = {0};
  begin(&bridge, take(&in));
  for (int i = 0; i < STEPS_MAX && in.left > 0 && !bridge.failed; i++) step(&bridge, &in);
  end(&bridge);
  return 0;
}
