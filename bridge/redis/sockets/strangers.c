#include "bridge/redis/sockets/strangers.h"

#include "bridge/base/limits.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/reading.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/stranger.h"

#define TICK_MS 100

void sb_strangers_init(struct sb_strangers *strangers) {
  sb_link_init(&strangers->list);
  strangers->count = 0;
}

static void close_stranger(struct sb_connection *c, const char *why) {
  c->server->stats.strangers_closed++;
  sb_connection_log_close(c, why);
  sb_connection_close(c);
}

void sb_strangers_make_room(struct sb_listener *listener, bool full) {
  uint32_t most = full ? 1 : SB_STRANGERS_MAX;
  if (listener->strangers.count < most) return;
  struct sb_stranger *oldest = SB_OF_LINK(listener->strangers.list.next, struct sb_stranger, link);
  close_stranger(oldest->connection, "others connected that had not given the password either");
}

/* Answers a wrong password when that has waited long enough; closes a session that has been a stranger for
 * too long. */
static void look_at(struct sb_stranger *stranger, uint64_t now_ms) {
  struct sb_connection *c = stranger->connection;
  if (now_ms >= stranger->until_ms)
    close_stranger(c, "it did not give the password in time");
  else if (c->held == SB_HELD_PASSWORD && now_ms >= stranger->wait_ms)
    sb_connection_go_on(c);
}

/* While this runs, a stranger may close any other (CLIENT KILL after the right password), which takes itself
 * out of the list. So each is taken from the front of those that are left. */
static void look_at_all(struct sb_strangers *strangers, uint64_t now_ms) {
  struct sb_link left, seen;
  sb_link_init(&left);
  sb_link_init(&seen);
  sb_link_prepend_all(&left, &strangers->list);
  while (sb_link_linked(&left)) {
    struct sb_link *at = left.next;
    sb_link_remove(at);
    sb_link_append(&seen, at);
    look_at(SB_OF_LINK(at, struct sb_stranger, link), now_ms);
  }
  sb_link_prepend_all(&strangers->list, &seen);
}

static void on_tick(uv_timer_t *timer) {
  struct sb_server *server = timer->data;
  uint64_t now_ms = uv_now(server->loop);
  look_at_all(&server->unix_listener.strangers, now_ms);
  look_at_all(&server->tcp_listener.strangers, now_ms);
  if (server->unix_listener.strangers.count + server->tcp_listener.strangers.count == 0) uv_timer_stop(timer);
}

void sb_strangers_begin(struct sb_server *server) {
  uv_timer_init(server->loop, &server->stranger_timer);
  server->stranger_timer.data = server;
  uv_timer_start(&server->stranger_timer, on_tick, TICK_MS, TICK_MS);
  uv_timer_stop(&server->stranger_timer); /* until there is one */
}

void sb_strangers_stop(struct sb_server *server) {
  uv_close((uv_handle_t *)&server->stranger_timer, NULL);
}
