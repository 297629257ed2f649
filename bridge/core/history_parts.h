/* What a history is made of, shared by its own files only. */
#ifndef SB_CORE_HISTORY_PARTS_H
#define SB_CORE_HISTORY_PARTS_H

#include "bridge/core/history.h"

struct sb_history_piece {
  struct sb_history_batch *batch;
  uint32_t off;          /* of the first entry; of the first field */
  uint32_t len;          /* messages: from the begin of an entry to its payload's '$'; else all fields */
  uint32_t pairs;        /* 0: messages */
  uint16_t first, count; /* indexes in the batch; fields: one */
};

_Static_assert(SB_BATCH_ENTRIES_MAX <= UINT16_MAX, "indexes and counts fit 16 bits");

/* It is there while a batch names it, also when all of its pieces were taken away. */
struct sb_history_key {
  struct sb_history_piece *ring;
  struct sb_history_batch *named_by; /* the latest that names it; NULL: that one is gone */
  uint64_t length;                   /* in entries */
  uint32_t cap, head, count;         /* of the ring; cap is zero or a power of two */
  uint32_t named;                    /* by so many batches */
  uint32_t name_len;
  uint8_t name[];
};

/* Only one of which something was added is among those of the history. */
struct sb_history_batch {
  struct sb_history_batch *next, *prev;
  struct sb_body *body;
  struct sb_id base; /* of index 0 */
  uint64_t at_ms;
  uint32_t behind; /* index behind its last entry */
  bool pays;       /* its body counts here, and not with another batch of the same message */
  uint32_t pieces; /* that are left of it */
  uint32_t keys_count, keys_cap;
  struct sb_history_key **keys; /* that had pieces of it, each once */
};

static inline struct sb_history_piece *sb_history_piece(const struct sb_history_key *key, uint32_t at) {
  return &key->ring[(key->head + at) & (key->cap - 1)];
}

static inline struct sb_id sb_history_piece_id(const struct sb_history_piece *piece, uint32_t at) {
  return (struct sb_id){piece->batch->base.ms, piece->batch->base.seq + piece->first + at};
}

/* NULL: nothing names it. */
struct sb_history_key *sb_history_find(const struct sb_history *history, struct sb_bytes name);

/* The first piece that ends at `id` or behind it; key->count: there is none. */
uint32_t sb_history_search(const struct sb_history_key *key, struct sb_id id);

/* The offset of the entry that is `count` entries behind the one at `off`, of the same piece. */
uint32_t sb_history_skip(const struct sb_history_piece *piece, uint32_t off, uint32_t count);

/* Makes room for one more piece; gives room back. */
void sb_history_ring_grow(struct sb_history *history, struct sb_history_key *key);
void sb_history_ring_shrink(struct sb_history *history, struct sb_history_key *key);

/* The piece is no longer in its ring. Ends the batch when it was the last, and then keys that nothing else
 * names: whoever needs the key any longer holds it. */
void sb_history_piece_gone(struct sb_history *history, struct sb_history_batch *batch);

static inline void sb_history_key_hold(struct sb_history_key *key) {
  key->named++;
}
void sb_history_key_release(struct sb_history *history, struct sb_history_key *key);

/* Moves the oldest batch of one history behind the newest of the other. */
void sb_history_move_first(struct sb_history *from, struct sb_history *to);

/* ---- of a part of a log ---- */

/* Whether `count` entries from `first` on are kept; counts them when they lie behind. */
bool sb_history_part_takes(const struct sb_history *history, struct sb_bytes name, struct sb_id first,
                           uint32_t count);
/* A message begins: for want of room nothing more may be kept. */
void sb_history_part_message(struct sb_history *history, struct sb_id base);
/* Nothing is kept of what comes from now on, or behind: begins anew. */
void sb_history_part_restart(struct sb_history_part *part);
/* How many of a name are kept when `keep` of all are. */
uint64_t sb_history_part_trim(const struct sb_history *history, struct sb_bytes name, uint64_t length,
                              uint64_t keep);
/* One was deleted, or all below it, that is not here. */
void sb_history_part_deleted(const struct sb_history *history, struct sb_bytes name, struct sb_id id,
                             bool below);

/* What is taken away, for one that records it. */
void sb_history_record_delete(struct sb_history *history, struct sb_bytes name, struct sb_id id);
void sb_history_record_below(struct sb_history *history, struct sb_bytes name, struct sb_id id);
void sb_history_record_keep(struct sb_history *history, struct sb_bytes name, uint64_t keep);

#endif
