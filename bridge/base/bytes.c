#include "bridge/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *sb_malloc(size_t size) {
  void *at = malloc(size ? size : 1);
  if (!at) {
    fprintf(stderr, "sidebus: out of memory (%zu bytes)\n", size);
    abort();
  }
  return at;
}

void *sb_calloc(size_t count, size_t size) {
  void *at = calloc(count ? count : 1, size ? size : 1);
  if (!at) {
    fprintf(stderr, "sidebus: out of memory (%zu x %zu bytes)\n", count, size);
    abort();
  }
  return at;
}

void *sb_realloc(void *old, size_t size) {
  void *at = realloc(old, size ? size : 1);
  if (!at) {
    fprintf(stderr, "sidebus: out of memory (%zu bytes)\n", size);
    abort();
  }
  return at;
}

char *sb_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(sb_malloc(size), text, size);
}

char *sb_strdup_or_null(const char *text) {
  return text ? sb_strdup(text) : NULL;
}

bool sb_bytes_is(struct sb_bytes a, const char *upper) {
  for (size_t i = 0; i < a.len; i++) {
    uint8_t c = a.at[i];
    if (c >= 'a' && c <= 'z') c = (uint8_t)(c - 'a' + 'A');
    if (c == 0 || c != (uint8_t)upper[i]) return false;
  }
  return upper[a.len] == 0;
}

bool sb_bytes_u64(struct sb_bytes text, uint64_t max, uint64_t *out) {
  if (text.len == 0 || text.len > 20 || (text.at[0] == '0' && text.len > 1)) return false;
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned digit = (unsigned)text.at[i] - '0';
    if (digit > 9 || value > (UINT64_MAX - digit) / 10) return false;
    value = value * 10 + digit;
  }
  if (value > max) return false;
  *out = value;
  return true;
}

bool sb_bytes_i64(struct sb_bytes text, int64_t *out) {
  bool negative = text.len > 0 && text.at[0] == '-';
  uint64_t value;
  if (negative) {
    struct sb_bytes digits = sb_bytes(text.at + 1, text.len - 1);
    if (!sb_bytes_u64(digits, (uint64_t)INT64_MAX + 1, &value) || value == 0) return false;
    *out = (int64_t)(0 - value);
    return true;
  }
  if (!sb_bytes_u64(text, INT64_MAX, &value)) return false;
  *out = (int64_t)value;
  return true;
}

size_t sb_u64_text(uint64_t value, char out[20]) {
  char reversed[20];
  size_t n = 0;
  do reversed[n++] = (char)('0' + value % 10);
  while (value /= 10);
  for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
  return n;
}

void sb_buf_close(struct sb_buf *buf) {
  free(buf->data);
  *buf = (struct sb_buf){0};
}

void sb_buf_reserve(struct sb_buf *buf, size_t more) {
  if (more <= buf->cap - buf->len) return;
  if (more > SIZE_MAX / 2 - buf->len) abort();
  size_t cap = buf->cap ? buf->cap * 2 : 64;
  if (cap < buf->len + more) cap = buf->len + more;
  buf->data = sb_realloc(buf->data, cap);
  buf->cap = cap;
}

void sb_buf_append(struct sb_buf *buf, const void *at, size_t len) {
  if (len == 0) return;
  sb_buf_reserve(buf, len);
  memcpy(buf->data + buf->len, at, len);
  buf->len += len;
}

void sb_buf_text(struct sb_buf *buf, const char *text) {
  sb_buf_append(buf, text, strlen(text));
}

void sb_buf_u64(struct sb_buf *buf, uint64_t value) {
  char digits[20];
  sb_buf_append(buf, digits, sb_u64_text(value, digits));
}

void sb_buf_printf(struct sb_buf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int need = vsnprintf(NULL, 0, format, args);
  if (need > 0) {
    sb_buf_reserve(buf, (size_t)need + 1);
    vsnprintf((char *)buf->data + buf->len, (size_t)need + 1, format, again);
    buf->len += (size_t)need;
  }
  va_end(again);
  va_end(args);
}
