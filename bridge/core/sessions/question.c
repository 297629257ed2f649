/* What a question asks for, gathered log by log. */
#include "bridge/core/sessions/question.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/counts.h"
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

size_t sb_question_size(const struct sb_bytes *names, uint32_t count) {
  size_t size = sizeof(struct sb_question) + count * sizeof(struct asked);
  for (uint32_t i = 0; i < count; i++) size += names[i].len;
  return size;
}

struct sb_question *sb_question_new(const struct sb_logs *logs, enum sb_sub_kind kind,
                                    const struct sb_bytes *names, uint32_t count) {
  struct sb_question *question = sb_calloc(1, sb_question_size(names, count));
  uint8_t *to = (uint8_t *)&question->at[count];
  question->kind = kind;
  question->count = count;
  for (uint32_t i = 0; i < count; i++) {
    if (names[i].len) memcpy(to, names[i].at, names[i].len);
    question->at[i].name = sb_bytes(to, names[i].len);
    question->at[i].partition = sb_logs_partition(logs, names[i]);
    to += names[i].len;
  }
  return question;
}

void sb_question_concerns(const struct sb_question *question, bool *concerned) {
  if (question->kind == SB_SUB_PATTERN) concerned[0] = true; /* every log knows all patterns */
  for (uint32_t i = 0; i < question->count; i++) concerned[question->at[i].partition] = true;
}

void sb_question_free(struct sb_question *question) {
  free(question);
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
