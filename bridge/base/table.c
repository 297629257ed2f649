#include "bridge/base/table.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"

#define FIRST_CAP 16

void sb_table_close(struct sb_table *table) {
  free(table->slots);
  *table = (struct sb_table){0};
}

static void put(struct sb_table *table, uint64_t hash, void *item) {
  size_t at = sb_table_start(table, hash);
  while (table->slots[at].item) at = (at + 1) & (table->cap - 1);
  table->slots[at] = (struct sb_table_slot){hash, item};
}

static void resize(struct sb_table *table, size_t cap) {
  struct sb_table old = *table;
  table->slots = sb_calloc(cap, sizeof *table->slots);
  table->cap = cap;
  for (size_t i = 0; i < old.cap; i++)
    if (old.slots[i].item) put(table, old.slots[i].hash, old.slots[i].item);
  free(old.slots);
}

void sb_table_add(struct sb_table *table, uint64_t hash, void *item) {
  if ((table->count + 1) * 16 > table->cap * 13) resize(table, table->cap ? table->cap * 2 : FIRST_CAP);
  put(table, hash, item);
  table->count++;
}

bool sb_table_remove(struct sb_table *table, uint64_t hash, const void *item) {
  if (table->cap == 0) return false;
  size_t mask = table->cap - 1, at = sb_table_start(table, hash);
  while (table->slots[at].item != item) {
    if (!table->slots[at].item) return false;
    at = (at + 1) & mask;
  }
  /* Items behind the gap move back into it, unless they stand at their own place or would pass it. */
  for (size_t next = (at + 1) & mask; table->slots[next].item; next = (next + 1) & mask) {
    size_t home = sb_table_start(table, table->slots[next].hash);
    if (((next - home) & mask) < ((next - at) & mask)) continue;
    table->slots[at] = table->slots[next];
    at = next;
  }
  table->slots[at].item = NULL;
  table->count--;
  if (table->cap > FIRST_CAP && table->count < table->cap / 8) resize(table, table->cap / 2);
  return true;
}
