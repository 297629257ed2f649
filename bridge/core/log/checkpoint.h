/* When the state is written to the log once more. */
#ifndef SB_CORE_LOG_CHECKPOINT_H
#define SB_CORE_LOG_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/core/log/outside.h"
#include "bridge/core/wire/control.h"

/* What was applied since the last CHECKPOINT. */
struct sb_checkpoints {
  uint64_t messages, bytes; /* since the last one */
  uint64_t since_ms;        /* of it, or of the first message since; monotonic */
  size_t last_bytes;        /* of its text */
  size_t piece_bytes;       /* of the pieces seen of one that is not complete */
  bool had_keys;            /* it may have had some: they are in the log until the next one */
};

/* A member that might write one. */
struct sb_checkpoint_writer {
  const struct sb_core_settings *settings;
  uint32_t turn;   /* its place among the members: how many are asked before it */
  bool keeps_some; /* there are keys, or streams can be read */
};

/* A state was taken over that has keys, or none. */
void sb_checkpoint_restart(struct sb_checkpoints *checkpoints, bool has_keys);
/* A message was applied. */
void sb_checkpoint_count(struct sb_checkpoints *checkpoints, size_t bytes, uint64_t now_ms);
/* A piece of a SNAPSHOT or CHECKPOINT was met, which took the keys with it where there are any. */
void sb_checkpoint_seen(struct sb_checkpoints *checkpoints, const struct sb_control *control, bool has_keys);
/* One is wanted soon: the last one may be far back. */
void sb_checkpoint_want(struct sb_checkpoints *checkpoints, const struct sb_core_settings *settings);
/* This member writes one. */
void sb_checkpoint_begun(struct sb_checkpoints *checkpoints);

/* It is time for one, and this member's turn to write it. */
bool sb_checkpoint_is_due(const struct sb_checkpoints *checkpoints, const struct sb_checkpoint_writer *writer,
                          uint64_t now_ms);
uint64_t sb_checkpoint_deadline(const struct sb_checkpoints *checkpoints,
                                const struct sb_checkpoint_writer *writer);

#endif
