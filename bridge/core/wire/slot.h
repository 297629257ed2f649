/* Redis Cluster's hash slot of a key: CRC16 (XMODEM) mod 16384. Only the bytes between the first '{' and the
 * next '}' count, when there are any; else the whole key. Source: the Redis Cluster specification, "Hash
 * tags". */
#ifndef SB_CORE_SLOT_H
#define SB_CORE_SLOT_H

#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_SLOTS 16384

uint16_t sb_slot(struct sb_bytes key);

#endif
