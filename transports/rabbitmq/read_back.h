/* Reading back: a connection and a thread of its own, with one channel per range (job.h). The connection is
 * made for the first range, to the host that the consuming side uses, and closed when no range has come for
 * a while. A lost connection fails the ranges that are under way: whoever asked for them asks again. */
#ifndef SB_TRANSPORTS_RABBITMQ_READ_BACK_H
#define SB_TRANSPORTS_RABBITMQ_READ_BACK_H

#include <stdint.h>

#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/job.h"
#include "transports/rabbitmq/link.h"

struct sb_rabbitmq_read_back;

struct sb_rabbitmq_read_back *sb_rabbitmq_read_back_new(struct sb_rabbitmq_board *board,
                                                        struct sb_error *error);
void sb_rabbitmq_read_back_free(struct sb_rabbitmq_read_back *rb); /* not while its thread runs */

/* The thread's function; ends after _stop of the link, with the ends of all that was asked for. */
void *sb_rabbitmq_read_back_main(void *rb);

struct sb_rabbitmq_link *sb_rabbitmq_read_back_link(struct sb_rabbitmq_read_back *rb);

/* Any thread; as in sb_transport_ops. */
int sb_rabbitmq_read_back_ask(struct sb_rabbitmq_read_back *rb, const struct sb_rabbitmq_range *range);
void sb_rabbitmq_read_back_unask(struct sb_rabbitmq_read_back *rb, uint64_t token);

#endif
