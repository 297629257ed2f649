/* Entries: one Redis command each, in canonical form (docs/wire.md), laid end to end in the body of a batch.
 *
 *   *3 CRLF $7 CRLF PUBLISH CRLF $<n> CRLF <channel> CRLF $<m> CRLF <payload> CRLF
 *
 * Canonical: command name in upper case, lengths exact and without leading zeros. What is read from a log is
 * checked against this form, whoever sent it. */
#ifndef SB_CORE_ENTRY_H
#define SB_CORE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_ENTRY_ARGS_MAX 16 /* of SIDEBUS entries and of commands in a SNAPSHOT */

enum sb_entry_kind {
  SB_ENTRY_PUBLISH,
  SB_ENTRY_SPUBLISH,
  SB_ENTRY_PING,
  SB_ENTRY_SIDEBUS,
  SB_ENTRY_OP,    /* a command on keys or streams that writes (op.h) */
  SB_ENTRY_MULTI, /* commands that are run together: each argument is an entry */
};

/* Offsets from the begin of the body, so that the same entry can be taken from any copy of it. */
struct sb_entry {
  enum sb_entry_kind kind;
  uint32_t off, len;         /* the whole entry */
  uint32_t key_off, key_len; /* the second argument; of PUBLISH, SPUBLISH: the channel */
  uint32_t data_off;         /* PUBLISH, SPUBLISH: the payload */
  bool same_head;            /* the command and the channel are those of the entry before */
  uint32_t tail_off;         /* PUBLISH, SPUBLISH: the channel's '$', where the end of a pmessage begins */
};

/* An entry that says nothing but that its sender is alive. */
#define SB_ENTRY_HEARTBEAT "*1\r\n$4\r\nPING\r\n"

/* Where the command name stands in a PUBLISH or SPUBLISH: behind "*3\r\n$7\r\n". */
#define SB_ENTRY_NAME_OFF 8

/* Reads the entry that begins at *off of the body and moves *off behind it. False: not an entry. `before` is
 * the entry that ends at *off, or NULL: floods go to one channel, and then most of an entry repeats. */
bool sb_entry_next(struct sb_bytes body, uint32_t *off, const struct sb_entry *before, struct sb_entry *out);

/* The arguments of an entry or of a command in a SNAPSHOT; returns how many, 0 when it is not canonical or
 * has more than `max`. Moves *off behind it. */
uint32_t sb_entry_args(struct sb_bytes body, uint32_t *off, struct sb_bytes *args, uint32_t max);

/* The same for any number of arguments, which are checked and not returned. */
uint32_t sb_entry_skip(struct sb_bytes body, uint32_t *off);

/* The same for an entry within a MULTI, where a command that only reads may stand too, PING or ECHO with its
 * argument, and UNWATCH. */
bool sb_entry_in_multi(struct sb_bytes body, uint32_t *off, struct sb_entry *out);

/* Appends an entry made of `count` arguments. */
void sb_entry_append(struct sb_buf *out, const struct sb_bytes *args, uint32_t count);

/* The same into memory that has room for sb_entry_size bytes. */
void sb_entry_write(uint8_t *at, const struct sb_bytes *args, uint32_t count);

/* The size of the encoding of an entry with these arguments. */
size_t sb_entry_size(const struct sb_bytes *args, uint32_t count);

#endif
