#include "bridge/redis/sockets/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/protocol/request.h"
#include "bridge/redis/sockets/authentication.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/hold.h"
#include "bridge/redis/sockets/input.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"
#include "bridge/redis/sockets/watching.h"

/* More than a kernel keeps for a connection that broke. */
#define LAST_WORDS_BYTES ((size_t)8 * 1024 * 1024)

/* Copying so much is cheaper than another read. */
#define KEPT_SMALL_BYTES (SB_READ_BYTES / 4)

static bool refuse_input(struct sb_connection *c, const char *error) {
  struct sb_server *server = c->server;
  sb_buf_clear(&server->reply);
  sb_reply_error_text(&server->reply, error);
  if (!sb_core_reply(server->core, &c->session, sb_buf_bytes(&server->reply))) return false;
  char peer[SB_ADDRESS_TEXT];
  sb_connection_peer(c, peer, sizeof peer);
  sb_log(SB_LOG_INFO, "local", "session id=%llu addr=%s name=%s: %s", (unsigned long long)c->id, peer,
         sb_connection_name(c), error);
  server->stats.protocol_errors++;
  sb_connection_finish(c);
  return true;
}

/* A session over its limit is closed at the end of the turn, so it takes no more requests. */
static bool takes_no_more(const struct sb_connection *c) {
  return c->finishing || sb_session_is_over_limit(&c->session);
}

/* Takes requests from the front until one is held, one is not complete, or none is left. Returns how many
 * bytes were used. */
static size_t take_requests(struct sb_connection *c, const uint8_t *data, size_t len) {
  size_t at = 0;
  while (at < len && c->fd >= 0 && !takes_no_more(c)) {
    if (sb_share_is_used_up(&c->server->shares, &c->share)) {
      sb_connection_hold(c, SB_HELD_TURN);
      return at;
    }
    if (c->session.blocked) {
      sb_connection_hold(c, SB_HELD_REPLIES);
      return at;
    }
    struct sb_request request;
    const char *error;
    size_t used;
    enum sb_parse parsed = sb_parser_next(&c->parser, data + at, len - at, &used, &request, &error);
    if (parsed == SB_PARSE_MORE) return at + used;
    if (parsed == SB_PARSE_ERROR) {
      if (refuse_input(c, error)) return len;
      sb_connection_hold(c, SB_HELD_RING);
      return at;
    }
    enum sb_held held = c->server->requests.run(c, &request, sb_bytes(data + at, len - at), &used);
    if (held != SB_HELD_NOT) {
      sb_connection_hold(c, held);
      return at;
    }
    at += used;
  }
  return takes_no_more(c) ? len : at;
}

static size_t take_timed(struct sb_connection *c, const uint8_t *data, size_t len) {
  sb_share_begin(&c->server->shares);
  size_t used = take_requests(c, data, len);
  sb_share_count_time(&c->server->shares, &c->share);
  return used;
}

static void read_failed(struct sb_connection *c, int number) {
  if (number == ECONNRESET || number == EPIPE || number == ETIMEDOUT) {
    sb_connection_close(c);
    return;
  }
  sb_connection_log_close(c, strerror(number));
  sb_connection_close(c);
}

/* One read and what follows from it. True when there may be more to read at once. */
static bool read_once(struct sb_connection *c, size_t *total) {
  struct sb_server *server = c->server;
  struct sb_input *input = &c->input;
  size_t kept = sb_input_kept(input), room;
  bool shared = kept == 0 || (kept <= KEPT_SMALL_BYTES && c->parser.need <= SB_READ_BYTES);
  uint8_t *data;
  if (shared) {
    data = server->read_buffer;
    if (kept > 0) memcpy(data, sb_input_at(input), kept);
    room = SB_READ_BYTES;
  } else {
    room = sb_input_grow(input, c->parser.need);
    data = sb_input_at(input);
  }

  ssize_t got = recv(c->fd, data + kept, room, 0);
  if (got < 0) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) read_failed(c, errno);
    return false;
  }
  if (got == 0) {
    sb_connection_read_to_end(c);
    return false;
  }
  server->stats.reads++;
  server->stats.bytes_read += (uint64_t)got;
  c->active_ms = uv_now(server->loop);
  *total += (size_t)got;

  size_t len = kept + (size_t)got;
  size_t used = take_timed(c, data, len);
  if (c->fd < 0) return false;
  if (shared) {
    sb_input_keep_copy(input, data + used, len - used);
  } else {
    sb_input_add(input, (size_t)got);
    sb_input_keep_last(input, len - used);
  }
  bool stranger = sb_stranger_is_too_large(c, len - used);
  if (stranger || len - used > server->settings.input_bytes) {
    server->stats.closed_for_input++;
    sb_connection_log_close(c, stranger ? "it sent too much before it gave the password"
                                        : "it sent more than limits.input_bytes that could not be used yet");
    sb_connection_close(c);
    return false;
  }
  return sb_connection_is_reading(c) && ((size_t)got == room || !shared);
}

void sb_connection_begin_reading(struct sb_connection *c) {
  sb_parser_init(&c->parser, c->server->settings.request_bytes, SB_REQUEST_ARGS_MAX);
  c->active_ms = uv_now(c->server->loop);
}

void sb_connection_read(struct sb_connection *c, size_t budget) {
  size_t total = 0;
  if (sb_share_is_used_up(&c->server->shares, &c->share) && sb_connection_is_reading(c))
    sb_connection_hold(c, SB_HELD_TURN);
  while (total < budget && c->fd >= 0 && sb_connection_is_reading(c) && read_once(c, &total)) continue;
  sb_connection_settle(c);
}

void sb_connection_read_last_words(struct sb_connection *c) {
  sb_connection_read(c, LAST_WORDS_BYTES);
  if (c->fd >= 0) sb_connection_peer_gone(c);
}

bool sb_connection_go_on(struct sb_connection *c) {
  sb_connection_unhold(c);
  size_t len = sb_input_kept(&c->input);
  const uint8_t *data = len > 0 ? sb_input_at(&c->input) : NULL;
  size_t used = take_timed(c, data, len);
  if (c->fd < 0) return true;
  sb_input_keep_last(&c->input, len - used);
  sb_connection_settle(c);
  return used > 0;
}
