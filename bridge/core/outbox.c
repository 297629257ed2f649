#include "bridge/core/outbox.h"

#include <stdlib.h>

#include "bridge/core/entry.h"

void sb_outbox_init(struct sb_outbox *outbox, size_t window_step_bytes) {
  *outbox = (struct sb_outbox){.next_number = 1, .window_step_bytes = window_step_bytes};
}

void sb_batch_free(struct sb_batch *batch) {
  sb_body_unref(batch->body);
  free(batch->waiters);
  free(batch);
}

static void free_list(struct sb_batch *batch) {
  while (batch) {
    struct sb_batch *next = batch->next;
    sb_batch_free(batch);
    batch = next;
  }
}

void sb_outbox_close(struct sb_outbox *outbox) {
  free_list(outbox->first);
  if (outbox->open) sb_batch_free(outbox->open);
  sb_buf_close(&outbox->collected);
  sb_outbox_init(outbox, outbox->window_step_bytes);
}

static void release_data(void *data) {
  free(data);
}

static void push_sealed(struct sb_outbox *outbox, struct sb_batch *batch) {
  batch->next = NULL;
  if (outbox->last)
    outbox->last->next = batch;
  else
    outbox->first = batch;
  outbox->last = batch;
  if (!outbox->unsent) outbox->unsent = batch;
  outbox->unsent_bytes += batch->plain_bytes;
}

void sb_outbox_seal(struct sb_outbox *outbox, bool compress) {
  struct sb_batch *batch = outbox->open;
  if (!batch) return;
  struct sb_buf *collected = &outbox->collected;
  outbox->first_reserve = collected->len;
  batch->body = sb_body_wrap(collected->data, collected->len, release_data, collected->data);
  *collected = (struct sb_buf){0};
  struct sb_body *packed = compress ? sb_codec_pack(&outbox->codec, batch->body) : NULL;
  if (packed) {
    sb_body_unref(batch->body);
    batch->body = packed;
    batch->lz4 = true;
  }
  outbox->open = NULL;
  push_sealed(outbox, batch);
}

static struct sb_batch *open_batch(struct sb_outbox *outbox) {
  if (!outbox->open) {
    outbox->open = sb_calloc(1, sizeof *outbox->open);
    outbox->open_since_ms = 0;
    sb_buf_reserve(&outbox->collected, outbox->first_reserve + 64);
  }
  return outbox->open;
}

static bool continues(const struct sb_waiter *last, const struct sb_waiter *next) {
  return last->what == SB_WAITS_INTEGER && next->what == SB_WAITS_INTEGER && last->session == next->session &&
         (!next->session || last->slot + last->count == next->slot);
}

static void add_waiter(struct sb_batch *batch, const struct sb_waiter *waiter) {
  struct sb_waiter *last = batch->waiters_count ? &batch->waiters[batch->waiters_count - 1] : NULL;
  if (last && continues(last, waiter)) {
    last->count += waiter->count;
    return;
  }
  if (!batch->waiters || batch->waiters_count == batch->waiters_cap) {
    batch->waiters_cap = batch->waiters_cap ? batch->waiters_cap * 2 : 1;
    batch->waiters = sb_realloc(batch->waiters, batch->waiters_cap * sizeof *batch->waiters);
  }
  batch->waiters[batch->waiters_count++] = *waiter;
}

uint8_t *sb_outbox_append_for(struct sb_outbox *outbox, size_t len, size_t batch_bytes, bool compress,
                              const struct sb_waiter *waiter) {
  struct sb_batch *batch = outbox->open;
  uint32_t count = waiter->count;
  /* One entry larger than batch_bytes may have overfilled it: then it takes no more. */
  size_t used = outbox->collected.len;
  if (batch &&
      (used >= batch_bytes || len > batch_bytes - used || count > SB_BATCH_ENTRIES_MAX - batch->count)) {
    sb_outbox_seal(outbox, compress);
    batch = NULL;
  }
  if (!batch) batch = open_batch(outbox);
  struct sb_buf *collected = &outbox->collected;
  sb_buf_reserve(collected, len);
  uint8_t *at = collected->data + collected->len;
  collected->len += len;
  batch->plain_bytes += len;
  batch->count += count;
  outbox->bytes += len;
  add_waiter(batch, waiter);
  return at;
}

void sb_outbox_append_control(struct sb_outbox *outbox, struct sb_bytes entry) {
  sb_outbox_seal(outbox, false);
  struct sb_batch *batch = open_batch(outbox);
  batch->control = batch->urgent = true;
  batch->count = 1;
  batch->plain_bytes = entry.len;
  sb_buf_append(&outbox->collected, entry.at, entry.len);
  outbox->bytes += entry.len;
  add_waiter(batch, &(const struct sb_waiter){.count = 1});
  sb_outbox_seal(outbox, false);
}

static bool window_allows(const struct sb_outbox *outbox, size_t next_bytes) {
  if (outbox->in_flight == 0) return true;
  if (outbox->cautious || outbox->in_flight >= SB_WINDOW_BATCHES_MAX) return false;
  if (outbox->in_flight_bytes + next_bytes > SB_WINDOW_BYTES_MAX) return false;
  size_t waiting = outbox->unsent_bytes + (outbox->open ? outbox->open->plain_bytes : 0);
  return waiting >= (size_t)outbox->in_flight * outbox->window_step_bytes;
}

struct sb_batch *sb_outbox_next(struct sb_outbox *outbox, bool compress) {
  if (!outbox->unsent && !outbox->open) return NULL;
  size_t next_bytes = outbox->unsent ? outbox->unsent->plain_bytes : outbox->open->plain_bytes;
  if (!window_allows(outbox, next_bytes)) return NULL;
  if (!outbox->unsent) sb_outbox_seal(outbox, compress);
  if (outbox->unsent->number == 0) outbox->unsent->number = outbox->next_number++;
  return outbox->unsent;
}

void sb_outbox_sent(struct sb_outbox *outbox, struct sb_batch *batch, uint64_t token, uint64_t now_ms) {
  batch->token = token;
  batch->sent_ms = now_ms;
  if (batch->first_sent_ms == 0) batch->first_sent_ms = now_ms;
  outbox->unsent = batch->next;
  outbox->unsent_bytes -= batch->plain_bytes;
  outbox->in_flight++;
  outbox->in_flight_bytes += batch->plain_bytes;
}

bool sb_outbox_resend(struct sb_outbox *outbox) {
  if (outbox->in_flight == 0) return false;
  outbox->unsent_bytes += outbox->in_flight_bytes;
  outbox->in_flight_bytes = 0;
  outbox->in_flight = 0;
  outbox->unsent = outbox->first;
  outbox->attempt++;
  outbox->cautious = true;
  return true;
}

/* Takes the first `count` entries, which are `len` bytes, and their waiters out of a batch. */
static struct sb_batch *split_off(struct sb_batch *batch, uint32_t count, size_t len) {
  struct sb_batch *head = sb_calloc(1, sizeof *head);
  struct sb_body *rest = sb_body_new(batch->body->len - len);
  memcpy(rest->data, batch->body->data + len, rest->len);
  head->body = sb_body_new(len);
  memcpy(head->body->data, batch->body->data, len);
  head->plain_bytes = len;
  head->control = batch->control;
  head->urgent = batch->urgent;
  uint32_t whole = 0;
  while (head->count + batch->waiters[whole].count <= count) {
    head->count += batch->waiters[whole].count;
    add_waiter(head, &batch->waiters[whole++]);
  }
  if (head->count < count) {
    struct sb_waiter part = batch->waiters[whole];
    part.count = count - head->count;
    add_waiter(head, &part);
    batch->waiters[whole].slot += part.count;
    batch->waiters[whole].count -= part.count;
    head->count = count;
  }
  batch->waiters_count -= whole;
  memmove(batch->waiters, batch->waiters + whole, batch->waiters_count * sizeof *batch->waiters);
  sb_body_unref(batch->body);
  batch->body = rest;
  batch->plain_bytes -= len;
  batch->count -= count;
  return head;
}

bool sb_outbox_halve(struct sb_outbox *outbox) {
  struct sb_batch *batch = outbox->unsent, **at = &outbox->first;
  uint32_t off = 0;
  if (batch->count < 2 || batch->token) return false;
  if (batch->lz4) {
    struct sb_body *plain = sb_codec_unpack(batch->body);
    if (!plain) return false;
    sb_body_unref(batch->body);
    batch->body = plain;
    batch->lz4 = false;
  }
  struct sb_bytes body = sb_bytes(batch->body->data, batch->body->len);
  for (uint32_t i = 0; i < batch->count / 2; i++) sb_entry_skip(body, &off);
  while (*at != batch) at = &(*at)->next;
  *at = split_off(batch, batch->count / 2, off);
  (*at)->next = batch;
  outbox->unsent = *at;
  if (batch->number) outbox->next_number = batch->number; /* nothing behind it has one */
  batch->number = 0;
  return true;
}

void sb_outbox_blank(struct sb_outbox *outbox, struct sb_batch *batch, struct sb_bytes entry) {
  outbox->bytes = outbox->bytes - batch->plain_bytes + entry.len;
  outbox->unsent_bytes = outbox->unsent_bytes - batch->plain_bytes + entry.len;
  sb_body_unref(batch->body);
  batch->body = sb_body_new(entry.len);
  memcpy(batch->body->data, entry.at, entry.len);
  batch->plain_bytes = entry.len;
  batch->lz4 = false;
  batch->count = 1;
  batch->waiters_count = 0;
}

struct sb_batch *sb_outbox_accept(struct sb_outbox *outbox, uint64_t number) {
  struct sb_batch *batch = outbox->first;
  if (!batch || batch->number == 0 || batch->number > number) return NULL;
  if (batch == outbox->unsent) { /* an earlier sending of it came through after all */
    outbox->unsent = batch->next;
    outbox->unsent_bytes -= batch->plain_bytes;
  } else {
    outbox->in_flight--;
    outbox->in_flight_bytes -= batch->plain_bytes;
  }
  outbox->first = batch->next;
  if (!outbox->first) outbox->last = NULL;
  outbox->bytes -= batch->plain_bytes;
  outbox->cautious = false;
  batch->next = NULL;
  return batch;
}

struct sb_batch *sb_outbox_take(struct sb_outbox *outbox, bool compress) {
  sb_outbox_seal(outbox, compress);
  struct sb_batch *list = outbox->first;
  struct sb_codec codec = outbox->codec;
  size_t reserve = outbox->first_reserve;
  uint32_t attempt = outbox->attempt;
  sb_outbox_init(outbox, outbox->window_step_bytes);
  outbox->codec = codec;
  outbox->first_reserve = reserve;
  outbox->attempt = attempt + 1;
  outbox->cautious = true;
  return list;
}

void sb_outbox_put_back(struct sb_outbox *outbox, struct sb_batch *list) {
  struct sb_batch *rest = outbox->first;
  outbox->first = outbox->last = outbox->unsent = NULL;
  outbox->unsent_bytes = 0;
  outbox->bytes = outbox->open ? outbox->open->plain_bytes : 0;
  for (int pass = 0; pass < 2; pass++) {
    struct sb_batch *batch = pass == 0 ? list : rest;
    while (batch) {
      struct sb_batch *next = batch->next;
      if (batch->control) {
        sb_batch_free(batch);
      } else {
        batch->number = batch->token = batch->first_sent_ms = 0;
        outbox->bytes += batch->plain_bytes;
        push_sealed(outbox, batch);
      }
      batch = next;
    }
  }
}

void sb_outbox_put_first(struct sb_outbox *outbox, struct sb_batch *list) {
  struct sb_batch *rest = outbox->first;
  outbox->first = outbox->last = outbox->unsent = NULL;
  outbox->unsent_bytes = 0;
  for (struct sb_batch *batch = list, *next; batch; batch = next) {
    next = batch->next;
    batch->control = true;
    outbox->bytes += batch->plain_bytes;
    push_sealed(outbox, batch);
  }
  for (struct sb_batch *batch = rest, *next; batch; batch = next) {
    next = batch->next;
    push_sealed(outbox, batch);
  }
}
