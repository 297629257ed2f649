#include "transports/rabbitmq/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "bridge/base/log.h"
#include "bridge/base/thread.h"
#include "bridge/base/wipe.h"

#define PORT_AMQP               5672
#define PORT_AMQPS              5671
#define HOST_NAME_MAX_LEN       255 /* RFC 1035 */
#define STREAM_TEXT             272 /* "stream <prefix>.<p>" */
#define PREFETCH_MAX            UINT16_MAX
#define HEARTBEAT_MAX_S         UINT16_MAX
/* RabbitMQ takes 128 MiB by default up to 3.13 and 16 MiB since; until it has said its version, assume less.
 */
#define MAX_BODY_BEFORE_CONNECT ((size_t)16 * 1024 * 1024)
/* A broker that is well brings the first message within a few ms, also from an old segment. But it is silent
 * for ever when asked for what is beyond the end of a stream, as after it was made again. */
#define READ_BACK_SILENCE_MS    5000
/* Who reads back does it in several pieces; making a connection costs more than keeping one for a while. */
#define READ_BACK_IDLE_MS       30000

/* What is in the log comes to a reader that is well within milliseconds. */
#define ECHO_LIMIT_MS  5000
/* How long a stream that ends too early may be a copy that is behind. RabbitMQ elects a leader and brings its
 * copies up in less. */
#define BEHIND_MS      30000
/* Of an outage that lasts: rare enough for nights, often enough to be found in the tail of a log. */
#define REMIND_MS      300000
/* RabbitMQ fails in itself when it is used while it starts or while others make the same streams. */
#define TRANSIENT_TEXT "INTERNAL_ERROR"

/* ---- settings ---- */

static bool skip_prefix(const char **at, const char *prefix) {
  size_t len = strlen(prefix);
  if (strncmp(*at, prefix, len) != 0) return false;
  *at += len;
  return true;
}

/* Splits "name:port", "name", "[v6]:port" or "[v6]"; `port` stays empty when there is none. */
static bool split_host(const char *text, struct sb_bytes *name, struct sb_bytes *port) {
  const char *end;
  if (*text == '[') {
    end = strchr(++text, ']');
    if (!end) return false;
    *name = sb_bytes(text, (size_t)(end - text));
    end++;
  } else {
    end = text + strcspn(text, ":");
    *name = sb_bytes(text, (size_t)(end - text));
  }
  *port = sb_bytes(NULL, 0);
  if (*end == 0) return true;
  if (*end != ':' || end[1] == 0) return false;
  *port = sb_bytes_of(end + 1);
  return true;
}

static int parse_host(struct sb_rabbitmq_host *host, const char *url, struct sb_error *error) {
  const char *at = url;
  host->tls = false;
  if (skip_prefix(&at, "amqps://"))
    host->tls = true;
  else if (!skip_prefix(&at, "amqp://"))
    return sb_error_set(error, SB_ERR_INVALID, "host \"%s\" must begin with amqp:// or amqps://", url);

  struct sb_bytes name, port;
  if (!split_host(at, &name, &port) || name.len == 0 || name.len > HOST_NAME_MAX_LEN ||
      memchr(name.at, '/', name.len) || memchr(name.at, '@', name.len))
    return sb_error_set(error, SB_ERR_INVALID, "host \"%s\" must be amqp://name or amqp://name:port", url);
  uint64_t number = host->tls ? PORT_AMQPS : PORT_AMQP;
  if (port.len && (!sb_bytes_u64(port, UINT16_MAX, &number) || number == 0))
    return sb_error_set(error, SB_ERR_INVALID, "host \"%s\" has no usable port", url);

  host->port = (uint16_t)number;
  host->name = sb_calloc(1, name.len + 1);
  memcpy(host->name, name.at, name.len);
  struct sb_buf text = {0};
  bool brackets = strchr(host->name, ':') != NULL;
  sb_buf_printf(&text, "%s%s%s:%u", brackets ? "[" : "", host->name, brackets ? "]" : "",
                (unsigned)host->port);
  host->text = sb_calloc(1, text.len + 1);
  memcpy(host->text, text.data, text.len);
  sb_buf_close(&text);
  return 0;
}

static int check(const struct sb_rabbitmq_settings *settings, struct sb_error *error) {
  const char *wrong = NULL;
  if (settings->host_count == 0) wrong = "no host is given";
  if (!settings->vhost || (!settings->login.read && (!settings->user || !settings->password)))
    wrong = "vhost, user and password are needed";
  if (!settings->tls.cert_file != !settings->tls.key_file)
    wrong = "a client certificate needs both its files";
  if (settings->prefetch == 0 || settings->prefetch > PREFETCH_MAX) wrong = "prefetch must be 1 to 65535";
  if (settings->heartbeat_s > HEARTBEAT_MAX_S) wrong = "heartbeat must be at most 65535 s";
  if (settings->connect_timeout_ms == 0 || settings->rpc_timeout_ms == 0)
    wrong = "time-outs must not be zero";
  if (settings->backoff_min_ms == 0 || settings->backoff_max_ms < settings->backoff_min_ms)
    wrong = "back-off must be above zero, its maximum not below its minimum";
  return wrong ? sb_error_set(error, SB_ERR_INVALID, "%s", wrong) : 0;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
  return value ? value : otherwise;
}

static void copy_settings(struct sb_rabbitmq_settings *to, const struct sb_rabbitmq_settings *from) {
  *to = *from;
  to->read_back_silence_ms = or_default(from->read_back_silence_ms, READ_BACK_SILENCE_MS);
  to->read_back_idle_ms = or_default(from->read_back_idle_ms, READ_BACK_IDLE_MS);
  to->echo_limit_ms = or_default(from->echo_limit_ms, ECHO_LIMIT_MS);
  to->behind_ms = or_default(from->behind_ms, BEHIND_MS);
  to->remind_ms = or_default(from->remind_ms, REMIND_MS);
  to->hosts = NULL;
  to->host_count = 0;
  to->vhost = sb_strdup_or_null(from->vhost);
  to->user = sb_strdup_or_null(from->user);
  to->password = sb_strdup_or_null(from->password);
  to->tls.ca_file = sb_strdup_or_null(from->tls.ca_file);
  to->tls.cert_file = sb_strdup_or_null(from->tls.cert_file);
  to->tls.key_file = sb_strdup_or_null(from->tls.key_file);
  to->max_age = sb_strdup_or_null(from->max_age);
  to->connection_name = sb_strdup_or_null(from->connection_name);
}

static void free_settings(const struct sb_rabbitmq_settings *settings) {
  sb_wipe_free((char *)settings->password);
  const char *const owned[] = {settings->vhost,          settings->user,         settings->tls.ca_file,
                               settings->tls.cert_file,  settings->tls.key_file, settings->max_age,
                               settings->connection_name};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free((char *)owned[i]);
}

/* The sum of the bytes: names that differ in their last digit, as those of a hub often do, take hosts one
 * after the other. */
static size_t first_host(const struct sb_rabbitmq_settings *settings) {
  size_t sum = 0;
  for (const char *at = settings->connection_name; at && *at; at++) sum += (uint8_t)*at;
  return sum % settings->host_count;
}

int sb_rabbitmq_board_init(struct sb_rabbitmq_board *board, const struct sb_transport_common *common,
                           const struct sb_rabbitmq_settings *settings, struct sb_error *error) {
  int rc = check(settings, error);
  if (rc) return rc;
  *board = (struct sb_rabbitmq_board){0};
  copy_settings(&board->settings, settings);
  board->hosts = sb_calloc(settings->host_count, sizeof *board->hosts);
  board->reasons = sb_calloc(2 * settings->host_count, sizeof *board->reasons);
  board->host_count = settings->host_count;
  board->first_host = first_host(settings);
  board->sides[SB_LINK_PUBLISH].host = board->sides[SB_LINK_CONSUME].host = board->first_host;
  board->retentions = sb_calloc(common->partitions, sizeof *board->retentions);
  board->exchange = sb_strdup(common->prefix);
  board->partitions = common->partitions;
  board->since = time(NULL);
  board->outage_since_ms = sb_clock_ms();
  board->echoes = sb_calloc(common->partitions, sizeof *board->echoes);
  for (uint32_t i = 0; i < common->partitions; i++) {
    atomic_init(&board->echoes[i].wanted, false);
    atomic_init(&board->echoes[i].print, 0);
    atomic_init(&board->echoes[i].confirmed_at_ms, 0);
  }
  pthread_mutex_init(&board->declaring, NULL);
  board->known = sb_calloc(common->partitions, sizeof *board->known);
  atomic_init(&board->usable_from_ms, 0);
  atomic_init(&board->may_not_bind, false);
  atomic_init(&board->max_body, MAX_BODY_BEFORE_CONNECT);
  atomic_init(&board->max_body_learnt, SIZE_MAX);
  pthread_mutex_init(&board->lock, NULL);
  sb_condition_init(&board->ended);
  for (size_t i = 0; rc == 0 && i < board->host_count; i++)
    rc = parse_host(&board->hosts[i], settings->hosts[i], error);
  if (rc) {
    sb_rabbitmq_board_close(board);
    return rc;
  }
  board->events = sb_event_queue_new(SB_TRANSPORT_EVENTS_MAX, (size_t)SB_TRANSPORT_EVENTS_BYTES_MAX,
                                     common->wake, common->wake_owner);
  return 0;
}

void sb_rabbitmq_board_close(struct sb_rabbitmq_board *board) {
  for (size_t i = 0; i < board->host_count; i++) {
    free(board->hosts[i].name);
    free(board->hosts[i].text);
  }
  free(board->hosts);
  free(board->reasons);
  free(board->echoes);
  free(board->known);
  pthread_mutex_destroy(&board->declaring);
  free(board->retentions);
  free(board->exchange);
  free_settings(&board->settings);
  sb_event_queue_free(board->events);
  pthread_cond_destroy(&board->ended);
  pthread_mutex_destroy(&board->lock);
}

/* ---- state ---- */

static bool both_well(const struct sb_rabbitmq_board *board) {
  return board->sides[SB_LINK_PUBLISH].well && board->sides[SB_LINK_CONSUME].well;
}

static bool both_up(const struct sb_rabbitmq_board *board) {
  return board->sides[SB_LINK_PUBLISH].up && board->sides[SB_LINK_CONSUME].up;
}

static const char *host_text(const struct sb_rabbitmq_board *board, size_t host) {
  return board->hosts[host].text;
}

static void announce_up(struct sb_rabbitmq_board *board) {
  size_t publish = board->sides[SB_LINK_PUBLISH].host, consume = board->sides[SB_LINK_CONSUME].host;
  board->announced = true;
  board->outage_logged = false;
  board->since = time(NULL);
  if (board->ever_connected) atomic_fetch_add(&board->reconnects, 1);
  board->ever_connected = true;
  memset(board->reasons, 0, 2 * board->host_count * sizeof *board->reasons);
  if (publish == consume)
    sb_log(SB_LOG_NOTICE, SB_RABBITMQ_AREA, "connected to %s", host_text(board, publish));
  else
    sb_log(SB_LOG_NOTICE, SB_RABBITMQ_AREA, "connected to %s (publishing) and %s (consuming)",
           host_text(board, publish), host_text(board, consume));
}

void sb_rabbitmq_board_up(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t host) {
  pthread_mutex_lock(&board->lock);
  board->sides[side] = (struct sb_rabbitmq_side_state){.up = true, .host = host};
  pthread_mutex_unlock(&board->lock);
}

void sb_rabbitmq_board_well(struct sb_rabbitmq_board *board, enum sb_link_side side) {
  pthread_mutex_lock(&board->lock);
  board->sides[side].well = true;
  if (both_well(board) && !board->announced) announce_up(board);
  pthread_mutex_unlock(&board->lock);
}

bool sb_rabbitmq_board_is_up(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t *host) {
  pthread_mutex_lock(&board->lock);
  bool up = board->sides[side].up;
  *host = board->sides[side].host;
  pthread_mutex_unlock(&board->lock);
  return up;
}

/* The bridge reads the reason itself, the newest there is when it comes to it. */
static void set_last_error(struct sb_rabbitmq_board *board, int code, const char *what, const char *why) {
  sb_error_set(&board->last_error, code, "rabbitmq %s: %s", what, why);
  sb_event_queue_tell_reason(board->events);
}

/* The second connection to a lost broker, and that it still cannot be reached, tell nothing new. Another
 * reason, such as a refused login, does when it lasts: a broker that starts refuses this and that for a
 * moment. */
static bool is_news(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t host,
                    const struct sb_error *why) {
  struct sb_rabbitmq_reason *reason = &board->reasons[(size_t)side * board->host_count + host];
  const struct sb_rabbitmq_reason *other = &board->reasons[(size_t)!side * board->host_count + host];
  uint64_t hash = sb_hash_text(why->text) | 1;
  int64_t now_ms = sb_clock_ms();
  if (reason->hash != hash) *reason = (struct sb_rabbitmq_reason){.hash = hash, .since_ms = now_ms};
  reason->times++;
  if (other->hash == hash && other->told) reason->told = true;
  bool transient = strstr(why->text, TRANSIENT_TEXT) != NULL;
  bool news = board->announced || (!board->outage_logged && !transient);
  if (!news && !board->sides[side].well && !reason->told && (why->code != SB_ERR_LINK || transient))
    news = reason->times > 1 && now_ms - reason->since_ms >= SB_RABBITMQ_TELL_AFTER_MS;
  reason->told = reason->told || news;
  return news;
}

static void log_down(const struct sb_rabbitmq_board *board, const struct sb_rabbitmq_side_state *side,
                     enum sb_log_level level, size_t host, const char *why, int64_t next_try_ms) {
  const char *what = side->up ? "cannot use" : "cannot connect to";
  sb_log(level, SB_RABBITMQ_AREA, "%s %s%s: %s; next try in %.1f s", side->well ? "link to" : what,
         host_text(board, host), side->well ? " lost" : "", why, (double)next_try_ms / 1000);
}

void sb_rabbitmq_board_down(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t host,
                            const struct sb_error *why, int64_t next_try_ms) {
  pthread_mutex_lock(&board->lock);
  bool news = is_news(board, side, host, why);
  if (board->announced) board->since = time(NULL);
  board->announced = false;
  board->outage_logged = board->outage_logged || news;
  log_down(board, &board->sides[side], news ? SB_LOG_WARN : SB_LOG_DEBUG, host, why->text, next_try_ms);
  board->sides[side].up = board->sides[side].well = false;
  if (side == SB_LINK_PUBLISH) board->blocked = false;
  set_last_error(board, why->code, host_text(board, host), why->text);
  pthread_mutex_unlock(&board->lock);
}

/* Under the lock. */
static bool in_outage(const struct sb_rabbitmq_board *board) {
  return board->links_up < 2 * board->partitions;
}

void sb_rabbitmq_board_remind(struct sb_rabbitmq_board *board) {
  int64_t now_ms = sb_clock_ms();
  pthread_mutex_lock(&board->lock);
  int64_t since_ms = board->outage_since_ms, told_ms = board->reminded_ms;
  if (told_ms < since_ms) told_ms = since_ms;
  bool due = in_outage(board) && now_ms - told_ms >= board->settings.remind_ms;
  if (due) {
    int64_t lasts_s = (now_ms - since_ms) / 1000;
    board->reminded_ms = now_ms;
    sb_log(SB_LOG_WARN, SB_RABBITMQ_AREA, "still down for %" PRId64 " %s: %s",
           lasts_s < 60 ? lasts_s : lasts_s / 60, lasts_s < 60 ? "s" : "min", board->last_error.text);
  }
  pthread_mutex_unlock(&board->lock);
}

void sb_rabbitmq_board_blocked(struct sb_rabbitmq_board *board, size_t host, bool blocked, const char *why) {
  pthread_mutex_lock(&board->lock);
  board->blocked = blocked;
  board->since = time(NULL);
  if (blocked) {
    char text[SB_ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "publishing is blocked: %s", why);
    set_last_error(board, SB_ERR_FULL, host_text(board, host), text);
    sb_log(SB_LOG_WARN, SB_RABBITMQ_AREA, "%s blocks publishing: %s", host_text(board, host), why);
  } else {
    sb_log(SB_LOG_NOTICE, SB_RABBITMQ_AREA, "%s takes publishes again", host_text(board, host));
  }
  pthread_mutex_unlock(&board->lock);
}

void sb_rabbitmq_board_trouble(struct sb_rabbitmq_board *board, uint32_t partition, const char *why,
                               bool news) {
  char what[STREAM_TEXT];
  snprintf(what, sizeof what, "stream %s.%" PRIu32, board->exchange, partition);
  pthread_mutex_lock(&board->lock);
  set_last_error(board, SB_ERR_REFUSED, what, why);
  sb_log(news ? SB_LOG_WARN : SB_LOG_DEBUG, SB_RABBITMQ_AREA, "%s: %s", what, why);
  pthread_mutex_unlock(&board->lock);
}

void sb_rabbitmq_board_retention_differs(struct sb_rabbitmq_board *board, uint32_t partition,
                                         const char *why) {
  struct sb_rabbitmq_retention *retention = &board->retentions[partition];
  pthread_mutex_lock(&board->lock);
  if (!retention->told) snprintf(retention->why, sizeof retention->why, "%s", why);
  pthread_mutex_unlock(&board->lock);
}

void sb_rabbitmq_board_is_stream(struct sb_rabbitmq_board *board, uint32_t partition) {
  struct sb_rabbitmq_retention *retention = &board->retentions[partition];
  pthread_mutex_lock(&board->lock);
  bool news = retention->why[0] && !retention->told;
  retention->told = retention->told || news;
  if (news)
    sb_log(SB_LOG_WARN, SB_RABBITMQ_AREA,
           "stream %s.%" PRIu32 " keeps the retention that it was made with, unless a policy changes it: %s",
           board->exchange, partition, retention->why);
  pthread_mutex_unlock(&board->lock);
}

static const char *link_text(const struct sb_rabbitmq_board *board) {
  if (board->blocked) return "blocked";
  if (both_up(board)) return "up";
  if (board->sides[SB_LINK_PUBLISH].up) return "consume-down";
  if (board->sides[SB_LINK_CONSUME].up) return "publish-down";
  return "down";
}

void sb_rabbitmq_board_status(struct sb_rabbitmq_board *board, struct sb_buf *out) {
  pthread_mutex_lock(&board->lock);
  sb_buf_printf(out, "broker_host:%s\r\n", host_text(board, board->sides[SB_LINK_PUBLISH].host));
  sb_buf_printf(out, "broker_link:%s\r\n", link_text(board));
  sb_buf_printf(out, "broker_since:%lld\r\n", (long long)board->since);
  sb_buf_printf(out, "broker_last_error:%s\r\n", board->last_error.text);
  pthread_mutex_unlock(&board->lock);
  sb_buf_printf(out, "broker_published:%" PRIuLEAST64 "\r\n", atomic_load(&board->published));
  sb_buf_printf(out, "broker_confirmed:%" PRIuLEAST64 "\r\n", atomic_load(&board->confirmed));
  sb_buf_printf(out, "broker_delivered:%" PRIuLEAST64 "\r\n", atomic_load(&board->delivered));
  sb_buf_printf(out, "broker_read_back:%" PRIuLEAST64 "\r\n", atomic_load(&board->read_back));
  sb_buf_printf(out, "broker_reconnects:%" PRIuLEAST64 "\r\n", atomic_load(&board->reconnects));
}

void sb_rabbitmq_board_ended(struct sb_rabbitmq_board *board) {
  pthread_mutex_lock(&board->lock);
  board->running--;
  pthread_cond_broadcast(&board->ended);
  pthread_mutex_unlock(&board->lock);
}

/* ---- events ---- */

void sb_rabbitmq_board_link(struct sb_rabbitmq_board *board, uint32_t partition, enum sb_link_side side,
                            bool up) {
  pthread_mutex_lock(&board->lock);
  if (!in_outage(board)) board->outage_since_ms = sb_clock_ms();
  board->links_up = up ? board->links_up + 1 : board->links_up - 1;
  pthread_mutex_unlock(&board->lock);
  struct sb_event event = {.kind = SB_EVENT_LINK, .partition = partition, .link = {side, up}};
  sb_event_queue_push(board->events, &event);
}

void sb_rabbitmq_board_attached(struct sb_rabbitmq_board *board, uint32_t partition, enum sb_attach how) {
  struct sb_event event = {.kind = SB_EVENT_ATTACHED, .partition = partition, .attach = how};
  sb_event_queue_push(board->events, &event);
}

void sb_rabbitmq_board_settled(struct sb_rabbitmq_board *board, uint32_t partition, uint64_t token,
                               enum sb_settle outcome) {
  struct sb_event event = {.kind = SB_EVENT_SETTLED, .partition = partition, .settled = {token, outcome}};
  sb_event_queue_push(board->events, &event);
}

void sb_rabbitmq_board_stored_end(struct sb_rabbitmq_board *board, uint32_t partition, uint64_t token,
                                  enum sb_stored outcome) {
  struct sb_event event = {
      .kind = SB_EVENT_STORED_END, .partition = partition, .stored_end = {token, outcome}};
  sb_event_queue_push(board->events, &event);
}
