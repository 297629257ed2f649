/* What sessions put into the outboxes of the logs. */
#ifndef SB_CORE_SESSIONS_INTAKE_H
#define SB_CORE_SESSIONS_INTAKE_H

#include <stdint.h>

#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"

/* Room for one entry of `len` bytes, which the caller writes at once. */
static inline uint8_t *sb_intake(struct sb_partition *part, size_t len, const struct sb_waiter *waiter) {
  struct sb_logs *logs = part->logs;
  return sb_outbox_append_for(&part->outbox, len, logs->settings.batch_bytes, logs->settings.compress,
                              waiter);
}

/* The same for an entry that counts as published. */
static inline uint8_t *sb_intake_published(struct sb_partition *part, size_t len,
                                           const struct sb_waiter *waiter) {
  sb_core_of(part)->entries_published++;
  return sb_intake(part, len, waiter);
}

/* The same for `count` messages of `len` bytes together, which are answered with numbers of receivers in the
 * slots from `slot` on. */
static inline uint8_t *sb_intake_messages(struct sb_partition *part, size_t len, struct sb_session *session,
                                          uint32_t slot, uint32_t count) {
  struct sb_logs *logs = part->logs;
  sb_core_of(part)->entries_published += count;
  return sb_outbox_append(&part->outbox, len, logs->settings.batch_bytes, logs->settings.compress, session,
                          slot, count);
}

#endif
