/* The transport that a configuration asks for. */
#ifndef SB_BRIDGE_BROKER_H
#define SB_BRIDGE_BROKER_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "config/config.h"
#include "transports/net/login.h"
#include "transports/net/tls_source.h"
#include "transports/transport.h"

/* Not started. `nonce` tells this process from others of the same name; `login` and `tls` must outlive the
 * transport. NULL and an error when a setting cannot be used. */
struct sb_transport *sb_broker_new(const struct sb_config *config, struct sb_login_source login,
                                   struct sb_tls_source tls, uint64_t nonce,
                                   const struct sb_transport_common *common, struct sb_error *error);

/* Appends which broker it is and where, for a line of the log. */
void sb_broker_describe(const struct sb_config *config, struct sb_buf *out);

#endif
