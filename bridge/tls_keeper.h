/* The certificates of this node's links to its broker. Their files may change while the bridge runs: they are
 * read again for every connection, on the thread that makes it. Files may be gone, half written,
 * or a key may be there a moment before its certificate. Then the reason is logged once, and what was read
 * before holds. */
#ifndef SB_BRIDGE_TLS_KEEPER_H
#define SB_BRIDGE_TLS_KEEPER_H

#include "config/config.h"
#include "transports/net/tls_source.h"

struct sb_tls_keeper;

/* Copies what it needs of a complete configuration. */
struct sb_tls_keeper *sb_tls_keeper_new(const struct sb_config *config);

/* NULL is allowed. Nobody may be reading any more. */
void sb_tls_keeper_free(struct sb_tls_keeper *keeper);

/* The files of a configuration that was read again at SIGHUP, which found them fit for use. */
void sb_tls_keeper_set(struct sb_tls_keeper *keeper, const struct sb_config *config);

/* Whose `read` may be called by any thread as long as the keeper lives. */
struct sb_tls_source sb_tls_keeper_source(struct sb_tls_keeper *keeper);

#endif
