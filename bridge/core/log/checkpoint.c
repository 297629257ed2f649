/* When the state is written to the log once more. A CHECKPOINT is a SNAPSHOT without subscriptions: it
 * changes nothing and answers nobody. Two read it: a node that founds the log anew takes the keys from it,
 * and a node that reads streams from before its history follows the log from there. The first member writes
 * it; the next one does only when the first did not. There are checkpoints only where logs can be read back,
 * and while there are keys or streams can be read. Rule: docs/log.md, "Checkpoints". */
#include "bridge/core/log/checkpoint.h"

#include "bridge/base/assert.h"

#define MESSAGES 4096
#define BYTES    ((uint64_t)32 * 1024 * 1024)
#define AGE_MS   (UINT64_C(10) * 60 * 1000)
#define TIMES    8 /* the log grows by an eighth for it, at most */
#define SHARE    4 /* of what the broker keeps: retention must not pass the last one */

static uint64_t messages_between(const struct sb_core_settings *settings) {
  return settings->checkpoint_messages ? settings->checkpoint_messages : MESSAGES;
}

static uint64_t at_most(uint64_t value, uint64_t kept) {
  return kept > 0 && kept / SHARE < value ? kept / SHARE : value;
}

void sb_checkpoint_restart(struct sb_checkpoints *checkpoints, bool has_keys) {
  *checkpoints = (struct sb_checkpoints){.had_keys = has_keys};
}

void sb_checkpoint_count(struct sb_checkpoints *checkpoints, size_t bytes, uint64_t now_ms) {
  if (checkpoints->messages++ == 0) checkpoints->since_ms = now_ms;
  checkpoints->bytes += bytes;
}

void sb_checkpoint_seen(struct sb_checkpoints *checkpoints, const struct sb_control *control, bool has_keys) {
  checkpoints->piece_bytes =
      control->piece == 0 ? control->text.len : checkpoints->piece_bytes + control->text.len;
  checkpoints->bytes -= control->text.len < checkpoints->bytes ? control->text.len : checkpoints->bytes;
  if (control->piece + 1 < control->pieces)
    return; /* the bytes of a checkpoint do not count towards the next one */
  *checkpoints = (struct sb_checkpoints){.last_bytes = checkpoints->piece_bytes, .had_keys = has_keys};
}

void sb_checkpoint_want(struct sb_checkpoints *checkpoints, const struct sb_core_settings *settings) {
  checkpoints->messages = messages_between(settings);
}

void sb_checkpoint_begun(struct sb_checkpoints *checkpoints) {
  SB_ASSERT(checkpoints->messages > 0); /* else the last one says as much */
  checkpoints->messages = checkpoints->bytes = 0;
}

static bool has_something(const struct sb_checkpoints *checkpoints,
                          const struct sb_checkpoint_writer *writer) {
  return checkpoints->messages > 0 && (writer->keeps_some || checkpoints->had_keys);
}

static bool is_long(const struct sb_checkpoints *checkpoints, const struct sb_checkpoint_writer *writer) {
  uint64_t behind = (uint64_t)(writer->turn > 0); /* those behind the first wait for a little more */
  uint64_t log_bytes = writer->settings->log_bytes;
  if (checkpoints->bytes < at_most((uint64_t)checkpoints->last_bytes * TIMES, log_bytes)) return false;
  uint64_t messages = messages_between(writer->settings), bytes = at_most(BYTES, log_bytes);
  return checkpoints->messages >= messages + behind * messages / 4 ||
         checkpoints->bytes >= bytes + behind * bytes / 4;
}

/* When one is due by age alone. Each member before this one has T to write it first. */
static uint64_t old_at_ms(const struct sb_checkpoints *checkpoints,
                          const struct sb_checkpoint_writer *writer) {
  return checkpoints->since_ms + at_most(AGE_MS, writer->settings->log_age_ms) +
         (uint64_t)writer->turn * (writer->settings->found_ms + 1);
}

bool sb_checkpoint_is_due(const struct sb_checkpoints *checkpoints, const struct sb_checkpoint_writer *writer,
                          uint64_t now_ms) {
  if (!has_something(checkpoints, writer)) return false;
  return is_long(checkpoints, writer) || now_ms >= old_at_ms(checkpoints, writer);
}

uint64_t sb_checkpoint_deadline(const struct sb_checkpoints *checkpoints,
                                const struct sb_checkpoint_writer *writer) {
  return has_something(checkpoints, writer) ? old_at_ms(checkpoints, writer) : UINT64_MAX;
}
