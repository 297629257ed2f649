/* Replies of the Redis protocol, appended to a buffer. `proto` is what the session speaks, 2 or 3; types that
 * RESP2 lacks are written as Redis 7 writes them there. What is appended is bounded by the caller. */
#ifndef SB_BASE_REPLY_H
#define SB_BASE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

/* For the functions below: `type` and a number on a line of its own. */
void sb_reply_line(struct sb_buf *buf, char type, uint64_t number);

/* One digit is by far the most frequent: ":1", "*3", "$7". */
static inline void sb_reply_number(struct sb_buf *buf, char type, uint64_t number) {
  if (number > 9) {
    sb_reply_line(buf, type, number);
    return;
  }
  sb_buf_reserve(buf, 4);
  uint8_t *at = buf->data + buf->len;
  at[0] = (uint8_t)type;
  at[1] = (uint8_t)('0' + number);
  at[2] = '\r';
  at[3] = '\n';
  buf->len += 4;
}

/* "+OK". The text holds neither CR nor LF. */
void sb_reply_simple(struct sb_buf *buf, const char *text);

/* An error. A text that begins with '-' brings its own code, "-NOPROTO unsupported protocol version"; "-ERR "
 * is put before any other. CR and LF at its ends are cut, within they become spaces: it may quote what a
 * client sent. */
void sb_reply_error(struct sb_buf *buf, struct sb_bytes text);
void sb_reply_error_text(struct sb_buf *buf, const char *text);
__attribute__((format(printf, 2, 3))) void sb_reply_errorf(struct sb_buf *buf, const char *format, ...);

void sb_reply_integer(struct sb_buf *buf, int64_t value);

void sb_reply_bulk(struct sb_buf *buf, struct sb_bytes bytes);
void sb_reply_bulk_text(struct sb_buf *buf, const char *text);

/* A text for people (INFO, CLIENT LIST): `format` is "txt" or "mkd". A bulk string in RESP2. */
void sb_reply_verbatim(struct sb_buf *buf, int proto, const char format[static 3], struct sb_bytes text);

/* A missing string, and a missing array, which RESP3 does not tell apart. */
void sb_reply_null(struct sb_buf *buf, int proto);
void sb_reply_null_array(struct sb_buf *buf, int proto);

/* "%.17g", inf, -inf, nan; a bulk string in RESP2. */
void sb_reply_double(struct sb_buf *buf, int proto, double value);

/* An integer 1 or 0 in RESP2. */
void sb_reply_bool(struct sb_buf *buf, int proto, bool value);

/* Headers: the elements follow. */
static inline void sb_reply_array(struct sb_buf *buf, size_t count) {
  sb_reply_number(buf, '*', count);
}

/* `pairs` keys, each followed by its value. */
static inline void sb_reply_map(struct sb_buf *buf, int proto, size_t pairs) {
  if (proto == 2)
    sb_reply_number(buf, '*', pairs * 2);
  else
    sb_reply_number(buf, '%', pairs);
}

static inline void sb_reply_set(struct sb_buf *buf, int proto, size_t count) {
  sb_reply_number(buf, proto == 2 ? '*' : '~', count);
}

static inline void sb_reply_push(struct sb_buf *buf, int proto, size_t count) {
  sb_reply_number(buf, proto == 2 ? '*' : '>', count);
}

#endif
