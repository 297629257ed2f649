#include "bridge/redis/sockets/memory.h"

#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/output.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

static size_t own_bytes(const struct sb_connection *c) {
  return sizeof *c + c->input.cap + c->parser.cap * sizeof *c->parser.many + c->parser.text.cap +
         sb_session_bytes(&c->session) + (c->words ? c->server->requests.bytes(c) : 0);
}

void sb_memory_tell(struct sb_server *server) {
  uint64_t most = server->settings.memory_bytes;
  if (server->core)
    sb_core_set_outputs_max(server->core, server->charged < most ? most - server->charged : 0);
}

static void set_charged(struct sb_connection *c, size_t bytes) {
  if (bytes == c->charged) return;
  SB_ASSERT(c->fd >= 0 && c->server->charged >= c->charged);
  c->server->charged += bytes - c->charged;
  c->charged = bytes;
  sb_memory_tell(c->server);
}

void sb_memory_charge(struct sb_connection *c) {
  set_charged(c, sb_session_is_over_limit(&c->session) ? 0 : own_bytes(c));
}

void sb_memory_release(struct sb_connection *c) {
  set_charged(c, 0);
}

size_t sb_memory_used(const struct sb_server *server) {
  return server->charged + sb_output_memory();
}

size_t sb_memory_of_output(const struct sb_session *session) {
  return sb_session_output_bytes(session);
}

size_t sb_memory_of(const struct sb_connection *c) {
  return own_bytes(c) + sb_memory_of_output(&c->session);
}
