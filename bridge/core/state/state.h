/* The state that all nodes share about one log: a function of the log alone. The rules are those of
 * docs/log.md; each function below applies one message and says what it meant, and two nodes that applied the
 * same messages hold equal states. What changes the shared keys is in keys.h and op.h; they are written, read
 * and compared with the rest, as seen at log time. */
#ifndef SB_CORE_STATE_STATE_H
#define SB_CORE_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/core/state/counts.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/rows.h"
#include "bridge/core/wire/fragment.h"

struct sb_state {
  uint64_t generation;
  uint32_t partitions;
  uint64_t time_ms;        /* log time: the highest accepted, within the bound of sb_state_batch */
  uint64_t elder_ms;       /* what the eldest member has said, or log time when it became that */
  struct sb_claim chain;   /* the sum over all that was accepted since the GENESIS */
  uint64_t mark;           /* sequence + 1 of the last SNAPSHOT or GENESIS; 0: none */
  struct sb_rows members;  /* in order of joining */
  struct sb_rows departed; /* in order of leaving; bounded, the oldest is forgotten */
  struct sb_counts counts; /* what members subscribe to; goes with their incarnation */
  uint32_t last_id;
  struct sb_keys keys;
  uint64_t restore_until_ms; /* the log time until which keys of the log before are taken; 0: they are not */
  size_t unfinished_bytes;   /* of all rows */
};

void sb_state_close(struct sb_state *state);

/* The index of a member, or -1. */
int sb_state_member(const struct sb_state *state, const char *name);

/* The row of a member or a departed one, or NULL. */
const struct sb_row *sb_state_row(const struct sb_state *state, const char *name);

/* Whether that member came before all others that are there. */
bool sb_state_is_eldest(const struct sb_state *state, const char *name);

enum sb_verdict {
  SB_VERDICT_ACCEPTED,
  SB_VERDICT_DUPLICATE, /* lower number */
  SB_VERDICT_HOLE,      /* higher number */
  SB_VERDICT_LOSS,      /* higher, and its sender saw those between accepted: this node was not shown them */
  SB_VERDICT_STRANGER,  /* no row, another incarnation or another generation */
};

/* Judges a numbered batch. When it is accepted, its sender's row advances, and log time with it. The eldest
 * member's time is believed. Another's counts only up to SB_TIME_AHEAD_MS beyond that, so that a newcomer
 * whose clock says tomorrow expires no key. */
enum sb_verdict sb_state_batch(struct sb_state *state, const struct sb_envelope *envelope);

/* A batch, a HELLO or a foreign message was accepted at that place: the chain goes on. GENESIS begins it
 * anew. */
void sb_state_accepted(struct sb_state *state, uint64_t sequence, const struct sb_envelope *envelope);

/* Notes that this node applied a batch of that member now, for people who ask. */
void sb_state_heard(struct sb_state *state, const char *name, uint64_t now_ms);

/* Notes that the claim of that member about that place agreed with what this node accepted. */
void sb_state_agreed(struct sb_state *state, const char *name, uint64_t at);

/* HELLO. Accepted: the node is the last member, with number 0, and its older incarnation is gone; if it knows
 * a higher generation than ours (a log was re-created, and founded by one whose clock is behind), ours
 * becomes higher than that, so that ids never run backwards. Refused when the incarnation is not higher than
 * any known for that name, when its start is above SB_START_MS_LEAP_MAX and not the next one for that name,
 * when P differs or when there are SB_MEMBERS_MAX members. */
bool sb_state_hello(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                    uint32_t partitions, uint64_t known_generation);

/* Any piece of a SNAPSHOT: it voids a GENESIS whose HELLO is before it. */
void sb_state_snapshot_seen(struct sb_state *state, uint64_t sequence);

/* GENESIS (genesis.h). Accepted: the state is empty but for the founder, and for the keys when it keeps or
 * brings them: those that have not expired at its time. */
bool sb_state_apply_genesis(struct sb_state *state, const struct sb_genesis *genesis);
enum sb_genesis_verdict sb_state_judge_genesis(const struct sb_state *state,
                                               const struct sb_genesis *genesis); /* changes nothing */

/* BYE for a row that is still at that incarnation and number. */
bool sb_state_bye(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                  uint64_t number);

/* What the node of an accepted batch says about one channel or pattern. False: the limit of limits.h is
 * reached; all nodes ignore it alike. */
bool sb_state_interest(struct sb_state *state, const char *name, enum sb_sub_kind kind, struct sb_bytes topic,
                       uint32_t count);

/* RESTORE and RESTORED in an accepted batch: a member brings a key that it held of the log before, its expiry
 * in ms from the batch's log time; and says that it has no more. After a GENESIS without keys they are taken
 * for SB_RESTORE_MS, or until one member has said that it has no more. A key that is there already, or for
 * which there is no room, is passed over. */
void sb_state_restore(struct sb_state *state, const struct sb_key_text *key);
void sb_state_restored(struct sb_state *state);
bool sb_state_restores(const struct sb_state *state); /* whether keys are taken now */

/* A fragment of an entry, in an accepted batch of that member. Each must follow the one before; the first
 * begins anew. */
enum sb_fragments {
  SB_FRAGMENTS_MORE,  /* it is kept */
  SB_FRAGMENTS_WHOLE, /* it was the last: *whole is the entry, the caller's now */
  SB_FRAGMENTS_VOID,  /* it continues nothing, or there is too much; all that belongs to it is gone */
};
enum sb_fragments sb_state_fragment(struct sb_state *state, const char *name,
                                    const struct sb_fragment *fragment, struct sb_buf *whole);

/* Whether `len` more bytes may be unfinished: of that row, and of all rows together. */
bool sb_state_has_room(const struct sb_state *state, const struct sb_unfinished *unfinished, size_t len);

/* A batch of that member was accepted that is no fragment: drops the entry that it left unfinished. */
void sb_state_fragments_end(struct sb_state *state, const char *name);

/* The state as commands in canonical form, and back. Reading checks everything; false leaves an empty state.
 */
void sb_state_write(const struct sb_state *state, struct sb_buf *out);
void sb_state_write_checkpoint(const struct sb_state *state, struct sb_buf *out); /* without subscriptions */
bool sb_state_read(struct sb_state *state, struct sb_bytes text);

/* Nothing in it stands behind that place, of which it is said to be. */
bool sb_state_stands_at(const struct sb_state *state, uint64_t as_of);

bool sb_state_equal(const struct sb_state *a, const struct sb_state *b);

#endif
