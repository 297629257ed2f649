#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTLE_STEPS 5000 /* after the faults: longer than a lease, a founding and a few repeated HELLOs */

void sim_fail(struct world *world, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(world->failure, sizeof world->failure, format, args);
  va_end(args);
  longjmp(world->failed, 1);
}

/* splitmix64 */
uint64_t sim_random(struct world *world) {
  uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

bool sim_chance(struct world *world, double probability) {
  return (double)(sim_random(world) >> 11) < probability * (double)(UINT64_C(1) << 53);
}

uint32_t sim_below(struct world *world, uint32_t bound) {
  return (uint32_t)(sim_random(world) % bound);
}

bool sim_fault(const struct world *world, char fault) {
  return strchr(world->options.faults, fault) != NULL;
}

uint8_t sim_padding(uint32_t uid, size_t at) {
  return (uint8_t)('a' + (uid + at) % 26);
}

/* A payload is "u<uid>" and padding behind a space. */
bool sim_uid(const struct world *world, struct sb_bytes payload, uint32_t *out) {
  uint64_t uid;
  const uint8_t *end = payload.len ? memchr(payload.at, ' ', payload.len) : NULL;
  size_t len = end ? (size_t)(end - payload.at) : payload.len;
  if (len < 2 || payload.at[0] != 'u' ||
      !sb_bytes_u64(sb_bytes(payload.at + 1, len - 1), (uint64_t)world->published_count - 1, &uid))
    return false;
  *out = (uint32_t)uid;
  return true;
}

void sim_published_add(struct world *world, const struct published *entry) {
  if (world->published_count == world->published_cap) {
    world->published_cap = world->published_cap ? world->published_cap * 2 : 1024;
    world->published = sb_realloc(world->published, world->published_cap * sizeof *world->published);
  }
  world->published[world->published_count++] = *entry;
}

void sim_receipts_add(struct receipts *receipts, uint32_t uid, struct sb_id id) {
  if (receipts->count == receipts->cap) {
    receipts->cap = receipts->cap ? receipts->cap * 2 : 64;
    receipts->uids = sb_realloc(receipts->uids, receipts->cap * sizeof *receipts->uids);
    receipts->ids = sb_realloc(receipts->ids, receipts->cap * sizeof *receipts->ids);
  }
  receipts->ids[receipts->count] = id;
  receipts->uids[receipts->count++] = uid;
}

/* ---- the broker ---- */

void sim_flight_push(struct flight *flight, const struct flying *flying) {
  if (flight->head + flight->count == flight->cap) {
    if (flight->head > 0) {
      memmove(flight->at, flight->at + flight->head, flight->count * sizeof *flight->at);
      flight->head = 0;
    }
    if (flight->count == flight->cap) {
      flight->cap = flight->cap ? flight->cap * 2 : 16;
      flight->at = sb_realloc(flight->at, flight->cap * sizeof *flight->at);
    }
  }
  flight->at[flight->head + flight->count++] = *flying;
}

struct flying sim_flight_pop(struct flight *flight) {
  flight->count--;
  return flight->at[flight->head++];
}

/* Takes the message's memory. */
void sim_append(struct world *world, uint32_t partition, struct stored *message) {
  struct sim_log *log = &world->logs[partition];
  if (log->count == log->cap) {
    log->cap = log->cap ? log->cap * 2 : 1024;
    log->at = sb_realloc(log->at, log->cap * sizeof *log->at);
  }
  uint32_t hole = sim_chance(world, 0.1) ? 1 + sim_below(world, 3) : 0; /* holes are normal */
  log->next_sequence += (uint64_t)(1 + hole) * world->stride;
  message->sequence = log->next_sequence;
  message->life = log->life;
  message->first = log->first;
  log->at[log->count++] = *message;
  world->messages++;
}

static void append_copy(struct world *world, uint32_t partition, const struct stored *message) {
  struct stored copy = *message;
  copy.body = memcpy(sb_malloc(message->len), message->body, message->len);
  sim_append(world, partition, &copy);
}

static void make_late(struct world *world, struct flying *flying) {
  static const uint16_t delays[] = {5, 20, 100, 400, 900};
  flying->due_step = world->step + delays[sim_below(world, 5)];
  sim_flight_push(&world->limbo, flying);
}

static void take_message(struct world *world, struct node *node, uint32_t partition) {
  struct flying flying = sim_flight_pop(&node->flights[partition]);
  node->event = true;
  double dice = world->faults && sim_fault(world, 'l') ? (double)sim_below(world, 1000) : 1000;
  if (dice < 2) {
    free(flying.message.body);
    if (sim_chance(world, 0.5)) sb_core_settled(node->core, partition, flying.token, SB_SETTLE_REJECTED);
    return;
  }
  if (dice < 4) {
    make_late(world, &flying);
    return;
  }
  if (dice < 8) append_copy(world, partition, &flying.message);
  sb_core_settled(node->core, partition, flying.token, SB_SETTLE_CONFIRMED);
  if (dice >= 4 && dice < 6)
    make_late(world, &flying);
  else
    sim_append(world, partition, &flying.message);
}

static void broker_step(struct world *world) {
  static const uint8_t bursts[] = {0, 0, 1, 2, 4};
  for (uint32_t n = 0; n < world->options.nodes; n++) {
    struct node *node = &world->nodes[n];
    for (uint32_t p = 0; p < world->options.partitions; p++) {
      if (!node->up || !node->link_up || (world->faults && node->send_stall_step > world->step)) continue;
      for (int burst = bursts[sim_below(world, 5)];
           burst > 0 && node->flights[p].count > 0 &&
           node->flights[p].at[node->flights[p].head].sent_step + world->options.latency <= world->step;
           burst--)
        take_message(world, node, p);
    }
  }
  for (size_t i = world->limbo.count; i > 0; i--) {
    struct flying flying = sim_flight_pop(&world->limbo);
    if (world->faults && flying.due_step > world->step)
      sim_flight_push(&world->limbo, &flying);
    else
      sim_append(world, flying.partition, &flying.message);
  }
}

/* ---- faults ---- */

/* A copy that was on its way to the log when that was deleted comes to the new one. */
static void echo_late(struct world *world, uint32_t partition, const struct stored *message) {
  struct flying flying = {.message = *message, .partition = partition};
  flying.message.channel = NULL;
  flying.message.stale = true;
  flying.message.body = memcpy(sb_malloc(message->len), message->body, message->len);
  make_late(world, &flying);
}

/* The log is deleted and made again, empty: entries in flight may be in both. */
static void recreate(struct world *world, uint32_t partition) {
  struct sim_log *log = &world->logs[partition];
  for (uint32_t uid = 0; uid < world->published_count; uid++)
    if (world->published[uid].outcome == OUTCOME_NONE &&
        sim_partition(world, world->published[uid].channel) == partition)
      world->published[uid].destroyed = true;
  for (size_t i = log->count > log->begin + 12 ? log->count - 12 : log->begin; i < log->count; i++)
    if (sim_fault(world, 'l') && !log->at[i].envelope.foreign && sim_chance(world, 0.3))
      echo_late(world, partition, &log->at[i]);
  log->life++;
  bool calm = true;
  for (uint32_t n = 0; n < world->options.nodes; n++)
    calm &= world->nodes[n].up && world->nodes[n].link_up &&
            sb_partition_is_ready(&world->nodes[n].core->logs.partitions[partition]);
  if (calm) log->calm_lives |= UINT64_C(1) << log->life % 64;
  log->begin = log->first = log->count;
  log->next_sequence = sim_chance(world, 0.5) ? 0 : log->next_sequence / 2;
  for (uint32_t n = 0; n < world->options.nodes; n++) {
    struct flight *flight = &world->nodes[n].flights[partition];
    while (flight->count > 0) free(sim_flight_pop(flight).message.body);
  }
  for (size_t i = world->limbo.head; i < world->limbo.head + world->limbo.count; i++)
    if (world->limbo.at[i].partition == partition) world->limbo.at[i].message.stale = true;
}

static void node_faults(struct world *world, struct node *node) {
  static const uint16_t cuts[] = {3, 10, 60, 250}, stalls[] = {30, 150, 400}, rests[] = {1, 5, 100, 300};
  uint32_t dice = sim_below(world, 100000);
  if (dice < 250) {
    if (sim_fault(world, 'c')) sim_node_cut(node, cuts[sim_below(world, 4)]);
  } else if (dice < 310) {
    if (!sim_fault(world, 'k')) return;
    sim_node_kill(node);
    node->start_step = world->step + rests[sim_below(world, 4)];
  } else if (dice < 400) {
    if (sim_fault(world, 's')) node->send_stall_step = world->step + stalls[sim_below(world, 3)];
  } else if (dice >= 600 && dice < 640) {
    if (sim_fault(world, 'q')) sim_node_stop(node);
  } else if (dice >= 700 && dice < 720) {
    if (sim_fault(world, 'j')) node->clock_offset_ms += (int64_t)sim_below(world, 20000) - 10000;
  } else if (dice < 520) {
    if (sim_fault(world, 'r')) node->read_stall_step = world->step + stalls[sim_below(world, 3)];
  }
}

static void world_faults(struct world *world) {
  static const uint16_t rests[] = {1, 5, 10};
  uint32_t dice = sim_below(world, 100000);
  if (dice < 60 && sim_fault(world, 'a')) {
    for (uint32_t n = 0; n < world->options.nodes; n++) {
      sim_node_kill(&world->nodes[n]);
      world->nodes[n].start_step = world->step + rests[sim_below(world, 3)];
    }
  } else if (dice >= 100 && dice < 200 && sim_fault(world, 'o')) {
    uint64_t steps = sim_chance(world, 0.5) ? 50 : 300;
    for (uint32_t n = 0; n < world->options.nodes; n++)
      if (world->nodes[n].up) sim_node_cut(&world->nodes[n], steps);
  } else if (dice >= 200 && dice < 230 && sim_fault(world, 'x')) {
    recreate(world, sim_below(world, world->options.partitions));
  } else if (dice >= 300 && dice < 400 && sim_fault(world, 't')) {
    struct sim_log *log = &world->logs[sim_below(world, world->options.partitions)];
    size_t keep = 5 + sim_below(world, 55);
    if (log->count > log->first + keep) log->first = log->count - keep;
  } else if (dice >= 400 && dice < 700 && sim_fault(world, 'g')) {
    sim_garbage(world);
  } else if (dice >= 700 && dice < 760 && sim_fault(world, 'h')) {
    sim_chance(world, 0.3) ? sim_forge_time(world) : sim_forge_hello(world);
  } else if (dice >= 800 && dice < 1100 && world->options.forged) {
    sim_forge(world);
  }
}

/* ---- a run ---- */

static void begin(struct world *world, uint64_t seed, const struct options *options) {
  static const uint16_t births[] = {0, 0, 0, 5, 50, 300};
  static const double rates[] = {0.9, 1, 1, 1.1};
  world->options = *options;
  world->seed = world->random = seed;
  world->faults = true;
  world->hides_tail = sim_chance(world, 0.3);
  world->stride = sim_chance(world, 0.7) ? 1 : 300;
  world->small_body = sim_chance(world, 0.5) ? 1000 : 200 + sim_below(world, 300);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) world->logs[p].life = 1;
  for (uint32_t n = 0; n < options->nodes; n++) {
    struct node *node = &world->nodes[n];
    node->world = world;
    snprintf(node->name, sizeof node->name, "n%u", options->twins && n == 1 ? 0 : n);
    node->clock_offset_ms = (int64_t)sim_below(world, 200000) - 100000;
    node->clock_rate = rates[sim_below(world, 4)];
    node->start_step = births[sim_below(world, 6)];
  }
  world->divergence.due_step = options->steps / 3 + options->steps / 3 * (seed % 100) / 100;
}

static bool settled(struct world *world) {
  uint32_t alive = 0;
  if (world->limbo.count > 0) return false;
  for (uint32_t n = 0; n < world->options.nodes; n++) {
    struct node *node = &world->nodes[n];
    if (node->gone) continue;
    alive++;
    if (!node->up || !sim_node_settled(node)) return false;
  }
  for (uint32_t n = 0; n < world->options.nodes; n++)
    for (uint32_t p = 0; p < world->options.partitions && !world->nodes[n].gone; p++)
      if (world->nodes[n].core->logs.partitions[p].state.members.count != alive) return false;
  return true;
}

static void end_of_faults(struct world *world) {
  world->faults = false;
  if (!sim_fault(world, 'd') || world->options.nodes < 2 || !sim_chance(world, 0.3)) return;
  struct node *node = &world->nodes[sim_below(world, world->options.nodes)];
  sim_node_kill(node);
  node->gone = true;
}

static void step(struct world *world) {
  if (world->faults) world_faults(world);
  for (uint32_t n = 0; n < world->options.nodes; n++) {
    struct node *node = &world->nodes[n];
    if (node->gone) continue;
    if (!node->up && world->step >= node->start_step) sim_node_start(node);
    if (node->up && !node->link_up && world->step >= node->link_back_step) sim_node_link_back(node);
    if (node->up && world->faults) node_faults(world, node);
    if (node->up) sim_node_step(node);
  }
  broker_step(world);
  sim_diverge_step(world);
}

static void settle(struct world *world) {
  uint64_t from = world->step;
  for (step(world), world->step++; !(world->step % 16 == 0 && settled(world)); world->step++) {
    if (world->step >= from + SETTLE_STEPS)
      sim_fail(world, "not everybody is ready %d steps after the last fault", SETTLE_STEPS);
    step(world);
  }
  if (world->step - from > world->longest_settle) world->longest_settle = world->step - from;
  world->settle_steps += world->step - from;
}

static void run(struct world *world) {
  for (; world->step < world->options.steps; world->step++) step(world);
  end_of_faults(world);
  settle(world);
  sim_check_counts(world);
  sim_check_sums(world);
  if (world->options.twins && world->fatals != 1)
    sim_fail(world, "%llu of two nodes with one name gave up", (unsigned long long)world->fatals);
  if (sim_fault(world, 'q') && !world->nodes[0].gone) { /* and one stops and comes back without any fault */
    sim_node_stop(&world->nodes[0]);
    settle(world);
  }
  sim_check_counts(world);
  for (uint32_t n = 0; n < world->options.nodes; n++)
    if (!world->nodes[n].gone) sim_sessions_close(&world->nodes[n]);
  settle(world);
  sim_check_counts(world);
  sim_check_sums(world);
  if (world->divergence.made && !world->divergence.found && world->options.faults[0] == 0)
    sim_fail(world, "that a node differs was never found");
  for (uint32_t n = 0; n < world->options.nodes; n++) sim_node_free(&world->nodes[n]);
  sim_check_end(world);
}

bool sim_run(struct world *world, uint64_t seed, const struct options *options) {
  memset(world, 0, sizeof *world);
  begin(world, seed, options);
  if (setjmp(world->failed)) return false;
  run(world);
  return true;
}

void sim_free(struct world *world) {
  for (uint32_t n = 0; n < world->options.nodes; n++) sim_node_free(&world->nodes[n]);
  for (size_t i = 0; i < world->pasts_count; i++) {
    for (struct history *history = world->pasts[i].histories, *next; history; history = next) {
      next = history->next;
      sim_history_free(history);
    }
    for (uint32_t p = 0; p < PARTITIONS_MAX; p++) free(world->pasts[i].intervals[p].at);
  }
  free(world->pasts);
  free(world->marks);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    for (size_t i = 0; i < world->logs[p].count; i++) {
      free(world->logs[p].at[i].body);
      free(world->logs[p].at[i].channel);
    }
    free(world->logs[p].at);
    free(world->states[p]);
    sim_looks_free(&world->looks[p]);
  }
  while (world->limbo.count > 0) free(sim_flight_pop(&world->limbo).message.body);
  free(world->limbo.at);
  free(world->published);
}
