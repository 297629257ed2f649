#include "transports/net/connect.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "transports/net/lookup.h"

/* ---- waiting ---- */

/* Polls `fds` until `until_ms`. The last one is filled in here with the wake. Without a wake it polls only
 * for a little, and the caller asks again whether it is to stop. */
static void poll_a_while(const struct sb_net_wait *wait, struct pollfd *fds, nfds_t count, int64_t until_ms) {
  int64_t left = sb_sooner(until_ms - sb_clock_ms(), wait->wake_fd < 0 ? SB_NET_STOP_POLL_MS : INT_MAX);
  fds[count - 1] = (struct pollfd){.fd = wait->wake_fd, .events = POLLIN};
  int n = poll(fds, count, left > 0 ? (int)left : 0);
  if (n <= 0)
    for (nfds_t i = 0; i < count; i++) fds[i].revents = 0;
  if (fds[count - 1].revents) wait->woken(wait->owner);
}

int sb_net_await(const struct sb_net_wait *wait, int fd, short events, int64_t until_ms) {
  for (;;) {
    if (wait->stopping(wait->owner)) return SB_ERR_LINK;
    if (sb_clock_ms() >= until_ms) return SB_ERR_TIMEOUT;
    struct pollfd fds[2] = {{.fd = fd, .events = events}};
    poll_a_while(wait, fds, 2, until_ms);
    if (fds[0].revents) return 0;
  }
}

/* ---- addresses ---- */

int sb_net_resolve(const char *host, uint16_t port, const struct sb_net_wait *wait, int64_t until_ms,
                   struct sb_net_addresses *out, struct sb_error *error) {
  struct sb_net_lookup *lookup;
  int rc = sb_net_lookup_start(host, port, &lookup, error);
  if (rc) return rc;
  if (!sb_net_lookup_done(lookup)) rc = sb_net_await(wait, sb_net_lookup_fd(lookup), POLLIN, until_ms);
  if (rc == 0)
    rc = sb_net_lookup_result(lookup, out, error);
  else if (rc == SB_ERR_TIMEOUT)
    sb_error_set(error, rc, "cannot resolve the name: no answer from the resolver in time");
  else
    sb_error_set(error, rc, "given up, since the transport stops");
  sb_net_lookup_leave(lookup);
  if (rc == 0) sb_net_interleave(out);
  return rc;
}

/* ---- one attempt ---- */

/* A connection to a port from the range for outgoing connections, on which nobody listens, may get that very
 * port as its own and meet itself. */
static bool met_itself(int fd) {
  struct sockaddr_storage own, peer;
  socklen_t own_len = sizeof own, peer_len = sizeof peer;
  if (getsockname(fd, (struct sockaddr *)&own, &own_len) != 0) return false;
  if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0) return false;
  return own_len == peer_len && memcmp(&own, &peer, own_len) == 0;
}

/* 0 and `fd`, which is connected or will be (EINPROGRESS), or errno and none. */
static int begin(const struct sb_net_address *address, int *fd) {
  *fd = socket(address->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (*fd < 0) return errno;
  int on = 1;
  setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (connect(*fd, &address->at.any, address->len) == 0) return 0;
  return errno;
}

static int outcome(int fd) {
  int failed = 0;
  socklen_t len = sizeof failed;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0) return errno;
  return failed == 0 && met_itself(fd) ? ECONNREFUSED : failed;
}

/* ---- the race ---- */

struct race {
  const struct sb_net_addresses *addresses;
  struct pollfd fds[SB_NET_ADDRESSES_MAX + 1]; /* of addresses[i], -1: not open; the last one is the wake's */
  int failed[SB_NET_ADDRESSES_MAX];            /* errno; 0: not yet */
  size_t started, open;
  int64_t delay_ms, next_ms; /* when the next one is started */
};

/* 0 when the connection is made. */
static int settle(struct race *race, size_t i, int failed) {
  if (failed == 0) return 0;
  race->failed[i] = failed;
  if (race->fds[i].fd >= 0) close(race->fds[i].fd);
  race->fds[i].fd = -1;
  race->open--;
  race->next_ms = 0; /* nothing to wait for: the next one is started at once */
  return failed;
}

/* True when it is connected at once, as on this machine. */
static bool start_next(struct race *race, int64_t now_ms) {
  size_t i = race->started++;
  race->open++;
  race->next_ms = now_ms + race->delay_ms;
  race->fds[i].events = POLLOUT;
  int failed = begin(&race->addresses->list[i], &race->fds[i].fd);
  if (failed == EINPROGRESS) return false;
  return settle(race, i, failed ? failed : outcome(race->fds[i].fd)) == 0;
}

/* Starts what is due; the index of the one that is connected, or the count. */
static size_t start_due(struct race *race, int64_t now_ms) {
  while (race->started < race->addresses->count && now_ms >= race->next_ms)
    if (start_next(race, now_ms)) return race->started - 1;
  return race->addresses->count;
}

static size_t look(struct race *race) {
  for (size_t i = 0; i < race->started; i++)
    if (race->fds[i].fd >= 0 && race->fds[i].revents && settle(race, i, outcome(race->fds[i].fd)) == 0)
      return i;
  return race->addresses->count;
}

/* The index of the winner, or the count: then all have failed, the time is over or it is to end. */
static size_t run(struct race *race, const struct sb_net_wait *wait, int64_t until_ms) {
  size_t count = race->addresses->count;
  for (;;) {
    int64_t now_ms = sb_clock_ms();
    if (wait->stopping(wait->owner) || now_ms >= until_ms) return count;
    size_t won = start_due(race, now_ms);
    if (won < count || race->open == 0) return won;
    poll_a_while(wait, race->fds, count + 1,
                 race->started < count ? sb_sooner(race->next_ms, until_ms) : until_ms);
    won = look(race);
    if (won < count) return won;
  }
}

static int explain(const struct race *race, struct sb_error *error) {
  size_t count = race->addresses->count;
  char text[SB_ERROR_TEXT_MAX], numeric[SB_NET_NUMERIC_TEXT];
  int len = 0;
  if (count == 1)
    return sb_error_set(error, SB_ERR_LINK, "%s", strerror(race->failed[0] ? race->failed[0] : ETIMEDOUT));
  for (size_t i = 0; i < count && len >= 0 && (size_t)len < sizeof text; i++) {
    sb_net_numeric(&race->addresses->list[i], numeric);
    len += snprintf(text + len, sizeof text - (size_t)len, "%s %s: %s", i ? ";" : "", numeric,
                    strerror(race->failed[i] ? race->failed[i] : ETIMEDOUT));
  }
  return sb_error_set(error, SB_ERR_LINK, "none of its %zu addresses can be reached:%s", count, text);
}

int sb_net_race(const struct sb_net_addresses *addresses, const struct sb_net_wait *wait, int64_t until_ms,
                size_t *met, struct sb_error *error) {
  assert(addresses->count > 0);
  struct race race = {.addresses = addresses};
  int64_t share_ms = (until_ms - sb_clock_ms()) / (int64_t)addresses->count;
  race.delay_ms = sb_sooner(SB_NET_ATTEMPT_DELAY_MS, share_ms);
  for (size_t i = 0; i < addresses->count; i++) race.fds[i].fd = -1;
  size_t won = run(&race, wait, until_ms);
  int fd = won < addresses->count ? race.fds[won].fd : -1;
  for (size_t i = 0; i < race.started; i++)
    if (race.fds[i].fd >= 0 && i != won) close(race.fds[i].fd);
  if (fd >= 0 && met) *met = won;
  if (fd >= 0) return fd;
  if (wait->stopping(wait->owner))
    return sb_error_set(error, SB_ERR_LINK, "given up, since the transport stops");
  return explain(&race, error);
}

int sb_net_connect(const char *host, uint16_t port, const struct sb_net_wait *wait, int64_t until_ms,
                   struct sb_net_address *met, struct sb_error *error) {
  struct sb_net_addresses addresses;
  size_t which = 0;
  int rc = sb_net_resolve(host, port, wait, until_ms, &addresses, error);
  if (rc) return rc;
  int fd = sb_net_race(&addresses, wait, until_ms, &which, error);
  if (fd >= 0 && met) *met = addresses.list[which];
  return fd;
}
