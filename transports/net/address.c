#include "transports/net/address.h"

#include <netdb.h>
#include <stdio.h>

void sb_net_interleave(struct sb_net_addresses *addresses) {
  struct sb_net_addresses before = *addresses;
  sa_family_t first = before.list[0].at.any.sa_family;
  size_t next[2] = {0, 0}; /* the next address of the first one's family, and of the other */
  for (size_t i = 0, turn = 0; i < before.count; turn = !turn) {
    size_t *at = &next[turn];
    while (*at < before.count && (before.list[*at].at.any.sa_family == first) != (turn == 0)) ++*at;
    if (*at < before.count) addresses->list[i++] = before.list[(*at)++];
  }
}

void sb_net_numeric(const struct sb_net_address *address, char out[SB_NET_NUMERIC_TEXT]) {
  if (getnameinfo(&address->at.any, address->len, out, SB_NET_NUMERIC_TEXT, NULL, 0, NI_NUMERICHOST) != 0)
    snprintf(out, SB_NET_NUMERIC_TEXT, "?");
}
