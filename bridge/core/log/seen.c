#include "bridge/core/log/seen.h"

#include "bridge/base/assert.h"
#include "bridge/base/link.h"

static void begin(struct sb_seen *seen, bool hides_tail) {
  seen->state = hides_tail ? SB_SEEN_NOTHING : SB_SEEN_EMPTY;
}

void sb_seen_init(struct sb_seen *seen, bool hides_tail) {
  begin(seen, hides_tail);
}

void sb_seen_attached(struct sb_seen *seen, enum sb_attach how, bool hides_tail) {
  if (how == SB_ATTACH_NEW_LOG) begin(seen, hides_tail);
  if (how == SB_ATTACH_ALONE && !sb_seen_any(seen)) seen->state = SB_SEEN_EMPTY;
}

void sb_seen_lost(struct sb_seen *seen) {
  seen->state = sb_seen_any(seen) ? SB_SEEN_MESSAGES : SB_SEEN_NOTHING;
}

void sb_seen_heard(struct sb_seen *seen, uint64_t now_ms) {
  SB_ASSERT(now_ms >= seen->heard_ms);
  seen->heard_ms = now_ms;
}

void sb_seen_message(struct sb_seen *seen, uint64_t sequence, bool last_left) {
  SB_ASSERT(!sb_seen_before(seen, sequence));
  seen->last = sequence;
  seen->state = last_left ? SB_SEEN_LAST_LEFT : SB_SEEN_MESSAGES;
}

void sb_seen_unfit(struct sb_seen *seen, uint64_t sequence) {
  sb_seen_message(seen, sequence, seen->state == SB_SEEN_LAST_LEFT);
}
