/* The sessions of a simulated node: they subscribe and unsubscribe, publish, ask and reset, all pipelined,
 * and close in the middle of it. One of them, the observer, hears everything; a sleeper reads nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define CLIENTS_MAX    6
#define UNANSWERED_MAX 40
#define RUN_MAX        4

static uint32_t bit(uint32_t topic) {
  return UINT32_C(1) << topic;
}

static uint32_t kind_bits(enum sb_sub_kind kind) {
  uint32_t bits = 0;
  for (uint32_t topic = 0; topic < TOPICS; topic++)
    if (sim_topic_kind(topic) == kind) bits |= bit(topic);
  return bits;
}

struct request *sim_request_add(struct client *client, const struct request *request, uint32_t slot) {
  struct history *history = client->history;
  if (history->requests_count == history->requests_cap) {
    history->requests_cap = history->requests_cap ? history->requests_cap * 2 : 16;
    history->requests = sb_realloc(history->requests, history->requests_cap * sizeof *history->requests);
  }
  struct request *added = &history->requests[history->requests_count++];
  *added = *request;
  added->slot = slot;
  return added;
}

/* ---- subscribing ---- */

static void check_sub_count(struct node *node, const struct client *client) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    uint32_t asked = client->history->asked & kind_bits((enum sb_sub_kind)kind);
    if (client->session.subs.count[kind] != (uint32_t)__builtin_popcount(asked))
      sim_fail(node->world, "%s: a session counts %u subscriptions and not %d", node->name,
               client->session.subs.count[kind], __builtin_popcount(asked));
  }
}

static void confirm(struct node *node, struct client *client, const struct request *request) {
  char text[24];
  int len = snprintf(text, sizeof text, "+%u\r\n", node->core->change_slot);
  check_sub_count(node, client);
  /* Known before it is written: it may be written at once. */
  sim_request_add(client, request, node->core->change_slot);
  sb_core_confirm(node->core, &client->session, sb_bytes(text, (size_t)len));
  node->world->changes++;
}

static enum sb_result subscribe(struct node *node, struct client *client, const struct request *request) {
  struct history *history = client->history;
  struct sb_bytes names[NAMES_MAX] = {0};
  enum sb_sub_kind kind = (enum sb_sub_kind)request->kind;
  for (uint32_t i = 0; i < request->count; i++) names[i] = sim_topic_name(request->topics[i]);
  enum sb_result result = sb_core_subscribing(node->core, &client->session, kind, names, request->count);
  for (uint32_t i = 0; result == SB_DONE && i < request->count; i++) {
    bool fresh = !(history->asked & bit(request->topics[i]));
    if (sb_core_subscribe(node->core, &client->session, kind, names[i]) != fresh)
      sim_fail(node->world, "%s: SUBSCRIBE says %s", node->name, fresh ? "known" : "new");
    history->asked |= bit(request->topics[i]);
    if (fresh) history->asked_in[request->topics[i]] = node->core->change_slot;
  }
  if (result == SB_DONE) confirm(node, client, request);
  return result;
}

static enum sb_result unsubscribe(struct node *node, struct client *client, const struct request *request) {
  struct history *history = client->history;
  enum sb_sub_kind kind = (enum sb_sub_kind)request->kind;
  enum sb_result result = sb_core_unsubscribing(node->core, &client->session);
  for (uint32_t i = 0; result == SB_DONE && i < request->count; i++) {
    bool known = history->asked & bit(request->topics[i]);
    if (sb_core_unsubscribe(node->core, &client->session, kind, sim_topic_name(request->topics[i])) != known)
      sim_fail(node->world, "%s: UNSUBSCRIBE says %s", node->name, known ? "unknown" : "known");
    history->asked &= ~bit(request->topics[i]);
  }
  if (result == SB_DONE) confirm(node, client, request);
  return result;
}

static enum sb_result ask(struct node *node, struct client *client, const struct request *request) {
  struct sb_bytes names[NAMES_MAX] = {0};
  uint32_t slot = client->session.ring.expected;
  for (uint32_t i = 0; i < request->count; i++) names[i] = sim_topic_name(request->topics[i]);
  enum sb_result result =
      sb_core_ask(node->core, &client->session, (enum sb_sub_kind)request->kind, names, request->count);
  if (result == SB_DONE) {
    sim_request_add(client, request, slot);
    node->world->questions++;
  }
  return result;
}

/* ---- publishing ---- */

static void append_entry(const struct published *entry, uint32_t uid, struct sb_buf *raw) {
  char payload[1500];
  int len = snprintf(payload, sizeof payload, "u%u ", uid);
  for (size_t i = (size_t)len; i < entry->len; i++) payload[i] = (char)sim_padding(uid, i);
  const struct sb_bytes args[] = {sb_bytes_of(entry->shard ? "SPUBLISH" : "PUBLISH"),
                                  sim_topic_name(entry->channel), sb_bytes(payload, entry->len)};
  sb_entry_append(raw, args, 3);
}

static enum sb_result publish(struct node *node, struct client *client, const struct request *request) {
  struct world *world = node->world;
  struct sb_buf raw = {0};
  const struct published *first = &world->published[request->uid];
  for (uint32_t i = 0; i < client->pending_count; i++) append_entry(&first[i], request->uid + i, &raw);
  uint32_t slot = client->session.ring.expected;
  enum sb_result result = sb_core_publish_raw(node->core, &client->session, sim_topic_name(first->channel),
                                              sb_buf_bytes(&raw), client->pending_count);
  size_t len = raw.len;
  sb_buf_close(&raw);
  if (result == SB_WAIT && node->refuses && !node->core->logs.stopping)
    sim_fail(world, "%s waits where it should refuse", node->name);
  if (result == SB_DONE && node->refuses && !node->link_up)
    sim_fail(world, "%s takes publishes in an outage", node->name);
  if (result == SB_DONE && node->core->logs.stopping)
    sim_fail(world, "%s takes publishes while it stops", node->name);
  if (result == SB_TOO_LARGE && len <= sb_core_entry_max(node->core))
    sim_fail(world, "%s refused an entry as too large", node->name);
  if (result == SB_BUSY && (!node->refuses || (node->link_up && node->core->logs.outbox_bytes + len <=
                                                                    node->core->logs.settings.outbox_bytes)))
    sim_fail(world, "%s is busy without a cause", node->name);
  for (uint32_t i = 0; result != SB_WAIT && i < client->pending_count; i++) {
    struct request one = *request;
    one.uid += i;
    if (result == SB_DONE)
      sim_request_add(client, &one, slot + i);
    else
      world->published[one.uid].outcome = OUTCOME_REFUSED;
  }
  return result;
}

/* Entries that follow one another, of one kind and to one channel. */
static void invent(struct node *node, struct client *client) {
  struct world *world = node->world;
  bool shard = sim_chance(world, 0.2);
  uint8_t channel = (uint8_t)sim_below(world, CHANNELS);
  static const uint16_t lengths[] = {12, 12, 12, 30, 200, 1500};
  uint16_t len = lengths[sim_below(world, 6)];
  client->pending = (struct request){.what = REQUEST_PUBLISH, .uid = world->published_count};
  client->pending_count = 1 + sim_below(world, len < 100 ? RUN_MAX : 1);
  for (uint32_t i = 0; i < client->pending_count; i++) {
    const struct published entry = {.channel = channel,
                                    .shard = shard,
                                    .len = len,
                                    .process = node->process,
                                    .node = (uint8_t)(node - world->nodes)};
    sim_published_add(world, &entry);
  }
}

/* ---- requests ---- */

/* Offers what the client holds; false: it was told to wait. */
static bool offer(struct node *node, struct client *client) {
  const struct request *request = &client->pending;
  enum sb_result result = SB_DONE;
  node->event = true;
  if (request->what == REQUEST_PUBLISH) result = publish(node, client, request);
  if (request->what == REQUEST_SUBSCRIBE) result = subscribe(node, client, request);
  if (request->what == REQUEST_UNSUBSCRIBE) result = unsubscribe(node, client, request);
  if (request->what == REQUEST_ASK) result = ask(node, client, request);
  if (request->what >= REQUEST_WRITE) result = sim_keys_offer(node, client);
  client->held = result == SB_WAIT;
  if (result == SB_WAIT) node->world->held++;
  if (result == SB_BUSY || result == SB_TOO_LARGE) node->world->refused++;
  return !client->held;
}

static struct client *open_client(struct node *node) {
  struct client *client = sb_calloc(1, sizeof *client);
  node->world->clients_open++;
  node->world->sessions++;
  client->history = sim_history_new(node);
  client->next = node->clients;
  node->clients = client;
  sb_core_session_open(node->core, &client->session, sim_chance(node->world, 0.5) ? 2 : 3);
  client->session.ids = client->session.proto == 3 && sim_chance(node->world, 0.5);
  return client;
}

static struct client *some_client(struct node *node) {
  uint32_t count = 0;
  for (struct client *c = node->clients; c; c = c->next) count += !c->settled;
  if (count < CLIENTS_MAX && (count == 0 || sim_chance(node->world, 0.05))) return open_client(node);
  uint32_t skip = sim_below(node->world, count);
  struct client *client = node->clients;
  while (client && (client->settled || skip-- > 0)) client = client->next;
  return client ? client : open_client(node);
}

static void pick_names(struct world *world, struct request *request) {
  static const uint8_t first[SB_SUB_KINDS] = {0, 2 * CHANNELS, CHANNELS};
  uint32_t names = request->kind == SB_SUB_PATTERN ? PATTERNS : CHANNELS;
  request->count = (uint8_t)(sim_chance(world, 0.5) ? 1 : 1 + sim_below(world, NAMES_MAX));
  for (uint32_t i = 0; i < request->count; i++)
    request->topics[i] = (uint8_t)(first[request->kind] + sim_below(world, names));
}

/* UNSUBSCRIBE without arguments: what the core says that the session has. */
static void pick_all(struct node *node, struct client *client, struct request *request) {
  struct sb_bytes name;
  uint32_t seen = 0;
  enum sb_sub_kind kind = (enum sb_sub_kind)request->kind;
  request->count = 0;
  for (struct sb_sub *sub = NULL; (sub = sb_session_next_sub(&client->session, kind, sub, &name)) != NULL;) {
    uint8_t topic;
    if (!sim_topic_find(kind, name, &topic)) sim_fail(node->world, "%s: an unknown topic", node->name);
    seen |= bit(topic);
    if (request->count < NAMES_MAX) request->topics[request->count++] = topic;
  }
  if (seen != (client->history->asked & kind_bits(kind)))
    sim_fail(node->world, "%s: a session has other subscriptions than it asked for", node->name);
}

static void reset(struct node *node, struct client *client) {
  static const char reply[] = "+reset\r\n";
  struct history *history = client->history;
  if (sb_session_waiting(&client->session) > 0) return;
  sb_core_unsubscribe_all(node->core, &client->session);
  sim_history_ends(node, history, EVENT_ALL_LEFT);
  history->asked = history->confirmed = history->vague = 0;
  check_sub_count(node, client);
  sim_request_add(client, &(const struct request){.what = REQUEST_RESET, .slotless = true},
                  client->session.ring.expected);
  sb_core_reply(node->core, &client->session, sb_bytes(reply, sizeof reply - 1));
  client->session.proto = sim_chance(node->world, 0.5) ? 2 : 3;
  client->session.ids = client->session.proto == 3 && sim_chance(node->world, 0.5);
  node->world->resets++;
}

static bool is_busy(const struct client *client) {
  return client->held || client->session.blocked ||
         client->history->requests_count - client->history->answered >= UNANSWERED_MAX;
}

static void change(struct node *node) {
  struct world *world = node->world;
  static const uint8_t whats[] = {REQUEST_SUBSCRIBE,   REQUEST_SUBSCRIBE,   REQUEST_SUBSCRIBE,
                                  REQUEST_UNSUBSCRIBE, REQUEST_UNSUBSCRIBE, REQUEST_ASK,
                                  REQUEST_ASK};
  struct client *client = some_client(node);
  if (is_busy(client)) return;
  if (sim_chance(world, 0.03)) {
    reset(node, client);
    node->event = true;
    return;
  }
  struct request *request = &client->pending;
  *request = (struct request){.what = whats[sim_below(world, sizeof whats)]};
  request->kind = (uint8_t)sim_below(world, SB_SUB_KINDS);
  pick_names(world, request);
  if (request->what == REQUEST_UNSUBSCRIBE && sim_chance(world, 0.3)) pick_all(node, client, request);
  if (request->what == REQUEST_ASK && request->kind == SB_SUB_PATTERN) request->count = 0;
  offer(node, client);
}

static void use_keys(struct node *node) {
  struct client *client = some_client(node);
  if (!is_busy(client) && sim_keys_invent(node, client)) offer(node, client);
}

static void send(struct node *node) {
  struct client *client = some_client(node);
  if (is_busy(client)) return;
  invent(node, client);
  offer(node, client);
}

/* ---- who comes and goes ---- */

static void subscribe_now(struct node *node, struct client *client, enum sb_sub_kind kind, uint32_t topics) {
  client->pending = (struct request){.what = REQUEST_SUBSCRIBE, .kind = (uint8_t)kind};
  for (uint32_t topic = 0; topic < TOPICS; topic++)
    if (topics & bit(topic)) client->pending.topics[client->pending.count++] = (uint8_t)topic;
  offer(node, client);
}

static void open_sleeper(struct node *node) {
  struct client *client = open_client(node);
  client->settled = client->sleeps = client->history->passive = true;
  subscribe_now(node, client, SB_SUB_CHANNEL, bit(1));
}

/* The observer hears everything: by a pattern, or by name; by name neighbouring entries come as one piece. */
void sim_sessions_open(struct node *node) {
  bool by_pattern = sim_chance(node->world, 0.5);
  struct client *observer = open_client(node);
  observer->settled = true;
  if (by_pattern)
    subscribe_now(node, observer, SB_SUB_PATTERN, bit(2 * CHANNELS));
  else
    subscribe_now(node, observer, SB_SUB_CHANNEL, kind_bits(SB_SUB_CHANNEL));
  if (!observer->held) subscribe_now(node, observer, SB_SUB_SHARD, kind_bits(SB_SUB_SHARD));
  if (sim_chance(node->world, 0.3)) open_sleeper(node);
}

static void unlink_client(struct node *node, struct client *client) {
  struct client **at = &node->clients;
  while (*at != client) at = &(*at)->next;
  *at = client->next;
}

void sim_client_close(struct node *node, struct client *client) {
  struct history *history = client->history;
  unlink_client(node, client);
  for (const struct sb_hold *hold = client->session.outlet.holds; hold; hold = hold->next)
    if (hold->out.bytes > 0) history->truncated |= UINT64_C(1) << hold->partition;
  if (sb_session_is_over_limit(&client->session)) history->truncated = UINT64_MAX;
  sim_history_ends(node, history, EVENT_CLOSED);
  if (client->held && client->pending.what >= REQUEST_WRITE) free(client->pending.text);
  history->asked = 0;
  node->event = true;
  sb_core_session_close(node->core, &client->session);
}

void sim_sessions_close(struct node *node) {
  while (node->clients) sim_client_close(node, node->clients);
}

/* A session that closes while its requests are under way: publishes still go out, and its memory is freed at
 * the end. */
static void leave(struct node *node) {
  struct client *client = node->clients;
  while (client && client->settled) client = client->next;
  if (client) sim_client_close(node, client);
}

static bool any_sleeper(const struct node *node) {
  for (const struct client *client = node->clients; client; client = client->next)
    if (client->sleeps) return true;
  return false;
}

void sim_sessions_step(struct node *node) {
  struct world *world = node->world;
  if (sim_chance(world, 0.15))
    for (uint32_t n = sim_below(world, 4); n > 0; n--) send(node);
  if (sim_chance(world, 0.12))
    for (uint32_t n = sim_below(world, 5); n > 0; n--) use_keys(node);
  if (sim_chance(world, 0.05))
    for (uint32_t n = sim_below(world, 4); n > 0; n--) change(node);
  if (sim_chance(world, 0.005)) leave(node);
  if (sim_chance(world, 0.001) && !any_sleeper(node)) open_sleeper(node);
}

/* After io.room: who was told to wait offers again. */
void sim_sessions_room(struct node *node) {
  for (struct client *client = node->clients; client; client = client->next)
    if (client->held) offer(node, client);
}

bool sim_sessions_settled(const struct node *node) {
  for (const struct client *client = node->clients; client; client = client->next)
    if (client->held || sb_session_waiting(&client->session) > 0 ||
        (!client->sleeps && client->history->answered != client->history->requests_count))
      return false;
  return true;
}
