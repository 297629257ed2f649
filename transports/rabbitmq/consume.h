/* The consuming side: a connection and a thread of its own, one channel per stream (reader.h). */
#ifndef SB_TRANSPORTS_RABBITMQ_CONSUME_H
#define SB_TRANSPORTS_RABBITMQ_CONSUME_H

#include <stdint.h>

#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/link.h"

struct sb_rabbitmq_consume;

struct sb_rabbitmq_consume *sb_rabbitmq_consume_new(struct sb_rabbitmq_board *board, struct sb_error *error);
void sb_rabbitmq_consume_free(struct sb_rabbitmq_consume *consume); /* not while its thread runs */

/* The thread's function; ends after _stop of the link. */
void *sb_rabbitmq_consume_main(void *consume);

struct sb_rabbitmq_link *sb_rabbitmq_consume_link(struct sb_rabbitmq_consume *consume);

/* Any thread. */
void sb_rabbitmq_consume_attach(struct sb_rabbitmq_consume *consume, uint32_t partition);

#endif
