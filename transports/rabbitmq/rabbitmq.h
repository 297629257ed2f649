/* The RabbitMQ transport: one stream per partition, over rabbitmq-c.
 *
 * The durable direct exchange `<prefix>` routes key `<p>` to the stream `<prefix>.<p>`. Publishing, consuming
 * and reading back have a connection and a thread each (publish.c, consume.c, read_back.c), so that a broker
 * that blocks publishers does not stop deliveries, and neither does what is read back; a fourth thread
 * watches that no call into rabbitmq-c hangs. */
#ifndef SB_TRANSPORTS_RABBITMQ_RABBITMQ_H
#define SB_TRANSPORTS_RABBITMQ_RABBITMQ_H

#include "bridge/base/error.h"
#include "transports/rabbitmq/settings.h"
#include "transports/transport.h"

/* Copies everything. Does not connect: that is start's. NULL and an error when a setting is unusable. */
struct sb_transport *sb_rabbitmq_new(const struct sb_transport_common *common,
                                     const struct sb_rabbitmq_settings *settings, struct sb_error *error);

#endif
