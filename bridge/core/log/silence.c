/* Who is silent for too long. Clocks do not decide that, the log does. A member reads an own echo after the
 * last word of another. At least a lease later it sends a batch, and reads that echo too. Then the log worked
 * all that time, and the other said nothing: it is sent BYE. That is done in partition 0, where heartbeats
 * go; in the other partitions the member is followed out once that BYE was accepted. Rules: docs/log.md,
 * "Leaving and dying". */
#include "bridge/core/log/silence.h"

#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/core/log/claims.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/rows.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/sidebus.h"

#define HEARTBEAT_MS(logs) ((logs)->settings.lease_ms / 3)

/* In partition 0 any word clears a member. In another partition, a member that is noted there has left
 * partition 0; if it speaks, it may be on its way back, and gets a lease to arrive. */
void sb_partition_heard(struct sb_partition *part, const char *name) {
  struct sb_suspicion *suspicion = sb_lease_find(&part->lease, name);
  if (!suspicion) return;
  if (part->index == 0)
    sb_lease_forget(&part->lease, suspicion);
  else
    sb_lease_renew(suspicion, part->logs->now_ms + part->logs->settings.lease_ms);
}

static void forget_departed(struct sb_partition *part) {
  for (uint32_t i = part->lease.count; i > 0; i--)
    if (sb_state_member(&part->state, part->lease.suspicions[i - 1].name) < 0)
      sb_lease_forget(&part->lease, &part->lease.suspicions[i - 1]);
}

static void say_bye(struct sb_partition *part, const struct sb_row *row, bool last) {
  struct sb_sidebus said = {
      .word = SB_SIDEBUS_BYE,
      .bye = {.incarnation = row->incarnation, .number = row->number, .last = last},
  };
  struct sb_buf entry = {0};
  memcpy(said.bye.name, row->name, sizeof said.bye.name);
  sb_sidebus_append(&entry, &said);
  sb_outbox_append_control(&part->outbox, sb_buf_bytes(&entry));
  sb_buf_close(&entry);
}

static void declare_dead(struct sb_partition *part, const struct sb_row *row) {
  part->logs->stats.members_declared_dead++;
  sb_logs_say(part->logs, SB_LOG_NOTICE, "partition %u: node %s was silent for its lease; taken for dead",
              part->index, row->name);
  say_bye(part, row, false);
}

void sb_partition_own_echo(struct sb_partition *part, uint64_t sent_ms) {
  const struct sb_logs *logs = part->logs;
  if (part->index != 0) return;
  if (part->lease.count > part->state.members.count) forget_departed(part);
  for (uint32_t i = 0; i < part->state.members.count; i++) {
    const struct sb_row *row = &part->state.members.at[i];
    if (strcmp(row->name, logs->settings.node) == 0) continue;
    struct sb_suspicion *suspicion = sb_lease_find(&part->lease, row->name);
    if (!suspicion) {
      sb_lease_suspect(&part->lease, row->name, logs->now_ms);
    } else if (sent_ms >= suspicion->since_ms + logs->settings.lease_ms) {
      sb_lease_renew(suspicion, logs->now_ms); /* a BYE that is lost or void is not repeated at once */
      declare_dead(part, row);
    }
  }
}

/* In partitions other than 0, a member that is no member of partition 0 is sent BYE: at once if its process
 * was sent BYE there, after a lease if partition 0 knows nothing of it (its log may have been made anew). The
 * first member acts; each further one waits δ longer, and acts only if none before it did. A member that is
 * alive after all says HELLO again. */
static uint64_t grace_ms(const struct sb_partition *part, const struct sb_row *row, int own) {
  const struct sb_logs *logs = part->logs;
  const struct sb_row *gone = sb_state_row(&logs->partitions[0].state, row->name);
  uint64_t turn = (uint64_t)(own < 0 ? 0 : own) * sb_logs_delta_ms(logs);
  bool said_bye = gone && gone->incarnation.nonce == row->incarnation.nonce;
  return said_bye ? turn : turn + logs->settings.lease_ms;
}

static void follow_out(struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  int own = sb_state_member(&part->state, logs->settings.node);
  if (part->lease.count > 0) forget_departed(part);
  for (uint32_t i = 0; i < part->state.members.count; i++) {
    const struct sb_row *row = &part->state.members.at[i];
    struct sb_suspicion *suspicion = sb_lease_find(&part->lease, row->name);
    if ((int)i == own || sb_state_member(&logs->partitions[0].state, row->name) >= 0) {
      if (suspicion) sb_lease_forget(&part->lease, suspicion);
      continue;
    }
    if (!suspicion) {
      sb_lease_suspect(&part->lease, row->name, logs->now_ms + grace_ms(part, row, own));
      suspicion = sb_lease_find(&part->lease, row->name);
    }
    if (logs->now_ms < suspicion->since_ms) continue;
    sb_lease_renew(suspicion, logs->now_ms + logs->settings.lease_ms);
    declare_dead(part, row);
  }
}

/* This node has stopped reading the logs so that its sessions can keep up. It does not see its batches come
 * back meanwhile, and may send none behind them. The others read on, and must not take it for dead. */
static bool is_cut_off_by_choice(const struct sb_logs *logs) {
  return logs->stood_at_ms > 0 && logs->now_ms - logs->stood_at_ms < HEARTBEAT_MS(logs);
}

static bool wants_heartbeat(const struct sb_partition *part) {
  if (part->index != 0 || part->state.members.count <= 1) return false;
  if (sb_outbox_empty(&part->outbox)) return true;
  return is_cut_off_by_choice(part->logs) && !part->outbox.one_more;
}

/* When the next heartbeat is due: after a third of the lease, or when somebody was silent for a lease. Only a
 * batch of ours that comes back can prove that silence. */
static uint64_t heartbeat_due(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  uint64_t due = part->dispatch.last_append_ms + HEARTBEAT_MS(logs);
  for (uint32_t i = 0; i < part->lease.count; i++) {
    uint64_t proof = part->lease.suspicions[i].since_ms + logs->settings.lease_ms;
    if (proof > part->dispatch.last_append_ms && proof < due) due = proof;
  }
  return due;
}

/* If a log brings nothing, it may be at rest, or the broker may have stopped delivering. To tell the two
 * apart, a batch is sent that has to come back; the transport watches that it does. All members hear it, so
 * one is enough: they take turns, in their order. */
static uint64_t quiet_due(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  if (logs->settings.quiet_ms == 0 || !sb_outbox_empty(&part->outbox)) return UINT64_MAX;
  int own = sb_state_member(&part->state, logs->settings.node);
  uint64_t turn = (uint64_t)(own < 0 ? 0 : own) * sb_logs_delta_ms(logs);
  return part->seen.heard_ms + logs->settings.quiet_ms + turn;
}

static bool may_act(const struct sb_partition *part) {
  return sb_partition_is_ready(part) && part->publish_up && part->consume_up && !part->logs->stopping &&
         sb_partition_has_row(part);
}

void sb_partition_time_heard(struct sb_partition *part, uint64_t time_ms) {
  uint64_t elder_ms = part->state.elder_ms;
  if (!sb_state_is_eldest(&part->state, part->logs->settings.node)) {
    sb_partition_set_time(part, part->state.time_ms);
    return;
  }
  sb_lease_time_asked(&part->lease, time_ms > elder_ms && time_ms - elder_ms > SB_TIME_AHEAD_MS / 2 &&
                                        sb_partition_clock(part) > elder_ms + SB_TIME_AHEAD_MS / 2);
}

/* What is in flight comes back first, and what is to leave carries a claim by itself. */
static uint64_t claim_due(const struct sb_partition *part) {
  return sb_outbox_empty(&part->outbox) ? sb_claims_due(part) : UINT64_MAX;
}

void sb_partition_lease_timers(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  if (!may_act(part)) return;
  if (part->index != 0 && sb_partition_is_ready(&logs->partitions[0])) follow_out(part);
  bool heartbeat = wants_heartbeat(part) && logs->now_ms >= heartbeat_due(part);
  if (!heartbeat && !part->lease.time_asked && logs->now_ms < quiet_due(part) &&
      logs->now_ms < claim_due(part))
    return;
  sb_lease_time_asked(&part->lease, false);
  sb_outbox_hurry(&part->outbox);
  if (part->outbox.unsent || part->outbox.open) return; /* its batch is as good as a heartbeat */
  sb_outbox_append_control(&part->outbox, sb_bytes(SB_ENTRY_HEARTBEAT, sizeof SB_ENTRY_HEARTBEAT - 1));
}

uint64_t sb_partition_lease_deadline(const struct sb_partition *part) {
  uint64_t due = UINT64_MAX;
  if (!may_act(part)) return due;
  if (wants_heartbeat(part)) due = heartbeat_due(part);
  if (quiet_due(part) < due) due = quiet_due(part);
  if (claim_due(part) < due) due = claim_due(part);
  if (part->lease.time_asked) due = part->logs->now_ms;
  if (part->index == 0 || !sb_partition_is_ready(&part->logs->partitions[0]))
    return due; /* nobody is followed out meanwhile */
  for (uint32_t i = 0; i < part->lease.count; i++)
    if (part->lease.suspicions[i].since_ms < due) due = part->lease.suspicions[i].since_ms;
  return due;
}

void sb_partition_goodbye(struct sb_partition *part) {
  if (part->lease.goodbye_said || !sb_partition_has_row(part) || !sb_outbox_empty(&part->outbox)) return;
  int own = sb_state_member(&part->state, part->logs->settings.node);
  struct sb_row row = part->state.members.at[own];
  row.number++; /* the batch that carries it is accepted before it is applied */
  say_bye(part, &row, part->state.members.count == 1);
  sb_lease_goodbye(&part->lease, true);
}
