#include "bridge/core/wire/name.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint8_t secret[SB_NAME_SECRET_BYTES];
static bool secret_is_set;

void sb_name_secret(const uint8_t random[SB_NAME_SECRET_BYTES]) {
  memcpy(secret, random, sizeof secret);
  secret_is_set = true;
}

uint64_t sb_name_hash(struct sb_bytes name) {
  if (!secret_is_set) return XXH3_64bits(name.at, name.len);
  return XXH3_64bits_withSecret(name.at, name.len, secret, sizeof secret);
}
