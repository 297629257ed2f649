/* One connection to a service: TCP, TLS, and proton's engine over it, which does no I/O of its own. The
 * owner's thread waits in one place, for the socket, the board's wake and its deadlines.
 *
 * TLS is not proton's, which accepts a certificate's common name and wildcards of any kind.
 *
 * proton's proactor would bring threads, a resolver that blocks its caller, and stalls that are known in the
 * version at hand; the engine alone has none of it. */
#ifndef SB_TRANSPORTS_SERVICEBUS_SOCKET_H
#define SB_TRANSPORTS_SERVICEBUS_SOCKET_H

#include <proton/connection_driver.h>
#include <stdbool.h>
#include <stdint.h>

#include "transports/net/greeting.h"
#include "transports/net/stream.h"
#include "transports/servicebus/board.h"

struct sb_servicebus_socket {
  struct sb_servicebus_board *board;
  struct sb_net_stream stream;
  bool open; /* `driver` is */
  pn_connection_driver_t driver;
  struct sb_error lost;                /* why the stream broke; code 0: it did not */
  uint8_t head[SB_NET_GREETING_BYTES]; /* what the service said first */
  size_t head_len;
  int64_t tick_due_ms;
};

void sb_servicebus_socket_init(struct sb_servicebus_socket *s, struct sb_servicebus_board *board);

/* Connects, with TLS, and binds a new engine with login, up to the local open of the connection. Ends early
 * when the board is stopping. */
int sb_servicebus_socket_open(struct sb_servicebus_socket *s, struct sb_error *error);

/* Drops it: the peer sees an end without a word unless the connection was closed before. */
void sb_servicebus_socket_drop(struct sb_servicebus_socket *s);

/* The next event of the engine, NULL when there is none now. */
pn_event_t *sb_servicebus_socket_event(struct sb_servicebus_socket *s);

/* Writes what there is, waits until something can be read or written, the board is woken or `until_ms` has
 * come, and reads. */
void sb_servicebus_socket_wait(struct sb_servicebus_socket *s, int64_t until_ms);

/* True when nothing more will come; `error` says why. */
bool sb_servicebus_socket_ended(struct sb_servicebus_socket *s, struct sb_error *error);

/* Sleeps for `ms`, or until the board is stopping or has more `retries` than this. */
void sb_servicebus_sleep(struct sb_servicebus_board *board, int64_t ms, unsigned retries);

#endif
