/* An input as a source of choices, and the commands on keys and streams that are made of it: good ones, ones
 * that make no sense, MULTIs whose lengths lie, parts of entries. */
#ifndef SB_TESTS_FUZZ_GRAMMAR_H
#define SB_TESTS_FUZZ_GRAMMAR_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/sidebus.h"
#include "tests/fuzz/require.h"

/* ---- the input as a source of choices ---- */

struct input {
  const uint8_t *at;
  size_t left;
};

static inline uint8_t take(struct input *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}

static inline uint64_t take_number(struct input *in, int bytes) {
  uint64_t value = 0;
  while (bytes-- > 0) value = value << 8 | take(in);
  return value;
}

/* A length byte and as many bytes as there are. */
static inline struct sb_bytes take_bytes(struct input *in) {
  size_t len = take(in);
  if (len > in->left) len = in->left;
  struct sb_bytes bytes = sb_bytes(in->at, len);
  in->at += len;
  in->left -= len;
  return bytes;
}

/* ---- commands on keys and streams ---- */

static const char *const words[] = {
    "SET",  "SETNX",   "PSETEX", "GETSET",  "GETDEL", "INCR", "DECRBY", "DEL",    "PEXPIRE", "PERSIST",
    "XADD", "XTRIM",   "XDEL",   "GET",     "XRANGE", "XLEN", "XREAD",  "MAXLEN", "MINID",   "~",
    "*",    "NX",      "PX",     "KEEPTTL", "c",      "d",    "e",      "k",      "1",       "0-0",
    "1000", "STREAMS", "COUNT",  "BLOCK",   "$",      "+",    "-",      "field",  "LIMIT",   "NOMKSTREAM",
};

#define WORDS            (sizeof words / sizeof words[0])
#define WRITES           13 /* so many of the words are commands that write */
#define COMMAND_ARGS_MAX 8

/* A command, which need not make sense. */
static inline uint32_t take_command(struct input *in, struct sb_bytes *args, uint32_t commands) {
  uint8_t choice = take(in);
  uint32_t count = 2 + (choice >> 5) % (COMMAND_ARGS_MAX - 1);
  args[0] = sb_bytes_of(words[(choice & 31) % commands]);
  for (uint32_t i = 1; i < count; i++) {
    uint8_t word = take(in);
    args[i] = word & 128 ? take_bytes(in) : sb_bytes_of(words[word % WORDS]);
  }
  return count;
}

/* Those that make sense more often: on one key, with what they need. */
static inline uint32_t take_good_command(struct input *in, struct sb_bytes *args) {
  static const char *const good[][COMMAND_ARGS_MAX] = {
      {"SET", "k", "v"},
      {"SET", "k", "1", "PX", "1000"},
      {"INCR", "k"},
      {"XADD", "c", "*", "field", "value"},
      {"XADD", "k", "MAXLEN", "~", "1", "*", "field", "1"},
      {"DEL", "c"},
      {"PEXPIRE", "k", "1000"},
      {"XTRIM", "c", "MAXLEN", "1"},
      {"GETDEL", "k"},
      {"XADD", "d", "*", "field", "value"},
  };
  const char *const *command = good[take(in) % 10];
  uint32_t count = 0;
  for (; count < COMMAND_ARGS_MAX && command[count]; count++) args[count] = sb_bytes_of(command[count]);
  return count;
}

/* The same of those that read. */
static inline uint32_t take_good_read(struct input *in, struct sb_bytes *args) {
  static const char *const good[][COMMAND_ARGS_MAX] = {
      {"GET", "k"},
      {"PTTL", "k"},
      {"XLEN", "c"},
      {"EXISTS", "c", "k"},
      {"XRANGE", "c", "-", "+"},
      {"XREVRANGE", "c", "+", "-", "COUNT", "2"},
      {"XINFO", "STREAM", "c"},
      {"XREAD", "STREAMS", "c", "0-0"},
      {"XREAD", "BLOCK", "100", "STREAMS", "c", "$"},
      {"XREAD", "BLOCK", "0", "STREAMS", "c", "d", "$", "$"},
  };
  const char *const *command = good[take(in) % 10];
  uint32_t count = 0;
  for (; count < COMMAND_ARGS_MAX && command[count]; count++) args[count] = sb_bytes_of(command[count]);
  return count;
}

/* "MULTI <entry> …", whose lengths may lie, and which may hold what it must not. */
static inline void add_multi(struct input *in, struct sb_buf *out) {
  uint8_t choice = take(in);
  struct sb_bytes args[5] = {sb_bytes_of("MULTI")}, inner[COMMAND_ARGS_MAX];
  struct sb_buf entries[4] = {0};
  uint32_t count = 1 + choice % 4;
  for (uint32_t i = 0; i < count; i++) {
    uint8_t kind = take(in);
    uint32_t inner_count;
    if (kind % 4 == 0) {
      inner_count = 3;
      inner[0] = sb_bytes_of(kind & 4 ? "SPUBLISH" : "PUBLISH");
      inner[1] = sb_bytes_of(kind & 4 ? "s" : kind & 8 ? "c" : "d");
      inner[2] = take_bytes(in);
    } else if (kind % 4 == 1) {
      inner_count = take_command(in, inner, kind & 4 ? WORDS : WRITES + 4);
    } else if (kind == 255) {
      inner_count = 2;
      inner[0] = args[0];
      inner[1] = take_bytes(in);
    } else {
      inner_count = take_good_command(in, inner);
    }
    sb_entry_append(&entries[i], inner, inner_count);
    args[i + 1] = sb_buf_bytes(&entries[i]);
    if (choice & 16) args[i + 1].len = take(in) % (entries[i].len + 1);
  }
  size_t begin = out->len;
  sb_entry_append(out, args, count + 1);
  if (choice & 32) out->data[begin + take(in) % (out->len - begin)] = take(in);
  for (uint32_t i = 0; i < count; i++) sb_buf_close(&entries[i]);
}

/* The first, second or third part of one of a few entries; mostly of three, mostly as long as it should be.
 */
static inline void add_part(struct input *in, struct sb_buf *out) {
  struct sb_bytes args[COMMAND_ARGS_MAX];
  struct sb_buf whole = {0};
  uint8_t choice = take(in), odd = take(in);
  sb_entry_append(&whole, args, take_good_command(in, args));
  size_t index = choice % 3, third = whole.len / 3;
  struct sb_sidebus said = {
      .word = SB_SIDEBUS_PART,
      .fragment = {(uint32_t)index + 1, 3, sb_bytes(whole.data + index * third, third)},
  };
  if (index == 2) said.fragment.bytes.len = whole.len - 2 * third;
  if (odd & 1) said.fragment.index = odd >> 4;
  if (odd & 2) said.fragment.count = odd >> 5;
  if (odd & 4) said.fragment.bytes = take_bytes(in);
  sb_sidebus_append(out, &said);
  sb_buf_close(&whole);
}

static inline void add_op(struct input *in, struct sb_buf *out) {
  struct sb_bytes args[COMMAND_ARGS_MAX];
  uint8_t choice = take(in);
  if (choice % 4 == 0) {
    add_multi(in, out);
    return;
  }
  if (choice % 32 == 9) {
    add_part(in, out);
    return;
  }
  if (choice % 16 == 1) {
    const struct sb_bytes number[] = {sb_bytes_of("SIDEBUS"), sb_bytes_of("NUMBER"),
                                      sb_bytes_of(choice & 16 ? "c" : "d"), take_bytes(in)};
    sb_entry_append(out, number, 4);
    return;
  }
  uint32_t count = choice % 4 == 1 ? take_command(in, args, WRITES) : take_good_command(in, args);
  sb_entry_append(out, args, count);
}

#endif
