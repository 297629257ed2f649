/* The body of a batch: bytes shared by reference between outbox, transport threads and session outputs.
 *
 * A body is written by the one who made it and does not change while others hold it, with one exception that
 * the core makes (bridge/core/log/apply.c): it owns a received body alone until it hands out the first piece
 * of it, and rewrites command names in place before that. The count is atomic, so a body may be released on
 * any thread. */
#ifndef SB_BASE_BODY_H
#define SB_BASE_BODY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct sb_body {
  atomic_uint refs;
  size_t len;
  uint8_t *data;
  void (*release)(void *owner); /* NULL: data is part of this allocation */
  void *owner;
  uint32_t outputs; /* references from outputs, which output.c counts; of the loop's thread */
};

/* One allocation, len bytes, not initialised, one reference. */
struct sb_body *sb_body_new(size_t len);

/* Takes bytes that another library allocated; release(owner) is called with the last unref. */
struct sb_body *sb_body_wrap(void *data, size_t len, void (*release)(void *owner), void *owner);

static inline struct sb_body *sb_body_ref(struct sb_body *body) {
  atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
  return body;
}

/* NULL is allowed. */
void sb_body_unref(struct sb_body *body);

#endif
