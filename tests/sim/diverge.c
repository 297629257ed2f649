/* A cause for nodes to differ: one node is silently not shown a message that all others accept, or is shown
 * one that stands in no log. Nobody is told, and no rule of the log is to blame: only the chain can say so.
 * The run must find it within a lease, and all nodes must be equal again at the end. */
#include <stdio.h>

#include "tests/sim/world.h"

/* Beyond the lease, for the ways of messages: a claim leaves, is read, and is answered with another. */
#define SLACK_STEPS 30

static uint64_t found_by(const struct world *world) {
  uint64_t found = world->totals.divergences + world->totals.losses_shown;
  for (uint32_t n = 0; n < world->options.nodes; n++)
    if (world->nodes[n].up)
      found += world->nodes[n].core->logs.stats.divergences + world->nodes[n].core->logs.stats.losses_shown;
  return found;
}

static uint32_t others_ready(const struct node *node, uint32_t partition) {
  uint32_t ready = 0;
  for (uint32_t n = 0; n < node->world->options.nodes; n++) {
    const struct node *other = &node->world->nodes[n];
    ready += other != node && other->up && sb_partition_has_row(&other->core->logs.partitions[partition]);
  }
  return ready;
}

static bool is_new(const struct sb_row *row, const struct sb_envelope *envelope) {
  return !row || sb_incarnation_compare(row->incarnation, envelope->incarnation) < 0;
}

/* Whether that node would accept it, as everybody does. A heartbeat that is missed shows with the next
 * message of its sender only. */
static bool is_accepted(const struct sb_partition *part, const struct stored *stored) {
  const struct sb_envelope *envelope = &stored->envelope;
  const struct sb_row *row = sb_state_row(&part->state, envelope->node);
  struct sb_control control;
  if (envelope->foreign) return stored->channel != NULL;
  if (envelope->malformed || stored->sequence <= part->applied) return false;
  if (envelope->number == 0)
    return sb_control_read(sb_bytes(stored->body, stored->len), &control) &&
           control.kind == SB_CONTROL_HELLO && is_new(row, envelope);
  return sb_state_member(&part->state, envelope->node) >= 0 &&
         sb_incarnation_compare(row->incarnation, envelope->incarnation) == 0 &&
         envelope->generation == part->state.generation && envelope->number == row->number + 1 &&
         stored->len != sizeof SB_ENTRY_HEARTBEAT - 1;
}

/* The same once more, where nothing stands in the log: as the sender's next batch. */
static struct stored again(const struct stored *stored) {
  struct stored copy = *stored;
  copy.sequence++;
  if (!copy.envelope.foreign) copy.envelope.number++;
  copy.envelope.claim = (struct sb_claim){0};
  return copy;
}

enum sim_diverge sim_diverge(struct node *node, uint32_t partition, const struct stored *stored,
                             struct stored *out) {
  struct world *world = node->world;
  struct divergence *at = &world->divergence;
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  if (!world->options.diverge || at->made || world->step < at->due_step ||
      world->step >= world->options.steps)
    return SIM_DIVERGE_NOT;
  if (!sb_partition_has_row(part) || others_ready(node, partition) + 1 < world->options.nodes ||
      world->options.nodes < 2 || !is_accepted(part, stored) || sim_chance(world, 0.8))
    return SIM_DIVERGE_NOT;
  bool own = stored->envelope.incarnation.nonce == node->core->logs.settings.nonce;
  bool twice = world->stride > 1 && !own && stored->envelope.foreign + stored->envelope.number > 0 &&
               sim_chance(world, 0.5);
  *at = (struct divergence){.made = true,
                            .step = world->step,
                            .node = (uint32_t)(node - world->nodes),
                            .partition = partition,
                            .sequence = stored->sequence,
                            .found_before = found_by(world)};
  if (world->options.verbose)
    printf("%7llu %s: partition %u: message at %llu of %s %s\n", (unsigned long long)world->step, node->name,
           partition, (unsigned long long)stored->sequence, stored->envelope.node,
           twice ? "comes twice" : "does not come");
  world->diverged++;
  if (twice) *out = again(stored);
  return twice ? SIM_DIVERGE_TWICE : SIM_DIVERGE_SKIP;
}

/* With other faults, who might say something may be cut off for as long as the fault likes. */
static bool is_calm(const struct world *world) {
  return world->options.faults[0] == 0 && world->options.latency == 0;
}

static void check_no_alarm(struct world *world) {
  if (world->options.forged && !world->options.sign) return; /* another program claims what it likes */
  for (uint32_t n = 0; n < world->options.nodes; n++)
    if (world->nodes[n].up && world->nodes[n].core->logs.stats.divergences > 0)
      sim_fail(world, "%s says that nodes differ, and there is no cause", world->nodes[n].name);
    else if (world->nodes[n].up && world->nodes[n].core->logs.stats.batches_impersonated > 0 &&
             !world->options.forged)
      sim_fail(world, "%s says that somebody speaks in its name, and nobody does", world->nodes[n].name);
}

void sim_diverge_step(struct world *world) {
  struct divergence *at = &world->divergence;
  if (!at->made) check_no_alarm(world);
  if (!at->made || at->found) return;
  at->found = found_by(world) > at->found_before;
  if (at->found) {
    uint64_t steps = world->step - at->step;
    world->found_steps += steps;
    if (steps > world->longest_find) world->longest_find = steps;
  } else if (is_calm(world) && world->step > at->step + LEASE_MS / STEP_MS + SLACK_STEPS) {
    sim_fail(world, "partition %u: that %s differs since %llu was not found within a lease", at->partition,
             world->nodes[at->node].name, (unsigned long long)at->sequence);
  }
}

/* ---- the end ---- */

/* Of two nodes at rest the one that stands further back claims what the other accepted as well. */
static void check_pair(struct node *a, struct node *b, uint32_t partition) {
  const struct sb_partition *one = &a->core->logs.partitions[partition],
                            *two = &b->core->logs.partitions[partition];
  struct sb_claim own;
  if (one->applied == two->applied && sim_hash_state(&one->state) != sim_hash_state(&two->state))
    sim_fail(a->world, "partition %u: %s and %s differ at the end", partition, a->name, b->name);
  if (one->applied < two->applied) return;
  if (sb_chain_compare(&one->chain, two->state.chain, one->applied + 1, &own) != SB_CHAIN_AGREES)
    sim_fail(a->world, "partition %u: the chains of %s and %s differ at the end", partition, a->name,
             b->name);
}

void sim_check_sums(struct world *world) {
  for (uint32_t p = 0; p < world->options.partitions; p++)
    for (uint32_t n = 0; n < world->options.nodes; n++)
      for (uint32_t m = 0; m < world->options.nodes; m++)
        if (m != n && world->nodes[n].up && world->nodes[m].up)
          check_pair(&world->nodes[n], &world->nodes[m], p);
}
