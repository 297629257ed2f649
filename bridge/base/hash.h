/* FNV-1a, 64 bits: tells texts and messages apart where nobody gains from two that are alike. It protects
 * nothing. */
#ifndef SB_BASE_HASH_H
#define SB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SB_HASH_START UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash`, which is SB_HASH_START at first. */
static inline uint64_t sb_hash_add(uint64_t hash, const void *at, size_t len) {
  const uint8_t *byte = at;
  for (size_t i = 0; i < len; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static inline uint64_t sb_hash_text(const char *text) {
  return sb_hash_add(SB_HASH_START, text, strlen(text));
}

#endif
