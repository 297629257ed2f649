#include "bridge/core/wire/entry.h"

#include "bridge/base/limits.h"
#include "bridge/core/wire/op_name.h"

/* Reads decimal digits up to CRLF; no sign, no leading zeros, below 2^31. NULL when it is not that. */
static inline const uint8_t *read_length(const uint8_t *at, const uint8_t *end, uint32_t *out) {
  uint32_t value = 0;
  const uint8_t *first = at;
  while (at < end && (unsigned)(*at - '0') <= 9) {
    if (at - first >= 9) return NULL;
    value = value * 10 + (unsigned)(*at++ - '0');
  }
  if (at == first || (*first == '0' && at - first > 1)) return NULL;
  if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return NULL;
  *out = value;
  return at + 2;
}

/* Reads "$<n>\r\n<n bytes>\r\n"; NULL when it is not that. */
static inline const uint8_t *read_bulk(const uint8_t *at, const uint8_t *end, struct sb_bytes *out) {
  uint32_t len;
  if (at == end || *at != '$') return NULL;
  at = read_length(at + 1, end, &len);
  if (!at || (size_t)(end - at) < 2 || len > (size_t)(end - at) - 2) return NULL;
  *out = sb_bytes(at, len);
  at += len;
  if (at[0] != '\r' || at[1] != '\n') return NULL;
  return at + 2;
}

/* Checks the entry at *off and moves *off behind it; keeps the first `max` arguments. Returns how many there
 * are, 0 when it is not canonical. */
static uint32_t walk(struct sb_bytes body, uint32_t *off, struct sb_bytes *args, uint32_t max) {
  if (*off == body.len) return 0; /* a body without bytes may have no address */
  const uint8_t *at = body.at + *off, *end = body.at + body.len;
  struct sb_bytes arg;
  uint32_t count;
  if (*at != '*') return 0;
  at = read_length(at + 1, end, &count);
  if (!at || count > SB_REQUEST_ARGS_MAX) return 0;
  for (uint32_t i = 0; i < count; i++) {
    at = read_bulk(at, end, &arg);
    if (!at) return 0;
    if (i < max) args[i] = arg;
  }
  *off = (uint32_t)(at - body.at);
  return count;
}

#define PUBLISH_HEAD  "*3\r\n$7\r\nPUBLISH\r\n"
#define SPUBLISH_HEAD "*3\r\n$8\r\nSPUBLISH\r\n"

/* Reads the payload at `at` and completes the entry. */
static inline bool finish(struct sb_bytes body, uint32_t *off, const uint8_t *at, struct sb_entry *out) {
  struct sb_bytes payload;
  at = read_bulk(at, body.at + body.len, &payload);
  if (!at) return false;
  out->off = *off;
  *off = (uint32_t)(at - body.at);
  out->len = *off - out->off;
  out->data_off = (uint32_t)(payload.at - body.at);
  return true;
}

static void take_head(const struct sb_entry *before, uint32_t off, struct sb_entry *out) {
  uint32_t by = off - before->off;
  *out = *before;
  out->same_head = true;
  out->off += by;
  out->key_off += by;
  out->tail_off += by;
  out->data_off += by;
}

/* All but the payload's bytes as in the entry before: the length too. */
static inline bool repeats_length(const uint8_t *at, size_t left, struct sb_bytes body,
                                  const struct sb_entry *before) {
  return before->len <= left && memcmp(at, body.at + before->off, before->data_off - before->off) == 0 &&
         memcmp(at + before->len - 2, "\r\n", 2) == 0;
}

/* The command and the channel as in the entry before. */
static inline bool repeats_head(const uint8_t *at, size_t left, struct sb_bytes body,
                                const struct sb_entry *before) {
  size_t head = before->key_off + before->key_len + 2 - before->off;
  return head < left && memcmp(at, body.at + before->off, head) == 0;
}

static bool read_publish(struct sb_bytes body, uint32_t *off, size_t head, struct sb_entry *out) {
  struct sb_bytes channel;
  const uint8_t *at = read_bulk(body.at + *off + head, body.at + body.len, &channel);
  if (!at) return false;
  out->same_head = false;
  out->key_off = (uint32_t)(channel.at - body.at);
  out->key_len = (uint32_t)channel.len;
  out->tail_off = *off + (uint32_t)head;
  return finish(body, off, at, out);
}

#define NAMING_ARGS 2 /* tell which command it is */

static bool is_upper(struct sb_bytes name) {
  for (size_t i = 0; i < name.len; i++)
    if (name.at[i] >= 'a' && name.at[i] <= 'z') return false;
  return true;
}

static bool read_other(struct sb_bytes body, uint32_t *off, struct sb_entry *out) {
  struct sb_bytes args[NAMING_ARGS];
  uint32_t begin = *off, count = walk(body, off, args, NAMING_ARGS);
  if (count == 0) return false;
  *out = (struct sb_entry){.off = begin, .len = *off - begin};
  if (count == 1) {
    out->kind = SB_ENTRY_PING;
    return sb_bytes_equal(args[0], sb_bytes_of("PING"));
  }
  out->key_off = (uint32_t)(args[1].at - body.at);
  out->key_len = (uint32_t)args[1].len;
  if (sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS"))) {
    out->kind = SB_ENTRY_SIDEBUS;
    return count <= SB_ENTRY_ARGS_MAX;
  }
  out->kind = SB_ENTRY_MULTI;
  if (sb_bytes_equal(args[0], sb_bytes_of("MULTI"))) return true;
  out->kind = SB_ENTRY_OP;
  return is_upper(args[0]) && sb_op_name_writes(sb_op_find(args, NAMING_ARGS));
}

/* An entry that does not repeat the length of the one before. It is kept out of sb_entry_next, where most
 * entries do: a PUBLISH like the last one would pay for the registers and arrays that only this needs. */
__attribute__((noinline)) static bool read_anew(struct sb_bytes body, uint32_t *off,
                                                const struct sb_entry *before, struct sb_entry *out) {
  const uint8_t *at = body.at + *off;
  size_t left = body.len - *off;
  if (before && before->kind <= SB_ENTRY_SPUBLISH && repeats_head(at, left, body, before)) {
    take_head(before, *off, out);
    return finish(body, off, body.at + out->key_off + out->key_len + 2, out);
  }
  if (left > sizeof PUBLISH_HEAD && memcmp(at, PUBLISH_HEAD, sizeof PUBLISH_HEAD - 1) == 0) {
    out->kind = SB_ENTRY_PUBLISH;
    return read_publish(body, off, sizeof PUBLISH_HEAD - 1, out);
  }
  if (left > sizeof SPUBLISH_HEAD && memcmp(at, SPUBLISH_HEAD, sizeof SPUBLISH_HEAD - 1) == 0) {
    out->kind = SB_ENTRY_SPUBLISH;
    return read_publish(body, off, sizeof SPUBLISH_HEAD - 1, out);
  }
  return read_other(body, off, out);
}

bool sb_entry_next(struct sb_bytes body, uint32_t *off, const struct sb_entry *before, struct sb_entry *out) {
  if (*off == body.len) return false;
  if (!before || before->kind > SB_ENTRY_SPUBLISH ||
      !repeats_length(body.at + *off, body.len - *off, body, before))
    return read_anew(body, off, before, out);
  take_head(before, *off, out);
  *off += out->len;
  return true;
}

uint32_t sb_entry_args(struct sb_bytes body, uint32_t *off, struct sb_bytes *args, uint32_t max) {
  uint32_t begin = *off, count = walk(body, off, args, max);
  if (count <= max) return count;
  *off = begin;
  return 0;
}

uint32_t sb_entry_skip(struct sb_bytes body, uint32_t *off) {
  return walk(body, off, NULL, 0);
}

bool sb_entry_in_multi(struct sb_bytes body, uint32_t *off, struct sb_entry *out) {
  struct sb_bytes args[NAMING_ARGS];
  uint32_t begin = *off;
  if (sb_entry_next(body, off, NULL, out))
    return out->kind != SB_ENTRY_MULTI && out->kind != SB_ENTRY_SIDEBUS;
  *off = begin;
  uint32_t count = walk(body, off, args, NAMING_ARGS);
  *out = (struct sb_entry){.kind = SB_ENTRY_PING, .off = begin, .len = *off - begin};
  if (count < NAMING_ARGS) return count == 1 && sb_bytes_equal(args[0], sb_bytes_of("UNWATCH"));
  if (count == 2 &&
      (sb_bytes_equal(args[0], sb_bytes_of("PING")) || sb_bytes_equal(args[0], sb_bytes_of("ECHO"))))
    return true;
  out->kind = SB_ENTRY_OP;
  return is_upper(args[0]) && sb_op_find(args, NAMING_ARGS) != SB_OP_NAMES;
}

static uint8_t *write_head(uint8_t *at, char mark, uint64_t value) {
  char digits[20];
  size_t len = sb_u64_text(value, digits);
  *at++ = (uint8_t)mark;
  memcpy(at, digits, len);
  memcpy(at + len, "\r\n", 2);
  return at + len + 2;
}

void sb_entry_write(uint8_t *at, const struct sb_bytes *args, uint32_t count) {
  at = write_head(at, '*', count);
  for (uint32_t i = 0; i < count; i++) {
    at = write_head(at, '$', args[i].len);
    if (args[i].len) memcpy(at, args[i].at, args[i].len);
    memcpy(at + args[i].len, "\r\n", 2);
    at += args[i].len + 2;
  }
}

void sb_entry_append(struct sb_buf *out, const struct sb_bytes *args, uint32_t count) {
  size_t size = sb_entry_size(args, count);
  sb_buf_reserve(out, size);
  sb_entry_write(out->data + out->len, args, count);
  out->len += size;
}

static size_t head_size(uint64_t value) {
  char digits[20];
  return 3 + sb_u64_text(value, digits);
}

size_t sb_entry_size(const struct sb_bytes *args, uint32_t count) {
  size_t size = head_size(count);
  for (uint32_t i = 0; i < count; i++) size += head_size(args[i].len) + args[i].len + 2;
  return size;
}
