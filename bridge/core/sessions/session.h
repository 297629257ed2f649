/* One local session as the core sees it: what it subscribes to, which of its requests wait for the log, what
 * waits to be written to its socket. The socket side embeds it in a structure of its own, opens it with
 * sb_core_session_open and writes out what gathers in `out`; all else belongs to the core.
 *
 * Replies keep the order of the requests: a request that waits for the log takes a slot in the ring, and
 * whatever is answered behind it waits in a slot of its own until the slots before it are answered. */
#ifndef SB_CORE_SESSIONS_SESSION_H
#define SB_CORE_SESSIONS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/output.h"
#include "bridge/core/wire/name.h"

struct sb_sub;
struct sb_slot;
struct sb_hold;
struct sb_blocked;
struct sb_last_ids;

struct sb_session {
  struct sb_output out; /* the socket side takes bytes from here with sb_output_peek and sb_output_drop */
  uint8_t proto;        /* 2 or 3: RESP version, set by the socket side between requests */
  bool over_limit;      /* its output would exceed the hard limit: nothing is added any more, close it */

  bool ids; /* RESP3: each message is preceded by its id, set by the socket side likewise */

  bool open;
  bool dirty; /* on the core's list of sessions with new output */
  struct sb_session *dirty_next, **dirty_prev;

  struct sb_slot *slots; /* ring [answered, expected) of a power of two; NULL while never used */
  uint32_t slots_cap;
  uint32_t expected, answered;

  struct sb_sub *subs[SB_SUB_KINDS];
  uint32_t sub_count[SB_SUB_KINDS]; /* what it asked for, in the order of its requests */

  size_t sub_bytes; /* what these cost, with their names, as if nobody shared them */

  uint64_t ahead_until_ms; /* a position is waited for until then; 0: none is */
  uint64_t ahead_again_ms; /* the last one did not come: none is waited for before then */
  struct sb_last_ids
      *last_ids; /* an XREAD waits until it can read: where its "$" stand; NULL: none has one */
  struct sb_blocked
      *blocked;         /* an XREAD that waits for entries; NULL: none. Nothing else is taken meanwhile */
  size_t blocked_bytes; /* what that costs, with its names, as if nobody shared them */

  struct sb_hold *holds; /* pushes that wait for a confirmation to be written first */
  size_t held_bytes;     /* of them */
  size_t slot_bytes;     /* of replies and questions in the ring; both count to the hard limit */
};

/* Requests that wait for the log or stand behind such a one. */
static inline uint32_t sb_session_waiting(const struct sb_session *session) {
  return session->expected - session->answered;
}

#endif
