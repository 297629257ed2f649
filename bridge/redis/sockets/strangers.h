/* Room for strangers, and the end of their time (stranger.h says what they are). */
#ifndef SB_REDIS_SOCKETS_STRANGERS_H
#define SB_REDIS_SOCKETS_STRANGERS_H

#include <stdbool.h>

struct sb_listener;
struct sb_server;
struct sb_strangers;

void sb_strangers_init(struct sb_strangers *strangers);

/* Make and close the timer of the server, which runs only while there are strangers. */
void sb_strangers_begin(struct sb_server *server);
void sb_strangers_stop(struct sb_server *server);

/* Makes room for one more: closes the oldest when there are too many of them, or when the listener is full
 * otherwise. */
void sb_strangers_make_room(struct sb_listener *listener, bool full);

#endif
