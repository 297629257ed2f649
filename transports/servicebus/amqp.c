#include "transports/servicebus/amqp.h"

/* Constructors (part 1, 1.6). The upper half of the byte tells how the length is given. */
enum {
  CODE_DESCRIBED = 0x00,
  CODE_NULL = 0x40,
  CODE_TRUE = 0x41,
  CODE_FALSE = 0x42,
  CODE_UINT0 = 0x43,
  CODE_ULONG0 = 0x44,
  CODE_LIST0 = 0x45,
  CODE_UBYTE = 0x50,
  CODE_BYTE = 0x51,
  CODE_SMALL_UINT = 0x52,
  CODE_SMALL_ULONG = 0x53,
  CODE_SMALL_INT = 0x54,
  CODE_SMALL_LONG = 0x55,
  CODE_BOOLEAN = 0x56,
  CODE_USHORT = 0x60,
  CODE_SHORT = 0x61,
  CODE_UINT = 0x70,
  CODE_INT = 0x71,
  CODE_ULONG = 0x80,
  CODE_LONG = 0x81,
  CODE_TIMESTAMP = 0x83,
  CODE_BINARY8 = 0xa0,
  CODE_STRING8 = 0xa1,
  CODE_SYMBOL8 = 0xa3,
  CODE_BINARY32 = 0xb0,
  CODE_STRING32 = 0xb1,
  CODE_SYMBOL32 = 0xb3,
  CODE_LIST8 = 0xc0,
  CODE_MAP8 = 0xc1,
  CODE_LIST32 = 0xd0,
  CODE_MAP32 = 0xd1,
};

/* What follows a constructor, and the bytes of that number or of that length. */
static const struct constructor {
  enum { ANYTHING, NOTHING, NUMBER, WHOLE, BYTES, ITEMS } follows;
  enum sb_amqp_type type;
  uint8_t width;
} constructors[256] = {
    [CODE_NULL] = {NOTHING, SB_AMQP_NULL, 0},
    [CODE_TRUE] = {NOTHING, SB_AMQP_BOOLEAN, 0},
    [CODE_FALSE] = {NOTHING, SB_AMQP_BOOLEAN, 0},
    [CODE_UINT0] = {NOTHING, SB_AMQP_UNSIGNED, 0},
    [CODE_ULONG0] = {NOTHING, SB_AMQP_UNSIGNED, 0},
    [CODE_LIST0] = {NOTHING, SB_AMQP_LIST, 0},
    [CODE_BOOLEAN] = {NUMBER, SB_AMQP_BOOLEAN, 1},
    [CODE_UBYTE] = {NUMBER, SB_AMQP_UNSIGNED, 1},
    [CODE_SMALL_UINT] = {NUMBER, SB_AMQP_UNSIGNED, 1},
    [CODE_SMALL_ULONG] = {NUMBER, SB_AMQP_UNSIGNED, 1},
    [CODE_USHORT] = {NUMBER, SB_AMQP_UNSIGNED, 2},
    [CODE_UINT] = {NUMBER, SB_AMQP_UNSIGNED, 4},
    [CODE_ULONG] = {NUMBER, SB_AMQP_UNSIGNED, 8},
    [CODE_BYTE] = {WHOLE, SB_AMQP_SIGNED, 1},
    [CODE_SMALL_INT] = {WHOLE, SB_AMQP_SIGNED, 1},
    [CODE_SMALL_LONG] = {WHOLE, SB_AMQP_SIGNED, 1},
    [CODE_SHORT] = {WHOLE, SB_AMQP_SIGNED, 2},
    [CODE_INT] = {WHOLE, SB_AMQP_SIGNED, 4},
    [CODE_LONG] = {WHOLE, SB_AMQP_SIGNED, 8},
    [CODE_TIMESTAMP] = {WHOLE, SB_AMQP_SIGNED, 8},
    [CODE_BINARY8] = {BYTES, SB_AMQP_BINARY, 1},
    [CODE_BINARY32] = {BYTES, SB_AMQP_BINARY, 4},
    [CODE_STRING8] = {BYTES, SB_AMQP_STRING, 1},
    [CODE_STRING32] = {BYTES, SB_AMQP_STRING, 4},
    [CODE_SYMBOL8] = {BYTES, SB_AMQP_SYMBOL, 1},
    [CODE_SYMBOL32] = {BYTES, SB_AMQP_SYMBOL, 4},
    [CODE_LIST8] = {ITEMS, SB_AMQP_LIST, 1},
    [CODE_LIST32] = {ITEMS, SB_AMQP_LIST, 4},
    [CODE_MAP8] = {ITEMS, SB_AMQP_MAP, 1},
    [CODE_MAP32] = {ITEMS, SB_AMQP_MAP, 4},
};

#define DESCRIBED_PARTS_MAX 16 /* descriptors and values of one value whose parts are described in turn */

/* ---- reading ---- */

static bool take_byte(struct sb_bytes *from, uint8_t *out) {
  if (from->len == 0) return false;
  *out = *from->at;
  *from = sb_bytes(from->at + 1, from->len - 1);
  return true;
}

static bool take_bytes(struct sb_bytes *from, size_t len, struct sb_bytes *out) {
  if (len > from->len) return false;
  *out = sb_bytes(from->at, len);
  *from = sb_bytes(from->at + len, from->len - len);
  return true;
}

static bool take_number(struct sb_bytes *from, size_t width, uint64_t *out) {
  struct sb_bytes bytes;
  if (!take_bytes(from, width, &bytes)) return false;
  uint64_t number = 0;
  for (size_t i = 0; i < width; i++) number = number << 8 | bytes.at[i];
  *out = number;
  return true;
}

static bool take_whole(struct sb_bytes *from, size_t width, int64_t *out) {
  uint64_t number;
  if (!take_number(from, width, &number)) return false;
  if (width > 0 && width < 8 && number >> (8 * width - 1)) number |= UINT64_MAX << 8 * width;
  *out = (int64_t)number;
  return true;
}

static bool take_variable(struct sb_bytes *from, size_t width, struct sb_bytes *out) {
  uint64_t len;
  return take_number(from, width, &len) && take_bytes(from, (size_t)len, out);
}

/* The count lies within the size. */
static bool take_items(struct sb_bytes *from, size_t width, struct sb_amqp_value *value) {
  uint64_t count;
  if (!take_variable(from, width, &value->bytes) || !take_number(&value->bytes, width, &count)) return false;
  value->count = (uint32_t)count;
  return true;
}

/* A value of another type: the upper half of the constructor says how long it is (figure 1.1). */
static bool take_other(struct sb_bytes *from, uint8_t code, struct sb_bytes *out) {
  static const uint8_t fixed[] = {[0x4] = 0, [0x5] = 1, [0x6] = 2, [0x7] = 4, [0x8] = 8, [0x9] = 16};
  unsigned kind = code >> 4;
  if (kind >= 0x4 && kind <= 0x9) return take_bytes(from, fixed[kind], out);
  if (kind == 0xa || kind == 0xc || kind == 0xe) return take_variable(from, 1, out);
  if (kind == 0xb || kind == 0xd || kind == 0xf) return take_variable(from, 4, out);
  return false;
}

/* `value` is zeroed. */
static bool take_plain(struct sb_bytes *from, uint8_t code, struct sb_amqp_value *value) {
  const struct constructor *how = &constructors[code];
  value->type = how->type;
  switch (how->follows) {
  case NOTHING:
    value->number = code == CODE_TRUE;
    return true;
  case NUMBER:
    return take_number(from, how->width, &value->number);
  case WHOLE:
    return take_whole(from, how->width, &value->whole);
  case BYTES:
    return take_variable(from, how->width, &value->bytes);
  case ITEMS:
    return take_items(from, how->width, value);
  default:
    value->type = SB_AMQP_OTHER;
    return take_other(from, code, &value->bytes);
  }
}

/* A descriptor and a value, each of which may be described again. */
static bool take_described(struct sb_bytes *from, struct sb_amqp_value *value) {
  int open = 2;
  for (int taken = 0; open > 0; taken++) {
    uint8_t code;
    struct sb_amqp_value part = {0};
    if (taken == DESCRIBED_PARTS_MAX || !take_byte(from, &code)) return false;
    if (code == CODE_DESCRIBED)
      open++;
    else if (take_plain(from, code, &part))
      open--;
    else
      return false;
  }
  *value = (struct sb_amqp_value){.type = SB_AMQP_OTHER};
  return true;
}

bool sb_amqp_take(struct sb_bytes *from, struct sb_amqp_value *value) {
  struct sb_bytes rest = *from;
  uint8_t code;
  *value = (struct sb_amqp_value){0};
  if (!take_byte(&rest, &code)) return false;
  if (code == CODE_DESCRIBED ? !take_described(&rest, value) : !take_plain(&rest, code, value)) return false;
  *from = rest;
  return true;
}

bool sb_amqp_take_descriptor(struct sb_bytes *from, uint64_t *descriptor) {
  struct sb_bytes rest = *from;
  uint8_t code;
  struct sb_amqp_value value;
  if (!take_byte(&rest, &code) || code != CODE_DESCRIBED || !sb_amqp_take(&rest, &value)) return false;
  *descriptor = value.type == SB_AMQP_UNSIGNED ? value.number : 0;
  *from = rest;
  return true;
}

bool sb_amqp_find(const struct sb_amqp_value *map, const char *key, struct sb_amqp_value *value) {
  if (map->type != SB_AMQP_MAP) return false;
  struct sb_bytes rest = map->bytes;
  struct sb_amqp_value name;
  for (uint32_t i = 0; i + 1 < map->count; i += 2) {
    if (!sb_amqp_take(&rest, &name) || !sb_amqp_take(&rest, value)) return false;
    if (name.type != SB_AMQP_STRING && name.type != SB_AMQP_SYMBOL) continue;
    if (sb_bytes_equal(name.bytes, sb_bytes_of(key))) return true;
  }
  return false;
}

bool sb_amqp_u64(const struct sb_amqp_value *value, uint64_t *out) {
  if (value->type == SB_AMQP_UNSIGNED) {
    *out = value->number;
    return true;
  }
  if (value->type != SB_AMQP_SIGNED || value->whole < 0) return false;
  *out = (uint64_t)value->whole;
  return true;
}

bool sb_amqp_text(const struct sb_amqp_value *value, struct sb_bytes *out) {
  if (value->type != SB_AMQP_STRING && value->type != SB_AMQP_SYMBOL && value->type != SB_AMQP_BINARY)
    return false;
  *out = value->bytes;
  return true;
}

/* ---- writing ---- */

static void put_byte(struct sb_buf *out, uint8_t byte) {
  sb_buf_append(out, &byte, 1);
}

static void set_u32(uint8_t at[4], uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_u32(struct sb_buf *out, uint32_t value) {
  uint8_t bytes[4];
  set_u32(bytes, value);
  sb_buf_append(out, bytes, sizeof bytes);
}

static void put_u64(struct sb_buf *out, uint64_t value) {
  put_u32(out, (uint32_t)(value >> 32));
  put_u32(out, (uint32_t)value);
}

void sb_amqp_put_section(struct sb_buf *out, enum sb_amqp_section section) {
  put_byte(out, CODE_DESCRIBED);
  put_byte(out, CODE_SMALL_ULONG);
  put_byte(out, (uint8_t)section);
}

static struct sb_amqp_mark begin(struct sb_buf *out, uint8_t code) {
  put_byte(out, code);
  struct sb_amqp_mark mark = {out->len};
  put_u64(out, 0); /* size and count, known at the end */
  return mark;
}

struct sb_amqp_mark sb_amqp_begin_list(struct sb_buf *out) {
  return begin(out, CODE_LIST32);
}

struct sb_amqp_mark sb_amqp_begin_map(struct sb_buf *out) {
  return begin(out, CODE_MAP32);
}

void sb_amqp_end(struct sb_buf *out, struct sb_amqp_mark mark, uint32_t count) {
  set_u32(out->data + mark.at, (uint32_t)(out->len - mark.at - 4));
  set_u32(out->data + mark.at + 4, count);
}

void sb_amqp_put_null(struct sb_buf *out) {
  put_byte(out, CODE_NULL);
}

void sb_amqp_put_int(struct sb_buf *out, uint32_t value) {
  put_byte(out, CODE_INT);
  put_u32(out, value);
}

void sb_amqp_put_long(struct sb_buf *out, uint64_t value) {
  put_byte(out, CODE_LONG);
  put_u64(out, value);
}

void sb_amqp_put_timestamp(struct sb_buf *out, uint64_t unix_ms) {
  put_byte(out, CODE_TIMESTAMP);
  put_u64(out, unix_ms);
}

static void put_variable(struct sb_buf *out, uint8_t code8, uint8_t code32, struct sb_bytes bytes) {
  if (bytes.len <= UINT8_MAX) {
    put_byte(out, code8);
    put_byte(out, (uint8_t)bytes.len);
  } else {
    put_byte(out, code32);
    put_u32(out, (uint32_t)bytes.len);
  }
  sb_buf_append(out, bytes.at, bytes.len);
}

void sb_amqp_put_string(struct sb_buf *out, struct sb_bytes text) {
  put_variable(out, CODE_STRING8, CODE_STRING32, text);
}

void sb_amqp_put_symbol(struct sb_buf *out, const char *text) {
  put_variable(out, CODE_SYMBOL8, CODE_SYMBOL32, sb_bytes_of(text));
}

void sb_amqp_put_data_head(struct sb_buf *out, uint32_t len) {
  sb_amqp_put_section(out, SB_AMQP_DATA);
  put_byte(out, CODE_BINARY32);
  put_u32(out, len);
}
