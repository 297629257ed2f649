/* What names of channels, patterns and keys have in common: the hash by which this process finds them in its
 * tables, and the kinds in which sessions subscribe to them. What tells names apart between nodes is
 * bridge/base/name_id.h. */
#ifndef SB_CORE_WIRE_NAME_H
#define SB_CORE_WIRE_NAME_H

#include <stdint.h>

#include "bridge/base/bytes.h"

enum sb_sub_kind { SB_SUB_CHANNEL, SB_SUB_PATTERN, SB_SUB_SHARD, SB_SUB_KINDS };

/* The hash is keyed with a secret of this process and never leaves it. So nobody can choose names that share
 * a place in a table. */
uint64_t sb_name_hash(struct sb_bytes name);

#define SB_NAME_SECRET_BYTES 192

/* Sets the secret: random bytes, once, before anything is hashed. Without it anybody can compute the hash. */
void sb_name_secret(const uint8_t secret[SB_NAME_SECRET_BYTES]);

#endif
