/* The shared keys of one log: strings, and what nodes agree on of streams, with their expiry. A function of
 * the log alone: part of the state (state.h), and of SNAPSHOTs. What a stream holds is not here but in the
 * history (history.h), which each node has as far as it reaches.
 *
 * Time is log time. A key whose time has come (expires_ms <= now_ms) is gone for whoever looks, whether or
 * not its memory is still there; sb_keys_expire, called as log time advances, gives that back. What still
 * takes memory counts to the limit, and all nodes must refuse alike: so before sb_keys_set_string and
 * sb_keys_stream at some log time the caller has called sb_keys_expire with it, once for all of a batch. One
 * thread. */
#ifndef SB_CORE_KEYS_H
#define SB_CORE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/wire/key_text.h"

/* Others only read it. A pointer to it holds until the next change of the keys. */
struct sb_key {
  enum sb_key_kind kind;
  uint32_t heap_at;    /* own place + 1 among those that expire; 0: it does not */
  uint64_t expires_ms; /* log time; 0: never */
  uint64_t asked_ms;   /* the Unix time that a client gave for it; 0: none did, or it does not expire */
  uint8_t *value;      /* of a string, value_len bytes */
  uint32_t value_len, name_len;
  struct sb_stream stream;
  uint8_t name[];
};

/* Storage that the caller holds; zeroed is empty. */
struct sb_keys {
  struct sb_table table;    /* of struct sb_key */
  struct sb_key **expiring; /* a heap, the first to expire on top */
  size_t expiring_count, expiring_cap;
  size_t bytes; /* names, values and SB_KEY_OVERHEAD for each */
};

void sb_keys_close(struct sb_keys *keys);

/* NULL: there is none, or its time has come at `now_ms`. */
struct sb_key *sb_keys_find(const struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms);

/* Whether a stream of this name has expired at `now_ms` and is still in memory, because no batch has come
 * since. For a reader its entries are gone too. */
bool sb_keys_hide(const struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms);

/* Gives the key this string and this expiry (0: none), whatever it was before. `value` may be a view of the
 * value that it has. False: SB_KEYS_BYTES_MAX would be exceeded, or a new name SB_KEY_NAME_MAX, and nothing
 * changed. */
bool sb_keys_set_string(struct sb_keys *keys, struct sb_bytes name, struct sb_bytes value,
                        uint64_t expires_ms);

/* The key as a stream, made when there is none at `now_ms`. NULL: as above, or it is a string. What the
 * caller then writes into key->stream keeps last >= max_deleted: else no one reads the SNAPSHOT. */
struct sb_key *sb_keys_stream(struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms);

void sb_keys_set_expiry(struct sb_keys *keys, struct sb_key *key, uint64_t expires_ms); /* 0: never */

/* Notes the Unix time that a client gave as expiry, or 0. EXPIRETIME and its kin reply with it, and
 * conditions compare it with the next one. Whatever sets a value or an expiry clears it. */
void sb_keys_set_asked(struct sb_key *key, uint64_t asked_ms);

void sb_keys_remove(struct sb_keys *keys, struct sb_key *key);

/* Removes what has expired at log time `now_ms`. */
void sb_keys_expire(struct sb_keys *keys, uint64_t now_ms);

/* The key that sb_keys_expire would remove next, or NULL. */
struct sb_key *sb_keys_next_expired(const struct sb_keys *keys, uint64_t now_ms);

/* In a SNAPSHOT as of log time `now_ms`: "STRING name value expires" and
 * "STREAM name last max-deleted added expires" for each, expires in ms of log time or 0, in no order; and
 * behind it the Unix time that was asked for, if there is one. */
void sb_keys_write(const struct sb_keys *keys, uint64_t now_ms, struct sb_buf *out);

/* As it is written to a log; views of the key, until the next change of the keys. */
struct sb_key_text sb_key_text_of(const struct sb_key *key);

/* Adds it. False: the name stands there already, or the limit is exceeded. */
bool sb_keys_add(struct sb_keys *keys, const struct sb_key_text *text);

/* Takes one such command; false: it is not one, or it cannot be added. */
bool sb_keys_read(struct sb_keys *keys, const struct sb_bytes *args, uint32_t count);

/* As seen at log time `now_ms`. */
bool sb_keys_equal(const struct sb_keys *a, const struct sb_keys *b, uint64_t now_ms);

#endif
