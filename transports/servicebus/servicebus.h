/* The Azure Service Bus transport: one topic per partition, over AMQP 1.0 with qpid-proton-c.
 *
 * The topic of partition p is `<prefix>-<p>`. Every node has one subscription of its own in each of them,
 * from which it reads (peek-lock: a message is completed when the bridge has applied it). One connection and
 * one thread carry all links (io.c); another thread makes topics and subscriptions over HTTPS (manage.c), so
 * that a slow management endpoint does not stall messages.
 *
 * A subscription gets what is sent after it was made. So an attach cannot read the last stored batch as other
 * transports do: deliveries begin behind it, and silence does not mean that the log is empty. SB_ATTACH_ALONE
 * means that: our subscription was the only one of its topic when we looked, right after making it. When
 * several nodes come at the same time, one at most is told so. */
#ifndef SB_TRANSPORTS_SERVICEBUS_SERVICEBUS_H
#define SB_TRANSPORTS_SERVICEBUS_SERVICEBUS_H

#include "bridge/base/error.h"
#include "transports/servicebus/settings.h"
#include "transports/transport.h"

/* Copies everything. Does not connect: that is start's. NULL and an error when a setting is unusable. */
struct sb_transport *sb_servicebus_new(const struct sb_transport_common *common,
                                       const struct sb_servicebus_settings *settings, struct sb_error *error);

#endif
