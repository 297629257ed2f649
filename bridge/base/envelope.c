#include "bridge/base/envelope.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/bytes.h"

#define NONCE_DIGITS    16
#define FOUNDING_DIGITS 8
#define SUM_DIGITS      16

void sb_incarnation_text(struct sb_incarnation incarnation, char *out) {
  snprintf(out, SB_INCARNATION_TEXT, "%" PRIu64 "-%016" PRIx64, incarnation.start_ms, incarnation.nonce);
}

static bool read_nibble(char c, unsigned *nibble) {
  if (c >= '0' && c <= '9')
    *nibble = (unsigned)(c - '0');
  else if (c >= 'a' && c <= 'f')
    *nibble = (unsigned)(c - 'a') + 10;
  else
    return false;
  return true;
}

/* All of `text` in hex digits, at most 16. */
static bool read_hex(const char *text, size_t digits, uint64_t *out) {
  *out = 0;
  for (size_t i = 0; i < digits; i++) {
    unsigned nibble;
    if (!read_nibble(text[i], &nibble)) return false;
    *out = *out << 4 | nibble;
  }
  return true;
}

bool sb_incarnation_parse(const char *text, size_t len, struct sb_incarnation *out) {
  if (len < NONCE_DIGITS + 2) return false;
  size_t digits = len - NONCE_DIGITS - 1;
  return text[digits] == '-' && sb_bytes_u64(sb_bytes(text, digits), UINT64_MAX, &out->start_ms) &&
         read_hex(text + digits + 1, NONCE_DIGITS, &out->nonce);
}

/* ---- claims ---- */

void sb_claim_text(const struct sb_claim *claim, char *out) {
  snprintf(out, SB_CLAIM_TEXT, "%" PRIu64 "-%08" PRIx32 "-%016" PRIx64, claim->at, claim->founding,
           claim->sum);
}

void sb_claim_parse(const char *text, size_t len, struct sb_claim *claim) {
  const size_t behind = 1 + FOUNDING_DIGITS + 1 + SUM_DIGITS;
  struct sb_claim read = {0};
  uint64_t founding = 0;
  *claim = read;
  if (len <= behind) return;
  const char *dash = text + len - behind;
  if (dash[0] != '-' || dash[1 + FOUNDING_DIGITS] != '-' ||
      !sb_bytes_u64(sb_bytes(text, len - behind), UINT64_MAX, &read.at) ||
      !read_hex(dash + 1, FOUNDING_DIGITS, &founding) || founding == 0 ||
      !read_hex(dash + 1 + FOUNDING_DIGITS + 1, SUM_DIGITS, &read.sum))
    return;
  read.founding = (uint32_t)founding;
  *claim = read;
}

/* ---- signatures ---- */

void sb_mac_text(const uint8_t mac[SB_MAC_BYTES], char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < SB_MAC_BYTES; i++) {
    *out++ = digits[mac[i] >> 4];
    *out++ = digits[mac[i] & 15];
  }
  *out = 0;
}

void sb_mac_parse(const char *text, size_t len, uint8_t mac[SB_MAC_BYTES]) {
  memset(mac, 0, SB_MAC_BYTES);
  if (len != 2 * (size_t)SB_MAC_BYTES) return;
  for (size_t i = 0; i < len; i++) {
    unsigned nibble;
    if (!read_nibble(text[i], &nibble)) {
      memset(mac, 0, SB_MAC_BYTES);
      return;
    }
    mac[i / 2] = (uint8_t)((unsigned)mac[i / 2] << 4 | nibble);
  }
}

/* A text with its length before it, so that no byte can move from one to the next. */
static uint8_t *put_text(uint8_t *at, const char *text, size_t max) {
  size_t len = strnlen(text, max);
  *at++ = (uint8_t)len;
  memcpy(at, text, len);
  return at + len;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) *at++ = (uint8_t)(value >> shift);
  return at;
}

size_t sb_envelope_signed_head(const struct sb_envelope *envelope, const char *prefix, uint32_t partition,
                               size_t body_len, uint8_t *out) {
  static const char label[] = "sidebus batch 1";
  uint8_t *at = put_text(out, label, sizeof label);
  at = put_text(at, prefix, SB_PREFIX_BYTES_MAX);
  at = put_text(at, envelope->node, sizeof envelope->node);
  const uint64_t numbers[] = {partition,
                              envelope->version,
                              envelope->incarnation.start_ms,
                              envelope->incarnation.nonce,
                              envelope->number,
                              envelope->base,
                              envelope->generation,
                              envelope->time_ms,
                              envelope->count,
                              envelope->attempt,
                              envelope->lz4,
                              body_len};
  const uint64_t claim[] = {envelope->claim.at, envelope->claim.founding, envelope->claim.sum};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) at = put_u64(at, numbers[i]);
  for (size_t i = 0; envelope->claim.founding && i < sizeof claim / sizeof *claim; i++)
    at = put_u64(at, claim[i]);
  assert((size_t)(at - out) <= SB_SIGNED_HEAD_MAX);
  return (size_t)(at - out);
}

bool sb_node_name_valid(const char *name, size_t len) {
  if (len == 0 || len > SB_NODE_NAME_MAX) return false;
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  for (size_t i = 0; i < len; i++)
    if (name[i] == 0 || !strchr(allowed, name[i])) return false;
  return true;
}
