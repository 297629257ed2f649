/* Wires sessions, core and transport to one libuv loop. A turn of the loop ends in on_prepare, right before
 * libuv sleeps. By then every callback of the turn has fed the core, which now sends, answers, and says when
 * it wants to be called next. All of this file is on the loop's thread but wake(), which transports call from
 * theirs. */
#include "bridge/daemon.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#ifdef SB_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "bridge/base/clock.h"
#include "bridge/base/limits.h"
#include "bridge/broker.h"
#include "bridge/core/core.h"
#include "bridge/core/wire/name.h"
#include "bridge/listen_password.h"
#include "bridge/login.h"
#include "bridge/redis/server.h"
#include "bridge/redis/sockets/pace.h"
#include "bridge/reload.h"
#include "bridge/tls_keeper.h"
#include "transports/signing.h"
#include "transports/transport.h"

/* So many events, or events for so long, then sessions have their turn. What an event costs is up to its
 * sender. */
#define EVENTS_PER_TURN    1024
#define EVENTS_NS_PER_TURN UINT64_C(10000000)
#define ROUNDS_PER_TURN    16 /* the embedded broker echoes within the turn */

enum phase { RUNNING, DRAINING, CLOSING, CLOSED };

struct daemon {
  struct sb_config *config;
  const char *config_path;
  struct sb_reload *reload; /* NULL: none is under way */
  uv_loop_t loop;
  int wake_fd; /* an eventfd; uv_async_t would spin while the thread that woke us finishes its call */
  uv_poll_t wake;
  uv_timer_t timer;
  uv_prepare_t prepare;
  uv_signal_t on_term, on_int, on_hup;
  struct sb_core *core;
  struct sb_server *server;
  struct sb_transport *transport;
  struct sb_login_keeper *login;
  struct sb_tls_keeper *tls;
  struct sb_signing *signing; /* NULL: the hub has no key */
  struct sb_listen_password socket_password, tcp_password;
  pthread_t thread;
  bool events_ready;      /* the transport woke us on our own thread */
  bool log_stands;        /* nothing is taken from the logs, so that sessions can catch up */
  uint64_t events_end_ns; /* when this turn stops taking events */
  uint64_t timer_due_ms;
  enum phase phase;
  uint64_t drain_until_ms;
  bool was_ready;
  int status; /* of the process */
};

static void notify(const char *state) {
#ifdef SB_HAVE_SYSTEMD
  sd_notify(0, state);
#else
  (void)state;
#endif
}

/* ---- effects of the core ---- */

static int core_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                        struct sb_body *body, uint64_t token) {
  struct daemon *d = owner;
  if (!d->signing) return sb_transport_publish(d->transport, partition, envelope, body, token);
  struct sb_envelope own = *envelope;
  sb_signing_sign(d->signing, partition, &own, body);
  return sb_transport_publish(d->transport, partition, &own, body, token);
}

static int core_read_back(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token) {
  struct daemon *d = owner;
  return sb_transport_read_back(d->transport, partition, from, to, token);
}

static void core_read_back_stop(void *owner, uint64_t token) {
  struct daemon *d = owner;
  sb_transport_read_back_stop(d->transport, token);
}

static void core_room(void *owner) {
  struct daemon *d = owner;
  sb_server_room(d->server);
}

static void core_outputs_full(void *owner, struct sb_session *session, size_t more) {
  struct daemon *d = owner;
  sb_server_outputs_full(d->server, session, more);
}

static void core_released(void *owner, struct sb_session *session) {
  struct daemon *d = owner;
  sb_server_released(d->server, session);
}

static void core_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  (void)owner;
  sb_log_line(level, "core", cause, line);
}

/* Logs what a stop leaves unanswered: those sessions see their connection close without a reply. */
static void tell_what_is_given_up(const struct daemon *d) {
  struct sb_core_unanswered left;
  struct sb_core_stats core;
  struct sb_server_stats server;
  sb_core_unanswered(d->core, &left);
  sb_core_stats(d->core, &core);
  sb_server_stats(d->server, &server);
  if (left.requests > 0)
    sb_log(SB_LOG_WARN, "bridge",
           "gave up %llu requests of sessions, %llu bytes in the outbox, that the broker did not bring back "
           "before the "
           "stop: %llu of them were never sent, the others may still reach other nodes",
           (unsigned long long)left.requests, (unsigned long long)core.outbox_bytes,
           (unsigned long long)left.unsent);
  if (server.waiting > 0)
    sb_log(SB_LOG_WARN, "bridge",
           "gave up what %u sessions had sent and waited to have taken: nothing of it was", server.waiting);
}

static void begin_close(struct daemon *d) {
  if (d->phase >= CLOSING) return;
  d->phase = CLOSING;
  tell_what_is_given_up(d);
  sb_server_close(d->server);
  sb_transport_close(d->transport);
}

static void core_fatal(void *owner, const char *why) {
  struct daemon *d = owner;
  sb_log(SB_LOG_ERROR, "core", "%s", why);
  d->status = 1;
  /* Not from within the core: the turn ends first. */
  d->phase = d->phase < DRAINING ? DRAINING : d->phase;
  d->drain_until_ms = 0;
}

/* ---- events of the transport ---- */

static void ring(const struct daemon *d) {
  uint64_t one = 1;
  ssize_t wrote = write(d->wake_fd, &one, sizeof one);
  (void)wrote; /* it fails only when it has rung 2^64 times unheard */
}

static void wake(void *owner) {
  struct daemon *d = owner;
  if (pthread_equal(pthread_self(), d->thread))
    d->events_ready = true;
  else
    ring(d);
}

static void end_reload(struct daemon *d);

static void on_wake(uv_poll_t *poll, int status, int events) {
  struct daemon *d = poll->data;
  uint64_t rung;
  (void)status;
  (void)events;
  if (read(d->wake_fd, &rung, sizeof rung) > 0) d->events_ready = true;
  if (d->phase == RUNNING) end_reload(d);
}

/* The core tells sessions why the broker is away; the transport knows. */
static void tell_outage_reason(struct daemon *d) {
  static const char key[] = "broker_last_error:";
  struct sb_buf text = {0};
  sb_transport_status(d->transport, &text);
  sb_buf_append(&text, "", 1);
  char *at = strstr((char *)text.data, key);
  if (at) {
    at += sizeof key - 1;
    at[strcspn(at, "\r\n")] = 0;
    if (at[0]) sb_core_outage_reason(d->core, at);
  }
  sb_buf_close(&text);
}

static void take_link(struct daemon *d, const struct sb_event *event) {
  sb_core_link(d->core, event->partition, event->link.side, event->link.up);
  if (event->link.up)
    sb_core_set_entry_max(d->core, sb_transport_max_body(d->transport));
  else
    sb_server_link_lost(d->server);
}

static void close_handles(struct daemon *d) {
  d->phase = CLOSED;
  uv_close((uv_handle_t *)&d->wake, NULL);
  uv_close((uv_handle_t *)&d->timer, NULL);
  uv_close((uv_handle_t *)&d->prepare, NULL);
  uv_close((uv_handle_t *)&d->on_term, NULL);
  uv_close((uv_handle_t *)&d->on_int, NULL);
  uv_close((uv_handle_t *)&d->on_hup, NULL);
}

static void take_event(struct daemon *d, struct sb_event *event) {
  switch (event->kind) {
  case SB_EVENT_LINK:
    take_link(d, event);
    break;
  case SB_EVENT_ATTACHED:
    sb_core_attached(d->core, event->partition, event->attach);
    break;
  case SB_EVENT_SETTLED:
    sb_core_settled(d->core, event->partition, event->settled.token, event->settled.outcome);
    break;
  case SB_EVENT_STORED:
    sb_core_stored(d->core, event->partition, event->stored.token, event->stored.message.sequence,
                   &event->stored.message.envelope, event->stored.message.channel,
                   event->stored.message.body);
    break;
  case SB_EVENT_STORED_END:
    sb_core_stored_end(d->core, event->partition, event->stored_end.token,
                       event->stored_end.outcome == SB_STORED_DONE);
    break;
  case SB_EVENT_REASON:
    tell_outage_reason(d);
    break;
  case SB_EVENT_CLOSED:
    close_handles(d);
    break;
  case SB_EVENT_DELIVERY:
    sb_server_log_goes_on(d->server);
    sb_core_delivery(d->core, event->partition, event->delivery.sequence, &event->delivery.envelope,
                     event->delivery.channel, event->delivery.body);
    break;
  }
}

static bool is_time_over(const struct daemon *d) {
  return uv_hrtime() >= d->events_end_ns;
}

/* Gives events to the core, but drops them once the bridge closes: sessions are gone by then. True when an
 * output has grown so much that sessions must have their turn first. */
static bool take_events(struct daemon *d) {
  struct sb_event event;
  d->events_ready = false;
  for (int i = 0; i < EVENTS_PER_TURN && !is_time_over(d); i++) {
    if (!sb_transport_next(d->transport, &event)) return false;
    if (d->phase < CLOSING || event.kind == SB_EVENT_CLOSED)
      take_event(d, &event);
    else
      sb_event_close(&event);
    if (!sb_core_output_rose(d->core)) continue;
    d->events_ready = true;
    return true;
  }
  d->events_ready = true;
  return false;
}

static void look_at_pace(struct daemon *d) {
  d->log_stands = d->phase == RUNNING && sb_server_log_stands(d->server, d->events_ready);
}

static bool may_take(const struct daemon *d) {
  return d->events_ready && !d->log_stands;
}

/* ---- the end of a turn ---- */

static void on_timer(uv_timer_t *timer) {
  (void)timer; /* on_prepare does the work of every turn */
}

/* A timer that fires too early costs one empty turn, so it is moved only when something is due before it. */
static void arm_timer(struct daemon *d, uint64_t due) {
  uint64_t now = uv_now(&d->loop);
  if (d->phase == DRAINING && d->drain_until_ms < due) due = d->drain_until_ms;
  if (due == UINT64_MAX) return;
  if (uv_is_active((uv_handle_t *)&d->timer) && d->timer_due_ms <= due && d->timer_due_ms > now) return;
  d->timer_due_ms = due > now ? due : now + 1;
  uv_timer_start(&d->timer, on_timer, d->timer_due_ms - now, 0);
}

static void watch_readiness(struct daemon *d) {
  bool ready = sb_core_ready(d->core);
  if (ready == d->was_ready) return;
  d->was_ready = ready;
  sb_log(SB_LOG_NOTICE, "bridge", "%s", ready ? "ready" : "not ready: finding the state of the logs again");
}

static void on_prepare(uv_prepare_t *prepare) {
  struct daemon *d = prepare->data;
  sb_core_now(d->core, uv_now(&d->loop), sb_clock_unix_ms());
  look_at_pace(d);
  d->events_end_ns = uv_hrtime() + EVENTS_NS_PER_TURN;
  for (int round = 0; round < ROUNDS_PER_TURN; round++) {
    bool sessions_first = may_take(d) && take_events(d);
    if (d->phase >= CLOSING) break;
    sb_core_turn(d->core);
    if (d->events_ready && is_time_over(d)) break;
    if (may_take(d) && !sessions_first) continue;
    bool fed = sb_server_turn(d->server);
    look_at_pace(d);
    if (!fed && !may_take(d)) break;
  }
  if (d->events_ready && d->phase < CLOSING) sb_server_turn(d->server);
  if (may_take(d) && d->phase != CLOSED) ring(d); /* go on after sessions had their turn */
  if (d->phase >= CLOSING) return;
  watch_readiness(d);
  if (d->phase == DRAINING && (sb_core_stop(d->core) || uv_now(&d->loop) >= d->drain_until_ms)) {
    sb_server_turn(d->server); /* the last replies */
    begin_close(d);
    return;
  }
  if (d->phase == DRAINING && d->events_ready) ring(d); /* the embedded broker has echoed our BYE already */
  uint64_t due = sb_core_deadline(d->core), look = uv_now(&d->loop) + SB_PACE_LOOK_MS;
  arm_timer(d, d->log_stands && look < due ? look : due);
}

/* ---- signals ---- */

static void on_stop_signal(uv_signal_t *handle, int number) {
  struct daemon *d = handle->data;
  if (d->phase != RUNNING) {
    begin_close(d); /* asked twice: do not wait for what is under way */
    return;
  }
  sb_log(SB_LOG_NOTICE, "bridge", "stopping (%s)", number == SIGTERM ? "SIGTERM" : "SIGINT");
  notify("STOPPING=1");
  d->phase = DRAINING;
  d->drain_until_ms = uv_now(&d->loop) + d->config->limits.drain_ms;
  sb_server_stop_listening(d->server);
}

static void core_settings(const struct sb_config *config, struct sb_core_settings *out) {
  *out = (struct sb_core_settings){
      .partitions = config->topics.partitions,
      .batch_bytes = config->batch.max_bytes,
      .outbox_bytes = config->outbox.max_bytes,
      .output_hard_bytes = config->limits.output.hard_bytes,
      .output_mark_bytes = sb_pace_mark(config->limits.output.hard_bytes, config->limits.output.soft_bytes),
      .channel_bytes = config->limits.channel_bytes,
      .pattern_bytes = config->limits.pattern_bytes,
      .patterns_max = config->limits.patterns,
      .lease_ms = config->cluster.lease_ms,
      .found_ms = config->cluster.found_ms,
      .linger_ms = config->batch.linger_ms,
      .rate_per_s = config->batch.rate_per_s,
      .log_begins_here = config->broker == SB_CONFIG_MEMORY,
      .history_bytes = config->history.max_bytes,
      .history_age_ms = (uint64_t)config->history.max_age_s * 1000,
      .history_prefill = config->history.prefill,
      .refuse_in_outage = config->outage == SB_CONFIG_OUTAGE_REFUSE,
      .compress =
          config->batch.compression == SB_CONFIG_COMPRESSION_AUTO && config->broker != SB_CONFIG_MEMORY,
  };
  if (config->broker == SB_CONFIG_RABBITMQ) {
    out->log_bytes = config->rabbitmq.retention.max_bytes;
    out->log_age_ms = (uint64_t)config->rabbitmq.retention.max_age_s * 1000;
    out->quiet_ms = config->cluster.lease_ms;
  }
  snprintf(out->node, sizeof out->node, "%s", config->node);
}

static void server_settings(const struct sb_config *config, const char *config_path,
                            struct sb_server_settings *out) {
  *out = (struct sb_server_settings){
      .node = config->node,
      .broker = sb_config_broker_name(config->broker),
      .config_file = config_path,
      .partitions = config->topics.partitions,
      .socket = {.path = config->socket.path,
                 .mode = (mode_t)config->socket.mode,
                 .set_group = config->socket.group != NULL,
                 .group = config->socket.gid,
                 .allow_given = config->socket.allow_users.set,
                 .allow = config->socket.allow_uids,
                 .allow_count = config->socket.allow_users.count,
                 .password = config->socket.password},
      .sessions_max = config->limits.sessions,
      .memory_bytes = sb_config_sessions_memory(config),
      .backlog = config->limits.backlog,
      .request_bytes = config->limits.request_bytes,
      .input_bytes = config->limits.input_bytes,
      .output_hard_bytes = config->limits.output.hard_bytes,
      .output_soft_bytes = config->limits.output.soft_bytes,
      .output_soft_seconds = config->limits.output.soft_seconds,
  };
  if (!config->tcp.on) return;
  out->tcp.address = config->tcp.address;
  out->tcp.port = (uint16_t)config->tcp.port;
  out->tcp.password = config->tcp.password;
}

static void log_report(const struct sb_config_report *report) {
  for (size_t i = 0; i < report->count; i++)
    sb_log(report->problems[i].warning ? SB_LOG_WARN : SB_LOG_ERROR, "config", "%s",
           report->problems[i].text);
}

/* A reload changes keys, but does not turn signing on or off. */
static void apply_hub_keys(struct daemon *d) {
  struct sb_error error;
  if (!d->signing) return;
  if (sb_signing_set(d->signing, d->config->hub.key, d->config->hub.other_key, &error) != 0)
    sb_log(SB_LOG_ERROR, "bridge", "%s; the keys before stay", error.text);
}

static void apply_settings(struct daemon *d) {
  struct sb_core_settings core;
  struct sb_server_settings server;
  core_settings(d->config, &core);
  server_settings(d->config, d->config_path, &server);
  sb_core_reload(d->core, &core);
  sb_server_reload(d->server, &server);
  sb_server_passwords(d->server, d->config->socket.password, d->config->tcp.password);
  sb_log_threshold(d->config->log.level);
  sb_login_keeper_set(d->login, d->config);
  sb_tls_keeper_set(d->tls, d->config);
  apply_hub_keys(d);
  sb_transport_retry(d->transport);
}

static void end_reload(struct daemon *d) {
  struct sb_config loaded;
  struct sb_config_report report;
  int result;
  if (!d->reload || !sb_reload_take(d->reload, &result, &loaded, &report)) return;
  d->reload = NULL;
  if (result == 0) result = sb_config_replace(d->config, &loaded, &report);
  log_report(&report);
  sb_config_report_close(&report);
  if (result != 0) {
    sb_log(SB_LOG_ERROR, "bridge", "SIGHUP: refused, all settings stay as they were");
    return;
  }
  apply_settings(d);
  sb_log(SB_LOG_NOTICE, "bridge", "SIGHUP: settings read again");
}

static void on_reload_signal(uv_signal_t *handle, int number) {
  struct daemon *d = handle->data;
  struct sb_error error;
  (void)number;
  if (d->phase != RUNNING) return;
  if (!d->config_path) {
    sb_log(SB_LOG_WARN, "bridge", "SIGHUP: there is no configuration file to read again");
    return;
  }
  end_reload(d);
  if (d->reload) {
    sb_log(SB_LOG_WARN, "bridge", "SIGHUP: the settings are still being read after the one before");
    return;
  }
  d->reload = sb_reload_begin(d->config_path, d->wake_fd, &error);
  if (!d->reload) sb_log(SB_LOG_ERROR, "bridge", "SIGHUP: all settings stay as they were: %s", error.text);
}

/* ---- start and end ---- */

static void broker_status(void *owner, struct sb_buf *out) {
  struct daemon *d = owner;
  sb_transport_status(d->transport, out);
}

static void somebody_connects(void *owner, bool tcp) {
  struct daemon *d = owner;
  struct sb_config *config = d->config;
  bool changed = false;
  if (tcp && !config->tcp.password_far)
    changed = sb_listen_password_refresh(&d->tcp_password, config->tcp.password_file, &config->tcp.password);
  if (!tcp && config->socket.password_file && !config->socket.password_far)
    changed = sb_listen_password_refresh(&d->socket_password, config->socket.password_file,
                                         &config->socket.password);
  if (changed) sb_server_passwords(d->server, config->socket.password, config->tcp.password);
}

/* `size` is 256 at most: getrandom gives that whole. */
static int draw(void *out, size_t size, struct sb_error *error) {
  if (getrandom(out, size, 0) == (ssize_t)size) return 0;
  return sb_error_errno(error, errno, "no random numbers");
}

/* Draws the nonce of this process, and the secrets that no client may know. */
static int draw_secrets(struct sb_core_settings *core, struct sb_error *error) {
  uint8_t secret[SB_NAME_SECRET_BYTES];
  if (draw(&core->nonce, sizeof core->nonce, error) != 0 ||
      draw(core->name_key.bytes, sizeof core->name_key.bytes, error) != 0 ||
      draw(secret, sizeof secret, error) != 0)
    return -1;
  sb_name_secret(secret);
  return 0;
}

/* Writes what another process reads when it meets this one under its own name. */
static void say_who(char *out, size_t size) {
  char host[HOST_NAME_MAX + 1] = "", since[32] = "";
  struct tm when;
  time_t now = time(NULL);
  if (gethostname(host, sizeof host - 1) != 0) snprintf(host, sizeof host, "unknown");
  for (char *c = host; *c; c++)
    if (*c <= ' ' || *c > '~') *c = '?';
  if (gmtime_r(&now, &when)) strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &when);
  snprintf(out, size, "process %ld on host %.100s, running since %s", (long)getpid(), host, since);
}

/* Many sessions need many descriptors: take what the system grants. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_parts(struct daemon *d, struct sb_error *error) {
  struct sb_core_settings core;
  struct sb_server_settings server;
  struct sb_core_io core_io = {d,        core_publish, core_room, core_released,    core_fatal,
                               core_log, NULL,         NULL,      core_outputs_full};
  const struct sb_server_io server_io = {d, broker_status, somebody_connects};
  core_settings(d->config, &core);
  server_settings(d->config, d->config_path, &server);
  if (draw_secrets(&core, error) != 0) return -1;
  say_who(core.about, sizeof core.about);
  d->server = sb_server_new(&d->loop, &server, &server_io);
  if (d->config->hub.key) {
    d->signing =
        sb_signing_new(d->config->topics.prefix, d->config->hub.key, d->config->hub.other_key, error);
    if (!d->signing) return -1;
  }
  const struct sb_transport_common common = {.partitions = d->config->topics.partitions,
                                             .prefix = d->config->topics.prefix,
                                             .wake = wake,
                                             .wake_owner = d,
                                             .signing = d->signing};
  d->login = sb_login_keeper_new(d->config);
  d->tls = sb_tls_keeper_new(d->config);
  d->transport = sb_broker_new(d->config, sb_login_keeper_source(d->login), sb_tls_keeper_source(d->tls),
                               core.nonce, &common, error);
  if (!d->transport) return -1;
  core.hides_tail = d->transport->ops->hides_tail;
  if (sb_transport_reads_back(d->transport)) {
    core_io.read_back = core_read_back;
    core_io.read_back_stop = core_read_back_stop;
  }
  d->core = sb_core_new(&core, &core_io, uv_now(&d->loop), sb_clock_unix_ms());
  sb_core_set_entry_max(d->core, sb_transport_max_body(d->transport));
  if (sb_server_start(d->server, d->core, error) != 0) return -1;
  if (sb_transport_start(d->transport, error) != 0) return -1;
  for (uint32_t i = 0; i < d->config->topics.partitions; i++) sb_transport_attach(d->transport, i);
  return 0;
}

static void open_handles(struct daemon *d) {
  uv_poll_init(&d->loop, &d->wake, d->wake_fd);
  uv_timer_init(&d->loop, &d->timer);
  uv_prepare_init(&d->loop, &d->prepare);
  uv_signal_init(&d->loop, &d->on_term);
  uv_signal_init(&d->loop, &d->on_int);
  uv_signal_init(&d->loop, &d->on_hup);
  d->wake.data = d->timer.data = d->prepare.data = d->on_term.data = d->on_int.data = d->on_hup.data = d;
  uv_poll_start(&d->wake, UV_READABLE, on_wake);
  uv_prepare_start(&d->prepare, on_prepare);
  uv_signal_start(&d->on_term, on_stop_signal, SIGTERM);
  uv_signal_start(&d->on_int, on_stop_signal, SIGINT);
  uv_signal_start(&d->on_hup, on_reload_signal, SIGHUP);
}

static void close_parts(struct daemon *d) {
  sb_core_free(d->core);
  sb_transport_free(d->transport);
  sb_login_keeper_free(d->login);
  sb_tls_keeper_free(d->tls);
  sb_signing_free(d->signing);
  sb_server_free(d->server);
}

static void say_what_starts(const struct sb_config *config, const char *config_path) {
  struct sb_buf broker = {0};
  sb_broker_describe(config, &broker);
  sb_log(SB_LOG_NOTICE, "bridge",
         "sidebus " SB_VERSION " starts: node %s, configuration %s, broker %.*s, %u partition%s of \"%s\", "
         "socket %s",
         config->node, config_path ? config_path : "none (the defaults)", (int)broker.len,
         (const char *)broker.data, (unsigned)config->topics.partitions,
         config->topics.partitions == 1 ? "" : "s", config->topics.prefix, config->socket.path);
  sb_buf_close(&broker);
}

int sb_daemon_run(struct sb_config *config, const char *config_path) {
  struct daemon d = {.config = config,
                     .config_path = config_path,
                     .thread = pthread_self(),
                     .socket_password = {.key = "socket.password_file"},
                     .tcp_password = {.key = "tcp.password_file"}};
  struct sb_error error = {0};
  say_what_starts(config, config_path);
  raise_descriptor_limit();
  d.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (d.wake_fd < 0) {
    sb_log(SB_LOG_ERROR, "bridge", "cannot start: eventfd: %s", strerror(errno));
    return 1;
  }
  uv_loop_init(&d.loop);
  open_handles(&d);
  if (open_parts(&d, &error) != 0) {
    sb_log(SB_LOG_ERROR, "bridge", "cannot start: %s", error.text);
    d.status = 1;
    if (d.server) sb_server_close(d.server);
    close_handles(&d);
  }
  if (d.status == 0)
    notify("READY=1"); /* sessions are served from here on, and wait while the broker is away */
  uv_run(&d.loop, UV_RUN_DEFAULT);
  sb_reload_abandon(d.reload);
  close_parts(&d);
  uv_loop_close(&d.loop);
  close(d.wake_fd);
  if (d.status == 0) sb_log(SB_LOG_NOTICE, "bridge", "stopped");
  return d.status;
}
