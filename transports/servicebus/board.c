#include "transports/servicebus/board.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "bridge/base/log.h"
#include "transports/servicebus/entities.h"
#include "transports/servicebus/message.h"

#define PARTITION_DIGITS      3
/* Of an outage that lasts: rare enough for nights, often enough to be found in the tail of a log. */
#define REMIND_MS             300000
/* What every tier takes; links say more when they open. */
#define ASSUMED_MESSAGE_BYTES ((size_t)256 * 1024)

/* ---- life ---- */

/* "<prefix>-<p>" must be a topic's name. */
static int check(const struct sb_transport_common *common, struct sb_error *error) {
  size_t len = common->prefix ? strlen(common->prefix) : 0;
  if (len == 0 || len > SB_SERVICEBUS_TOPIC_MAX - PARTITION_DIGITS - 1)
    return sb_error_set(error, SB_ERR_INVALID, "the prefix must have 1 to 256 bytes");
  if (common->partitions == 0 || common->partitions > SB_PARTITIONS_MAX)
    return sb_error_set(error, SB_ERR_INVALID, "there must be 1 to 256 partitions");
  return 0;
}

static char *peer_text(const struct sb_servicebus_settings *settings) {
  char text[SB_SERVICEBUS_HOST_MAX + 16];
  bool brackets = strchr(settings->host, ':') != NULL;
  snprintf(text, sizeof text, "%s%s%s:%u", brackets ? "[" : "", settings->host, brackets ? "]" : "",
           (unsigned)settings->port);
  return sb_strdup(text);
}

int sb_servicebus_board_init(struct sb_servicebus_board *board, const struct sb_transport_common *common,
                             const struct sb_servicebus_settings *settings, struct sb_error *error) {
  int rc = sb_servicebus_settings_check(settings, error);
  if (rc == 0) rc = check(common, error);
  if (rc) return rc;
  *board = (struct sb_servicebus_board){.partitions = common->partitions,
                                        .signing = common->signing,
                                        .since = time(NULL),
                                        .outage_since_ms = sb_clock_ms()};
  if (getrandom(&board->nonce, sizeof board->nonce, 0) != sizeof board->nonce)
    return sb_error_errno(error, errno, "getrandom");
  board->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (board->wake_fd < 0) return sb_error_errno(error, errno, "eventfd");
  sb_servicebus_settings_copy(&board->settings, settings);
  board->pauses = (struct sb_backoff_limits){settings->backoff_min_ms, settings->backoff_max_ms, 1};
  board->prefix = sb_strdup(common->prefix);
  board->peer = peer_text(settings);
  board->lanes = sb_calloc(board->partitions, sizeof *board->lanes);
  for (uint32_t i = 0; i < board->partitions; i++) {
    atomic_init(&board->lanes[i].applied, 0);
    atomic_init(&board->lanes[i].alone, false);
  }
  atomic_init(&board->retries, 0);
  atomic_init(&board->max_body, ASSUMED_MESSAGE_BYTES - SB_SERVICEBUS_HEAD_MAX);
  pthread_mutex_init(&board->lock, NULL);
  board->events = sb_event_queue_new(SB_TRANSPORT_EVENTS_MAX, (size_t)SB_TRANSPORT_EVENTS_BYTES_MAX,
                                     common->wake, common->wake_owner);
  return 0;
}

void sb_servicebus_board_close(struct sb_servicebus_board *board) {
  sb_event_queue_free(board->events);
  pthread_mutex_destroy(&board->lock);
  free(board->lanes);
  free(board->peer);
  free(board->prefix);
  sb_servicebus_settings_close(&board->settings);
  close(board->wake_fd);
}

void sb_servicebus_topic_name(const struct sb_servicebus_board *board, uint32_t partition,
                              char out[SB_SERVICEBUS_TOPIC_TEXT]) {
  snprintf(out, SB_SERVICEBUS_TOPIC_TEXT, "%s-%" PRIu32, board->prefix, partition);
}

void sb_servicebus_subscription_address(const struct sb_servicebus_board *board, uint32_t partition,
                                        char out[SB_SERVICEBUS_ADDRESS_TEXT]) {
  snprintf(out, SB_SERVICEBUS_ADDRESS_TEXT, "%s-%" PRIu32 "/Subscriptions/%s", board->prefix, partition,
           board->settings.subscription);
}

void sb_servicebus_board_retry(struct sb_servicebus_board *board) {
  atomic_fetch_add(&board->retries, 1);
  sb_servicebus_board_wake(board);
}

void sb_servicebus_board_wake(struct sb_servicebus_board *board) {
  if (!atomic_exchange(&board->woken, true)) eventfd_write(board->wake_fd, 1);
}

/* ---- state ---- */

/* The bridge asks for the reason when it takes the event, and gets the newest. */
static void set_last_error(struct sb_servicebus_board *board, int code, const char *what, const char *why) {
  sb_error_set(&board->last_error, code, "servicebus %s: %s", what, why);
  sb_event_queue_tell_reason(board->events);
}

static bool in_outage(const struct sb_servicebus_board *board) {
  return board->up[SB_LINK_PUBLISH] < board->partitions || board->up[SB_LINK_CONSUME] < board->partitions;
}

void sb_servicebus_board_remind(struct sb_servicebus_board *board) {
  int64_t now_ms = sb_clock_ms();
  pthread_mutex_lock(&board->lock);
  int64_t since_ms = board->outage_since_ms, told_ms = board->reminded_ms;
  if (told_ms < since_ms) told_ms = since_ms;
  if (in_outage(board) && now_ms - told_ms >= REMIND_MS) {
    board->reminded_ms = now_ms;
    sb_log(SB_LOG_WARN, SB_SERVICEBUS_AREA, "still down for %" PRId64 " min: %s", (now_ms - since_ms) / 60000,
           board->last_error.text);
  }
  pthread_mutex_unlock(&board->lock);
}

static void announce_up(struct sb_servicebus_board *board) {
  board->announced = true;
  board->outage = 0;
  board->outage_logged = false;
  board->since = time(NULL);
  if (board->ever_connected) atomic_fetch_add(&board->reconnects, 1);
  board->ever_connected = true;
  sb_log(SB_LOG_NOTICE, SB_SERVICEBUS_AREA, "connected to %s, subscription %s", board->peer,
         board->settings.subscription);
}

/* Whether this failure deserves a line in the log. That the service still cannot be reached does not.
 * Another reason, such as a refused login, does when it comes again: a service that starts refuses this and
 * that for a moment. */
static bool is_news(struct sb_servicebus_board *board, const struct sb_error *why) {
  uint64_t hash = sb_hash_text(why->text) | 1;
  bool again = board->outage == hash;
  bool news = board->announced || !board->outage_logged || (!again && why->code != SB_ERR_LINK);
  board->outage = hash;
  return news;
}

void sb_servicebus_board_down(struct sb_servicebus_board *board, const struct sb_error *why,
                              int64_t next_try_ms) {
  pthread_mutex_lock(&board->lock);
  bool was_up = board->announced;
  bool news = is_news(board, why);
  if (was_up) board->since = time(NULL);
  board->announced = false;
  board->outage_logged = true;
  set_last_error(board, why->code, board->peer, why->text);
  sb_log(news ? SB_LOG_WARN : SB_LOG_DEBUG, SB_SERVICEBUS_AREA, "%s %s%s: %s; next try in %.1f s",
         was_up ? "link to" : "cannot connect to", board->peer, was_up ? " lost" : "", why->text,
         (double)next_try_ms / 1000);
  pthread_mutex_unlock(&board->lock);
}

void sb_servicebus_board_trouble(struct sb_servicebus_board *board, uint32_t partition,
                                 enum sb_servicebus_source source, const char *why) {
  uint64_t hash = sb_hash_text(why) | 1;
  pthread_mutex_lock(&board->lock);
  uint64_t *known = &board->lanes[partition].trouble[source];
  bool told = *known == hash;
  *known = hash;
  char what[SB_SERVICEBUS_TOPIC_TEXT + 16];
  snprintf(what, sizeof what, "topic %s-%" PRIu32, board->prefix, partition);
  set_last_error(board, SB_ERR_REFUSED, what, why);
  sb_log(told ? SB_LOG_DEBUG : SB_LOG_WARN, SB_SERVICEBUS_AREA, "%s: %s", what, why);
  pthread_mutex_unlock(&board->lock);
}

void sb_servicebus_board_well(struct sb_servicebus_board *board, uint32_t partition,
                              enum sb_servicebus_source source) {
  pthread_mutex_lock(&board->lock);
  board->lanes[partition].trouble[source] = 0;
  pthread_mutex_unlock(&board->lock);
}

/* Under the lock. */
static const char *link_text(const struct sb_servicebus_board *board) {
  bool publish = board->up[SB_LINK_PUBLISH] == board->partitions;
  bool consume = board->up[SB_LINK_CONSUME] == board->partitions;
  if (publish && consume) return "up";
  if (board->up[SB_LINK_PUBLISH] == 0 && board->up[SB_LINK_CONSUME] == 0) return "down";
  if (consume) return "publish-down";
  return publish ? "consume-down" : "partly-up";
}

void sb_servicebus_board_status(struct sb_servicebus_board *board, struct sb_buf *out) {
  pthread_mutex_lock(&board->lock);
  sb_buf_printf(out, "broker_host:%s\r\n", board->peer);
  sb_buf_printf(out, "broker_link:%s\r\n", link_text(board));
  sb_buf_printf(out, "broker_since:%lld\r\n", (long long)board->since);
  sb_buf_printf(out, "broker_last_error:%s\r\n", board->last_error.text);
  pthread_mutex_unlock(&board->lock);
  sb_buf_printf(out, "broker_subscription:%s\r\n", board->settings.subscription);
  sb_buf_printf(out, "broker_published:%" PRIuLEAST64 "\r\n", atomic_load(&board->published));
  sb_buf_printf(out, "broker_confirmed:%" PRIuLEAST64 "\r\n", atomic_load(&board->confirmed));
  sb_buf_printf(out, "broker_delivered:%" PRIuLEAST64 "\r\n", atomic_load(&board->delivered));
  sb_buf_printf(out, "broker_reconnects:%" PRIuLEAST64 "\r\n", atomic_load(&board->reconnects));
  sb_buf_printf(out, "broker_refused:%" PRIuLEAST64 "\r\n", atomic_load(&board->refused));
  sb_buf_printf(out, "broker_busy:%" PRIuLEAST64 "\r\n", atomic_load(&board->busy));
  sb_buf_printf(out, "broker_duplicates:%" PRIuLEAST64 "\r\n", atomic_load(&board->duplicates));
  sb_buf_printf(out, "broker_gaps:%" PRIuLEAST64 "\r\n", atomic_load(&board->gaps));
}

/* ---- events ---- */

void sb_servicebus_board_link(struct sb_servicebus_board *board, uint32_t partition, enum sb_link_side side,
                              bool up) {
  pthread_mutex_lock(&board->lock);
  if (!in_outage(board)) board->outage_since_ms = sb_clock_ms();
  bool *known = &board->lanes[partition].up[side];
  bool changed = *known != up;
  *known = up;
  if (changed && up) board->up[side]++;
  if (changed && !up) board->up[side]--;
  if (board->up[SB_LINK_PUBLISH] == board->partitions && board->up[SB_LINK_CONSUME] == board->partitions &&
      !board->announced)
    announce_up(board);
  pthread_mutex_unlock(&board->lock);
  if (!changed) return;
  struct sb_event event = {.kind = SB_EVENT_LINK, .partition = partition, .link = {side, up}};
  sb_event_queue_push(board->events, &event);
}

void sb_servicebus_board_attached(struct sb_servicebus_board *board, uint32_t partition, enum sb_attach how) {
  if (how == SB_ATTACH_FRESH && atomic_load(&board->lanes[partition].alone)) how = SB_ATTACH_ALONE;
  struct sb_event event = {.kind = SB_EVENT_ATTACHED, .partition = partition, .attach = how};
  sb_event_queue_push(board->events, &event);
}

void sb_servicebus_board_settled(struct sb_servicebus_board *board, uint32_t partition, uint64_t token,
                                 enum sb_settle outcome) {
  struct sb_event event = {.kind = SB_EVENT_SETTLED, .partition = partition, .settled = {token, outcome}};
  sb_event_queue_push(board->events, &event);
}
