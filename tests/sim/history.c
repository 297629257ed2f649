/* What happened to the sessions, and where in the logs. A message in the log does not say whose SUBSCRIBE it
 * carries; its sender knows, and so it is noted when it leaves (marks) and placed when the judge accepts it.
 */
#include <stdlib.h>

#include "tests/sim/world.h"

struct history *sim_history_new(struct node *node) {
  struct history *history = sb_calloc(1, sizeof *history);
  history->process = node->process;
  history->next = node->histories;
  node->histories = history;
  return history;
}

void sim_history_free(struct history *history) {
  for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
    free(history->got[p].uids);
    free(history->got[p].ids);
    free(history->events[p].at);
    free(history->refused[p].at);
  }
  for (size_t i = 0; i < history->requests_count; i++) {
    free(history->requests[i].text);
    free(history->requests[i].reply);
  }
  free(history->requests);
  free(history);
}

struct request *sim_history_request(struct history *history, uint32_t slot) {
  size_t low = 0, high = history->requests_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (history->requests[middle].slot < slot)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < history->requests_count && history->requests[low].slotless) low++;
  return &history->requests[low];
}

void sim_event_add(struct events *events, const struct event *event) {
  if (events->count == events->cap) {
    events->cap = events->cap ? events->cap * 2 : 8;
    events->at = sb_realloc(events->at, events->cap * sizeof *events->at);
  }
  events->at[events->count++] = *event;
}

struct place sim_applied(const struct node *node, uint32_t partition) {
  const struct intervals *intervals = &node->intervals[partition];
  if (intervals->count == 0) return (struct place){0};
  const struct interval *last = &intervals->at[intervals->count - 1];
  return (struct place){.life = last->life, .sequence = last->to, .entry = UINT32_MAX};
}

void sim_history_ends(struct node *node, struct history *history, enum event_what what) {
  for (uint32_t p = 0; p < node->world->options.partitions; p++)
    sim_event_add(&history->events[p],
                  &(struct event){.at = sim_applied(node, p), .what = (uint8_t)what, .local = true});
}

/* ---- marks ---- */

static bool read_waiter(const struct sb_waiter *waiter, struct mark *out) {
  const struct sb_session *session = waiter->session;
  if (waiter->what == SB_WAITS_INTEGER) return false;
  if (!session && waiter->sub)
    session =
        waiter->sub->owner ? sb_session_of_sub(waiter->sub) : NULL; /* the core's own doing, not a request */
  if (!session) return false;
  *out = (struct mark){.who = ((const struct client *)session)->history,
                       .slot = waiter->session ? waiter->slot : UINT32_MAX,
                       .what = (uint8_t)waiter->what};
  if (waiter->what == SB_WAITS_ANSWER || waiter->what == SB_WAITS_REPLY) return true;
  return sim_topic_find((enum sb_sub_kind)waiter->sub->kind, sb_topic_name(waiter->sub->topic), &out->topic);
}

static void add_mark(struct world *world, const struct mark *mark) {
  if (world->marks_count == world->marks_cap) {
    world->marks_cap = world->marks_cap ? world->marks_cap * 2 : 1024;
    world->marks = sb_realloc(world->marks, world->marks_cap * sizeof *world->marks);
  }
  world->marks[world->marks_count++] = *mark;
}

static const struct sb_batch *batch_of(const struct sb_partition *part, const struct sb_body *body) {
  const struct sb_batch *batch = part->outbox.first;
  while (batch && batch->body != body) batch = batch->next;
  return batch;
}

void sim_mark(struct node *node, uint32_t partition, const struct sb_body *body, struct stored *message) {
  struct world *world = node->world;
  const struct sb_batch *batch = batch_of(&node->core->logs.partitions[partition], body);
  uint32_t entry = 0;
  struct mark mark;
  message->marks = world->marks_count;
  for (uint32_t i = 0; batch && i < batch->waiters_count; i++) {
    if (read_waiter(&batch->waiters[i], &mark)) {
      mark.entry = entry;
      add_mark(world, &mark);
    }
    entry += batch->waiters[i].count;
  }
  message->marks_count = world->marks_count - message->marks;
}

void sim_mark_refused(struct node *node, uint32_t partition, const struct sb_body *body) {
  const struct sb_batch *batch = batch_of(&node->core->logs.partitions[partition], body);
  struct mark mark;
  if (batch && batch->count > 1) return; /* it will be divided */
  for (uint32_t i = 0; batch && i < batch->waiters_count; i++) {
    if (!read_waiter(&batch->waiters[i], &mark) || mark.what == SB_WAITS_ANSWER ||
        mark.what == SB_WAITS_REPLY)
      continue;
    bool joined = mark.what == SB_WAITS_JOINED;
    uint32_t bit = UINT32_C(1) << mark.topic;
    struct event event = {.slot = mark.slot,
                          .topic = mark.topic,
                          .what = joined ? EVENT_JOINED : EVENT_LEFT,
                          .at = sim_applied(node, partition),
                          .local = true};
    sim_event_add(&mark.who->refused[partition], &event);
    if (!joined) sim_event_add(&mark.who->events[partition], &event); /* it ends all the same */
    if (joined && (mark.who->asked & bit) && mark.who->asked_in[mark.topic] == mark.slot)
      mark.who->asked &= ~bit;
  }
}

/* ---- limbo ---- */

struct lost sim_lost(const struct sb_partition *part) {
  struct lost lost = {0};
  size_t most = 0;
  for (const struct sb_batch *batch = part->limbo.batches; batch; batch = batch->next)
    most += batch->waiters_count;
  lost.at = sb_malloc((most + 1) * sizeof *lost.at);
  for (const struct sb_batch *batch = part->limbo.batches; batch; batch = batch->next)
    for (uint32_t i = 0; i < batch->waiters_count; i++)
      if (read_waiter(&batch->waiters[i], &lost.at[lost.count]) &&
          lost.at[lost.count].what != SB_WAITS_ANSWER && lost.at[lost.count].what != SB_WAITS_REPLY)
        lost.count++;
  return lost;
}

static bool same_mark(const struct mark *a, const struct mark *b) {
  return a->who == b->who && a->slot == b->slot && a->topic == b->topic && a->what == b->what;
}

static bool still_waits(const struct sb_batch *batch, const struct mark *mark) {
  struct mark other;
  for (uint32_t i = 0; batch && i < batch->waiters_count; i++)
    if (read_waiter(&batch->waiters[i], &other) && same_mark(mark, &other)) return true;
  return false;
}

void sim_lost_resolve(struct node *node, uint32_t partition, struct lost *lost) {
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  struct place at = {
      .life = node->readings[partition].life, .sequence = part->joined_at, .entry = UINT32_MAX};
  for (size_t i = 0; !sb_limbo_is_active(&part->limbo) && i < lost->count; i++) {
    const struct mark *mark = &lost->at[i];
    bool waits = still_waits(part->outbox.open, mark);
    for (const struct sb_batch *batch = part->outbox.first; batch && !waits; batch = batch->next)
      waits = still_waits(batch, mark);
    if (waits) continue;
    node->world->lost_marks++;
    sim_event_add(&mark->who->events[partition],
                  &(struct event){.at = at,
                                  .slot = mark->slot,
                                  .topic = mark->topic,
                                  .what = mark->what == SB_WAITS_JOINED ? EVENT_JOINED : EVENT_LEFT,
                                  .local = true});
  }
  free(lost->at);
}
