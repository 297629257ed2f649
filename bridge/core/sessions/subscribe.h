/* Subscriptions in the log. */
#ifndef SB_CORE_SESSIONS_SUBSCRIBE_H
#define SB_CORE_SESSIONS_SUBSCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/outbox.h"
#include "bridge/core/sessions/interest.h"

struct sb_core;
struct sb_partition;

/* An entry about a subscription has come back, or is known to have been ordered. */
void sb_subscription_changed(struct sb_core *core, uint32_t partition, const struct sb_waiter *waiter);

/* It will never be ordered: the session gets the error instead of the confirmation. */
void sb_subscription_refused(struct sb_partition *part, const struct sb_waiter *waiter,
                             struct sb_bytes error);

/* Nothing will come back any more. */
void sb_subscription_abandoned(struct sb_core *core, const struct sb_waiter *waiter);

/* Says into the outbox what is active in this log. */
void sb_subscriptions_announce(struct sb_partition *part, struct sb_outbox *outbox);

/* Says once more how many sessions we have there, behind everything that is under way. */
void sb_subscription_say_again(struct sb_partition *part, const struct sb_topic *topic,
                               enum sb_sub_kind kind);

#endif
