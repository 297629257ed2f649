/* Shared keys and streams, modelled a second time: from Redis's documentation and docs/log.md, without op.c,
 * keys.c or history.c. The judge runs it over the complete log. A stream holds all that was ever added to it
 * and not taken away, as no node does; what a node holds is the part of it behind where its history begins.
 */
#ifndef SB_TESTS_SIM_KEYS_H
#define SB_TESTS_SIM_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/id.h"

#define KEYS_PER_CHANNEL 4
#define KEYS             16 /* of all channels */
#define MODEL_VALUE_MAX  400

enum model_kind { MODEL_NONE, MODEL_STRING, MODEL_STREAM };

struct model_entry {
  struct sb_id id;
  uint8_t *pairs; /* fields and values as bulk strings */
  uint32_t len, items;
};

struct model_key {
  enum model_kind kind;
  uint64_t expires_ms; /* 0: never */
  char value[MODEL_VALUE_MAX];
  uint32_t value_len;
  struct sb_id last, max_deleted;
  uint64_t added;
  struct model_entry *entries; /* also while there is no key: what was published to a channel */
  size_t count, cap;
};

struct model {
  struct model_key keys[KEYS];
  uint64_t fell; /* nobody reads what came before ids fell; as the second part of an id */
};

/* Where a command is run. */
struct model_place {
  uint64_t generation, sequence, time_ms;
  uint32_t index; /* of the next entry that gets an id */
  uint8_t proto;
  uint64_t receivers[2][KEYS / KEYS_PER_CHANNEL]; /* of a PUBLISH, of an SPUBLISH to each channel */
};

/* A key by its number: key k belongs to channel k / KEYS_PER_CHANNEL; the last one of each is the channel. */
struct sb_bytes sim_key_name(uint32_t key);
bool sim_key_find(struct sb_bytes name, uint8_t *key);

void model_clear(struct model *model);
void model_drop_keys(struct model *model); /* and with streams what they hold */
/* A line "STRING …" or "STREAM …" of the keys that a founder brings; false: it is none. */
bool model_bring(struct model *model, const struct sb_bytes *args, uint32_t count);
/* The same line, which a member restores, for a key that is not there; its expiry counts from now. */
bool model_restore(struct model *model, const struct sb_bytes *args, uint32_t count, uint64_t now_ms);
void model_expire(struct model *model, uint64_t now_ms); /* a stream's entries go with it */

/* Whether it is an entry of the kinds that sessions here send; in MULTI, commands that read too. */
bool model_knows(const struct sb_bytes *args, uint32_t count, bool in_multi);

/* Runs one entry and appends the reply. In it, '?' stands for 0 or 1: what depends on how much of a stream a
 * node has. */
void model_run(struct model *model, const struct sb_bytes *args, uint32_t count, struct model_place *place,
               struct sb_buf *reply);

bool model_reply_is(struct sb_bytes expected, struct sb_bytes reply);

/* Commands that read, by one whose history begins behind `begin`. */
struct model_view {
  uint64_t time_ms;
  struct sb_id begin;
  uint8_t proto;
};
void model_read(const struct model *model, const struct sb_bytes *args, uint32_t count,
                const struct model_view *view, struct sb_buf *reply);

/* What a key holds for one whose history begins behind `begin`, folded. */
uint64_t model_fold(uint64_t hash, const void *at, size_t len);
uint64_t model_fold_stream(const struct model *model, uint32_t key, struct sb_id begin, uint64_t *count);

/* The keys as nodes agree on them at this time, summed up. */
uint64_t model_hash_key(struct sb_bytes name, bool stream, struct sb_bytes value, uint64_t expires_ms,
                        struct sb_id last, struct sb_id max_deleted, uint64_t added);
uint64_t model_hash(const struct model *model, uint64_t now_ms);
bool model_has_keys(const struct model *model, uint64_t now_ms);

#endif
