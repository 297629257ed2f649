#include "bridge/base/sha1.h"

#define BLOCK_BYTES 64
#define WORDS       5

static uint32_t rotate(uint32_t value, unsigned by) {
  return value << by | value >> (32 - by);
}

/* FIPS 180-4, 6.1.2. */
static void add_block(uint32_t hash[static WORDS], const uint8_t block[static BLOCK_BYTES]) {
  uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
  for (size_t t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
           block[4 * t + 3];
  for (size_t t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  for (size_t t = 0; t < 80; t++) {
    uint32_t mixed = t < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
    uint32_t next = rotate(a, 5) + mixed + e + w[t];
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  hash[0] += a;
  hash[1] += b;
  hash[2] += c;
  hash[3] += d;
  hash[4] += e;
}

void sb_sha1_text(struct sb_bytes text, char out[static SB_SHA1_TEXT + 1]) {
  static const char digits[] = "0123456789abcdef";
  uint32_t hash[WORDS] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  size_t whole = text.len / BLOCK_BYTES * BLOCK_BYTES, rest = text.len - whole;
  for (size_t at = 0; at < whole; at += BLOCK_BYTES) add_block(hash, text.at + at);

  /* The rest, a one bit, zeros, and the length in bits at the end of a block. */
  uint8_t tail[2 * BLOCK_BYTES] = {0};
  size_t tail_len = rest < BLOCK_BYTES - 8 ? BLOCK_BYTES : 2 * BLOCK_BYTES;
  if (rest > 0) memcpy(tail, text.at + whole, rest);
  tail[rest] = 0x80;
  uint64_t bits = (uint64_t)text.len * 8;
  for (unsigned i = 0; i < 8; i++) tail[tail_len - 1 - i] = (uint8_t)(bits >> (8 * i));
  for (size_t at = 0; at < tail_len; at += BLOCK_BYTES) add_block(hash, tail + at);

  for (unsigned i = 0; i < SB_SHA1_TEXT; i++) out[i] = digits[hash[i / 8] >> (28 - 4 * (i % 8)) & 15];
  out[SB_SHA1_TEXT] = 0;
}
