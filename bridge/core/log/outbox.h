/* What this node has published to one log and not yet seen accepted: batches in order, the last of them open.
 *
 *   accepted │ in flight: sent, echo awaited │ sealed: full, waiting to leave │ open: still collecting
 *            └ first                         └ first + in_flight
 *
 * Batches get their numbers when they are first sent under an incarnation; when the node needs a new
 * incarnation, the same batches are numbered again from 1 (sb_outbox_put_back). An entry that no message
 * holds is cut when its turn comes, into batches of one fragment each; all share it, so that it can be sent
 * from the first one on again for as long as the last one was not accepted. One thread. */
#ifndef SB_CORE_LOG_OUTBOX_H
#define SB_CORE_LOG_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/wire/codec.h"

struct sb_session;
struct sb_sub;

/* What is to be done when an entry has come back. */
enum sb_waits {
  SB_WAITS_INTEGER, /* the next slot gets a number of receivers; session NULL: nothing */
  SB_WAITS_JOINED,  /* the subscription is active, the slot has one entry less to wait for */
  SB_WAITS_LEFT,    /* it is not active any more, likewise */
  SB_WAITS_ANSWER,  /* a question can be answered as far as this log knows it, likewise */
  SB_WAITS_REPLY,   /* the slot gets the reply that running the entry makes */
};

/* A run of entries that one session waits for: in the ring slots from `slot` on, where each has a slot of its
 * own (INTEGER); the others are single entries. */
struct sb_waiter {
  struct sb_session *session; /* NULL: nobody */
  struct sb_sub *sub;         /* JOINED, LEFT */
  uint32_t slot, count;
  enum sb_waits what;
};

struct sb_batch {
  struct sb_batch *next;
  uint64_t number;        /* 0: not numbered yet */
  uint64_t token;         /* of the last sending */
  uint64_t sent_ms;       /* of the last sending, for the time-out */
  uint64_t first_sent_ms; /* under its present number; 0: not yet */
  struct sb_body *body;   /* NULL while open, and of a fragment until it leaves */
  size_t plain_bytes;     /* of the entries, uncompressed */
  uint32_t count;         /* entries */
  bool lz4;
  bool control; /* BYE, heartbeats, what was announced for an incarnation: dropped, not numbered again, with
                   it */
  bool blanked; /* a heartbeat stands in the place of what was sent under this number before */
  bool claims;  /* it carries a claim, also when it is sent again */
  bool urgent;  /* does not wait for company */
  struct sb_waiter *waiters;
  uint32_t waiters_count, waiters_cap;
  /* A fragment of an entry; only the last one has waiters. */
  struct sb_body *whole;        /* the entry, plain; NULL: it is no fragment */
  uint32_t fragment, fragments; /* 1 to fragments */
  size_t fragment_bytes;        /* of the entry in each but the last */
  size_t refused_bytes; /* of it, in one message, were too large under an earlier number; 0: none were */
};

struct sb_outbox {
  struct sb_batch *first, *last; /* sealed ones, sent or not */
  struct sb_batch *unsent;       /* the first that is not in flight; NULL: none */
  uint32_t in_flight;
  size_t in_flight_bytes;
  struct sb_batch *open;   /* NULL: nothing collected */
  struct sb_buf collected; /* entries of `open` */
  uint64_t open_since_ms;  /* its owner says so at the end of the turn; 0: not yet */
  uint64_t next_number;
  uint32_t attempt;
  bool cautious;       /* one batch in flight until an echo shows that the way is clear again */
  bool one_more;       /* the next batch leaves whatever is in flight (sb_outbox_hurry) */
  size_t unsent_bytes; /* sealed but not in flight */
  size_t bytes;        /* all entries held; one in fragments counts until its last one was accepted */
  uint64_t *total; /* of all outboxes and limbos of a node: whoever holds bytes counts them here as well */
  size_t window_step_bytes;
  size_t first_reserve;
  struct sb_codec codec;
};

/* `total` outlives it. */
void sb_outbox_init(struct sb_outbox *outbox, size_t window_step_bytes, uint64_t *total);
void sb_outbox_close(struct sb_outbox *outbox);

/* Makes room for the waiter's `count` entries of `len` bytes together in the open batch, sealing what does
 * not fit, and returns where to write it; the caller writes exactly `len` bytes. */
uint8_t *sb_outbox_append_for(struct sb_outbox *outbox, size_t len, size_t batch_bytes, bool compress,
                              const struct sb_waiter *waiter);

/* The same for entries that are answered with integers, short where they follow others of the same session
 * and fit. */
static inline uint8_t *sb_outbox_append(struct sb_outbox *outbox, size_t len, size_t batch_bytes,
                                        bool compress, struct sb_session *session, uint32_t slot,
                                        uint32_t count) {
  struct sb_batch *batch = outbox->open;
  struct sb_buf *collected = &outbox->collected;
  size_t used = collected->len;
  size_t room = batch_bytes < collected->cap ? batch_bytes : collected->cap;
  const struct sb_waiter waiter = {.session = session, .slot = slot, .count = count};
  if (!batch || used > room || len > room - used || count > SB_BATCH_ENTRIES_MAX - batch->count)
    return sb_outbox_append_for(outbox, len, batch_bytes, compress, &waiter);
  struct sb_waiter *last = &batch->waiters[batch->waiters_count - 1];
  if (last->session != session || last->what != SB_WAITS_INTEGER || last->slot + last->count != slot)
    return sb_outbox_append_for(outbox, len, batch_bytes, compress, &waiter);
  last->count += count;
  batch->count += count;
  batch->plain_bytes += len;
  outbox->bytes += len;
  *outbox->total += len;
  collected->len += len;
  return collected->data + used;
}

/* A batch of its own for an entry that is not to be numbered again. */
void sb_outbox_append_control(struct sb_outbox *outbox, struct sb_bytes entry);

/* Seals the open batch, if there is one. */
void sb_outbox_seal(struct sb_outbox *outbox, bool compress);

/* The batch that may leave now by the window rule, sealing the open one when it is its turn; NULL: none. */
struct sb_batch *sb_outbox_next(struct sb_outbox *outbox, bool compress);

/* What is in it, if anything, is to leave at the next occasion, whatever is in flight: its owner must not
 * look dead. */
void sb_outbox_hurry(struct sb_outbox *outbox);

/* It was handed to the transport: it is in flight. */
void sb_outbox_sent(struct sb_outbox *outbox, struct sb_batch *batch, uint64_t token, uint64_t now_ms);

/* Waiting for the oldest in flight begins anew. Or `ms` were no time to wait in for any of them, up to now.
 */
void sb_outbox_wait_anew(struct sb_outbox *outbox, uint64_t now_ms);
void sb_outbox_put_off(struct sb_outbox *outbox, uint64_t now_ms, uint64_t ms);

/* Everything in flight is to be sent again, oldest first. False when nothing was in flight. */
bool sb_outbox_resend(struct sb_outbox *outbox);

/* Makes two batches of the one that is to leave next, which was not sent before under its number and has more
 * than one entry; false when that is not so. */
bool sb_outbox_halve(struct sb_outbox *outbox);

/* Makes fragments of the one entry of the batch that is to leave next, which was not sent before under its
 * number; each holds `fragment_bytes` of it. False: its body cannot be read. */
bool sb_outbox_cut(struct sb_outbox *outbox, size_t fragment_bytes);

/* Puts together again what is to leave next, of which no fragment was sent before. */
void sb_outbox_uncut(struct sb_outbox *outbox);

/* Puts one entry in the place of what a sealed batch that is not in flight holds; its waiters are gone. */
void sb_outbox_blank(struct sb_outbox *outbox, struct sb_batch *batch, struct sb_bytes entry);

/* Puts batches in front of everything: what is announced before anything else under a new incarnation.
 * Nothing here has a number yet. The list is taken from an outbox of its own and becomes control. */
void sb_outbox_put_first(struct sb_outbox *outbox, struct sb_batch *list);

/* Whether a body that came back under that number, as it travelled, is what was sent, as far as a look at its
 * length and a part of its bytes tells; true as well where nothing here tells. */
bool sb_outbox_sent_this(const struct sb_outbox *outbox, uint64_t number, bool lz4,
                         const struct sb_body *body);

/* A batch of somebody else took that number, while nothing here had it. It may be below what was sent. */
void sb_outbox_skip(struct sb_outbox *outbox, uint64_t number);

/* Takes out the first batch when its number is `number` or lower; NULL when there is none such. Free it. */
struct sb_batch *sb_outbox_accept(struct sb_outbox *outbox, uint64_t number);

/* Takes all sealed and sent batches out as a list (also the open one), for when the own position in the log
 * is lost. */
struct sb_batch *sb_outbox_take(struct sb_outbox *outbox, bool compress);

/* Puts a list from sb_outbox_take in front of everything, to be numbered again; control batches in it are
 * freed, and fragments are put together again where the last one is in it. */
void sb_outbox_put_back(struct sb_outbox *outbox, struct sb_batch *list);

static inline void sb_batch_claim(struct sb_batch *batch) {
  batch->claims = true;
}

void sb_batch_free(struct sb_batch *batch);

static inline bool sb_outbox_empty(const struct sb_outbox *outbox) {
  return !outbox->first && !outbox->open;
}

#endif
