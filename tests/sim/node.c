/* One simulated node: the real core, with the world as its transport and clients as its sessions. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define STOP_STEPS 400 /* a clean stop may take this long */
#define SPINS_MAX  20
#define QUEUE_MAX  SB_TRANSPORT_PUBLISH_MAX
/* One entry beyond the limit, and what may pass it: leaving, and announcing everything after a HELLO. */
static size_t unlimited_bytes(const struct world *world) {
  size_t logs = world->options.partitions > 4 ? world->options.partitions : 4;
  return 4096 + (size_t)2 * 60 * TOPICS * 2 * logs;
}

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
  if (body->len > node->max_body) {
    sim_mark_refused(node, partition, body);
    return SB_ERR_TOO_LARGE;
  }
  if (flight->count >= QUEUE_MAX) return SB_ERR_FULL;
  node->world->packed += envelope->lz4;
  struct flying flying = {.message = {.envelope = *envelope, .len = body->len},
                          .token = token,
                          .partition = partition,
                          .sent_step = node->world->step};
  flying.message.body = memcpy(sb_malloc(body->len), body->data, body->len);
  sim_sign(node, partition, body, &flying.message.envelope);
  sim_mark(node, partition, body, &flying.message);
  sim_flight_push(flight, &flying);
  return 0;
}

static void on_room(void *owner) {
  struct node *node = owner;
  node->room = true;
}

static void on_released(void *owner, struct sb_session *session) {
  struct node *node = owner;
  struct client *client = (struct client *)session;
  node->world->clients_open--;
  free(client);
}

static void on_fatal(void *owner, const char *why) {
  struct node *node = owner;
  struct world *world = node->world;
  if (!world->options.twins) sim_fail(world, "%s gave up: %s", node->name, why);
  struct node *twin = &world->nodes[node == &world->nodes[0]];
  if (!twin->up || !strstr(why, twin->core->logs.settings.about))
    sim_fail(world, "%s gave up and does not say whom it met: %s", node->name, why);
  if (node->was_ready && node->ready_step < twin->start_step)
    sim_fail(world, "%s gave up though it ran since %llu, and the other began at %llu", node->name,
             (unsigned long long)node->ready_step, (unsigned long long)twin->start_step);
  node->gone = true;
  world->fatals++;
}

static void on_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  (void)cause;
  struct node *node = owner;
  if (node->world->options.verbose)
    printf("%7llu %s %s: %s\n", (unsigned long long)node->world->step, node->name, sb_log_level_name(level),
           line);
}

/* ---- reading the logs ---- */

static void begin_interval(struct node *node, uint32_t partition, const struct sb_core_log_info *info) {
  struct intervals *intervals = &node->intervals[partition];
  if (intervals->count == intervals->cap) {
    intervals->cap = intervals->cap ? intervals->cap * 2 : 4;
    intervals->at = sb_realloc(intervals->at, intervals->cap * sizeof *intervals->at);
  }
  intervals->at[intervals->count++] = (struct interval){.life = node->readings[partition].life,
                                                        .from = info->joined_at,
                                                        .to = info->applied,
                                                        .read_from = node->readings[partition].anew_from};
  node->readings[partition].anew_from = 0;
}

static void track_interval(struct node *node, uint32_t partition) {
  struct intervals *intervals = &node->intervals[partition];
  struct sb_core_log_info info;
  sb_core_log_info(node->core, partition, &info);
  uint64_t last_from = intervals->count ? intervals->at[intervals->count - 1].from : 0;
  /* It may have become ready and lost the log again within one delivery: in what it had kept. */
  bool was_short =
      !info.ready && !intervals->open && info.joined_at != last_from && info.applied > info.joined_at;
  if (was_short || (info.ready && !intervals->open)) begin_interval(node, partition, &info);
  intervals->open = info.ready;
  if (info.ready) intervals->at[intervals->count - 1].to = info.applied;
}

/* What is in flight while a node does not see its log: the judge tells whether the node could know. */
static void note_unsure(struct node *node, uint32_t partition, uint64_t after) {
  struct world *world = node->world;
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  for (uint32_t uid = 0; uid < world->published_count; uid++) {
    struct published *entry = &world->published[uid];
    if (entry->outcome != OUTCOME_NONE || &world->nodes[entry->node] != node ||
        entry->process != node->process || sim_partition(world, entry->channel) != partition)
      continue;
    uint32_t life = node->readings[partition].life;
    if (!entry->unsure || entry->unsure_life != life) entry->unsure_after = after;
    entry->unsure = true;
    entry->unsure_life = life;
    entry->unsure_until = part->joined_at;
  }
}

/* Ids never run backwards for who reads them here. A founder whose clock is behind and who cannot know the
 * generation before (the last message said nothing of it) starts lower; who knows better lifts it with the
 * HELLO of its return. */
static void check_ids(struct node *node, uint32_t partition, uint64_t pushes_before) {
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  uint64_t *generation = &node->last_generation[partition], *sequence = &node->last_sequence[partition];
  if (!sb_partition_has_row(part) || node->pushes[partition] == pushes_before) return;
  if (node->world->ids_fell >> partition & 1) return;
  if (part->state.generation == SB_GENERATION_MAX) return; /* no later founding has a higher one */
  if (part->state.generation < *generation ||
      (part->state.generation == *generation && part->applied <= *sequence))
    sim_fail(node->world, "partition %u: ids run backwards at %s: %llu-%llu after %llu-%llu", partition,
             node->name, (unsigned long long)part->state.generation, (unsigned long long)part->applied,
             (unsigned long long)*generation, (unsigned long long)*sequence);
  *generation = part->state.generation;
  *sequence = part->applied;
}

/* How far this process read the present life of the log in one piece. */
static uint64_t read_until(const struct node *node, uint32_t partition) {
  const struct intervals *intervals = &node->intervals[partition];
  const struct interval *last = intervals->count ? &intervals->at[intervals->count - 1] : NULL;
  return last && last->life == node->readings[partition].life ? last->to : 0;
}

/* By what another program claims it left the log in the very delivery in which it became ready: up to where
 * its sessions were given what it had kept is not known here. */
static void note_false_claim(struct node *node, uint32_t partition, bool was_ready, uint64_t given_way) {
  if (node->world->options.forged && !was_ready && node->core->logs.stats.divergence_rejoins > given_way)
    node->forged |= UINT64_C(1) << partition;
}

static void deliver(struct node *node, uint32_t partition, const struct stored *stored) {
  struct sb_body *body = sb_body_new(stored->len), *channel = NULL;
  if (stored->len) memcpy(body->data, stored->body, stored->len);
  if (stored->channel) {
    channel = sb_body_new(stored->channel_len);
    memcpy(channel->data, stored->channel, stored->channel_len);
  }
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  bool in_limbo = sb_limbo_is_active(&part->limbo);
  uint64_t after = read_until(node, partition);
  uint64_t pushes = node->pushes[partition];
  struct lost lost = {0};
  if (in_limbo) lost = sim_lost(part);
  node->world->deliveries++;
  node->event = true;
  struct sb_envelope envelope = sim_judged_by(node, partition, stored, body);
  bool counts = envelope.refused && (!sb_seen_any(&part->seen) || stored->sequence > part->seen.last);
  uint64_t refused = sim_refused_by(node), given_way = node->core->logs.stats.divergence_rejoins;
  bool was_ready = sb_partition_is_ready(part);
  sb_core_delivery(node->core, partition, stored->sequence, &envelope, channel, body);
  if (sim_refused_by(node) != refused + (counts && !node->core->logs.failed))
    sim_fail(node->world, "%s does not count what it refuses", node->name);
  node->world->refusals += counts;
  note_false_claim(node, partition, was_ready, given_way);
  if (in_limbo) sim_lost_resolve(node, partition, &lost);
  if (in_limbo && !sb_limbo_is_active(&part->limbo)) note_unsure(node, partition, after);
  sim_sessions_read(node);
  check_ids(node, partition, pushes);
  track_interval(node, partition);
  sim_check_state(node, partition);
}

static bool nobody_else_reads(const struct node *node) {
  struct world *world = node->world;
  for (uint32_t n = 0; n < world->options.nodes; n++)
    if (world->nodes[n].up && &world->nodes[n] != node) return false;
  return sim_chance(world, 0.5); /* a dead node may have left its subscription behind */
}

/* Where reading begins or goes on, as a transport finds it out when it attaches. */
static void attach(struct node *node, uint32_t partition) {
  struct sim_log *log = &node->world->logs[partition];
  struct reading *reading = &node->readings[partition];
  enum sb_attach how = SB_ATTACH_CONTINUED;
  size_t tail = log->count > log->first ? log->count - 1 : log->first;
  if (node->world->hides_tail) tail = log->count;
  if (!reading->attached) {
    how = node->world->hides_tail && nobody_else_reads(node) ? SB_ATTACH_ALONE : SB_ATTACH_FRESH;
    reading->index = tail;
  } else if (reading->life != log->life) {
    how = SB_ATTACH_NEW_LOG;
    reading->index = log->first;
    reading->anew_from = log->first < log->count ? log->at[log->first].sequence : log->next_sequence + 1;
  } else if (reading->index < log->first) {
    how = SB_ATTACH_GAP;
    reading->anew_from = 0;
    reading->index = log->first;
  }
  if (how != SB_ATTACH_CONTINUED) reading->read_from = reading->index;
  reading->attached = true;
  reading->life = log->life;
  sb_core_attached(node->core, partition, how);
  track_interval(node, partition);
}

static bool read_one(struct node *node, uint32_t partition) {
  struct sim_log *log = &node->world->logs[partition];
  struct reading *reading = &node->readings[partition];
  if (reading->life != log->life || reading->index < log->first) { /* the consumer is cancelled */
    sb_core_link(node->core, partition, SB_LINK_CONSUME, false);
    attach(node, partition);
    sb_core_link(node->core, partition, SB_LINK_CONSUME, true);
  }
  if (sim_fault(node->world, 'u') && reading->index > reading->read_from && reading->index <= log->count &&
      sim_chance(node->world, 0.01)) { /* a redelivery of something that was read before */
    size_t back = 1 + sim_below(node->world, 3);
    node->world->redelivered++;
    deliver(
        node, partition,
        &log->at[reading->index - reading->read_from > back ? reading->index - back : reading->read_from]);
  }
  if (reading->index >= log->count) return false;
  if (sim_fault(node->world, 'm') && node->world->faults && sim_chance(node->world, 0.001)) {
    reading->read_from = ++reading->index;
    reading->anew_from = 0;
    sb_core_attached(node->core, partition, SB_ATTACH_GAP);
    track_interval(node, partition);
    return true;
  }
  struct stored twice;
  enum sim_diverge diverge = sim_diverge(node, partition, &log->at[reading->index], &twice);
  if (diverge != SIM_DIVERGE_SKIP) deliver(node, partition, &log->at[reading->index]);
  reading->index++;
  if (diverge == SIM_DIVERGE_TWICE) deliver(node, partition, &twice);
  return true;
}

/* ---- links ---- */

static void set_links(struct node *node, bool up) {
  for (uint32_t p = 0; p < node->world->options.partitions; p++) {
    if (up) attach(node, p);
    sb_core_link(node->core, p, SB_LINK_PUBLISH, up);
    sb_core_link(node->core, p, SB_LINK_CONSUME, up);
  }
  node->link_up = up;
  node->event = true;
}

static void set_max_body(struct node *node) {
  bool small = sim_fault(node->world, 'b') && node->world->faults && sim_chance(node->world, 0.5);
  node->max_body = small ? node->world->small_body : 100000;
  sb_core_set_entry_max(node->core, node->max_body);
}

void sim_node_link_back(struct node *node) {
  set_max_body(node);
  set_links(node, true);
}

/* What was on its way gets through up to some point; the rest is lost, or comes late. */
static void cut_flight(struct node *node, uint32_t partition) {
  struct world *world = node->world;
  struct flight *flight = &node->flights[partition];
  size_t through = sim_below(world, (uint32_t)flight->count + 1);
  for (size_t i = 0; flight->count > 0; i++) {
    struct flying flying = sim_flight_pop(flight);
    if (node->up) sb_core_settled(node->core, partition, flying.token, SB_SETTLE_LOST);
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
  sim_read_backs_end(node);
  for (uint32_t p = 0; p < node->world->options.partitions; p++) cut_flight(node, p);
  node->link_back_step = node->world->step + steps;
}

/* ---- life and death ---- */

void sim_node_start(struct node *node) {
  struct world *world = node->world;
  struct sb_core_settings settings = {
      .nonce = sim_random(world),
      .partitions = world->options.partitions,
      .batch_bytes = 200 + sim_below(world, sim_chance(world, 0.3) ? 6000 : 600),
      .window_step_bytes = 20 + sim_below(world, 200),
      .outbox_bytes = sim_chance(world, 0.5) ? 1 << 20 : 2000 + sim_below(world, 3000),
      .output_hard_bytes = OUTPUT_BYTES,
      .linger_ms = sim_chance(world, 0.2) ? 30 : 0,
      .rate_per_s = sim_chance(world, 0.2) ? 100 : 0,
      .refuse_in_outage = sim_chance(world, 0.25),
      .lease_ms = LEASE_MS,
      .found_ms = FOUND_MS,
      .snapshot_piece_bytes = 150 + sim_below(world, 2000),
      .compress = sim_chance(world, 0.5),
      .hides_tail = world->hides_tail,
      .history_prefill = sim_chance(world, 0.7),
      .checkpoint_messages = 20 + sim_below(world, sim_chance(world, 0.5) ? 100 : 1000),
  };
  if (world->small_body < 1000)
    settings.snapshot_piece_bytes = world->small_body - 110; /* what is around it */
  static const size_t history_bytes[] = {0, 4000, 20000, 20000, 1 << 22, 1 << 22};
  settings.history_bytes = history_bytes[sim_below(world, 6)] * world->options.partitions;
  settings.range_bytes = sim_chance(world, 0.1) ? 4000 : 0;
  if (sim_chance(world, 0.3)) settings.history_age_ms = 1000 + sim_below(world, 10000);
  for (size_t i = 0; i < sizeof settings.name_key.bytes; i++)
    settings.name_key.bytes[i] = (uint8_t)sim_below(world, 256);
  struct sb_core_io io = {.owner = node,
                          .publish = on_publish,
                          .room = on_room,
                          .released = on_released,
                          .fatal = on_fatal,
                          .log = on_log};
  if (!world->hides_tail) {
    io.read_back = sim_read_back;
    io.read_back_stop = sim_read_back_stop;
  }
  snprintf(settings.node, sizeof settings.node, "%s", node->name);
  snprintf(settings.about, sizeof settings.about, "process %u of %s", world->processes + 1, node->name);
  node->up = true;
  node->was_ready = false;
  bool again = node->process != 0;
  node->process = ++world->processes;
  node->nonce = settings.nonce;
  node->forged = 0;
  node->start_step = world->step;
  node->send_stall_step = node->read_stall_step = 0;
  memset(node->readings, 0, sizeof node->readings);
  memset(node->read_backs, 0, sizeof node->read_backs);
  memset(node->prefills, 0, sizeof node->prefills);
  memset(node->last_generation, 0, sizeof node->last_generation);
  memset(node->last_sequence, 0, sizeof node->last_sequence);
  node->refuses = settings.refuse_in_outage;
  node->stopping = node->room = false;
  node->idle_turns = 0;
  if (again && sim_fault(world, 'j')) {
    static const uint16_t steps_back[] = {0, 0, 500, 3000, 30000};
    node->clock_offset_ms -= steps_back[sim_below(world, 5)];
  }
  sim_signing_begin(node);
  node->core = sb_core_new(&settings, &io, clock_ms(node), unix_clock_ms(node));
  sim_sessions_open(node);
  set_max_body(node);
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
  past->process = node->process;
  past->forged = node->forged;
  past->histories = node->histories;
  memcpy(past->intervals, node->intervals, sizeof past->intervals);
  node->histories = NULL;
  memset(node->pushes, 0, sizeof node->pushes);
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
  totals->losses_shown += stats.losses_shown;
  totals->divergences += stats.divergences;
  totals->divergence_rejoins += stats.divergence_rejoins;
  totals->snapshots_sent += stats.snapshots_sent;
  totals->checkpoints_sent += stats.checkpoints_sent;
  totals->members_declared_dead += stats.members_declared_dead;
  sim_sessions_close(node);
  sb_core_free(node->core);
  sim_signing_end(node);
  node->core = NULL;
}

void sim_node_kill(struct node *node) {
  if (!node->up) return;
  for (uint32_t p = 0; p < node->world->options.partitions; p++) sim_look_dump(node, p);
  sim_node_cut(node, 0);
  node->up = node->link_up = false;
  close_core(node);
  bury(node);
}

void sim_node_free(struct node *node) {
  if (node->up) {
    node->up = false;
    close_core(node);
    bury(node);
  }
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    while (node->flights[p].count > 0) free(sim_flight_pop(&node->flights[p]).message.body);
    free(node->flights[p].at);
    node->flights[p] = (struct flight){0};
  }
}

/* ---- a step ---- */

void sim_node_stop(struct node *node) {
  if (!node->up || node->stopping) return;
  node->stopping = node->event = true;
  node->stop_until = node->world->step + STOP_STEPS;
  node->world->stops++;
}

bool sim_node_settled(struct node *node) {
  struct world *world = node->world;
  if (node->stopping || !sim_sessions_settled(node)) return false;
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    const struct sb_partition *part = &node->core->logs.partitions[p];
    if (!sb_partition_has_row(part) || sb_limbo_is_active(&part->limbo) || sb_back_is_running(&part->prefill))
      return false;
    if (world->options.latency) continue; /* heartbeats are always under way */
    if (!sb_outbox_empty(&part->outbox)) return false;
    if (node->readings[p].index != world->logs[p].count || node->readings[p].life != world->logs[p].life)
      return false;
  }
  if (node->core->logs.outbox_bytes != 0 && !world->options.latency)
    sim_fail(world, "%s: %llu bytes in an empty outbox", node->name,
             (unsigned long long)node->core->logs.outbox_bytes);
  return true;
}

static void check_account(struct node *node) {
  uint64_t held = 0;
  for (uint32_t p = 0; p < node->world->options.partitions; p++)
    held += sb_partition_held(&node->core->logs.partitions[p]);
  if (held != node->core->logs.outbox_bytes)
    sim_fail(node->world, "%s: its outbox is not what it says", node->name);
  if (held > node->core->logs.settings.outbox_bytes + unlimited_bytes(node->world))
    sim_fail(node->world, "%s: its outbox overflows", node->name);
}

/* As the loop of the daemon: a turn when something happened or when the core wanted one. */
static void turn(struct node *node) {
  uint64_t now = clock_ms(node);
  node->idle_turns = node->event ? 0 : node->idle_turns;
  if (!node->event && now < node->deadline) return;
  for (int round = 0; round < 3; round++) {
    node->event = node->room = false;
    sim_views_take(node);
    sb_core_turn(node->core);
    sim_sessions_read(node);
    if (node->room) sim_sessions_room(node);
    if (!node->event) break;
  }
  node->event = false;
  check_account(node);
  if (node->gone) return;
  bool done = node->stopping && sb_core_stop(node->core);
  node->deadline = sb_core_deadline(node->core);
  if (node->deadline <= now && ++node->idle_turns > SPINS_MAX)
    sim_fail(node->world, "%s turns without an end: due at %llu, now %llu", node->name,
             (unsigned long long)node->deadline, (unsigned long long)now);
  if (node->deadline > now) node->idle_turns = 0;
  if (done) {
    node->world->clean_stops++;
    sim_sessions_read(node);
    for (const struct client *client = node->clients; client; client = client->next)
      if (!client->session.blocked &&
          (sb_session_waiting(&client->session) > 0 ||
           (!client->sleeps && client->history->answered != client->history->requests_count)))
        sim_fail(node->world, "%s stopped with requests unanswered", node->name);
  }
  if (!done && (!node->stopping || node->world->step < node->stop_until)) return;
  if (!done && node->stop_until > node->world->options.steps + STOP_STEPS)
    sim_fail(node->world, "%s did not stop though nothing was in its way", node->name);
  sim_node_kill(node);
  node->start_step = node->world->step + 1 + sim_below(node->world, 200);
}

/* Now and then, and whenever something was put before it. */
static void look_at_history(struct node *node) {
  if (!node->core) return;
  for (uint32_t p = 0; p < node->world->options.partitions; p++) {
    bool prefills = sb_back_is_running(&node->core->logs.partitions[p].prefill);
    if (prefills != node->prefills[p]) node->world->prefilled += !prefills;
    if (prefills != node->prefills[p] || sim_chance(node->world, 0.002)) sim_look_dump(node, p);
    node->prefills[p] = prefills;
  }
}

void sim_node_step(struct node *node) {
  struct world *world = node->world;
  static const uint8_t bursts[] = {0, 1, 2, 3, 6};
  sb_core_now(node->core, clock_ms(node), unix_clock_ms(node));
  for (uint32_t p = 0; p < world->options.partitions && !node->gone; p++) {
    int burst = world->faults ? bursts[sim_below(world, 5)] : 8;
    if (!node->link_up || (node->read_stall_step > world->step && world->faults)) burst = 0;
    while (burst-- > 0 && !node->gone && read_one(node, p)) {
    }
  }
  if (node->link_up) sim_read_backs_step(node);
  if (world->faults) sim_sessions_step(node);
  turn(node);
  if (node->gone) {
    sim_node_kill(node);
    return;
  }
  if (node->up) look_at_history(node);
  if (node->up && !node->was_ready && sb_core_ready(node->core)) {
    node->was_ready = true;
    node->ready_step = world->step;
    uint64_t took = world->step - node->start_step;
    if (took > world->longest_start) world->longest_start = took;
  }
}
