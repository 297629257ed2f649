/* What is taken of sessions, and what is refused, for want of room or by a limit. */
#ifndef SB_CORE_SESSIONS_ROOM_H
#define SB_CORE_SESSIONS_ROOM_H

#include <stddef.h>

#include "bridge/core/sessions/sessions.h"

struct sb_core;

/* SB_REFUSED, with the reason for its client. */
__attribute__((format(printf, 2, 3))) enum sb_result sb_core_refuse(struct sb_core *core, const char *format,
                                                                    ...);
enum sb_result sb_core_too_large(struct sb_core *core, size_t len); /* likewise; SB_TOO_LARGE */

/* SB_WAIT: the request is to be offered again when there is room, also in its session's ring of replies. */
enum sb_result sb_core_wait_for_room(struct sb_core *core);

/* Why an entry of `len` bytes that is not simply taken is not taken; SB_DONE: it is after all. */
enum sb_result sb_core_judge(struct sb_core *core, size_t len);
/* The same for several entries that have `len` bytes together. */
enum sb_result sb_core_judge_all(struct sb_core *core, size_t len);

/* Says whether publishes are simply taken where there is room: not while the bridge stops, nor in an outage
 * when it refuses then. To be called when one of these has changed. */
void sb_core_set_gate(struct sb_core *core);

#endif
