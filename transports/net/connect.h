/* From a host's name to a connected socket, for all transports: resolving, and trying several addresses.
 *
 * Some of a name's addresses may not answer. They are tried as RFC 8305 says: the two families in turn, and
 * each a little after the one before, which goes on meanwhile. The first connection that is made is taken,
 * the others are dropped. One deadline (sb_clock_ms) holds for all of it.
 *
 * All functions block their thread, which is never the bridge's loop, until the deadline or the stop at the
 * latest. The C library's resolver can be neither limited nor ended, so each name is asked for on a thread
 * of its own. A caller that cannot wait any longer leaves that thread behind, and it cleans up after
 * itself. */
#ifndef SB_TRANSPORTS_NET_CONNECT_H
#define SB_TRANSPORTS_NET_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/address.h"

/* How a waiting thread learns that it is to end, or that there is other work. */
struct sb_net_wait {
  bool (*stopping)(void *owner); /* asked before each wait */
  int wake_fd;                /* readable when that may have changed; -1: none, it is asked again and again */
  void (*woken)(void *owner); /* empties wake_fd; not NULL when there is one */
  void *owner;
};

/* 0 when `fd` (-1: none) is ready for `events`, SB_ERR_TIMEOUT, or SB_ERR_LINK when it is to end. */
int sb_net_await(const struct sb_net_wait *wait, int fd, short events, int64_t until_ms);

/* Resolves `host`, a name or a numeric address without brackets. Addresses are in the order in which they are
 * to be tried. SB_ERR_LINK when there is none, SB_ERR_TIMEOUT when there was no answer. */
int sb_net_resolve(const char *host, uint16_t port, const struct sb_net_wait *wait, int64_t until_ms,
                   struct sb_net_addresses *out, struct sb_error *error);

/* Connects to the first of `addresses` (at least one) that answers: a non-blocking socket of the caller's,
 * with TCP_NODELAY and keepalives, or SB_ERR_LINK. `met`, unless NULL, is which. */
int sb_net_race(const struct sb_net_addresses *addresses, const struct sb_net_wait *wait, int64_t until_ms,
                size_t *met, struct sb_error *error);

/* Resolves and connects. `met`, unless NULL, is filled with the address that answered. */
int sb_net_connect(const char *host, uint16_t port, const struct sb_net_wait *wait, int64_t until_ms,
                   struct sb_net_address *met, struct sb_error *error);

#endif
