#include "bridge/core/wire/sum.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint8_t *put(uint8_t *at, uint64_t value) {
  for (int i = 0; i < 8; i++) *at++ = (uint8_t)(value >> (8 * i));
  return at;
}

static uint64_t next(uint64_t before, uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                     uint64_t number) {
  uint8_t text[5 * 8 + SB_NODE_NAME_MAX], *at = text;
  size_t len = strnlen(name, SB_NODE_NAME_MAX);
  at = put(at, before);
  at = put(at, sequence);
  at = put(at, incarnation.start_ms);
  at = put(at, incarnation.nonce);
  at = put(at, number);
  memcpy(at, name, len);
  return XXH3_64bits(text, (size_t)(at - text) + len);
}

struct sb_claim sb_sum_begin(uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                             uint64_t generation) {
  uint64_t sum = next(generation, sequence, name, incarnation, 0);
  uint32_t founding = (uint32_t)(sum >> 32);
  return (struct sb_claim){.at = sequence, .sum = sum, .founding = founding ? founding : 1};
}

void sb_sum_add(struct sb_claim *sum, uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                uint64_t number) {
  if (sum->founding == 0) return;
  sum->sum = next(sum->sum, sequence, name, incarnation, number);
  sum->at = sequence;
}
