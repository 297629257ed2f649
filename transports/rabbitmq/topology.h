/* The exchange, the streams and their bindings: made, or with `declare = false` only looked for. What a user
 * lacks the permission for is left as it is; attaching and publishing then show whether it is right. */
#ifndef SB_TRANSPORTS_RABBITMQ_TOPOLOGY_H
#define SB_TRANSPORTS_RABBITMQ_TOPOLOGY_H

#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/rabbitmq/link.h"

#define SB_RABBITMQ_STREAM_NAME 256 /* "<prefix>.<p>" and its zero; AMQP allows 255 bytes */
#define SB_RABBITMQ_ROUTING_KEY 12

/* `out` holds SB_RABBITMQ_STREAM_NAME, or SB_RABBITMQ_ROUTING_KEY bytes. */
void sb_rabbitmq_stream_name(const struct sb_rabbitmq_board *board, uint32_t partition, char *out);
void sb_rabbitmq_routing_key(uint32_t partition, char *out);

/* The channel must be open and is again when these return 0 or SB_ERR_REFUSED (the broker said no; the
 * connection is good). Another code: the connection is lost. */
int sb_rabbitmq_topology_exchange(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                  struct sb_error *error);
int sb_rabbitmq_topology_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, uint32_t partition,
                                struct sb_error *error);

#endif
