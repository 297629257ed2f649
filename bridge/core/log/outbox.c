#include "bridge/core/log/outbox.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/wire/codec.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/sidebus.h"

void sb_outbox_init(struct sb_outbox *outbox, size_t window_step_bytes, uint64_t *total) {
  *outbox = (struct sb_outbox){.next_number = 1, .window_step_bytes = window_step_bytes};
  outbox->total = total;
}

static void hold(struct sb_outbox *outbox, size_t bytes) {
  outbox->bytes += bytes;
  *outbox->total += bytes;
}

static void let_go(struct sb_outbox *outbox, size_t bytes) {
  SB_ASSERT(outbox->bytes >= bytes && *outbox->total >= bytes);
  outbox->bytes -= bytes;
  *outbox->total -= bytes;
}

/* What the figures say of the batches must be so. */
static void check(const struct sb_outbox *outbox) {
  SB_ASSERT(!outbox->first == !outbox->last);
  SB_ASSERT(!outbox->unsent || outbox->first);
  SB_ASSERT((outbox->in_flight > 0) == (outbox->first != outbox->unsent));
  SB_ASSERT(outbox->unsent || outbox->unsent_bytes == 0);
  SB_ASSERT(outbox->in_flight > 0 || outbox->in_flight_bytes == 0);
  SB_ASSERT(outbox->open ? outbox->open->plain_bytes == outbox->collected.len : outbox->collected.len == 0);
  SB_ASSERT(outbox->next_number > outbox->in_flight); /* each that is has a number */
  SB_ASSERT(*outbox->total >= outbox->bytes);
  (void)outbox;
}

void sb_batch_free(struct sb_batch *batch) {
  sb_body_unref(batch->body);
  sb_body_unref(batch->whole);
  free(batch->waiters);
  free(batch);
}

static size_t held_bytes(const struct sb_batch *batch) {
  if (!batch->whole) return batch->plain_bytes;
  return batch->fragment == batch->fragments ? batch->whole->len : 0;
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
  let_go(outbox, outbox->bytes);
  sb_outbox_init(outbox, outbox->window_step_bytes, outbox->total);
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
  check(outbox);
}

static void pack(struct sb_outbox *outbox, struct sb_batch *batch, bool compress) {
  struct sb_body *packed = compress ? sb_codec_pack(&outbox->codec, batch->body) : NULL;
  if (!packed) return;
  sb_body_unref(batch->body);
  batch->body = packed;
  batch->lz4 = true;
}

void sb_outbox_seal(struct sb_outbox *outbox, bool compress) {
  struct sb_batch *batch = outbox->open;
  if (!batch) return;
  struct sb_buf *collected = &outbox->collected;
  outbox->first_reserve = collected->len;
  batch->body = sb_body_wrap(collected->data, collected->len, release_data, collected->data);
  *collected = (struct sb_buf){0};
  pack(outbox, batch, compress);
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
  hold(outbox, len);
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
  hold(outbox, entry.len);
  add_waiter(batch, &(const struct sb_waiter){.count = 1});
  sb_outbox_seal(outbox, false);
}

/* Sessions that are gone have left subscriptions, and nothing else: nobody waits for its echo. */
static bool only_leaves(const struct sb_batch *batch) {
  for (uint32_t i = 0; i < batch->waiters_count; i++)
    if (batch->waiters[i].what != SB_WAITS_LEFT || batch->waiters[i].session) return false;
  return batch->waiters_count > 0;
}

/* A client that comes back subscribes again right behind the end of its last session: that end does not make
 * it wait for one more way through the log. */
static bool window_allows(const struct sb_outbox *outbox, size_t next_bytes) {
  if (outbox->in_flight == 0 || outbox->one_more) return true;
  if (outbox->cautious || outbox->in_flight >= SB_WINDOW_BATCHES_MAX) return false;
  if (outbox->in_flight_bytes + next_bytes > SB_WINDOW_BYTES_MAX) return false;
  if (outbox->in_flight == 1 && only_leaves(outbox->first)) return true;
  size_t waiting = outbox->unsent_bytes + (outbox->open ? outbox->open->plain_bytes : 0);
  return waiting >= (size_t)outbox->in_flight * outbox->window_step_bytes;
}

static struct sb_sidebus fragment_of(const struct sb_batch *batch) {
  size_t off = (batch->fragment - 1) * batch->fragment_bytes, len = batch->whole->len - off;
  if (len > batch->fragment_bytes) len = batch->fragment_bytes;
  return (struct sb_sidebus){
      .word = SB_SIDEBUS_PART,
      .fragment = {batch->fragment, batch->fragments, sb_bytes(batch->whole->data + off, len)},
  };
}

static void make_fragment_body(struct sb_outbox *outbox, struct sb_batch *batch, bool compress) {
  const struct sb_sidebus said = fragment_of(batch);
  batch->body = sb_body_new(sb_sidebus_size(&said));
  sb_sidebus_write(batch->body->data, &said);
  pack(outbox, batch, compress);
}

struct sb_batch *sb_outbox_next(struct sb_outbox *outbox, bool compress) {
  if (!outbox->unsent && !outbox->open) return NULL;
  size_t next_bytes = outbox->unsent ? outbox->unsent->plain_bytes : outbox->open->plain_bytes;
  if (!window_allows(outbox, next_bytes)) return NULL;
  if (!outbox->unsent) sb_outbox_seal(outbox, compress);
  if (!outbox->unsent->body) make_fragment_body(outbox, outbox->unsent, compress);
  if (outbox->unsent->number == 0) outbox->unsent->number = outbox->next_number++;
  return outbox->unsent;
}

void sb_outbox_hurry(struct sb_outbox *outbox) {
  outbox->one_more = !sb_outbox_empty(outbox);
}

void sb_outbox_sent(struct sb_outbox *outbox, struct sb_batch *batch, uint64_t token, uint64_t now_ms) {
  SB_ASSERT(batch == outbox->unsent && batch->number != 0);
  batch->token = token;
  outbox->one_more = false;
  batch->sent_ms = now_ms;
  if (batch->first_sent_ms == 0) batch->first_sent_ms = now_ms;
  outbox->unsent = batch->next;
  outbox->unsent_bytes -= batch->plain_bytes;
  outbox->in_flight++;
  outbox->in_flight_bytes += batch->plain_bytes;
  check(outbox);
}

void sb_outbox_wait_anew(struct sb_outbox *outbox, uint64_t now_ms) {
  if (outbox->in_flight > 0) outbox->first->sent_ms = now_ms;
}

void sb_outbox_put_off(struct sb_outbox *outbox, uint64_t now_ms, uint64_t ms) {
  for (struct sb_batch *batch = outbox->first; batch != outbox->unsent; batch = batch->next)
    if (batch->sent_ms < now_ms) batch->sent_ms = now_ms - batch->sent_ms > ms ? batch->sent_ms + ms : now_ms;
}

bool sb_outbox_resend(struct sb_outbox *outbox) {
  if (outbox->in_flight == 0) return false;
  outbox->unsent_bytes += outbox->in_flight_bytes;
  outbox->in_flight_bytes = 0;
  outbox->in_flight = 0;
  outbox->unsent = outbox->first;
  outbox->attempt++;
  outbox->cautious = true;
  check(outbox);
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
    struct sb_waiter second = batch->waiters[whole];
    second.count = count - head->count;
    add_waiter(head, &second);
    batch->waiters[whole].slot += second.count;
    batch->waiters[whole].count -= second.count;
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

static bool unpack(struct sb_batch *batch) {
  if (!batch->lz4) return true;
  struct sb_body *plain = sb_codec_unpack(batch->body);
  if (!plain) return false;
  sb_body_unref(batch->body);
  batch->body = plain;
  batch->lz4 = false;
  return true;
}

/* Where the list names the batch that is to leave next. */
static struct sb_batch **unsent_link(struct sb_outbox *outbox) {
  struct sb_batch **at = &outbox->first;
  while (*at != outbox->unsent) at = &(*at)->next;
  return at;
}

/* What is to leave next, of which nothing was sent, gives back its number; nothing behind it has one. */
static void take_number(struct sb_outbox *outbox) {
  struct sb_batch *batch = outbox->unsent;
  if (batch->number) outbox->next_number = batch->number;
  batch->number = 0;
}

bool sb_outbox_halve(struct sb_outbox *outbox) {
  struct sb_batch *batch = outbox->unsent;
  uint32_t off = 0;
  if (batch->count < 2 || batch->token || !unpack(batch)) return false;
  struct sb_bytes body = sb_bytes(batch->body->data, batch->body->len);
  for (uint32_t i = 0; i < batch->count / 2; i++) sb_entry_skip(body, &off);
  struct sb_batch **at = unsent_link(outbox);
  take_number(outbox);
  *at = split_off(batch, batch->count / 2, off);
  (*at)->next = batch;
  outbox->unsent = *at;
  check(outbox);
  return true;
}

/* ---- entries in fragments ---- */

/* Takes over the reference. */
static void make_fragment(struct sb_batch *batch, struct sb_body *whole, uint32_t index, uint32_t count,
                          size_t fragment_bytes) {
  batch->whole = whole;
  batch->fragment = index;
  batch->fragments = count;
  batch->fragment_bytes = fragment_bytes;
  batch->body = NULL;
  batch->lz4 = false;
  batch->count = 1;
  const struct sb_sidebus said = fragment_of(batch);
  batch->plain_bytes = sb_sidebus_size(&said);
}

/* The last fragment becomes the entry that it is one of. */
static void make_whole(struct sb_batch *batch) {
  sb_body_unref(batch->body);
  batch->body = batch->whole;
  batch->whole = NULL;
  batch->fragment = batch->fragments = 0;
  batch->lz4 = false;
  batch->plain_bytes = batch->body->len;
}

bool sb_outbox_cut(struct sb_outbox *outbox, size_t fragment_bytes) {
  struct sb_batch *last = outbox->unsent, **at = unsent_link(outbox), **first = at;
  if (!unpack(last)) return false;
  SB_ASSERT(last->count == 1 && fragment_bytes > 0);
  struct sb_body *whole = last->body;
  uint32_t count = (uint32_t)((whole->len + fragment_bytes - 1) / fragment_bytes);
  take_number(outbox);
  outbox->unsent_bytes -= last->plain_bytes;
  for (uint32_t index = 1; index < count; index++) {
    struct sb_batch *batch = sb_calloc(1, sizeof *batch);
    make_fragment(batch, sb_body_ref(whole), index, count, fragment_bytes);
    batch->urgent = last->urgent;
    batch->control = last->control;
    add_waiter(batch, &(const struct sb_waiter){.count = 1});
    outbox->unsent_bytes += batch->plain_bytes;
    *at = batch;
    at = &batch->next;
  }
  make_fragment(last, whole, count, count, fragment_bytes);
  outbox->unsent_bytes += last->plain_bytes;
  *at = last;
  outbox->unsent = *first;
  check(outbox);
  return true;
}

void sb_outbox_uncut(struct sb_outbox *outbox) {
  struct sb_batch **at = unsent_link(outbox);
  take_number(outbox);
  while ((*at)->fragment < (*at)->fragments) {
    struct sb_batch *batch = *at;
    outbox->unsent_bytes -= batch->plain_bytes;
    *at = batch->next;
    sb_batch_free(batch);
  }
  outbox->unsent = *at;
  if (!outbox->unsent->whole) return;
  outbox->unsent_bytes -= outbox->unsent->plain_bytes;
  make_whole(outbox->unsent);
  outbox->unsent_bytes += outbox->unsent->plain_bytes;
}

void sb_outbox_blank(struct sb_outbox *outbox, struct sb_batch *batch, struct sb_bytes entry) {
  SB_ASSERT(batch == outbox->unsent);
  let_go(outbox, batch->plain_bytes);
  hold(outbox, entry.len);
  outbox->unsent_bytes = outbox->unsent_bytes - batch->plain_bytes + entry.len;
  sb_body_unref(batch->body);
  batch->body = sb_body_new(entry.len);
  memcpy(batch->body->data, entry.at, entry.len);
  batch->plain_bytes = entry.len;
  batch->blanked = true;
  batch->lz4 = false;
  batch->count = 1;
  batch->waiters_count = 0;
  check(outbox);
}

#define LOOKED_AT   64 /* bytes, of each … */
#define LOOKED_EACH 1024

/* All of what is short, and a sixteenth of what is long: reading all of it would cost every message, and who
 * writes in our name does not know what we are about to send. */
static bool is_same(const struct sb_body *a, const struct sb_body *b) {
  if (a->len != b->len) return false;
  if (a->len <= LOOKED_EACH) return a->len == 0 || memcmp(a->data, b->data, a->len) == 0;
  size_t last = a->len - LOOKED_AT;
  for (size_t off = 0; off < last; off += LOOKED_EACH)
    if (memcmp(a->data + off, b->data + off, LOOKED_AT) != 0) return false;
  return memcmp(a->data + last, b->data + last, LOOKED_AT) == 0;
}

bool sb_outbox_sent_this(const struct sb_outbox *outbox, uint64_t number, bool lz4,
                         const struct sb_body *body) {
  const struct sb_batch *batch = outbox->first;
  if (!batch || batch->number != number || batch->blanked || !batch->body) return true;
  return batch->lz4 == lz4 && is_same(batch->body, body);
}

void sb_outbox_skip(struct sb_outbox *outbox, uint64_t number) {
  /* A GENESIS in our name begins our row at 0. What we have sent is above it, and is shown as lost. */
  if (outbox->first && outbox->first->number > number) return;
  SB_ASSERT(!outbox->first || outbox->first->number == 0);
  if (outbox->next_number <= number) outbox->next_number = number + 1;
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
  let_go(outbox, held_bytes(batch));
  outbox->cautious = false;
  check(outbox);
  batch->next = NULL;
  return batch;
}

struct sb_batch *sb_outbox_take(struct sb_outbox *outbox, bool compress) {
  sb_outbox_seal(outbox, compress);
  struct sb_batch *list = outbox->first;
  struct sb_codec codec = outbox->codec;
  size_t reserve = outbox->first_reserve;
  uint32_t attempt = outbox->attempt;
  let_go(outbox, outbox->bytes);
  sb_outbox_init(outbox, outbox->window_step_bytes, outbox->total);
  outbox->codec = codec;
  outbox->first_reserve = reserve;
  outbox->attempt = attempt + 1;
  outbox->cautious = true;
  check(outbox);
  return list;
}

void sb_outbox_put_back(struct sb_outbox *outbox, struct sb_batch *list) {
  SB_ASSERT(outbox->in_flight == 0);
  struct sb_batch *rest = outbox->first;
  outbox->first = outbox->last = outbox->unsent = NULL;
  outbox->unsent_bytes = 0;
  let_go(outbox, outbox->bytes - (outbox->open ? outbox->open->plain_bytes : 0));
  for (int pass = 0; pass < 2; pass++) {
    struct sb_batch *batch = pass == 0 ? list : rest;
    while (batch) {
      struct sb_batch *next = batch->next;
      if (batch->control || batch->fragment < batch->fragments) {
        sb_batch_free(batch);
      } else {
        if (batch->whole) make_whole(batch);
        batch->number = batch->token = batch->first_sent_ms = 0;
        hold(outbox, batch->plain_bytes);
        push_sealed(outbox, batch);
      }
      batch = next;
    }
  }
}

void sb_outbox_put_first(struct sb_outbox *outbox, struct sb_batch *list) {
  SB_ASSERT(outbox->in_flight == 0);
  struct sb_batch *rest = outbox->first;
  outbox->first = outbox->last = outbox->unsent = NULL;
  outbox->unsent_bytes = 0;
  for (struct sb_batch *batch = list, *next; batch; batch = next) {
    next = batch->next;
    batch->control = true;
    hold(outbox, batch->plain_bytes);
    push_sealed(outbox, batch);
  }
  for (struct sb_batch *batch = rest, *next; batch; batch = next) {
    next = batch->next;
    push_sealed(outbox, batch);
  }
}
