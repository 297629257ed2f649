#include "bridge/base/output.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"

#define CHUNK_FIRST 512  /* most replies are a few bytes */
#define COPY_BELOW  2048 /* a piece of its own costs more than copying this much */

static size_t memory;

static struct sb_body *hold(struct sb_body *body) {
  if (body->outputs++ == 0) memory += sizeof *body + body->len;
  return body;
}

static void let_go(struct sb_body *body) {
  if (--body->outputs == 0) memory -= sizeof *body + body->len;
  sb_body_unref(body);
}

size_t sb_output_memory(void) {
  return memory;
}

void sb_output_memory_add(size_t bytes) {
  memory += bytes;
}

void sb_output_memory_remove(size_t bytes) {
  memory -= bytes;
}

static struct sb_piece *tail(struct sb_output *out) {
  return &out->pieces[out->head + out->count - 1];
}

static struct sb_piece *push(struct sb_output *out) {
  if (out->head + out->count == out->cap) {
    if (out->head > out->cap / 2) {
      memmove(out->pieces, out->pieces + out->head, out->count * sizeof *out->pieces);
      out->head = 0;
    } else {
      out->cap = out->cap ? out->cap * 2 : 4;
      out->pieces = sb_realloc(out->pieces, out->cap * sizeof *out->pieces);
    }
  }
  out->count++;
  return tail(out);
}

void sb_output_close(struct sb_output *out) {
  for (uint32_t i = 0; i < out->count; i++) let_go(out->pieces[out->head + i].body);
  free(out->pieces);
  *out = (struct sb_output){0};
}

/* A chunk behind a reference is small, so that the short heads between references do not keep a full chunk
 * each. From there on chunks double. */
static size_t chunk_size(struct sb_output *out, size_t len) {
  bool grows = out->count > 0 && !out->tail_is_ref && tail(out)->body->owner == out;
  size_t size = grows ? tail(out)->body->len * 2 : CHUNK_FIRST;
  if (size < len) size = len;
  return size < SB_OUTPUT_CHUNK_BYTES ? size : SB_OUTPUT_CHUNK_BYTES;
}

static void append_chunk(struct sb_output *out, const uint8_t *at, size_t len) {
  while (len > 0) {
    if (out->chunk_room == 0) {
      size_t size = chunk_size(out, len);
      struct sb_piece *piece = push(out);
      *piece = (struct sb_piece){hold(sb_body_new(size)), 0, 0};
      piece->body->owner = out; /* marks it as a chunk of ours, for settle_tail */
      out->chunk_room = (uint32_t)size;
      out->tail_is_ref = false;
    }
    struct sb_piece *piece = tail(out);
    size_t take = len < out->chunk_room ? len : out->chunk_room;
    memcpy(piece->body->data + piece->off + piece->len, at, take);
    piece->len += (uint32_t)take;
    out->chunk_room -= (uint32_t)take;
    at += take;
    len -= take;
  }
}

/* A short reference at the end becomes a copy, in the chunk before it where that has room. */
static void settle_tail(struct sb_output *out) {
  struct sb_piece piece = *tail(out);
  out->tail_is_ref = false;
  if (piece.len >= piece.body->len / 4 && piece.len >= COPY_BELOW) return;
  out->count--;
  out->chunk_room = 0;
  if (out->count > 0) {
    struct sb_piece *before = tail(out);
    if (before->body->owner == out)
      out->chunk_room = (uint32_t)(before->body->len - before->off - before->len);
  }
  append_chunk(out, piece.body->data + piece.off, piece.len);
  let_go(piece.body);
}

void sb_output_copy(struct sb_output *out, const void *at, size_t len) {
  if (len == 0) return;
  if (out->tail_is_ref) settle_tail(out);
  append_chunk(out, at, len);
  out->bytes += len;
}

void sb_output_ref(struct sb_output *out, struct sb_body *body, size_t off, size_t len) {
  if (len == 0) return;
  out->bytes += len;
  if (out->tail_is_ref) {
    struct sb_piece *last = tail(out);
    if (last->body == body && last->off + (size_t)last->len == off) {
      last->len += (uint32_t)len;
      return;
    }
    settle_tail(out);
  }
  *push(out) = (struct sb_piece){hold(sb_body_ref(body)), (uint32_t)off, (uint32_t)len};
  out->chunk_room = 0;
  out->tail_is_ref = true;
}

int sb_output_peek(const struct sb_output *out, struct iovec *vec, int max) {
  int n = 0;
  for (uint32_t i = 0; i < out->count && n < max; i++, n++) {
    const struct sb_piece *piece = &out->pieces[out->head + i];
    vec[n] = (struct iovec){piece->body->data + piece->off, piece->len};
  }
  return n;
}

void sb_output_drop(struct sb_output *out, size_t len) {
  out->bytes -= len;
  while (len > 0) {
    struct sb_piece *piece = &out->pieces[out->head];
    if (len < piece->len) {
      piece->off += (uint32_t)len;
      piece->len -= (uint32_t)len;
      return;
    }
    len -= piece->len;
    let_go(piece->body);
    out->head++;
    out->count--;
  }
  if (out->count == 0) {
    free(out->pieces);
    *out = (struct sb_output){0};
  }
}
