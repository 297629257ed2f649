/* The I/O thread: one connection with all links, made anew for ever. It also asks for each partition whether
 * its entities are there and whether we are authorised for them. Each kind of link has a session of its own,
 * so that a bridge without room for deliveries holds up neither sends nor tokens. */
#ifndef SB_TRANSPORTS_SERVICEBUS_IO_H
#define SB_TRANSPORTS_SERVICEBUS_IO_H

#include "transports/servicebus/board.h"
#include "transports/servicebus/consume.h"
#include "transports/servicebus/publish.h"

struct sb_servicebus_io;

struct sb_servicebus_io *sb_servicebus_io_new(struct sb_servicebus_board *board, struct sb_error *error);
void sb_servicebus_io_free(struct sb_servicebus_io *io); /* not while it runs */

/* Starts the thread, and that of the manager. It ends after _stop, with every token settled, the connection
 * closed, and SB_EVENT_CLOSED as its last act. */
int sb_servicebus_io_start(struct sb_servicebus_io *io, struct sb_error *error);
void sb_servicebus_io_stop(struct sb_servicebus_io *io);
void sb_servicebus_io_join(struct sb_servicebus_io *io);

struct sb_servicebus_publish *sb_servicebus_io_publish(struct sb_servicebus_io *io);
struct sb_servicebus_consume *sb_servicebus_io_consume(struct sb_servicebus_io *io);

#endif
