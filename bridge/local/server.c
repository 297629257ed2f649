#include "bridge/local/server.h"

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
#include "bridge/local/memory.h"
#include "bridge/local/state.h"

#define PACE_TELL_MS 60000 /* between two lines about it */
#define ROOM_TRIES                                                                                           \
  64 /* sessions in a row that found no room: the others are tried when there is room again */

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

static void copy_settings(struct sb_local_settings *to, const struct sb_local_settings *from) {
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

static void free_settings(struct sb_local_settings *settings) {
  free((char *)(uintptr_t)settings->node);
  free((char *)(uintptr_t)settings->broker);
  free((char *)(uintptr_t)settings->config_file);
  free((char *)(uintptr_t)settings->socket.path);
  free((char *)(uintptr_t)settings->tcp.address);
  free((uid_t *)(uintptr_t)settings->socket.allow);
  free_secret(settings->socket.password);
  free_secret(settings->tcp.password);
}

struct sb_local *sb_local_new(uv_loop_t *loop, const struct sb_local_settings *settings,
                              const struct sb_local_io *io) {
  struct sb_local *local = sb_calloc(1, sizeof *local);
  local->loop = loop;
  local->io = *io;
  copy_settings(&local->settings, settings);
  sb_link_init(&local->all);
  sb_link_init(&local->closed);
  sb_link_init(&local->waiting);
  sb_link_init(&local->monitors);
  sb_link_init(&local->soft);
  sb_link_init(&local->behind);
  sb_link_init(&local->shares.waiting);
  sb_pace_init(&local->pace, uv_now(loop), settings->output_hard_bytes, settings->output_soft_bytes);
  sb_command_index_init(&local->commands);
  local->publish = sb_command_find(&local->commands, sb_bytes_of("publish"));
  local->read_buffer = sb_malloc((size_t)2 * SB_READ_BYTES);
  local->next_id = 1;
  local->started_ms = uv_now(loop);
  local->unix_listener.fd = local->tcp_listener.fd = -1;
  sb_strangers_init(&local->unix_listener.strangers);
  sb_strangers_init(&local->tcp_listener.strangers);
  make_run_id(local->run_id);
  return local;
}

/* ---- connections ---- */

/* The kernel lowers a larger number without a word. */
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

static bool has_room(const struct sb_local *local, const struct sb_listener *listener) {
  uint32_t most = local->settings.sessions_max;
  if (local->stats.sessions >= most) return false;
  return listener->unix_socket || listener->sessions < sb_local_tcp_sessions_max(most);
}

/* How many there may be is a setting: who reads it in the log knows what to change. */
static void turn_away(struct sb_local *local, struct sb_listener *listener, int fd) {
  char why[120];
  uint32_t most = local->settings.sessions_max;
  if (local->stats.sessions >= most)
    snprintf(why, sizeof why, "%u sessions are open, and limits.sessions is %u", local->stats.sessions, most);
  else
    snprintf(why, sizeof why, "%u sessions came by TCP, which may have %u of the %u of limits.sessions",
             listener->sessions, sb_local_tcp_sessions_max(most), most);
  sb_listener_turn_away(listener, fd, why);
}

static void on_accepted(void *owner, struct sb_listener *listener, int fd) {
  struct sb_local *local = owner;
  if (local->io.connecting) local->io.connecting(local->io.owner, listener == &local->tcp_listener);
  if (listener->password) sb_strangers_make_room(listener, !has_room(local, listener));
  if (has_room(local, listener))
    sb_connection_open(local, listener, fd);
  else
    turn_away(local, listener, fd);
}

static void on_listener_closed(void *owner, struct sb_listener *listener) {
  (void)owner;
  (void)listener;
}

static int open_listeners(struct sb_local *local, struct sb_error *error) {
  const struct sb_local_settings *s = &local->settings;
  struct sb_listener_io io = {local, on_accepted, on_listener_closed};
  local->unix_listener.backlog = local->tcp_listener.backlog = effective_backlog(s->backlog);
  if (s->socket.path) {
    struct sb_listener *listener = &local->unix_listener;
    listener->file.path = s->socket.path;
    listener->file.mode = s->socket.mode;
    listener->file.set_group = s->socket.set_group;
    listener->file.group = s->socket.group;
    listener->allow_given = s->socket.allow_given;
    listener->allow = s->socket.allow;
    listener->allow_count = s->socket.allow_count;
    listener->password = s->socket.password;
    int code = sb_listener_open_unix(listener, local->loop, &io, error);
    if (code < 0) return code;
  }
  if (!s->tcp.address) return 0;
  local->tcp_listener.password = s->tcp.password;
  int code = sb_listener_open_tcp(&local->tcp_listener, local->loop, &io, s->tcp.address, s->tcp.port, error);
  if (code < 0) sb_listener_close(&local->unix_listener);
  return code;
}

int sb_local_start(struct sb_local *local, struct sb_core *core, struct sb_error *error) {
  local->core = core;
  int code = open_listeners(local, error);
  if (code < 0) return code;
  uv_timer_init(local->loop, &local->soft_timer);
  uv_timer_init(local->loop, &local->stranger_timer);
  local->soft_timer.data = local->stranger_timer.data = local;
  sb_shares_open(local);
  local->timers_open = true;
  sb_memory_tell(local);
  return 0;
}

void sb_local_reload(struct sb_local *local, const struct sb_local_settings *settings) {
  local->settings.sessions_max = settings->sessions_max;
  local->settings.memory_bytes = settings->memory_bytes;
  sb_memory_tell(local);
  local->settings.request_bytes = settings->request_bytes;
  local->settings.input_bytes = settings->input_bytes;
  local->settings.output_hard_bytes = settings->output_hard_bytes;
  local->settings.output_soft_bytes = settings->output_soft_bytes;
  local->settings.output_soft_seconds = settings->output_soft_seconds;
  sb_pace_limits(&local->pace, settings->output_hard_bytes, settings->output_soft_bytes);
  struct sb_link *next;
  for (struct sb_link *at = local->soft.next; at != &local->soft; at = next) {
    next = at->next;
    size_t soft = local->settings.output_soft_bytes;
    if (soft == 0 || SB_OF_LINK(at, struct sb_connection, soft_link)->session.out.bytes < soft)
      sb_link_remove(at);
  }
}

static void replace_password(const char **own, const char *password) {
  bool same = *own && password ? strcmp(*own, password) == 0 : *own == password;
  if (same) return;
  free_secret(*own);
  *own = copy(password);
}

void sb_local_passwords(struct sb_local *local, const char *socket_password, const char *tcp_password) {
  replace_password(&local->settings.socket.password, socket_password);
  replace_password(&local->settings.tcp.password, tcp_password);
  local->unix_listener.password = local->settings.socket.password;
  local->tcp_listener.password = local->settings.tcp.password;
}

/* ---- limits of outputs ---- */

static void close_for_output(struct sb_connection *c, const char *which) {
  c->local->stats.closed_for_output++;
  sb_connection_log_close(c, which);
  sb_connection_close(c);
}

static void close_over_limit(struct sb_connection *c) {
  if (c->evicted)
    sb_connection_close(c); /* it was told when it was dropped */
  else
    close_for_output(c, "its output exceeded limits.output.hard_bytes");
}

static void on_soft_timer(uv_timer_t *timer);

/* The timer runs only while somebody is above the soft limit. */
static void arm_soft_timer(struct sb_local *local) {
  if (!local->timers_open) return;
  if (!sb_link_linked(&local->soft)) {
    uv_timer_stop(&local->soft_timer);
    return;
  }
  if (uv_is_active((uv_handle_t *)&local->soft_timer)) return;
  const struct sb_connection *first = SB_OF_LINK(local->soft.next, struct sb_connection, soft_link);
  uint64_t due = first->soft_ms + (uint64_t)local->settings.output_soft_seconds * 1000 + 1,
           now = uv_now(local->loop);
  uv_timer_start(&local->soft_timer, on_soft_timer, due > now ? due - now : 0, 0);
}

static void on_soft_timer(uv_timer_t *timer) {
  struct sb_local *local = timer->data;
  while (sb_link_linked(&local->soft)) {
    struct sb_connection *c = SB_OF_LINK(local->soft.next, struct sb_connection, soft_link);
    if (!sb_connection_is_over_soft(c, uv_now(local->loop))) break;
    close_for_output(c, "its output stayed above limits.output.soft_bytes for too long");
  }
  arm_soft_timer(local);
}

/* ---- turns ---- */

/* What held it up was replies, and they have come. */
static bool may_go_on(const struct sb_connection *c) {
  uint32_t waiting = sb_session_waiting(&c->session);
  if (c->session.blocked) return false;
  if (c->held == SB_HELD_REPLIES) return waiting == 0;
  return c->held == SB_HELD_RING && waiting < SB_RING_SLOTS_MAX / 2;
}

/* With outage = "refuse". The outbox may have been full without an outage, so some room is waited for. */
static bool refusals_are_over(const struct sb_local *local) {
  uint64_t since;
  struct sb_core_stats stats;
  if (local->refused_sessions == 0 || sb_core_outage(local->core, &since)) return false;
  sb_core_stats(local->core, &stats);
  return stats.outbox_bytes <= stats.outbox_max / 2;
}

/* What they are still owed is written first. */
static void let_the_refused_begin_anew(struct sb_local *local) {
  struct sb_link *next;
  sb_log(SB_LOG_NOTICE, "local",
         "%u sessions that were refused with -BUSY are closed, so that they begin anew",
         local->refused_sessions);
  for (struct sb_link *at = local->all.next; at != &local->all; at = next) {
    struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    next = at->next;
    if (!c->was_refused) continue;
    c->was_refused = false;
    local->refused_sessions--;
    sb_connection_finish(c);
    sb_connection_flush(c);
  }
}

bool sb_local_turn(struct sb_local *local) {
  uint64_t commands = local->stats.commands;
  struct sb_session *session;
  while ((session = sb_core_next_dirty(local->core))) {
    struct sb_connection *c = sb_connection_of(session);
    if (session->over_limit) {
      close_over_limit(c);
      continue;
    }
    if (may_go_on(c)) sb_connection_go_on(c);
    sb_connection_flush(c);
    sb_memory_enforce(local);
  }
  sb_memory_enforce(local);
  if (refusals_are_over(local)) let_the_refused_begin_anew(local);
  arm_soft_timer(local);
  return local->stats.commands != commands;
}

/* ---- the pace of the log ---- */

/* Who has lost its patience is looked at again when it has read something. */
static bool somebody_is_behind(struct sb_local *local) {
  while (sb_link_linked(&local->behind)) {
    struct sb_link *first = local->behind.next;
    if (sb_connection_is_behind(SB_OF_LINK(first, struct sb_connection, behind_link))) return true;
    sb_link_remove(first);
  }
  return false;
}

static void tell_used_up(struct sb_local *local) {
  const struct sb_pace *pace = &local->pace;
  if (pace->used_up == local->pace_used_up) return;
  local->pace_used_up = pace->used_up;
  if (local->pace_told_ms > 0 && pace->now_ms - local->pace_told_ms < PACE_TELL_MS) return;
  local->pace_told_ms = pace->now_ms;
  sb_log(SB_LOG_WARN, "local",
         "sessions read more slowly than messages come, and the log has waited for them long enough: whoever "
         "stays behind is closed at limits.output");
}

bool sb_local_log_stands(struct sb_local *local, bool more) {
  sb_core_logs_stood(local->core, sb_pace_tell_time(&local->pace, uv_now(local->loop)));
  bool stands = sb_pace_decide(&local->pace, more && somebody_is_behind(local));
  tell_used_up(local);
  return stands;
}

void sb_local_log_goes_on(struct sb_local *local) {
  bool silent = sb_pace_was_silent(&local->pace);
  sb_pace_goes_on(&local->pace, silent ? sb_core_unheard_ms(local->core) : 0);
}

void sb_local_link_lost(struct sb_local *local) {
  sb_pace_link_lost(&local->pace);
}

void sb_local_outputs_full(struct sb_local *local, struct sb_session *session, size_t more) {
  sb_memory_make_room(local, session, more);
}

void sb_local_room(struct sb_local *local) {
  struct sb_link batch, refused;
  unsigned in_a_row = 0;
  sb_link_init(&batch);
  sb_link_init(&refused);
  sb_link_prepend_all(&batch, &local->waiting);
  while (sb_link_linked(&batch) && in_a_row < ROOM_TRIES) {
    struct sb_connection *c = SB_OF_LINK(batch.next, struct sb_connection, wait_link);
    bool went_on = sb_connection_go_on(c);
    sb_memory_enforce(local);
    in_a_row = went_on ? 0 : in_a_row + 1;
    if (went_on || c->held != SB_HELD_ROOM) continue;
    sb_link_remove(&c->wait_link); /* it keeps its place */
    sb_link_append(&refused, &c->wait_link);
  }
  /* Who has got something stands behind who has not. When all that were tried wait for something that does
   * not come, the others come first next time. */
  if (sb_link_linked(&batch)) {
    sb_link_prepend_all(&local->waiting, &refused);
    sb_link_prepend_all(&local->waiting, &batch);
  } else {
    sb_link_prepend_all(&local->waiting, &refused);
  }
}

/* ---- the end ---- */

void sb_local_stop_listening(struct sb_local *local) {
  sb_listener_close(&local->unix_listener);
  sb_listener_close(&local->tcp_listener);
}

void sb_local_close(struct sb_local *local) {
  sb_local_stop_listening(local);
  if (local->timers_open) uv_close((uv_handle_t *)&local->soft_timer, NULL);
  while (sb_link_linked(&local->all))
    sb_connection_close(SB_OF_LINK(local->all.next, struct sb_connection, link));
  if (local->timers_open) sb_strangers_stop(local);
  if (local->timers_open) sb_shares_close(local);
  local->timers_open = false;
}

void sb_local_free(struct sb_local *local) {
  if (!local) return;
  while (sb_link_linked(&local->closed)) { /* the core has forgotten them */
    struct sb_connection *c = SB_OF_LINK(local->closed.next, struct sb_connection, link);
    sb_link_remove(&c->link);
    sb_connection_free(c);
  }
  free_settings(&local->settings);
  sb_buf_close(&local->reply);
  sb_buf_close(&local->scratch);
  free(local->read_buffer);
  free(local);
}

/* ---- what is known ---- */

uint16_t sb_local_tcp_port(const struct sb_local *local) {
  return sb_listener_port(&local->tcp_listener);
}

void sb_local_stats(const struct sb_local *local, struct sb_local_stats *out) {
  *out = local->stats;
  out->waiting = local->waiting_count;
  out->monitors = local->monitor_count;
  out->sessions_rejected = local->unix_listener.rejected + local->tcp_listener.rejected;
}
