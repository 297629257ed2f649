/* HELLO. Rules: docs/log.md, "Joining" and "Two processes of one name". */
#include "bridge/core/log/hello.h"

#include <stdio.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"

/* Only a forged message has a start above all that clocks say. Then this log alone needs a higher one:
 * incarnations in other logs are not raised by it. */
void sb_partition_go_above(struct sb_partition *part, uint64_t start_ms) {
  if (start_ms < SB_START_MS_LEAP_MAX && start_ms > part->logs->incarnation_ms)
    part->logs->incarnation_ms = start_ms;
  sb_joining_taken(&part->joining, start_ms < SB_START_MS_LEAP_MAX ? 0 : start_ms);
}

/* Higher than every incarnation of ours and than what stands under our name in the log. */
static struct sb_incarnation next_incarnation(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  const struct sb_row *row =
      sb_partition_is_ready(part) ? sb_state_row(&part->state, logs->settings.node) : NULL;
  if (sb_partition_is_ready(part)) sb_partition_go_above(part, row ? row->incarnation.start_ms : 0);
  uint64_t start = logs->unix_ms > logs->incarnation_ms ? logs->unix_ms : logs->incarnation_ms + 1;
  if (start > SB_START_MS_LEAP_MAX) start = SB_START_MS_LEAP_MAX;
  logs->incarnation_ms = start;
  return (struct sb_incarnation){part->joining.taken_ms ? part->joining.taken_ms + 1 : start,
                                 logs->settings.nonce};
}

static void send_hello(struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  const struct sb_joining *joining = &part->joining;
  const struct sb_control hello = {
      .kind = SB_CONTROL_HELLO,
      .partitions = logs->settings.partitions,
      .version = SB_WIRE_VERSION,
      .about = sb_bytes_of(logs->settings.about),
      .met = joining->met,
      .since = joining->since,
      .since_lost = joining->first == SB_FIRST_IN_LOST_LOG,
      .holds = part->held.upto,
  };
  if (sb_partition_send_control(part, &hello) == 0)
    sb_partition_move(part, sb_partition_is_ready(part) ? SB_PHASE_RETURNING : SB_PHASE_GREETING);
  sb_joining_hello_sent(&part->joining, logs->now_ms);
}

void sb_partition_hello(struct sb_partition *part) {
  part->incarnation = next_incarnation(part);
  sb_sending_restart(&part->sending);
  if (!sb_partition_is_ready(part)) sb_sending_end(&part->sending);
  sb_joining_anew(&part->joining);
  sb_partition_move(part, sb_partition_is_ready(part) ? SB_PHASE_DISPLACED : SB_PHASE_NEW);
  send_hello(part);
}

void sb_partition_restamp(struct sb_partition *part) {
  sb_outbox_put_back(&part->outbox, sb_outbox_take(&part->outbox, false));
  sb_dispatch_resend_done(&part->dispatch);
  sb_lease_goodbye(&part->lease, false);
}

void sb_partition_rejoin(struct sb_partition *part) {
  part->logs->stats.rejoins++;
  if (part->joining.met.start_ms == 0)
    sb_logs_say(part->logs, SB_LOG_NOTICE, "partition %u: this node was taken for dead; it joins again",
                part->index);
  sb_partition_restamp(part);
  sb_joining_tries_over(&part->joining);
  if (part->logs->stopping && sb_outbox_empty(&part->outbox)) { /* nothing is left to say under that name */
    sb_lease_goodbye(&part->lease, true);
    sb_partition_move(part, SB_PHASE_LEFT);
    return;
  }
  sb_partition_hello(part);
}

bool sb_partition_sent(const struct sb_partition *part, const struct sb_envelope *envelope) {
  return sb_incarnation_compare(envelope->incarnation, part->incarnation) == 0 &&
         strcmp(envelope->node, part->logs->settings.node) == 0;
}

/* ---- other processes ---- */

static void stop(struct sb_logs *logs, const char *why) {
  logs->failed = true;
  logs->io.fatal(logs->io.owner, why);
}

/* It is of another process with our name, and names our incarnation as the one that it met: so that process
 * was alive when we came. */
static bool names_us(const struct sb_logs *logs, const struct sb_envelope *envelope,
                     const struct sb_control *hello) {
  return strcmp(envelope->node, logs->settings.node) == 0 &&
         envelope->incarnation.nonce != logs->settings.nonce && hello->met.nonce == logs->settings.nonce &&
         hello->met.start_ms > 0;
}

/* Only partition 0 decides. Of two processes that began at the same time, each may have come first in one
 * log, and both would stop. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello) {
  const struct sb_logs *logs = part->logs;
  char why[SB_NODE_NAME_MAX + SB_ABOUT_MAX + 160];
  if (part->index != 0 || !names_us(logs, envelope, hello) ||
      sb_joining_came_first(&part->joining, logs->settings.nonce, hello, envelope->incarnation.nonce))
    return true;
  snprintf(why, sizeof why,
           "another running node has the name \"%s\" and was there before this one: %.*s. Give each its own "
           "`node`",
           envelope->node, (int)hello->about.len, (const char *)hello->about.at);
  stop(part->logs, why);
  return false;
}

bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs) {
  uint32_t ours = part->logs->settings.partitions;
  char why[160];
  if (theirs == ours) return true;
  snprintf(why, sizeof why,
           "topics.partitions is %u here and %u on the nodes that are running: make them the same", ours,
           theirs);
  stop(part->logs, why);
  return false;
}
