#include "bridge/redis/sockets/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/reply.h"
#include "bridge/redis/commands/command.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define READ_BUDGET_BYTES                                                                                    \
  ((size_t)4 * SB_READ_BYTES) /* of one session in one wake-up: others get their turn */
#define WRITE_BUDGET_BYTES ((size_t)16 * SB_READ_BYTES) /* likewise */
#define LAST_WORDS_BYTES                                                                                     \
  ((size_t)8 * 1024 * 1024)                  /* more than a kernel keeps for a connection that broke         \
                                              */
#define KEPT_SMALL_BYTES (SB_READ_BYTES / 4) /* up to here copying is cheaper than a read of its own */

static void on_event(uv_poll_t *poll, int status, int events);

/* ---- what libuv watches for ---- */

static bool is_reading(const struct sb_connection *c) {
  return !c->end_of_input && !c->finishing && !c->session.over_limit && c->held == SB_HELD_NOT;
}

/* Who is not read from is still watched for hanging up. An end that the peer has set is reported for ever, so
 * it is watched for once only; after that, urgent data (which nobody sends) stands in, because epoll reports
 * a hang-up to whoever watches for anything. */
static void watch(struct sb_connection *c) {
  if (c->fd < 0) return;
  int want = 0;
  if (is_reading(c))
    want = UV_READABLE;
  else if (!c->deaf)
    want = c->peer_done || c->end_of_input ? UV_PRIORITIZED : UV_DISCONNECT;
  if (c->write_blocked && !c->deaf) want |= UV_WRITABLE;
  if (want == c->events) return;
  c->events = (uint8_t)want;
  if (want == 0)
    uv_poll_stop(&c->poll);
  else
    uv_poll_start(&c->poll, want, on_event);
}

/* ---- the end of a session ---- */

static void release(struct sb_connection *c) {
  if (!c->handle_closed || !c->released) return;
  sb_link_remove(&c->link);
  sb_connection_free(c);
}

void sb_connection_finish(struct sb_connection *c) {
  c->finishing = true;
  sb_command_unsubscribe_all(c);
  sb_command_stop_monitor(c);
}

static void on_closed(uv_handle_t *handle) {
  struct sb_connection *c = handle->data;
  c->handle_closed = true;
  free(c->in);
  c->in = NULL;
  c->in_at = c->in_len = c->in_cap = 0;
  sb_parser_close(&c->parser);
  release(c);
}

void sb_server_released(struct sb_server *server, struct sb_session *session) {
  (void)server;
  struct sb_connection *c = sb_connection_of(session);
  c->released = true;
  release(c);
}

static void leave_waiting(struct sb_connection *c) {
  if (!sb_link_linked(&c->wait_link)) return;
  sb_link_remove(&c->wait_link);
  c->server->waiting_count--;
}

void sb_connection_close(struct sb_connection *c) {
  struct sb_server *server = c->server;
  if (c->fd < 0) return;
  leave_waiting(c);
  sb_share_leave(c);
  sb_command_stop_monitor(c);
  sb_command_discard(c);
  sb_link_remove(&c->soft_link);
  sb_link_remove(&c->behind_link);
  sb_link_remove(&c->link);
  sb_link_append(&server->closed, &c->link);
  server->stats.sessions--;
  c->listener->sessions--;
  if (c->was_refused) server->refused_sessions--;
  sb_stranger_set(c, false);
  sb_memory_release(c);
  /* libuv forgets the descriptor at once, so it may be closed before the callback. */
  uv_close((uv_handle_t *)&c->poll, on_closed);
  close(c->fd);
  c->fd = -1;
  c->held = SB_HELD_NOT;
  sb_core_session_close(server->core, &c->session);
}

void sb_connection_was_refused(struct sb_connection *c) {
  if (c->was_refused) return;
  c->was_refused = true;
  c->server->refused_sessions++;
}

void sb_connection_free(struct sb_connection *c) {
  if (c->names) {
    free(c->names->name);
    free(c->names->lib_name);
    free(c->names->lib_version);
    free(c->names);
  }
  sb_command_discard(c);
  sb_parser_close(&c->parser);
  free(c->in);
  free(c);
}

void sb_connection_log_close(struct sb_connection *c, const char *why) {
  char peer[SB_ADDRESS_TEXT];
  sb_connection_peer(c, peer, sizeof peer);
  char line[SB_ERROR_TEXT_MAX];
  snprintf(line, sizeof line, "session id=%llu addr=%s name=%.100s closed: %s", (unsigned long long)c->id,
           peer, c->names && c->names->name ? c->names->name : "", why);
  /* Each reason has a rate of its own: many strangers do not hide who was closed for its output. */
  sb_log_line(SB_LOG_NOTICE, "local", why, line);
}

/* All that was asked is answered, and no more will come. Who blocks does not get an answer any more when the
 * peer has said all, as in Redis: it might come much later, or never. */
static bool is_done(const struct sb_connection *c) {
  if (c->session.blocked && c->peer_done) return c->session.out.bytes == 0;
  if (!c->finishing && !(c->end_of_input && c->held == SB_HELD_NOT)) return false;
  return c->deaf || (sb_session_waiting(&c->session) == 0 && c->session.out.bytes == 0);
}

/* After anything that may have changed what is to be waited for. False when the session is gone. */
static bool settle(struct sb_connection *c) {
  if (c->fd < 0) return false;
  sb_memory_charge(c);
  if (is_done(c)) {
    sb_connection_close(c);
    return false;
  }
  watch(c);
  return true;
}

/* The peer is gone for good. What it sent before still counts, as long as that is a matter of moments; in an
 * outage it would pile up sessions of clients that try again and again. */
static void peer_gone(struct sb_connection *c) {
  uint64_t since;
  bool soon = sb_core_ready(c->server->core) && !sb_core_outage(c->server->core, &since);
  if (c->held == SB_HELD_NOT || c->session.blocked || (c->held != SB_HELD_TURN && !soon)) {
    sb_connection_close(c);
    return;
  }
  c->deaf = c->peer_done = true;
  sb_command_unsubscribe_all(c);
  sb_command_stop_monitor(c);
  sb_output_close(&c->session.out);
  watch(c);
}

/* ---- input ---- */

static void hold(struct sb_connection *c, enum sb_held why) {
  c->held = (uint8_t)why;
  if (why == SB_HELD_TURN) sb_share_wait(c);
  if (why != SB_HELD_ROOM || sb_link_linked(&c->wait_link)) return;
  sb_link_append(&c->server->waiting, &c->wait_link);
  c->server->waiting_count++;
}

static bool refuse_input(struct sb_connection *c, const char *error) {
  struct sb_server *server = c->server;
  sb_buf_clear(&server->reply);
  sb_reply_error_text(&server->reply, error);
  if (!sb_core_reply(server->core, &c->session, sb_buf_bytes(&server->reply))) return false;
  char peer[SB_ADDRESS_TEXT];
  sb_connection_peer(c, peer, sizeof peer);
  sb_log(SB_LOG_INFO, "local", "session id=%llu addr=%s name=%s: %s", (unsigned long long)c->id, peer,
         c->names && c->names->name ? c->names->name : "", error);
  server->stats.protocol_errors++;
  server->stats.error_replies++;
  sb_connection_finish(c);
  return true;
}

/* Whoever is over its limit is closed at the end of the turn: nobody would read what it is answered. */
static bool takes_no_more(const struct sb_connection *c) {
  return c->finishing || c->session.over_limit;
}

/* Takes requests from the front until one is held up, partial, or the last. Returns the bytes used. */
static size_t take_requests(struct sb_connection *c, const uint8_t *data, size_t len) {
  size_t at = 0;
  while (at < len && c->fd >= 0 && !takes_no_more(c)) {
    if (sb_share_is_used_up(c)) {
      hold(c, SB_HELD_TURN);
      return at;
    }
    if (c->session.blocked) {
      hold(c, SB_HELD_REPLIES);
      return at;
    }
    struct sb_request request;
    const char *error;
    size_t used;
    enum sb_parse parsed = sb_parser_next(&c->parser, data + at, len - at, &used, &request, &error);
    if (parsed == SB_PARSE_MORE) return at + used;
    if (parsed == SB_PARSE_ERROR) {
      if (refuse_input(c, error)) return len;
      hold(c, SB_HELD_RING);
      return at;
    }
    enum sb_held held = sb_command_run(c, &request, sb_bytes(data + at, len - at), &used);
    if (held != SB_HELD_NOT) {
      hold(c, held);
      return at;
    }
    at += used;
    /* Plain publishes take as long as their bytes, and the clock a part of that. */
    if (c->last != c->server->publish) sb_share_tell_time(c);
  }
  return takes_no_more(c) ? len : at;
}

static size_t take_timed(struct sb_connection *c, const uint8_t *data, size_t len) {
  sb_share_begin(c);
  size_t used = take_requests(c, data, len);
  sb_share_tell_time(c);
  return used;
}

/* Keeps what was not used: `at` lies in the shared buffer, or in c->in behind in_at. */
static void keep(struct sb_connection *c, const uint8_t *at, size_t len, bool shared) {
  if (len == 0) {
    free(c->in);
    c->in = NULL;
    c->in_at = c->in_len = c->in_cap = 0;
    return;
  }
  if (!shared) {
    c->in_at = (size_t)(at - c->in);
    c->in_len = c->in_at + len;
    return;
  }
  if (c->in_cap < len) {
    c->in = sb_realloc(c->in, len);
    c->in_cap = len;
  }
  memcpy(c->in, at, len);
  c->in_at = 0;
  c->in_len = len;
}

/* Room for more of a request that is large or not small any more: doubling with what has arrived, so that an
 * announced length costs nothing, and hardly beyond that request, so that the next one starts in the shared
 * buffer. */
static void grow(struct sb_connection *c) {
  size_t kept = c->in_len - c->in_at;
  if (c->in_at > 0) memmove(c->in, c->in + c->in_at, kept);
  c->in_at = 0;
  c->in_len = kept;
  size_t more = kept > SB_READ_BYTES ? kept : SB_READ_BYTES;
  if (more > c->parser.need) more = c->parser.need > SB_READ_BYTES ? c->parser.need : SB_READ_BYTES;
  if (c->in_cap - kept >= more) return;
  c->in_cap = kept + more;
  c->in = sb_realloc(c->in, c->in_cap);
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
  size_t kept = c->in_len - c->in_at, room;
  bool shared = kept == 0 || (kept <= KEPT_SMALL_BYTES && c->parser.need <= SB_READ_BYTES);
  uint8_t *data;
  if (shared) {
    data = server->read_buffer;
    if (kept > 0) memcpy(data, c->in + c->in_at, kept);
    room = SB_READ_BYTES;
  } else {
    grow(c);
    data = c->in;
    room = c->in_cap - kept;
  }

  ssize_t got = recv(c->fd, data + kept, room, 0);
  if (got < 0) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN && errno != EWOULDBLOCK) read_failed(c, errno);
    return false;
  }
  if (got == 0) {
    c->end_of_input = c->peer_done = true;
    return false;
  }
  server->stats.reads++;
  server->stats.bytes_read += (uint64_t)got;
  c->active_ms = uv_now(server->loop);
  *total += (size_t)got;

  size_t len = kept + (size_t)got;
  size_t used = take_timed(c, data, len);
  if (c->fd < 0) return false;
  keep(c, data + used, len - used, shared);
  bool stranger = sb_stranger_is_too_large(c, len - used);
  if (stranger || len - used > server->settings.input_bytes) {
    server->stats.closed_for_input++;
    sb_connection_log_close(c, stranger ? "it sent too much before it gave the password"
                                        : "it sent more than limits.input_bytes that could not be used yet");
    sb_connection_close(c);
    return false;
  }
  return is_reading(c) && ((size_t)got == room || !shared);
}

static void read_input(struct sb_connection *c, size_t budget) {
  size_t total = 0;
  if (sb_share_is_used_up(c) && is_reading(c)) hold(c, SB_HELD_TURN);
  while (total < budget && c->fd >= 0 && is_reading(c) && read_once(c, &total)) continue;
  settle(c);
}

/* The connection broke: what the peer sent before that is still there to be read. */
static void last_words(struct sb_connection *c) {
  read_input(c, LAST_WORDS_BYTES);
  if (c->fd >= 0) peer_gone(c);
}

bool sb_connection_go_on(struct sb_connection *c) {
  leave_waiting(c);
  c->held = SB_HELD_NOT;
  size_t len = c->in_len - c->in_at;
  const uint8_t *data = c->in + c->in_at;
  size_t used = take_timed(c, data, len);
  if (c->fd < 0) return true;
  keep(c, data + used, len - used, false);
  settle(c);
  return used > 0;
}

static void tell_time(const struct sb_server *server);

void sb_connection_take_turn(struct sb_connection *c) {
  tell_time(c->server);
  sb_connection_go_on(c);
  if (c->fd >= 0 && is_reading(c)) read_input(c, READ_BUDGET_BYTES);
}

/* ---- output ---- */

static void watch_soft_limit(struct sb_connection *c) {
  struct sb_server *server = c->server;
  size_t soft = server->settings.output_soft_bytes;
  if (soft == 0 || c->session.out.bytes < soft) {
    sb_link_remove(&c->soft_link);
    return;
  }
  if (sb_link_linked(&c->soft_link)) return;
  c->soft_ms = uv_now(server->loop);
  sb_link_append(&server->soft, &c->soft_link);
}

bool sb_connection_is_over_soft(const struct sb_connection *c, uint64_t now_ms) {
  return now_ms - c->soft_ms > (uint64_t)c->server->settings.output_soft_seconds * 1000;
}

static bool subscribes(const struct sb_session *session) {
  uint32_t count = 0;
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) count += session->sub_count[kind];
  return count > 0;
}

bool sb_connection_is_behind(const struct sb_connection *c) {
  return c->session.out.bytes > c->server->pace.mark_bytes && subscribes(&c->session) &&
         sb_pace_is_patient(&c->server->pace, &c->pace);
}

static void watch_pace(struct sb_connection *c, size_t wrote) {
  sb_pace_has_read(&c->server->pace, &c->pace, wrote);
  if (!sb_connection_is_behind(c))
    sb_link_remove(&c->behind_link);
  else if (!sb_link_linked(&c->behind_link))
    sb_link_append(&c->server->behind, &c->behind_link);
}

/* False when the session is gone. */
static bool write_once(struct sb_connection *c, size_t *total) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  struct msghdr message = {.msg_iov = vec};
  int count = sb_output_peek(&c->session.out, vec, SB_OUTPUT_IOV_MAX);
  message.msg_iovlen = (size_t)count;
  size_t offered = 0;
  for (int i = 0; i < count; i++) offered += vec[i].iov_len;

  ssize_t wrote = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (wrote < 0) {
    if (errno == EINTR) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      c->write_blocked = true;
      return true;
    }
    sb_output_close(&c->session.out);
    last_words(c);
    return false;
  }
  sb_output_drop(&c->session.out, (size_t)wrote);
  c->server->stats.writes++;
  c->server->stats.bytes_written += (uint64_t)wrote;
  *total += (size_t)wrote;
  if ((size_t)wrote < offered || *total >= WRITE_BUDGET_BYTES) c->write_blocked = true;
  return true;
}

void sb_connection_flush(struct sb_connection *c) {
  size_t total = 0;
  if (c->fd < 0) return;
  if (c->deaf) sb_output_close(&c->session.out);
  while (c->session.out.bytes > 0 && !c->write_blocked)
    if (!write_once(c, &total)) return;
  watch_soft_limit(c);
  watch_pace(c, total);
  settle(c);
}

/* ---- events ---- */

static bool has_hung_up(const struct sb_connection *c) {
  struct pollfd look = {.fd = c->fd, .events = POLLIN};
  return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* What the core knows of the time is as old as the loop's last turn. */
static void tell_time(const struct sb_server *server) {
  struct timeval now;
  gettimeofday(&now, NULL);
  sb_core_now(server->core, uv_now(server->loop), (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000);
}

static void take_event(struct sb_connection *c, int status, int events) {
  tell_time(c->server);
  if (status < 0) { /* the connection was reset; libuv has stopped watching */
    c->events = 0;
    last_words(c);
    return;
  }
  if (events & (UV_DISCONNECT | UV_PRIORITIZED)) {
    if (has_hung_up(c)) {
      peer_gone(c);
      return;
    }
    if (events & UV_PRIORITIZED) {
      sb_connection_log_close(c, "it sent urgent data");
      sb_connection_close(c);
      return;
    }
    c->peer_done = true;
    if (!settle(c)) return;
  }
  if (events & UV_WRITABLE) {
    c->write_blocked = false;
    sb_connection_flush(c);
    if (c->fd < 0) return;
  }
  if (events & UV_READABLE) read_input(c, READ_BUDGET_BYTES);
}

static void on_event(uv_poll_t *poll, int status, int events) {
  struct sb_connection *c = poll->data;
  struct sb_server *server = c->server;
  take_event(c, status, events);
  sb_memory_enforce(server);
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
  c->id = server->next_id++;
  c->opened_ms = c->active_ms = uv_now(server->loop);
  sb_link_init(&c->wait_link);
  sb_link_init(&c->monitor_link);
  sb_link_init(&c->soft_link);
  sb_link_init(&c->behind_link);
  sb_link_init(&c->share.link);
  sb_pace_session_init(&server->pace, &c->pace);
  sb_link_append(&server->all, &c->link);
  sb_parser_init(&c->parser, server->settings.request_bytes, SB_REQUEST_ARGS_MAX);
  sb_core_session_open(server->core, &c->session, 2);
  server->stats.sessions++;
  server->stats.sessions_opened++;
  listener->sessions++;
  sb_memory_charge(c);
  sb_stranger_set(c, listener->password != NULL);
  watch(c);
  return c;
}

/* ---- addresses ---- */

static void format_address(const struct sockaddr_storage *address, char *out, size_t size) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
  } else if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
  } else {
    snprintf(out, size, "?:0");
  }
}

void sb_connection_peer(const struct sb_connection *c, char *out, size_t size) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (c->listener->unix_socket) {
    snprintf(out, size, "%s:0", c->listener->file.path);
    return;
  }
  if (c->fd < 0 || getpeername(c->fd, (struct sockaddr *)&address, &len) != 0) address.ss_family = AF_UNSPEC;
  format_address(&address, out, size);
}

void sb_connection_self(const struct sb_connection *c, char *out, size_t size) {
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (c->listener->unix_socket) {
    snprintf(out, size, "%s:0", c->listener->file.path);
    return;
  }
  if (c->fd < 0 || getsockname(c->fd, (struct sockaddr *)&address, &len) != 0) address.ss_family = AF_UNSPEC;
  format_address(&address, out, size);
}
