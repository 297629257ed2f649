#include "bridge/redis/sockets/authentication.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/redis/protocol/request.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/stranger.h"

static void begin(struct sb_connection *c) {
  struct sb_server *server = c->server;
  struct sb_strangers *strangers = &c->listener->strangers;
  c->stranger = sb_calloc(1, sizeof *c->stranger);
  c->stranger->connection = c;
  c->stranger->until_ms = uv_now(server->loop) + SB_STRANGER_MS;
  sb_link_append(&strangers->list, &c->stranger->link);
  strangers->count++;
  /* Its interval and what it calls were set by sb_strangers_begin. */
  if (!uv_is_active((uv_handle_t *)&server->stranger_timer)) uv_timer_again(&server->stranger_timer);
}

static void end(struct sb_connection *c) {
  sb_link_remove(&c->stranger->link);
  SB_ASSERT(c->listener->strangers.count > 0);
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
  if (!stranger) return true; /* it gave the password before */
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
