/* Redis Cluster's hash slot of a key: CRC16 (XMODEM) of the key, or of what stands between the first '{' and
 * the first
 * '}' behind it when that is not empty, mod 16384. Source: the Redis Cluster specification, "Hash tags". */
#ifndef SB_CORE_SLOT_H
#define SB_CORE_SLOT_H

#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_SLOTS 16384

uint16_t sb_slot(struct sb_bytes key);

#endif
