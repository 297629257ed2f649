#include "bridge/core/state/founding.h"

#include "bridge/base/limits.h"

enum sb_founding_verdict sb_founding_judge(const struct sb_founding *founding,
                                           const struct sb_founding_view *view) {
  bool lacks_keys = founding->brings_keys && !founding->brought;
  if (founding->hello_at >= founding->sequence || founding->incarnation.start_ms > SB_START_MS_LEAP_MAX)
    return SB_FOUNDING_ABSENT;
  if (view->mark > founding->hello_at + 1) return SB_FOUNDING_VOID;
  if (founding->hello_at < view->marks_from) return SB_FOUNDING_UNKNOWN;
  if (!lacks_keys) return SB_FOUNDING_ACCEPTED;
  return founding->hello_at < view->keys_from ? SB_FOUNDING_UNKNOWN : SB_FOUNDING_ABSENT;
}
