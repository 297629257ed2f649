#include "bridge/core/commands/errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "bridge/base/error.h"

/* Names for error texts, and arities as Redis gives them: with the name, at least so many when negative. */
static const struct command {
  const char *lower;
  int arity;
} commands[SB_OP_NAMES] = {
    [SB_OP_GET] = {"get", 2},
    [SB_OP_SET] = {"set", -3},
    [SB_OP_SETNX] = {"setnx", 3},
    [SB_OP_SETEX] = {"setex", 4},
    [SB_OP_PSETEX] = {"psetex", 4},
    [SB_OP_GETSET] = {"getset", 3},
    [SB_OP_GETDEL] = {"getdel", 2},
    [SB_OP_INCR] = {"incr", 2},
    [SB_OP_DECR] = {"decr", 2},
    [SB_OP_INCRBY] = {"incrby", 3},
    [SB_OP_DECRBY] = {"decrby", 3},
    [SB_OP_DEL] = {"del", -2},
    [SB_OP_UNLINK] = {"unlink", -2},
    [SB_OP_EXISTS] = {"exists", -2},
    [SB_OP_TYPE] = {"type", 2},
    [SB_OP_TTL] = {"ttl", 2},
    [SB_OP_PTTL] = {"pttl", 2},
    [SB_OP_EXPIRETIME] = {"expiretime", 2},
    [SB_OP_PEXPIRETIME] = {"pexpiretime", 2},
    [SB_OP_EXPIRE] = {"expire", -3},
    [SB_OP_PEXPIRE] = {"pexpire", -3},
    [SB_OP_EXPIREAT] = {"expireat", -3},
    [SB_OP_PEXPIREAT] = {"pexpireat", -3},
    [SB_OP_PERSIST] = {"persist", 2},
    [SB_OP_XADD] = {"xadd", -5},
    [SB_OP_XTRIM] = {"xtrim", -4},
    [SB_OP_XDEL] = {"xdel", -3},
    [SB_OP_XLEN] = {"xlen", 2},
    [SB_OP_XRANGE] = {"xrange", -4},
    [SB_OP_XREVRANGE] = {"xrevrange", -4},
    [SB_OP_XINFO_STREAM] = {"xinfo|stream", -3},
    [SB_OP_XREAD] = {"xread", -4},
};

const char *sb_op_errorf(const char *format, ...) {
  static char text[SB_ERROR_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return text;
}

const char *sb_op_bad_arity(enum sb_op_name name) {
  return sb_op_errorf("wrong number of arguments for '%s' command", commands[name].lower);
}

const char *sb_op_bad_expiry(enum sb_op_name name) {
  return sb_op_errorf("invalid expire time in '%s' command", commands[name].lower);
}

bool sb_op_arity_is_right(enum sb_op_name name, uint32_t count) {
  int arity = commands[name].arity;
  return arity < 0 ? count >= (uint32_t)-arity : count == (uint32_t)arity;
}
