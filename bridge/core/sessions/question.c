/* Questions about the whole cluster: PUBSUB NUMSUB, SHARDNUMSUB and NUMPAT. A question travels as an entry
 * through every log that it concerns and is answered with what those say at that position: so it knows
 * whatever was replied to anybody before it was asked. Nobody else needs to read it, and so it is only a
 * PING. */
#include "bridge/core/sessions/question.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/output.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/state/counts.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/name.h"

struct asked {
  struct sb_bytes name; /* in the memory behind the array */
  uint32_t partition;
  uint64_t sessions;
};

struct sb_question {
  enum sb_sub_kind kind; /* SB_SUB_PATTERN: how many patterns there are */
  uint64_t patterns;
  uint32_t count;
  struct asked at[];
};

static size_t question_size(const struct sb_bytes *names, uint32_t count) {
  size_t size = sizeof(struct sb_question) + count * sizeof(struct asked);
  for (uint32_t i = 0; i < count; i++) size += names[i].len;
  return size;
}

static struct sb_question *new_question(const struct sb_core *core, enum sb_sub_kind kind,
                                        const struct sb_bytes *names, uint32_t count) {
  struct sb_question *question = sb_calloc(1, question_size(names, count));
  uint8_t *to = (uint8_t *)&question->at[count];
  question->kind = kind;
  question->count = count;
  for (uint32_t i = 0; i < count; i++) {
    if (names[i].len) memcpy(to, names[i].at, names[i].len);
    question->at[i].name = sb_bytes(to, names[i].len);
    question->at[i].partition = sb_logs_partition(&core->logs, names[i]);
    to += names[i].len;
  }
  return question;
}

void sb_question_free(struct sb_question *question) {
  free(question);
}

static void send(struct sb_partition *part, const struct sb_waiter *waiter) {
  struct sb_core *core = sb_core_of(part);
  static const char ping[] = SB_ENTRY_HEARTBEAT;
  size_t len = sizeof ping - 1;
  uint8_t *at = sb_outbox_append_for(&part->outbox, len, core->logs.settings.batch_bytes,
                                     core->logs.settings.compress, waiter);
  memcpy(at, ping, len);
  core->logs.outbox_bytes += len;
}

enum sb_result sb_core_ask(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                           const struct sb_bytes *names, uint32_t count) {
  struct sb_waiter waiter = {.session = session, .count = 1, .what = SB_WAITS_ANSWER};
  enum sb_result result = sb_core_judge(core, sizeof SB_ENTRY_HEARTBEAT - 1);
  if (result != SB_DONE) return result;
  size_t size = question_size(names, count);
  if (!sb_session_has_room(core, session, size)) return SB_DONE; /* it ends for that */
  if (!sb_ring_expect(session, 1, &waiter.slot)) {
    core->logs.room_wanted = true;
    return SB_WAIT;
  }
  struct sb_question *question = new_question(core, kind, names, count);
  bool concerned[SB_PARTITIONS_MAX] = {0};
  uint32_t left = 0;
  if (kind == SB_SUB_PATTERN) concerned[0] = true; /* every log knows all patterns */
  for (uint32_t i = 0; i < count; i++) concerned[question->at[i].partition] = true;
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    if (concerned[i]) {
      send(&core->logs.partitions[i], &waiter);
      left++;
    }
  sb_ring_ask(session, waiter.slot, question, size, left);
  return SB_DONE;
}

void sb_question_again(struct sb_partition *part, const struct sb_waiter *waiter) {
  send(part, waiter);
}

void sb_question_look(struct sb_question *question, const struct sb_partition *part) {
  const struct sb_counts *counts = &part->state.counts;
  if (question->kind == SB_SUB_PATTERN) question->patterns = counts->patterns.count;
  for (uint32_t i = 0; i < question->count; i++) {
    struct asked *asked = &question->at[i];
    if (asked->partition == part->index)
      asked->sessions = sb_counts_channel(counts, sb_counts_id(counts, question->kind, asked->name));
  }
}

static void number_line(struct sb_buf *out, char first, uint64_t value) {
  char text[24] = {first};
  size_t len = 1 + sb_u64_text(value, text + 1);
  memcpy(text + len, "\r\n", 2);
  sb_buf_append(out, text, len + 2);
}

void sb_question_reply(const struct sb_question *question, struct sb_buf *out) {
  if (question->kind == SB_SUB_PATTERN) {
    number_line(out, ':', question->patterns);
    return;
  }
  number_line(out, '*', (uint64_t)question->count * 2);
  for (uint32_t i = 0; i < question->count; i++) {
    const struct asked *asked = &question->at[i];
    number_line(out, '$', asked->name.len);
    sb_buf_append(out, asked->name.at, asked->name.len);
    sb_buf_append(out, "\r\n", 2);
    number_line(out, ':', asked->sessions);
  }
}
