/* How a session ends. */
#ifndef SB_REDIS_SOCKETS_ENDING_H
#define SB_REDIS_SOCKETS_ENDING_H

struct sb_connection;

/* Takes no more requests, sends it nothing but the replies that are due, and closes it when they are written.
 */
void sb_connection_finish(struct sb_connection *c);

/* Ends it now; what was not written is lost. The structure lives on until the loop has called back and the
 * core has let it go. */
void sb_connection_close(struct sb_connection *c);

/* Call it when the core has let the session go. */
void sb_connection_released(struct sb_connection *c);

/* Frees the structure and all that it owns. Only when nobody refers to it any more. */
void sb_connection_free(struct sb_connection *c);

#endif
