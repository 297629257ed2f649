/* What a partition sends. */
#ifndef SB_CORE_LOG_OUTGOING_H
#define SB_CORE_LOG_OUTGOING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/link.h"
#include "bridge/core/wire/control.h"

struct sb_partition;

/* What may leave now, leaves. JOINS_AGAIN: what is to leave next must be divided, and stands perhaps in the
 * log under its number already. So this node needs a new incarnation; the caller says HELLO. */
enum sb_sent { SB_SENT, SB_SENT_JOINS_AGAIN };
enum sb_sent sb_outgoing_send(struct sb_partition *part);
void sb_partition_settled(struct sb_partition *part, uint64_t token, enum sb_settle outcome);
void sb_partition_send_timers(struct sb_partition *part);
uint64_t sb_partition_send_deadline(const struct sb_partition *part);
/* An own batch came back with a number missing before it: go back to the oldest. */
void sb_partition_resend(struct sb_partition *part);

/* 0 or what io.publish says. A control message is not resent by itself: whoever needs it asks again. */
int sb_partition_send_control(struct sb_partition *part, const struct sb_control *control);

/* Before `count` messages to a channel are appended: ends the open batch if they would make it cost too much
 * to match. */
void sb_partition_make_room_to_match(struct sb_partition *part, struct sb_bytes channel, uint32_t count);

#endif
