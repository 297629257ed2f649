#include "bridge/redis/sockets/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/log.h"

#define ACCEPTS_MAX       64  /* in one wake-up, so that sessions get their turn in a storm of connections */
#define PAUSE_MS          100 /* without descriptors and without a spare one */
#define REFUSAL_LOG_MS    10000 /* a client that is refused tends to come back at once */
#define KEEPALIVE_IDLE_S  300   /* Redis: tcp-keepalive */
#define KEEPALIVE_EVERY_S 100   /* likewise, a third */
#define KEEPALIVE_COUNT   3

static const char full[] = "-ERR max number of clients reached\r\n";

static void watch(struct sb_listener *listener);

static void say_and_close(int fd, const char *text) {
  /* A fresh connection has room for a line in the kernel; if not, the peer only sees the end. */
  if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) shutdown(fd, SHUT_RDWR);
  close(fd);
}

static void log_refusal(struct sb_listener *listener, enum sb_turned_away kind, const char *why) {
  uint64_t now = uv_now(listener->poll.loop);
  uint64_t *logged_ms = &listener->turned_away[kind].logged_ms,
           *unlogged = &listener->turned_away[kind].unlogged;
  listener->rejected++;
  if (*logged_ms != 0 && now - *logged_ms < REFUSAL_LOG_MS) {
    ++*unlogged;
    return;
  }
  if (*unlogged > 0)
    sb_log(SB_LOG_WARN, "local", "connection refused: %s (and %llu more before)", why,
           (unsigned long long)*unlogged);
  else
    sb_log(SB_LOG_WARN, "local", "connection refused: %s", why);
  *logged_ms = now;
  *unlogged = 0;
}

void sb_listener_turn_away(struct sb_listener *listener, int fd, const char *why) {
  log_refusal(listener, SB_AWAY_SESSIONS, why);
  say_and_close(fd, full);
}

static bool user_allowed(const struct sb_listener *listener, uid_t user) {
  for (size_t i = 0; i < listener->allow_count; i++)
    if (listener->allow[i] == user) return true;
  return false;
}

static bool peer_allowed(struct sb_listener *listener, int fd) {
  if (!listener->unix_socket || !listener->allow_given) return true;
  struct ucred peer;
  socklen_t size = sizeof peer;
  char why[160];
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    snprintf(why, sizeof why, "its user cannot be told: %s", strerror(errno));
  } else if (user_allowed(listener, peer.uid)) {
    return true;
  } else {
    snprintf(why, sizeof why, "user %lu (process %ld) is not in the list of allowed users",
             (unsigned long)peer.uid, (long)peer.pid);
  }
  log_refusal(listener, SB_AWAY_USER, why);
  return false;
}

static void set_tcp_options(int fd) {
  int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S, count = KEEPALIVE_COUNT;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void take(struct sb_listener *listener, int fd) {
  if (!peer_allowed(listener, fd)) {
    say_and_close(fd, "-NOPERM this user may not use this socket\r\n");
    return;
  }
  if (!listener->unix_socket) set_tcp_options(fd);
  listener->io.accepted(listener->io.owner, listener, fd);
}

static void on_pause_over(uv_timer_t *timer) {
  watch(timer->data);
}

/* No descriptor is left, or no memory. A connection that waits in the backlog would wake the loop again and
 * again. So the spare descriptor is given up to accept the connection and turn it away. Without a spare one
 * the listener stops listening for a moment. True: more may wait. */
static bool turn_away(struct sb_listener *listener, int number) {
  if ((number == EMFILE || number == ENFILE) && listener->spare >= 0) {
    close(listener->spare);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    bool nobody_waits = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0) {
      log_refusal(listener, SB_AWAY_SYSTEM, strerror(number));
      say_and_close(fd, full);
    }
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return true;
    if (nobody_waits) return false;
  }
  log_refusal(listener, SB_AWAY_SYSTEM, strerror(number));
  uv_poll_stop(&listener->poll);
  uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
  return false;
}

static bool connection_is_lost(int number) {
  return number == EINTR || number == ECONNABORTED || number == EPROTO || number == ENETDOWN ||
         number == EPERM;
}

static void on_connection(uv_poll_t *poll, int status, int events) {
  struct sb_listener *listener = poll->data;
  (void)events;
  if (status < 0) {
    sb_log(SB_LOG_ERROR, "local", "listening socket: %s", uv_strerror(status));
    return;
  }
  for (int i = 0; i < ACCEPTS_MAX && listener->fd >= 0; i++) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      take(listener, fd);
      continue;
    }
    bool nobody_waits = errno == EAGAIN || errno == EWOULDBLOCK;
    if (nobody_waits || (!connection_is_lost(errno) && !turn_away(listener, errno))) return;
  }
}

static void watch(struct sb_listener *listener) {
  uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

static int begin(struct sb_listener *listener, uv_loop_t *loop, const struct sb_listener_io *io, int fd,
                 struct sb_error *error) {
  listener->io = *io;
  int code = uv_poll_init(loop, &listener->poll, fd);
  if (code != 0)
    return sb_error_set(error, SB_ERR_SYSTEM, "cannot watch the listening socket: %s", uv_strerror(code));
  uv_timer_init(loop, &listener->pause);
  listener->poll.data = listener->pause.data = listener;
  listener->open_handles = 2;
  listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
  listener->fd = fd;
  watch(listener);
  return 0;
}

int sb_listener_open_unix(struct sb_listener *listener, uv_loop_t *loop, const struct sb_listener_io *io,
                          struct sb_error *error) {
  listener->fd = listener->spare = -1;
  listener->unix_socket = true;
  int fd = sb_socket_file_listen(&listener->file, listener->backlog, error);
  if (fd < 0) return fd;
  int code = begin(listener, loop, io, fd, error);
  if (code == 0) return 0;
  sb_socket_file_remove(&listener->file);
  close(fd);
  return sb_error_wrap(error, "socket %s", listener->file.path);
}

union any_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* The size of the address, or 0 when it is not one of the loopback interface. */
static socklen_t parse_loopback(const char *text, uint16_t port, union any_address *out) {
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return ntohl(out->v4.sin_addr.s_addr) >> 24 == 127 ? sizeof out->v4 : 0;
  }
  if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    return IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr) ? sizeof out->v6 : 0;
  }
  return 0;
}

int sb_listener_open_tcp(struct sb_listener *listener, uv_loop_t *loop, const struct sb_listener_io *io,
                         const char *address, uint16_t port, struct sb_error *error) {
  listener->fd = listener->spare = -1;
  listener->unix_socket = false;
  union any_address where;
  socklen_t size = parse_loopback(address, port, &where);
  if (size == 0)
    return sb_error_set(error, SB_ERR_INVALID,
                        "tcp %s: not an address of the loopback interface (as 127.0.0.1, ::1)", address);
  int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return sb_error_errno(error, errno, "tcp %s port %u", address, port);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &where.any, size) != 0 || listen(fd, listener->backlog) != 0) {
    int number = errno;
    close(fd);
    sb_error_errno(error, number, "tcp %s port %u", address, port);
    if (error && number == EADDRINUSE) error->code = SB_ERR_IN_USE;
    return number == EADDRINUSE ? SB_ERR_IN_USE : SB_ERR_SYSTEM;
  }
  int code = begin(listener, loop, io, fd, error);
  if (code == 0) return 0;
  close(fd);
  return sb_error_wrap(error, "tcp %s port %u", address, port);
}

uint16_t sb_listener_port(const struct sb_listener *listener) {
  union any_address where = {.any = {.sa_family = AF_UNSPEC}};
  socklen_t size = sizeof where;
  if (listener->fd < 0 || getsockname(listener->fd, &where.any, &size) != 0) return 0;
  if (where.any.sa_family == AF_INET) return ntohs(where.v4.sin_port);
  if (where.any.sa_family == AF_INET6) return ntohs(where.v6.sin6_port);
  return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
  struct sb_listener *listener = handle->data;
  if (--listener->open_handles == 0) listener->io.closed(listener->io.owner, listener);
}

void sb_listener_close(struct sb_listener *listener) {
  if (listener->open_handles != 2 || listener->fd < 0) return;
  if (listener->unix_socket) sb_socket_file_remove(&listener->file);
  uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
  uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
  close(listener->fd);
  if (listener->spare >= 0) close(listener->spare);
  listener->fd = listener->spare = -1;
}
