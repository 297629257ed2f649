/* Entries that are larger than a message: cut into parts, which travel each in a batch of its own, and put
 * together again at the place of the last one.
 *
 *   *5 CRLF $7 CRLF SIDEBUS CRLF $4 CRLF PART CRLF $ <index> $ <count> $<n> CRLF <bytes> CRLF
 *
 * The bytes of all parts, laid end to end, are the entry. */
#ifndef SB_CORE_PART_H
#define SB_CORE_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

struct sb_part {
  uint32_t index, count; /* 1 to count */
  struct sb_bytes bytes; /* at least one */
};

/* Reads the entry at `off` of a body, which must be its last; false when it is no part. */
bool sb_part_read(struct sb_bytes body, uint32_t off, struct sb_part *out);

/* The size of its entry, and the entry into memory that has room for it. */
size_t sb_part_size(const struct sb_part *part);
void sb_part_write(uint8_t *at, const struct sb_part *part);

/* How much of an entry a part holds where messages of `entry_max` bytes are taken; 0: too little. */
size_t sb_part_bytes(size_t entry_max);

#endif
