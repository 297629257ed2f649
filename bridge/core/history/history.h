/* What a node remembers of one log: the entries that are readable as streams, by key. It holds references to
 * the bodies of received batches, not copies, and is bounded by bytes and age: the oldest batch goes first.
 *
 *      batch ─ batch ─ batch ─ batch        in the order of the log; each knows its pieces
 *        │ ╲      │       │ ╲     │
 *     key a ─────piece────piece …           each key: an array of pieces in order of ids, searched by halving
 *
 * A piece is a run of PUBLISH entries of one channel that lie end to end, or one XADD. There is no gap in a
 * history: everything behind `begin` that the log holds is in it, but for what was deleted. When this node
 * missed part of the log, the history is restarted behind it. A batch of which all was deleted goes at once,
 * and takes no room from others. Local: two nodes that agree on all else have different histories. One
 * thread.
 *
 * A body may be rewritten in place where the core says (PUBLISH becomes message, of one length): only the
 * bytes behind the command's name are read here. */
#ifndef SB_CORE_HISTORY_HISTORY_H
#define SB_CORE_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/wire/id.h"

struct sb_history_batch;
struct sb_history_key;
struct sb_history_record;
struct sb_history_slice;

/* Storage that the caller holds; zeroed, then sb_history_init. Fields are for reading. */
struct sb_history {
  size_t max_bytes;    /* 0: nothing is kept */
  uint64_t max_age_ms; /* 0: no limit */
  struct sb_history_batch *first, *last;
  struct sb_table keys;
  size_t bytes;     /* bodies with their overhead, pieces, keys: what the bound is about */
  uint64_t entries; /* that can be read now */
  struct sb_id begin;
  struct sb_history_batch *open;     /* between _batch and the next one */
  uint32_t latest_off, latest_count; /* the messages of it that were added last */
  struct sb_history_record *record;  /* NULL: what is taken away is not recorded */

  /* For a log that can be read back: everything behind `floor` has been here, and the marks say what had to
   * go since. A mark stands for all names of one hash: the last id that went, 0-0 when none did. */
  bool marks_wanted;
  struct sb_id floor, *marks;     /* NULL: nothing went */
  struct sb_history_slice *slice; /* NULL: all names */
};

void sb_history_init(struct sb_history *history, size_t max_bytes, uint64_t max_age_ms);
void sb_history_close(struct sb_history *history);

/* Forgets everything. What the next sb_history_batch brings lies behind `begin`. */
void sb_history_restart(struct sb_history *history, struct sb_id begin);

/* Opens a message: what is added next is from it. The body is referenced as soon as something of it is added.
 * Generations, and sequences within one, grow from call to call. A call with the same two brings another body
 * of the same message, and its indexes go on. Drops what exceeds the bounds, as adding does, but never what
 * is open. A history that keeps nothing only moves `begin`. */
void sb_history_batch(struct sb_history *history, uint64_t generation, uint64_t sequence,
                      struct sb_body *body, uint64_t now_ms);

/* `count` PUBLISH entries of one channel that lie end to end from body->data + off on; the first one has this
 * index, and the channel is at key_off of the body. Those that lie behind one another become one piece, also
 * when they are added one by one. */
void sb_history_add_messages(struct sb_history *history, uint32_t off, uint32_t key_off, uint32_t key_len,
                             uint32_t index, uint32_t count);

/* One XADD entry whose fields and values, `pairs` of each, lie as bulk strings from fields_off on. */
void sb_history_add_fields(struct sb_history *history, uint32_t key_off, uint32_t key_len,
                           uint32_t fields_off, uint32_t fields_len, uint32_t pairs, uint32_t index);

/* From now on the history marks the names of which something had to go. */
void sb_history_mark(struct sb_history *history);

/* Whether entries of a name, at `from` or behind it, may exist that this history dropped or never held. Names
 * of one hash share a mark, so it may say true for a name that lacks nothing. */
bool sb_history_lacks(const struct sb_history *history, struct sb_bytes name, struct sb_id from);

/* Drops batches that are too old at `now_ms`. */
void sb_history_age(struct sb_history *history, uint64_t now_ms);

/* ---- reading ---- */

struct sb_history_entry {
  struct sb_id id;
  bool message;         /* of PUBLISH: one field, "data" */
  uint32_t pairs;       /* 1 for a message */
  struct sb_bytes bulk; /* a message: "$<n>CRLF<payload>CRLF"; else all fields and values in this form */
};

#define SB_HISTORY_STEPS 64

/* Walks the entries of a key with from <= id <= to, forwards or backwards. The cursor and what it gives hold
 * until the next change of the history. */
struct sb_history_cursor {
  const struct sb_history_key *key; /* NULL: there is nothing more */
  struct sb_id from, to;
  bool backwards;
  uint32_t piece, at; /* of the key's pieces; within it: the next, or backwards what is left of it */
  uint32_t off;       /* where the entry `at` begins, when it is not the first of its piece */
  uint32_t steps_known, steps[SB_HISTORY_STEPS]; /* backwards: where the entries before that one begin */
};
void sb_history_seek(const struct sb_history *history, struct sb_bytes name, struct sb_id from,
                     struct sb_id to, bool backwards, struct sb_history_cursor *cursor);
bool sb_history_next(struct sb_history_cursor *cursor, struct sb_history_entry *out);

/* Entries of a key that can be read now. */
uint64_t sb_history_length(const struct sb_history *history, struct sb_bytes name);

/* ---- what XDEL, XTRIM, DEL take away ---- */

/* False: there was no such entry. */
bool sb_history_delete(struct sb_history *history, struct sb_bytes name, struct sb_id id);

/* Keeps the newest `keep`; takes away what is below `id`. Both return how many went. */
uint64_t sb_history_trim_length(struct sb_history *history, struct sb_bytes name, uint64_t keep);
uint64_t sb_history_trim_below(struct sb_history *history, struct sb_bytes name, struct sb_id id);

/* All of a key; returns how many there were. */
uint64_t sb_history_forget(struct sb_history *history, struct sb_bytes name);

/* ---- what was before (merge.c) ---- */

/* From now on, records what is taken away; or no more. */
void sb_history_record(struct sb_history *history, bool on);

/* Puts all of `older`, which ends where this history begins, before it, without what was taken away since the
 * record began. Then `older` is empty. False: the record was too long, and nothing changed. Not to be called
 * between sb_history_batch and what is added to it. */
bool sb_history_prepend(struct sb_history *history, struct sb_history *older);

#endif
