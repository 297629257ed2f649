#include "bridge/redis/protocol/inline.h"

#include <stdbool.h>

/* isspace of the C locale: these separate arguments and may follow a closing quote. */
static bool is_space(int c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Redis ends an unquoted argument at fewer characters: \v and \f are part of it. */
static bool ends_plain(int c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int hex_digit(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static uint8_t escaped(uint8_t c) {
  switch (c) {
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  case 'b':
    return '\b';
  case 'a':
    return '\a';
  default:
    return c;
  }
}

struct cursor {
  const uint8_t *at, *end;
  uint8_t *out;
};

/* The byte `ahead` of the cursor, or -1 behind the end. */
static int peek(const struct cursor *c, size_t ahead) {
  return ahead < (size_t)(c->end - c->at) ? c->at[ahead] : -1;
}

static void put(struct cursor *c, uint8_t byte, size_t taken) {
  *c->out++ = byte;
  c->at += taken;
}

/* At the closing quote: takes it. */
static bool close_quote(struct cursor *c) {
  c->at++;
  return c->at == c->end || is_space(*c->at);
}

/* Behind an opening '"'. */
static bool double_quoted(struct cursor *c) {
  while (c->at < c->end) {
    int next = peek(c, 1);
    if (*c->at == '"') return close_quote(c);
    if (*c->at == '\\' && next == 'x' && hex_digit(peek(c, 2)) >= 0 && hex_digit(peek(c, 3)) >= 0)
      put(c, (uint8_t)(hex_digit(peek(c, 2)) * 16 + hex_digit(peek(c, 3))), 4);
    else if (*c->at == '\\' && next >= 0)
      put(c, escaped((uint8_t)next), 2);
    else
      put(c, *c->at, 1);
  }
  return false;
}

/* Behind an opening '\''. */
static bool single_quoted(struct cursor *c) {
  while (c->at < c->end) {
    if (*c->at == '\'') return close_quote(c);
    if (*c->at == '\\' && peek(c, 1) == '\'')
      put(c, '\'', 2);
    else
      put(c, *c->at, 1);
  }
  return false;
}

/* A quote may begin within an argument, foo"bar"; its end is the end of the argument. */
static bool argument(struct cursor *c) {
  while (c->at < c->end && !ends_plain(*c->at)) {
    uint8_t byte = *c->at;
    if (byte != '"' && byte != '\'') {
      put(c, byte, 1);
      continue;
    }
    c->at++;
    return byte == '"' ? double_quoted(c) : single_quoted(c);
  }
  return true;
}

int sb_inline_next(struct sb_bytes *line, uint8_t *room, size_t *len) {
  struct cursor c;
  c.at = line->at;
  c.end = line->at + line->len;
  c.out = room;
  while (c.at < c.end && is_space(*c.at)) c.at++;
  bool empty = c.at == c.end;
  if (!empty && !argument(&c)) return -1;
  *line = sb_bytes(c.at, (size_t)(c.end - c.at));
  *len = (size_t)(c.out - room);
  return empty ? 0 : 1;
}
