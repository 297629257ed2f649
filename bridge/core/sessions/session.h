/* One local session as the core sees it. The socket side embeds it in a structure of its own, opens it with
 * sb_core_session_open, says how it wants to be spoken to, and writes out what gathers in `outlet.out`; all
 * else belongs to the core. Each member is written by the module whose header it comes from. */
#ifndef SB_CORE_SESSIONS_SESSION_H
#define SB_CORE_SESSIONS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/positions.h"
#include "bridge/core/sessions/ring.h"

struct sb_blocked;

struct sb_session {
  struct sb_outlet outlet; /* what waits to be written to it */

  uint8_t proto; /* 2 or 3: RESP version */
  bool ids;      /* RESP3: each message is preceded by its id */

  struct sb_ring ring;            /* its requests that wait for the log, and what stands behind such a one */
  struct sb_subs subs;            /* what it subscribes to */
  struct sb_positions *positions; /* that it waits for before it reads */
  struct sb_blocked *blocked; /* serve.c: an XREAD that waits for entries; NULL: none. Nothing else is taken
                                 meanwhile */
};

/* The socket side says how the session wants to be spoken to, between two requests. */
static inline void sb_session_speak(struct sb_session *session, uint8_t proto) {
  session->proto = proto;
}

static inline void sb_session_send_ids(struct sb_session *session, bool on) {
  session->ids = on;
}

#define SB_SESSION_OF(part, member)                                                                          \
  ((struct sb_session *)(void *)((char *)(part)-offsetof(struct sb_session, member)))

static inline struct sb_session *sb_session_of_outlet(struct sb_outlet *outlet) {
  return SB_SESSION_OF(outlet, outlet);
}

/* Of a subscription that has one: sub->owner is not NULL. */
static inline struct sb_session *sb_session_of_sub(const struct sb_sub *sub) {
  return SB_SESSION_OF(sub->owner, subs);
}

/* Requests that wait for the log or stand behind such a one. */
static inline uint32_t sb_session_waiting(const struct sb_session *session) {
  return sb_ring_waiting(&session->ring);
}

/* Its output would have exceeded its limit: nothing is added any more, close it. */
static inline bool sb_session_is_over_limit(const struct sb_session *session) {
  return session->outlet.state == SB_OUTLET_OVER_LIMIT;
}

/* What waits to be written to it, or to be put in front of that, in bytes. */
static inline size_t sb_session_output_bytes(const struct sb_session *session) {
  return session->outlet.out.bytes + session->outlet.held_bytes + session->outlet.kept_bytes;
}

/* What it costs beside that and beside its own structure, as if nobody shared it. */
size_t sb_session_bytes(const struct sb_session *session);

#endif
