/* The publishing side: a connection and a thread of its own. Each partition has a confirm channel that
 * carries nothing else, because brokers up to 3.13 number a stream's messages by it.
 *
 *   submit -> submitted (locked) -> pending -> sent: a flight of its lane -> ack, nack, return, lost: settled
 *
 * The link counts as up when every partition's channel confirms and the broker has not blocked publishers. */
#ifndef SB_TRANSPORTS_RABBITMQ_PUBLISH_H
#define SB_TRANSPORTS_RABBITMQ_PUBLISH_H

#include <stdint.h>

#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/link.h"

struct sb_rabbitmq_publish;

struct sb_rabbitmq_publish *sb_rabbitmq_publish_new(struct sb_rabbitmq_board *board, struct sb_error *error);
void sb_rabbitmq_publish_free(struct sb_rabbitmq_publish *publish); /* not while its thread runs */

/* The thread's function; ends after _stop of the link, with every token settled. */
void *sb_rabbitmq_publish_main(void *publish);

struct sb_rabbitmq_link *sb_rabbitmq_publish_link(struct sb_rabbitmq_publish *publish);

/* The bridge's thread; as sb_transport_publish. */
int sb_rabbitmq_publish_submit(struct sb_rabbitmq_publish *publish, uint32_t partition,
                               const struct sb_envelope *envelope, struct sb_body *body, uint64_t token);

#endif
