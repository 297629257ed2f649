/* The promises, checked against what the judge (judge.c) found in the logs. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

void sim_check_state(struct node *node, uint32_t partition) {
  struct world *world = node->world;
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  size_t index = node->readings[partition].index - 1;
  if (world->divergence.made) return; /* they are equal again at the end */
  if (!sb_partition_is_ready(part) || part->applied != world->logs[partition].at[index].sequence) return;
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
    at->keys = sim_hash_keys(&part->state);
    memcpy(at->who, node->name, sizeof at->who);
  } else if (at->hash != hash) {
    sim_fail(world, "partition %u: %s and %s differ at %llu", partition, node->name, at->who,
             (unsigned long long)part->applied);
  }
}

/* ---- deliveries against it ---- */

bool sim_covered(const struct past *past, uint32_t partition, uint32_t life, uint64_t sequence) {
  const struct intervals *intervals = &past->intervals[partition];
  for (size_t i = 0; i < intervals->count; i++) {
    const struct interval *at = &intervals->at[i];
    if (at->life == life && sequence > at->from && sequence <= at->to) return true;
  }
  return false;
}

/* A session and one log. */
struct seat {
  struct world *world;
  const struct past *past;
  const struct history *history;
  uint32_t partition;
};

static bool before(const struct place *a, const struct place *b) {
  if (a->life != b->life) return a->life < b->life;
  if (a->sequence != b->sequence) return a->sequence < b->sequence;
  return a->entry < b->entry;
}

static bool same_event(const struct event *a, const struct event *b) {
  return a->slot == b->slot && a->topic == b->topic && a->what == b->what;
}

static bool is_among(const struct events *events, const struct event *event) {
  for (size_t i = 0; i < events->count; i++)
    if (same_event(&events->at[i], event)) return true;
  return false;
}

/* What a node said to be ordered in a gap must stand in the log there. */
static void check_lost(const struct seat *seat, const struct event *event) {
  const struct events *events = &seat->history->events[seat->partition];
  for (size_t i = 0; i < events->count; i++) {
    const struct event *other = &events->at[i];
    if (!other->local && same_event(other, event) && other->at.life == event->at.life &&
        other->at.sequence <= event->at.sequence)
      return;
  }
  sim_fail(seat->world, "partition %u: %s confirms topic %u, which is in no log before %llu", seat->partition,
           seat->past->name, event->topic, (unsigned long long)event->at.sequence);
}

/* What happened to the session, in the order of the log: what its node applied there, and what it knows by
 * itself. To be freed. What a life of the log has brought once it does not bring again; the next one may,
 * where late word of the one before stands in it. */
static struct event *events_of(const struct seat *seat, size_t *count) {
  const struct events *events = &seat->history->events[seat->partition];
  const struct events *refused = &seat->history->refused[seat->partition];
  struct event *out = sb_malloc((events->count + 1) * sizeof *out);
  size_t local = 0, judged = 0;
  *count = 0;
  while (judged < events->count && events->at[judged].local) judged++;
  size_t locals = judged;
  while (local < locals || judged < events->count) {
    bool take_local =
        judged == events->count || (local < locals && before(&events->at[local].at, &events->at[judged].at));
    const struct event *event = &events->at[take_local ? local++ : judged++];
    if (event->local) {
      if (event->what <= EVENT_LEFT && !is_among(refused, event)) check_lost(seat, event);
    } else if (is_among(refused, event) ||
               !sim_covered(seat->past, seat->partition, event->at.life, event->at.sequence)) {
      continue;
    }
    for (size_t i = 0; !event->local && event->slot != UINT32_MAX && i < *count; i++)
      if (!out[i].local && out[i].at.life == event->at.life && same_event(&out[i], event))
        sim_fail(seat->world, "partition %u: %s said topic %u twice for one request", seat->partition,
                 seat->past->name, event->topic);
    out[(*count)++] = *event;
  }
  return out;
}

static uint32_t apply_event(uint32_t active, const struct event *event) {
  if (event->what == EVENT_JOINED) return active | UINT32_C(1) << event->topic;
  if (event->what == EVENT_LEFT) return active & ~(UINT32_C(1) << event->topic);
  return 0;
}

/* One entry, to the topics of `expected`; returns how many of the receipts are about it. */
static size_t check_entry(const struct seat *seat, const struct accepted *entry, uint32_t expected,
                          const struct receipts *receipts, size_t used) {
  const uint32_t *got = receipts->uids + used;
  const struct sb_id *ids = receipts->ids + used;
  size_t left = receipts->count - used;
  size_t count = (size_t)__builtin_popcount(expected), i = 0;
  uint32_t seen = 0;
  for (; i < count && i < left && got[i] / 16 == entry->uid; i++) {
    seen |= UINT32_C(1) << got[i] % 16;
    if (ids[i].ms != 0 && sb_id_compare(ids[i], entry->id) != 0)
      sim_fail(seat->world, "partition %u: %s gives entry %u the id %llu-%llu and not %llu-%llu",
               seat->partition, seat->past->name, entry->uid, (unsigned long long)ids[i].ms,
               (unsigned long long)ids[i].seq, (unsigned long long)entry->id.ms,
               (unsigned long long)entry->id.seq);
  }
  if (seen == expected) return i;
  bool cut = i == left && (seat->history->truncated >> seat->partition & 1);
  if (!cut || (seen & ~expected))
    sim_fail(seat->world, "partition %u: a session of %s got entry %u at %llu for topics %x and not %x",
             seat->partition, seat->past->name, entry->uid, (unsigned long long)entry->sequence, seen,
             expected);
  return i;
}

static size_t first_behind(const struct truth *truth, const struct place *place) {
  size_t low = 0, high = truth->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct accepted *entry = &truth->at[middle];
    if (before(&(const struct place){entry->life, entry->entry, entry->sequence}, place))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void check_session(const struct seat *seat, const struct truth *truth) {
  const struct receipts *got = &seat->history->got[seat->partition];
  size_t count, next = 0, used = 0;
  struct event *events = events_of(seat, &count);
  uint32_t active = 0;
  bool closed = false;
  for (size_t i = count ? first_behind(truth, &events[0].at) : truth->count; i < truth->count; i++) {
    const struct accepted *entry = &truth->at[i];
    const struct place place = {entry->life, entry->entry, entry->sequence};
    for (; next < count && !closed && before(&events[next].at, &place); next++) {
      active = apply_event(active, &events[next]);
      closed = events[next].what == EVENT_CLOSED;
    }
    if (closed) break;
    const struct published *published = &seat->world->published[entry->uid];
    uint32_t expected = active & sim_topics_of(published->channel, published->shard);
    if (published->op || !expected || !sim_covered(seat->past, seat->partition, entry->life, entry->sequence))
      continue;
    used += check_entry(seat, entry, expected, got, used);
  }
  free(events);
  if (used < got->count)
    sim_fail(seat->world, "partition %u: a session of %s got entry %u, which was not for it", seat->partition,
             seat->past->name, got->uids[used] / 16);
}

/* Every question was answered with what a log said at a place where its node stood. */
static void check_questions(struct world *world, const struct past *past) {
  if (past->forged) return;
  for (const struct history *history = past->histories; history; history = history->next)
    for (size_t i = 0; i < history->requests_count; i++) {
      const struct request *request = &history->requests[i];
      uint8_t all = (uint8_t)(request->kind == SB_SUB_PATTERN ? 1 : (1 << request->count) - 1);
      if (request->what == REQUEST_ASK && request->answered && !request->refused && request->judged != all)
        sim_fail(world, "%s answered a question without asking", past->name);
      if ((request->what == REQUEST_WRITE || request->what == REQUEST_EXEC) && request->answered &&
          !request->refused && !request->judged)
        sim_fail(world, "%s answered command %u where it did not stand", past->name, request->uid);
    }
}

/* Who read a new log from its begin has followed it from its first founding on, however late it came. */
static void check_late(struct world *world, const struct past *past, uint32_t partition,
                       const struct truth *truth) {
  const struct intervals *intervals = &past->intervals[partition];
  for (size_t i = 0; i < intervals->count; i++) {
    const struct interval *at = &intervals->at[i];
    for (size_t f = 0; at->read_from > 0 && f < truth->geneses_count; f++) {
      const struct accepted *found = &truth->geneses[f];
      if (found->life == at->life && !found->keeps && found->hello_at >= at->read_from &&
          found->sequence < at->from)
        sim_fail(world, "partition %u: %s follows life %u from %llu on, and it was founded at %llu",
                 partition, past->name, at->life, (unsigned long long)at->from,
                 (unsigned long long)found->sequence);
    }
  }
}

static void check_past(struct world *world, const struct past *past, uint32_t partition,
                       const struct truth *truth) {
  check_late(world, past, partition, truth);
  if (past->forged >> partition & 1) return;
  for (const struct history *history = past->histories; history; history = history->next)
    if (!history->passive) check_session(&(const struct seat){world, past, history, partition}, truth);
}

/* ---- counts, when all is quiet ---- */

static uint32_t clients_on(const struct node *node, uint32_t topic) {
  uint32_t count = 0;
  for (const struct client *client = node->clients; client; client = client->next)
    count += client->history->asked >> topic & 1;
  return count;
}

static uint32_t counted(const struct sb_state *state, const struct sb_row *row, uint32_t topic) {
  struct sb_bytes name = sim_topic_name(topic);
  enum sb_sub_kind kind = sim_topic_kind(topic);
  if (kind == SB_SUB_PATTERN) return sb_counts_pattern(&state->counts, name, row->id);
  return sb_counts_get(&state->counts, sb_counts_id(&state->counts, kind, name), row->id);
}

static void check_member(struct node *node, uint32_t partition, const struct node *member, uint32_t *channels,
                         uint32_t *patterns) {
  const struct sb_state *state = &node->core->logs.partitions[partition].state;
  int at = sb_state_member(state, member->name);
  if (at < 0) sim_fail(node->world, "%s does not know %s", node->name, member->name);
  const struct sb_row *row = &state->members.at[at];
  uint32_t own[2] = {0};
  for (uint32_t topic = 0; topic < TOPICS; topic++) {
    uint32_t is = counted(state, row, topic), due = clients_on(member, topic);
    if (!sim_topic_lives(node->world, topic, partition)) due = 0;
    if (is != due)
      sim_fail(node->world, "partition %u: %s counts %u sessions of %s on topic %u and not %u", partition,
               node->name, is, member->name, topic, due);
    own[sim_topic_kind(topic) == SB_SUB_PATTERN] += is > 0;
  }
  if (row->channels != own[0] || row->patterns != own[1])
    sim_fail(node->world, "partition %u: %s says that %s has %u channels and %u patterns", partition,
             node->name, member->name, row->channels, row->patterns);
  *channels += own[0];
  *patterns += own[1];
}

/* What the node itself holds of its sessions' subscriptions. */
static void check_interest(struct node *node) {
  uint64_t subs[SB_SUB_KINDS] = {0}, topics[SB_SUB_KINDS] = {0};
  const struct sb_interest *interest = &node->core->interest;
  for (uint32_t topic = 0; topic < TOPICS; topic++) {
    uint32_t count = clients_on(node, topic);
    subs[sim_topic_kind(topic)] += count;
    topics[sim_topic_kind(topic)] += count > 0;
  }
  for (int kind = 0; kind < SB_SUB_KINDS; kind++)
    if (interest->sub_count[kind] != subs[kind] || interest->topic_count[kind] != topics[kind] ||
        interest->topics[kind].count != topics[kind])
      sim_fail(node->world, "%s: %llu subscriptions of kind %d, %llu topics, %zu kept; not %llu and %llu",
               node->name, (unsigned long long)interest->sub_count[kind], kind,
               (unsigned long long)interest->topic_count[kind], interest->topics[kind].count,
               (unsigned long long)subs[kind], (unsigned long long)topics[kind]);
}

void sim_check_counts(struct world *world) {
  if (world->options.latency) return; /* something is always under way */
  for (uint32_t n = 0; n < world->options.nodes; n++) {
    struct node *node = &world->nodes[n];
    if (node->gone) continue;
    check_interest(node);
    for (uint32_t p = 0; p < world->options.partitions; p++) {
      const struct sb_counts *counts = &node->core->logs.partitions[p].state.counts;
      uint32_t channels = 0, patterns = 0;
      uint64_t forged = 0;
      for (uint32_t m = 0; m < world->options.nodes; m++) forged |= world->nodes[m].forged;
      if (forged >> p & 1) continue; /* another may have said what it liked for a member */
      for (uint32_t m = 0; m < world->options.nodes; m++)
        if (!world->nodes[m].gone) check_member(node, p, &world->nodes[m], &channels, &patterns);
      if (counts->count != channels || counts->pattern_rows != patterns)
        sim_fail(world, "partition %u: %s counts for somebody who is no member", p, node->name);
    }
  }
}

/* ---- entries ---- */

/* An entry may be ordered twice when its log was destroyed, or when its node lost the log from sight while it
 * was in flight and the log was founded anew by one who could not know in what it did not see. A founding and
 * the batches behind it may also come late into the next life of the log; nobody follows there who had seen
 * them in their own. */
static bool may_repeat(const struct world *world, const struct truth *truth, uint32_t uid, bool stale) {
  const struct published *entry = &world->published[uid];
  if (entry->destroyed || stale) return true;
  for (size_t i = 0; entry->unsure && i < truth->geneses_count; i++) {
    const struct accepted *found = &truth->geneses[i];
    if (found->life == entry->unsure_life && found->sequence > entry->unsure_after &&
        found->sequence <= entry->unsure_until)
      return true;
  }
  return false;
}

/* Another took a number of the process that sent it. */
static bool was_forged(const struct world *world, const struct past *const *by_process, uint32_t uid) {
  const struct published *entry = &world->published[uid];
  return entry->process != UINT32_MAX &&
         by_process[entry->process]->forged >> sim_partition(world, entry->channel) & 1;
}

/* Whoever was told a number stood at the entry, and it was the right one. */
static void check_numbers(struct world *world, const struct truth *truths,
                          const struct past *const *by_process) {
  uint8_t *right = sb_calloc(world->published_count + 1, 1);
  for (uint32_t p = 0; p < world->options.partitions; p++)
    for (size_t i = 0; i < truths[p].count; i++) {
      const struct accepted *entry = &truths[p].at[i];
      const struct published *published = &world->published[entry->uid];
      if (published->outcome != OUTCOME_NUMBER || was_forged(world, by_process, entry->uid) ||
          !sim_covered(by_process[published->process], p, entry->life, entry->sequence))
        continue;
      if (published->number != entry->receivers)
        sim_fail(world, "entry %u at %llu was answered with %llu receivers and not %llu", entry->uid,
                 (unsigned long long)entry->sequence, (unsigned long long)published->number,
                 (unsigned long long)entry->receivers);
      right[entry->uid] = 1;
    }
  for (uint32_t uid = 0; uid < world->published_count; uid++)
    if (world->published[uid].outcome == OUTCOME_NUMBER && !right[uid] && !was_forged(world, by_process, uid))
      sim_fail(world, "entry %u was answered with a number by a node that did not stand there", uid);
  free(right);
}

static void check_entries(struct world *world, const struct truth *truths,
                          const struct past *const *by_process) {
  uint8_t *times = sb_calloc(world->published_count + 1, 1);
  for (uint32_t p = 0; p < world->options.partitions; p++)
    for (size_t i = 0; i < truths[p].count; i++) {
      uint32_t uid = truths[p].at[i].uid;
      if (times[uid]++ && !was_forged(world, by_process, uid) &&
          !may_repeat(world, &truths[p], uid, truths[p].at[i].stale))
        sim_fail(world, "entry %u was accepted twice, again in partition %u at %llu of life %u", uid, p,
                 (unsigned long long)truths[p].at[i].sequence, truths[p].at[i].life);
    }
  for (uint32_t uid = 0; uid < world->published_count; uid++) {
    enum outcome outcome = (enum outcome)world->published[uid].outcome;
    if (was_forged(world, by_process, uid)) continue;
    if ((outcome == OUTCOME_NUMBER || outcome == OUTCOME_GAP || outcome == OUTCOME_REPLY) && !times[uid])
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
  if (world->divergence.made) return; /* what its sessions got meanwhile is not what the log says */
  struct truth truths[PARTITIONS_MAX] = {0};
  const struct past **by_process = sb_calloc(world->processes + 1, sizeof(const struct past *));
  for (size_t i = 0; i < world->pasts_count; i++) by_process[world->pasts[i].process] = &world->pasts[i];
  for (uint32_t p = 0; p < world->options.partitions; p++) {
    sim_judge(world, p, &truths[p], by_process);
    for (size_t i = 0; i < world->pasts_count; i++) check_past(world, &world->pasts[i], p, &truths[p]);
  }
  for (size_t i = 0; i < world->pasts_count; i++) check_questions(world, &world->pasts[i]);
  check_entries(world, truths, by_process);
  check_numbers(world, truths, by_process);
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    free(truths[p].at);
    free(truths[p].geneses);
  }
  free(by_process);
}
