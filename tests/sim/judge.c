/* The judge: the rules of the log protocol written a second time, from docs/log.md alone and without the
 * core's state.c, so that a rule that is wrong there differs from the log here. It replays the complete logs:
 * what it accepts is the truth that every node must have delivered. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define JUDGED_ROWS 64 /* far more than a simulation has names */

struct judge {
  uint64_t generation, time_ms, mark; /* mark: sequence + 1 of the last SNAPSHOT or FOUND */
  uint32_t partitions;
  struct sb_row members[JUDGED_ROWS], gone[JUDGED_ROWS];
  uint32_t members_count, gone_count;
  bool stale; /* founded by a FOUND of the life before */
};

/* ---- hashes, field by field: what SNAPSHOT writes is under test itself ---- */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ (hash >> 29);
}

static uint64_t mix_rows(uint64_t hash, const struct sb_row *rows, uint32_t count) {
  hash = mix(hash, count);
  for (uint32_t i = 0; i < count; i++) {
    for (const char *c = rows[i].name; *c; c++) hash = mix(hash, (uint64_t)*c);
    hash = mix(mix(hash, rows[i].incarnation.start_ms), rows[i].incarnation.nonce);
    hash = mix(mix(hash, rows[i].number), rows[i].previous_number);
    hash = mix(mix(hash, rows[i].previous.start_ms), rows[i].previous.nonce);
  }
  return hash;
}

static uint64_t mix_head(uint64_t generation, uint64_t partitions, uint64_t time_ms, uint64_t mark) {
  return mix(mix(mix(mix(1, generation), partitions), time_ms), mark);
}

uint64_t sim_hash_state(const struct sb_state *s) {
  uint64_t hash = mix_head(s->generation, s->partitions, s->time_ms, s->sf_mark);
  return mix_rows(mix_rows(hash, s->members.at, s->members.count), s->departed.at, s->departed.count);
}

static uint64_t hash_judge(const struct judge *j) {
  uint64_t hash = mix_head(j->generation, j->partitions, j->time_ms, j->mark);
  return mix_rows(mix_rows(hash, j->members, j->members_count), j->gone, j->gone_count);
}

/* ---- the rules ---- */

static int find(const struct sb_row *rows, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(rows[i].name, name) == 0) return (int)i;
  return -1;
}

static struct sb_row take(struct sb_row *rows, uint32_t *count, int at) {
  struct sb_row row = rows[at];
  for (uint32_t i = (uint32_t)at + 1; i < *count; i++) rows[i - 1] = rows[i];
  (*count)--;
  return row;
}

static bool newer(struct sb_incarnation a, struct sb_incarnation b) {
  return a.start_ms > b.start_ms || (a.start_ms == b.start_ms && a.nonce > b.nonce);
}

static bool same(struct sb_incarnation a, struct sb_incarnation b) {
  return a.start_ms == b.start_ms && a.nonce == b.nonce;
}

static void judge_hello(struct judge *j, const struct sb_envelope *e, uint32_t partitions) {
  int member = find(j->members, j->members_count, e->node), gone = find(j->gone, j->gone_count, e->node);
  struct sb_row old = {0}, row = {.incarnation = e->incarnation};
  if (member >= 0)
    old = j->members[member];
  else if (gone >= 0)
    old = j->gone[gone];
  if (partitions != j->partitions || !newer(e->incarnation, old.incarnation)) return;
  if (member >= 0)
    take(j->members, &j->members_count, member);
  else if (gone >= 0)
    take(j->gone, &j->gone_count, gone);
  snprintf(row.name, sizeof row.name, "%s", e->node);
  row.previous = old.number ? old.incarnation : old.previous;
  row.previous_number = old.number ? old.number : old.previous_number;
  j->members[j->members_count++] = row;
  if (e->generation > j->generation) j->generation = e->generation + 1;
}

static bool judge_found(struct judge *j, const struct stored *message, const struct sb_control *control) {
  if (control->hello_at >= message->sequence) return false; /* of a log that is no more */
  bool valid = j->mark == 0 || j->mark - 1 <= control->hello_at;
  j->mark = message->sequence + 1;
  if (!valid) return false;
  j->generation = control->generation;
  j->partitions = control->partitions;
  j->time_ms = message->envelope.time_ms;
  j->members_count = 1;
  j->gone_count = 0;
  j->stale = message->stale;
  j->members[0] = (struct sb_row){.incarnation = message->envelope.incarnation};
  snprintf(j->members[0].name, sizeof j->members[0].name, "%s", message->envelope.node);
  return true;
}

static void judge_bye(struct judge *j, const struct sb_bytes *args) {
  char name[SB_NODE_NAME_MAX + 1] = {0};
  struct sb_incarnation incarnation;
  uint64_t number;
  memcpy(name, args[2].at, args[2].len);
  int at = find(j->members, j->members_count, name);
  if (at < 0 || !sb_incarnation_parse((const char *)args[3].at, args[3].len, &incarnation) ||
      !sb_bytes_u64(args[4], UINT64_MAX, &number))
    return;
  if (!same(j->members[at].incarnation, incarnation) || j->members[at].number != number) return;
  struct sb_row row = take(j->members, &j->members_count, at);
  j->gone[j->gone_count++] = row;
}

static bool judge_batch(struct judge *j, const struct sb_envelope *e) {
  int at = find(j->members, j->members_count, e->node);
  if (at < 0 || !same(j->members[at].incarnation, e->incarnation) || e->generation != j->generation)
    return false;
  if (e->number != j->members[at].number + 1) return false;
  j->members[at].number = e->number;
  if (e->time_ms > j->time_ms) j->time_ms = e->time_ms;
  return true;
}

/* ---- the logs ---- */

static void add(struct world *world, struct truth *truth, const struct stored *message,
                struct sb_bytes payload, bool stale) {
  uint32_t uid;
  if (!sim_uid(world, payload, &uid)) return; /* a foreign message */
  if (truth->count == truth->cap) {
    truth->cap = truth->cap ? truth->cap * 2 : 1024;
    truth->at = sb_realloc(truth->at, truth->cap * sizeof *truth->at);
  }
  truth->at[truth->count++] = (struct accepted){uid, message->life, message->sequence, stale};
}

static void add_found(struct truth *truth, const struct stored *message) {
  if (truth->founds_count == truth->founds_cap) {
    truth->founds_cap = truth->founds_cap ? truth->founds_cap * 2 : 16;
    truth->founds = sb_realloc(truth->founds, truth->founds_cap * sizeof *truth->founds);
  }
  truth->founds[truth->founds_count++] =
      (struct accepted){0, message->life, message->sequence, message->stale};
}

static void replay_control(struct judge *j, struct truth *truth, const struct stored *message) {
  struct sb_control control;
  if (!sb_control_read(sb_bytes(message->body, message->len), &control)) return;
  if (control.kind == SB_CONTROL_HELLO) judge_hello(j, &message->envelope, control.partitions);
  if (control.kind == SB_CONTROL_SNAPSHOT) j->mark = message->sequence + 1;
  if (control.kind == SB_CONTROL_FOUND && judge_found(j, message, &control)) add_found(truth, message);
}

static bool is_entry(const struct sb_bytes *args, uint32_t count) {
  if (count == 3)
    return sb_bytes_equal(args[0], sb_bytes_of("PUBLISH")) ||
           sb_bytes_equal(args[0], sb_bytes_of("SPUBLISH"));
  if (count == 1) return sb_bytes_equal(args[0], sb_bytes_of("PING"));
  return count == 6 && sb_bytes_equal(args[1], sb_bytes_of("BYE"));
}

static bool well_formed(struct sb_bytes body, uint32_t count) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  for (uint32_t i = 0; i < count; i++)
    if (off >= body.len || !is_entry(args, sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX))) return false;
  return off == body.len;
}

static void replay_batch(struct world *world, struct judge *j, struct truth *truth,
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
  if (plain && well_formed(body, message->envelope.count) && judge_batch(j, &message->envelope))
    while (off < body.len) {
      uint32_t count = sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX);
      if (count == 3) add(world, truth, message, args[2], j->stale);
      if (count == 6) judge_bye(j, args);
    }
  sb_body_unref(plain);
}

void sim_judge(struct world *world, uint32_t partition, struct truth *truth) {
  struct sim_log *log = &world->logs[partition];
  struct judge judge = {0};
  uint32_t life = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct stored *message = &log->at[i];
    if (message->life != life) judge = (struct judge){0};
    life = message->life;
    if (message->envelope.foreign && message->channel)
      add(world, truth, message, sb_bytes(message->body, message->len), false);
    if (message->envelope.malformed || message->envelope.foreign) continue;
    if (message->envelope.number == 0)
      replay_control(&judge, truth, message);
    else
      replay_batch(world, &judge, truth, message);
    const struct state_at *at = i < world->states_cap[partition] ? &world->states[partition][i] : NULL;
    if (at && at->known && at->hash != hash_judge(&judge))
      sim_fail(world, "partition %u: %s differs from the log at %llu", partition, at->who,
               (unsigned long long)message->sequence);
  }
}
