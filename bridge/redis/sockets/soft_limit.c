#include "bridge/redis/sockets/soft_limit.h"

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

void sb_soft_limit_init(struct sb_soft_limit *limit) {
  sb_link_init(&limit->above);
}

void sb_soft_limit_begin(struct sb_server *server) {
  uv_timer_init(server->loop, &server->soft.timer);
  server->soft.timer.data = server;
}

void sb_soft_limit_end(struct sb_server *server) {
  uv_close((uv_handle_t *)&server->soft.timer, NULL);
}

void sb_soft_limit_watch(struct sb_connection *c) {
  struct sb_server *server = c->server;
  size_t soft = server->settings.output_soft_bytes;
  if (soft == 0 || c->session.outlet.out.bytes < soft) {
    sb_link_remove(&c->soft_link);
    return;
  }
  if (sb_link_linked(&c->soft_link)) return;
  c->soft_ms = uv_now(server->loop);
  sb_link_append(&server->soft.above, &c->soft_link);
}

void sb_soft_limit_leave(struct sb_connection *c) {
  sb_link_remove(&c->soft_link);
}

void sb_soft_limit_reload(struct sb_server *server) {
  struct sb_link *next;
  for (struct sb_link *at = server->soft.above.next; at != &server->soft.above; at = next) {
    next = at->next;
    sb_soft_limit_watch(SB_OF_LINK(at, struct sb_connection, soft_link));
  }
}

static struct sb_connection *first(const struct sb_server *server) {
  if (!sb_link_linked(&server->soft.above)) return NULL;
  return SB_OF_LINK(server->soft.above.next, struct sb_connection, soft_link);
}

/* From then on it has been above the limit for too long. */
static uint64_t due_ms(const struct sb_connection *c) {
  return c->soft_ms + (uint64_t)c->server->settings.output_soft_seconds * 1000 + 1;
}

struct sb_connection *sb_soft_limit_next(struct sb_server *server) {
  struct sb_connection *c = first(server);
  return c && uv_now(server->loop) >= due_ms(c) ? c : NULL;
}

void sb_soft_limit_arm(struct sb_server *server, uv_timer_cb due) {
  const struct sb_connection *c = first(server);
  uv_timer_t *timer = &server->soft.timer;
  if (!c) {
    uv_timer_stop(timer);
    return;
  }
  if (uv_is_active((uv_handle_t *)timer)) return;
  uint64_t at_ms = due_ms(c), now_ms = uv_now(server->loop);
  uv_timer_start(timer, due, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}
