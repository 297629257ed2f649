#include "bridge/redis/sockets/stranger.h"

#include <stdlib.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/redis/sockets/server_struct.h"

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

/* Answers who has waited long enough; closes who has been a stranger for too long. */
static void look_at(struct sb_stranger *stranger, uint64_t now_ms) {
  struct sb_connection *c = stranger->connection;
  if (now_ms >= stranger->until_ms)
    close_stranger(c, "it did not give the password in time");
  else if (c->held == SB_HELD_PASSWORD && now_ms >= stranger->wait_ms)
    sb_connection_go_on(c);
}

/* What one of them is let go on with may close any other (CLIENT KILL behind the right password), so each is
 * taken from the front of those that are left. */
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

static void begin(struct sb_connection *c) {
  struct sb_server *server = c->server;
  struct sb_strangers *strangers = &c->listener->strangers;
  c->stranger = sb_calloc(1, sizeof *c->stranger);
  c->stranger->connection = c;
  c->stranger->until_ms = uv_now(server->loop) + SB_STRANGER_MS;
  sb_link_append(&strangers->list, &c->stranger->link);
  strangers->count++;
  if (!uv_is_active((uv_handle_t *)&server->stranger_timer))
    uv_timer_start(&server->stranger_timer, on_tick, TICK_MS, TICK_MS);
}

static void end(struct sb_connection *c) {
  sb_link_remove(&c->stranger->link);
  c->listener->strangers.count--;
  free(c->stranger);
  c->stranger = NULL;
}

void sb_stranger_set(struct sb_connection *c, bool stranger) {
  sb_parser_set_unauthenticated(&c->parser, stranger);
  if (stranger == (c->stranger != NULL)) return;
  if (stranger)
    begin(c);
  else
    end(c);
}

bool sb_stranger_may_be_told(struct sb_connection *c) {
  uint64_t now_ms = uv_now(c->server->loop);
  struct sb_stranger *stranger = c->stranger;
  if (!stranger) return true; /* it had shown who it is before */
  if (stranger->wait_ms == 0) {
    char peer[SB_ADDRESS_TEXT];
    sb_connection_peer(c, peer, sizeof peer);
    c->server->stats.wrong_passwords++;
    sb_log(SB_LOG_WARN, "local", "session id=%llu addr=%s gave a wrong password", (unsigned long long)c->id,
           peer);
    stranger->wait_ms = now_ms + SB_WRONG_PASSWORD_MS;
  }
  if (now_ms < stranger->wait_ms) return false;
  stranger->wait_ms = 0;
  return true;
}

bool sb_stranger_is_too_large(const struct sb_connection *c, size_t kept) {
  return c->stranger && kept > SB_STRANGER_INPUT_BYTES;
}

void sb_strangers_stop(struct sb_server *server) {
  uv_close((uv_handle_t *)&server->stranger_timer, NULL);
}
