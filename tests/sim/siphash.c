/* SipHash-2-4 with 128 bits, written a second time from its paper and the reference's constants, so that the
 * judge does not ask the core what a channel's id is. */
#include "tests/sim/world.h"

struct sip {
  uint64_t a, b, c, d;
};

static uint64_t turned(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

static void rounds(struct sip *v, int count) {
  for (int i = 0; i < count; i++) {
    v->a += v->b, v->c += v->d;
    v->b = turned(v->b, 13) ^ v->a, v->d = turned(v->d, 16) ^ v->c;
    v->a = turned(v->a, 32);
    v->c += v->b, v->a += v->d;
    v->b = turned(v->b, 17) ^ v->c, v->d = turned(v->d, 21) ^ v->a;
    v->c = turned(v->c, 32);
  }
}

static uint64_t word(const uint8_t *at, size_t len) {
  uint64_t value = 0;
  for (size_t i = 0; i < len; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

struct sb_name_id sim_siphash(const struct sb_name_key *key, struct sb_bytes text) {
  uint64_t low = word(key->bytes, 8), high = word(key->bytes + 8, 8);
  struct sip v = {low ^ UINT64_C(0x736f6d6570736575), high ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
                  low ^ UINT64_C(0x6c7967656e657261), high ^ UINT64_C(0x7465646279746573)};
  for (size_t off = 0; off <= text.len; off += 8) {
    size_t left = text.len - off < 8 ? text.len - off : 8;
    uint64_t m = left > 0 ? word(text.at + off, left) : 0;
    if (left < 8) m |= (uint64_t)text.len << 56;
    v.d ^= m;
    rounds(&v, 2);
    v.a ^= m;
  }
  struct sb_name_id id;
  v.c ^= 0xee;
  rounds(&v, 4);
  id.low = v.a ^ v.b ^ v.c ^ v.d;
  v.b ^= 0xdd;
  rounds(&v, 4);
  id.high = v.a ^ v.b ^ v.c ^ v.d;
  return id;
}
