/* The promises, checked against what the judge (judge.c) found in the logs. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

void sim_check_state(struct node *node, uint32_t partition) {
  struct world *world = node->world;
  const struct sb_partition *part = &node->core->partitions[partition];
  size_t index = node->readings[partition].index - 1;
  if (!part->ready || part->applied != world->logs[partition].at[index].sequence) return;
  if (index >= world->states_cap[partition]) {
    size_t cap = world->logs[partition].cap;
    world->states[partition] = sb_realloc(world->states[partition], cap * sizeof *world->states[partition]);
    memset(world->states[partition] + world->states_cap[partition], 0,
           (cap - world->states_cap[partition]) * sizeof *world->states[partition]);
    world->states_cap[partition] = cap;
  }
  struct state_at *at = &world->states[partition][index];
  uint64_t hash = sim_hash_state(&part->state);
  if (!at->known) {
    at->known = true;
    at->hash = hash;
    memcpy(at->who, node->name, sizeof at->who);
  } else if (at->hash != hash) {
    sim_fail(world, "partition %u: %s and %s differ at %llu", partition, node->name, at->who,
             (unsigned long long)part->applied);
  }
}

/* ---- deliveries against it ---- */

static bool covered(const struct intervals *intervals, const struct accepted *entry) {
  for (size_t i = 0; i < intervals->count; i++) {
    const struct interval *at = &intervals->at[i];
    if (at->life == entry->life && entry->sequence > at->from && entry->sequence <= at->to) return true;
  }
  return false;
}

static void check_process(struct world *world, const struct past *past, uint32_t partition,
                          const struct truth *truth) {
  const struct receipts *seen = &past->seen[partition];
  size_t next = 0;
  for (size_t i = 0; i < truth->count; i++) {
    const struct accepted *entry = &truth->at[i];
    if (!covered(&past->intervals[partition], entry)) continue;
    if (next >= seen->count)
      sim_fail(world, "partition %u: %s missed entry %u at %llu", partition, past->name, entry->uid,
               (unsigned long long)entry->sequence);
    if (seen->uids[next] != entry->uid)
      sim_fail(world, "partition %u: %s delivered %u where %u stands at %llu", partition, past->name,
               seen->uids[next], entry->uid, (unsigned long long)entry->sequence);
    next++;
  }
  if (next != seen->count)
    sim_fail(world, "partition %u: %s delivered %u, which is not in the log there", partition, past->name,
             seen->uids[next]);
}

/* The listener to c0 has what the observer saw on that channel. */
static void check_listener(struct world *world, const struct past *past, uint32_t partition) {
  size_t next = 0;
  for (size_t i = 0; past->listened && i < past->seen[partition].count; i++) {
    uint32_t uid = past->seen[partition].uids[i];
    if (world->published[uid].channel != 0 || world->published[uid].shard) continue;
    if (next >= past->heard.count || past->heard.uids[next++] != uid)
      sim_fail(world, "%s: SUBSCRIBE and PSUBSCRIBE differ at entry %u", past->name, uid);
  }
  if (next == 0 && past->heard.count > 0) return; /* c0 lives in another partition */
  if (next != past->heard.count) sim_fail(world, "%s: SUBSCRIBE received more than PSUBSCRIBE", past->name);
}

/* An entry may be ordered twice when its log was destroyed, or when its node lost the log from sight while it
 * was in flight and the log was founded anew by one who could not know in what it did not see. A founding and
 * the batches behind it may also come late into the next life of the log; nobody follows there who had seen
 * them in their own. */
static bool may_repeat(const struct world *world, const struct truth *truth, uint32_t uid, bool stale) {
  const struct published *entry = &world->published[uid];
  if (entry->destroyed || stale) return true;
  for (size_t i = 0; entry->unsure && i < truth->founds_count; i++) {
    const struct accepted *found = &truth->founds[i];
    if (found->life == entry->unsure_life && found->sequence > entry->unsure_after &&
        found->sequence <= entry->unsure_until)
      return true;
  }
  return false;
}

static void check_entries(struct world *world, const struct truth *truths) {
  uint8_t *times = sb_calloc(world->published_count + 1, 1);
  for (uint32_t p = 0; p < world->options.partitions; p++)
    for (size_t i = 0; i < truths[p].count; i++) {
      uint32_t uid = truths[p].at[i].uid;
      if (times[uid]++ && !may_repeat(world, &truths[p], uid, truths[p].at[i].stale))
        sim_fail(world, "entry %u was accepted twice, again in partition %u at %llu of life %u", uid, p,
                 (unsigned long long)truths[p].at[i].sequence, truths[p].at[i].life);
    }
  for (uint32_t uid = 0; uid < world->published_count; uid++) {
    enum outcome outcome = (enum outcome)world->published[uid].outcome;
    if ((outcome == OUTCOME_NUMBER || outcome == OUTCOME_GAP) && !times[uid])
      sim_fail(world, "entry %u was answered but is in no log", uid);
    if (outcome == OUTCOME_REFUSED && times[uid] &&
        !may_repeat(world, &truths[sim_partition(world, world->published[uid].channel)], uid, false))
      sim_fail(world, "entry %u was refused but is in a log", uid);
  }
  free(times);
}

void sim_check_end(struct world *world) {
  if (world->clients_open > 0)
    sim_fail(world, "%llu sessions were never released", (unsigned long long)world->clients_open);
  struct truth truths[PARTITIONS_MAX] = {0};
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    sim_judge(world, p, &truths[p]);
    for (size_t i = 0; i < world->pasts_count; i++) {
      check_process(world, &world->pasts[i], p, &truths[p]);
      check_listener(world, &world->pasts[i], p);
    }
  }
  check_entries(world, truths);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    free(truths[p].at);
    free(truths[p].founds);
  }
}
