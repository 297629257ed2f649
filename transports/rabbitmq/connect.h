/* From no connection to one that is logged in: the socket, the login and the terms that the broker offers. */
#ifndef SB_TRANSPORTS_RABBITMQ_CONNECT_H
#define SB_TRANSPORTS_RABBITMQ_CONNECT_H

#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/rabbitmq/link.h"

/* One attempt at the link's present host, which needs `channels` on the connection. After an error, and
 * whenever a connection is given up: sb_rabbitmq_link_drop, then _failed or _try_later. */
int sb_rabbitmq_connect(struct sb_rabbitmq_link *link, uint32_t channels, struct sb_error *error);

#endif
