#include "bridge/core/log/chain.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"

#define LINKS_FIRST      16            /* a quiet log needs no more */
#define CLAIM_MS(lease)  ((lease) / 6) /* between two claims of a node that has something to send */
#define UNTOLD_MS(lease) ((lease) / 3) /* then the first member says what nobody has claimed */

void sb_chain_close(struct sb_chain *chain) {
  free(chain->links);
  *chain = (struct sb_chain){0};
}

/* ---- links ---- */

/* The ring grows when it was filled sooner than claims may be late. */
static void make_room(struct sb_chain *chain, uint64_t now_ms) {
  if (chain->next < chain->cap) return;
  bool quick = chain->cap == 0 || now_ms - chain->turned_ms < SB_CHAIN_KEPT_MS;
  if (quick && chain->cap < SB_CHAIN_KEPT) {
    chain->cap = chain->cap ? chain->cap * 2 : LINKS_FIRST;
    chain->links = sb_realloc(chain->links, chain->cap * sizeof *chain->links);
    return;
  }
  chain->next = 0;
}

static void link_add(struct sb_chain *chain, struct sb_claim own, uint64_t now_ms) {
  make_room(chain, now_ms);
  if (chain->next == 0) chain->turned_ms = now_ms;
  chain->links[chain->next++] = (struct sb_chain_link){own.at, own.sum};
  if (chain->count < chain->next) chain->count = chain->next;
}

/* From the oldest on. */
static const struct sb_chain_link *link_at(const struct sb_chain *chain, uint32_t index) {
  uint32_t oldest = chain->count == chain->cap ? chain->next % chain->cap : 0;
  return &chain->links[(oldest + index) % chain->cap];
}

/* The last one at or before that place; NULL: all are behind it. */
static const struct sb_chain_link *link_find(const struct sb_chain *chain, uint64_t at) {
  uint32_t low = 0, count = chain->count;
  if (count == 0 || link_at(chain, 0)->at > at) return NULL;
  while (count > 1) {
    uint32_t half = count / 2;
    if (link_at(chain, low + half)->at <= at) low += half;
    count -= half;
  }
  return link_at(chain, low);
}

static void found(struct sb_chain *chain, struct sb_claim own) {
  chain->count = chain->next = 0;
  chain->founding = (struct sb_chain_founding){own.founding, own.at};
}

void sb_chain_begin(struct sb_chain *chain, struct sb_claim own, uint64_t now_ms) {
  free(chain->links);
  chain->links = NULL;
  chain->cap = 0;
  chain->before = chain->refused = (struct sb_chain_founding){0};
  chain->claimed_ms = chain->untold_ms = chain->speak_ms = chain->differed_ms = 0;
  found(chain, own);
  link_add(chain, own, now_ms);
}

void sb_chain_add(struct sb_chain *chain, struct sb_claim own, bool heartbeat, uint64_t now_ms) {
  if (own.founding != chain->founding.id) {
    chain->before = chain->founding;
    found(chain, own);
  }
  SB_ASSERT(chain->count == 0 || own.at > link_at(chain, chain->count - 1)->at);
  link_add(chain, own, now_ms);
  if (heartbeat) return;
  if (chain->untold_ms == 0) chain->untold_ms = now_ms;
  chain->untold_at = own.at;
}

void sb_chain_refused(struct sb_chain *chain, struct sb_claim genesis) {
  chain->refused = (struct sb_chain_founding){genesis.founding, genesis.at};
}

/* ---- claims of others ---- */

/* Of a founding that is not ours. Who goes on with the one before ours did not accept ours, and who goes on
 * behind one that we refused has accepted that. All else may be late word from another life of the log. */
static bool contradicts(const struct sb_chain *chain, struct sb_claim claim) {
  bool before = claim.founding == chain->before.id && claim.at >= chain->founding.at;
  bool refused = claim.founding == chain->refused.id && claim.at >= chain->refused.at;
  return before || refused;
}

enum sb_chain_says sb_chain_compare(const struct sb_chain *chain, struct sb_claim claim, uint64_t sequence,
                                    struct sb_claim *own) {
  const struct sb_chain_link *link = link_find(chain, claim.at);
  bool ours = claim.founding == chain->founding.id;
  if (claim.founding == 0 || claim.at >= sequence || !link) return SB_CHAIN_SILENT;
  if (!ours && !contradicts(chain, claim)) return SB_CHAIN_SILENT;
  if (ours && link->at == claim.at && link->sum == claim.sum) return SB_CHAIN_AGREES;
  *own = (struct sb_claim){.at = link->at, .sum = link->sum, .founding = chain->founding.id};
  return SB_CHAIN_DIFFERS;
}

void sb_chain_covered(struct sb_chain *chain, uint64_t at, uint64_t now_ms) {
  if (chain->untold_ms == 0) return;
  chain->untold_ms = at >= chain->untold_at ? 0 : now_ms; /* claims come: the next one has its time too */
}

/* ---- our own ---- */

bool sb_chain_claims(struct sb_chain *chain, uint64_t now_ms, uint64_t lease_ms) {
  bool speaks = chain->speak_ms > 0 && now_ms >= chain->speak_ms;
  bool late = chain->claimed_ms == 0 || now_ms - chain->claimed_ms >= CLAIM_MS(lease_ms);
  if (chain->founding.id == 0) return false;
  if (!speaks && !late && ++chain->silent < SB_CHAIN_EVERY) return false;
  chain->claimed_ms = now_ms;
  if (link_at(chain, chain->count - 1)->at >= chain->speak_at) chain->speak_ms = 0;
  chain->silent = 0;
  return true;
}

uint64_t sb_chain_due(const struct sb_chain *chain, uint64_t lease_ms, uint64_t turn_ms) {
  uint64_t due = UINT64_MAX, since = chain->untold_ms;
  if (since > 0 && chain->claimed_ms > since) since = chain->claimed_ms; /* it may be on its way back */
  if (since > 0) due = since + UNTOLD_MS(lease_ms) + turn_ms;
  return chain->speak_ms > 0 && chain->speak_ms < due ? chain->speak_ms : due;
}

/* ---- differences ---- */

static bool may_leave(const struct sb_chain *chain, uint64_t now_ms) {
  uint64_t oldest = chain->left_ms[chain->left_next];
  return oldest == 0 || now_ms - oldest >= SB_CHAIN_LEAVES_MS;
}

enum sb_chain_act sb_chain_differed(struct sb_chain *chain, bool higher, uint64_t at, uint64_t now_ms,
                                    uint64_t lease_ms, uint64_t turn_ms, bool *first) {
  *first = chain->differed_ms == 0 || now_ms - chain->differed_ms >= 2 * lease_ms;
  if (*first) chain->tired = false;
  chain->differed_ms = now_ms;
  if (!higher) {
    if (*first) chain->speak_ms = now_ms + turn_ms;
    if (*first) chain->speak_at = at;
    return SB_CHAIN_STAY;
  }
  if (!may_leave(chain, now_ms)) {
    *first |= !chain->tired;
    chain->tired = true;
    return SB_CHAIN_TIRED;
  }
  chain->left_ms[chain->left_next] = now_ms;
  chain->left_next = (chain->left_next + 1) % SB_CHAIN_LEAVES;
  return SB_CHAIN_LEAVE;
}
