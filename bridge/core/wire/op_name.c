#include "bridge/core/wire/op_name.h"

static const char *const uppers[SB_OP_NAMES] = {
    [SB_OP_GET] = "GET",
    [SB_OP_SET] = "SET",
    [SB_OP_SETNX] = "SETNX",
    [SB_OP_SETEX] = "SETEX",
    [SB_OP_PSETEX] = "PSETEX",
    [SB_OP_GETSET] = "GETSET",
    [SB_OP_GETDEL] = "GETDEL",
    [SB_OP_INCR] = "INCR",
    [SB_OP_DECR] = "DECR",
    [SB_OP_INCRBY] = "INCRBY",
    [SB_OP_DECRBY] = "DECRBY",
    [SB_OP_DEL] = "DEL",
    [SB_OP_UNLINK] = "UNLINK",
    [SB_OP_EXISTS] = "EXISTS",
    [SB_OP_TYPE] = "TYPE",
    [SB_OP_TTL] = "TTL",
    [SB_OP_PTTL] = "PTTL",
    [SB_OP_EXPIRETIME] = "EXPIRETIME",
    [SB_OP_PEXPIRETIME] = "PEXPIRETIME",
    [SB_OP_EXPIRE] = "EXPIRE",
    [SB_OP_PEXPIRE] = "PEXPIRE",
    [SB_OP_EXPIREAT] = "EXPIREAT",
    [SB_OP_PEXPIREAT] = "PEXPIREAT",
    [SB_OP_PERSIST] = "PERSIST",
    [SB_OP_XADD] = "XADD",
    [SB_OP_XTRIM] = "XTRIM",
    [SB_OP_XDEL] = "XDEL",
    [SB_OP_XLEN] = "XLEN",
    [SB_OP_XRANGE] = "XRANGE",
    [SB_OP_XREVRANGE] = "XREVRANGE",
    [SB_OP_XINFO_STREAM] = "XINFO",
    [SB_OP_XREAD] = "XREAD",
};

enum sb_op_name sb_op_find(const struct sb_bytes *args, uint32_t count) {
  for (enum sb_op_name name = 0; name < SB_OP_NAMES; name++) {
    if (!sb_bytes_is(args[0], uppers[name])) continue;
    if (name == SB_OP_XINFO_STREAM && (count < 2 || !sb_bytes_is(args[1], "STREAM"))) break;
    return name;
  }
  return SB_OP_NAMES;
}

const char *sb_op_upper(enum sb_op_name name) {
  return uppers[name];
}
