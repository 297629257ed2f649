#include "bridge/core/log/founding.h"

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/held_keys.h"
#include "bridge/core/log/hello.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/log/snapshots.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

#define RETRY_MS 20 /* the transport's queue was full */

static bool has_recovered(const struct sb_partition *part) {
  return part->recovery.state == SB_BACK_DONE && !part->recovery.failed;
}

/* ---- what it sends ---- */

/* The keys that it brings. False: some are still to be sent. */
static bool send_keys(struct sb_partition *part) {
  struct sb_sending *sending = &part->sending;
  const struct sb_control what = {.kind = SB_CONTROL_KEYS, .as_of = part->joining.hello_at};
  if (part->joining.keys_sent) return true;
  if (!sending->active) {
    sb_keys_write(&part->held.keys, sb_held_keys_log_time(&part->held, part->logs->now_ms),
                  sb_sending_text(sending));
    sb_logs_say(part->logs, SB_LOG_NOTICE,
                "partition %u: brings the shared keys of the log that was lost: %zu", part->index,
                part->held.keys.table.count);
    sb_sending_begin(sending, &what, sb_partition_piece_bytes(part));
  }
  sb_partition_send_pieces(part);
  if (!sb_sending_is_complete(sending)) return false;
  sb_joining_keys_sent(&part->joining);
  return true;
}

static void send_genesis(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  uint64_t generation = logs->unix_ms > part->known_generation ? logs->unix_ms : part->known_generation + 1;
  const struct sb_control genesis = {
      .kind = SB_CONTROL_GENESIS,
      .hello_at = part->joining.hello_at,
      .generation = generation < SB_GENERATION_MAX ? generation : SB_GENERATION_MAX,
      .partitions = logs->settings.partitions,
      .keeps_keys = has_recovered(part),
      .brings_keys = part->joining.keys_sent,
      .name_key = logs->settings.name_key,
  };
  if (sb_partition_send_control(part, &genesis) == 0) sb_partition_move(part, SB_PHASE_FOUNDING);
  sb_joining_genesis_sent(&part->joining, logs->now_ms);
}

/* A start above all that clocks say (taken_ms) belongs to the old log. A founder says HELLO with an ordinary
 * one first. */
static void begin_anew(struct sb_partition *part) {
  if (part->joining.taken_ms > 0) {
    sb_joining_taken(&part->joining, 0);
    sb_partition_hello(part);
    return;
  }
  bool brings = !has_recovered(part) && sb_held_keys_any(&part->held, part->logs->now_ms);
  if (!brings || send_keys(part)) send_genesis(part);
}

/* ---- when ---- */

/* How long to wait for others before founding. After a log was deleted its members come back at about the
 * same time. Each says in its HELLO how much of the old log it holds; the one that holds most founds first,
 * one that holds nothing last. */
static uint64_t wait_ms(const struct sb_partition *part) {
  uint64_t all = part->logs->settings.found_ms, delta = sb_logs_delta_ms(part->logs);
  if (!sb_partition_log_is_bare(part)) return part->joining.before == SB_BEFORE_SOMEBODY ? all : 0;
  if (sb_id_compare(part->best_held, part->held.upto) > 0) return all;
  return !sb_held_keys_is_there(&part->held) || part->joining.behind_equal ? 2 * delta : delta;
}

static uint64_t due_ms(const struct sb_partition *part) {
  uint64_t due = part->joining.hello_seen_ms + wait_ms(part),
           keys = part->joining.keys_seen_ms + sb_logs_echo_ms(part->logs);
  return part->joining.keys_seen_ms > 0 && keys > due ? keys : due;
}

void sb_founding_timers(struct sb_partition *part) {
  if (part->phase != SB_PHASE_WAITING || part->logs->now_ms < due_ms(part)) return;
  if (sb_recovery_is_over(part)) begin_anew(part);
}

/* If the time has come and the GENESIS was not sent, either keys are still looked for, or the transport's
 * queue was full. */
uint64_t sb_founding_deadline(const struct sb_partition *part) {
  if (part->phase != SB_PHASE_WAITING) return UINT64_MAX;
  if (due_ms(part) > part->logs->now_ms) return due_ms(part);
  return sb_back_is_running(&part->recovery) ? sb_back_deadline(&part->recovery)
                                             : part->logs->now_ms + RETRY_MS;
}

bool sb_founding_is_busy(const struct sb_partition *part) {
  return sb_back_is_running(&part->recovery) || part->sending.active;
}
