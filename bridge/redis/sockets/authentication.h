/* Whether a session has given the password; until then it is a stranger (stranger.h). */
#ifndef SB_REDIS_SOCKETS_AUTHENTICATION_H
#define SB_REDIS_SOCKETS_AUTHENTICATION_H

#include <stdbool.h>
#include <stddef.h>

struct sb_connection;

/* Makes the session a stranger, or one that has given the password. */
void sb_stranger_set(struct sb_connection *c, bool stranger);

/* The session gave a wrong password. False: the error has to wait, so hold the request and call again. */
bool sb_stranger_may_be_told(struct sb_connection *c);

/* Whether it is a stranger that sent more than a stranger may have kept: `kept` bytes. */
bool sb_stranger_is_too_large(const struct sb_connection *c, size_t kept);

#endif
