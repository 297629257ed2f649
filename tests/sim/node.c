/* One simulated node: the real core, with the world as its transport and clients as its sessions. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define CLIENTS_MAX    4
#define UNANSWERED_MAX 40
#define QUEUE_MAX      SB_TRANSPORT_PUBLISH_MAX

static uint64_t clock_ms(const struct node *node) {
  return (uint64_t)((double)(node->world->step * STEP_MS) * node->clock_rate) + 1000;
}

static uint64_t unix_clock_ms(const struct node *node) {
  return (uint64_t)((int64_t)(1700000000000 + (int64_t)clock_ms(node)) + node->clock_offset_ms);
}

/* ---- effects ---- */

static int on_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                      struct sb_body *body, uint64_t token) {
  struct node *node = owner;
  struct flight *flight = &node->flights[partition];
  if (!node->link_up) return SB_ERR_LINK;
  if (flight->count >= QUEUE_MAX) return SB_ERR_FULL;
  struct flying flying = {
      .message = {.envelope = *envelope, .len = body->len}, .token = token, .partition = partition};
  flying.message.body = memcpy(sb_malloc(body->len), body->data, body->len);
  sim_flight_push(flight, &flying);
  return 0;
}

static void on_room(void *owner) {
  (void)owner; /* clients try again at their next step */
}

static void on_released(void *owner, struct sb_session *session) {
  struct node *node = owner;
  if (session == &node->observer || session == &node->listener) return;
  struct client *client = (struct client *)session;
  free(client->waiting.uids);
  free(client);
}

static void on_fatal(void *owner, const char *why) {
  struct node *node = owner;
  sim_fail(node->world, "%s gave up: %s", node->name, why);
}

static void on_log(void *owner, enum sb_log_level level, const char *line) {
  struct node *node = owner;
  if (node->world->options.verbose)
    printf("%7llu %s %s: %s\n", (unsigned long long)node->world->step, node->name, sb_log_level_name(level),
           line);
}

/* ---- what the sessions receive ---- */

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

static uint32_t uid_of(struct node *node, struct sb_bytes payload) {
  uint64_t uid;
  if (payload.len < 2 || payload.at[0] != 'u' ||
      !sb_bytes_u64(sb_bytes(payload.at + 1, payload.len - 1), node->world->published_count - 1, &uid))
    sim_fail(node->world, "%s received a payload that nobody sent", node->name);
  return (uint32_t)uid;
}

static void read_pushes(struct node *node, struct sb_session *session, bool observer) {
  struct sb_buf text = {0};
  uint32_t off = 0;
  gather(session, &text);
  while (off < text.len) {
    struct sb_bytes args[4];
    if (text.data[off] != (observer ? '*' : '>'))
      sim_fail(node->world, "%s: a push of the wrong type", node->name);
    text.data[off] = '*';
    uint32_t count = sb_entry_args(sb_buf_bytes(&text), &off, args, 4);
    if (count != (observer ? 4U : 3U) ||
        !sb_bytes_equal(args[0], sb_bytes_of(observer ? "pmessage" : "message")))
      sim_fail(node->world, "%s: a malformed push", node->name);
    struct sb_bytes channel = args[count - 2], payload = args[count - 1];
    if (channel.len == 7) continue; /* "foreign" */
    uint32_t uid = uid_of(node, payload);
    if (channel.len != 2 || channel.at[1] - '0' != node->world->published[uid].channel)
      sim_fail(node->world, "%s: entry %u came on another channel", node->name, uid);
    sim_receipts_add(observer ? &node->seen[sb_core_partition(node->core, channel)] : &node->heard, uid);
  }
  sb_buf_close(&text);
}

static void read_answers(struct node *node, struct client *client) {
  struct sb_buf text = {0};
  gather(&client->session, &text);
  for (size_t off = 0; off < text.len;) {
    const uint8_t *end = memchr(text.data + off, '\n', text.len - off);
    if (!end || client->answered == client->waiting.count)
      sim_fail(node->world, "%s: an answer to nothing", node->name);
    uint32_t uid = client->waiting.uids[client->answered++];
    struct published *entry = &node->world->published[uid];
    if (text.data[off] == ':') {
      int expected = node->listens && entry->channel == 0 ? '2' : '1';
      if (text.data[off + 1] != expected)
        sim_fail(node->world, "%s: entry %u counted wrong receivers", node->name, uid);
      entry->outcome = OUTCOME_NUMBER;
    } else {
      entry->outcome = OUTCOME_GAP;
    }
    off = (size_t)(end + 1 - text.data);
  }
  sb_buf_close(&text);
}

static void read_output(struct node *node) {
  struct sb_session *session;
  while ((session = sb_core_next_dirty(node->core))) {
    if (session == &node->observer)
      read_pushes(node, session, true);
    else if (session == &node->listener)
      read_pushes(node, session, false);
    else
      read_answers(node, (struct client *)session);
  }
}

/* ---- reading the logs ---- */

static void track_interval(struct node *node, uint32_t partition) {
  struct intervals *intervals = &node->intervals[partition];
  struct sb_core_log_info info;
  sb_core_log_info(node->core, partition, &info);
  if (!info.ready) {
    intervals->open = false;
    return;
  }
  if (!intervals->open) {
    if (intervals->count == intervals->cap) {
      intervals->cap = intervals->cap ? intervals->cap * 2 : 4;
      intervals->at = sb_realloc(intervals->at, intervals->cap * sizeof *intervals->at);
    }
    intervals->at[intervals->count++] =
        (struct interval){.life = node->readings[partition].life, .from = info.joined_at};
    intervals->open = true;
  }
  intervals->at[intervals->count - 1].to = info.applied;
}

/* After a gap: whether the state that was found tells which entries sent before the gap were ordered. */
static bool knows_its_past(const struct sb_partition *part) {
  const struct sb_row *row = sb_state_row(&part->state, part->core->settings.node);
  return row && part->limbo_same_log && sb_incarnation_compare(row->previous, part->limbo_incarnation) == 0;
}

static void deliver(struct node *node, uint32_t partition, const struct stored *stored) {
  struct sb_body *body = sb_body_new(stored->len), *channel = NULL;
  if (stored->len) memcpy(body->data, stored->body, stored->len);
  if (stored->channel) {
    channel = sb_body_new(stored->channel_len);
    memcpy(channel->data, stored->channel, stored->channel_len);
  }
  const struct sb_partition *part = &node->core->partitions[partition];
  bool in_limbo = part->in_limbo;
  node->world->deliveries++;
  sb_core_delivery(node->core, partition, stored->sequence, &stored->envelope, channel, body);
  if (in_limbo && !part->in_limbo && !knows_its_past(part)) sim_excuse(node->world, node);
  read_output(node);
  track_interval(node, partition);
  sim_check_state(node, partition);
}

/* Where reading begins or goes on, as a transport finds it out when it attaches. */
static void attach(struct node *node, uint32_t partition) {
  struct sim_log *log = &node->world->logs[partition];
  struct reading *reading = &node->readings[partition];
  enum sb_core_attach how = SB_CORE_CONTINUED;
  size_t tail = log->count > log->first ? log->count - 1 : log->first;
  if (!reading->attached) {
    how = SB_CORE_FRESH;
    reading->index = tail;
  } else if (reading->life != log->life) {
    how = SB_CORE_NEW_LOG;
    reading->index = tail;
  } else if (reading->index < log->first) {
    how = SB_CORE_GAP;
    reading->index = log->first;
  }
  reading->attached = true;
  reading->life = log->life;
  sb_core_attached(node->core, partition, how);
  track_interval(node, partition);
}

static bool read_one(struct node *node, uint32_t partition) {
  struct sim_log *log = &node->world->logs[partition];
  struct reading *reading = &node->readings[partition];
  if (reading->life != log->life || reading->index < log->first) { /* the consumer is cancelled */
    sb_core_link(node->core, partition, SB_CORE_CONSUME, false);
    attach(node, partition);
    sb_core_link(node->core, partition, SB_CORE_CONSUME, true);
  }
  if (reading->index >= log->count) return false;
  deliver(node, partition, &log->at[reading->index++]);
  return true;
}

/* ---- links ---- */

static void set_links(struct node *node, bool up) {
  for (uint32_t p = 0; p < node->world->options.partitions; p++) {
    if (up) attach(node, p);
    sb_core_link(node->core, p, SB_CORE_PUBLISH, up);
    sb_core_link(node->core, p, SB_CORE_CONSUME, up);
  }
  node->link_up = up;
}

void sim_node_link_back(struct node *node) {
  set_links(node, true);
}

/* What was on its way gets through up to some point; the rest is lost, or comes late. */
static void cut_flight(struct node *node, uint32_t partition) {
  struct world *world = node->world;
  struct flight *flight = &node->flights[partition];
  size_t through = sim_below(world, (uint32_t)flight->count + 1);
  for (size_t i = 0; flight->count > 0; i++) {
    struct flying flying = sim_flight_pop(flight);
    if (node->up) sb_core_settled(node->core, partition, flying.token, SB_CORE_LOST);
    if (i < through) {
      sim_append(world, partition, &flying.message);
    } else if (sim_fault(world, 'l') && sim_chance(world, 0.15)) {
      static const uint16_t delays[] = {5, 20, 100, 400, 900};
      flying.due_step = world->step + delays[sim_below(world, 5)];
      sim_flight_push(&world->limbo, &flying);
    } else {
      free(flying.message.body);
    }
  }
}

void sim_node_cut(struct node *node, uint64_t steps) {
  if (!node->link_up) return;
  set_links(node, false);
  for (uint32_t p = 0; p < node->world->options.partitions; p++) cut_flight(node, p);
  node->link_back_step = node->world->step + steps;
}

/* ---- life and death ---- */

static void subscribe(struct node *node) {
  sb_core_session_open(node->core, &node->observer, 2);
  sb_core_subscribe(node->core, &node->observer, SB_SUB_PATTERN, sb_bytes_of("*"));
  sb_core_session_open(node->core, &node->listener, 3);
  node->listens = sim_chance(node->world, 0.5);
  if (node->listens) sb_core_subscribe(node->core, &node->listener, SB_SUB_CHANNEL, sb_bytes_of("c0"));
}

void sim_node_start(struct node *node) {
  struct world *world = node->world;
  struct sb_core_settings settings = {
      .nonce = sim_random(world),
      .partitions = world->options.partitions,
      .batch_bytes = 200 + sim_below(world, 600),
      .window_step_bytes = 20 + sim_below(world, 200),
      .outbox_bytes = 1 << 20,
      .lease_ms = LEASE_MS,
      .found_ms = FOUND_MS,
      .snapshot_part_bytes = 150 + sim_below(world, 2000),
      .compress = sim_chance(world, 0.5),
  };
  const struct sb_core_io io = {node, on_publish, on_room, on_released, on_fatal, on_log};
  snprintf(settings.node, sizeof settings.node, "%s", node->name);
  node->up = true;
  node->was_ready = false;
  node->process++;
  node->start_step = world->step;
  node->send_stall_step = node->read_stall_step = 0;
  memset(node->readings, 0, sizeof node->readings);
  memset(&node->observer, 0, sizeof node->observer);
  memset(&node->listener, 0, sizeof node->listener);
  node->core = sb_core_new(&settings, &io, clock_ms(node), unix_clock_ms(node));
  subscribe(node);
  set_links(node, true);
}

static void bury(struct node *node) {
  struct world *world = node->world;
  if (world->pasts_count == world->pasts_cap) {
    world->pasts_cap = world->pasts_cap ? world->pasts_cap * 2 : 16;
    world->pasts = sb_realloc(world->pasts, world->pasts_cap * sizeof *world->pasts);
  }
  struct past *past = &world->pasts[world->pasts_count++];
  memcpy(past->name, node->name, sizeof past->name);
  past->listened = node->listens;
  past->heard = node->heard;
  memcpy(past->seen, node->seen, sizeof past->seen);
  memcpy(past->intervals, node->intervals, sizeof past->intervals);
  memset(&node->heard, 0, sizeof node->heard);
  memset(node->seen, 0, sizeof node->seen);
  memset(node->intervals, 0, sizeof node->intervals);
}

static void close_core(struct node *node) {
  struct sb_core_stats stats;
  sb_core_stats(node->core, &stats);
  struct sb_core_stats *totals = &node->world->totals;
  totals->batches_resent += stats.batches_resent;
  totals->batches_duplicate += stats.batches_duplicate;
  totals->batches_hole += stats.batches_hole;
  totals->batches_stranger += stats.batches_stranger;
  totals->batches_malformed += stats.batches_malformed;
  totals->foreign_messages += stats.foreign_messages;
  totals->rejoins += stats.rejoins;
  totals->gaps += stats.gaps;
  totals->snapshots_sent += stats.snapshots_sent;
  totals->members_declared_dead += stats.members_declared_dead;
  sb_core_session_close(node->core, &node->observer);
  sb_core_session_close(node->core, &node->listener);
  while (node->clients) {
    struct client *client = node->clients;
    node->clients = client->next;
    sb_core_session_close(node->core, &client->session);
  }
  sb_core_free(node->core);
  node->core = NULL;
}

void sim_node_kill(struct node *node) {
  if (!node->up) return;
  sim_node_cut(node, 0);
  node->up = node->link_up = false;
  close_core(node);
  bury(node);
}

void sim_node_free(struct node *node) {
  if (node->up) close_core(node);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    while (node->flights[p].count > 0) free(sim_flight_pop(&node->flights[p]).message.body);
    free(node->flights[p].at);
  }
  bury(node);
}

/* ---- clients ---- */

static struct client *some_client(struct node *node) {
  uint32_t count = 0;
  for (struct client *c = node->clients; c; c = c->next) count++;
  if (count < CLIENTS_MAX && (count == 0 || sim_chance(node->world, 0.05))) {
    struct client *client = sb_calloc(1, sizeof *client);
    client->next = node->clients;
    node->clients = client;
    sb_core_session_open(node->core, &client->session, 2);
    return client;
  }
  struct client *client = node->clients;
  for (uint32_t i = sim_below(node->world, count); i > 0 && client->next; i--) client = client->next;
  return client;
}

static void publish(struct node *node) {
  struct world *world = node->world;
  struct client *client = some_client(node);
  if (client->waiting.count - client->answered >= UNANSWERED_MAX) return;
  uint32_t uid = world->published_count;
  uint8_t channel = (uint8_t)sim_below(world, CHANNELS);
  char name[] = {'c', (char)('0' + channel)}, payload[16];
  int len = snprintf(payload, sizeof payload, "u%u", uid);
  if (uid == world->published_cap) {
    world->published_cap = uid ? uid * 2 : 1024;
    world->published = sb_realloc(world->published, world->published_cap * sizeof *world->published);
  }
  world->published[uid] = (struct published){.channel = channel, .node = (uint8_t)(node - world->nodes)};
  world->published_count++;
  if (sb_core_publish(node->core, &client->session, SB_PUBLISH, sb_bytes(name, 2),
                      sb_bytes(payload, (size_t)len)) == SB_DONE)
    sim_receipts_add(&client->waiting, uid);
}

/* A session that closes while its publishes are under way: they still go out, and its memory is freed at the
 * end. */
static void leave(struct node *node) {
  struct client *client = node->clients;
  if (!client) return;
  node->clients = client->next;
  sb_core_session_close(node->core, &client->session);
}

bool sim_node_settled(struct node *node) {
  struct world *world = node->world;
  for (struct client *client = node->clients; client; client = client->next)
    if (client->answered != client->waiting.count) return false;
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    const struct sb_partition *part = &node->core->partitions[p];
    if (!sb_partition_has_row(part) || !sb_outbox_empty(&part->outbox) || part->in_limbo) return false;
    if (node->readings[p].index != world->logs[p].count || node->readings[p].life != world->logs[p].life)
      return false;
  }
  return true;
}

void sim_node_step(struct node *node) {
  struct world *world = node->world;
  static const uint8_t bursts[] = {0, 1, 2, 3, 6};
  sb_core_now(node->core, clock_ms(node), unix_clock_ms(node));
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    int burst = world->faults ? bursts[sim_below(world, 5)] : 8;
    if (!node->link_up || (node->read_stall_step > world->step && world->faults)) burst = 0;
    while (burst-- > 0 && read_one(node, p)) {
    }
  }
  if (world->faults && sim_chance(world, 0.15))
    for (uint32_t n = sim_below(world, 4); n > 0; n--) publish(node);
  if (world->faults && sim_chance(world, 0.002)) leave(node);
  sb_core_turn(node->core);
  read_output(node);
  if (!node->was_ready && sb_core_ready(node->core)) {
    node->was_ready = true;
    uint64_t took = world->step - node->start_step;
    if (took > world->longest_start) world->longest_start = took;
  }
}
