/* The commands on keys and streams by name: which of them stand in entries. What they do is in op.h. */
#ifndef SB_CORE_WIRE_OP_NAME_H
#define SB_CORE_WIRE_OP_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

enum sb_op_name {
  /* strings and keys of any kind */
  SB_OP_GET,
  SB_OP_SET,
  SB_OP_SETNX,
  SB_OP_SETEX,
  SB_OP_PSETEX,
  SB_OP_GETSET,
  SB_OP_GETDEL,
  SB_OP_INCR,
  SB_OP_DECR,
  SB_OP_INCRBY,
  SB_OP_DECRBY,
  SB_OP_DEL,
  SB_OP_UNLINK,
  SB_OP_EXISTS,
  SB_OP_TYPE,
  SB_OP_TTL,
  SB_OP_PTTL,
  SB_OP_EXPIRETIME,
  SB_OP_PEXPIRETIME,
  SB_OP_EXPIRE,
  SB_OP_PEXPIRE,
  SB_OP_EXPIREAT,
  SB_OP_PEXPIREAT,
  SB_OP_PERSIST,
  /* streams */
  SB_OP_XADD,
  SB_OP_XTRIM,
  SB_OP_XDEL,
  SB_OP_XLEN,
  SB_OP_XRANGE,
  SB_OP_XREVRANGE,
  SB_OP_XINFO_STREAM,
  SB_OP_XREAD,
  SB_OP_NAMES
};

/* Which command this is; SB_OP_NAMES: none of these. `args` has one at least; XINFO is one with STREAM. */
enum sb_op_name sb_op_find(const struct sb_bytes *args, uint32_t count);

/* Whether it changes something, and so travels by itself. */
static inline bool sb_op_name_writes(enum sb_op_name name) {
  switch (name) {
  case SB_OP_GET:
  case SB_OP_EXISTS:
  case SB_OP_TYPE:
  case SB_OP_TTL:
  case SB_OP_PTTL:
  case SB_OP_EXPIRETIME:
  case SB_OP_PEXPIRETIME:
  case SB_OP_XLEN:
  case SB_OP_XRANGE:
  case SB_OP_XREVRANGE:
  case SB_OP_XINFO_STREAM:
  case SB_OP_XREAD:
  case SB_OP_NAMES:
    return false;
  default:
    return true;
  }
}

/* In upper case, as it travels. */
const char *sb_op_upper(enum sb_op_name name);

#endif
