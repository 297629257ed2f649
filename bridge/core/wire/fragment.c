#include "bridge/core/wire/fragment.h"

#include "bridge/base/limits.h"

#define OVERHEAD_BYTES 64 /* the entry around the bytes: its numbers have four digits, its length eight */

size_t sb_fragment_bytes(size_t entry_max) {
  return entry_max < OVERHEAD_BYTES + SB_FRAGMENT_BYTES_MIN ? 0 : entry_max - OVERHEAD_BYTES;
}
