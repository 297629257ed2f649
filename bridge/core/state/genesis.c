#include "bridge/core/state/genesis.h"

#include "bridge/base/limits.h"

enum sb_genesis_verdict sb_genesis_judge(const struct sb_genesis *genesis,
                                         const struct sb_genesis_view *view) {
  bool lacks_keys = genesis->brings_keys && !genesis->brought;
  if (genesis->hello_at >= genesis->sequence || genesis->incarnation.start_ms > SB_START_MS_LEAP_MAX)
    return SB_GENESIS_ABSENT;
  if (view->mark > genesis->hello_at + 1) return SB_GENESIS_VOID;
  if (genesis->hello_at < view->marks_from) return SB_GENESIS_UNKNOWN;
  if (!lacks_keys) return SB_GENESIS_ACCEPTED;
  return genesis->hello_at < view->keys_from ? SB_GENESIS_UNKNOWN : SB_GENESIS_ABSENT;
}
