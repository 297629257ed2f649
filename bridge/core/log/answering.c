#include "bridge/core/log/answering.h"

#include "bridge/base/assert.h"

void sb_answering_want(struct sb_answering *answering, uint64_t hello_at, uint64_t at_ms) {
  SB_ASSERT(!answering->due || hello_at > answering->after); /* the log is read in its order */
  if (!answering->due) answering->at_ms = at_ms;
  answering->due = true;
  answering->after = hello_at;
}

void sb_answering_seen(struct sb_answering *answering, uint64_t as_of, bool complete, uint64_t at_ms) {
  if (!answering->due || as_of < answering->after) return;
  answering->due = !complete;
  answering->at_ms = at_ms;
}

void sb_answering_end(struct sb_answering *answering) {
  answering->due = false;
}
