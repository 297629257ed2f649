#include "bridge/redis/sockets/share.h"

#include "bridge/base/limits.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

/* ---- what is used ---- */

static struct sb_share *share_of(struct sb_connection *c) {
  struct sb_share *share = &c->share;
  if (share->turn == c->server->shares.turn) return share;
  share->turn = c->server->shares.turn;
  share->bytes = 0;
  share->ns = 0;
  return share;
}

static bool is_over(const struct sb_shares *shares) {
  return shares->bytes >= SB_TURN_BYTES_MAX || shares->ns >= SB_TURN_NS_MAX;
}

bool sb_share_is_used_up(struct sb_connection *c) {
  const struct sb_share *share = share_of(c);
  return share->bytes >= SB_SHARE_BYTES_MAX || share->ns >= SB_SHARE_NS_MAX || is_over(&c->server->shares);
}

void sb_share_use(struct sb_connection *c, size_t bytes) {
  share_of(c)->bytes += bytes;
  c->server->shares.bytes += bytes;
}

void sb_share_begin(struct sb_connection *c) {
  c->server->shares.since_ns = uv_hrtime();
}

void sb_share_tell_time(struct sb_connection *c) {
  struct sb_shares *shares = &c->server->shares;
  uint64_t now = uv_hrtime(), took = now - shares->since_ns;
  shares->since_ns = now;
  shares->ns += took;
  share_of(c)->ns += took;
}

/* ---- turns ---- */

static void begin_anew(struct sb_shares *shares) {
  shares->bytes = 0;
  shares->ns = 0;
}

static void on_check(uv_check_t *check) {
  struct sb_server *server = check->data;
  server->shares.turn++;
  begin_anew(&server->shares);
}

/* Who is not reached in this turn stays in front of those that come to wait in it. What is read behind them
 * has as much of the turn to itself, or who asks for little would stand behind all who ask for much. */
static void on_idle(uv_idle_t *idle) {
  struct sb_server *server = idle->data;
  struct sb_shares *shares = &server->shares;
  struct sb_link left;
  sb_link_init(&left);
  sb_link_prepend_all(&left, &shares->waiting);
  while (sb_link_linked(&left) && !is_over(shares)) {
    struct sb_connection *c = SB_OF_LINK(left.next, struct sb_connection, share.link);
    sb_link_remove(&c->share.link);
    sb_connection_take_turn(c);
    sb_memory_enforce(server);
  }
  sb_link_prepend_all(&shares->waiting, &left);
  begin_anew(shares);
  if (!sb_link_linked(&shares->waiting)) uv_idle_stop(idle);
}

void sb_share_wait(struct sb_connection *c) {
  struct sb_shares *shares = &c->server->shares;
  if (sb_link_linked(&c->share.link)) return;
  sb_link_append(&shares->waiting, &c->share.link);
  uv_idle_start(&shares->idle, on_idle);
}

void sb_share_leave(struct sb_connection *c) {
  sb_link_remove(&c->share.link);
}

/* ---- begin and end ---- */

void sb_shares_open(struct sb_server *server) {
  struct sb_shares *shares = &server->shares;
  uv_idle_init(server->loop, &shares->idle);
  uv_check_init(server->loop, &shares->check);
  shares->idle.data = shares->check.data = server;
  uv_check_start(&shares->check, on_check);
  uv_unref((uv_handle_t *)&shares->check); /* nobody runs the loop for it */
}

void sb_shares_close(struct sb_server *server) {
  uv_close((uv_handle_t *)&server->shares.idle, NULL);
  uv_close((uv_handle_t *)&server->shares.check, NULL);
}
