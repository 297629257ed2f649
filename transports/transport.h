/* A transport carries batches between this node and the partition logs at a broker. It knows nothing of RESP,
 * rows or sessions: it publishes bodies with an envelope, and delivers what the logs hold in the order of
 * each log.
 *
 * Threads. All functions below are called on the bridge's thread and never block. A transport does its I/O on
 * threads of its own and reports through a bounded queue of events: it calls wake(wake_owner), from any
 * thread, when the queue stops being empty, and the bridge then takes events until there are none.
 * Confirmations alone may wait for the next event of another kind: waking up for them would cost more than
 * they tell. When the queue is full the transport stops reading from the broker; it never drops an event.
 *
 * Life. new -> start -> (attach, publish, next …) -> close -> next until SB_EVENT_CLOSED -> free.
 *
 * Lost links. A transport reconnects for ever, with exponential back-off and jitter, over its list of hosts,
 * attaches again what was attached, and logs one line per change. It does not resend: every publish that is
 * unsettled when its link is lost is settled as SB_SETTLE_LOST, and the core sends again what the log turns
 * out not to hold.
 *
 * Reading back. Where the broker keeps what was read (reads_back), a part of a log can be had once more,
 * beside the ordinary reading: read_back -> SB_EVENT_STORED … -> SB_EVENT_STORED_END. Little of it waits in
 * the queue of events, so that deliveries do not wait behind it. */
#ifndef SB_TRANSPORTS_TRANSPORT_H
#define SB_TRANSPORTS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/error.h"
#include "bridge/base/link.h"

enum sb_event_kind {
  SB_EVENT_LINK,     /* one side of a partition's link went up or down */
  SB_EVENT_ATTACHED, /* reading began, at the start or again after a lost link; comes before the first
                        delivery */
  SB_EVENT_DELIVERY,
  SB_EVENT_SETTLED,
  SB_EVENT_REASON,     /* there is a better reason why a link is down, in the status' broker_last_error */
  SB_EVENT_STORED,     /* a message that was asked for with read_back */
  SB_EVENT_STORED_END, /* comes once for every read_back that returned 0, behind all that it brought */
  SB_EVENT_CLOSED,     /* the last event there is */
};

/* How a reading back ended. */
enum sb_stored {
  SB_STORED_DONE,   /* all that the log holds of the range was given; the rest of it is gone from the log */
  SB_STORED_FAILED, /* not all: stopped, no link, refused, or nothing came for too long */
};

struct sb_delivery {
  uint64_t sequence; /* the log's own position; strictly increasing within one log, with holes */
  struct sb_envelope envelope;
  struct sb_body *channel; /* of a foreign message: the channel it names, else NULL */
  struct sb_body *body;    /* never NULL; this reference is the only one, so the taker may change the bytes */
};

struct sb_event {
  enum sb_event_kind kind;
  uint32_t partition;
  union {
    struct {
      enum sb_link_side side;
      bool up;
    } link;
    enum sb_attach attach;
    struct sb_delivery delivery; /* both bodies belong to who took the event */
    struct {
      uint64_t token;
      enum sb_settle outcome;
    } settled;
    struct {
      uint64_t token;
      struct sb_delivery message; /* both bodies belong to who took the event */
    } stored;
    struct {
      uint64_t token;
      enum sb_stored outcome;
    } stored_end;
  };
};

/* Releases what a delivery or a stored message holds; other events hold nothing. */
void sb_event_close(struct sb_event *event);

struct sb_transport;

struct sb_transport_ops {
  const char *name; /* "memory", "rabbitmq", "servicebus" */
  bool hides_tail;  /* an attach begins behind the tail, unlike said below */
  bool reads_back;  /* has the two functions below; else both are NULL */

  int (*start)(struct sb_transport *t, struct sb_error *error);

  /* Reads the partition from the start of its last stored batch, or from earlier (SB_ATTACH_FRESH), and then
   * everything behind it. So the first delivery tells whether the log was empty. Where the tail is hidden no
   * delivery can tell it; SB_ATTACH_ALONE does. Once per partition and start. */
  void (*attach)(struct sb_transport *t, uint32_t partition);

  /* Queues one message. Takes a reference of `body` while it needs it; the body must not change before the
   * token is settled. Every token of a call that returned 0 is settled exactly once, also at close.
   * SB_ERR_FULL: too many queued (SB_TRANSPORT_PUBLISH_MAX); SB_ERR_LINK: no link now; SB_ERR_TOO_LARGE:
   * above max_body. On an error nothing was taken and no settlement follows. */
  int (*publish)(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                 struct sb_body *body, uint64_t token);

  /* The largest body that the broker takes now, in bytes. */
  size_t (*max_body)(const struct sb_transport *t);

  /* Takes the next event; false when there is none. */
  bool (*next)(struct sb_transport *t, struct sb_event *event);

  /* Appends "key:value\r\n" lines for people and INFO: host, link state, since when, last error, counters. */
  void (*status)(struct sb_transport *t, struct sb_buf *out);

  /* Asks for the part of the log from `from` (0: the first message there is) up to and including `to`. Its
   * messages come in order, as SB_EVENT_STORED with this token. `to` must have been delivered from this log,
   * and the token must not be in use. Retention may have passed `from`: then the first message that comes
   * says how far. If nothing comes before SB_STORED_DONE, retention has passed `to` as well. If the log was
   * made anew, the messages are those of the new one, and SB_ATTACH_NEW_LOG tells so, before or after.
   *
   * SB_ERR_FULL: this partition is read back already, or too many are (SB_TRANSPORT_READ_BACKS_MAX). There
   * is room behind the next SB_EVENT_STORED_END. SB_ERR_LINK: there is no link, or it failed a moment ago.
   * Try again a little later, as after SB_STORED_FAILED. */
  int (*read_back)(struct sb_transport *t, uint32_t partition, uint64_t from, uint64_t to, uint64_t token);

  /* The rest of a read_back is no longer wanted. What is queued still comes, then its SB_EVENT_STORED_END. A
   * token that is not known is one that ended meanwhile. */
  void (*read_back_stop)(struct sb_transport *t, uint64_t token);

  /* The settings or the secrets may have changed: links that wait for their next attempt make it at once, and
   * tokens are made anew. NULL: nothing waits. */
  void (*retry)(struct sb_transport *t);

  /* Begins to close: settles what is unsettled as lost, ends threads, then queues SB_EVENT_CLOSED. Bounded in
   * time. */
  void (*close)(struct sb_transport *t);

  /* After SB_EVENT_CLOSED, or before start. */
  void (*free)(struct sb_transport *t);
};

struct sb_transport {
  const struct sb_transport_ops *ops;
};

struct sb_signing;

/* What every constructor takes. `wake` may be called on any thread, also from within the calls above. */
struct sb_transport_common {
  uint32_t partitions;
  const char *prefix; /* of the names of exchange, streams, topics; copied */
  void (*wake)(void *owner);
  void *wake_owner;
  struct sb_signing *signing; /* judges what comes (transports/signing.h); NULL: the hub has no key. A log
                                 within the process needs no judge, and the memory transport has none. */
};

static inline int sb_transport_start(struct sb_transport *t, struct sb_error *error) {
  return t->ops->start(t, error);
}
static inline void sb_transport_attach(struct sb_transport *t, uint32_t partition) {
  t->ops->attach(t, partition);
}
static inline int sb_transport_publish(struct sb_transport *t, uint32_t partition,
                                       const struct sb_envelope *envelope, struct sb_body *body,
                                       uint64_t token) {
  return t->ops->publish(t, partition, envelope, body, token);
}
static inline bool sb_transport_reads_back(const struct sb_transport *t) {
  return t->ops->reads_back;
}
static inline int sb_transport_read_back(struct sb_transport *t, uint32_t partition, uint64_t from,
                                         uint64_t to, uint64_t token) {
  return t->ops->read_back(t, partition, from, to, token);
}
static inline void sb_transport_read_back_stop(struct sb_transport *t, uint64_t token) {
  t->ops->read_back_stop(t, token);
}
static inline size_t sb_transport_max_body(const struct sb_transport *t) {
  return t->ops->max_body(t);
}
static inline bool sb_transport_next(struct sb_transport *t, struct sb_event *event) {
  return t->ops->next(t, event);
}
static inline void sb_transport_status(struct sb_transport *t, struct sb_buf *out) {
  t->ops->status(t, out);
}
static inline void sb_transport_retry(struct sb_transport *t) {
  if (t->ops->retry) t->ops->retry(t);
}
static inline void sb_transport_close(struct sb_transport *t) {
  t->ops->close(t);
}
static inline void sb_transport_free(struct sb_transport *t) {
  if (t) t->ops->free(t);
}

#endif
