/* The judge: the rules of the log protocol written a second time, from docs/log.md alone and without the
 * core's state.c, so that a rule that is wrong there differs from the log here. It replays the complete logs:
 * what it accepts is the truth that every node must have delivered. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define JUDGED_ROWS     64 /* far more than a simulation has names */
#define GENERATION_MOST ((UINT64_C(1) << 53) - 1)

struct judged {
  struct sb_row row;
  uint64_t part_next, parts; /* of an entry in parts; 0: none has come */
  struct sb_buf part_bytes;
  uint32_t sessions[TOPICS]; /* of a member */
};

/* A state that stands in the log, from which on it can be followed. */
struct base {
  bool known;
  uint64_t from; /* nothing behind this sequence may be missing */
  uint64_t at;   /* where it is complete */
};

/* The parts of a state that are coming in. */
struct coming {
  char node[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t as_of;
  uint32_t next;
};

/* Keys that a founder brings: the parts of one text, which follow one another. */
struct bringing {
  char node[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t as_of, parts, next, begun;
  struct sb_buf text;
};

struct judge {
  struct bringing bringing[SB_ASSEMBLIES];
  struct coming coming[8];
  uint32_t coming_next;
  uint64_t generation, time_ms, elder, mark; /* mark: sequence + 1 of the last SNAPSHOT or GENESIS */
  uint64_t restore_until;                    /* log time; 0: nothing is restored */
  uint32_t partitions;
  struct sb_name_key name_key; /* and the channels' ids under it */
  struct sb_name_id ids[TOPICS];
  struct judged members[JUDGED_ROWS], gone[JUDGED_ROWS];
  uint32_t members_count, gone_count;
  bool stale;            /* founded by a GENESIS of the life before */
  struct sb_claim chain; /* of all that was accepted since the GENESIS */
  struct model model;
  struct base base; /* what a founder can recover the keys from */
  uint64_t met;     /* the highest generation of a batch, accepted or not */
  uint64_t torn;    /* entries of which some parts came and the last did not */
  bool lost_keys;   /* there were some that do not expire in the life before, and nobody has founded since */
  bool adopted;     /* the first founder took keys from a state that came late from the life before */
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
  hash = mix(mix(hash, row->previous.start_ms), row->previous.nonce);
  hash = mix(mix(hash, row->other.start_ms), row->other.nonce);
  return mix(hash, row->other_number);
}

static uint64_t mix_parts(uint64_t hash, uint64_t next, uint64_t parts, const struct sb_buf *bytes) {
  return mix(mix(mix(hash, next), parts), model_fold(1, bytes->data, bytes->len));
}

static uint64_t mix_id(struct sb_name_id id) {
  return mix(mix(3, id.low), id.high);
}

static uint64_t mix_key(uint64_t hash, const struct sb_name_key *key) {
  return mix(hash, model_fold(1, key->bytes, sizeof key->bytes));
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
        sum += mix_interest(names[k], false, mix_id(s->counts.slots[i].id), s->counts.slots[i].count);
  const struct sb_pattern *pattern;
  for (size_t at = 0; (pattern = sb_table_each(&s->counts.patterns, &at));)
    for (uint32_t i = 0; i < pattern->members_count; i++)
      for (uint32_t k = 0; k < members; k++)
        if (s->members.at[k].id == pattern->members[i].member)
          sum += mix_interest(names[k], true, model_fold(1, pattern->name, pattern->name_len),
                              pattern->members[i].count);
  return mix_key(mix(mix(sum, s->counts.count), s->counts.pattern_rows), &s->counts.key);
}

static uint64_t mix_head(uint64_t generation, uint64_t partitions, uint64_t time_ms, uint64_t elder,
                         uint64_t mark, uint64_t restore_until, const struct sb_claim *chain) {
  uint64_t hash = mix(mix(mix(mix(1, generation), partitions), time_ms), elder);
  return mix(mix(mix(mix(mix(hash, mark), restore_until), chain->at), chain->sum), chain->founding);
}

uint64_t sim_hash_keys(const struct sb_state *s) {
  const struct sb_key *key;
  uint64_t sum = 0;
  for (size_t at = 0; (key = sb_table_each(&s->keys.table, &at));) {
    if (key->expires_ms != 0 && key->expires_ms <= s->time_ms) continue;
    sum += model_hash_key(sb_bytes(key->name, key->name_len), key->kind == SB_KEY_STREAM,
                          sb_bytes(key->value, key->value_len), key->expires_ms, key->stream.last,
                          key->stream.max_deleted, key->stream.added);
  }
  return sum;
}

uint64_t sim_hash_state(const struct sb_state *s) {
  uint64_t hash = mix_head(s->generation, s->partitions, s->time_ms, s->elder_ms, s->mark,
                           s->restore_until_ms, &s->chain);
  hash = mix(hash, s->members.count);
  for (uint32_t i = 0; i < s->members.count; i++) {
    const struct sb_unfinished *unfinished = &s->members.at[i].unfinished;
    hash =
        mix_parts(mix_row(hash, &s->members.at[i]), unfinished->next, unfinished->count, &unfinished->bytes);
  }
  hash = mix(hash, s->departed.count);
  for (uint32_t i = 0; i < s->departed.count; i++) hash = mix_row(hash, &s->departed.at[i]);
  return mix(mix(hash, mix_counts(s)), sim_hash_keys(s));
}

static uint64_t hash_judge_counts(const struct judge *j) {
  uint64_t sum = 0, channels = 0, patterns = 0;
  for (uint32_t i = 0; i < j->members_count; i++) {
    uint64_t name = mix_name(j->members[i].row.name);
    for (uint32_t t = 0; t < TOPICS; t++) {
      uint32_t sessions = j->members[i].sessions[t];
      bool pattern = sim_topic_kind(t) == SB_SUB_PATTERN;
      if (sessions == 0) continue;
      struct sb_bytes topic = sim_topic_name(t);
      sum += mix_interest(name, pattern, pattern ? model_fold(1, topic.at, topic.len) : mix_id(j->ids[t]),
                          sessions);
      patterns += pattern;
      channels += !pattern;
    }
  }
  return mix_key(mix(mix(sum, channels), patterns), &j->name_key);
}

static uint64_t hash_judge(const struct judge *j) {
  uint64_t hash =
      mix_head(j->generation, j->partitions, j->time_ms, j->elder, j->mark, j->restore_until, &j->chain);
  hash = mix(hash, j->members_count);
  for (uint32_t i = 0; i < j->members_count; i++) {
    const struct judged *member = &j->members[i];
    hash = mix_parts(mix_row(hash, &member->row), member->part_next, member->parts, &member->part_bytes);
  }
  hash = mix(hash, j->gone_count);
  for (uint32_t i = 0; i < j->gone_count; i++) hash = mix_row(hash, &j->gone[i].row);
  return mix(mix(hash, hash_judge_counts(j)), model_hash(&j->model, j->time_ms));
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

static void drop_parts(struct judge *j, struct judged *member) {
  j->torn += member->part_next > 0;
  sb_buf_close(&member->part_bytes);
  member->part_next = member->parts = 0;
}

static void begin_life(struct world *world, struct judge *j) {
  for (int i = 0; i < SB_ASSEMBLIES; i++) sb_buf_close(&j->bringing[i].text);
  for (uint32_t i = 0; i < j->members_count; i++) drop_parts(j, &j->members[i]);
  world->torn += j->torn;
  model_clear(&j->model);
  *j = (struct judge){0};
}

static bool newer(struct sb_incarnation a, struct sb_incarnation b) {
  return a.start_ms > b.start_ms || (a.start_ms == b.start_ms && a.nonce > b.nonce);
}

static bool same(struct sb_incarnation a, struct sb_incarnation b) {
  return a.start_ms == b.start_ms && a.nonce == b.nonce;
}

static void judge_hello(struct judge *j, uint64_t sequence, const struct sb_envelope *e,
                        uint32_t partitions) {
  int member = find(j->members, j->members_count, e->node), gone = find(j->gone, j->gone_count, e->node);
  struct sb_row old = {0}, row = {.incarnation = e->incarnation};
  if (member >= 0)
    old = j->members[member].row;
  else if (gone >= 0)
    old = j->gone[gone].row;
  if (partitions != j->partitions || !newer(e->incarnation, old.incarnation)) return;
  if (e->incarnation.start_ms > UINT64_C(1) << 52 &&
      ((member < 0 && gone < 0) || e->incarnation.start_ms > old.incarnation.start_ms + 1))
    return;
  if (member >= 0) drop_parts(j, &j->members[member]);
  if (member == 0) j->elder = j->time_ms;
  if (member >= 0)
    take(j->members, &j->members_count, member);
  else if (gone >= 0)
    take(j->gone, &j->gone_count, gone);
  snprintf(row.name, sizeof row.name, "%s", e->node);
  row.previous = old.previous;
  row.previous_number = old.previous_number;
  row.other = old.other;
  row.other_number = old.other_number;
  if (old.number) {
    row.previous = old.incarnation;
    row.previous_number = old.number;
    if (old.previous.nonce != old.incarnation.nonce) {
      row.other = old.previous;
      row.other_number = old.previous_number;
    }
  }
  j->members[j->members_count++] = (struct judged){.row = row}; /* without interest */
  sim_sum_add(&j->chain, sequence, e);
  if (e->generation > j->generation)
    j->generation = e->generation < GENERATION_MOST ? e->generation + 1 : GENERATION_MOST;
}

static struct bringing *find_bringing(struct judge *j, const struct sb_envelope *e, uint64_t as_of) {
  for (int i = 0; i < SB_ASSEMBLIES; i++)
    if (j->bringing[i].parts > 0 && j->bringing[i].as_of == as_of &&
        same(j->bringing[i].incarnation, e->incarnation) && strcmp(j->bringing[i].node, e->node) == 0)
      return &j->bringing[i];
  return NULL;
}

/* Of those that have begun the last few count. */
static void judge_keys(struct judge *j, const struct stored *message, const struct sb_control *control) {
  struct bringing *at = find_bringing(j, &message->envelope, control->as_of);
  if (!at && control->piece == 0) {
    at = &j->bringing[0];
    for (int i = 1; i < SB_ASSEMBLIES; i++)
      if (j->bringing[i].begun < at->begun) at = &j->bringing[i];
    sb_buf_close(&at->text);
    *at = (struct bringing){.incarnation = message->envelope.incarnation,
                            .as_of = control->as_of,
                            .parts = control->pieces,
                            .begun = message->sequence};
    snprintf(at->node, sizeof at->node, "%s", message->envelope.node);
  }
  if (!at || at->next != control->piece || at->parts != control->pieces) return;
  sb_buf_append(&at->text, control->text.at, control->text.len);
  at->next++;
}

static void take_brought(struct judge *j, const struct bringing *from) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  while (off < from->text.len)
    model_bring(&j->model, args, sb_entry_args(sb_buf_bytes(&from->text), &off, args, SB_ENTRY_ARGS_MAX));
}

/* From now on channels are known by other ids. */
static void take_name_key(struct judge *j, const struct sb_name_key *key) {
  j->name_key = *key;
  for (uint32_t t = 0; t < TOPICS; t++) {
    j->ids[t] = sim_siphash(key, sim_topic_name(t));
    if (sim_topic_kind(t) == SB_SUB_SHARD) j->ids[t].low ^= UINT64_C(0x9e3779b97f4a7c15);
  }
}

static bool judge_genesis(struct judge *j, const struct stored *message, const struct sb_control *control) {
  const struct bringing *brought = find_bringing(j, &message->envelope, control->hello_at);
  bool lacks_keys =
      control->brings_keys && (!brought || brought->next != brought->parts || brought->text.len == 0);
  if (control->hello_at >= message->sequence) return false; /* of a log that is no more */
  if (message->envelope.incarnation.start_ms > UINT64_C(1) << 52) return false;
  bool valid = j->mark == 0 || j->mark - 1 <= control->hello_at;
  if (valid && lacks_keys) return false;
  j->mark = message->sequence + 1;
  if (!valid) return false;
  j->adopted = control->keeps_keys && (j->adopted || j->partitions == 0);
  j->generation = control->generation;
  j->partitions = control->partitions;
  j->chain = sim_sum_begin(message->sequence, &message->envelope, control->generation);
  take_name_key(j, &control->name_key);
  j->time_ms = j->elder = message->envelope.time_ms;
  for (uint32_t i = 0; i < j->members_count; i++) drop_parts(j, &j->members[i]);
  j->members_count = 1;
  j->gone_count = 0;
  j->stale = message->stale;
  j->members[0] = (struct judged){.row.incarnation = message->envelope.incarnation};
  snprintf(j->members[0].row.name, sizeof j->members[0].row.name, "%s", message->envelope.node);
  if (!control->keeps_keys) model_drop_keys(&j->model);
  if (control->brings_keys) take_brought(j, brought);
  j->restore_until = control->keeps_keys || control->brings_keys ? 0 : j->time_ms + 60000;
  model_expire(&j->model, j->time_ms);
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
  drop_parts(j, &j->members[at]);
  if (at == 0) j->elder = j->time_ms;
  struct judged leaving = take(j->members, &j->members_count, at);
  j->gone[j->gone_count++] = (struct judged){.row = leaving.row};
}

static bool judge_batch(struct judge *j, uint64_t sequence, const struct sb_envelope *e) {
  int at = find(j->members, j->members_count, e->node);
  struct sb_row *row = at < 0 ? NULL : &j->members[at].row;
  if (!row || !same(row->incarnation, e->incarnation) || e->generation != j->generation) return false;
  if (e->number != row->number + 1) return false;
  row->number = e->number;
  sim_sum_add(&j->chain, sequence, e);
  uint64_t late = e->time_ms;
  if (at == 0 && late > j->elder) j->elder = late; /* who came first is believed */
  if (at > 0 && late > j->elder && late - j->elder > 300000) late = j->elder + 300000;
  if (late > j->time_ms) j->time_ms = late;
  model_expire(&j->model, j->time_ms);
  return true;
}

/* ---- interest ---- */

/* Absolute: so many sessions of the sender from now on. */
static void judge_interest(struct world *world, struct judge *j, const char *sender,
                           const struct sb_bytes *args) {
  enum sb_sub_kind kind;
  uint64_t sessions;
  uint8_t topic;
  int at = find(j->members, j->members_count, sender);
  if (!sim_interest_kind(args[2], &kind) || !sim_topic_find(kind, args[3], &topic))
    sim_fail(world, "interest of %s in what nobody asked for", sender);
  if (at < 0) return; /* its BYE stands before, in the same batch */
  if (sb_bytes_u64(args[4], 1000000, &sessions)) j->members[at].sessions[topic] = (uint32_t)sessions;
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

static void add_uid(const struct hearing *h, const struct stored *message, uint32_t index, uint32_t uid,
                    struct sb_id id) {
  struct truth *truth = h->truth;
  struct accepted entry = {
      .life = message->life, .sequence = message->sequence, .entry = index, .uid = uid, .id = id};
  if (truth->count == truth->cap) {
    truth->cap = truth->cap ? truth->cap * 2 : 1024;
    truth->at = sb_realloc(truth->at, truth->cap * sizeof *truth->at);
  }
  const struct published *published = &h->world->published[entry.uid];
  entry.stale = h->judge->stale && !message->envelope.foreign;
  entry.receivers = sessions_on(h->judge, sim_topics_of(published->channel, published->shard));
  truth->at[truth->count++] = entry;
}

static void add(const struct hearing *h, const struct stored *message, uint32_t index,
                struct sb_bytes payload, struct sb_id id) {
  uint32_t uid;
  if (sim_uid(h->world, payload, &uid)) add_uid(h, message, index, uid, id);
}

static void add_genesis(struct truth *truth, const struct stored *message, const struct sb_control *control) {
  if (truth->geneses_count == truth->geneses_cap) {
    truth->geneses_cap = truth->geneses_cap ? truth->geneses_cap * 2 : 16;
    truth->geneses = sb_realloc(truth->geneses, truth->geneses_cap * sizeof *truth->geneses);
  }
  truth->geneses[truth->geneses_count++] = (struct accepted){.life = message->life,
                                                             .sequence = message->sequence,
                                                             .stale = message->stale,
                                                             .hello_at = control->hello_at,
                                                             .keeps = control->keeps_keys};
}

static void note_base(struct judge *j, const struct stored *message, const struct sb_control *control) {
  const struct sb_envelope *e = &message->envelope;
  struct coming *at = NULL;
  if (message->outsider || message->stale || e->generation != j->generation ||
      control->as_of >= message->sequence)
    return;
  for (uint32_t i = 0; i < 8; i++)
    if (same(j->coming[i].incarnation, e->incarnation) && strcmp(j->coming[i].node, e->node) == 0 &&
        j->coming[i].as_of == control->as_of)
      at = &j->coming[i];
  if (!at && control->piece == 0) {
    at = &j->coming[j->coming_next++ % 8];
    *at = (struct coming){.incarnation = e->incarnation, .as_of = control->as_of};
    memcpy(at->node, e->node, sizeof at->node);
  }
  if (!at || at->next != control->piece) return;
  if (++at->next == control->pieces)
    j->base = (struct base){.known = true, .from = control->as_of, .at = message->sequence};
}

/* Its HELLO stands in this life of the log, where it says. Else it was made for the life before, by one who
 * had not noticed yet, or came late from there. */
static bool knows_this_life(const struct stored *message, const struct sb_control *genesis,
                            const struct sim_log *log) {
  for (size_t i = 0; i < log->count && &log->at[i] < message; i++)
    if (log->at[i].life == message->life && log->at[i].sequence == genesis->hello_at)
      return same(log->at[i].envelope.incarnation, message->envelope.incarnation);
  return false;
}

/* A founder who could have known the keys must not say that there are none. */
static void check_recovered(struct world *world, const struct judge *j, const struct stored *message,
                            const struct sb_control *control, const struct sim_log *log) {
  bool valid = control->hello_at < message->sequence && (j->mark == 0 || j->mark - 1 <= control->hello_at);
  if (!valid || control->keeps_keys || control->brings_keys ||
      !model_has_keys(&j->model, message->envelope.time_ms))
    return;
  world->keys_lost++;
  if (message->outsider) return; /* it does not care what there was */
  /* A batch of a higher generation came late, from a log that is no more: so may what seems to be a state. */
  if (j->met > j->generation) return;
  if (world->hides_tail || message->stale || j->stale || !j->base.known || j->base.at > control->hello_at)
    return;
  if (message->first < log->count && log->at[message->first].sequence <= j->base.from &&
      knows_this_life(message, control, log))
    sim_fail(world, "%s says at %llu that there are no keys, which it could have recovered from %llu",
             message->envelope.node, (unsigned long long)message->sequence, (unsigned long long)j->base.from);
}

/* Where nothing but the log was lost, and everybody stood in it, whoever founds the next has its keys. */
static void check_brought(struct world *world, struct judge *j, const struct stored *message,
                          const struct sb_control *control) {
  bool calm = !strpbrk(world->options.faults, "cksrlaotdqjm") && !world->hides_tail && !world->options.forged;
  if (calm && j->lost_keys && !control->brings_keys && !control->keeps_keys)
    sim_fail(world, "%s founds life %u without the keys of the one before", message->envelope.node,
             message->life);
  j->lost_keys = false;
}

static void replay_control(struct world *world, struct judge *j, struct truth *truth,
                           const struct stored *message, const struct sim_log *log) {
  struct sb_control control;
  if (!sb_control_read(sb_bytes(message->body, message->len), &control)) return;
  if (control.kind == SB_CONTROL_HELLO)
    judge_hello(j, message->sequence, &message->envelope, control.partitions);
  if (control.kind == SB_CONTROL_SNAPSHOT) j->mark = message->sequence + 1;
  if (control.kind == SB_CONTROL_KEYS) judge_keys(j, message, &control);
  if (control.kind == SB_CONTROL_SNAPSHOT || control.kind == SB_CONTROL_CHECKPOINT)
    note_base(j, message, &control);
  if (control.kind != SB_CONTROL_GENESIS) return;
  check_recovered(world, j, message, &control, log);
  uint64_t before = j->generation;
  bool stale = j->stale;
  if (!judge_genesis(j, message, &control)) return;
  /* Nor what stood on a founding of the life before, of which no HELLO is in this log. */
  if (control.generation < before || (stale && !message->stale && !control.keeps_keys))
    j->model.fell = message->sequence * 4096 + 4095;
  add_genesis(truth, message, &control);
  world->recovered += control.keeps_keys;
  world->brought += control.brings_keys;
  check_brought(world, j, message, &control);
  if (!control.keeps_keys)
    j->base = (struct base){.known = !message->stale, .from = control.hello_at, .at = message->sequence};
}

/* A key that a member held of the life before, or the end of them. */
static void judge_restore(struct world *world, struct judge *j, const struct sb_bytes *args, uint32_t count) {
  if (sb_bytes_equal(args[1], sb_bytes_of("RESTORED"))) {
    world->restored += j->restore_until > 0;
    j->restore_until = 0;
  } else if (j->restore_until > 0 && j->time_ms <= j->restore_until) {
    model_restore(&j->model, args + 2, count - 2, j->time_ms);
  }
}

/* A question is answered with the counts at its place, if its node stood there. */
static void judge_question(const struct hearing *h, const struct mark *mark, const struct place *at) {
  struct history *who = mark->who;
  const struct past *past = h->by_process[who->process];
  struct request *request = sim_history_request(who, mark->slot);
  if (!request->answered || request->refused || past->forged >> h->partition & 1) return;
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
  if (mark->what == SB_WAITS_REPLY) return;
  if (mark->what == SB_WAITS_ANSWER)
    judge_question(h, mark, &event.at);
  else
    sim_event_add(&mark->who->events[h->partition], &event);
}

static void add_published_in(const struct hearing *h, const struct stored *message, uint32_t entry,
                             const struct sb_bytes *args, uint32_t count, uint32_t index) {
  for (uint32_t i = 1; i < count; i++) {
    struct sb_bytes inner[SB_ENTRY_ARGS_MAX];
    uint32_t off = 0;
    sb_entry_args(args[i], &off, inner, SB_ENTRY_ARGS_MAX);
    struct sb_id id = {h->judge->generation, message->sequence * 4096 + index};
    bool publish = sb_bytes_equal(inner[0], sb_bytes_of("PUBLISH"));
    if (publish || sb_bytes_equal(inner[0], sb_bytes_of("SPUBLISH")))
      add(h, message, entry, inner[2], publish ? id : (struct sb_id){0});
    index += publish || sb_bytes_equal(inner[0], sb_bytes_of("XADD"));
  }
}

/* The reply that its session got, if its node stood there, is that of the model. */
static void judge_reply(const struct hearing *h, const struct mark *mark, const struct stored *message,
                        struct sb_bytes expected) {
  const struct past *past = h->by_process[mark->who->process];
  struct request *request = sim_history_request(mark->who, mark->slot);
  if (!request->answered || request->refused || past->forged >> h->partition & 1 ||
      !sim_covered(past, h->partition, message->life, message->sequence))
    return;
  request->judged = 1;
  if (h->judge->adopted || model_reply_is(expected, sb_bytes(request->reply, request->reply_len))) return;
  if (h->world->options.verbose)
    fprintf(stderr, "--- command\n%.*s--- expected\n%.*s--- reply\n%.*s", (int)request->text_len,
            (const char *)request->text, (int)expected.len, (const char *)expected.at,
            (int)request->reply_len, (const char *)request->reply);
  sim_fail(h->world, "partition %u: %s answered command %u at %llu wrong", h->partition, past->name,
           request->uid, (unsigned long long)message->sequence);
}

/* A command on keys or streams. */
static void replay_op(const struct hearing *h, const struct stored *message, uint32_t entry,
                      const struct mark *mark, const struct sb_bytes *args, uint32_t count,
                      struct model_place *place) {
  struct sb_buf reply = {0};
  place->proto = 2;
  if (mark) {
    const struct request *request = sim_history_request(mark->who, mark->slot);
    place->proto = request->proto;
    add_uid(h, message, entry, request->uid, (struct sb_id){0});
  }
  if (sb_bytes_equal(args[0], sb_bytes_of("MULTI"))) {
    add_published_in(h, message, entry, args, count, place->index);
    for (uint32_t c = 0; c < CHANNELS; c++)
      for (int shard = 0; shard < 2; shard++)
        place->receivers[shard][c] = sessions_on(h->judge, sim_topics_of((uint8_t)c, shard));
  }
  model_run(&h->judge->model, args, count, place, &reply);
  if (mark) judge_reply(h, mark, message, sb_buf_bytes(&reply));
  sb_buf_close(&reply);
}

static void replay_publish(const struct hearing *h, const struct stored *message, uint32_t entry,
                           const struct sb_bytes *args, struct model_place *place) {
  struct sb_buf reply = {0};
  bool shard = sb_bytes_equal(args[0], sb_bytes_of("SPUBLISH"));
  struct sb_id id = {place->generation, place->sequence * 4096 + place->index};
  add(h, message, entry, args[2], shard ? (struct sb_id){0} : id);
  model_run(&h->judge->model, args, 3, place, &reply);
  sb_buf_close(&reply);
}

static struct model_place place_of(const struct judge *j, const struct stored *message) {
  return (struct model_place){
      .generation = j->generation, .sequence = message->sequence, .time_ms = j->time_ms, .proto = 2};
}

static void replay_entries(const struct hearing *h, const struct stored *message, struct sb_bytes body) {
  struct model_place place = place_of(h->judge, message);
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  const struct mark *mark = h->world->marks + message->marks, *end = mark + message->marks_count;
  uint32_t off = 0;
  for (uint32_t i = 0; off < body.len; i++) {
    uint32_t count = sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX);
    const struct mark *reply = mark;
    while (reply < end && reply->entry == i && reply->what != SB_WAITS_REPLY) reply++;
    if (reply == end || reply->entry != i) reply = NULL;
    bool sidebus = sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS"));
    if (model_knows(args, count, false))
      replay_op(h, message, i, reply, args, count, &place);
    else if (count == 3)
      replay_publish(h, message, i, args, &place);
    bool restores = sidebus && sim_is_restore(args, count);
    if (restores) judge_restore(h->world, h->judge, args, count);
    if (sidebus && !restores && count == 5) judge_interest(h->world, h->judge, message->envelope.node, args);
    if (sidebus && !restores && count == 6) judge_bye(h->judge, args);
    for (; mark < end && mark->entry == i; mark++) judge_mark(h, mark, message);
  }
}

/* Parts of one entry come one behind the other, in batches of one member that follow one another. What they
 * make counts at the place of the last one. */
static void replay_part(const struct hearing *h, const struct stored *message, struct sb_bytes body) {
  struct judged *member =
      &h->judge->members[find(h->judge->members, h->judge->members_count, message->envelope.node)];
  struct sb_bytes bytes = {0};
  uint64_t index = 0, parts = 0;
  bool is_part = sim_read_part(body, &index, &parts, &bytes);
  bool goes_on = is_part && index > 1 && index == member->part_next && parts == member->parts;
  if (!goes_on) drop_parts(h->judge, member);
  if (!is_part) replay_entries(h, message, body);
  if (!goes_on && index != 1) return;
  sb_buf_append(&member->part_bytes, bytes.at, bytes.len);
  member->part_next = index + 1;
  member->parts = parts;
  if (index < parts) return;
  struct sb_buf whole = member->part_bytes;
  member->part_bytes = (struct sb_buf){0};
  member->part_next = member->parts = 0;
  h->world->wholes++;
  if (sim_well_formed(sb_buf_bytes(&whole), 1) &&
      !sim_read_part(sb_buf_bytes(&whole), &index, &parts, &bytes))
    replay_entries(h, message, sb_buf_bytes(&whole));
  sb_buf_close(&whole);
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
  if (plain && sim_well_formed(body, message->envelope.count) &&
      judge_batch(h->judge, message->sequence, &message->envelope))
    replay_part(h, message, body);
  sb_body_unref(plain);
}

/* A PUBLISH. */
static void replay_foreign(const struct hearing *h, const struct stored *message) {
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), sb_bytes(message->channel, message->channel_len),
                                  sb_bytes(message->body, message->len)};
  struct model_place place = place_of(h->judge, message);
  sim_sum_add(&h->judge->chain, message->sequence, &message->envelope);
  replay_publish(h, message, 0, args, &place);
}

/* Nobody looks at it: unsigned in a hub with a key, or not of docs/wire.md. */
static bool is_void(const struct world *world, const struct stored *message) {
  const struct sb_envelope *e = &message->envelope;
  if (sim_is_refused(world, message) || e->malformed) return true;
  return e->foreign ? !message->channel
                    : e->generation > GENERATION_MOST || e->incarnation.start_ms > GENERATION_MOST ||
                          e->time_ms > GENERATION_MOST;
}

void sim_judge(struct world *world, uint32_t partition, struct truth *truth,
               const struct past *const *by_process) {
  struct sim_log *log = &world->logs[partition];
  static struct judge judge;
  struct looks *looks = &world->looks[partition];
  size_t look = 0;
  judge.torn = 0; /* of a run that failed */
  begin_life(world, &judge);
  judge.torn = 0;
  sim_looks_sort(looks);
  const struct hearing hearing = {world, partition, &judge, truth, by_process};
  uint32_t life = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct stored *message = &log->at[i];
    if (message->life != life) {
      bool keys =
          life > 0 && (log->calm_lives >> message->life % 64 & 1) && model_has_keys(&judge.model, UINT64_MAX);
      begin_life(world, &judge);
      judge.lost_keys = keys;
    }
    life = message->life;
    world->skipped += sim_is_refused(world, message);
    if (is_void(world, message)) continue;
    if (message->envelope.foreign)
      replay_foreign(&hearing, message);
    else if (message->envelope.number == 0)
      replay_control(world, &judge, truth, message, log);
    else
      replay_batch(&hearing, message);
    if (message->envelope.number > 0 && message->envelope.generation > judge.met)
      judge.met = message->envelope.generation;
    const struct state_at *at = i < world->states_cap[partition] ? &world->states[partition][i] : NULL;
    if (at && at->known && !judge.adopted && at->hash != hash_judge(&judge))
      sim_fail(world, "partition %u: %s differs from the log at %llu of life %u%s", partition, at->who,
               (unsigned long long)message->sequence, life,
               at->keys != model_hash(&judge.model, judge.time_ms) ? ", in its keys" : "");
    for (; look < looks->count && looks->at[look].view.life == life &&
           looks->at[look].view.applied <= message->sequence;
         look++)
      if (looks->at[look].view.applied != message->sequence)
        sim_fail(world, "partition %u: %s stood at %llu, where nothing is", partition, looks->at[look].who,
                 (unsigned long long)looks->at[look].view.applied);
      else if (!judge.adopted)
        sim_look_judge(world, partition, &looks->at[look], &judge.model);
  }
  if (look < looks->count)
    sim_fail(world, "partition %u: %s stood at %llu of life %u, where nothing is", partition,
             looks->at[look].who, (unsigned long long)looks->at[look].view.applied,
             looks->at[look].view.life);
  begin_life(world, &judge);
}
