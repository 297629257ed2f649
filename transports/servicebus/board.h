/* What the threads of a Service Bus transport share: settings, names, the way to the bridge and back, the
 * counters, and the state of the links as people see it. The board logs one line per change; a reason that
 * repeats is no news.
 *
 * Any thread may call. Fields above the line do not change after the start. */
#ifndef SB_TRANSPORTS_SERVICEBUS_BOARD_H
#define SB_TRANSPORTS_SERVICEBUS_BOARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "transports/event_queue.h"
#include "transports/net/backoff.h"
#include "transports/servicebus/condition.h"
#include "transports/servicebus/settings.h"
#include "transports/transport.h"

#define SB_SERVICEBUS_AREA "servicebus"

/* "<prefix>-<p>" and "<prefix>-<p>/Subscriptions/<name>", with the zero. */
#define SB_SERVICEBUS_TOPIC_TEXT   264
#define SB_SERVICEBUS_ADDRESS_TEXT (SB_SERVICEBUS_TOPIC_TEXT + 66)

/* A link calls it when it cannot go on before somebody allows it: the cure is SB_CURE_ENTITY or
 * SB_CURE_TOKEN. */
typedef void sb_servicebus_stuck(void *owner, uint32_t partition, enum sb_servicebus_cure cure);

/* Where a trouble of a partition comes from. Each source's is logged once, until it is well again. */
enum sb_servicebus_source {
  SB_SOURCE_PUBLISH,
  SB_SOURCE_CONSUME,
  SB_SOURCE_ENTITY,
  SB_SOURCE_TOKEN,
  SB_SOURCES,
};

/* What the bridge's thread tells about one partition. */
struct sb_servicebus_lane_state {
  atomic_uint_least64_t applied; /* deliveries that the bridge is done with */
  atomic_bool alone;
  bool up[2];                   /* by sb_link_side; under the lock */
  uint64_t trouble[SB_SOURCES]; /* hash of the reason logged last, 0: none; under the lock */
};

struct sb_servicebus_board {
  struct sb_servicebus_settings settings; /* its strings are the board's own */
  struct sb_backoff_limits pauses;        /* of its settings */
  char *prefix;
  char *peer;     /* "acme.servicebus.windows.net:5671" */
  uint64_t nonce; /* of this process: in the container id and in message-ids */
  uint32_t partitions;
  struct sb_event_queue *events;
  struct sb_signing *signing; /* NULL: the hub has no key */
  int wake_fd;

  /* ---- */
  struct sb_servicebus_lane_state *lanes;
  atomic_bool stopping;
  atomic_uint retries; /* how often _retry was called */
  atomic_bool woken;   /* wake_fd was written and not read since */
  atomic_uint_least64_t published, confirmed, delivered, reconnects;
  atomic_uint_least64_t refused, busy, duplicates, gaps;
  atomic_size_t max_body;

  pthread_mutex_t lock; /* of all below */
  uint32_t up[2];       /* partitions, by sb_link_side */
  bool announced;       /* the log says last that we are connected */
  bool ever_connected;
  uint64_t outage; /* hash of the reason logged last since we were connected, 0: none */
  bool outage_logged;
  int64_t outage_since_ms; /* when one of the links went down */
  int64_t reminded_ms;     /* when the log said last that it lasts */
  time_t since;            /* of the state that status shows */
  struct sb_error last_error;
};

/* Copies and checks; on an error nothing is left to close. */
int sb_servicebus_board_init(struct sb_servicebus_board *board, const struct sb_transport_common *common,
                             const struct sb_servicebus_settings *settings, struct sb_error *error);
void sb_servicebus_board_close(struct sb_servicebus_board *board);

void sb_servicebus_topic_name(const struct sb_servicebus_board *board, uint32_t partition,
                              char out[SB_SERVICEBUS_TOPIC_TEXT]);
void sb_servicebus_subscription_address(const struct sb_servicebus_board *board, uint32_t partition,
                                        char out[SB_SERVICEBUS_ADDRESS_TEXT]);

/* Wakes the I/O thread, which then looks at all that the bridge and the manager may have told. */
void sb_servicebus_board_wake(struct sb_servicebus_board *board);

/* The cause of the failures may be gone, and secrets may have changed: everything that waits for its next
 * attempt makes it now. */
void sb_servicebus_board_retry(struct sb_servicebus_board *board);

/* The connection is lost or cannot be made. `why->code` is SB_ERR_LINK when the service could not be reached,
 * another when it said no. */
void sb_servicebus_board_down(struct sb_servicebus_board *board, const struct sb_error *why,
                              int64_t next_try_ms);

/* A trouble of one partition, for the log and as the last error; told once until _well. */
void sb_servicebus_board_trouble(struct sb_servicebus_board *board, uint32_t partition,
                                 enum sb_servicebus_source source, const char *why);
void sb_servicebus_board_well(struct sb_servicebus_board *board, uint32_t partition,
                              enum sb_servicebus_source source);

/* Says from time to time that an outage lasts, and why. */
void sb_servicebus_board_remind(struct sb_servicebus_board *board);

void sb_servicebus_board_status(struct sb_servicebus_board *board, struct sb_buf *out);

/* Events to the bridge; a link that is as it was is none. */
void sb_servicebus_board_link(struct sb_servicebus_board *board, uint32_t partition, enum sb_link_side side,
                              bool up);
void sb_servicebus_board_attached(struct sb_servicebus_board *board, uint32_t partition, enum sb_attach how);
void sb_servicebus_board_settled(struct sb_servicebus_board *board, uint32_t partition, uint64_t token,
                                 enum sb_settle outcome);

static inline bool sb_servicebus_board_stopping(const struct sb_servicebus_board *board) {
  return atomic_load_explicit(&board->stopping, memory_order_relaxed);
}

#endif
