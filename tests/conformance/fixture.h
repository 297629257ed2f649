/* What the conformance suite needs to know of a transport: how to make one on logs of its own, and how to do
 * to the broker what happens to brokers. A NULL among the faults means that this transport cannot have that
 * fault; the cases that need it are reported as skipped. All calls are made on one thread. */
#ifndef SB_TESTS_CONFORMANCE_FIXTURE_H
#define SB_TESTS_CONFORMANCE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "transports/transport.h"

enum fixture_hold {
  HOLD_NOTHING,
  HOLD_REQUESTS, /* what is sent to the broker does not reach it */
  HOLD_REPLIES,  /* what the broker answers does not come back */
};

struct fixture_ops {
  const char *name;
  bool external; /* the broker is not part of the transport: several may share its logs, or come while it is
                    away */
  bool forward_only; /* a transport reads what is stored after it attached for the first time, and nothing of
                        a log that was made again before it came back */
  size_t prefetch_bytes; /* of messages that it may hold besides the queue of events */

  /* Empty logs that nobody else uses; NULL when they cannot be had. Those that are forgetful keep little, for
   * `retention`. */
  void *(*open)(uint32_t partitions, bool forgetful);

  /* A new transport on these logs. */
  struct sb_transport *(*transport)(void *fixture, void (*wake)(void *owner), void *wake_owner);

  /* After the transports are freed. Removes the logs. */
  void (*close)(void *fixture);

  void (*hold)(void *fixture, enum fixture_hold what);
  void (*cut)(void *fixture);  /* every connection breaks, what was held is gone; new ones can be made */
  void (*away)(void *fixture); /* every connection breaks and none can be made */
  void (*back)(void *fixture);
  void (*kill)(void *fixture); /* the broker dies without warning */
  void (*restart)(void *fixture);

  /* Publishes of the transport are refused by the broker, or taken again. */
  void (*refuse)(void *fixture, bool on);

  /* What others write into a log, also while the broker is away from the transport. */
  void (*append)(void *fixture, uint32_t partition, const struct sb_envelope *envelope, struct sb_body *body);
  void (*foreign)(void *fixture, uint32_t partition, const char *channel, struct sb_body *body);
  /* The n-th kind of malformed message; false when there is none. */
  bool (*malformed)(void *fixture, uint32_t partition, unsigned n, struct sb_body *body);

  /* Retention removes all that is stored now; of a forgetful log. Needs messages of its own to do so, which
   * are foreign. */
  void (*retention)(void *fixture, uint32_t partition);
  void (*remake)(void *fixture, uint32_t partition); /* the log is deleted and made again */
  void (*empty)(void *fixture, uint32_t partition);  /* loses its messages, keeps counting */
};

#endif
