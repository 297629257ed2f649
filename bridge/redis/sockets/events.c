#include "bridge/redis/sockets/events.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/authentication.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/evict.h"
#include "bridge/redis/sockets/hold.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/pacing.h"
#include "bridge/redis/sockets/reading.h"
#include "bridge/redis/sockets/roster.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"
#include "bridge/redis/sockets/watching.h"
#include "bridge/redis/sockets/writing.h"

#define ROOM_TRIES                                                                                           \
  64 /* after so many sessions in a row that found no room the others wait for the next call */

static bool has_hung_up(const struct sb_connection *c) {
  struct pollfd look = {.fd = c->fd, .events = POLLIN};
  return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* The core's time is that of the loop's last turn, so it is told anew before a session is served. */
static void tell_time(const struct sb_server *server) {
  sb_core_now(server->core, uv_now(server->loop), sb_clock_unix_ms());
}

static void take_event(struct sb_connection *c, int status, int events) {
  tell_time(c->server);
  if (status < 0) { /* the connection was reset; libuv has stopped watching */
    sb_connection_unwatched(c);
    sb_connection_read_last_words(c);
    return;
  }
  if (events & (UV_DISCONNECT | UV_PRIORITIZED)) {
    if (has_hung_up(c)) {
      sb_connection_peer_gone(c);
      return;
    }
    if (events & UV_PRIORITIZED) {
      sb_connection_log_close(c, "it sent urgent data");
      sb_connection_close(c);
      return;
    }
    sb_connection_peer_ended(c);
    if (!sb_connection_settle(c)) return;
  }
  if (events & UV_WRITABLE) {
    sb_connection_writable(c);
    if (c->fd < 0) return;
  }
  if (events & UV_READABLE) sb_connection_read(c, SB_READ_BUDGET_BYTES);
}

static void on_event(uv_poll_t *poll, int status, int events) {
  struct sb_connection *c = poll->data;
  struct sb_server *server = c->server;
  take_event(c, status, events);
  sb_evict_over_budget(server);
}

/* ---- turns ---- */

static void take_turn(struct sb_connection *c) {
  tell_time(c->server);
  sb_connection_go_on(c);
  if (c->fd >= 0 && sb_connection_is_reading(c)) sb_connection_read(c, SB_READ_BUDGET_BYTES);
}

/* Sessions that wait for their turn go on, first come, first served, until the turn is used up. Those that
 * had no turn stay in front of those that begin to wait now. After them the other sessions are read, and have
 * as much again: else a session that asks for little would stand behind all that ask for much. */
static void on_idle(uv_idle_t *idle) {
  struct sb_server *server = idle->data;
  struct sb_shares *shares = &server->shares;
  struct sb_link left;
  sb_link_init(&left);
  sb_link_prepend_all(&left, &shares->waiting);
  while (sb_link_linked(&left) && !sb_shares_are_used_up(shares)) {
    struct sb_connection *c = SB_OF_LINK(left.next, struct sb_connection, share.link);
    SB_ASSERT(c->fd >= 0 && c->held == SB_HELD_TURN);
    sb_share_leave(&c->share);
    take_turn(c);
    sb_evict_over_budget(server);
  }
  sb_link_prepend_all(&shares->waiting, &left);
  sb_shares_begin_anew(shares);
  if (!sb_link_linked(&shares->waiting)) uv_idle_stop(idle);
}

void sb_sessions_room(struct sb_server *server) {
  struct sb_link batch, refused;
  unsigned in_a_row = 0;
  sb_link_init(&refused);
  sb_waiting_take(&server->waiting, &batch);
  while (sb_link_linked(&batch) && in_a_row < ROOM_TRIES) {
    struct sb_connection *c = SB_OF_LINK(batch.next, struct sb_connection, wait_link);
    bool went_on = sb_connection_go_on(c);
    sb_evict_over_budget(server);
    in_a_row = went_on ? 0 : in_a_row + 1;
    if (!went_on && c->held == SB_HELD_ROOM) sb_waiting_refuse(c, &refused);
  }
  sb_waiting_put_back(&server->waiting, &batch, &refused);
}

/* ---- the beginning ---- */

struct sb_connection *sb_connection_open(struct sb_server *server, struct sb_listener *listener, int fd) {
  struct sb_connection *c = sb_calloc(1, sizeof *c);
  int code = uv_poll_init(server->loop, &c->poll, fd);
  if (code != 0) {
    sb_log(SB_LOG_WARN, "local", "connection refused: %s", uv_strerror(code));
    close(fd);
    free(c);
    return NULL;
  }
  c->poll.data = c;
  c->server = server;
  c->listener = listener;
  c->fd = fd;
  c->opened_ms = uv_now(server->loop);
  sb_link_init(&c->wait_link);
  sb_link_init(&c->soft_link);
  sb_link_init(&c->share.link);
  sb_pacing_open(c);
  sb_roster_add(c);
  sb_connection_begin_reading(c);
  sb_core_session_open(server->core, &c->session, 2);
  sb_memory_charge(c);
  sb_stranger_set(c, listener->password != NULL);
  sb_connection_settle(c);
  return c;
}

void sb_sessions_begin(struct sb_server *server) {
  server->on_event = on_event;
  sb_shares_open(&server->shares, server->loop, server, on_idle);
}
