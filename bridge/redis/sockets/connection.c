#include "bridge/redis/sockets/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "bridge/base/assert.h"
#include "bridge/base/error.h"
#include "bridge/base/log.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/server_struct.h"

void sb_connection_told_busy(struct sb_connection *c) {
  if (c->told_busy) return;
  c->told_busy = true;
  c->server->busy_sessions++;
}

void sb_connection_forget_busy(struct sb_connection *c) {
  if (!c->told_busy) return;
  SB_ASSERT(c->server->busy_sessions > 0);
  c->told_busy = false;
  c->server->busy_sessions--;
}

const char *sb_connection_name(const struct sb_connection *c) {
  return c->words ? c->server->requests.name(c) : "";
}

void sb_connection_log_close(struct sb_connection *c, const char *why) {
  char peer[SB_ADDRESS_TEXT];
  sb_connection_peer(c, peer, sizeof peer);
  char line[SB_ERROR_TEXT_MAX];
  snprintf(line, sizeof line, "session id=%llu addr=%s name=%.100s closed: %s", (unsigned long long)c->id,
           peer, sb_connection_name(c), why);
  /* Each reason has a rate of its own: many strangers do not hide who was closed for its output. */
  sb_log_line(SB_LOG_NOTICE, "local", why, line);
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
