#include "bridge/core/sessions/session.h"

#include "bridge/base/output.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/range.h"
#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/output.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/sessions.h"

void sb_core_session_open(struct sb_core *core, struct sb_session *session, uint8_t proto) {
  (void)core;
  session->proto = proto;
  session->open = true;
}

void sb_core_session_close(struct sb_core *core, struct sb_session *session) {
  if (session->blocked) sb_blocked_drop(core, session);
  sb_ranges_end(&core->logs, session);
  sb_session_forget_last_ids(session);
  session->open = false;
  sb_core_unsubscribe_all(core, session);
  sb_session_clean(core, session);
  sb_output_close(&session->out);
  sb_session_drop_holds(session);
  sb_ring_forget(session);
  if (sb_session_waiting(session) > 0) return; /* released with its last answer */
  sb_ring_close(session);
  core->logs.io.released(core->logs.io.owner, session);
}
