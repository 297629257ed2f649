/* What waits to be written to one session: short pieces copied into chunks, long ones held by reference.
 *
 * A piece of a body that continues the piece before it extends it, so a subscriber of a busy channel gets a
 * whole batch as one piece. A referenced piece that turned out short (less than a quarter of its body) is
 * copied when the next piece comes, so that a slow reader never pins more than four times the bytes that
 * count against its limit. Storage that the caller holds; zeroed is empty. One thread. */
#ifndef SB_BASE_OUTPUT_H
#define SB_BASE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bridge/base/body.h"

struct sb_piece {
  struct sb_body *body;
  uint32_t off, len;
};

struct sb_output {
  struct sb_piece *pieces; /* a window [head, head + count) of an array */
  uint32_t head, count, cap;
  uint32_t chunk_room; /* bytes that still fit behind the last piece, when that is a chunk of ours */
  bool tail_is_ref;    /* the last piece refers to somebody else's body */
  size_t bytes;        /* sum of the pieces' lengths */
};

void sb_output_close(struct sb_output *out);

void sb_output_copy(struct sb_output *out, const void *at, size_t len);

/* Takes a reference of its own. off + len lies within the body. */
void sb_output_ref(struct sb_output *out, struct sb_body *body, size_t off, size_t len);

/* Fills up to `max` vectors from the front; returns how many. They hold until the next call on `out`. */
int sb_output_peek(const struct sb_output *out, struct iovec *vec, int max);

/* Forgets `len` bytes from the front; len <= out->bytes. */
void sb_output_drop(struct sb_output *out, size_t len);

/* How many bytes the outputs of this process keep in memory: each body once, however many outputs refer to
 * it. Whoever keeps other bytes for an output adds and removes them. */
size_t sb_output_memory(void);
void sb_output_memory_add(size_t bytes);
void sb_output_memory_remove(size_t bytes);

#endif
