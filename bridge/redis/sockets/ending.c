#include "bridge/redis/sockets/ending.h"

#include <stdlib.h>
#include <unistd.h>

#include "bridge/base/assert.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/authentication.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/hold.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/pacing.h"
#include "bridge/redis/sockets/roster.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"
#include "bridge/redis/sockets/soft_limit.h"

static void release(struct sb_connection *c) {
  if (!c->handle_closed || !c->released) return;
  sb_roster_remove(c);
  sb_connection_free(c);
}

void sb_connection_finish(struct sb_connection *c) {
  c->finishing = true;
  sb_core_unsubscribe_all(c->server->core, &c->session);
  c->server->requests.hush(c);
}

static void on_closed(uv_handle_t *handle) {
  struct sb_connection *c = handle->data;
  c->handle_closed = true;
  sb_input_free(&c->input);
  sb_parser_close(&c->parser);
  release(c);
}

void sb_connection_released(struct sb_connection *c) {
  c->released = true;
  release(c);
}

void sb_connection_close(struct sb_connection *c) {
  struct sb_server *server = c->server;
  if (c->fd < 0) return;
  sb_connection_unhold(c);
  sb_share_leave(&c->share);
  server->requests.forget(c);
  sb_soft_limit_leave(c);
  sb_pacing_leave(c);
  sb_roster_close(c);
  sb_connection_forget_busy(c);
  sb_stranger_set(c, false);
  sb_memory_release(c);
  /* libuv forgets the descriptor at once, so it may be closed before the callback. */
  uv_close((uv_handle_t *)&c->poll, on_closed);
  close(c->fd);
  c->fd = -1;
  sb_core_session_close(server->core, &c->session);
}

void sb_connection_free(struct sb_connection *c) {
  SB_ASSERT(c->fd < 0 && c->charged == 0 && !c->stranger && !c->told_busy && !sb_link_linked(&c->wait_link));
  c->server->requests.forget(c);
  sb_parser_close(&c->parser);
  sb_input_free(&c->input);
  free(c);
}
