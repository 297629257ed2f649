/* XREADs that wait for entries. One that waits costs memory and nothing else: it is found by the keys that it
 * waits for when something comes, or by its time in a heap. It is served at the end of a turn, in the order
 * in which things came; those whose replies are too much for one turn are served in the next. */
#include "bridge/core/sessions/blocked.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/base/table.h"
#include "bridge/core/commands/read_streams.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/reading.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/name.h"

#define SHARED_OVERHEAD   64   /* of a key: its places in tables, and what the allocator takes */
#define COUNT_WHEN_WAITED 1000 /* Redis: of an XREAD that said no COUNT */

/* A key that somebody waits for. */
struct awaited {
  struct wait *waits;
  uint64_t hash;
  uint32_t name_len;
  uint8_t name[];
};

/* One of the streams of an XREAD. */
struct wait {
  struct sb_blocked *of;
  struct awaited *awaited;
  struct wait *next, *previous; /* of those for the same key */
  struct sb_id after;
  bool came; /* an entry; or there may have been some when it began to wait */
  uint32_t
      order; /* in which the first entry came, among the streams of this XREAD: 1, 2 …; 0: none is known */
};

struct sb_blocked {
  struct sb_session *session;
  uint32_t slot;
  uint64_t limit, ends_ms; /* ends_ms 0: never */
  uint32_t timed_at;       /* own place + 1 in the heap; 0: not in it */
  bool signalled, aside;
  bool overdue; /* its time has come while it was aside: it is served with what there is */
  struct sb_blocked *signalled_next;
  uint32_t arrivals; /* streams to which an entry came */
  uint32_t count;
  struct wait waits[];
};

void sb_blocking_init(struct sb_blocking *blocking) {
  blocking->signalled_end = &blocking->signalled;
}

void sb_blocking_close(struct sb_blocking *blocking) {
  sb_table_close(&blocking->keys); /* empty: every session was closed */
  free(blocking->timed);
}

/* ---- the heap of those whose time ends ---- */

static void place(struct sb_blocking *blocking, uint32_t at, struct sb_blocked *blocked) {
  blocking->timed[at] = blocked;
  blocked->timed_at = at + 1;
}

static void sift_up(struct sb_blocking *blocking, uint32_t at) {
  struct sb_blocked *moved = blocking->timed[at];
  while (at > 0 && blocking->timed[(at - 1) / 2]->ends_ms > moved->ends_ms) {
    place(blocking, at, blocking->timed[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(blocking, at, moved);
}

static void sift_down(struct sb_blocking *blocking, uint32_t at) {
  struct sb_blocked *moved = blocking->timed[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= blocking->timed_count) break;
    if (child + 1 < blocking->timed_count &&
        blocking->timed[child + 1]->ends_ms < blocking->timed[child]->ends_ms)
      child++;
    if (blocking->timed[child]->ends_ms >= moved->ends_ms) break;
    place(blocking, at, blocking->timed[child]);
    at = child;
  }
  place(blocking, at, moved);
}

static void add_timed(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  if (blocking->timed_count == blocking->timed_cap) {
    blocking->timed_cap = blocking->timed_cap ? blocking->timed_cap * 2 : 16;
    blocking->timed = sb_realloc(blocking->timed, blocking->timed_cap * sizeof(struct sb_blocked *));
  }
  place(blocking, blocking->timed_count++, blocked);
  sift_up(blocking, blocking->timed_count - 1);
}

static void remove_timed(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  if (blocked->timed_at == 0) return;
  uint32_t at = blocked->timed_at - 1;
  SB_ASSERT(blocking->timed[at] == blocked);
  struct sb_blocked *last = blocking->timed[--blocking->timed_count];
  blocked->timed_at = 0;
  if (last == blocked) return;
  place(blocking, at, last);
  sift_up(blocking, at);
  sift_down(blocking, last->timed_at - 1);
}

/* ---- keys ---- */

static struct awaited *find(const struct sb_blocking *blocking, struct sb_bytes name, uint64_t hash) {
  struct awaited *awaited;
  size_t at = sb_table_start(&blocking->keys, hash);
  while ((awaited = sb_table_probe(&blocking->keys, hash, &at)))
    if (sb_bytes_equal(sb_bytes(awaited->name, awaited->name_len), name)) return awaited;
  return NULL;
}

static struct awaited *find_or_add(struct sb_blocking *blocking, struct sb_bytes name) {
  uint64_t hash = sb_name_hash(name);
  struct awaited *awaited = find(blocking, name, hash);
  if (awaited) return awaited;
  awaited = sb_calloc(1, sizeof *awaited + name.len);
  awaited->hash = hash;
  awaited->name_len = (uint32_t)name.len;
  if (name.len) memcpy(awaited->name, name.at, name.len);
  sb_table_add(&blocking->keys, hash, awaited);
  return awaited;
}

static void join(struct awaited *awaited, struct wait *wait) {
  wait->awaited = awaited;
  wait->next = awaited->waits;
  if (wait->next) wait->next->previous = wait;
  awaited->waits = wait;
}

static void leave(struct sb_blocking *blocking, struct wait *wait) {
  struct awaited *awaited = wait->awaited;
  if (wait->next) wait->next->previous = wait->previous;
  if (wait->previous)
    wait->previous->next = wait->next;
  else
    awaited->waits = wait->next;
  if (awaited->waits) return;
  sb_table_remove(&blocking->keys, awaited->hash, awaited);
  free(awaited);
}

/* ---- begin and end ---- */

/* The log may yet say that it has not expired. */
static bool is_hidden(struct sb_core *core, struct sb_bytes name) {
  struct sb_partition *part = sb_part_of(&core->logs, name);
  return sb_keys_hide(&part->state.keys, name, sb_partition_log_time(part));
}

void sb_blocked_begin(struct sb_core *core, struct sb_session *session, const struct sb_streams *streams,
                      uint64_t block_ms) {
  struct sb_blocking *blocking = &core->blocking;
  struct sb_blocked *blocked = sb_calloc(1, sizeof *blocked + streams->count * sizeof(struct wait));
  blocked->session = session;
  session->blocked_bytes = sizeof *blocked + streams->count * sizeof(struct wait);
  blocked->limit = streams->limit < UINT64_MAX ? streams->limit : COUNT_WHEN_WAITED;
  if (!sb_ring_expect(session, 1, &blocked->slot))
    abort(); /* it is empty: XREAD waits for that, and none blocks */
  for (uint32_t i = 0; i < streams->count; i++) {
    struct awaited *awaited = find_or_add(blocking, streams->names[i]);
    if (awaited->waits && awaited->waits->of == blocked) continue; /* named twice: the first id counts */
    struct wait *wait = &blocked->waits[blocked->count++];
    *wait =
        (struct wait){.of = blocked, .after = streams->after[i], .came = is_hidden(core, streams->names[i])};
    join(awaited, wait);
    session->blocked_bytes += sizeof *awaited + SHARED_OVERHEAD + awaited->name_len;
  }
  if (block_ms > 0) {
    blocked->ends_ms = core->logs.now_ms + block_ms;
    add_timed(blocking, blocked);
  }
  blocking->count++;
  session->blocked = blocked;
}

static void forget_signal(struct sb_blocking *blocking, const struct sb_blocked *blocked) {
  struct sb_blocked **at = blocked->aside ? &blocking->aside : &blocking->signalled;
  while (*at && *at != blocked) at = &(*at)->signalled_next;
  SB_ASSERT(*at == blocked);
  *at = blocked->signalled_next;
  if (!*at && !blocked->aside) blocking->signalled_end = at;
}

static void end(struct sb_core *core, struct sb_blocked *blocked, struct sb_bytes reply) {
  struct sb_blocking *blocking = &core->blocking;
  struct sb_session *session = blocked->session;
  uint32_t slot = blocked->slot;
  for (uint32_t i = 0; i < blocked->count; i++) leave(blocking, &blocked->waits[i]);
  remove_timed(blocking, blocked);
  if (blocked->signalled) forget_signal(blocking, blocked);
  sb_ranges_end(&core->logs, session);
  blocking->count--;
  session->blocked = NULL;
  session->blocked_bytes = 0;
  free(blocked);
  sb_ring_answer_bytes(core, session, slot, reply);
}

static void end_with_nothing(struct sb_core *core, struct sb_blocked *blocked) {
  struct sb_buf reply = {0};
  sb_reply_null_array(&reply, blocked->session->proto);
  end(core, blocked, sb_buf_bytes(&reply));
  sb_buf_close(&reply);
}

void sb_blocked_drop(struct sb_core *core, struct sb_session *session) {
  end(core, session->blocked, sb_bytes(NULL, 0));
}

/* ---- something came ---- */

static void signal_one(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  SB_ASSERT(!blocked->aside);
  blocked->signalled = true;
  blocked->signalled_next = NULL;
  *blocking->signalled_end = blocked;
  blocking->signalled_end = &blocked->signalled_next;
}

/* Nothing behind its position can have been missed. */
static bool is_followed(const struct wait *wait, const struct sb_partition *part) {
  return sb_id_compare(wait->after, part->followed_from) >= 0;
}

/* An entry came; or entries may have come in a gap. A reader that has followed the log knows that nothing
 * came before the first entry: it reads from that one on, and needs nothing from before the history begins.
 */
static void wake(struct sb_partition *part, const struct awaited *awaited, bool an_entry) {
  struct sb_id before = sb_id_end_of(part->state.generation, part->applied - 1);
  for (struct wait *wait = awaited->waits; wait; wait = wait->next) {
    if (an_entry && !wait->came && is_followed(wait, part)) wait->after = sb_id_later(wait->after, before);
    wait->came = true;
    if (an_entry && wait->order == 0) wait->order = ++wait->of->arrivals;
    if (!wait->of->signalled) signal_one(&sb_core_of(part)->blocking, wait->of);
  }
}

void sb_blocked_again(struct sb_logs *logs) {
  struct sb_core *core = (struct sb_core *)logs;
  struct sb_blocked *blocked;
  while ((blocked = core->blocking.aside)) {
    core->blocking.aside = blocked->signalled_next;
    blocked->aside = false;
    signal_one(&core->blocking, blocked);
  }
}

void sb_blocked_wake(struct sb_partition *part, struct sb_bytes key) {
  struct sb_blocking *blocking = &sb_core_of(part)->blocking;
  const struct awaited *awaited = find(blocking, key, sb_name_hash(key));
  if (awaited) wake(part, awaited, true);
}

void sb_blocked_wake_all(struct sb_partition *part) {
  struct sb_blocking *blocking = &sb_core_of(part)->blocking;
  const struct awaited *awaited;
  for (size_t at = 0; (awaited = sb_table_each(&blocking->keys, &at));)
    if (sb_part_of(part->logs, sb_bytes(awaited->name, awaited->name_len)) == part)
      wake(part, awaited, false);
}

/* Readers have seen everything up to here, but what came in this turn: nothing of it need be looked for
 * again. */
void sb_blocked_pass(struct sb_partition *part) {
  struct sb_blocking *blocking = &sb_core_of(part)->blocking;
  struct sb_id applied = sb_id_end_of(part->state.generation, part->applied);
  const struct awaited *awaited;
  for (size_t at = 0; (awaited = sb_table_each(&blocking->keys, &at));)
    if (sb_part_of(part->logs, sb_bytes(awaited->name, awaited->name_len)) == part)
      for (struct wait *wait = awaited->waits; wait; wait = wait->next)
        if (!wait->came && is_followed(wait, part)) wait->after = sb_id_later(wait->after, applied);
}

/* The history is being filled with what came before: the reader is served when that is done. */
static bool history_fills(struct sb_core *core, const struct sb_blocked *blocked) {
  bool fills = false;
  for (uint32_t i = 0; i < blocked->count && !fills; i++) {
    const struct awaited *awaited = blocked->waits[i].awaited;
    const struct sb_partition *part = sb_part_of(&core->logs, sb_bytes(awaited->name, awaited->name_len));
    fills = sb_back_is_running(&part->prefill) && !is_followed(&blocked->waits[i], part);
  }
  return fills;
}

struct turn {
  struct wait *wait;
};

static int by_arrival(const void *a, const void *b) {
  const struct wait *x = ((const struct turn *)a)->wait, *y = ((const struct turn *)b)->wait;
  if (x->order != y->order) return x->order - 1 < y->order - 1 ? -1 : 1; /* 0 comes last */
  return x < y ? -1 : 1;
}

/* Its streams, those to which an entry came first; to be freed. */
static struct turn *in_order(struct sb_blocked *blocked) {
  struct turn *turns = sb_calloc(blocked->count, sizeof *turns);
  for (uint32_t i = 0; i < blocked->count; i++) turns[i].wait = &blocked->waits[i];
  if (blocked->arrivals > 0) qsort(turns, blocked->count, sizeof *turns, by_arrival);
  return turns;
}

static void forget_order(struct sb_blocked *blocked) {
  blocked->arrivals = 0;
  for (uint32_t i = 0; i < blocked->count; i++) blocked->waits[i].order = 0;
}

/* What is there for it now: of one stream, as Redis answers who has waited when the first entry comes.
 * Nothing: it was deleted before anybody looked. Later: it came and went before anybody looked, and is read
 * back. */
static enum sb_reading look(struct sb_core *core, struct sb_blocked *blocked, struct sb_buf *reply) {
  if (history_fills(core, blocked)) return SB_READ_LATER;
  struct turn *turns = in_order(blocked);
  struct sb_bytes *names = sb_calloc(blocked->count, sizeof *names);
  struct sb_id *after = sb_calloc(blocked->count, sizeof *after);
  for (uint32_t i = 0; i < blocked->count; i++) {
    const struct wait *wait = turns[i].wait;
    names[i] = sb_bytes(wait->awaited->name, wait->awaited->name_len);
    after[i] = wait->after;
  }
  const struct sb_streams streams = {names, after, blocked->count, blocked->limit, true};
  enum sb_reading found = sb_read_streams(core, blocked->session, &streams, reply);
  for (uint32_t i = 0; i < blocked->count; i++) turns[i].wait->after = after[i];
  if (found == SB_READ_NOTHING) forget_order(blocked);
  free(after);
  free(names);
  free(turns);
  return found;
}

static void set_aside(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  blocked->signalled = blocked->aside = true;
  blocked->signalled_next = blocking->aside;
  blocking->aside = blocked;
}

static void serve(struct sb_core *core, struct sb_blocked *blocked) {
  struct sb_buf reply = {0};
  switch (look(core, blocked, &reply)) {
  case SB_READ_SOMETHING:
    core->blocking.served_bytes += reply.len;
    end(core, blocked, sb_buf_bytes(&reply));
    break;
  case SB_READ_LATER:
    set_aside(&core->blocking, blocked);
    break;
  case SB_READ_NOTHING:
    if (blocked->overdue) end_with_nothing(core, blocked);
    break;
  }
  sb_buf_close(&reply);
}

static void serve_signalled(struct sb_core *core) {
  struct sb_blocking *blocking = &core->blocking;
  struct sb_blocked *blocked;
  blocking->served_bytes = 0;
  while ((blocked = blocking->signalled) && blocking->served_bytes < SB_TURN_BYTES_MAX) {
    blocking->signalled = blocked->signalled_next;
    if (!blocking->signalled) blocking->signalled_end = &blocking->signalled;
    blocked->signalled = false;
    serve(core, blocked);
  }
}

/* What was hidden when it began may have been shown again by the log, which wakes nobody. */
static bool may_have_come(const struct sb_blocked *blocked) {
  bool came = false;
  for (uint32_t i = 0; i < blocked->count && !came; i++) came = blocked->waits[i].came;
  return came;
}

static void serve_timed(struct sb_core *core) {
  struct sb_blocking *blocking = &core->blocking;
  while (blocking->timed_count > 0 && blocking->timed[0]->ends_ms <= core->logs.now_ms) {
    struct sb_blocked *blocked = blocking->timed[0];
    if (!blocked->aside && !may_have_come(blocked)) {
      end_with_nothing(core, blocked);
      continue;
    }
    remove_timed(blocking, blocked);
    blocked->overdue = true;
    if (!blocked->aside) serve(core, blocked);
  }
}

void sb_blocked_serve(struct sb_core *core) {
  if (core->blocking.count == 0) return;
  serve_signalled(core);
  serve_timed(core);
}

uint64_t sb_blocked_deadline(const struct sb_core *core) {
  const struct sb_blocking *blocking = &core->blocking;
  if (blocking->signalled) return core->logs.now_ms;
  return blocking->timed_count > 0 ? blocking->timed[0]->ends_ms : UINT64_MAX;
}
