/* Reading back in the simulated world: what a log holds, in pieces over time, with what may go wrong. */
#include "tests/sim/world.h"

static struct read_back *find(struct node *node, uint64_t token) {
  for (uint32_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    if (node->read_backs[i].active && node->read_backs[i].token == token) return &node->read_backs[i];
  return NULL;
}

int sim_read_back(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token) {
  struct node *node = owner;
  struct world *world = node->world;
  const struct sim_log *log = &world->logs[partition];
  struct read_back *free_one = NULL;
  if (!node->link_up) return SB_ERR_LINK;
  if (find(node, token)) sim_fail(world, "%s reads back twice under one token", node->name);
  for (uint32_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct read_back *at = &node->read_backs[i];
    if (!at->active)
      free_one = at;
    else if (at->partition == partition)
      return SB_ERR_FULL;
  }
  if (!free_one || (sim_fault(world, 'v') && sim_chance(world, 0.2))) return SB_ERR_FULL;
  *free_one =
      (struct read_back){.active = true, .partition = partition, .life = log->life, .token = token, .to = to};
  free_one->index = log->first;
  while (free_one->index < log->count && log->at[free_one->index].sequence < from) free_one->index++;
  world->read_backs++;
  node->event = true;
  return 0;
}

void sim_read_back_stop(void *owner, uint64_t token) {
  struct read_back *at = find(owner, token);
  if (at) at->stopped = true;
}

static void end(struct node *node, struct read_back *at, bool done) {
  struct read_back ended = *at;
  at->active = false;
  node->event = true;
  sb_core_stored_end(node->core, ended.partition, ended.token, done);
}

void sim_read_backs_end(struct node *node) {
  for (uint32_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    if (node->read_backs[i].active) end(node, &node->read_backs[i], false);
}

static struct sb_body *copy_of(const void *at, size_t len) {
  struct sb_body *body = sb_body_new(len);
  if (len) memcpy(body->data, at, len);
  return body;
}

/* False: it has ended. */
static bool give_one(struct node *node, struct read_back *at) {
  struct world *world = node->world;
  const struct sim_log *log = &world->logs[at->partition];
  bool passed = at->begun && at->index < log->first; /* retention has passed it in the middle */
  if (at->stopped || at->life != log->life || passed ||
      (sim_fault(world, 'v') && sim_chance(world, world->faults ? 0.002 : 0.0002))) {
    end(node, at, false);
    return false;
  }
  if (at->index < log->first) at->index = log->first;
  at->begun = true;
  if (at->index >= log->count || log->at[at->index].sequence > at->to) {
    end(node, at, true);
    return false;
  }
  const struct stored *stored = &log->at[at->index++];
  struct sb_body *body = copy_of(stored->body, stored->len);
  struct sb_envelope envelope = sim_judged_by(node, at->partition, stored, body);
  sb_core_stored(node->core, at->partition, at->token, stored->sequence, &envelope,
                 stored->channel ? copy_of(stored->channel, stored->channel_len) : NULL, body);
  return true;
}

void sim_read_backs_step(struct node *node) {
  static const uint8_t bursts[] = {0, 1, 20, 100, 250};
  for (uint32_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    for (uint32_t burst = bursts[sim_below(node->world, 5)];
         node->read_backs[i].active && burst > 0 && give_one(node, &node->read_backs[i]); burst--) {
    }
}
