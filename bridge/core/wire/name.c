#include "bridge/core/wire/name.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sb_name_hash(struct sb_bytes name) {
  return XXH3_64bits(name.at, name.len);
}
