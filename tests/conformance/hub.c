#include "tests/conformance/hub.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/envelope_fixture.h"

#define PATTERN_BYTES 4096 /* a multiple of 256 */
#define QUIET_MS      5    /* how long a confirmation without a ring is left waiting */

static const uint8_t magic[8] = {'c', 'o', 'n', 'f', 'o', 'r', 'm', ':'};

/* A time limit is over after so many times its length, however busy the machine is. */
#define STRETCH 8

/* For how long, since the machine was started, somebody had to wait for a processor; 0 where it is not told.
 */
static int64_t stalled_ms(void) {
  char line[128] = ""; /* some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS */
  FILE *pressure = fopen("/proc/pressure/cpu", "r");
  if (!pressure) return 0;
  const char *total = fgets(line, sizeof line, pressure) ? strstr(line, "total=") : NULL;
  fclose(pressure);
  return total ? (int64_t)(strtoull(total + strlen("total="), NULL, 10) / 1000) : 0;
}

struct hub_watch hub_watch(void) {
  return (struct hub_watch){hub_now_ms(), stalled_ms()};
}

void hub_took(const struct hub_watch *watch, int64_t least_ms, int64_t most_ms) {
  int64_t passed_ms = hub_now_ms() - watch->began_ms;
  if (passed_ms < least_ms) fail_msg("it took %lld ms", (long long)passed_ms);
  if (passed_ms <= most_ms) return;
  int64_t counted_ms = passed_ms - (stalled_ms() - watch->stalled_ms);
  if (counted_ms > most_ms || passed_ms / STRETCH > most_ms)
    fail_msg("it took %lld ms", (long long)passed_ms);
}

int64_t hub_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- bodies ---- */

/* Byte i of a body is id + i in its lowest eight bits: a pattern that repeats, so it can be handled in
 * blocks. */
static void fill_pattern(uint8_t pattern[PATTERN_BYTES], uint64_t id) {
  for (size_t i = 0; i < PATTERN_BYTES; i++) pattern[i] = (uint8_t)(id + HUB_HEAD_BYTES + i);
}

static size_t block(size_t left) {
  return left < PATTERN_BYTES ? left : PATTERN_BYTES;
}

struct sb_body *hub_body(uint64_t id, size_t len) {
  assert_true(len >= HUB_HEAD_BYTES);
  struct sb_body *body = sb_body_new(len);
  uint8_t pattern[PATTERN_BYTES];
  fill_pattern(pattern, id);
  memcpy(body->data, magic, sizeof magic);
  memcpy(body->data + sizeof magic, &id, sizeof id);
  for (size_t at = HUB_HEAD_BYTES; at < len; at += PATTERN_BYTES)
    memcpy(body->data + at, pattern, block(len - at));
  return body;
}

static uint64_t id_of(const struct sb_body *body) {
  uint64_t id;
  if (body->len < HUB_HEAD_BYTES || memcmp(body->data, magic, sizeof magic) != 0) return 0;
  memcpy(&id, body->data + sizeof magic, sizeof id);
  uint8_t pattern[PATTERN_BYTES];
  fill_pattern(pattern, id);
  for (size_t at = HUB_HEAD_BYTES; at < body->len; at += PATTERN_BYTES)
    if (memcmp(body->data + at, pattern, block(body->len - at)) != 0) return 0;
  return id;
}

struct sb_envelope hub_envelope(uint64_t id) {
  return (struct sb_envelope){.version = 1,
                              .count = 1,
                              .number = id,
                              .base = 1,
                              .generation = 1700000000000,
                              .time_ms = 1700000000001,
                              .incarnation = {1700000000002, 0x0123456789abcdef},
                              .node = "conformance"};
}

uint64_t hub_next_id(struct hub *hub) {
  return ++hub->last_id;
}

/* ---- events ---- */

static void ring(void *owner) {
  struct hub *hub = owner;
  pthread_mutex_lock(&hub->lock);
  hub->rings++;
  hub->rings_total++;
  pthread_cond_signal(&hub->rung);
  pthread_mutex_unlock(&hub->lock);
}

unsigned hub_rings(struct hub *hub) {
  pthread_mutex_lock(&hub->lock);
  unsigned rings = hub->rings_total;
  pthread_mutex_unlock(&hub->lock);
  return rings;
}

static void on_link(struct hub_partition *partition, const struct sb_event *event) {
  assert_int_not_equal(partition->up[event->link.side], event->link.up);
  partition->up[event->link.side] = event->link.up;
  if (event->link.side == SB_LINK_CONSUME && !event->link.up) partition->attached = false;
}

static void on_attached(struct hub_partition *partition, const struct sb_event *event) {
  assert_int_equal(hub_is_first(event->attach), partition->attaches == 0);
  partition->attached = true;
  partition->attaches++;
  partition->how = event->attach;
  partition->attached_at = partition->count;
  if (event->attach == SB_ATTACH_NEW_LOG) partition->has_last = false;
}

/* What is remembered of a message; the bytes are spoilt, since the taker may change them. */
static struct hub_delivery note(const struct sb_delivery *message) {
  struct sb_body *body = message->body, *channel = message->channel;
  assert_non_null(body);
  assert_int_equal(atomic_load(&body->refs), 1);
  struct hub_delivery noted = {
      .sequence = message->sequence, .envelope = message->envelope, .id = id_of(body), .len = body->len};
  if (body->len) memcpy(noted.head, body->data, body->len < HUB_HEAD_BYTES ? body->len : HUB_HEAD_BYTES);
  if (channel) {
    noted.channel = sb_calloc(1, channel->len + 1);
    memcpy(noted.channel, channel->data, channel->len);
  }
  if (body->len) memset(body->data, 0xdd, body->len);
  return noted;
}

static void on_delivery(struct hub_partition *partition, struct sb_event *event) {
  assert_true(partition->attached);
  if (partition->has_last) assert_true(event->delivery.sequence > partition->last);
  partition->has_last = true;
  partition->last = event->delivery.sequence;

  if (partition->count == partition->cap) {
    partition->cap = partition->cap ? partition->cap * 2 : 64;
    partition->deliveries = sb_realloc(partition->deliveries, partition->cap * sizeof *partition->deliveries);
  }
  partition->deliveries[partition->count++] = note(&event->delivery);
  sb_event_close(event);
}

static void on_stored(struct hub *hub, struct sb_event *event) {
  assert_in_range(event->stored.token, 1, hub->read_count);
  struct hub_read *read = &hub->reads[event->stored.token - 1];
  const struct sb_delivery *message = &event->stored.message;
  assert_int_equal(read->partition, event->partition);
  assert_false(read->ended);
  assert_true(message->sequence >= read->from && message->sequence <= read->to);
  if (read->count) assert_true(message->sequence > read->messages[read->count - 1].sequence);
  if (read->count == read->cap) {
    read->cap = read->cap ? read->cap * 2 : 64;
    read->messages = sb_realloc(read->messages, read->cap * sizeof *read->messages);
  }
  read->messages[read->count++] = note(message);
  sb_event_close(event);
}

static void on_stored_end(struct hub *hub, const struct sb_event *event) {
  assert_in_range(event->stored_end.token, 1, hub->read_count);
  struct hub_read *read = &hub->reads[event->stored_end.token - 1];
  assert_int_equal(read->partition, event->partition);
  assert_false(read->ended);
  read->ended = true;
  read->outcome = event->stored_end.outcome;
  hub->reads_open--;
}

static void on_settled(struct hub *hub, const struct sb_event *event) {
  uint64_t token = event->settled.token;
  assert_in_range(token, 1, hub->token_count);
  struct hub_token *known = &hub->tokens[token - 1];
  assert_int_equal(known->partition, event->partition);
  assert_false(known->settled);
  known->settled = true;
  known->outcome = event->settled.outcome;
  hub->unsettled--;
}

static void on_event(struct hub *hub, struct sb_event *event) {
  assert_false(hub->closed);
  if (event->kind == SB_EVENT_CLOSED) {
    hub->closed = true;
    return;
  }
  assert_in_range(event->partition, 0, HUB_PARTITIONS - 1);
  struct hub_partition *partition = &hub->partitions[event->partition];
  switch (event->kind) {
  case SB_EVENT_LINK:
    on_link(partition, event);
    return;
  case SB_EVENT_ATTACHED:
    on_attached(partition, event);
    return;
  case SB_EVENT_DELIVERY:
    on_delivery(partition, event);
    return;
  case SB_EVENT_SETTLED:
    on_settled(hub, event);
    return;
  case SB_EVENT_STORED:
    on_stored(hub, event);
    return;
  case SB_EVENT_STORED_END:
    on_stored_end(hub, event);
    return;
  case SB_EVENT_REASON:
    hub->reasons++;
    return;
  case SB_EVENT_CLOSED:
    return;
  }
  fail_msg("event of unknown kind %d", (int)event->kind);
}

bool hub_take_all(struct hub *hub) {
  bool any = false;
  struct sb_event event;
  while (sb_transport_next(hub->transport, &event)) {
    on_event(hub, &event);
    any = true;
  }
  return any;
}

static void wait_ring(struct hub *hub, int64_t until_ms) {
  struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
  int rc = 0;
  pthread_mutex_lock(&hub->lock);
  while (hub->rings == 0 && rc == 0) rc = pthread_cond_timedwait(&hub->rung, &hub->lock, &until);
  hub->rings = 0;
  pthread_mutex_unlock(&hub->lock);
}

/* Confirmations may come without a ring. */
bool hub_step(struct hub *hub, int64_t until_ms) {
  int64_t now = hub_now_ms();
  if (now >= until_ms) return false;
  if (!hub_take_all(hub)) wait_ring(hub, now + QUIET_MS < until_ms ? now + QUIET_MS : until_ms);
  return true;
}

/* ---- life ---- */

struct hub *hub_new(const struct fixture_ops *ops, const struct hub *other, bool forgetful) {
  struct hub *hub = sb_calloc(1, sizeof *hub);
  hub->ops = ops;
  hub->fixture_borrowed = other != NULL;
  hub->fixture = other ? other->fixture : ops->open(HUB_PARTITIONS, forgetful);
  pthread_mutex_init(&hub->lock, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&hub->rung, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return hub;
}

static void forget(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    struct hub_partition *partition = &hub->partitions[p];
    for (size_t i = 0; i < partition->count; i++) free(partition->deliveries[i].channel);
    free(partition->deliveries);
    *partition = (struct hub_partition){0};
  }
  for (size_t i = 0; i < hub->read_count; i++) {
    struct hub_read *read = &hub->reads[i];
    for (size_t m = 0; m < read->count; m++) free(read->messages[m].channel);
    free(read->messages);
    *read = (struct hub_read){0};
  }
  hub->read_count = hub->reads_open = 0;
  hub->token_count = hub->unsettled = 0;
  hub->closed = false;
}

void hub_free(struct hub *hub) {
  if (hub->transport) hub_close(hub);
  forget(hub);
  free(hub->tokens);
  if (hub->fixture && !hub->fixture_borrowed) hub->ops->close(hub->fixture);
  pthread_cond_destroy(&hub->rung);
  pthread_mutex_destroy(&hub->lock);
  free(hub);
}

void hub_start(struct hub *hub) {
  forget(hub);
  hub->transport = hub->ops->transport(hub->fixture, ring, hub);
  assert_non_null(hub->transport);
  struct sb_error error = {0};
  if (sb_transport_start(hub->transport, &error) != 0) fail_msg("start: %s", error.text);
}

bool hub_all_attached(const struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (!hub->partitions[p].attached) return false;
  return true;
}

bool hub_links_are(const struct hub *hub, bool up) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (hub->partitions[p].up[SB_LINK_PUBLISH] != up || hub->partitions[p].up[SB_LINK_CONSUME] != up)
      return false;
  return true;
}

void hub_attach_all(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) sb_transport_attach(hub->transport, p);
  hub_await(hub, hub_all_attached(hub) && hub_links_are(hub, true));
}

void hub_close(struct hub *hub) {
  sb_transport_close(hub->transport);
  hub_await(hub, hub->closed);
  assert_int_equal(hub->unsettled, 0);
  assert_int_equal(hub->reads_open, 0);
  sb_transport_free(hub->transport);
  hub->transport = NULL;
}

/* ---- publishing ---- */

int hub_try(struct hub *hub, uint32_t partition, const struct sb_envelope *envelope, struct sb_body *body,
            uint64_t id) {
  if (hub->token_count == hub->token_cap) {
    hub->token_cap = hub->token_cap ? hub->token_cap * 2 : 256;
    hub->tokens = sb_realloc(hub->tokens, hub->token_cap * sizeof *hub->tokens);
  }
  hub->tokens[hub->token_count++] = (struct hub_token){.partition = partition, .id = id};
  int rc = sb_transport_publish(hub->transport, partition, envelope, body, hub->token_count);
  if (rc == 0)
    hub->unsettled++;
  else
    hub->token_count--;
  return rc;
}

uint64_t hub_publish(struct hub *hub, uint32_t partition, size_t len) {
  uint64_t id = hub_next_id(hub);
  struct sb_envelope envelope = hub_envelope(id);
  struct sb_body *body = hub_body(id, len);
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  int rc;
  while ((rc = hub_try(hub, partition, &envelope, body, id)) != 0) {
    assert_true(rc == SB_ERR_FULL || rc == SB_ERR_LINK);
    if (!hub_step(hub, until_ms)) fail_msg("no publish possible in time, the last answer was %d", rc);
  }
  sb_body_unref(body);
  return id;
}

uint64_t hub_publish_until_confirmed(struct hub *hub, uint32_t partition) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (hub_now_ms() < until_ms) {
    uint64_t id = hub_publish(hub, partition, 64);
    hub_await(hub, hub_token_of(hub, id)->settled);
    if (hub_token_of(hub, id)->outcome == SB_SETTLE_CONFIRMED) return id;
  }
  fail_msg("no publish was confirmed in time");
  return 0;
}

uint64_t hub_append(struct hub *hub, uint32_t partition) {
  uint64_t id = hub_next_id(hub);
  struct sb_envelope envelope = hub_envelope(id);
  struct sb_body *body = hub_body(id, 64);
  hub->ops->append(hub->fixture, partition, &envelope, body);
  sb_body_unref(body);
  return id;
}

/* ---- reading back ---- */

int hub_try_read_back(struct hub *hub, uint32_t partition, uint64_t from, uint64_t to,
                      const struct hub_read **out) {
  assert_true(hub->read_count < HUB_READS_MAX);
  struct hub_read *read = &hub->reads[hub->read_count];
  *read = (struct hub_read){.partition = partition, .from = from, .to = to};
  int rc = sb_transport_read_back(hub->transport, partition, from, to, hub->read_count + 1);
  if (rc) return rc;
  hub->read_count++;
  hub->reads_open++;
  *out = read;
  return 0;
}

const struct hub_read *hub_read_back(struct hub *hub, uint32_t partition, uint64_t from, uint64_t to) {
  const struct hub_read *read = NULL;
  assert_int_equal(hub_try_read_back(hub, partition, from, to, &read), 0);
  return read;
}

void hub_stop_reading(struct hub *hub, const struct hub_read *read) {
  sb_transport_read_back_stop(hub->transport, (uint64_t)(read - hub->reads) + 1);
}

void hub_assert_same(const struct hub_delivery *got, const struct hub_delivery *want) {
  assert_int_equal(got->sequence, want->sequence);
  assert_same_envelope(&got->envelope, &want->envelope);
  assert_int_equal(got->channel != NULL, want->channel != NULL);
  if (got->channel) assert_string_equal(got->channel, want->channel);
  assert_int_equal(got->id, want->id);
  assert_int_equal(got->len, want->len);
  assert_memory_equal(got->head, want->head, HUB_HEAD_BYTES);
}

void hub_assert_read(const struct hub *hub, const struct hub_read *read) {
  const struct hub_partition *partition = &hub->partitions[read->partition];
  size_t at = 0;
  for (size_t i = 0; i < partition->count; i++) {
    const struct hub_delivery *delivered = &partition->deliveries[i];
    if (delivered->sequence < read->from || delivered->sequence > read->to) continue;
    assert_in_range(at, 0, read->count - 1);
    hub_assert_same(&read->messages[at++], delivered);
  }
  assert_int_equal(at, read->count);
}

const struct hub_token *hub_token_of(const struct hub *hub, uint64_t id) {
  for (size_t i = hub->token_count; i-- > 0;)
    if (hub->tokens[i].id == id) return &hub->tokens[i];
  fail_msg("id %llu was not published", (unsigned long long)id);
  return NULL;
}

size_t hub_deliveries_of(const struct hub *hub, uint32_t partition, uint64_t id) {
  size_t times = 0;
  const struct hub_partition *part = &hub->partitions[partition];
  for (size_t i = 0; i < part->count; i++) times += part->deliveries[i].id == id;
  return times;
}

/* Both lists rise in id, so one pass compares them. */
static void check_log(const struct hub *hub, uint32_t p) {
  const struct hub_partition *partition = &hub->partitions[p];
  uint64_t before = 0;
  for (size_t i = 0; i < partition->count; i++) {
    if (!partition->deliveries[i].id) continue;
    assert_true(partition->deliveries[i].id > before);
    before = partition->deliveries[i].id;
  }
  size_t at = 0;
  for (size_t i = 0; i < hub->token_count; i++) {
    const struct hub_token *token = &hub->tokens[i];
    if (token->partition != p || token->outcome != SB_SETTLE_CONFIRMED) continue;
    while (at < partition->count && partition->deliveries[at].id < token->id) at++;
    if (at == partition->count || partition->deliveries[at].id != token->id)
      fail_msg("partition %u: message %llu was confirmed and did not come", p, (unsigned long long)token->id);
  }
}

void hub_check_logs(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++) {
    uint64_t last = hub_publish_until_confirmed(hub, p);
    hub_await(hub, hub->unsettled == 0 && hub_deliveries_of(hub, p, last) == 1);
    check_log(hub, p);
  }
}
