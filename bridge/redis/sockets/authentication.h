/* Whether a session has given the password; until then it is a stranger (stranger.h). */
#ifndef SB_REDIS_SOCKETS_AUTHENTICATION_H
#define SB_REDIS_SOCKETS_AUTHENTICATION_H

#include <stdbool.h>
#include <stddef.h>

struct sb_connection;

/* Says whether the session is a stranger. */
void sb_stranger_set(struct sb_connection *c, bool stranger);

/* The session gave a wrong password. False: it has to wait before it is told; call again then. */
bool sb_stranger_may_be_told(struct sb_connection *c);

/* It is a stranger, and `kept` bytes of what it sent is more than a stranger may have. */
bool sb_stranger_is_too_large(const struct sb_connection *c, size_t kept);

#endif
