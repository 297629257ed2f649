/* Commands on keys and streams: what the core does not see of them. Those that write travel and are answered
 * when they have come back; those that read are answered from what this node knows. */
#include "bridge/core/commands/op.h"
#include "bridge/local/command.h"
#include "bridge/local/state.h"
#include "bridge/resp/reply.h"

/* XREAD looks at each of its keys by itself; all else is done at one place of one log. */
static bool is_of_one_partition(const struct sb_local *local, const struct sb_op *op) {
  for (uint32_t i = 1; i < op->keys_count; i++)
    if (sb_core_partition(local->core, op->keys[i]) != sb_core_partition(local->core, op->keys[0]))
      return false;
  return true;
}

enum sb_held sb_run_op(struct sb_connection *c, const struct sb_request *request) {
  struct sb_local *local = c->local;
  struct sb_op op = {0};
  const char *error = sb_op_parse(request->args, request->count, false, &op);
  if (op.refused) sb_command_refuse(local, c->last->name, sb_bytes_of(op.refused));
  if (error) {
    sb_reply_error_text(&local->reply, error);
    return SB_HELD_NOT;
  }
  if (op.name != SB_OP_XREAD && !is_of_one_partition(local, &op)) {
    sb_reply_error_text(&local->reply, SB_CROSS_SLOT);
    return SB_HELD_NOT;
  }
  enum sb_result result;
  if (op.writes)
    result = sb_core_write(local->core, &c->session, &op);
  else if (op.name == SB_OP_XREAD)
    result = sb_core_read_streams(local->core, &c->session, &op, &local->reply);
  else
    result = sb_core_read(local->core, &c->session, &op, &local->reply);
  return sb_command_refused(c, result);
}

enum sb_held sb_run_xinfo_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "STREAM <key> [FULL [COUNT <count>]",
      "    Show information about the stream.",
      NULL,
  };
  sb_command_help(&c->local->reply, "XINFO", lines);
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_groups(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_command_refuse(c->local, c->last->name, sb_bytes(NULL, 0));
  sb_reply_error_text(&c->local->reply,
                      "consumer groups are not supported: every reader keeps its own position");
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_setid(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_command_refuse(c->local, c->last->name, sb_bytes(NULL, 0));
  sb_reply_error_text(&c->local->reply, "XSETID is not supported: ids come from the log");
  return SB_HELD_NOT;
}
