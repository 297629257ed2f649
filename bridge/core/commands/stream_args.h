/* Reading the arguments of the commands on streams: each reads what its name says into *out; NULL, or the
 * error. */
#ifndef SB_CORE_COMMANDS_STREAM_ARGS_H
#define SB_CORE_COMMANDS_STREAM_ARGS_H

#include "bridge/core/commands/op.h"

const char *sb_op_parse_xadd(struct sb_op *out);
const char *sb_op_parse_xtrim(struct sb_op *out);
const char *sb_op_parse_xrange(struct sb_op *out);
const char *sb_op_parse_xinfo_stream(struct sb_op *out);
const char *sb_op_parse_xread(struct sb_op *out);

#endif
