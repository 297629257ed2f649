/* What a message of a log is, and to whom it goes: the one place where messages are told apart. A node reads
 * a log in four ways, and each has a table of what it does with them: ready (apply.c), not ready yet
 * (join.c), and reading it back with a state or in search of one (replay.c). What means the same to all
 * stands here. */
#ifndef SB_CORE_LOG_INTERPRET_H
#define SB_CORE_LOG_INTERPRET_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/history/history.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"

/* `who` is the reader's own. NULL: that kind means nothing to it. */
struct sb_reader {
  /* Every message first; `control` is NULL when it is none, or none that can be read. */
  void (*any)(void *who, const struct sb_message *message, const struct sb_control *control);
  void (*foreign)(void *who, const struct sb_message *message); /* of another program: a PUBLISH */
  void (*batch)(void *who, const struct sb_message *message);   /* numbered; not looked into yet */
  void (*hello)(void *who, const struct sb_message *message, const struct sb_control *hello);
  void (*genesis)(void *who, const struct sb_message *message, const struct sb_control *genesis);
  void (*snapshot)(void *who, const struct sb_message *message, const struct sb_control *piece);
  void (*checkpoint)(void *who, const struct sb_message *message, const struct sb_control *piece);
  void (*keys)(void *who, const struct sb_message *message, const struct sb_control *piece);
  void (*malformed)(void *who, const struct sb_message *message); /* no control message that is known */
};

void sb_interpret(const struct sb_reader *reader, void *who, const struct sb_message *message);

/* Keeps a message until the state is known, if it may change it: with references of its own, and without the
 * text of a SNAPSHOT. */
void sb_interpret_keep(struct sb_kept_list *list, const struct sb_message *message,
                       const struct sb_control *control, const struct sb_assembler *brought);

/* Applies the PUBLISH that a foreign message is. `of` says to what, but for the entry's body. */
struct sb_applied sb_interpret_foreign(const struct sb_applying *of, const struct sb_message *message);

/* What a GENESIS says, with the keys that it brings, which are the caller's. */
struct sb_genesis sb_genesis_of(const struct sb_message *message, const struct sb_control *control,
                                const struct sb_assembler *brought, struct sb_keys *keys);
/* sb_state_apply_genesis, with what follows for a history. */
bool sb_genesis_apply(struct sb_state *state, struct sb_history *history, const struct sb_genesis *genesis);

#endif
