/* The judge: the rules of the log protocol written a second time, from docs/log.md alone and without the
 * core's state.c, so that a rule that is wrong there differs from the log here. It replays the complete logs:
 * what it accepts is the truth that every node must have delivered. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define JUDGED_ROWS 64 /* far more than a simulation has names */

struct judged {
  struct sb_row row;
  uint32_t sessions[TOPICS]; /* of a member */
};

struct judge {
  uint64_t generation, time_ms, mark; /* mark: sequence + 1 of the last SNAPSHOT or FOUND */
  uint32_t partitions;
  struct judged members[JUDGED_ROWS], gone[JUDGED_ROWS];
  uint32_t members_count, gone_count;
  bool stale; /* founded by a FOUND of the life before */
};

/* ---- hashes, field by field: what SNAPSHOT writes is under test itself ---- */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ (hash >> 29);
}

static uint64_t mix_name(const char *name) {
  uint64_t hash = 2;
  for (const char *c = name; *c; c++) hash = mix(hash, (uint64_t)*c);
  return hash;
}

static uint64_t mix_row(uint64_t hash, const struct sb_row *row) {
  hash = mix(hash, mix_name(row->name));
  hash = mix(mix(hash, row->incarnation.start_ms), row->incarnation.nonce);
  hash = mix(mix(hash, row->number), row->previous_number);
  return mix(mix(hash, row->previous.start_ms), row->previous.nonce);
}

/* Summed up, for it has no order. */
static uint64_t mix_interest(uint64_t name, bool pattern, uint64_t hash, uint32_t sessions) {
  return mix(mix(mix(name, pattern), hash), sessions);
}

static uint64_t mix_counts(const struct sb_state *s) {
  uint64_t names[JUDGED_ROWS] = {0}, sum = 0;
  uint32_t members = s->members.count;
  for (uint32_t i = 0; i < members; i++) names[i] = mix_name(s->members.at[i].name);
  for (size_t i = 0; i < s->counts.cap; i++)
    for (uint32_t k = 0; s->counts.slots[i].count && k < members; k++)
      if (s->members.at[k].id == s->counts.slots[i].member)
        sum += mix_interest(names[k], false, s->counts.slots[i].hash, s->counts.slots[i].count);
  const struct sb_pattern *pattern;
  for (size_t at = 0; (pattern = sb_table_each(&s->counts.patterns, &at));)
    for (uint32_t i = 0; i < pattern->members_count; i++)
      for (uint32_t k = 0; k < members; k++)
        if (s->members.at[k].id == pattern->members[i].member)
          sum += mix_interest(names[k], true, pattern->hash, pattern->members[i].count);
  return mix(mix(sum, s->counts.count), s->counts.pattern_rows);
}

static uint64_t mix_head(uint64_t generation, uint64_t partitions, uint64_t time_ms, uint64_t mark) {
  return mix(mix(mix(mix(1, generation), partitions), time_ms), mark);
}

uint64_t sim_hash_state(const struct sb_state *s) {
  uint64_t hash = mix_head(s->generation, s->partitions, s->time_ms, s->sf_mark);
  hash = mix(hash, s->members.count);
  for (uint32_t i = 0; i < s->members.count; i++) hash = mix_row(hash, &s->members.at[i]);
  hash = mix(hash, s->departed.count);
  for (uint32_t i = 0; i < s->departed.count; i++) hash = mix_row(hash, &s->departed.at[i]);
  return mix(hash, mix_counts(s));
}

static uint64_t hash_judge_counts(const struct judge *j) {
  uint64_t sum = 0, channels = 0, patterns = 0;
  for (uint32_t i = 0; i < j->members_count; i++) {
    uint64_t name = mix_name(j->members[i].row.name);
    for (uint32_t t = 0; t < TOPICS; t++) {
      uint32_t sessions = j->members[i].sessions[t];
      bool pattern = sim_topic_kind(t) == SB_SUB_PATTERN;
      if (sessions == 0) continue;
      sum += mix_interest(name, pattern, sim_topic_hash(t), sessions);
      patterns += pattern;
      channels += !pattern;
    }
  }
  return mix(mix(sum, channels), patterns);
}

static uint64_t hash_judge(const struct judge *j) {
  uint64_t hash = mix_head(j->generation, j->partitions, j->time_ms, j->mark);
  hash = mix(hash, j->members_count);
  for (uint32_t i = 0; i < j->members_count; i++) hash = mix_row(hash, &j->members[i].row);
  hash = mix(hash, j->gone_count);
  for (uint32_t i = 0; i < j->gone_count; i++) hash = mix_row(hash, &j->gone[i].row);
  return mix(hash, hash_judge_counts(j));
}

/* ---- the rules ---- */

static int find(const struct judged *rows, uint32_t count, const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(rows[i].row.name, name) == 0) return (int)i;
  return -1;
}

static struct judged take(struct judged *rows, uint32_t *count, int at) {
  struct judged row = rows[at];
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
    old = j->members[member].row;
  else if (gone >= 0)
    old = j->gone[gone].row;
  if (partitions != j->partitions || !newer(e->incarnation, old.incarnation)) return;
  if (member >= 0)
    take(j->members, &j->members_count, member);
  else if (gone >= 0)
    take(j->gone, &j->gone_count, gone);
  snprintf(row.name, sizeof row.name, "%s", e->node);
  row.previous = old.number ? old.incarnation : old.previous;
  row.previous_number = old.number ? old.number : old.previous_number;
  j->members[j->members_count++] = (struct judged){.row = row}; /* without interest */
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
  j->members[0] = (struct judged){.row.incarnation = message->envelope.incarnation};
  snprintf(j->members[0].row.name, sizeof j->members[0].row.name, "%s", message->envelope.node);
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
  const struct sb_row *row = &j->members[at].row;
  if (!same(row->incarnation, incarnation) || row->number != number) return;
  struct judged leaving = take(j->members, &j->members_count, at);
  j->gone[j->gone_count++] = (struct judged){.row = leaving.row};
}

static bool judge_batch(struct judge *j, const struct sb_envelope *e) {
  int at = find(j->members, j->members_count, e->node);
  struct sb_row *row = at < 0 ? NULL : &j->members[at].row;
  if (!row || !same(row->incarnation, e->incarnation) || e->generation != j->generation) return false;
  if (e->number != row->number + 1) return false;
  row->number = e->number;
  if (e->time_ms > j->time_ms) j->time_ms = e->time_ms;
  return true;
}

/* ---- interest ---- */

static bool interest_kind(struct sb_bytes word, enum sb_sub_kind *kind) {
  if (sb_bytes_equal(word, sb_bytes_of("channel")))
    *kind = SB_SUB_CHANNEL;
  else if (sb_bytes_equal(word, sb_bytes_of("shard")))
    *kind = SB_SUB_SHARD;
  else if (sb_bytes_equal(word, sb_bytes_of("pattern")))
    *kind = SB_SUB_PATTERN;
  else
    return false;
  return true;
}

/* Absolute: so many sessions of the sender from now on. */
static void judge_interest(struct world *world, struct judge *j, const char *sender,
                           const struct sb_bytes *args) {
  enum sb_sub_kind kind;
  uint64_t sessions;
  uint8_t topic;
  int at = find(j->members, j->members_count, sender);
  if (!interest_kind(args[2], &kind) || !sim_topic_find(kind, args[3], &topic))
    sim_fail(world, "interest of %s in what nobody asked for", sender);
  if (at < 0) return; /* its BYE stands before, in the same batch */
  if (sb_bytes_u64(args[4], INT32_MAX, &sessions)) j->members[at].sessions[topic] = (uint32_t)sessions;
}

static uint64_t sessions_on(const struct judge *j, uint32_t topics) {
  uint64_t sessions = 0;
  for (uint32_t i = 0; i < j->members_count; i++)
    for (uint32_t t = 0; t < TOPICS; t++)
      if (topics >> t & 1) sessions += j->members[i].sessions[t];
  return sessions;
}

static uint64_t patterns_known(const struct judge *j) {
  uint64_t patterns = 0;
  for (uint32_t t = 2 * CHANNELS; t < TOPICS; t++) patterns += sessions_on(j, UINT32_C(1) << t) > 0;
  return patterns;
}

/* ---- the logs ---- */

/* The log that is judged, and for whom. */
struct hearing {
  struct world *world;
  uint32_t partition;
  struct judge *judge;
  struct truth *truth;
  const struct past *const *by_process;
};

static void add(const struct hearing *h, const struct stored *message, uint32_t index,
                struct sb_bytes payload) {
  struct truth *truth = h->truth;
  struct accepted entry = {.life = message->life, .sequence = message->sequence, .entry = index};
  if (!sim_uid(h->world, payload, &entry.uid)) return; /* a foreign message */
  if (truth->count == truth->cap) {
    truth->cap = truth->cap ? truth->cap * 2 : 1024;
    truth->at = sb_realloc(truth->at, truth->cap * sizeof *truth->at);
  }
  const struct published *published = &h->world->published[entry.uid];
  entry.stale = h->judge->stale && !message->envelope.foreign;
  entry.receivers = sessions_on(h->judge, sim_topics_of(published->channel, published->shard));
  truth->at[truth->count++] = entry;
}

static void add_found(struct truth *truth, const struct stored *message) {
  if (truth->founds_count == truth->founds_cap) {
    truth->founds_cap = truth->founds_cap ? truth->founds_cap * 2 : 16;
    truth->founds = sb_realloc(truth->founds, truth->founds_cap * sizeof *truth->founds);
  }
  truth->founds[truth->founds_count++] =
      (struct accepted){.life = message->life, .sequence = message->sequence, .stale = message->stale};
}

static void replay_control(struct judge *j, struct truth *truth, const struct stored *message) {
  struct sb_control control;
  if (!sb_control_read(sb_bytes(message->body, message->len), &control)) return;
  if (control.kind == SB_CONTROL_HELLO) judge_hello(j, &message->envelope, control.partitions);
  if (control.kind == SB_CONTROL_SNAPSHOT) j->mark = message->sequence + 1;
  if (control.kind == SB_CONTROL_FOUND && judge_found(j, message, &control)) add_found(truth, message);
}

static bool is_entry(const struct sb_bytes *args, uint32_t count) {
  enum sb_sub_kind kind;
  uint64_t sessions;
  if (count == 3)
    return sb_bytes_equal(args[0], sb_bytes_of("PUBLISH")) ||
           sb_bytes_equal(args[0], sb_bytes_of("SPUBLISH"));
  if (count == 1) return sb_bytes_equal(args[0], sb_bytes_of("PING"));
  if (count == 5)
    return sb_bytes_equal(args[1], sb_bytes_of("INTEREST")) && interest_kind(args[2], &kind) &&
           sb_bytes_u64(args[4], INT32_MAX, &sessions);
  return count == 6 && sb_bytes_equal(args[1], sb_bytes_of("BYE"));
}

static bool well_formed(struct sb_bytes body, uint32_t count) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  for (uint32_t i = 0; i < count; i++)
    if (off >= body.len || !is_entry(args, sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX))) return false;
  return off == body.len;
}

/* A question is answered with the counts at its place, if its node stood there. */
static void judge_question(const struct hearing *h, const struct mark *mark, const struct place *at) {
  struct history *who = mark->who;
  const struct past *past = h->by_process[who->process];
  struct request *request = sim_history_request(who, mark->slot);
  if (!request->answered || request->refused) return;
  if (!sim_covered(past, h->partition, at->life, at->sequence)) return; /* it was asked again */
  if (request->kind == SB_SUB_PATTERN) request->judged = 1;
  if (request->kind == SB_SUB_PATTERN && request->values[0] != patterns_known(h->judge))
    sim_fail(h->world, "%s: NUMPAT is %llu and not %llu at %llu", past->name,
             (unsigned long long)request->values[0], (unsigned long long)patterns_known(h->judge),
             (unsigned long long)at->sequence);
  for (uint32_t i = 0; i < request->count; i++) {
    uint64_t sessions = sessions_on(h->judge, UINT32_C(1) << request->topics[i]);
    if (!sim_topic_lives(h->world, request->topics[i], h->partition)) continue;
    request->judged |= (uint8_t)(1 << i);
    if (request->values[i] != sessions)
      sim_fail(h->world, "partition %u: %s: NUMSUB of topic %u is %llu and not %llu at %llu", h->partition,
               past->name, request->topics[i], (unsigned long long)request->values[i],
               (unsigned long long)sessions, (unsigned long long)at->sequence);
  }
}

static void judge_mark(const struct hearing *h, const struct mark *mark, const struct stored *message) {
  struct event event = {.at = {.life = message->life, .sequence = message->sequence, .entry = mark->entry},
                        .slot = mark->slot,
                        .topic = mark->topic,
                        .what = mark->what == SB_WAITS_JOINED ? EVENT_JOINED : EVENT_LEFT};
  if (mark->what == SB_WAITS_ANSWER)
    judge_question(h, mark, &event.at);
  else
    sim_event_add(&mark->who->events[h->partition], &event);
}

static void replay_entries(const struct hearing *h, const struct stored *message, struct sb_bytes body) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  const struct mark *mark = h->world->marks + message->marks, *end = mark + message->marks_count;
  uint32_t off = 0;
  for (uint32_t i = 0; off < body.len; i++) {
    uint32_t count = sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX);
    if (count == 3) add(h, message, i, args[2]);
    if (count == 5) judge_interest(h->world, h->judge, message->envelope.node, args);
    if (count == 6) judge_bye(h->judge, args);
    for (; mark < end && mark->entry == i; mark++) judge_mark(h, mark, message);
  }
}

static void replay_batch(const struct hearing *h, const struct stored *message) {
  struct sb_body *plain = sb_body_new(message->len);
  memcpy(plain->data, message->body, message->len);
  if (message->envelope.lz4) {
    struct sb_body *unpacked = sb_codec_unpack(plain);
    sb_body_unref(plain);
    plain = unpacked;
  }
  struct sb_bytes body = plain ? sb_bytes(plain->data, plain->len) : sb_bytes(NULL, 0);
  if (plain && well_formed(body, message->envelope.count) && judge_batch(h->judge, &message->envelope))
    replay_entries(h, message, body);
  sb_body_unref(plain);
}

void sim_judge(struct world *world, uint32_t partition, struct truth *truth,
               const struct past *const *by_process) {
  struct sim_log *log = &world->logs[partition];
  static struct judge judge;
  const struct hearing hearing = {world, partition, &judge, truth, by_process};
  uint32_t life = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct stored *message = &log->at[i];
    if (message->life != life) judge = (struct judge){0};
    life = message->life;
    if (message->envelope.foreign && message->channel)
      add(&hearing, message, 0, sb_bytes(message->body, message->len));
    if (message->envelope.malformed || message->envelope.foreign) continue;
    if (message->envelope.number == 0)
      replay_control(&judge, truth, message);
    else
      replay_batch(&hearing, message);
    const struct state_at *at = i < world->states_cap[partition] ? &world->states[partition][i] : NULL;
    if (at && at->known && at->hash != hash_judge(&judge))
      sim_fail(world, "partition %u: %s differs from the log at %llu", partition, at->who,
               (unsigned long long)message->sequence);
  }
}
