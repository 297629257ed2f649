#include "bridge/core/sessions/room.h"

#include <stdarg.h>
#include <stdio.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/sessions.h"

enum sb_result sb_core_refuse(struct sb_core *core, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(core->refusal, sizeof core->refusal, format, args);
  va_end(args);
  return SB_REFUSED;
}

enum sb_result sb_core_too_large(struct sb_core *core, size_t len) {
  sb_core_refuse(core, "message of %zu bytes is larger than the %zu bytes that the log takes", len,
                 core->logs.whole_max);
  return SB_TOO_LARGE;
}

enum sb_result sb_core_wait_for_room(struct sb_core *core) {
  sb_logs_want_room(&core->logs);
  return SB_WAIT;
}

void sb_core_set_gate(struct sb_core *core) {
  const struct sb_logs *logs = &core->logs;
  core->gated = logs->stopping || (logs->settings.refuse_in_outage && logs->sides_down > 0);
}

const char *sb_core_refusal(const struct sb_core *core) {
  return core->refusal;
}

enum sb_result sb_core_channel(struct sb_core *core, struct sb_bytes channel) {
  if (channel.len <= core->logs.settings.channel_bytes) return SB_DONE;
  return sb_core_refuse(core,
                        "channel name of %zu bytes is longer than the %zu bytes of limits.channel_bytes",
                        channel.len, core->logs.settings.channel_bytes);
}

enum sb_result sb_core_judge_all(struct sb_core *core, size_t len) {
  bool refuse = core->logs.settings.refuse_in_outage;
  if (refuse && core->logs.sides_down > 0) return SB_BUSY;
  bool full = core->logs.outbox_bytes + len > core->logs.settings.outbox_bytes;
  /* An empty outbox takes any entry, so that one of nearly its size is not kept out for ever. */
  if (!core->logs.stopping && (!full || core->logs.outbox_bytes == 0)) return SB_DONE;
  if (refuse && !core->logs.stopping) return SB_BUSY;
  return sb_core_wait_for_room(core);
}

__attribute__((cold)) enum sb_result sb_core_judge(struct sb_core *core, size_t len) {
  return len > core->logs.whole_max ? sb_core_too_large(core, len) : sb_core_judge_all(core, len);
}
