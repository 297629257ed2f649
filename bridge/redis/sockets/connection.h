/* One session of a client: its socket, the bytes that were read and not yet used, and what holds it up.
 *
 * Requests are taken in order. A request that cannot be taken yet stays where it is, and nothing more is read
 * from that session: its kernel buffer fills, which is the back-pressure. The field `held` says why:
 *
 *     reading ──▶ request ──▶ taken ──▶ the next request
 *                  ▲   │
 *                  │   │ why it is not taken yet                                    what it waits for
 *                  │   ├── earlier replies must come first ──▶ SB_HELD_REPLIES  ──▶ all of them have come ──┐
 *                  │   ├── the ring of replies is full ──────▶ SB_HELD_RING     ──▶ half of it is free ─────┤
 *                  │   ├── the core has no room, or is ──────▶ SB_HELD_ROOM     ──▶ io.room of the core ────┤
 *                  │   │   not ready                                                                        │
 *                  │   ├── it gave a wrong password ─────────▶ SB_HELD_PASSWORD ──▶ SB_WRONG_PASSWORD_MS ───┤
 *                  │   └── its share of the turn is used up ─▶ SB_HELD_TURN     ──▶ its next turn ──────────┤
 *                  │                                                                                        │
 *                  └────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * A peer that has said all it has to say (shutdown of its sending side) is served until it has its answers.
 * One that is gone is closed, also while a request is held. Owned by the loop's thread; freed when both libuv
 * and the core have let it go. */
#ifndef SB_REDIS_SOCKETS_CONNECTION_H
#define SB_REDIS_SOCKETS_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "bridge/base/bytes.h"
#include "bridge/core/sessions/session.h"
#include "bridge/redis/protocol/request.h"
#include "bridge/redis/sockets/input.h"
#include "bridge/redis/sockets/list.h"
#include "bridge/redis/sockets/pace.h"
#include "bridge/redis/sockets/requests.h"
#include "bridge/redis/sockets/share.h"

struct sb_command;
struct sb_listener;
struct sb_server;
struct sb_stranger;
struct sb_words;

struct sb_connection {
  struct sb_session session;
  struct sb_server *server;
  struct sb_listener *listener;
  int fd;         /* -1: closed */
  uint8_t events; /* what libuv watches for */
  uint8_t held;   /* enum sb_held */

  bool end_of_input : 1; /* the end of what the peer sent was read */
  bool peer_done : 1;    /* the peer has ended its sending side: it sends nothing more */
  bool deaf : 1;         /* the peer is gone: what it sent before is still run, replies are dropped */
  bool finishing : 1; /* take no more requests, close when all replies are written (QUIT, protocol error) */
  bool write_blocked : 1; /* the socket is full */
  bool no_evict : 1;      /* CLIENT NO-EVICT: see evict.h */
  bool told_busy : 1;     /* it was told -BUSY, and is closed when that is over */
  bool evicted : 1;       /* dropped because sessions took too much memory; closed at the end of the turn */
  bool handle_closed : 1, released : 1;

  size_t charged;        /* memory.c */
  struct sb_input input; /* what was read and not used */
  struct sb_parser parser;

  uint64_t id;
  uint64_t opened_ms, active_ms, soft_ms; /* of the loop's clock; soft_ms: since when above the soft limit */
  struct sb_stranger *stranger; /* until it has given the password; NULL: it has, or there is none */

  /* Kept by those who run its requests (requests.h): the last command, NULL before the first; and what
   * commands keep about the session, NULL when that is nothing. */
  const struct sb_command *last;
  struct sb_words *words;

  struct sb_link link;        /* in all or closed */
  struct sb_link wait_link;   /* in waiting */
  struct sb_link soft_link;   /* in soft */
  struct sb_link behind_link; /* in behind */
  struct sb_pace_session pace;
  struct sb_share share;
  uv_poll_t poll;
};

/* Notes that it got -BUSY. Some clients (ASP.NET SignalR 2) stay with that error until they connect anew, so
 * the session is closed when the broker is back. */
void sb_connection_told_busy(struct sb_connection *c);
void sb_connection_forget_busy(struct sb_connection *c);

/* The name that the client gave the session, or "". */
const char *sb_connection_name(const struct sb_connection *c);

/* Logs that it is closed, and why. */
void sb_connection_log_close(struct sb_connection *c, const char *why);

static inline struct sb_connection *sb_connection_of(struct sb_session *session) {
  return SB_OF_LINK(session, struct sb_connection, session);
}

static inline bool sb_connection_is_subscribed(const struct sb_connection *c) {
  return c->session.subs.count[SB_SUB_CHANNEL] + c->session.subs.count[SB_SUB_PATTERN] +
             c->session.subs.count[SB_SUB_SHARD] >
         0;
}

/* "path:0" or "address:port" of the peer and of this end, as Redis writes them. */
void sb_connection_peer(const struct sb_connection *c, char *out, size_t size);
void sb_connection_self(const struct sb_connection *c, char *out, size_t size);
#define SB_ADDRESS_TEXT 160 /* a socket path or an IPv6 address with its port */

#endif
