/* How sockets have requests run: a few functions, set at the start. So commands know sockets and sessions,
 * and not the other way round. */
#ifndef SB_REDIS_SOCKETS_REQUESTS_H
#define SB_REDIS_SOCKETS_REQUESTS_H

#include <stddef.h>

#include "bridge/base/bytes.h"

struct sb_connection;
struct sb_request;

/* Why the request of a session is not taken yet. */
enum sb_held {
  SB_HELD_NOT,
  SB_HELD_REPLIES,  /* until all earlier replies have come, also that of an XREAD that blocks */
  SB_HELD_RING,     /* until half of the ring of replies is free */
  SB_HELD_ROOM,     /* until the core has room, or is ready */
  SB_HELD_PASSWORD, /* until a wrong password is answered */
  SB_HELD_TURN,     /* until its next turn: its share of this one is used up */
};

struct sb_requests {
  /* Judges and runs the request that stands at the start of `input`. SB_HELD_NOT: it is taken, and its reply
   * is in the ring or will be. *used is how much of the input was taken: more than one request where others
   * like it followed. Otherwise nothing happened, and the request is to be offered again. */
  enum sb_held (*run)(struct sb_connection *c, const struct sb_request *request, struct sb_bytes input,
                      size_t *used);

  /* Takes the session out of MONITOR mode, if it is in it. */
  void (*hush)(struct sb_connection *c);

  /* The session is closed: frees what is kept for it. May be called twice. */
  void (*forget)(struct sb_connection *c);

  /* What is kept for a session: how much memory it takes; and the name that its client gave it, or "". */
  size_t (*bytes)(const struct sb_connection *c);
  const char *(*name)(const struct sb_connection *c);
};

#endif
