/* Who this node is to its broker. The secret comes from a file that may change while the bridge runs: it is
 * read again for every attempt to log in, on the thread of the transport that makes it. When it cannot
 * be read, the reason is logged once, and the secret that was read before holds. */
#ifndef SB_BRIDGE_LOGIN_H
#define SB_BRIDGE_LOGIN_H

#include "config/config.h"
#include "transports/net/login.h"

struct sb_login_keeper;

/* Copies what it needs of a complete configuration. */
struct sb_login_keeper *sb_login_keeper_new(const struct sb_config *config);

/* NULL is allowed. Nobody may be reading any more. */
void sb_login_keeper_free(struct sb_login_keeper *keeper);

/* After SIGHUP: takes over what was read again, and wipes what was kept. */
void sb_login_keeper_set(struct sb_login_keeper *keeper, const struct sb_config *config);

/* Whose `read` may be called by any thread as long as the keeper lives. */
struct sb_login_source sb_login_keeper_source(struct sb_login_keeper *keeper);

#endif
