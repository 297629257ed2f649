/* The list of all sessions. */
#ifndef SB_REDIS_SOCKETS_ROSTER_H
#define SB_REDIS_SOCKETS_ROSTER_H

struct sb_connection;
struct sb_roster;

void sb_roster_init(struct sb_roster *roster);

/* Gives the session its id. */
void sb_roster_add(struct sb_connection *c);

/* To be called when the session is closed; and when the core has let it go. */
void sb_roster_close(struct sb_connection *c);
void sb_roster_remove(struct sb_connection *c);

#endif
