/* The rows of a state: who is a member, or was, and how far each has come. */
#ifndef SB_CORE_STATE_ROWS_H
#define SB_CORE_STATE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"

/* The fragments of an entry that have come so far. They go with the incarnation that sent them. */
struct sb_unfinished {
  uint32_t count, next; /* 0: there is none */
  struct sb_buf bytes;
};

struct sb_row {
  char name[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t number;                 /* last accepted batch of this incarnation */
  struct sb_incarnation previous;  /* the last earlier incarnation that had a batch accepted */
  uint64_t previous_number;        /* and the number of its last one */
  struct sb_incarnation other;     /* the last such one of another process than `previous` */
  uint64_t other_number;           /* and the number of its last one */
  struct sb_unfinished unfinished; /* of a member */
  /* Not part of what nodes agree on: */
  uint32_t id;                 /* of a member, for the counts */
  uint32_t channels, patterns; /* how many rows it has there */
  uint64_t agreed_at; /* the last place at which this node agreed with a claim of it; 0: at none yet */
  uint64_t heard_ms;  /* when this node last applied a batch of it, monotonic */
};

struct sb_rows {
  struct sb_row *at;
  uint32_t count, cap;
};

/* The row of that name, or NULL. */
struct sb_row *sb_rows_find(const struct sb_rows *rows, const char *name);

/* Appends it behind the others. This ends all pointers to rows. */
struct sb_row *sb_rows_append(struct sb_rows *rows, const struct sb_row *row);
void sb_rows_remove_at(struct sb_rows *rows, uint32_t index);
void sb_rows_remove(struct sb_rows *rows, const struct sb_row *row);
void sb_rows_close(struct sb_rows *rows);

/* Compares what nodes agree on, and the order of the rows. */
bool sb_rows_equal(const struct sb_rows *a, const struct sb_rows *b);

/* The number of the last batch that was accepted under an earlier incarnation of that row; 0: none was, as
 * far as the row tells. It tells of the last two processes that had batches accepted. */
uint64_t sb_row_ordered(const struct sb_row *row, struct sb_incarnation earlier);

/* Makes a new row remember the one before. Two processes may take one name by turns, and each asks for its
 * own past: so the row keeps the last incarnations of two processes. */
void sb_row_remember(struct sb_row *row, const struct sb_row *old);

#endif
