/* The bridge's place in the conformance suite: owns one transport, takes its events, remembers what came, and
 * checks at every event what holds always:
 *   - a token is settled once, and only after a publish that returned 0
 *   - link events tell of changes; ATTACHED comes before deliveries, FRESH first and only once
 *   - sequences rise within a log; a delivered body belongs to its taker alone
 *   - what is read back was asked for, lies within its range, and its end comes once, also at close
 *   - nothing follows SB_EVENT_CLOSED
 * It only looks for events when wake was called, so a wake that is missing shows as a time-out. */
#ifndef SB_TESTS_CONFORMANCE_HUB_H
#define SB_TESTS_CONFORMANCE_HUB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/conformance/fixture.h"

#define HUB_PARTITIONS  3
#define HUB_DEADLINE_MS 60000 /* for a slow machine under a sanitizer; passing tests never wait for it */
#define HUB_HEAD_BYTES  16
#define HUB_READS_MAX   32 /* read_backs of one transport */

struct hub_delivery {
  uint64_t sequence;
  struct sb_envelope envelope;
  char *channel; /* NULL when there was none */
  uint64_t id;   /* of a body made by hub_body and unharmed, else 0 */
  size_t len;
  uint8_t head[HUB_HEAD_BYTES]; /* how the body begins */
};

struct hub_partition {
  struct hub_delivery *deliveries; /* all there were */
  size_t count, cap;
  bool up[2]; /* by sb_link_side */
  bool attached;
  unsigned attaches;
  enum sb_attach how; /* the latest attach */
  size_t attached_at; /* count at the latest attach */
  bool has_last;      /* `last` is of the log that is read now */
  uint64_t last;
};

/* The first attach of a partition; alone or not is the broker's matter. */
static inline bool hub_is_first(enum sb_attach how) {
  return how == SB_ATTACH_FRESH || how == SB_ATTACH_ALONE;
}

struct hub_token {
  uint32_t partition;
  uint64_t id;
  bool settled;
  enum sb_settle outcome;
};

/* What was asked for with read_back, and what came. */
struct hub_read {
  uint32_t partition;
  uint64_t from, to;
  struct hub_delivery *messages;
  size_t count, cap;
  bool ended;
  enum sb_stored outcome;
};

struct hub {
  const struct fixture_ops *ops;
  void *fixture;
  bool fixture_borrowed;
  struct sb_transport *transport;
  struct hub_partition partitions[HUB_PARTITIONS];
  struct hub_token *tokens; /* token t is at [t - 1] */
  size_t token_count, token_cap, unsettled;
  struct hub_read reads[HUB_READS_MAX]; /* token t is at [t - 1] */
  size_t read_count, reads_open;
  unsigned reasons; /* how often it was told that why a link is down is known better */
  uint64_t last_id;
  bool closed;

  pthread_mutex_t lock;
  pthread_cond_t rung;
  unsigned rings, rings_total;
};

/* A hub with a fixture of its own, or on that of `other`. No transport yet. */
struct hub *hub_new(const struct fixture_ops *ops, const struct hub *other, bool forgetful);
void hub_free(struct hub *hub); /* closes what is open */

/* Makes and starts a transport; forgets what an earlier one delivered. */
void hub_start(struct hub *hub);
void hub_attach_all(struct hub *hub); /* and waits until all links are up and everything is attached */
void hub_close(struct hub *hub);      /* close, take the rest, free the transport */

/* Takes all events there are, or waits for some; false when `until_ms` passed first. */
bool hub_step(struct hub *hub, int64_t until_ms);
bool hub_take_all(struct hub *hub);  /* false when there was none */
unsigned hub_rings(struct hub *hub); /* how often wake was called */
int64_t hub_now_ms(void);

/* Measures what may take only so long. Time in which somebody had to wait for a processor does not count for
 * the most that something may take, up to a limit: a test must not fail because the machine is busy
 * otherwise. */
struct hub_watch {
  int64_t began_ms, stalled_ms;
};
struct hub_watch hub_watch(void);
void hub_took(const struct hub_watch *watch, int64_t least_ms, int64_t most_ms);

#define hub_await(hub, condition)                                                                            \
  do {                                                                                                       \
    int64_t hub_until_ms = hub_now_ms() + HUB_DEADLINE_MS;                                                   \
    while (!(condition))                                                                                     \
      if (!hub_step((hub), hub_until_ms)) fail_msg("not in time: %s", #condition);                           \
  } while (0)

/* A body that tells its id and whether it arrived unharmed; at least HUB_HEAD_BYTES long. */
struct sb_body *hub_body(uint64_t id, size_t len);
struct sb_envelope hub_envelope(uint64_t id);
uint64_t hub_next_id(struct hub *hub);

/* Publishes a body of its own with a new id and returns the id; waits for room and for the link. */
uint64_t hub_publish(struct hub *hub, uint32_t partition, size_t len);
uint64_t hub_publish_until_confirmed(struct hub *hub, uint32_t partition);

/* One try, as the transport answers. */
int hub_try(struct hub *hub, uint32_t partition, const struct sb_envelope *envelope, struct sb_body *body,
            uint64_t id);

/* Another node's message with a new id; returns the id. */
uint64_t hub_append(struct hub *hub, uint32_t partition);

/* One try, as the transport answers; *out is valid until the next hub_start when it returned 0. */
int hub_try_read_back(struct hub *hub, uint32_t partition, uint64_t from, uint64_t to,
                      const struct hub_read **out);

/* Must be taken by the transport. */
const struct hub_read *hub_read_back(struct hub *hub, uint32_t partition, uint64_t from, uint64_t to);
void hub_stop_reading(struct hub *hub, const struct hub_read *read);

/* That both are the same message. */
void hub_assert_same(const struct hub_delivery *got, const struct hub_delivery *want);

/* All deliveries within the range of `read` came with it, in their order, and nothing else. */
void hub_assert_read(const struct hub *hub, const struct hub_read *read);

const struct hub_token *hub_token_of(const struct hub *hub, uint64_t id);
size_t hub_deliveries_of(const struct hub *hub, uint32_t partition, uint64_t id);
bool hub_all_attached(const struct hub *hub);
bool hub_links_are(const struct hub *hub, bool up);

/* Everything published so far and confirmed has come exactly once, what is lost or rejected at most once, in
 * the order of publishing. Publishes one more message to each partition to know that nothing is on its way.
 */
void hub_check_logs(struct hub *hub);

#endif
