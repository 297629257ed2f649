/* Questions about the whole cluster: PUBSUB NUMSUB, SHARDNUMSUB and NUMPAT. A question travels as an entry
 * through every log that it concerns and is answered with what those say at that position: so it knows
 * whatever was replied to anybody before it was asked. Nobody else needs to read it, and so it is only a
 * PING. */
#include "bridge/core/sessions/ask.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/intake.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/question.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/room.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/name.h"

static void send(struct sb_partition *part, const struct sb_waiter *waiter) {
  static const char ping[] = SB_ENTRY_HEARTBEAT;
  memcpy(sb_intake(part, sizeof ping - 1, waiter), ping, sizeof ping - 1);
}

enum sb_result sb_core_ask(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                           const struct sb_bytes *names, uint32_t count) {
  struct sb_waiter waiter = {.session = session, .count = 1, .what = SB_WAITS_ANSWER};
  enum sb_result result = sb_core_judge(core, sizeof SB_ENTRY_HEARTBEAT - 1);
  if (result != SB_DONE) return result;
  size_t size = sb_question_size(names, count);
  if (!sb_outlet_has_room(&core->outputs, &session->outlet, size)) return SB_DONE; /* it ends for that */
  if (!sb_session_expect(session, 1, &waiter.slot)) return sb_core_wait_for_room(core);
  struct sb_question *question = sb_question_new(&core->logs, kind, names, count);
  bool concerned[SB_PARTITIONS_MAX] = {0};
  uint32_t left = 0;
  sb_question_concerns(question, concerned);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    if (concerned[i]) {
      send(&core->logs.partitions[i], &waiter);
      left++;
    }
  SB_ASSERT(left > 0);
  sb_session_ask(session, waiter.slot, question, size, left);
  return SB_DONE;
}

void sb_question_again(struct sb_partition *part, const struct sb_waiter *waiter) {
  send(part, waiter);
}
