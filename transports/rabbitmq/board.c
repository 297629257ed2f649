#include "transports/rabbitmq/board.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "bridge/base/log.h"
#include "bridge/base/thread.h"

#define PORT_AMQP               5672
#define PORT_AMQPS              5671
#define HOST_NAME_MAX_LEN       255 /* RFC 1035 */
#define STREAM_TEXT             272 /* "stream <prefix>.<p>" */
/* RabbitMQ takes 128 MiB by default up to 3.13, and 16 MiB since. Until it has said its version, assume
 * less. */
#define MAX_BODY_BEFORE_CONNECT ((size_t)16 * 1024 * 1024)
/* RabbitMQ fails in itself when it is used while it starts or while others make the same streams. */
#define TRANSIENT_TEXT          "INTERNAL_ERROR"

/* ---- hosts ---- */

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

/* By the sum of the bytes of the node's name. Names that differ in their last digit, as those of a hub often
 * do, get one host after the other. */
static size_t first_host(const struct sb_rabbitmq_settings *settings) {
  size_t sum = 0;
  for (const char *at = settings->connection_name; at && *at; at++) sum += (uint8_t)*at;
  return sum % settings->host_count;
}

static char *foreign_exchange_of(const char *prefix) {
  struct sb_buf name = {0};
  sb_buf_printf(&name, "%s.foreign", prefix);
  sb_buf_append(&name, "", 1);
  return (char *)name.data;
}

bool sb_rabbitmq_board_is_outside(const struct sb_rabbitmq_board *board, struct sb_bytes exchange) {
  if (!board->foreign_exchange) return false;
  return sb_bytes_equal(exchange, sb_bytes_of(board->foreign_exchange));
}

int sb_rabbitmq_board_init(struct sb_rabbitmq_board *board, const struct sb_transport_common *common,
                           const struct sb_rabbitmq_settings *settings, struct sb_error *error) {
  int rc = sb_rabbitmq_settings_check(settings, error);
  if (rc) return rc;
  *board = (struct sb_rabbitmq_board){0};
  sb_rabbitmq_settings_copy(&board->settings, settings);
  board->hosts = sb_calloc(settings->host_count, sizeof *board->hosts);
  board->reasons = sb_calloc(2 * settings->host_count, sizeof *board->reasons);
  board->host_count = settings->host_count;
  board->first_host = first_host(settings);
  board->sides[SB_LINK_PUBLISH].host = board->sides[SB_LINK_CONSUME].host = board->first_host;
  board->retentions = sb_calloc(common->partitions, sizeof *board->retentions);
  board->exchange = sb_strdup(common->prefix);
  if (settings->foreign_exchange) board->foreign_exchange = foreign_exchange_of(common->prefix);
  board->partitions = common->partitions;
  board->signing = common->signing;
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
  free(board->foreign_exchange);
  sb_rabbitmq_settings_close(&board->settings);
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

/* The bridge asks for the reason when it takes the event, and gets the newest. */
static void set_last_error(struct sb_rabbitmq_board *board, int code, const char *what, const char *why) {
  sb_error_set(&board->last_error, code, "rabbitmq %s: %s", what, why);
  sb_event_queue_tell_reason(board->events);
}

/* Whether this failure deserves a line in the log. The second connection to a lost broker does not, nor that
 * the broker still cannot be reached. Another reason, such as a refused login, does when it lasts: a broker
 * that starts refuses this and that for a moment. */
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
