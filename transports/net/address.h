/* The addresses of a host. */
#ifndef SB_TRANSPORTS_NET_ADDRESS_H
#define SB_TRANSPORTS_NET_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "bridge/base/limits.h"

/* "fe80::…%eth0", with the zero. */
#define SB_NET_NUMERIC_TEXT 64

struct sb_net_address {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } at;
  socklen_t len;
};

struct sb_net_addresses {
  size_t count;
  struct sb_net_address list[SB_NET_ADDRESSES_MAX];
};

/* Puts the families in turn, beginning with that of the first one; within a family the order stays. */
void sb_net_interleave(struct sb_net_addresses *addresses);

/* "192.0.2.1", "2001:db8::1": without the port. */
void sb_net_numeric(const struct sb_net_address *address, char out[SB_NET_NUMERIC_TEXT]);

#endif
