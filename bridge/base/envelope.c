#include "bridge/base/envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/bytes.h"

#define NONCE_DIGITS 16

void sb_incarnation_text(struct sb_incarnation incarnation, char *out) {
  snprintf(out, SB_INCARNATION_TEXT, "%" PRIu64 "-%016" PRIx64, incarnation.start_ms, incarnation.nonce);
}

bool sb_incarnation_parse(const char *text, size_t len, struct sb_incarnation *out) {
  if (len < NONCE_DIGITS + 2) return false;
  size_t digits = len - NONCE_DIGITS - 1;
  if (text[digits] != '-') return false;
  if (!sb_bytes_u64(sb_bytes(text, digits), UINT64_MAX, &out->start_ms)) return false;
  out->nonce = 0;
  for (size_t i = digits + 1; i < len; i++) {
    char c = text[i];
    unsigned nibble;
    if (c >= '0' && c <= '9')
      nibble = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
      nibble = (unsigned)(c - 'a') + 10;
    else
      return false;
    out->nonce = out->nonce << 4 | nibble;
  }
  return true;
}

bool sb_node_name_valid(const char *name, size_t len) {
  if (len == 0 || len > SB_NODE_NAME_MAX) return false;
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  for (size_t i = 0; i < len; i++)
    if (name[i] == 0 || !strchr(allowed, name[i])) return false;
  return true;
}
