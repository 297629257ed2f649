/* What a partition sends. */
#ifndef SB_CORE_LOG_OUTGOING_H
#define SB_CORE_LOG_OUTGOING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/link.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/wire/control.h"

struct sb_partition;

/* When what is in the outbox leaves. */
struct sb_pace {
  uint64_t match_steps;              /* that the messages of its open batch will cost, so far as is known */
  struct sb_incarnation incarnation; /* under which its batches are numbered */
  bool resend_wanted;
  uint64_t resend_not_before_ms, resend_pause_ms;
  uint64_t rto_ms;
  uint64_t tokens;
  uint64_t last_append_ms; /* a batch of ours, for heartbeats: control messages clear nobody of suspicion */
};

void sb_partition_send(struct sb_partition *part); /* what may leave now */
void sb_partition_settled(struct sb_partition *part, uint64_t token, enum sb_settle outcome);
void sb_partition_send_timers(struct sb_partition *part);
uint64_t sb_partition_send_deadline(const struct sb_partition *part);
/* An own batch came back with a number missing before it, or a sending failed: go back to the oldest. */
void sb_partition_resend(struct sb_partition *part, bool pause);
void sb_partition_accepted(struct sb_partition *part); /* an own batch was */

/* 0 or what io.publish says. A control message is not resent by itself: whoever needs it asks again. */
int sb_partition_send_control(struct sb_partition *part, const struct sb_control *control);

/* Before `count` messages to a channel are appended: ends the open batch if they would make it cost too much
 * to match. */
void sb_partition_make_room_to_match(struct sb_partition *part, struct sb_bytes channel, uint32_t count);

#endif
