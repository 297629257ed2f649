/* What becomes of requests that wait for a log: answered, refused, told that it is not known, or abandoned.
 */
#include "bridge/core/sessions/answers.h"

#include <stdbool.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/ask.h"
#include "bridge/core/sessions/fanout.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/question.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/serve.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/subscribe.h"
#include "bridge/core/wire/name.h"

static const char gap_reply[] = "-GAP ordered, position unknown\r\n";

static void settle_reply(struct sb_core *core, const struct sb_waiter *waiter, enum sb_outcome outcome,
                         struct sb_bytes reply) {
  if (outcome == SB_OUTCOME_UNKNOWN) reply = sb_bytes(gap_reply, sizeof gap_reply - 1);
  if (outcome == SB_OUTCOME_ABANDONED) reply = sb_bytes(NULL, 0);
  sb_session_answer_each(core, waiter, reply);
}

static void settle_subscription(struct sb_partition *part, const struct sb_waiter *waiter,
                                enum sb_outcome outcome, struct sb_bytes error) {
  struct sb_core *core = sb_core_of(part);
  switch (outcome) {
  case SB_OUTCOME_UNKNOWN:
    /* The log may not know of it: the number is said again, whatever it is by now. */
    sb_subscription_say_again(part, waiter->sub->topic, (enum sb_sub_kind)waiter->sub->kind);
    sb_subscription_changed(core, part->index, waiter);
    break;
  case SB_OUTCOME_RAN:
    sb_subscription_changed(core, part->index, waiter);
    break;
  case SB_OUTCOME_REFUSED:
    sb_subscription_refused(part, waiter, error);
    break;
  case SB_OUTCOME_ABANDONED:
    sb_subscription_abandoned(core, waiter);
    break;
  }
}

static void settle_question(struct sb_partition *part, const struct sb_waiter *waiter,
                            enum sb_outcome outcome, struct sb_bytes error) {
  struct sb_core *core = sb_core_of(part);
  struct sb_question *question;
  switch (outcome) {
  case SB_OUTCOME_UNKNOWN:
    sb_question_again(part, waiter);
    break;
  case SB_OUTCOME_RAN:
    question = sb_ring_question(&waiter->session->ring, waiter->slot);
    if (question) sb_question_look(question, part); /* else it was refused elsewhere, or its session closed */
    sb_session_count_down(core, waiter->session, waiter->slot);
    break;
  case SB_OUTCOME_REFUSED:
    sb_session_fail(core, waiter->session, waiter->slot, error);
    break;
  case SB_OUTCOME_ABANDONED:
    sb_session_count_down(core, waiter->session, waiter->slot);
    break;
  }
}

static void settled(struct sb_partition *part, const struct sb_waiter *waiter, enum sb_outcome outcome,
                    struct sb_bytes reply) {
  switch (waiter->what) {
  case SB_WAITS_INTEGER:
  case SB_WAITS_REPLY:
    settle_reply(sb_core_of(part), waiter, outcome, reply);
    break;
  case SB_WAITS_JOINED:
  case SB_WAITS_LEFT:
    settle_subscription(part, waiter, outcome, reply);
    break;
  case SB_WAITS_ANSWER:
    settle_question(part, waiter, outcome, reply);
    break;
  }
}

static void counted(struct sb_partition *part, const struct sb_waiter *waiter, uint32_t slot, uint32_t count,
                    uint64_t receivers) {
  sb_session_answer_integers(sb_core_of(part), waiter->session, slot, count, receivers);
}

static uint8_t proto(const struct sb_waiter *waiter) {
  const struct sb_session *session = waiter->what == SB_WAITS_REPLY ? waiter->session : NULL;
  return session && sb_outlet_is_open(&session->outlet) ? session->proto : 0;
}

uint32_t sb_answers_awaited(const struct sb_waiter *waiter) {
  bool is_subscription = waiter->what == SB_WAITS_JOINED || waiter->what == SB_WAITS_LEFT;
  return waiter->session && !is_subscription ? waiter->count : 0;
}

const struct sb_log_events sb_answers = {
    .settled = settled,
    .counted = counted,
    .proto = proto,
    .delivered = sb_fan_out,
    .added = sb_serve_added,
    .changed = sb_serve_changed,
    .passed = sb_serve_passed,
    .readable = sb_serve_readable,
    .announce = sb_subscriptions_announce,
};
