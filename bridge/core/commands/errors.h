/* The errors of commands: their texts are those of Redis 7.0, where it has them. */
#ifndef SB_CORE_COMMANDS_ERRORS_H
#define SB_CORE_COMMANDS_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/wire/op_name.h"

#define SB_OP_WRONG_TYPE  "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define SB_OP_OOM         "OOM command not allowed when used memory > 'maxmemory'."
#define SB_OP_KEYS_FULL   "-" SB_OP_OOM
#define SB_OP_MULTI_FULL  "-EXECABORT Transaction discarded because of: " SB_OP_OOM
#define SB_OP_SYNTAX      "syntax error"
#define SB_OP_NOT_INTEGER "value is not an integer or out of range"
#define SB_OP_BAD_ID      "Invalid stream ID specified as stream command argument"
#define SB_OP_OVERFLOW    "increment or decrement would overflow"
#define SB_OP_LARGE_REPLY "reply is too large for limits.output.hard_bytes, use COUNT or fewer commands"

/* The text holds until the next call. */
__attribute__((format(printf, 1, 2))) const char *sb_op_errorf(const char *format, ...);

const char *sb_op_bad_arity(enum sb_op_name name);
const char *sb_op_bad_expiry(enum sb_op_name name);

/* Whether a command may have so many arguments, with its name. */
bool sb_op_arity_is_right(enum sb_op_name name, uint32_t count);

#endif
