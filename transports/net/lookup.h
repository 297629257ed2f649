/* One question to the resolver, on a thread of its own. getaddrinfo can hang for as long as a name server is
 * silent; so a caller may stop waiting at any time. Numeric addresses need no thread. */
#ifndef SB_TRANSPORTS_NET_LOOKUP_H
#define SB_TRANSPORTS_NET_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/address.h"

struct sb_net_lookup;

/* Asks. An error when it cannot, for example because SB_NET_LOOKUPS_MAX earlier questions still hang. */
int sb_net_lookup_start(const char *host, uint16_t port, struct sb_net_lookup **out, struct sb_error *error);

bool sb_net_lookup_done(const struct sb_net_lookup *lookup);

/* Readable when it is done. */
int sb_net_lookup_fd(const struct sb_net_lookup *lookup);

/* Only when it is done: 0, or SB_ERR_LINK. In the resolver's order, at most SB_NET_ADDRESSES_MAX. */
int sb_net_lookup_result(const struct sb_net_lookup *lookup, struct sb_net_addresses *out,
                         struct sb_error *error);

/* Ends the use of it, done or not. */
void sb_net_lookup_leave(struct sb_net_lookup *lookup);

#endif
