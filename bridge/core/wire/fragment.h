/* Entries that are larger than a message: cut into fragments, which travel each in a batch of its own, and
 * put together again at the place of the last one. On the wire a fragment is called PART (docs/wire.md);
 * sidebus.h reads and writes it. The bytes of all fragments, laid end to end, are the entry. */
#ifndef SB_CORE_WIRE_FRAGMENT_H
#define SB_CORE_WIRE_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

struct sb_fragment {
  uint32_t index, count; /* 1 to count */
  struct sb_bytes bytes; /* at least one */
};

/* How many bytes of an entry a fragment holds if the broker takes entries of `entry_max`; 0: too few. */
size_t sb_fragment_bytes(size_t entry_max);

#endif
