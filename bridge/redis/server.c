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
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/reading.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"
#include "bridge/redis/sockets/strangers.h"
#include "bridge/redis/sockets/writing.h"

#define PACE_TELL_MS 60000 /* at least so long between two lines that the pace's budget is used up */
#define ROOM_TRIES                                                                                           \
  64 /* after so many sessions in a row that found no room the others wait for the next call */

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
  sb_link_init(&server->all);
  sb_link_init(&server->closed);
  sb_link_init(&server->waiting);
  sb_link_init(&server->soft);
  sb_link_init(&server->behind);
  sb_link_init(&server->shares.waiting);
  sb_pace_init(&server->pace, uv_now(loop), settings->output_hard_bytes, settings->output_soft_bytes);
  sb_commands_begin(server);
  server->read_buffer = sb_malloc((size_t)2 * SB_READ_BYTES);
  server->next_id = 1;
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
  if (server->stats.sessions >= most) return false;
  return listener->unix_socket || listener->sessions < sb_server_tcp_sessions_max(most);
}

/* Says which setting is the limit, so that the reader of the log knows what to change. */
static void turn_away(struct sb_server *server, struct sb_listener *listener, int fd) {
  char why[120];
  uint32_t most = server->settings.sessions_max;
  if (server->stats.sessions >= most)
    snprintf(why, sizeof why, "%u sessions are open, and limits.sessions is %u", server->stats.sessions,
             most);
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
  uv_timer_init(server->loop, &server->soft_timer);
  server->soft_timer.data = server;
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
  sb_pace_limits(&server->pace, settings->output_hard_bytes, settings->output_soft_bytes);
  struct sb_link *next;
  for (struct sb_link *at = server->soft.next; at != &server->soft; at = next) {
    next = at->next;
    size_t soft = server->settings.output_soft_bytes;
    if (soft == 0 || SB_OF_LINK(at, struct sb_connection, soft_link)->session.outlet.out.bytes < soft)
      sb_link_remove(at);
  }
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

static void on_soft_timer(uv_timer_t *timer);

/* The timer runs only while somebody is above the soft limit. */
static void arm_soft_timer(struct sb_server *server) {
  if (!server->timers_open) return;
  if (!sb_link_linked(&server->soft)) {
    uv_timer_stop(&server->soft_timer);
    return;
  }
  if (uv_is_active((uv_handle_t *)&server->soft_timer)) return;
  const struct sb_connection *first = SB_OF_LINK(server->soft.next, struct sb_connection, soft_link);
  uint64_t due = first->soft_ms + (uint64_t)server->settings.output_soft_seconds * 1000 + 1,
           now = uv_now(server->loop);
  uv_timer_start(&server->soft_timer, on_soft_timer, due > now ? due - now : 0, 0);
}

static void on_soft_timer(uv_timer_t *timer) {
  struct sb_server *server = timer->data;
  while (sb_link_linked(&server->soft)) {
    struct sb_connection *c = SB_OF_LINK(server->soft.next, struct sb_connection, soft_link);
    if (!sb_connection_is_over_soft(c, uv_now(server->loop))) break;
    close_for_output(c, "its output stayed above limits.output.soft_bytes for too long");
  }
  arm_soft_timer(server);
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
  for (struct sb_link *at = server->all.next; at != &server->all; at = next) {
    struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    next = at->next;
    if (!c->told_busy) continue;
    c->told_busy = false;
    server->busy_sessions--;
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
  arm_soft_timer(server);
  return server->stats.commands != commands;
}

/* ---- the pace of the log ---- */

/* A session without patience leaves the list. It comes back when it has read something and is still behind.
 */
static bool somebody_is_behind(struct sb_server *server) {
  while (sb_link_linked(&server->behind)) {
    struct sb_link *first = server->behind.next;
    if (sb_connection_is_behind(SB_OF_LINK(first, struct sb_connection, behind_link))) return true;
    sb_link_remove(first);
  }
  return false;
}

static void log_used_up(struct sb_server *server) {
  const struct sb_pace *pace = &server->pace;
  if (pace->used_up == server->pace_used_up) return;
  server->pace_used_up = pace->used_up;
  if (server->pace_told_ms > 0 && pace->now_ms - server->pace_told_ms < PACE_TELL_MS) return;
  server->pace_told_ms = pace->now_ms;
  sb_log(SB_LOG_WARN, "local",
         "sessions read more slowly than messages come, and the log has waited for them long enough: whoever "
         "stays behind is closed at limits.output");
}

bool sb_server_log_stands(struct sb_server *server, bool more) {
  sb_core_logs_stood(server->core, sb_pace_tell_time(&server->pace, uv_now(server->loop)));
  bool stands = sb_pace_decide(&server->pace, more && somebody_is_behind(server));
  log_used_up(server);
  return stands;
}

void sb_server_log_goes_on(struct sb_server *server) {
  bool silent = sb_pace_was_silent(&server->pace);
  sb_pace_goes_on(&server->pace, silent ? sb_core_unheard_ms(server->core) : 0);
}

void sb_server_link_lost(struct sb_server *server) {
  sb_pace_link_lost(&server->pace);
}

void sb_server_outputs_full(struct sb_server *server, struct sb_session *session, size_t more) {
  sb_evict_for_output(server, session, more);
}

void sb_server_room(struct sb_server *server) {
  struct sb_link batch, refused;
  unsigned in_a_row = 0;
  sb_link_init(&batch);
  sb_link_init(&refused);
  sb_link_prepend_all(&batch, &server->waiting);
  while (sb_link_linked(&batch) && in_a_row < ROOM_TRIES) {
    struct sb_connection *c = SB_OF_LINK(batch.next, struct sb_connection, wait_link);
    bool went_on = sb_connection_go_on(c);
    sb_evict_over_budget(server);
    in_a_row = went_on ? 0 : in_a_row + 1;
    if (went_on || c->held != SB_HELD_ROOM) continue;
    sb_link_remove(&c->wait_link); /* it keeps its place */
    sb_link_append(&refused, &c->wait_link);
  }
  /* A session that went on and waits again is at the end of the list by now. When the tries have ended early,
   * the sessions that were not tried come first next time: those that were tried may wait for something that
   * does not come. */
  if (sb_link_linked(&batch)) {
    sb_link_prepend_all(&server->waiting, &refused);
    sb_link_prepend_all(&server->waiting, &batch);
  } else {
    sb_link_prepend_all(&server->waiting, &refused);
  }
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
  if (server->timers_open) uv_close((uv_handle_t *)&server->soft_timer, NULL);
  while (sb_link_linked(&server->all))
    sb_connection_close(SB_OF_LINK(server->all.next, struct sb_connection, link));
  if (server->timers_open) sb_strangers_stop(server);
  if (server->timers_open) sb_shares_close(&server->shares);
  server->timers_open = false;
}

void sb_server_free(struct sb_server *server) {
  if (!server) return;
  while (sb_link_linked(&server->closed)) { /* the core has forgotten them */
    struct sb_connection *c = SB_OF_LINK(server->closed.next, struct sb_connection, link);
    sb_link_remove(&c->link);
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
  out->waiting = server->waiting_count;
  out->monitors = sb_commands_monitors(server);
  out->sessions_rejected = server->unix_listener.rejected + server->tcp_listener.rejected;
}
