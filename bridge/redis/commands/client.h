/* The name of a session, as CLIENT SETNAME and HELLO SETNAME set it. */
#ifndef SB_REDIS_COMMANDS_CLIENT_H
#define SB_REDIS_COMMANDS_CLIENT_H

#include <stdbool.h>

#include "bridge/base/bytes.h"

struct sb_connection;

/* An empty name removes it. False when it is not allowed; the reply says so then. */
bool sb_client_set_name(struct sb_connection *c, struct sb_bytes name, struct sb_buf *reply);

#endif
