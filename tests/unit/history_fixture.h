/* What tests of the history make batches of, and how the core applies them. */
#ifndef SB_TESTS_UNIT_HISTORY_FIXTURE_H
#define SB_TESTS_UNIT_HISTORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/core/history/pieces.h"
#include "bridge/core/wire/entry.h"

#define GENERATION 1000

static const struct sb_id first_id = {0, 0};

/* A batch as the core sees it: its entries, and what it tells the history of them. */
struct told {
  uint32_t off, key_off, key_len, data_off, data_len, index, count, pairs;
};

struct made {
  struct sb_buf text;
  struct told told[64];
  uint32_t told_count, index;
};

static inline uint32_t digits(size_t value) {
  char text[20];
  return (uint32_t)sb_u64_text(value, text);
}

static inline void make_messages(struct made *made, const char *channel, const struct sb_bytes *payloads,
                                 uint32_t count) {
  size_t key_len = strlen(channel);
  uint32_t off = (uint32_t)made->text.len;
  for (uint32_t i = 0; i < count; i++) {
    const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), sb_bytes_of(channel), payloads[i]};
    sb_entry_append(&made->text, args, 3);
  }
  uint32_t key_off = off + (uint32_t)strlen("*3\r\n$7\r\nPUBLISH\r\n$") + digits(key_len) + 2;
  made->told[made->told_count++] = (struct told){
      .off = off, .key_off = key_off, .key_len = (uint32_t)key_len, .index = made->index, .count = count};
  made->index += count;
}

static inline void make_fields(struct made *made, const char *key, const struct sb_bytes *fields,
                               uint32_t pairs) {
  struct sb_bytes args[32] = {sb_bytes_of("XADD"), sb_bytes_of(key), sb_bytes_of("*")};
  for (uint32_t i = 0; i < 2 * pairs; i++) args[3 + i] = fields[i];
  uint32_t count = 3 + 2 * pairs, off = (uint32_t)made->text.len;
  sb_entry_append(&made->text, args, count);
  size_t head = 3 + digits(count), name = strlen("$4\r\nXADD\r\n"), star = strlen("$1\r\n*\r\n");
  uint32_t key_off = off + (uint32_t)(head + name) + 3 + digits(strlen(key));
  uint32_t fields_off = key_off + (uint32_t)(strlen(key) + 2 + star);
  made->told[made->told_count++] = (struct told){.key_off = key_off,
                                                 .key_len = (uint32_t)strlen(key),
                                                 .data_off = fields_off,
                                                 .data_len = (uint32_t)made->text.len - fields_off,
                                                 .index = made->index++,
                                                 .pairs = pairs};
}

/* Something that lies between entries and is not for the history. */
static inline void make_other(struct made *made) {
  sb_buf_text(&made->text, SB_ENTRY_HEARTBEAT);
}

/* What the core does to the body once subscribers have it. */
static inline void rename_messages(struct sb_body *body, const struct made *made) {
  for (uint32_t i = 0; i < made->told_count; i++)
    if (made->told[i].pairs == 0)
      memcpy(body->data + made->told[i].off + SB_ENTRY_NAME_OFF, "message\r", 8); /* of the first in a run */
}

static inline void tell(struct sb_history *history, const struct told *told) {
  if (told->pairs)
    sb_history_add_fields(history, told->key_off, told->key_len, told->data_off, told->data_len, told->pairs,
                          told->index);
  else
    sb_history_add_messages(history, told->off, told->key_off, told->key_len, told->index, told->count);
}

static inline struct sb_body *body_of(struct made *made) {
  struct sb_body *body = sb_body_new(made->text.len);
  if (made->text.len) memcpy(body->data, made->text.data, made->text.len);
  sb_buf_close(&made->text);
  return body;
}

/* The whole of a message, as the core applies it; gives the body back afterwards, as the core does. */
static inline void apply(struct sb_history *history, uint64_t generation, uint64_t sequence,
                         struct made *made, uint64_t now_ms) {
  struct sb_body *body = body_of(made);
  sb_history_batch(history, generation, sequence, body, now_ms);
  for (uint32_t i = 0; i < made->told_count; i++) tell(history, &made->told[i]);
  rename_messages(body, made);
  sb_body_unref(body);
}

static inline void assert_id(struct sb_id id, struct sb_id expected) {
  assert_int_equal(id.ms, expected.ms);
  assert_int_equal(id.seq, expected.seq);
}

#endif
