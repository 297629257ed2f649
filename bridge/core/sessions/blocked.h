/* XREADs that wait for entries: which keys they wait for, until when, and for whom something came. One that
 * waits costs memory and nothing else: it is found by its keys when something comes, or by its time in a
 * heap.
 *
 *     waiting ──── something came ─────────▶ signalled ◀──── that may be done ────┐
 *        ▲                                       │                                 │
 *        └──── it was deleted before anybody ────┼──── it must be read back ────▶ aside
 *              looked                            │
 *                                                └──── it is there ────▶ answered and ended
 *
 * Who looks, and answers, is serve.c. A position is followed by a log when nothing that came behind it was
 * missed here. Storage that the caller holds. */
#ifndef SB_CORE_SESSIONS_BLOCKED_H
#define SB_CORE_SESSIONS_BLOCKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/wire/id.h"

struct sb_blocked;
struct sb_session;

struct sb_blocking {
  struct sb_table keys;      /* that somebody waits for */
  struct sb_blocked **timed; /* those that do not wait for ever: a heap, the next to end on top */
  uint32_t timed_count, timed_cap;
  struct sb_blocked *signalled, **signalled_end; /* something came for them */
  struct sb_blocked *aside;                      /* and must be read back first */
  uint32_t count;
};

/* One stream of an XREAD. */
struct sb_awaited_stream {
  struct sb_bytes name;
  struct sb_id after;
  uint32_t partition;
  bool came; /* something may be there that was not shown when the XREAD was read */
};

void sb_blocking_init(struct sb_blocking *blocking);
void sb_blocking_close(struct sb_blocking *blocking); /* nobody waits any more */

/* An XREAD of the session waits, until `ends_ms` or for ever (0). Its reply takes `slot`, and has `limit`
 * entries of a stream at most; UINT64_MAX: it said no COUNT. */
struct sb_blocked *sb_blocking_begin(struct sb_blocking *blocking, struct sb_session *session, uint32_t slot,
                                     const struct sb_awaited_stream *streams, uint32_t count, uint64_t limit,
                                     uint64_t ends_ms);

/* It waits no more. Frees it. */
void sb_blocking_end(struct sb_blocking *blocking, struct sb_blocked *blocked);

/* ---- what the logs bring ---- */

/* An entry was added to the key, behind `before`; its log is followed from `followed_from` on. */
void sb_blocking_wake(struct sb_blocking *blocking, struct sb_bytes key, struct sb_id before,
                      struct sb_id followed_from);

/* Entries may have come to any stream of this log. */
void sb_blocking_wake_all(struct sb_blocking *blocking, uint32_t partition);

/* What comes to this log now may be missed. Readers have seen everything up to `applied`, but what came in
 * this turn: nothing of it need be looked for again. */
void sb_blocking_pass(struct sb_blocking *blocking, uint32_t partition, struct sb_id applied,
                      struct sb_id followed_from);

/* Something may have been read back: those aside are signalled again. */
void sb_blocking_again(struct sb_blocking *blocking);

/* ---- whom to look at ---- */

/* Takes the next for whom something came, in the order in which things came; NULL: there is none. */
struct sb_blocked *sb_blocking_next(struct sb_blocking *blocking);

/* The next whose time has come, while it still counts; NULL: none. */
struct sb_blocked *sb_blocking_due(const struct sb_blocking *blocking, uint64_t now_ms);

/* When to look again: now, or at a time; UINT64_MAX: when something comes. */
uint64_t sb_blocking_deadline(const struct sb_blocking *blocking, uint64_t now_ms);

/* What came for it must be read back first: it is put aside. */
void sb_blocking_set_aside(struct sb_blocking *blocking, struct sb_blocked *blocked);

/* Its time has come, and it is answered with what it is found to have: its time does not count any more. */
void sb_blocking_set_overdue(struct sb_blocking *blocking, struct sb_blocked *blocked);

/* ---- one of them ---- */

struct sb_session *sb_blocked_session(const struct sb_blocked *blocked);
uint32_t sb_blocked_slot(const struct sb_blocked *blocked);
uint64_t sb_blocked_limit(const struct sb_blocked *blocked);
size_t sb_blocked_bytes(const struct sb_blocked *blocked); /* with its names, as if nobody shared them */
bool sb_blocked_is_aside(const struct sb_blocked *blocked);
bool sb_blocked_is_overdue(const struct sb_blocked *blocked);

/* An entry came for it; or something was not shown to it at first, and may have been shown again by the log,
 * which wakes nobody. */
bool sb_blocked_may_have_something(const struct sb_blocked *blocked);

/* How many streams it waits for, and each: those to which an entry came first stand first. */
uint32_t sb_blocked_count(const struct sb_blocked *blocked);
void sb_blocked_streams(const struct sb_blocked *blocked, struct sb_awaited_stream *streams);

/* It was looked at `streams`, in which positions may have been moved on. Nothing was there: the order in
 * which entries came is forgotten. */
void sb_blocked_looked(struct sb_blocked *blocked, const struct sb_awaited_stream *streams, bool nothing);

#endif
