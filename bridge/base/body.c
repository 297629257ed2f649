#include "bridge/base/body.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"

struct sb_body *sb_body_new(size_t len) {
  struct sb_body *body = sb_malloc(sizeof *body + len);
  atomic_init(&body->refs, 1);
  body->len = len;
  body->data = (uint8_t *)(body + 1);
  body->release = NULL;
  body->owner = NULL;
  body->outputs = 0;
  return body;
}

struct sb_body *sb_body_wrap(void *data, size_t len, void (*release)(void *owner), void *owner) {
  struct sb_body *body = sb_body_new(0);
  body->len = len;
  body->data = data;
  body->release = release;
  body->owner = owner;
  return body;
}

void sb_body_unref(struct sb_body *body) {
  if (!body || atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel) != 1) return;
  if (body->release) body->release(body->owner);
  free(body);
}
