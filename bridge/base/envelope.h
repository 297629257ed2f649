/* What travels beside the body of a batch: the sb-* headers of docs/wire.md, decoded. Transports fill and
 * read it, the core judges it; neither knows the other. */
#ifndef SB_BASE_ENVELOPE_H
#define SB_BASE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/limits.h"

/* One life of a node in one log. Compared by start_ms, then by nonce; all zero means none. The nonce is drawn
 * once per process, so two incarnations with one nonce belong to one process. */
struct sb_incarnation {
  uint64_t start_ms; /* Unix time */
  uint64_t nonce;
};

static inline int sb_incarnation_compare(struct sb_incarnation a, struct sb_incarnation b) {
  if (a.start_ms != b.start_ms) return a.start_ms < b.start_ms ? -1 : 1;
  if (a.nonce != b.nonce) return a.nonce < b.nonce ? -1 : 1;
  return 0;
}

/* "<start_ms>-<nonce, 16 hex digits>"; out holds SB_INCARNATION_TEXT bytes. */
void sb_incarnation_text(struct sb_incarnation incarnation, char *out);

/* False when `text` is not exactly of that form. */
bool sb_incarnation_parse(const char *text, size_t len, struct sb_incarnation *out);

/* What a node claims about all that it accepted in a log (docs/log.md, "The chain"): the sum up to the
 * message at `at`, that one included. Only sums of one founding can be compared. */
struct sb_claim {
  uint64_t at; /* a sequence */
  uint64_t sum;
  uint32_t founding; /* tells the GENESIS from others; 0: nothing is claimed */
};

static inline bool sb_claim_equal(struct sb_claim a, struct sb_claim b) {
  return a.at == b.at && a.sum == b.sum && a.founding == b.founding;
}

/* "<at>-<founding, 8 hex digits>-<sum, 16 hex digits>"; out holds SB_CLAIM_TEXT bytes. */
void sb_claim_text(const struct sb_claim *claim, char *out);

/* All zero, which claims nothing, when `text` is not exactly of that form. */
void sb_claim_parse(const char *text, size_t len, struct sb_claim *claim);

/* Why a message is skipped although its headers may be sound: its sender may not speak here. */
enum sb_refusal {
  SB_REFUSED_NOT,
  SB_REFUSED_UNSIGNED,  /* the hub has a key, and the message no signature */
  SB_REFUSED_FORGED,    /* no key of this node made its signature; the node may have none */
  SB_REFUSED_UNTRUSTED, /* the broker names a user that is not trusted, or none */
};

struct sb_envelope {
  uint64_t number; /* 1, 2, 3 … per incarnation and partition; 0: a control message, which is not numbered */
  uint64_t base;   /* the oldest number that the sender has not seen accepted; 0 for control messages */
  uint64_t generation;
  uint64_t time_ms; /* log time of the sender */
  struct sb_incarnation incarnation;
  struct sb_claim claim; /* of a batch, where it carries one (sb-sum) */
  uint32_t version;
  uint32_t count;   /* entries in the body; 1 for a control message */
  uint32_t attempt; /* how often the sender had gone back to its oldest unaccepted batch (sb-try) */
  bool foreign;     /* there was no sb-v header: of the rest only `malformed` is set */
  bool outside;     /* foreign, and it came by the way that other programs have for themselves: it needs no
                       signature */
  bool malformed;   /* a header is missing or of a wrong type or length; of a foreign message: its channel */
  bool lz4;         /* content-encoding lz4 (frame format) */
  bool has_mac;     /* there was an sb-mac header; `mac` is all zero when it was of a wrong form */
  enum sb_refusal refused;
  char node[SB_NODE_NAME_MAX + 1];
  uint8_t mac[SB_MAC_BYTES];
};

/* "<64 hex digits>", as it travels; `out` holds SB_MAC_TEXT bytes. */
void sb_mac_text(const uint8_t mac[SB_MAC_BYTES], char *out);

/* All zero, which is no signature, when `text` is not exactly of that form. */
void sb_mac_parse(const char *text, size_t len, uint8_t mac[SB_MAC_BYTES]);

/* What a signature covers besides the body, byte for byte as in docs/wire.md: all of the envelope that the
 * core trusts, and the log that the message is for. `out` holds SB_SIGNED_HEAD_MAX bytes; returns how many it
 * has. */
size_t sb_envelope_signed_head(const struct sb_envelope *envelope, const char *prefix, uint32_t partition,
                               size_t body_len, uint8_t *out);

/* A node name is 1 to SB_NODE_NAME_MAX bytes of letters, digits, '-', '_' and '.'. */
bool sb_node_name_valid(const char *name, size_t len);

#endif
