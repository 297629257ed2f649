#include "config/source_scan.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

struct scan {
  const uint8_t *at, *end;
  unsigned line;
  sb_source_fault_found *found;
  void *owner;
};

static int peek(const struct scan *s, size_t ahead) {
  return ahead < (size_t)(s->end - s->at) ? s->at[ahead] : -1;
}

static void step(struct scan *s) {
  if (*s->at == '\n') s->line++;
  s->at++;
}

static void skip_line(struct scan *s) {
  while (s->at < s->end && *s->at != '\n') step(s);
}

static void skip_comment(struct scan *s) {
  const uint8_t *start = s->at;
  unsigned line = s->line;
  s->at += 2;
  while (s->at < s->end && !(*s->at == '*' && peek(s, 1) == '/')) step(s);
  if (s->at < s->end)
    s->at += 2;
  else
    s->found(s->owner, SB_SOURCE_UNCLOSED_COMMENT, line, sb_bytes(start, (size_t)(s->end - start)));
}

static void skip_text(struct scan *s) {
  const uint8_t *start = s->at++;
  unsigned line = s->line;
  while (s->at < s->end && *s->at != '"') {
    if (*s->at == '\\' && peek(s, 1) >= 0) step(s);
    step(s);
  }
  if (s->at < s->end)
    s->at++;
  else
    s->found(s->owner, SB_SOURCE_UNCLOSED_TEXT, line, sb_bytes(start, (size_t)(s->end - start)));
}

/* @include "name" */
static void read_include(struct scan *s) {
  static const char word[] = "@include";
  struct sb_bytes rest = sb_bytes(s->at, (size_t)(s->end - s->at));
  unsigned line = s->line;
  step(s);
  if (rest.len < sizeof word || memcmp(rest.at, word, sizeof word - 1) != 0) return;
  s->at += sizeof word - 2;
  while (peek(s, 0) == ' ' || peek(s, 0) == '\t') s->at++;
  if (peek(s, 0) != '"') return;
  const uint8_t *name = s->at + 1;
  skip_text(s);
  if (s->at > name && s->at[-1] == '"')
    s->found(s->owner, SB_SOURCE_INCLUDES, line, sb_bytes(name, (size_t)(s->at - 1 - name)));
}

static bool in_word(int c) {
  return c >= 0 && (isalnum(c) || c == '-' || c == '_' || c == '*' || c == '.');
}

/* Decimal or, behind "0x", hexadecimal; more than 64 bits become UINT64_MAX. */
static uint64_t value_of(struct sb_bytes digits, unsigned base) {
  uint64_t value = 0;
  for (size_t i = 0; i < digits.len; i++) {
    int c = tolower(digits.at[i]);
    unsigned digit = (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
    if (value > (UINT64_MAX - digit) / base) return UINT64_MAX;
    value = value * base + digit;
  }
  return value;
}

static void read_number(struct scan *s) {
  const uint8_t *start = s->at;
  unsigned base = 10;
  if (*s->at == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X')) {
    base = 16;
    s->at += 2;
  }
  const uint8_t *digits = s->at;
  while (s->at < s->end && (base == 16 ? isxdigit(*s->at) : isdigit(*s->at))) s->at++;
  struct sb_bytes literal = sb_bytes(start, (size_t)(s->at - start));
  uint64_t value = value_of(sb_bytes(digits, (size_t)(s->at - digits)), base);
  bool is_long = peek(s, 0) == 'L';
  bool is_integer = is_long || !in_word(peek(s, 0));
  while (in_word(peek(s, 0))) s->at++;
  if (is_integer && value > INT64_MAX)
    s->found(s->owner, SB_SOURCE_TOO_LARGE, s->line, literal);
  else if (is_integer && !is_long && value > INT32_MAX)
    s->found(s->owner, SB_SOURCE_NEEDS_L, s->line, literal);
}

void sb_source_scan(struct sb_bytes text, sb_source_fault_found *found, void *owner) {
  struct scan s = {.at = text.at, .end = text.at + text.len, .line = 1, .found = found, .owner = owner};
  while (s.at < s.end) {
    int c = *s.at;
    if (c == '#' || (c == '/' && peek(&s, 1) == '/'))
      skip_line(&s);
    else if (c == '/' && peek(&s, 1) == '*')
      skip_comment(&s);
    else if (c == '"')
      skip_text(&s);
    else if (c == '@')
      read_include(&s);
    else if (isdigit(c))
      read_number(&s);
    else if (isalpha(c) || c == '*')
      while (in_word(peek(&s, 0))) s.at++;
    else
      step(&s);
  }
}
