#include "bridge/core/sessions/blocked.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/wire/name.h"

#define SHARED_OVERHEAD   64   /* of a key: its places in tables, and what the allocator takes */
#define COUNT_WHEN_WAITED 1000 /* Redis: of an XREAD that said no COUNT */

/* A key that somebody waits for. */
struct awaited {
  struct wait *waits;
  uint64_t hash;
  uint32_t name_len;
  uint16_t partition;
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

enum state {
  WAITING,
  SIGNALLED, /* something came: it is in the list of those */
  ASIDE,     /* what came must be read back first: in the list of those */
};

struct sb_blocked {
  struct sb_session *session;
  size_t bytes; /* with the names, as if nobody shared them */
  uint32_t slot;
  uint64_t limit, ends_ms; /* ends_ms 0: never */
  uint32_t timed_at;       /* own place + 1 in the heap; 0: not in it */
  enum state state;
  bool overdue;            /* its time has come, and it is answered with what there is */
  struct sb_blocked *next; /* of those in its state */
  uint32_t arrivals;       /* streams to which an entry came */
  uint32_t count;
  struct wait waits[];
};

void sb_blocking_init(struct sb_blocking *blocking) {
  *blocking = (struct sb_blocking){0};
  blocking->signalled_end = &blocking->signalled;
}

void sb_blocking_close(struct sb_blocking *blocking) {
  SB_ASSERT(blocking->count == 0 && blocking->keys.count == 0 && blocking->timed_count == 0);
  sb_table_close(&blocking->keys);
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

static struct awaited *find_or_add(struct sb_blocking *blocking, struct sb_bytes name, uint32_t partition) {
  uint64_t hash = sb_name_hash(name);
  struct awaited *awaited = find(blocking, name, hash);
  if (awaited) return awaited;
  awaited = sb_calloc(1, sizeof *awaited + name.len);
  awaited->hash = hash;
  awaited->name_len = (uint32_t)name.len;
  awaited->partition = (uint16_t)partition;
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

struct sb_blocked *sb_blocking_begin(struct sb_blocking *blocking, struct sb_session *session, uint32_t slot,
                                     const struct sb_awaited_stream *streams, uint32_t count, uint64_t limit,
                                     uint64_t ends_ms) {
  struct sb_blocked *blocked = sb_calloc(1, sizeof *blocked + count * sizeof(struct wait));
  blocked->session = session;
  blocked->slot = slot;
  blocked->bytes = sizeof *blocked + count * sizeof(struct wait);
  blocked->limit = limit < UINT64_MAX ? limit : COUNT_WHEN_WAITED;
  for (uint32_t i = 0; i < count; i++) {
    struct awaited *awaited = find_or_add(blocking, streams[i].name, streams[i].partition);
    if (awaited->waits && awaited->waits->of == blocked) continue; /* named twice: the first id counts */
    struct wait *wait = &blocked->waits[blocked->count++];
    *wait = (struct wait){.of = blocked, .after = streams[i].after, .came = streams[i].came};
    join(awaited, wait);
    blocked->bytes += sizeof *awaited + SHARED_OVERHEAD + awaited->name_len;
  }
  if (ends_ms > 0) {
    blocked->ends_ms = ends_ms;
    add_timed(blocking, blocked);
  }
  blocking->count++;
  return blocked;
}

/* Takes it out of the list that its state says. */
static void wait_again(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  if (blocked->state == WAITING) return;
  struct sb_blocked **at = blocked->state == ASIDE ? &blocking->aside : &blocking->signalled;
  while (*at && *at != blocked) at = &(*at)->next;
  SB_ASSERT(*at == blocked);
  *at = blocked->next;
  if (!*at && blocked->state == SIGNALLED) blocking->signalled_end = at;
  blocked->state = WAITING;
}

void sb_blocking_end(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  SB_ASSERT(blocking->count > 0);
  for (uint32_t i = 0; i < blocked->count; i++) leave(blocking, &blocked->waits[i]);
  remove_timed(blocking, blocked);
  wait_again(blocking, blocked);
  blocking->count--;
  free(blocked);
}

/* ---- something came ---- */

static void signal_one(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  SB_ASSERT(blocked->state == WAITING);
  SB_ASSERT(*blocking->signalled_end == NULL);
  blocked->state = SIGNALLED;
  blocked->next = NULL;
  *blocking->signalled_end = blocked;
  blocking->signalled_end = &blocked->next;
}

static bool is_followed(const struct wait *wait, struct sb_id followed_from) {
  return sb_id_compare(wait->after, followed_from) >= 0;
}

static void wake(struct sb_blocking *blocking, struct wait *wait) {
  wait->came = true;
  if (wait->of->state == WAITING) signal_one(blocking, wait->of);
}

/* A reader that has followed the log knows that nothing came before the first entry: it reads from that one
 * on, and needs nothing from before the history begins. */
void sb_blocking_wake(struct sb_blocking *blocking, struct sb_bytes key, struct sb_id before,
                      struct sb_id followed_from) {
  const struct awaited *awaited = find(blocking, key, sb_name_hash(key));
  for (struct wait *wait = awaited ? awaited->waits : NULL; wait; wait = wait->next) {
    if (!wait->came && is_followed(wait, followed_from)) wait->after = sb_id_later(wait->after, before);
    if (wait->order == 0) wait->order = ++wait->of->arrivals;
    SB_ASSERT(wait->order <= wait->of->count);
    wake(blocking, wait);
  }
}

void sb_blocking_wake_all(struct sb_blocking *blocking, uint32_t partition) {
  const struct awaited *awaited;
  for (size_t at = 0; (awaited = sb_table_each(&blocking->keys, &at));)
    for (struct wait *wait = awaited->partition == partition ? awaited->waits : NULL; wait; wait = wait->next)
      wake(blocking, wait);
}

void sb_blocking_pass(struct sb_blocking *blocking, uint32_t partition, struct sb_id applied,
                      struct sb_id followed_from) {
  const struct awaited *awaited;
  for (size_t at = 0; (awaited = sb_table_each(&blocking->keys, &at));)
    for (struct wait *wait = awaited->partition == partition ? awaited->waits : NULL; wait; wait = wait->next)
      if (!wait->came && is_followed(wait, followed_from)) wait->after = sb_id_later(wait->after, applied);
}

void sb_blocking_again(struct sb_blocking *blocking) {
  struct sb_blocked *blocked;
  while ((blocked = blocking->aside)) {
    SB_ASSERT(blocked->state == ASIDE);
    wait_again(blocking, blocked);
    signal_one(blocking, blocked);
  }
}

/* ---- whom to look at ---- */

struct sb_blocked *sb_blocking_next(struct sb_blocking *blocking) {
  struct sb_blocked *blocked = blocking->signalled;
  SB_ASSERT(!blocked || blocked->state == SIGNALLED);
  if (blocked) wait_again(blocking, blocked);
  return blocked;
}

struct sb_blocked *sb_blocking_due(const struct sb_blocking *blocking, uint64_t now_ms) {
  return blocking->timed_count > 0 && blocking->timed[0]->ends_ms <= now_ms ? blocking->timed[0] : NULL;
}

uint64_t sb_blocking_deadline(const struct sb_blocking *blocking, uint64_t now_ms) {
  if (blocking->signalled) return now_ms;
  return blocking->timed_count > 0 ? blocking->timed[0]->ends_ms : UINT64_MAX;
}

void sb_blocking_set_aside(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  SB_ASSERT(blocked->state != ASIDE);
  wait_again(blocking, blocked); /* more came for one that is looked at because its time has come */
  blocked->state = ASIDE;
  blocked->next = blocking->aside;
  blocking->aside = blocked;
}

void sb_blocking_set_overdue(struct sb_blocking *blocking, struct sb_blocked *blocked) {
  SB_ASSERT(!blocked->overdue && blocked->timed_at > 0);
  remove_timed(blocking, blocked);
  blocked->overdue = true;
}

/* ---- one of them ---- */

struct sb_session *sb_blocked_session(const struct sb_blocked *blocked) {
  return blocked->session;
}

uint32_t sb_blocked_slot(const struct sb_blocked *blocked) {
  return blocked->slot;
}

uint64_t sb_blocked_limit(const struct sb_blocked *blocked) {
  return blocked->limit;
}

size_t sb_blocked_bytes(const struct sb_blocked *blocked) {
  return blocked->bytes;
}

bool sb_blocked_is_aside(const struct sb_blocked *blocked) {
  return blocked->state == ASIDE;
}

bool sb_blocked_is_overdue(const struct sb_blocked *blocked) {
  return blocked->overdue;
}

bool sb_blocked_may_have_something(const struct sb_blocked *blocked) {
  bool came = false;
  for (uint32_t i = 0; i < blocked->count && !came; i++) came = blocked->waits[i].came;
  return came;
}

uint32_t sb_blocked_count(const struct sb_blocked *blocked) {
  return blocked->count;
}

struct turn {
  const struct wait *wait;
};

static int by_arrival(const void *a, const void *b) {
  const struct wait *x = ((const struct turn *)a)->wait, *y = ((const struct turn *)b)->wait;
  if (x->order != y->order) return x->order - 1 < y->order - 1 ? -1 : 1; /* 0 comes last */
  return x < y ? -1 : 1;
}

/* Its streams, those to which an entry came first; to be freed. */
static struct turn *in_order(const struct sb_blocked *blocked) {
  struct turn *turns = sb_calloc(blocked->count, sizeof *turns);
  for (uint32_t i = 0; i < blocked->count; i++) turns[i].wait = &blocked->waits[i];
  if (blocked->arrivals > 0) qsort(turns, blocked->count, sizeof *turns, by_arrival);
  return turns;
}

void sb_blocked_streams(const struct sb_blocked *blocked, struct sb_awaited_stream *streams) {
  struct turn *turns = in_order(blocked);
  for (uint32_t i = 0; i < blocked->count; i++) {
    const struct wait *wait = turns[i].wait;
    const struct awaited *awaited = wait->awaited;
    streams[i] = (struct sb_awaited_stream){sb_bytes(awaited->name, awaited->name_len), wait->after,
                                            awaited->partition, wait->came};
  }
  free(turns);
}

void sb_blocked_looked(struct sb_blocked *blocked, const struct sb_awaited_stream *streams, bool nothing) {
  struct turn *turns = in_order(blocked);
  for (uint32_t i = 0; i < blocked->count; i++) {
    struct wait *wait = &blocked->waits[turns[i].wait - blocked->waits];
    SB_ASSERT(sb_bytes(wait->awaited->name, 0).at == streams[i].name.at);
    SB_ASSERT(sb_id_compare(wait->after, streams[i].after) <= 0);
    wait->after = streams[i].after;
  }
  free(turns);
  if (!nothing) return;
  blocked->arrivals = 0;
  for (uint32_t i = 0; i < blocked->count; i++) blocked->waits[i].order = 0;
}
