/* The sessions of a simulated node: who listens, who publishes, and what they check of what they get. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define CLIENTS_MAX    4
#define UNANSWERED_MAX 40
#define RUN_MAX        4
#define CHANNEL_LEN    2

static const char gap_reply[] = "-GAP ";

/* ---- listening ---- */

static void listen_to(struct node *node, struct sb_session *session, enum sb_sub_kind kind, uint8_t channel) {
  const char name[] = {'c', (char)('0' + channel)};
  sb_core_subscribe(node->core, session, kind, sb_bytes(name, CHANNEL_LEN));
}

static void open_sleeper(struct node *node) {
  memset(&node->sleeper, 0, sizeof node->sleeper);
  sb_core_session_open(node->core, &node->sleeper, sim_chance(node->world, 0.5) ? 2 : 3);
  listen_to(node, &node->sleeper, SB_SUB_CHANNEL, 1);
  node->sleeps = true;
}

/* The observer hears everything: by a pattern, or by name; by name neighbouring entries come as one piece. */
void sim_sessions_open(struct node *node) {
  memset(&node->observer, 0, sizeof node->observer);
  memset(&node->listener, 0, sizeof node->listener);
  node->by_pattern = sim_chance(node->world, 0.5);
  sb_core_session_open(node->core, &node->observer, sim_chance(node->world, 0.5) ? 2 : 3);
  sb_core_session_open(node->core, &node->listener, sim_chance(node->world, 0.5) ? 2 : 3);
  if (node->by_pattern) sb_core_subscribe(node->core, &node->observer, SB_SUB_PATTERN, sb_bytes_of("*"));
  for (uint8_t channel = 0; channel < CHANNELS; channel++) {
    if (!node->by_pattern) listen_to(node, &node->observer, SB_SUB_CHANNEL, channel);
    listen_to(node, &node->observer, SB_SUB_SHARD, channel);
  }
  node->listens = sim_chance(node->world, 0.5);
  if (node->listens) listen_to(node, &node->listener, SB_SUB_CHANNEL, 0);
  node->sleeps = false;
  if (sim_chance(node->world, 0.3)) open_sleeper(node);
  node->slept = node->sleeps;
}

void sim_sessions_close(struct node *node) {
  sb_core_session_close(node->core, &node->observer);
  sb_core_session_close(node->core, &node->listener);
  if (node->sleeps) sb_core_session_close(node->core, &node->sleeper);
  node->sleeps = false;
  while (node->clients) {
    struct client *client = node->clients;
    node->clients = client->next;
    sb_core_session_close(node->core, &client->session);
  }
}

static void gather(struct sb_session *session, struct sb_buf *text) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  while (session->out.bytes > 0) {
    int n = sb_output_peek(&session->out, vec, SB_OUTPUT_IOV_MAX);
    size_t len = 0;
    for (int i = 0; i < n; i++) {
      sb_buf_append(text, vec[i].iov_base, vec[i].iov_len);
      len += vec[i].iov_len;
    }
    sb_output_drop(&session->out, len);
  }
}

static void take_push(struct node *node, bool observer, const struct sb_bytes *args, uint32_t count) {
  bool pattern = observer && node->by_pattern;
  bool shard = sb_bytes_equal(args[0], sb_bytes_of("smessage"));
  if (count != (pattern && !shard ? 4U : 3U) ||
      !(shard || sb_bytes_equal(args[0], sb_bytes_of(pattern ? "pmessage" : "message"))))
    sim_fail(node->world, "%s: a malformed push", node->name);
  struct sb_bytes channel = args[count - 2], payload = args[count - 1];
  uint32_t uid;
  if (!sim_uid(node->world, payload, &uid))
    sim_fail(node->world, "%s: a payload that nobody sent", node->name);
  struct published *entry = &node->world->published[uid];
  if (channel.len != CHANNEL_LEN || channel.at[1] - '0' != entry->channel || shard != entry->shard)
    sim_fail(node->world, "%s: entry %u came on another channel", node->name, uid);
  if (payload.len != entry->len) sim_fail(node->world, "%s: entry %u has another length", node->name, uid);
  if (observer && &node->world->nodes[entry->node] == node && entry->process == node->process) {
    entry->pushed = true;
    entry->receivers = (uint8_t)(1 + (!shard && entry->channel == 0 && node->listens) +
                                 (!shard && entry->channel == 1 && node->slept));
  }
  sim_receipts_add(observer ? &node->seen[sb_core_partition(node->core, channel)] : &node->heard, uid);
}

static void read_pushes(struct node *node, struct sb_session *session, bool observer) {
  struct sb_buf text = {0};
  uint32_t off = 0;
  gather(session, &text);
  while (off < text.len) {
    struct sb_bytes args[4];
    if (text.data[off] != (session->proto == 2 ? '*' : '>'))
      sim_fail(node->world, "%s: a push of the wrong type", node->name);
    text.data[off] = '*';
    uint32_t count = sb_entry_args(sb_buf_bytes(&text), &off, args, 4);
    if (count == 0) sim_fail(node->world, "%s: a malformed push", node->name);
    take_push(node, observer, args, count);
  }
  sb_buf_close(&text);
}

/* ---- answers ---- */

static void take_answer(struct node *node, uint32_t uid, struct sb_bytes line) {
  struct published *entry = &node->world->published[uid];
  if (line.at[0] == ':') {
    if (!entry->pushed) sim_fail(node->world, "%s: entry %u was answered before it came", node->name, uid);
    if (line.at[1] - '0' != entry->receivers)
      sim_fail(node->world, "%s: entry %u counted wrong receivers", node->name, uid);
    entry->outcome = OUTCOME_NUMBER;
  } else if (line.len > sizeof gap_reply && memcmp(line.at, gap_reply, sizeof gap_reply - 1) == 0) {
    entry->outcome = OUTCOME_GAP;
  } else {
    entry->outcome = OUTCOME_ERROR; /* above the broker's limit; an earlier sending may have been ordered */
  }
}

static void read_answers(struct node *node, struct client *client) {
  struct sb_buf text = {0};
  gather(&client->session, &text);
  for (size_t off = 0; off < text.len;) {
    const uint8_t *end = memchr(text.data + off, '\n', text.len - off);
    if (!end || client->answered == client->waiting.count)
      sim_fail(node->world, "%s: an answer to nothing", node->name);
    take_answer(node, client->waiting.uids[client->answered++],
                sb_bytes(text.data + off, (size_t)(end - text.data) - off));
    off = (size_t)(end + 1 - text.data);
  }
  sb_buf_close(&text);
}

static bool is_client(const struct node *node, const struct sb_session *session) {
  return session != &node->observer && session != &node->listener && session != &node->sleeper;
}

void sim_sessions_read(struct node *node) {
  struct sb_session *session, *answered[CLIENTS_MAX];
  size_t count = 0;
  while ((session = sb_core_next_dirty(node->core))) {
    if (session == &node->sleeper && session->over_limit) {
      node->world->over_limit++;
      sb_core_session_close(node->core, session);
      node->sleeps = false;
    } else if (session == &node->observer) {
      read_pushes(node, session, true);
    } else if (session == &node->listener) {
      read_pushes(node, session, false);
    } else if (is_client(node, session)) {
      answered[count++] = session; /* an answer is judged by what the observer has got */
    }
  }
  for (size_t i = 0; i < count; i++) read_answers(node, (struct client *)answered[i]);
  node->slept = node->sleeps;
}

/* ---- publishing ---- */

static struct client *some_client(struct node *node) {
  uint32_t count = 0;
  for (struct client *c = node->clients; c; c = c->next) count++;
  if (count < CLIENTS_MAX && (count == 0 || sim_chance(node->world, 0.05))) {
    struct client *client = sb_calloc(1, sizeof *client);
    node->world->clients_open++;
    client->next = node->clients;
    node->clients = client;
    sb_core_session_open(node->core, &client->session, 2);
    return client;
  }
  struct client *client = node->clients;
  for (uint32_t i = sim_below(node->world, count); i > 0 && client->next; i--) client = client->next;
  return client;
}

/* Entries that follow one another, of one kind and to one channel. */
static void invent(struct node *node, struct client *client) {
  struct world *world = node->world;
  bool shard = sim_chance(world, 0.2);
  uint8_t channel = (uint8_t)sim_below(world, CHANNELS);
  static const uint16_t lengths[] = {12, 12, 12, 30, 200, 1500};
  uint16_t len = lengths[sim_below(world, 6)];
  client->held_first = world->published_count;
  client->held_count = 1 + sim_below(world, len < 100 ? RUN_MAX : 1);
  client->held = true;
  for (uint32_t i = 0; i < client->held_count; i++) {
    const struct published entry = {.channel = channel,
                                    .shard = shard,
                                    .len = len,
                                    .process = node->process,
                                    .node = (uint8_t)(node - world->nodes)};
    sim_published_add(world, &entry);
  }
}

static void append_entry(const struct published *entry, uint32_t uid, struct sb_buf *raw) {
  char payload[1500], name[] = {'c', (char)('0' + entry->channel)};
  int len = snprintf(payload, sizeof payload, "u%u ", uid);
  memset(payload + len, '.', sizeof payload - (size_t)len);
  const struct sb_bytes args[] = {sb_bytes_of(entry->shard ? "SPUBLISH" : "PUBLISH"),
                                  sb_bytes(name, CHANNEL_LEN), sb_bytes(payload, entry->len)};
  sb_entry_append(raw, args, 3);
}

/* Offers what the client holds; false: it was told to wait. */
static bool offer(struct node *node, struct client *client) {
  struct world *world = node->world;
  struct sb_buf raw = {0};
  const struct published *first = &world->published[client->held_first];
  const char name[] = {'c', (char)('0' + first->channel)};
  for (uint32_t i = 0; i < client->held_count; i++) append_entry(&first[i], client->held_first + i, &raw);
  enum sb_result result = sb_core_publish_raw(node->core, &client->session, sb_bytes(name, CHANNEL_LEN),
                                              sb_buf_bytes(&raw), client->held_count);
  size_t len = raw.len;
  sb_buf_close(&raw);
  node->event = true;
  struct sb_core_stats stats;
  sb_core_stats(node->core, &stats);
  if (result == SB_WAIT) {
    world->held++;
    if (node->refuses && !node->core->stopping)
      sim_fail(world, "%s waits where it should refuse", node->name);
    return false;
  }
  client->held = false;
  if (result == SB_DONE) {
    if (node->refuses && !node->link_up) sim_fail(world, "%s takes publishes in an outage", node->name);
    if (node->core->stopping) sim_fail(world, "%s takes publishes while it stops", node->name);
    for (uint32_t i = 0; i < client->held_count; i++)
      sim_receipts_add(&client->waiting, client->held_first + i);
    return true;
  }
  for (uint32_t i = 0; i < client->held_count; i++)
    world->published[client->held_first + i].outcome = OUTCOME_REFUSED;
  world->refused++;
  if (result == SB_TOO_LARGE && len <= sb_core_entry_max(node->core))
    sim_fail(world, "%s refused an entry as too large", node->name);
  if (result == SB_BUSY &&
      (!node->refuses || (node->link_up && stats.outbox_bytes + len <= node->core->settings.outbox_bytes)))
    sim_fail(world, "%s is busy without a cause", node->name);
  return true;
}

static void publish(struct node *node) {
  struct client *client = some_client(node);
  if (client->held || client->waiting.count - client->answered >= UNANSWERED_MAX) return;
  invent(node, client);
  offer(node, client);
}

/* A session that closes while its publishes are under way: they still go out, and its memory is freed at the
 * end. */
static void leave(struct node *node) {
  struct client *client = node->clients;
  if (!client) return;
  node->clients = client->next;
  sb_core_session_close(node->core, &client->session);
}

void sim_sessions_step(struct node *node) {
  struct world *world = node->world;
  if (sim_chance(world, 0.15))
    for (uint32_t n = sim_below(world, 4); n > 0; n--) publish(node);
  if (sim_chance(world, 0.002)) leave(node);
  if (!node->sleeps && sim_chance(world, 0.001)) open_sleeper(node);
  node->slept = node->sleeps;
}

/* After io.room: who was told to wait offers again. */
void sim_sessions_room(struct node *node) {
  for (struct client *client = node->clients; client; client = client->next)
    if (client->held) offer(node, client);
}

bool sim_sessions_settled(const struct node *node) {
  for (const struct client *client = node->clients; client; client = client->next)
    if (client->held || client->answered != client->waiting.count) return false;
  return true;
}
