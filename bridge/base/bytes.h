/* A view of bytes that somebody else owns, and a growable buffer that owns its bytes. */
#ifndef SB_BASE_BYTES_H
#define SB_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sb_bytes {
  const uint8_t *at; /* may be NULL when len is 0 */
  size_t len;
};

static inline struct sb_bytes sb_bytes(const void *at, size_t len) {
  return (struct sb_bytes){at, len};
}

static inline struct sb_bytes sb_bytes_of(const char *text) {
  return sb_bytes(text, strlen(text));
}

static inline size_t sb_least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* NULL is equal to NULL alone. */
static inline bool sb_text_equal(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static inline bool sb_bytes_equal(struct sb_bytes a, struct sb_bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII, ignoring case; `upper` must be in upper case. */
bool sb_bytes_is(struct sb_bytes a, const char *upper);

/* Decimal, no sign, no space, no leading zeros but "0" itself. False when it is not one or exceeds `max`. */
bool sb_bytes_u64(struct sb_bytes text, uint64_t max, uint64_t *out);

/* Redis's string2ll: optional '-', no leading zeros, no spaces, range of int64. */
bool sb_bytes_i64(struct sb_bytes text, int64_t *out);

/* Storage that the caller holds; zeroed is empty. Memory that cannot be had ends the process with a message:
 * every caller bounds what it appends. Appending moves the bytes, so views into the buffer end with the next
 * append. */
struct sb_buf {
  uint8_t *data;
  size_t len, cap;
};

void sb_buf_close(struct sb_buf *buf);
void sb_buf_reserve(struct sb_buf *buf, size_t more);
void sb_buf_append(struct sb_buf *buf, const void *at, size_t len);
void sb_buf_text(struct sb_buf *buf, const char *text);
void sb_buf_u64(struct sb_buf *buf, uint64_t value);
__attribute__((format(printf, 2, 3), nonnull(2))) void sb_buf_printf(struct sb_buf *buf, const char *format,
                                                                     ...);

static inline void sb_buf_clear(struct sb_buf *buf) {
  buf->len = 0;
}
static inline struct sb_bytes sb_buf_bytes(const struct sb_buf *buf) {
  return sb_bytes(buf->data, buf->len);
}

/* Writes `value` in decimal without a terminating zero; returns the number of digits, 20 at most. */
size_t sb_u64_text(uint64_t value, char out[20]);

/* malloc, calloc and realloc that end the process when there is no memory: a bridge that cannot account for
 * an entry must stop, and with it the node leaves as after a crash (docs/log.md). Never NULL. */
void *sb_malloc(size_t size);
void *sb_calloc(size_t count, size_t size);
void *sb_realloc(void *old, size_t size);
char *sb_strdup(const char *text);
char *sb_strdup_or_null(const char *text); /* NULL for NULL */

#endif
