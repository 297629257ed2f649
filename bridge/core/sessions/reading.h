/* Reading streams, for XREADs that come and those that wait. */
#ifndef SB_CORE_SESSIONS_READING_H
#define SB_CORE_SESSIONS_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/read_streams.h"
#include "bridge/core/sessions/session.h"

struct sb_core;

enum sb_reading { SB_READ_NOTHING, SB_READ_SOMETHING, SB_READ_LATER };

/* Appends the reply when there is something to read, or an error. LATER: it is read back for this session,
 * and readers_wait will be set. NOTHING: `after` may have been moved on to where there is nothing. */
enum sb_reading sb_read_streams(struct sb_core *core, struct sb_session *session,
                                const struct sb_streams *streams, struct sb_buf *reply);

/* Where a session reads a key: in what was read back for it, or in what is known now. */
struct sb_op_place sb_session_place(struct sb_core *core, const struct sb_session *session,
                                    struct sb_bytes name, struct sb_buf *reply);

#endif
