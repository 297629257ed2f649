/* What names of channels, patterns and keys have in common: the hash by which they are found and told to
 * other nodes, and the kinds in which sessions subscribe to them. */
#ifndef SB_CORE_WIRE_NAME_H
#define SB_CORE_WIRE_NAME_H

#include <stdint.h>

#include "bridge/base/bytes.h"

enum sb_sub_kind { SB_SUB_CHANNEL, SB_SUB_PATTERN, SB_SUB_SHARD, SB_SUB_KINDS };

/* The same on every node: it travels in SNAPSHOTs (docs/wire.md, "The state in a SNAPSHOT"). */
uint64_t sb_name_hash(struct sb_bytes name);

#endif
