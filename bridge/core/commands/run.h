/* What the files that run commands share: replies, which are left out when nobody waits; and finding keys. */
#ifndef SB_CORE_COMMANDS_RUN_H
#define SB_CORE_COMMANDS_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"

void sb_op_run_stream(const struct sb_op *op, struct sb_op_place *place);

/* ---- replies ---- */

static inline void sb_op_say_integer(struct sb_op_place *place, int64_t value) {
  if (place->reply) sb_reply_integer(place->reply, value);
}

static inline void sb_op_say_simple(struct sb_op_place *place, const char *text) {
  if (place->reply) sb_reply_simple(place->reply, text);
}

static inline void sb_op_say_error(struct sb_op_place *place, const char *text) {
  if (place->reply) sb_reply_error_text(place->reply, text);
}

/* Whether the reply is larger than what a session may be sent. */
static inline bool sb_op_is_large(const struct sb_op_place *place) {
  return place->reply_max > 0 && place->reply->len > place->reply_max;
}

static inline void sb_op_say_large(struct sb_op_place *place) {
  place->large = true;
  sb_op_say_error(place, SB_OP_LARGE_REPLY);
}

static inline void sb_op_say_null(struct sb_op_place *place) {
  if (place->reply) sb_reply_null(place->reply, place->proto);
}

/* Writes it in decimal without a terminating zero; returns its length. */
static inline size_t sb_op_i64_text(int64_t value, char out[21]) {
  if (value >= 0) return sb_u64_text((uint64_t)value, out);
  out[0] = '-';
  return 1 + sb_u64_text(0 - (uint64_t)value, out + 1);
}

/* ---- keys ---- */

static inline struct sb_key *sb_op_find_key(const struct sb_op_place *place, struct sb_bytes name) {
  return sb_keys_find(place->keys, name, place->now_ms);
}

static inline bool sb_op_is_string(const struct sb_key *key) {
  return key && key->kind == SB_KEY_STRING;
}

/* Entries that this node knows under a name, whether or not the keys have a stream of that name. */
static inline uint64_t sb_op_length(const struct sb_op_place *place, struct sb_bytes name) {
  if (!place->history || sb_keys_hide(place->keys, name, place->now_ms)) return 0;
  return sb_history_length(place->history, name);
}

#endif
