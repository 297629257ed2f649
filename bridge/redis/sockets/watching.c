#include "bridge/redis/sockets/watching.h"

#include "bridge/core/core.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

bool sb_connection_is_reading(const struct sb_connection *c) {
  return !c->end_of_input && !c->finishing && !sb_session_is_over_limit(&c->session) &&
         c->held == SB_HELD_NOT;
}

/* A session that is not read from is still watched, to notice when its peer hangs up. epoll reports the end
 * of the peer's sending side again and again, so that is asked for only until it was seen. After that urgent
 * data is asked for, which nobody sends: epoll reports a hang-up whatever it is asked for. */
static void watch(struct sb_connection *c) {
  if (c->fd < 0) return;
  int want = 0;
  if (sb_connection_is_reading(c))
    want = UV_READABLE;
  else if (!c->deaf)
    want = c->peer_done || c->end_of_input ? UV_PRIORITIZED : UV_DISCONNECT;
  if (c->write_blocked && !c->deaf) want |= UV_WRITABLE;
  if (want == c->events) return;
  c->events = (uint8_t)want;
  if (want == 0)
    uv_poll_stop(&c->poll);
  else
    uv_poll_start(&c->poll, want, c->server->on_event);
}

/* All that was asked is answered, and no more will come. The answer of an XREAD that blocks is not waited for
 * when the peer has ended its sending side, as in Redis: it might come much later, or never. */
static bool is_done(const struct sb_connection *c) {
  if (c->session.blocked && c->peer_done) return c->session.outlet.out.bytes == 0;
  if (!c->finishing && !(c->end_of_input && c->held == SB_HELD_NOT)) return false;
  return c->deaf || (sb_session_waiting(&c->session) == 0 && c->session.outlet.out.bytes == 0);
}

bool sb_connection_settle(struct sb_connection *c) {
  if (c->fd < 0) return false;
  sb_memory_charge(c);
  if (is_done(c)) {
    sb_connection_close(c);
    return false;
  }
  watch(c);
  return true;
}

/* What the peer sent before it went is still run when that takes only moments. In an outage it is not:
 * clients that try again and again would leave many such sessions. */
void sb_connection_peer_gone(struct sb_connection *c) {
  uint64_t since;
  bool soon = sb_core_ready(c->server->core) && !sb_core_outage(c->server->core, &since);
  if (c->held == SB_HELD_NOT || c->session.blocked || (c->held != SB_HELD_TURN && !soon)) {
    sb_connection_close(c);
    return;
  }
  c->deaf = c->peer_done = true;
  sb_core_unsubscribe_all(c->server->core, &c->session);
  c->server->requests.hush(c);
  sb_output_close(&c->session.outlet.out);
  watch(c);
}

void sb_connection_peer_ended(struct sb_connection *c) {
  c->peer_done = true;
}

void sb_connection_read_to_end(struct sb_connection *c) {
  c->end_of_input = c->peer_done = true;
}

void sb_connection_unwatched(struct sb_connection *c) {
  c->events = 0;
}
