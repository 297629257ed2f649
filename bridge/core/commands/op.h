/* Commands on keys and streams: what they say, how they travel, what they do. One that changes something goes
 * through the log as an entry and is run by every node at its place there; the node whose session asked also
 * makes the reply. One that only reads is run by the session's own node and never travels, but inside MULTI
 * with one that writes: then it is run in its place by the node that asked.
 *
 * Running a command is a function of the state, the entry and its place: errors too are found by all nodes
 * alike, and change nothing. Replies and error texts are those of Redis 7.0. One thread. */
#ifndef SB_CORE_OP_H
#define SB_CORE_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/history/history.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/op_name.h"

enum sb_op_expiry { SB_EXPIRY_NONE, SB_EXPIRY_KEEP, SB_EXPIRY_AFTER, SB_EXPIRY_AT };
enum sb_op_condition {
  SB_IF_ALWAYS,
  SB_IF_ABSENT,
  SB_IF_PRESENT,
  SB_IF_LATER,
  SB_IF_EARLIER,        /* than the expiry that it has, or it has none */
  SB_IF_PRESENT_EARLIER /* XX and LT: it has one, and this is earlier */
};
enum sb_op_trim { SB_TRIM_NOT, SB_TRIM_LENGTH, SB_TRIM_BELOW };

/* Views of the arguments that it was read from. */
struct sb_op {
  enum sb_op_name name;
  bool writes;
  const struct sb_bytes *args; /* all, with the command's name */
  uint32_t count;
  const struct sb_bytes *keys; /* the first of them; those of one command follow one another */
  uint32_t keys_count;

  struct sb_bytes value;          /* SET and its kin */
  bool get;                       /* SET … GET */
  enum sb_op_condition condition; /* SET NX XX, EXPIRE NX XX GT LT */
  enum sb_op_expiry expiry;
  int64_t expiry_ms; /* after so long, or at this Unix time; may be in the past */
  uint64_t asked_ms; /* in an entry: the Unix time that the client gave; 0: it gave none */
  int64_t by;        /* INCR and its kin */

  bool no_make; /* XADD NOMKSTREAM */
  enum sb_op_trim trim;
  bool about;                       /* '~' */
  uint64_t trim_length, trim_limit; /* trim_limit 0: none was given */
  struct sb_id trim_below;
  uint32_t fields_at; /* XADD: the argument that is the first field */

  struct sb_id from, to; /* XRANGE, XREVRANGE, from <= to whichever it is, both inclusive */
  bool nothing;          /* the range is empty, as from "(5-3" to "5-3" */
  uint64_t limit;        /* COUNT; UINT64_MAX: all, 0: none */
  bool full;             /* XINFO STREAM FULL */
  const char *refused;   /* what Redis would do here and a bridge does not, in few words; or NULL */
  uint32_t ids_at;       /* XREAD: the argument that is the first id; XDEL likewise */
  bool blocks;
  uint64_t block_ms; /* 0: for ever */
};

/* Reads a request; or an entry, which anybody may have sent. In an entry the name must be in upper case, and
 * times relative. Beside these a SET and a PEXPIRE may have the Unix time that the client gave:
 * "PX 5000 PXAT 1700000005000". The PX of a SET may be 0 or below there, because a PXAT in the past becomes
 * that: the key is set and gone at once. Returns NULL, or the error for sb_reply_error, which holds until the
 * next call. *out is written when the command is known and has the right number of arguments. */
const char *sb_op_parse(const struct sb_bytes *args, uint32_t count, bool entry, struct sb_op *out);

#define SB_OP_NO_FULL "XINFO STREAM with FULL is not supported"

/* Appends the command as it travels, in canonical form: its arguments as they are, the name in upper case,
 * and times of the wall clock made relative to `unix_ms`. Inside MULTI also for a command that reads. */
void sb_op_entry(const struct sb_op *op, uint64_t unix_ms, struct sb_buf *out);

/* Where and when a command is run. */
struct sb_op_place {
  struct sb_keys *keys;
  struct sb_history *history; /* NULL: there is none here (a replay of the state alone) */
  uint64_t now_ms;            /* log time */
  struct sb_id id;            /* of an entry that is added now */
  struct sb_id applied;       /* the last possible id of what was applied before this, for '$' */
  struct sb_bytes body;       /* that the arguments are views of; XADD: what the history refers to */
  uint8_t proto;              /* of the reply */
  struct sb_buf *reply;       /* NULL: nobody waits for it */
  size_t reply_max;           /* a reply that would be longer becomes an error; 0: no limit */
  /* Set by running: */
  bool large;   /* a range did not fit; in a MULTI none behind it is tried */
  bool added;   /* an entry with `id` was added to the key */
  bool written; /* the keys have changed */
};

/* How many bytes the command may add to the keys, as they are at `now_ms`. Besides its name and its value
 * that is SB_OP_STORED_MAX at most. */
#define SB_OP_STORED_MAX (SB_KEY_OVERHEAD + (size_t)20)
size_t sb_op_stores(const struct sb_op *op, const struct sb_keys *keys, uint64_t now_ms);

/* Runs all but XREAD. */
void sb_op_run(const struct sb_op *op, struct sb_op_place *place);

/* XREAD of one key: if there is an entry behind `after`, appends the element "[name, entries]" (under RESP3 a
 * key and a value) and returns true. For a key that holds a string, *error is set to its text. */
bool sb_op_read_stream(const struct sb_op_place *place, struct sb_bytes name, struct sb_id after,
                       uint64_t limit, const char **error);

/* What stands in an id argument of XREAD at `place`: a position, '$' or '+'. False: an invalid id. '+' is the
 * position before the last entry. A key that holds a string: any text will do, because Redis looks at the key
 * first, and the error comes from sb_op_read_stream. */
bool sb_op_read_from(const struct sb_op_place *place, struct sb_bytes name, struct sb_bytes text,
                     struct sb_id *after);

#endif
