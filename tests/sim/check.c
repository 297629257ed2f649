/* The promises, checked. The judge is a replay of the complete logs by the rules of the shared state alone:
 * what it accepts is the truth that every node must have delivered. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

static uint64_t hash_state(const struct sb_state *state) {
  struct sb_buf text = {0};
  sb_state_write(state, &text);
  uint64_t hash = sb_topic_hash(sb_buf_bytes(&text));
  sb_buf_close(&text);
  return hash;
}

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
  uint64_t hash = hash_state(&part->state);
  if (!at->known) {
    at->known = true;
    at->hash = hash;
    memcpy(at->who, node->name, sizeof at->who);
  } else if (at->hash != hash) {
    sim_fail(world, "partition %u: %s and %s differ at %llu", partition, node->name, at->who,
             (unsigned long long)part->applied);
  }
}

/* ---- the truth ---- */

struct accepted {
  uint32_t uid;
  uint32_t life;
  uint64_t sequence;
};

struct truth {
  struct accepted *at;
  size_t count, cap;
};

static void add(struct world *world, struct truth *truth, const struct stored *message,
                struct sb_bytes payload) {
  uint64_t uid;
  if (payload.len < 2 || payload.at[0] != 'u' ||
      !sb_bytes_u64(sb_bytes(payload.at + 1, payload.len - 1), world->published_count - 1, &uid))
    return; /* a foreign message */
  if (truth->count == truth->cap) {
    truth->cap = truth->cap ? truth->cap * 2 : 1024;
    truth->at = sb_realloc(truth->at, truth->cap * sizeof *truth->at);
  }
  truth->at[truth->count++] = (struct accepted){(uint32_t)uid, message->life, message->sequence};
}

static void replay_control(struct sb_state *state, const struct stored *message) {
  struct sb_control control;
  if (!sb_control_read(sb_bytes(message->body, message->len), &control)) return;
  const struct sb_envelope *envelope = &message->envelope;
  const struct sb_found found = {message->sequence,    control.hello_at,   control.generation,
                                 envelope->time_ms,    control.partitions, envelope->node,
                                 envelope->incarnation};
  switch (control.kind) {
  case SB_CONTROL_HELLO:
    sb_state_hello(state, envelope->node, envelope->incarnation, control.partitions, envelope->generation);
    break;
  case SB_CONTROL_SNAPSHOT:
    sb_state_snapshot_seen(state, message->sequence);
    break;
  case SB_CONTROL_FOUND:
    sb_state_found(state, &found);
    break;
  }
}

static void replay_bye(struct sb_state *state, const struct sb_bytes *args) {
  char name[SB_NODE_NAME_MAX + 1] = {0};
  struct sb_incarnation incarnation;
  uint64_t number;
  memcpy(name, args[2].at, args[2].len);
  if (sb_incarnation_parse((const char *)args[3].at, args[3].len, &incarnation) &&
      sb_bytes_u64(args[4], UINT64_MAX, &number))
    sb_state_bye(state, name, incarnation, number);
}

static bool well_formed(struct sb_bytes body, uint32_t count) {
  struct sb_entry entry;
  uint32_t off = 0;
  for (uint32_t i = 0; i < count; i++)
    if (!sb_entry_next(body, &off, NULL, &entry)) return false;
  return off == body.len;
}

static void replay_batch(struct world *world, struct sb_state *state, struct truth *truth,
                         const struct stored *message) {
  struct sb_body *plain = sb_body_new(message->len);
  memcpy(plain->data, message->body, message->len);
  if (message->envelope.lz4) {
    struct sb_body *unpacked = sb_codec_unpack(plain);
    sb_body_unref(plain);
    plain = unpacked;
  }
  struct sb_bytes body = plain ? sb_bytes(plain->data, plain->len) : sb_bytes(NULL, 0),
                  args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  if (plain && well_formed(body, message->envelope.count) &&
      sb_state_batch(state, &message->envelope) == SB_VERDICT_ACCEPTED)
    while (off < body.len) {
      uint32_t count = sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX);
      if (count == 3) add(world, truth, message, args[2]);
      if (count == 6) replay_bye(state, args);
    }
  sb_body_unref(plain);
}

static void replay(struct world *world, uint32_t partition, struct truth *truth) {
  struct sim_log *log = &world->logs[partition];
  struct sb_state state = {0};
  uint32_t life = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct stored *message = &log->at[i];
    if (message->life != life) {
      sb_state_close(&state);
      life = message->life;
    }
    if (message->envelope.malformed || message->envelope.foreign) continue;
    if (message->envelope.number == 0)
      replay_control(&state, message);
    else
      replay_batch(world, &state, truth, message);
    const struct state_at *at = i < world->states_cap[partition] ? &world->states[partition][i] : NULL;
    if (at && at->known && at->hash != hash_state(&state))
      sim_fail(world, "partition %u: %s differs from the log at %llu", partition, at->who,
               (unsigned long long)message->sequence);
  }
  sb_state_close(&state);
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
    if (world->published[uid].channel != 0) continue;
    if (next >= past->heard.count || past->heard.uids[next++] != uid)
      sim_fail(world, "%s: SUBSCRIBE and PSUBSCRIBE differ at entry %u", past->name, uid);
  }
  if (next == 0 && past->heard.count > 0) return; /* c0 lives in another partition */
  if (next != past->heard.count) sim_fail(world, "%s: SUBSCRIBE received more than PSUBSCRIBE", past->name);
}

static void check_entries(struct world *world, const struct truth *truths) {
  uint8_t *times = sb_calloc(world->published_count + 1, 1);
  for (uint32_t p = 0; p < world->options.partitions; p++)
    for (size_t i = 0; i < truths[p].count; i++) {
      uint32_t uid = truths[p].at[i].uid;
      if (times[uid]++ && !world->published[uid].excused)
        sim_fail(world, "entry %u was accepted twice, again in partition %u at %llu of life %u", uid, p,
                 (unsigned long long)truths[p].at[i].sequence, truths[p].at[i].life);
    }
  for (uint32_t uid = 0; uid < world->published_count; uid++)
    if (world->published[uid].outcome != OUTCOME_NONE && !times[uid])
      sim_fail(world, "entry %u was answered but is in no log", uid);
  free(times);
}

void sim_check_end(struct world *world) {
  struct truth truths[PARTITIONS_MAX] = {0};
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    replay(world, p, &truths[p]);
    for (size_t i = 0; i < world->pasts_count; i++) {
      check_process(world, &world->pasts[i], p, &truths[p]);
      check_listener(world, &world->pasts[i], p);
    }
  }
  check_entries(world, truths);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) free(truths[p].at);
}
