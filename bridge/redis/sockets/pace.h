/* Whether the log is to be left alone for a moment, so that the sessions that read it can follow.
 *
 * After an outage the log comes in one burst, faster than clients read. So a session that has more than the
 * mark waiting for it may hold the log up: nothing is taken from the log until that session has read. Two
 * amounts of time bound this:
 *
 * - The patience of a session. It starts with SB_PACE_PATIENCE_MS, loses the time for which the log stood,
 *   and grows with what the session reads. A session that reads SB_PACE_RATE_BYTES a second is waited for all
 *   the time, one that reads a tenth of that for a tenth of the time, one that does not read once and
 *   briefly.
 * - The budget of the node, for all sessions together. It grows with an outage. Nobody gets a message later
 *   than that because of others.
 *
 * Without patience or without budget the log is read as it comes, and the limits of outputs apply.
 *
 *     budget  ▲ at most SB_PACE_OUTAGE_MS, filled by an outage for twice as long as it lasted
 *             │ SB_PACE_BUDGET_MS, filled slowly at other times
 *             ▼ empties while the log stands
 *
 * Pure: time comes as an argument. Storage that the caller holds. */
#ifndef SB_REDIS_SOCKETS_PACE_H
#define SB_REDIS_SOCKETS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_pace {
  size_t mark_bytes; /* above it a session holds the log up */
  size_t rate_bytes; /* a session that reads so much a second is always waited for */
  uint64_t now_ms;   /* when it was told the time last */
  uint64_t budget;   /* in ms times SB_PACE_REGAIN */
  uint64_t stood_ms; /* how long the log stood in all */
  uint64_t times,
      used_up;       /* how often the log was let stand, and how often not because the budget was empty */
  uint64_t taken_ms; /* when something was last taken from the log, or it last stood because of us */
  uint64_t lost_ms;  /* when a link was lost after that; 0: none was */
  bool stands;
  bool empty; /* used_up counted this; it counts again when a quarter of the budget is back */
};

struct sb_pace_session {
  uint64_t patience_until_us; /* on the clock of stood_ms */
};

/* How much may wait for a session before it holds the log up: so far below the limits that one more message
 * reaches neither. A limit of 0 bytes is none. */
size_t sb_pace_mark(size_t hard_bytes, size_t soft_bytes);

void sb_pace_init(struct sb_pace *pace, uint64_t now_ms, size_t hard_bytes, size_t soft_bytes);
void sb_pace_limits(struct sb_pace *pace, size_t hard_bytes, size_t soft_bytes); /* for a reload */

void sb_pace_session_init(const struct sb_pace *pace, struct sb_pace_session *session);

/* The peer of the session has read `bytes`. */
void sb_pace_has_read(const struct sb_pace *pace, struct sb_pace_session *session, size_t bytes);

/* Whether the session may hold the log up. */
bool sb_pace_is_patient(const struct sb_pace *pace, const struct sb_pace_session *session);

/* Call it once a turn, before the two below. Returns for how many ms the log stood since the last call. */
uint64_t sb_pace_tell_time(struct sb_pace *pace, uint64_t now_ms);

/* `held_up`: a session holds the log up, and something waits in it. True: let the log stand. */
bool sb_pace_decide(struct sb_pace *pace, bool held_up);

/* Ask when something is taken from the log: whether it was silent for so long that there may have been an
 * outage. */
bool sb_pace_was_silent(const struct sb_pace *pace);

/* Something was taken from the log. `unheard_ms`: how long a batch of ours was on its way through it; 0 when
 * the log was not silent. */
void sb_pace_goes_on(struct sb_pace *pace, uint64_t unheard_ms);

void sb_pace_link_lost(struct sb_pace *pace);

#endif
