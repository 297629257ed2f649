/* AMQP 1.0 values, written into a buffer and read in place (OASIS AMQP 1.0, part 1). Pure: no connection.
 *
 * A reader is a view that gets shorter from the front. Every length is checked before it is trusted; a
 * function that returns false has found something that is no AMQP and leaves the reader where it was. */
#ifndef SB_TRANSPORTS_SERVICEBUS_AMQP_H
#define SB_TRANSPORTS_SERVICEBUS_AMQP_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

/* Descriptors of the sections of a message (part 3). */
enum sb_amqp_section {
  SB_AMQP_HEADER = 0x70,
  SB_AMQP_DELIVERY_ANNOTATIONS = 0x71,
  SB_AMQP_MESSAGE_ANNOTATIONS = 0x72,
  SB_AMQP_PROPERTIES = 0x73,
  SB_AMQP_APPLICATION_PROPERTIES = 0x74,
  SB_AMQP_DATA = 0x75,
  SB_AMQP_SEQUENCE = 0x76,
  SB_AMQP_VALUE = 0x77,
  SB_AMQP_FOOTER = 0x78,
};

enum sb_amqp_type {
  SB_AMQP_NULL,
  SB_AMQP_BOOLEAN,
  SB_AMQP_UNSIGNED, /* every width */
  SB_AMQP_SIGNED,   /* every width, and timestamps */
  SB_AMQP_BINARY,
  SB_AMQP_STRING,
  SB_AMQP_SYMBOL,
  SB_AMQP_LIST,
  SB_AMQP_MAP,
  SB_AMQP_OTHER, /* skipped: float, uuid, array, described … */
};

struct sb_amqp_value {
  enum sb_amqp_type type;
  uint64_t number;       /* of unsigned and boolean */
  int64_t whole;         /* of signed */
  struct sb_bytes bytes; /* of binary, string, symbol; of list and map the items, of a map keys and values */
  uint32_t count;        /* items; a pair of a map counts as two */
};

/* ---- reading ---- */

/* Takes one value of any type. */
bool sb_amqp_take(struct sb_bytes *from, struct sb_amqp_value *value);

/* Takes a descriptor: a section's head. `descriptor` is 0 for one that is not a number. */
bool sb_amqp_take_descriptor(struct sb_bytes *from, uint64_t *descriptor);

/* The value of `key` (a string or a symbol) in a map; false when it is not there. */
bool sb_amqp_find(const struct sb_amqp_value *map, const char *key, struct sb_amqp_value *value);

/* An integer of any width and sign that is not negative. */
bool sb_amqp_u64(const struct sb_amqp_value *value, uint64_t *out);

/* A string, a symbol or a binary. */
bool sb_amqp_text(const struct sb_amqp_value *value, struct sb_bytes *out);

/* ---- writing ---- */

/* What comes between _begin and _end is the section's, list's or map's; `at` is the mark to end it with. */
struct sb_amqp_mark {
  size_t at;
};
void sb_amqp_put_section(struct sb_buf *out, enum sb_amqp_section section);
struct sb_amqp_mark sb_amqp_begin_list(struct sb_buf *out);
struct sb_amqp_mark sb_amqp_begin_map(struct sb_buf *out);
void sb_amqp_end(struct sb_buf *out, struct sb_amqp_mark mark, uint32_t count);

void sb_amqp_put_null(struct sb_buf *out);
void sb_amqp_put_int(struct sb_buf *out, uint32_t value);  /* int, at most INT32_MAX */
void sb_amqp_put_long(struct sb_buf *out, uint64_t value); /* long, at most INT64_MAX */
void sb_amqp_put_timestamp(struct sb_buf *out, uint64_t unix_ms);
void sb_amqp_put_string(struct sb_buf *out, struct sb_bytes text);
void sb_amqp_put_symbol(struct sb_buf *out, const char *text);

/* The head of a data section's binary of `len` bytes, which the caller puts behind it. */
void sb_amqp_put_data_head(struct sb_buf *out, uint32_t len);

#endif
