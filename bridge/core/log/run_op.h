/* Commands on keys and streams, run where they stand in a log. */
#ifndef SB_CORE_LOG_RUN_OP_H
#define SB_CORE_LOG_RUN_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/op.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/wire/entry.h"

/* Runs a command on keys or streams that stands in a body. */
void sb_op_entry_run(struct sb_logs *logs, const struct sb_entry *entry, struct sb_op_place *place);

/* What it may add to the bytes of the keys, as they are. */
size_t sb_op_entry_stores(struct sb_logs *logs, struct sb_bytes body, const struct sb_entry *entry,
                          const struct sb_keys *keys, uint64_t now_ms);

/* The reply to PING or ECHO with an argument. */
void sb_op_entry_echo(struct sb_bytes body, const struct sb_entry *entry, struct sb_buf *reply);

/* What one reply may be: an eighth of what a session may be sent is left for errors and what waits already.
 */
static inline size_t sb_reply_max(const struct sb_logs *logs) {
  return logs->settings.output_hard_bytes - logs->settings.output_hard_bytes / 8;
}

#endif
