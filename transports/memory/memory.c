#include "transports/memory/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "transports/memory/faults.h"

/* An event for the bridge that is no delivery. Deliveries are read from the logs when they are taken, and
 * only when no note is left. So the bridge knows what a note says about a log before it gets the messages
 * behind it. */
struct note {
  enum sb_event_kind kind;
  uint32_t partition;
  int what; /* side, attach or outcome */
  bool up;
  uint64_t token;
};

struct notes {
  struct note *at; /* ring: note i is at[i % cap], cap is zero or a power of two */
  size_t taken, count, cap;
};

/* How far one partition was read. */
struct reader {
  bool attached;
  bool begun; /* has a position: life and next */
  bool up[2]; /* by sb_link_side */
  bool ready; /* listed in ready[] */
  uint64_t life, next;
};

struct held {
  uint32_t partition;
  uint64_t token;
  struct sb_envelope envelope;
  struct sb_body *body; /* NULL: stored already, only the confirm is missing */
};

struct sb_memory {
  struct sb_transport transport;
  struct sb_memory_settings settings;
  uint32_t partitions;
  void (*wake)(void *owner);
  void *wake_owner;

  struct sb_memory_logs *logs;
  bool own_logs;
  bool started, closing;
  bool drained; /* the caller was told that there is nothing; the next event wakes it */

  struct notes notes;
  size_t settlements;                /* among the notes */
  size_t unread_count, unread_bytes; /* of attached partitions */
  uint32_t *ready;                   /* ring of partitions to read from, each at most once */
  uint32_t ready_first, ready_count;
  uint64_t published, delivered, refused;

  enum sb_memory_fate fate;
  struct held *held;
  size_t held_count;

  struct reader readers[];
};

static const struct sb_transport_ops memory_ops;

static struct sb_memory *memory_of(struct sb_transport *t) {
  assert(t->ops == &memory_ops);
  return (struct sb_memory *)t;
}

static void wake(struct sb_memory *m) {
  if (!m->drained) return;
  m->drained = false;
  m->wake(m->wake_owner);
}

/* ---- notes ---- */

static void notes_grow(struct notes *notes) {
  size_t cap = notes->cap ? notes->cap * 2 : 64;
  struct note *at = sb_malloc(cap * sizeof *at);
  for (size_t i = 0; i < notes->count; i++) at[i] = notes->at[(notes->taken + i) & (notes->cap - 1)];
  free(notes->at);
  *notes = (struct notes){.at = at, .count = notes->count, .cap = cap};
}

static void note(struct sb_memory *m, struct note what) {
  struct notes *notes = &m->notes;
  if (notes->count == notes->cap) notes_grow(notes);
  notes->at[(notes->taken + notes->count) & (notes->cap - 1)] = what;
  notes->count++;
  if (what.kind == SB_EVENT_SETTLED) m->settlements++;
  wake(m);
}

static void note_settled(struct sb_memory *m, uint32_t partition, uint64_t token, enum sb_settle outcome) {
  note(m, (struct note){SB_EVENT_SETTLED, partition, (int)outcome, false, token});
}

static void note_link(struct sb_memory *m, uint32_t partition, enum sb_link_side side, bool up) {
  m->readers[partition].up[side] = up;
  note(m, (struct note){SB_EVENT_LINK, partition, (int)side, up, 0});
}

static void take_note(struct sb_memory *m, struct sb_event *event) {
  struct note what = m->notes.at[m->notes.taken & (m->notes.cap - 1)];
  m->notes.taken++;
  m->notes.count--;
  event->kind = what.kind;
  event->partition = what.partition;
  switch (what.kind) {
  case SB_EVENT_LINK:
    event->link.side = (enum sb_link_side)what.what;
    event->link.up = what.up;
    return;
  case SB_EVENT_ATTACHED:
    event->attach = (enum sb_attach)what.what;
    return;
  case SB_EVENT_SETTLED:
    event->settled.token = what.token;
    event->settled.outcome = (enum sb_settle)what.what;
    m->settlements--;
    return;
  case SB_EVENT_DELIVERY:
  case SB_EVENT_STORED:
  case SB_EVENT_STORED_END:
  case SB_EVENT_REASON:
  case SB_EVENT_CLOSED:
    return;
  }
}

/* ---- reading ---- */

/* The first message of a log that its reader has not had. */
static uint64_t unread_from(const struct sb_memory *m, uint32_t partition) {
  const struct sb_memory_log *log = &m->logs->at[partition];
  const struct reader *reader = &m->readers[partition];
  if (!reader->attached) return log->end;
  if (!reader->begun || reader->life != log->life || reader->next < log->first) return log->first;
  return reader->next;
}

static bool readable(const struct sb_memory *m, uint32_t partition) {
  const struct reader *reader = &m->readers[partition];
  return reader->attached && reader->up[SB_LINK_CONSUME] && reader->next < m->logs->at[partition].end;
}

static void list_ready(struct sb_memory *m, uint32_t partition) {
  if (m->readers[partition].ready || !readable(m, partition)) return;
  m->readers[partition].ready = true;
  m->ready[(m->ready_first + m->ready_count) % m->partitions] = partition;
  m->ready_count++;
  wake(m);
}

/* Retention: drops what was read and is not among the last messages. The very last one always stays, for
 * SB_ATTACH_FRESH. */
static void retain(struct sb_memory *m, uint32_t partition) {
  struct sb_memory_log *log = &m->logs->at[partition];
  while (log->first < unread_from(m, partition) && log->end - log->first > 1) {
    bool too_many = log->end - log->first > m->settings.retain_messages;
    if (!too_many && log->bytes <= m->settings.retain_bytes) return;
    sb_memory_log_drop(log, log->first + 1);
  }
}

static void append(struct sb_memory *m, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *channel, struct sb_body *body) {
  sb_memory_log_append(&m->logs->at[partition], envelope, channel, body);
  if (!m->readers[partition].attached) {
    retain(m, partition);
    return;
  }
  m->unread_count++;
  m->unread_bytes += body->len;
  list_ready(m, partition);
}

static struct sb_body *copy_of(const struct sb_body *body) {
  if (!body) return NULL;
  struct sb_body *copy = sb_body_new(body->len);
  if (body->len) memcpy(copy->data, body->data, body->len);
  return copy;
}

static void take_delivery(struct sb_memory *m, uint32_t partition, struct sb_event *event) {
  struct reader *reader = &m->readers[partition];
  const struct sb_memory_entry *entry = sb_memory_log_at(&m->logs->at[partition], reader->next);
  event->kind = SB_EVENT_DELIVERY;
  event->partition = partition;
  event->delivery.sequence = reader->next;
  event->delivery.envelope = entry->envelope;
  event->delivery.channel = copy_of(entry->channel);
  event->delivery.body = copy_of(entry->body);
  m->unread_count--;
  m->unread_bytes -= entry->body->len;
  m->delivered++;
  reader->next++;
  retain(m, partition);
}

/* Partitions take turns. */
static bool next(struct sb_transport *t, struct sb_event *event) {
  struct sb_memory *m = memory_of(t);
  if (m->notes.count) {
    take_note(m, event);
    return true;
  }
  while (m->ready_count) {
    uint32_t partition = m->ready[m->ready_first];
    m->ready_first = (m->ready_first + 1) % m->partitions;
    m->ready_count--;
    m->readers[partition].ready = false;
    if (!readable(m, partition)) continue;
    take_delivery(m, partition, event);
    list_ready(m, partition);
    return true;
  }
  m->drained = true;
  return false;
}

/* Counts what is unread from the beginning, after a log or a reader changed in another way than by publish or
 * next. */
static void count_unread(struct sb_memory *m) {
  m->unread_count = m->unread_bytes = 0;
  for (uint32_t p = 0; p < m->partitions; p++) {
    const struct sb_memory_log *log = &m->logs->at[p];
    for (uint64_t s = unread_from(m, p); s < log->end; s++) {
      m->unread_count++;
      m->unread_bytes += sb_memory_log_at(log, s)->body->len;
    }
  }
}

/* Goes on where reading ended, as far as the log allows. */
static enum sb_attach position(struct reader *reader, const struct sb_memory_log *log) {
  if (!reader->begun) {
    reader->begun = true;
    reader->life = log->life;
    reader->next = log->end > log->first ? log->end - 1 : log->end;
    return SB_ATTACH_FRESH;
  }
  if (reader->life != log->life) {
    reader->life = log->life;
    reader->next = log->first;
    return SB_ATTACH_NEW_LOG;
  }
  if (reader->next >= log->first) return SB_ATTACH_CONTINUED;
  reader->next = log->first;
  return SB_ATTACH_GAP;
}

static void begin(struct sb_memory *m, uint32_t partition) {
  enum sb_attach how = position(&m->readers[partition], &m->logs->at[partition]);
  count_unread(m);
  note(m, (struct note){SB_EVENT_ATTACHED, partition, (int)how, false, 0});
  list_ready(m, partition);
}

static void attach(struct sb_transport *t, uint32_t partition) {
  struct sb_memory *m = memory_of(t);
  assert(partition < m->partitions && m->started);
  struct reader *reader = &m->readers[partition];
  assert(!reader->attached);
  if (m->closing) return;
  reader->attached = true;
  count_unread(m);
  if (reader->up[SB_LINK_CONSUME]) begin(m, partition);
}

/* ---- publishing ---- */

static bool full(const struct sb_memory *m, size_t more) {
  const struct sb_memory_settings *limits = &m->settings;
  if (m->settlements >= limits->events_max) return true;
  if (m->held_count >= (size_t)SB_TRANSPORT_PUBLISH_MAX * m->partitions) return true;
  if (m->unread_count == 0) return false;
  if (m->unread_count >= limits->events_max || m->unread_bytes >= limits->bytes_max) return true;
  return more > limits->bytes_max - m->unread_bytes;
}

static void hold(struct sb_memory *m, uint32_t partition, const struct sb_envelope *envelope,
                 struct sb_body *body, uint64_t token) {
  m->held = sb_realloc(m->held, (m->held_count + 1) * sizeof *m->held);
  m->held[m->held_count++] = (struct held){partition, token, *envelope, body ? sb_body_ref(body) : NULL};
}

static void store(struct sb_memory *m, uint32_t partition, const struct sb_envelope *envelope,
                  struct sb_body *body, uint64_t token) {
  if (m->fate == SB_MEMORY_HOLD_REQUEST) {
    hold(m, partition, envelope, body, token);
    return;
  }
  if (m->fate == SB_MEMORY_REFUSE) {
    m->refused++;
    note_settled(m, partition, token, SB_SETTLE_REJECTED);
    return;
  }
  append(m, partition, envelope, NULL, body);
  if (m->fate == SB_MEMORY_HOLD_REPLY)
    hold(m, partition, envelope, NULL, token);
  else
    note_settled(m, partition, token, SB_SETTLE_CONFIRMED);
}

static int publish(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body, uint64_t token) {
  struct sb_memory *m = memory_of(t);
  assert(partition < m->partitions);
  if (!m->readers[partition].up[SB_LINK_PUBLISH]) return SB_ERR_LINK;
  if (body->len > m->settings.max_body_bytes) return SB_ERR_TOO_LARGE;
  if (full(m, body->len)) return SB_ERR_FULL;
  m->published++;
  store(m, partition, envelope, body, token);
  return 0;
}

static size_t max_body(const struct sb_transport *t) {
  return ((const struct sb_memory *)t)->settings.max_body_bytes;
}

/* Settles as lost what waits of the partition's publishes, when its publish link goes down. */
static void lose_held(struct sb_memory *m, uint32_t partition) {
  size_t kept = 0;
  for (size_t i = 0; i < m->held_count; i++) {
    struct held *held = &m->held[i];
    if (held->partition != partition) {
      m->held[kept++] = *held;
      continue;
    }
    sb_body_unref(held->body);
    note_settled(m, partition, held->token, SB_SETTLE_LOST);
  }
  m->held_count = kept;
}

/* ---- life ---- */

static int start(struct sb_transport *t, struct sb_error *error) {
  struct sb_memory *m = memory_of(t);
  if (m->logs->in_use)
    return sb_error_set(error, SB_ERR_IN_USE, "memory: the logs are in use by another transport");
  m->logs->in_use = true;
  m->started = true;
  for (uint32_t p = 0; p < m->partitions; p++) {
    note_link(m, p, SB_LINK_PUBLISH, true);
    note_link(m, p, SB_LINK_CONSUME, true);
  }
  return 0;
}

static void status(struct sb_transport *t, struct sb_buf *out) {
  const struct sb_memory *m = memory_of(t);
  size_t messages = 0, bytes = 0, up = 0;
  for (uint32_t p = 0; p < m->partitions; p++) {
    messages += (size_t)(m->logs->at[p].end - m->logs->at[p].first);
    bytes += m->logs->at[p].bytes;
    up += m->readers[p].up[SB_LINK_PUBLISH] && m->readers[p].up[SB_LINK_CONSUME];
  }
  sb_buf_printf(out, "link:%s\r\n", up == m->partitions ? "up" : "down");
  sb_buf_printf(out, "published:%" PRIu64 "\r\n", m->published);
  sb_buf_printf(out, "refused:%" PRIu64 "\r\n", m->refused);
  sb_buf_printf(out, "delivered:%" PRIu64 "\r\n", m->delivered);
  sb_buf_printf(out, "unread:%zu\r\n", m->unread_count);
  sb_buf_printf(out, "stored_messages:%zu\r\n", messages);
  sb_buf_printf(out, "stored_bytes:%zu\r\n", bytes);
}

static void close_memory(struct sb_transport *t) {
  struct sb_memory *m = memory_of(t);
  if (!m->started || m->closing) return;
  m->closing = true;
  for (uint32_t p = 0; p < m->partitions; p++) {
    struct reader *reader = &m->readers[p];
    lose_held(m, p);
    reader->attached = false;
    reader->up[SB_LINK_PUBLISH] = reader->up[SB_LINK_CONSUME] = false;
    retain(m, p);
  }
  count_unread(m);
  m->logs->in_use = false;
  note(m, (struct note){.kind = SB_EVENT_CLOSED});
}

static void free_memory(struct sb_transport *t) {
  struct sb_memory *m = memory_of(t);
  if (m->started && !m->closing) close_memory(t);
  if (m->own_logs) sb_memory_logs_free(m->logs);
  free(m->notes.at);
  free(m->ready);
  free(m->held);
  free(m);
}

static const struct sb_transport_ops memory_ops = {
    .name = "memory",
    .start = start,
    .attach = attach,
    .publish = publish,
    .max_body = max_body,
    .next = next,
    .status = status,
    .close = close_memory,
    .free = free_memory,
};

static size_t or_default(size_t value, size_t otherwise) {
  return value ? value : otherwise;
}

struct sb_transport *sb_memory_new(const struct sb_transport_common *common,
                                   const struct sb_memory_settings *settings) {
  struct sb_memory_settings given = settings ? *settings : (struct sb_memory_settings){0};
  struct sb_memory *m = sb_calloc(1, sizeof *m + common->partitions * sizeof *m->readers);
  m->transport.ops = &memory_ops;
  m->partitions = common->partitions;
  m->wake = common->wake;
  m->wake_owner = common->wake_owner;
  m->drained = true;
  m->settings.retain_messages = or_default(given.retain_messages, 1);
  m->settings.retain_bytes = or_default(given.retain_bytes, SIZE_MAX);
  m->settings.events_max = or_default(given.events_max, SB_TRANSPORT_EVENTS_MAX);
  m->settings.bytes_max = or_default(given.bytes_max, (size_t)SB_TRANSPORT_EVENTS_BYTES_MAX);
  m->settings.max_body_bytes = or_default(given.max_body_bytes, (size_t)SB_BODY_BYTES_MAX);
  m->own_logs = given.logs == NULL;
  m->logs = given.logs ? given.logs : sb_memory_logs_new(common->partitions);
  assert(m->logs->partitions == common->partitions);
  m->ready = sb_calloc(common->partitions, sizeof *m->ready);
  return &m->transport;
}

/* ---- faults ---- */

void sb_memory_fault_link(struct sb_transport *t, uint32_t partition, enum sb_link_side side, bool up) {
  struct sb_memory *m = memory_of(t);
  struct reader *reader = &m->readers[partition];
  if (reader->up[side] == up) return;
  note_link(m, partition, side, up);
  if (side == SB_LINK_PUBLISH && !up) lose_held(m, partition);
  if (side == SB_LINK_CONSUME && up && reader->attached) begin(m, partition);
}

void sb_memory_fault_publishes(struct sb_transport *t, enum sb_memory_fate fate) {
  struct sb_memory *m = memory_of(t);
  m->fate = fate;
  if (fate != SB_MEMORY_STORE) return;
  for (size_t i = 0; i < m->held_count; i++) {
    struct held *held = &m->held[i];
    if (held->body) append(m, held->partition, &held->envelope, NULL, held->body);
    sb_body_unref(held->body);
    note_settled(m, held->partition, held->token, SB_SETTLE_CONFIRMED);
  }
  m->held_count = 0;
}

/* A real broker ends the reader of a log that it removes. This one does so for every change of a log under
 * its reader. */
static void begin_again(struct sb_memory *m, uint32_t partition) {
  bool reading = m->readers[partition].up[SB_LINK_CONSUME];
  count_unread(m);
  sb_memory_fault_link(&m->transport, partition, SB_LINK_CONSUME, false);
  if (reading) sb_memory_fault_link(&m->transport, partition, SB_LINK_CONSUME, true);
}

void sb_memory_fault_retention(struct sb_transport *t, uint32_t partition, uint64_t sequence) {
  struct sb_memory *m = memory_of(t);
  sb_memory_log_drop(&m->logs->at[partition], sequence);
  begin_again(m, partition);
}

void sb_memory_fault_new_log(struct sb_transport *t, uint32_t partition, uint64_t sequence) {
  struct sb_memory *m = memory_of(t);
  sb_memory_log_restart(&m->logs->at[partition], sequence);
  begin_again(m, partition);
}

void sb_memory_fault_append(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                            struct sb_body *channel, struct sb_body *body) {
  append(memory_of(t), partition, envelope, channel, body);
}
