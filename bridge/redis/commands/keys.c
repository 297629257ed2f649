/* Commands on keys and streams. Those that write travel through a log and are answered when they have come
 * back. Those that read are answered from what this node knows. */
#include "bridge/base/reply.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"

/* Whether all keys are of one log, where the command runs at one place. XREAD looks at each key by itself. */
static bool is_of_one_partition(const struct sb_connection *c, const struct sb_op *op) {
  for (uint32_t i = 1; i < op->keys_count; i++)
    if (sb_core_partition(sb_hub_of(c), op->keys[i]) != sb_core_partition(sb_hub_of(c), op->keys[0]))
      return false;
  return true;
}

enum sb_held sb_run_op(struct sb_connection *c, const struct sb_request *request) {
  struct sb_op op = {0};
  const char *error = sb_op_parse(request->args, request->count, false, &op);
  if (op.refused) sb_note_unsupported(c, c->last->name, sb_bytes_of(op.refused));
  if (error) {
    sb_reply_error_text(sb_reply_of(c), error);
    return SB_HELD_NOT;
  }
  if (op.name != SB_OP_XREAD && !is_of_one_partition(c, &op)) {
    sb_reply_error_text(sb_reply_of(c), SB_CROSS_SLOT);
    return SB_HELD_NOT;
  }
  enum sb_result result;
  if (op.writes)
    result = sb_core_write(sb_hub_of(c), &c->session, &op);
  else if (op.name == SB_OP_XREAD)
    result = sb_core_read_streams(sb_hub_of(c), &c->session, &op, sb_reply_of(c));
  else
    result = sb_core_read(sb_hub_of(c), &c->session, &op, sb_reply_of(c));
  return sb_answer_result(c, result);
}

enum sb_held sb_run_xinfo_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "STREAM <key> [FULL [COUNT <count>]",
      "    Show information about the stream.",
      NULL,
  };
  sb_answer_help(sb_reply_of(c), "XINFO", lines);
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_groups(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_note_unsupported(c, c->last->name, sb_bytes(NULL, 0));
  sb_reply_error_text(sb_reply_of(c),
                      "consumer groups are not supported: every reader keeps its own position");
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_setid(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_note_unsupported(c, c->last->name, sb_bytes(NULL, 0));
  sb_reply_error_text(sb_reply_of(c), "XSETID is not supported: ids come from the log");
  return SB_HELD_NOT;
}
