/* What the threads of a RabbitMQ transport share: settings, names, the way to the bridge, the counters, and
 * the state of the links as people see it. The board logs one line per change. The two connections to one
 * broker go down and come back together, and a reason that repeats is no news: neither gets a line of its
 * own.
 *
 * Any thread may call. Fields above the line do not change after the start. */
#ifndef SB_TRANSPORTS_RABBITMQ_BOARD_H
#define SB_TRANSPORTS_RABBITMQ_BOARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "transports/event_queue.h"
#include "transports/rabbitmq/settings.h"
#include "transports/transport.h"

#define SB_RABBITMQ_AREA "rabbitmq"

/* A broker that starts refuses this and that for a moment. Only what it refuses for longer than this is
 * logged. */
#define SB_RABBITMQ_TELL_AFTER_MS 2000

struct sb_rabbitmq_host {
  char *name; /* without brackets */
  uint16_t port;
  bool tls;
  char *text;         /* "mq-1:5672", "[::1]:5672" */
  atomic_bool proven; /* a login succeeded there */
};

struct sb_rabbitmq_side_state {
  bool up;   /* there is a connection */
  bool well; /* and it does what it is for */
  size_t host;
};

/* The last reason for which a side could not use a host, since all was well. */
struct sb_rabbitmq_reason {
  uint64_t hash;
  unsigned times; /* how often in a row */
  int64_t since_ms;
  bool told;
};

/* One published message of a partition that must come to its reader. If it does not come, the reader has
 * gone dead. The publisher writes it here, the reader takes it away. */
struct sb_rabbitmq_echo {
  atomic_bool wanted;                   /* the reader is ready: all that is published now must come to it */
  atomic_uint_least64_t print;          /* of its envelope, 0: none is looked for */
  atomic_int_least64_t confirmed_at_ms; /* when the broker said that it is in the log, 0: it did not yet */
};

/* How the retention of a stream differs from the settings; empty: not known to. */
struct sb_rabbitmq_retention {
  char why[SB_ERROR_TEXT_MAX];
  bool told;
};

struct sb_rabbitmq_board {
  struct sb_rabbitmq_settings settings; /* its strings are the board's own */
  struct sb_rabbitmq_host *hosts;
  size_t host_count;
  size_t first_host; /* to be tried: by the node's name, so that the nodes of a hub spread over the hosts */
  char *exchange;    /* the prefix */
  char *foreign_exchange; /* "<prefix>.foreign"; NULL: other programs publish to `exchange` */
  uint32_t partitions;
  struct sb_event_queue *events;
  struct sb_signing *signing;      /* NULL: the hub has no key */
  struct sb_rabbitmq_echo *echoes; /* by partition */

  /* ---- */
  /* Held while streams are declared. RabbitMQ says that a stream exists as soon as somebody has begun to
   * make it, but fails when it is used before that is done. */
  pthread_mutex_t declaring;
  bool *known;                         /* by partition: the stream was there once; under `declaring` */
  atomic_int_least64_t usable_from_ms; /* streams that were missing: others may be about to make them too */
  atomic_bool may_not_bind;            /* the broker refused the last binding */
  atomic_uint_least64_t published, confirmed, delivered, read_back, reconnects;
  atomic_size_t max_body;        /* what the broker takes, in bytes */
  atomic_size_t max_body_learnt; /* a lower limit that a broker named when it refused; else SIZE_MAX */

  pthread_mutex_t lock;                   /* of all below */
  pthread_cond_t ended;                   /* a thread has ended */
  unsigned running;                       /* threads that have not */
  struct sb_rabbitmq_side_state sides[2]; /* by sb_link_side */
  uint32_t links_up;                      /* of both sides of all partitions, as the bridge knows them */
  int64_t outage_since_ms;                /* when one of them went down */
  int64_t reminded_ms;                    /* when a log line last said that it lasts */
  bool announced;                         /* the last log line about it says that we are connected */
  bool outage_logged;                     /* a log line has said why we are not */
  bool ever_connected;
  bool blocked;
  time_t since; /* of the state that status shows */
  struct sb_error last_error;
  struct sb_rabbitmq_retention *retentions; /* per partition */
  struct sb_rabbitmq_reason *reasons;       /* per side and host */
};

/* Whether a message of that exchange came by the way that is kept for other programs. */
bool sb_rabbitmq_board_is_outside(const struct sb_rabbitmq_board *board, struct sb_bytes exchange);

/* Copies and checks; on an error nothing is left to close. */
int sb_rabbitmq_board_init(struct sb_rabbitmq_board *board, const struct sb_transport_common *common,
                           const struct sb_rabbitmq_settings *settings, struct sb_error *error);
void sb_rabbitmq_board_close(struct sb_rabbitmq_board *board);

void sb_rabbitmq_board_up(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t host);
/* The side has done real work since its login. If a login alone counted, a broker that refuses everything
 * right after it would be logged as a new outage each time. */
void sb_rabbitmq_board_well(struct sb_rabbitmq_board *board, enum sb_link_side side);
/* `why->code` is SB_ERR_LINK when the broker could not be reached, another when it said no. */
void sb_rabbitmq_board_down(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t host,
                            const struct sb_error *why, int64_t next_try_ms);
void sb_rabbitmq_board_blocked(struct sb_rabbitmq_board *board, size_t host, bool blocked, const char *why);

/* False when that side is not connected; else to which host. */
bool sb_rabbitmq_board_is_up(struct sb_rabbitmq_board *board, enum sb_link_side side, size_t *host);

/* A trouble of one stream, as the last error and, when it is news, for the log. */
void sb_rabbitmq_board_trouble(struct sb_rabbitmq_board *board, uint32_t partition, const char *why,
                               bool news);

/* Says from time to time that an outage lasts, and why. */
void sb_rabbitmq_board_remind(struct sb_rabbitmq_board *board);

/* Logs it once for each stream, after _is_stream has said that it is one: about a queue of another kind the
 * broker may complain of the retention first. */
void sb_rabbitmq_board_retention_differs(struct sb_rabbitmq_board *board, uint32_t partition,
                                         const char *why);
void sb_rabbitmq_board_is_stream(struct sb_rabbitmq_board *board, uint32_t partition);

void sb_rabbitmq_board_status(struct sb_rabbitmq_board *board, struct sb_buf *out);

/* The last act of a connection's thread. */
void sb_rabbitmq_board_ended(struct sb_rabbitmq_board *board);

/* Events to the bridge. */
void sb_rabbitmq_board_link(struct sb_rabbitmq_board *board, uint32_t partition, enum sb_link_side side,
                            bool up);
void sb_rabbitmq_board_attached(struct sb_rabbitmq_board *board, uint32_t partition, enum sb_attach how);
void sb_rabbitmq_board_settled(struct sb_rabbitmq_board *board, uint32_t partition, uint64_t token,
                               enum sb_settle outcome);
void sb_rabbitmq_board_stored_end(struct sb_rabbitmq_board *board, uint32_t partition, uint64_t token,
                                  enum sb_stored outcome);

#endif
