/* A hash table of pointers by 64-bit hash: open addressing, linear probing, at most thirteen sixteenths full.
 * It does not know keys: items of one hash are told apart by the caller.
 *
 *   size_t at = sb_table_start(table, hash);
 *   while ((item = sb_table_probe(table, hash, &at)))
 *     if (same(item, key)) …
 *
 * Storage that the caller holds; zeroed is empty. Items are not owned. Adding and removing end all probes. */
#ifndef SB_BASE_TABLE_H
#define SB_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_table_slot {
  uint64_t hash;
  void *item; /* NULL: empty */
};

struct sb_table {
  struct sb_table_slot *slots;
  size_t cap, count; /* cap is zero or a power of two */
};

void sb_table_close(struct sb_table *table);
void sb_table_add(struct sb_table *table, uint64_t hash, void *item);
bool sb_table_remove(struct sb_table *table, uint64_t hash, const void *item);

static inline size_t sb_table_start(const struct sb_table *table, uint64_t hash) {
  return table->cap ? (size_t)hash & (table->cap - 1) : 0;
}

static inline void *sb_table_probe(const struct sb_table *table, uint64_t hash, size_t *at) {
  if (table->cap == 0) return NULL;
  for (;;) {
    const struct sb_table_slot *slot = &table->slots[*at];
    if (!slot->item) return NULL;
    *at = (*at + 1) & (table->cap - 1);
    if (slot->hash == hash) return slot->item;
  }
}

/* Walks all items in no order: begin with *at = 0; NULL behind the last. */
static inline void *sb_table_each(const struct sb_table *table, size_t *at) {
  while (*at < table->cap) {
    void *item = table->slots[(*at)++].item;
    if (item) return item;
  }
  return NULL;
}

#endif
