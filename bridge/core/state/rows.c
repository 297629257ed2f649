#include "bridge/core/state/rows.h"

#include "bridge/base/assert.h"

#include <stdlib.h>

struct sb_row *sb_rows_find(const struct sb_rows *rows, const char *name) {
  for (uint32_t i = 0; i < rows->count; i++)
    if (strcmp(rows->at[i].name, name) == 0) return &rows->at[i];
  return NULL;
}

struct sb_row *sb_rows_append(struct sb_rows *rows, const struct sb_row *row) {
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 8;
    rows->at = sb_realloc(rows->at, rows->cap * sizeof *rows->at);
  }
  rows->at[rows->count] = *row;
  return &rows->at[rows->count++];
}

void sb_rows_remove_at(struct sb_rows *rows, uint32_t index) {
  SB_ASSERT(index < rows->count);
  rows->count--;
  memmove(&rows->at[index], &rows->at[index + 1], (rows->count - index) * sizeof *rows->at);
}

void sb_rows_remove(struct sb_rows *rows, const struct sb_row *row) {
  sb_rows_remove_at(rows, (uint32_t)(row - rows->at));
}

void sb_rows_close(struct sb_rows *rows) {
  for (uint32_t i = 0; i < rows->count; i++) sb_buf_close(&rows->at[i].unfinished.bytes);
  free(rows->at);
  *rows = (struct sb_rows){0};
}

bool sb_rows_equal(const struct sb_rows *a, const struct sb_rows *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    const struct sb_row *x = &a->at[i], *y = &b->at[i];
    if (strcmp(x->name, y->name) != 0 || sb_incarnation_compare(x->incarnation, y->incarnation) != 0 ||
        x->number != y->number || sb_incarnation_compare(x->previous, y->previous) != 0 ||
        x->previous_number != y->previous_number || sb_incarnation_compare(x->other, y->other) != 0 ||
        x->other_number != y->other_number || x->unfinished.next != y->unfinished.next ||
        x->unfinished.count != y->unfinished.count ||
        !sb_bytes_equal(sb_buf_bytes(&x->unfinished.bytes), sb_buf_bytes(&y->unfinished.bytes)))
      return false;
  }
  return true;
}

uint64_t sb_row_ordered(const struct sb_row *row, struct sb_incarnation earlier) {
  if (sb_incarnation_compare(row->previous, earlier) == 0) return row->previous_number;
  return sb_incarnation_compare(row->other, earlier) == 0 ? row->other_number : 0;
}

void sb_row_remember(struct sb_row *row, const struct sb_row *old) {
  bool ordered = old->number > 0; /* if not, the incarnation before it is still the last with a batch */
  bool turns = ordered && old->previous.nonce != old->incarnation.nonce;
  row->previous = ordered ? old->incarnation : old->previous;
  row->previous_number = ordered ? old->number : old->previous_number;
  row->other = turns ? old->previous : old->other;
  row->other_number = turns ? old->previous_number : old->other_number;
}
