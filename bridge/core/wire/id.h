/* Ids of entries: the place of an entry in the logs in the form of a Redis stream id,
 * "<generation>-<sequence × 4096 + index>" (docs/wire.md, "Ids"). The same on every node, growing from entry
 * to entry of one log; both parts stay below 2^53. */
#ifndef SB_CORE_ID_H
#define SB_CORE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"

struct sb_id {
  uint64_t ms, seq; /* the two parts, as Redis names them; {0, 0} is before all others */
};

#define SB_ID_MAX  ((struct sb_id){UINT64_MAX, UINT64_MAX})
#define SB_ID_TEXT 41 /* two numbers of 20 digits, and '-' */

static inline struct sb_id sb_id_at(uint64_t generation, uint64_t sequence, uint32_t index) {
  return (struct sb_id){generation, sequence * SB_BATCH_ENTRIES_MAX + index};
}

/* The last id that a message at this sequence can have. */
static inline struct sb_id sb_id_end_of(uint64_t generation, uint64_t sequence) {
  return sb_id_at(generation, sequence, SB_BATCH_ENTRIES_MAX - 1);
}

/* 0-0 stands before all. */
static inline bool sb_id_is_none(struct sb_id id) {
  return id.ms == 0 && id.seq == 0;
}

static inline int sb_id_compare(struct sb_id a, struct sb_id b) {
  if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
  if (a.seq != b.seq) return a.seq < b.seq ? -1 : 1;
  return 0;
}

static inline struct sb_id sb_id_later(struct sb_id a, struct sb_id b) {
  return sb_id_compare(a, b) < 0 ? b : a;
}

/* The next and the previous of all possible ids; false, and nothing changed, when there is none. */
bool sb_id_next(struct sb_id *id);
bool sb_id_previous(struct sb_id *id);

/* Writes "<ms>-<seq>" without a terminating zero; returns its length. */
size_t sb_id_text(struct sb_id id, char out[SB_ID_TEXT]);

/* "<ms>-<seq>" or "<ms>", whose second part is then `missing_seq`. False when it is neither. */
bool sb_id_parse(struct sb_bytes text, uint64_t missing_seq, struct sb_id *out);

#endif
