#include "bridge/redis/server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/system_memory.h"
#include "bridge/redis/commands/run.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/events.h"
#include "bridge/redis/sockets/evict.h"
#include "bridge/redis/sockets/hold.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/pacing.h"
#include "bridge/redis/sockets/reading.h"
#include "bridge/redis/sockets/roster.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"
#include "bridge/redis/sockets/soft_limit.h"
#include "bridge/redis/sockets/strangers.h"
#include "bridge/redis/sockets/writing.h"

/* ---- the beginning ---- */

static char *copy(const char *text) {
  return text ? sb_strdup(text) : NULL;
}

static void make_run_id(char out[static 41]) {
  static const char hex[] = "0123456789abcdef";
  uint8_t random[20];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) memset(random, 0, sizeof random);
  for (size_t i = 0; i < sizeof random; i++) {
    out[2 * i] = hex[random[i] >> 4];
    out[2 * i + 1] = hex[random[i] & 15];
  }
  out[40] = 0;
}

static void copy_settings(struct sb_server_settings *to, const struct sb_server_settings *from) {
  *to = *from;
  to->node = copy(from->node);
  to->broker = copy(from->broker);
  to->config_file = copy(from->config_file);
  to->socket.path = copy(from->socket.path);
  to->socket.password = copy(from->socket.password);
  to->tcp.address = copy(from->tcp.address);
  to->tcp.password = copy(from->tcp.password);
  uid_t *allow = sb_malloc(from->socket.allow_count * sizeof *allow);
  if (from->socket.allow_count > 0)
    memcpy(allow, from->socket.allow, from->socket.allow_count * sizeof *allow);
  to->socket.allow = allow;
}

static void free_secret(const char *secret) {
  char *own = (char *)(uintptr_t)secret;
  if (own) explicit_bzero(own, strlen(own));
  free(own);
}

static void free_settings(struct sb_server_settings *settings) {
  free((char *)(uintptr_t)settings->node);
  free((char *)(uintptr_t)settings->broker);
  free((char *)(uintptr_t)settings->config_file);
  free((char *)(uintptr_t)settings->socket.path);
  free((char *)(uintptr_t)settings->tcp.address);
  free((uid_t *)(uintptr_t)settings->socket.allow);
  free_secret(settings->socket.password);
  free_secret(settings->tcp.password);
}

struct sb_server *sb_server_new(uv_loop_t *loop, const struct sb_server_settings *settings,
                                const struct sb_server_io *io) {
  struct sb_server *server = sb_calloc(1, sizeof *server);
  server->loop = loop;
  server->io = *io;
  copy_settings(&server->settings, settings);
  sb_roster_init(&server->roster);
  sb_waiting_init(&server->waiting);
  sb_shares_init(&server->shares);
  sb_soft_limit_init(&server->soft);
  sb_pacing_init(server);
  sb_commands_begin(server);
  server->read_buffer = sb_malloc((size_t)2 * SB_READ_BYTES);
  server->started_ms = uv_now(loop);
  server->unix_listener.fd = server->tcp_listener.fd = -1;
  sb_strangers_init(&server->unix_listener.strangers);
  sb_strangers_init(&server->tcp_listener.strangers);
  make_run_id(server->run_id);
  return server;
}

/* ---- connections ---- */

/* The backlog that the kernel really gives: it lowers a larger number without a word. */
static int effective_backlog(uint32_t wanted) {
  uint64_t allowed;
  int most = SOMAXCONN;
  if (sb_read_number("/proc/sys/net/core/somaxconn", &allowed) && allowed <= INT_MAX) most = (int)allowed;
  if (wanted == 0 || wanted == (uint32_t)most) return most;
  if (wanted < (uint32_t)most) return (int)wanted;
  sb_log(SB_LOG_WARN, "local", "limits.backlog = %u: the system allows %d (net.core.somaxconn)",
         (unsigned)wanted, most);
  return most;
}

static bool has_room(const struct sb_server *server, const struct sb_listener *listener) {
  uint32_t most = server->settings.sessions_max;
  if (server->roster.count >= most) return false;
  return listener->unix_socket || listener->sessions < sb_server_tcp_sessions_max(most);
}

/* Says which setting is the limit, so that the reader of the log knows what to change. */
static void turn_away(struct sb_server *server, struct sb_listener *listener, int fd) {
  char why[120];
  uint32_t most = server->settings.sessions_max;
  if (server->roster.count >= most)
    snprintf(why, sizeof why, "%u sessions are open, and limits.sessions is %u", server->roster.count, most);
  else
    snprintf(why, sizeof why, "%u sessions came by TCP, which may have %u of the %u of limits.sessions",
             listener->sessions, sb_server_tcp_sessions_max(most), most);
  sb_listener_turn_away(listener, fd, why);
}

static void on_accepted(void *owner, struct sb_listener *listener, int fd) {
  struct sb_server *server = owner;
  if (server->io.connecting) server->io.connecting(server->io.owner, listener == &server->tcp_listener);
  if (listener->password) sb_strangers_make_room(listener, !has_room(server, listener));
  if (has_room(server, listener))
    sb_connection_open(server, listener, fd);
  else
    turn_away(server, listener, fd);
}

static void on_listener_closed(void *owner, struct sb_listener *listener) {
  (void)owner;
  (void)listener;
}

static int open_listeners(struct sb_server *server, struct sb_error *error) {
  const struct sb_server_settings *s = &server->settings;
  struct sb_listener_io io = {server, on_accepted, on_listener_closed};
  server->unix_listener.backlog = server->tcp_listener.backlog = effective_backlog(s->backlog);
  if (s->socket.path) {
    struct sb_listener *listener = &server->unix_listener;
    listener->file.path = s->socket.path;
    listener->file.mode = s->socket.mode;
    listener->file.set_group = s->socket.set_group;
    listener->file.group = s->socket.group;
    listener->allow_given = s->socket.allow_given;
    listener->allow = s->socket.allow;
    listener->allow_count = s->socket.allow_count;
    listener->password = s->socket.password;
    int code = sb_listener_open_unix(listener, server->loop, &io, error);
    if (code < 0) return code;
  }
  if (!s->tcp.address) return 0;
  server->tcp_listener.password = s->tcp.password;
  int code =
      sb_listener_open_tcp(&server->tcp_listener, server->loop, &io, s->tcp.address, s->tcp.port, error);
  if (code < 0) sb_listener_close(&server->unix_listener);
  return code;
}

int sb_server_start(struct sb_server *server, struct sb_core *core, struct sb_error *error) {
  server->core = core;
  int code = open_listeners(server, error);
  if (code < 0) return code;
  sb_soft_limit_begin(server);
  sb_strangers_begin(server);
  sb_sessions_begin(server);
  server->timers_open = true;
  sb_memory_tell(server);
  return 0;
}

void sb_server_reload(struct sb_server *server, const struct sb_server_settings *settings) {
  server->settings.sessions_max = settings->sessions_max;
  server->settings.memory_bytes = settings->memory_bytes;
  sb_memory_tell(server);
  server->settings.request_bytes = settings->request_bytes;
  server->settings.input_bytes = settings->input_bytes;
  server->settings.output_hard_bytes = settings->output_hard_bytes;
  server->settings.output_soft_bytes = settings->output_soft_bytes;
  server->settings.output_soft_seconds = settings->output_soft_seconds;
  sb_pacing_reload(server);
  sb_soft_limit_reload(server);
}

static void replace_password(const char **own, const char *password) {
  bool same = *own && password ? strcmp(*own, password) == 0 : *own == password;
  if (same) return;
  free_secret(*own);
  *own = copy(password);
}

void sb_server_passwords(struct sb_server *server, const char *socket_password, const char *tcp_password) {
  replace_password(&server->settings.socket.password, socket_password);
  replace_password(&server->settings.tcp.password, tcp_password);
  server->unix_listener.password = server->settings.socket.password;
  server->tcp_listener.password = server->settings.tcp.password;
}

/* ---- limits of outputs ---- */

static void close_for_output(struct sb_connection *c, const char *which) {
  c->server->stats.closed_for_output++;
  sb_connection_log_close(c, which);
  sb_connection_close(c);
}

static void close_over_limit(struct sb_connection *c) {
  if (c->evicted)
    sb_connection_close(c); /* its end was logged when it was dropped */
  else
    close_for_output(c, "its output exceeded limits.output.hard_bytes");
}

static void on_soft_timer(uv_timer_t *timer) {
  struct sb_server *server = timer->data;
  struct sb_connection *c;
  while ((c = sb_soft_limit_next(server)))
    close_for_output(c, "its output stayed above limits.output.soft_bytes for too long");
  sb_soft_limit_arm(server, on_soft_timer);
}

/* ---- turns ---- */

/* Whether it waited for replies that have come. */
static bool may_go_on(const struct sb_connection *c) {
  uint32_t waiting = sb_session_waiting(&c->session);
  if (c->session.blocked) return false;
  if (c->held == SB_HELD_REPLIES) return waiting == 0;
  return c->held == SB_HELD_RING && waiting < SB_RING_SLOTS_MAX / 2;
}

/* With outage = "refuse" sessions get -BUSY. That ends when there is no outage and the outbox is half full at
 * most; it may have been full without an outage. */
static bool busy_is_over(const struct sb_server *server) {
  uint64_t since;
  struct sb_core_stats stats;
  if (server->busy_sessions == 0 || sb_core_outage(server->core, &since)) return false;
  sb_core_stats(server->core, &stats);
  return stats.outbox_bytes <= stats.outbox_max / 2;
}

/* Closes sessions that got -BUSY, once the replies that are due to them are written. */
static void let_the_busy_begin_anew(struct sb_server *server) {
  struct sb_link *next;
  sb_log(SB_LOG_NOTICE, "local",
         "%u sessions that were refused with -BUSY are closed, so that they begin anew",
         server->busy_sessions);
  for (struct sb_link *at = server->roster.open.next; at != &server->roster.open; at = next) {
    struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    next = at->next;
    if (!c->told_busy) continue;
    sb_connection_forget_busy(c);
    sb_connection_finish(c);
    sb_connection_flush(c);
  }
}

bool sb_server_turn(struct sb_server *server) {
  uint64_t commands = server->stats.commands;
  struct sb_session *session;
  while ((session = sb_core_next_dirty(server->core))) {
    struct sb_connection *c = sb_connection_of(session);
    if (sb_session_is_over_limit(session)) {
      close_over_limit(c);
      continue;
    }
    if (may_go_on(c)) sb_connection_go_on(c);
    sb_connection_flush(c);
    sb_evict_over_budget(server);
  }
  sb_evict_over_budget(server);
  if (busy_is_over(server)) let_the_busy_begin_anew(server);
  if (server->timers_open) sb_soft_limit_arm(server, on_soft_timer);
  return server->stats.commands != commands;
}

/* ---- the log ---- */

bool sb_server_log_stands(struct sb_server *server, bool more) {
  return sb_pacing_log_stands(server, more);
}

void sb_server_log_goes_on(struct sb_server *server) {
  sb_pacing_log_goes_on(server);
}

void sb_server_link_lost(struct sb_server *server) {
  sb_pace_link_lost(&server->pacing.pace);
}

void sb_server_outputs_full(struct sb_server *server, struct sb_session *session, size_t more) {
  sb_evict_for_output(server, session, more);
}

void sb_server_room(struct sb_server *server) {
  sb_sessions_room(server);
}

void sb_server_released(struct sb_server *server, struct sb_session *session) {
  (void)server;
  sb_connection_released(sb_connection_of(session));
}

/* ---- the end ---- */

void sb_server_stop_listening(struct sb_server *server) {
  sb_listener_close(&server->unix_listener);
  sb_listener_close(&server->tcp_listener);
}

void sb_server_close(struct sb_server *server) {
  sb_server_stop_listening(server);
  if (server->timers_open) sb_soft_limit_end(server);
  while (sb_link_linked(&server->roster.open))
    sb_connection_close(SB_OF_LINK(server->roster.open.next, struct sb_connection, link));
  if (server->timers_open) sb_strangers_stop(server);
  if (server->timers_open) sb_shares_close(&server->shares);
  server->timers_open = false;
}

void sb_server_free(struct sb_server *server) {
  if (!server) return;
  while (sb_link_linked(&server->roster.closed)) { /* the core has forgotten them */
    struct sb_connection *c = SB_OF_LINK(server->roster.closed.next, struct sb_connection, link);
    sb_roster_remove(c);
    sb_connection_free(c);
  }
  sb_commands_end(server);
  free_settings(&server->settings);
  sb_buf_close(&server->reply);
  free(server->read_buffer);
  free(server);
}

/* ---- what is known ---- */

uint16_t sb_server_tcp_port(const struct sb_server *server) {
  return sb_listener_port(&server->tcp_listener);
}

void sb_server_stats(const struct sb_server *server, struct sb_server_stats *out) {
  *out = server->stats;
  out->sessions = server->roster.count;
  out->sessions_opened = server->roster.last_id;
  out->error_replies += out->protocol_errors;
  out->waiting = server->waiting.count;
  out->monitors = sb_commands_monitors(server);
  out->sessions_rejected = server->unix_listener.rejected + server->tcp_listener.rejected;
}
