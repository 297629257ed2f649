/* How long to wait before a broker is tried again.
 *
 * The pause is a share of the time for which the broker has failed in the same way. So a node that comes
 * back late after an outage is late by a share of the outage. What an attempt costs the broker limits the
 * pause. When nobody was there, it costs a packet or two: the broker is tried often, and found soon after it
 * is back. When the broker was there and said no, it costs a login and more, maybe for as long as nobody
 * mends it. The upper half of a pause is random, so that the nodes of a hub do not come back all at once.
 *
 * No clock and no lock of its own: it belongs to its caller. */
#ifndef SB_TRANSPORTS_NET_BACKOFF_H
#define SB_TRANSPORTS_NET_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_failure {
  SB_FAILURE_AWAY,    /* nobody was there, or did not answer */
  SB_FAILURE_REFUSED, /* the broker was there and said no */
  SB_FAILURE_LOST,    /* the link was good, and is lost */
};

struct sb_backoff {
  int64_t since_ms; /* the first failure of this row, 0: none */
  enum sb_failure row;
  unsigned seed; /* of the random half; the owner's to set */
};

struct sb_backoff_limits {
  int64_t min_ms, max_ms; /* as configured */
  uint32_t hosts;         /* how many are tried in turn, at least 1 */
};

/* The pause after a failure at `now_ms` (monotonic). `up_ms`: how long the link had been good, when it is
 * LOST. */
int64_t sb_backoff_ms(struct sb_backoff *backoff, const struct sb_backoff_limits *limits,
                      enum sb_failure failure, int64_t up_ms, int64_t now_ms);

/* One of several hosts that are tried in turn. Each has a row of failures of its own. If they shared one, a
 * host that is away would make another that refuses look like a new kind of failure, and one that refuses
 * would delay one that is away. */
struct sb_backoff_host {
  struct sb_backoff backoff;
  int64_t due_ms; /* not to be tried before */
};

/* After `hosts[*at]` failed at `now_ms`: returns the pause, and puts into `*at` the host to try next, which
 * is the one that is due first (in turn from here, where several are). */
int64_t sb_backoff_next(struct sb_backoff_host *hosts, const struct sb_backoff_limits *limits, size_t *at,
                        enum sb_failure failure, int64_t up_ms, int64_t now_ms);

/* The pause before attempt n + 1, after n failures: it doubles from min_ms to max_ms. The upper half is
 * random. */
int64_t sb_backoff_doubled_ms(const struct sb_backoff_limits *limits, uint32_t failures, unsigned *seed);

/* The pause for something that has failed in the same way since `since_ms`. For callers that keep their row
 * of failures themselves. */
int64_t sb_backoff_share_ms(const struct sb_backoff_limits *limits, int64_t since_ms, int64_t now_ms,
                            unsigned *seed);

#endif
