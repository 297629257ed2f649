/* What a history is made of, shared by its own files only. */
#ifndef SB_CORE_HISTORY_PIECES_H
#define SB_CORE_HISTORY_PIECES_H

#include "bridge/core/history/history.h"

struct sb_history_piece {
  struct sb_history_batch *batch;
  uint32_t off;          /* messages: where the first entry begins; else the first field */
  uint32_t len;          /* messages: from the begin of an entry to its payload's '$'; else all fields */
  uint32_t pairs;        /* 0: messages */
  uint16_t first, count; /* indexes in the batch; fields: one */
};

_Static_assert(SB_BATCH_ENTRIES_MAX <= UINT16_MAX, "indexes and counts fit 16 bits");

/* A key is kept while a batch names it, even when all of its pieces were taken away. */
struct sb_history_key {
  struct sb_history_piece *ring;
  struct sb_history_batch *named_by; /* the latest batch that named it; NULL: that one is gone */
  uint64_t length;                   /* in entries */
  uint32_t cap, head, count;         /* of the ring; cap is zero or a power of two */
  uint32_t named;                    /* how many batches name it, and callers that hold it */
  uint32_t name_len;
  uint8_t name[];
};

/* A batch joins the list of its history when the first of its entries is added. */
struct sb_history_batch {
  struct sb_history_batch *next, *prev;
  struct sb_body *body;
  struct sb_id base; /* of index 0 */
  uint64_t at_ms;
  uint32_t behind; /* index behind its last entry */
  bool pays;       /* the bytes of its body count here, and not at another batch that holds the same body */
  uint32_t pieces; /* how many are left of it */
  uint32_t keys_count, keys_cap;
  struct sb_history_key **keys; /* those that got pieces of it, each once */
};

static inline struct sb_history_piece *sb_history_piece(const struct sb_history_key *key, uint32_t at) {
  return &key->ring[(key->head + at) & (key->cap - 1)];
}

static inline struct sb_id sb_history_piece_id(const struct sb_history_piece *piece, uint32_t at) {
  return (struct sb_id){piece->batch->base.ms, piece->batch->base.seq + piece->first + at};
}

/* The size of "$<n>CRLF<n bytes>CRLF". Lengths in bodies were checked when the batch was applied. */
static inline uint32_t sb_history_bulk_size(const uint8_t *bulk) {
  const uint8_t *at = bulk + 1;
  uint32_t len = 0;
  while (*at != '\r') len = len * 10 + (uint32_t)(*at++ - '0');
  return (uint32_t)(at - bulk) + 2 + len + 2;
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

/* To be called when a piece has left its ring. If it was the last of its batch, frees the batch, and with it
 * keys that no other batch names: a caller that still needs the key holds it first. */
void sb_history_piece_gone(struct sb_history *history, struct sb_history_batch *batch);

static inline void sb_history_key_hold(struct sb_history_key *key) {
  key->named++;
}
void sb_history_key_release(struct sb_history *history, struct sb_history_key *key);

/* What a batch counts against the bound of its history: the batch with its body; the list of its keys. */
size_t sb_history_paid_bytes(const struct sb_history_batch *batch);
size_t sb_history_names_bytes(const struct sb_history_batch *batch);

/* Makes a key; puts a batch at the end of the list; frees one of which nothing is left. */
struct sb_history_key *sb_history_key_make(struct sb_history *history, struct sb_bytes name);
void sb_history_batch_link(struct sb_history *history, struct sb_history_batch *batch);
void sb_history_batch_end(struct sb_history *history, struct sb_history_batch *batch);

#endif
