/* One connection to a RabbitMQ: which host, waiting, frames, and what is needed to end a call into
 * rabbitmq-c that hangs. connect.h makes it.
 *
 * rabbitmq-c has no asynchronous interface, and no time-out on some calls. So each connection belongs to one
 * thread, which calls _enter before and _leave after every call that may block. Another thread that finds a
 * call inside for too long shuts the socket down, which makes the call return.
 *
 * All functions belong to the owner's thread, except _wake, _stop, _hurry, _check and _shut, which any
 * thread may call. */
#ifndef SB_TRANSPORTS_RABBITMQ_LINK_H
#define SB_TRANSPORTS_RABBITMQ_LINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/backoff.h"
#include "transports/net/connect.h"
#include "transports/net/tls.h"
#include "transports/rabbitmq/amqp.h"
#include "transports/rabbitmq/board.h"

struct sb_rabbitmq_link {
  struct sb_rabbitmq_board *board;
  const char *purpose;           /* shown by the broker's tools */
  size_t host;                   /* of the board's, the one in use or to be tried next */
  struct sb_backoff_host *tries; /* by host */
  unsigned seed;                 /* of pauses of what is on this connection */
  int64_t up_since_ms;           /* 0: not since the last attempt */

  amqp_connection_state_t conn; /* NULL: none */
  int fd;                       /* conn's own */
  bool readable;                /* poll said so and nothing was received since */
  int64_t service_ms; /* rabbitmq-c must be called this often for its heartbeats; 0: no heartbeats */
  int64_t service_due_ms;
  size_t frame_body_max; /* bytes of a body in one frame */
  uint16_t refusal;      /* reply code of the last channel or connection that the broker closed, 0: none */
  struct sb_net_tls_peer peer;
  char user[SB_RABBITMQ_USER_MAX + 1]; /* who logged in last */

  int wake_fd;
  atomic_bool stopping;
  atomic_bool hurried;                  /* the next sleep is cut short */
  atomic_bool hung;                     /* a call of this connection was ended by _check */
  atomic_int_least64_t inside_since_ms; /* 0: not inside a call */
  pthread_mutex_t watch_lock;
  int watch_fd; /* a duplicate of fd: it stays ours when rabbitmq-c closes its own */
};

/* `purpose` is not copied. */
int sb_rabbitmq_link_init(struct sb_rabbitmq_link *link, struct sb_rabbitmq_board *board, const char *purpose,
                          struct sb_error *error);
void sb_rabbitmq_link_close(struct sb_rabbitmq_link *link);

/* ---- any thread ---- */

void sb_rabbitmq_link_wake(struct sb_rabbitmq_link *link);
void sb_rabbitmq_link_stop(struct sb_rabbitmq_link *link); /* for good */

/* The cause of the failures may be gone: the next attempt is made now, and the pauses begin anew. */
void sb_rabbitmq_link_hurry(struct sb_rabbitmq_link *link);

/* Ends a call that has been inside for longer than `limit_ms`. */
void sb_rabbitmq_link_check(struct sb_rabbitmq_link *link, int64_t now_ms, int64_t limit_ms);
void sb_rabbitmq_link_shut(struct sb_rabbitmq_link *link);

/* ---- the owner's thread ---- */

static inline bool sb_rabbitmq_link_stopping(const struct sb_rabbitmq_link *link) {
  return atomic_load_explicit(&link->stopping, memory_order_relaxed);
}

/* The connection does its work from now on. When it is lost, the time since decides whether the pauses begin
 * anew. */
void sb_rabbitmq_link_held(struct sb_rabbitmq_link *link);

/* `polite`: tells the broker, and waits for its answer a little. */
void sb_rabbitmq_link_drop(struct sb_rabbitmq_link *link, bool polite);

/* Moves on to the host that is due next; returns after how many ms to try it. */
int64_t sb_rabbitmq_link_failed(struct sb_rabbitmq_link *link, const struct sb_error *why);

/* Forgets the failures of all hosts: the pauses begin anew. */
void sb_rabbitmq_link_forget_failures(struct sb_rabbitmq_link *link);

/* After a failed attempt or a lost connection: tells the board that this side is down, and sleeps until the
 * next attempt is due. A stop or _hurry ends the sleep. */
void sb_rabbitmq_link_try_later(struct sb_rabbitmq_link *link, enum sb_link_side side,
                                const struct sb_error *why);

enum sb_rabbitmq_ready { SB_RABBITMQ_WRITABLE = 1, SB_RABBITMQ_WOKEN = 2 };

/* Waits for one of these: there may be frames (ask _frame), it is woken, the socket takes bytes (if
 * `writable`), heartbeats are due, or `until_ms` has come (sb_clock_ms; INT64_MAX: never). Returns a set of
 * sb_rabbitmq_ready. Without a connection it can only be woken. */
unsigned sb_rabbitmq_link_wait(struct sb_rabbitmq_link *link, bool writable, int64_t until_ms);

/* 1 and the next frame, 0 when there is none now, or an error. connection.close is an error. What it points
 * to holds until _release of its channel. */
int sb_rabbitmq_link_frame(struct sb_rabbitmq_link *link, amqp_frame_t *frame, struct sb_error *error);
void sb_rabbitmq_link_release(struct sb_rabbitmq_link *link, amqp_channel_t channel);

int sb_rabbitmq_link_send(struct sb_rabbitmq_link *link, amqp_channel_t channel, amqp_method_number_t id,
                          void *method, struct sb_error *error);
int sb_rabbitmq_link_publish(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *exchange,
                             const char *routing_key, const amqp_basic_properties_t *properties,
                             amqp_bytes_t body, struct sb_error *error);

/* Takes a delivery or a stored message and puts it into the queue of events. While the bridge has no room it
 * waits on this thread: nothing is read meanwhile, but heartbeats are sent. Returns 1 when the event is in
 * the queue, 0 when the link is stopping, or an error; in both of the latter cases the event was closed. */
int sb_rabbitmq_link_hand_over(struct sb_rabbitmq_link *link, struct sb_event *event, struct sb_error *error);

/* How this thread waits: until the link is stopped. */
struct sb_net_wait sb_rabbitmq_link_patience(struct sb_rabbitmq_link *link);

/* From now on _shut shuts this socket down; -1: none. */
void sb_rabbitmq_link_watch(struct sb_rabbitmq_link *link, int fd);

void sb_rabbitmq_link_enter(struct sb_rabbitmq_link *link);
void sb_rabbitmq_link_leave(struct sb_rabbitmq_link *link);

/* Judges the answer to an RPC of rabbitmq-c and releases its memory. SB_ERR_REFUSED: the broker closed the
 * channel; the closing was answered, `refusal` says why, and the channel may be opened again. Any other
 * error: the connection is lost. */
int sb_rabbitmq_link_answered(struct sb_rabbitmq_link *link, amqp_channel_t channel, amqp_rpc_reply_t reply,
                              struct sb_error *error);

int sb_rabbitmq_link_open_channel(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                  struct sb_error *error);

/* Answers a channel.close of the broker and says why it came. */
int sb_rabbitmq_link_channel_closed(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                    const amqp_channel_close_t *close, struct sb_error *error);

#endif
