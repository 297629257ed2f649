/* The entries that nodes send on their own account: read and written here and nowhere else.
 *
 *   SIDEBUS BYE name incarnation number last|more       a member leaves
 *   SIDEBUS INTEREST channel|pattern|shard name count   how many sessions of the sender subscribe to it
 *   SIDEBUS NUMBER key payload                          the script of ASP.NET SignalR's backplane
 *   SIDEBUS RESTORE <key, as in a state>                a key of the log before
 *   SIDEBUS RESTORED                                    the sender has no more of those keys
 *   SIDEBUS PART index count bytes                      a fragment of an entry, alone in its batch */
#ifndef SB_CORE_WIRE_SIDEBUS_H
#define SB_CORE_WIRE_SIDEBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/core/wire/fragment.h"
#include "bridge/core/wire/key_text.h"
#include "bridge/core/wire/name.h"

enum sb_sidebus_word {
  SB_SIDEBUS_BYE,
  SB_SIDEBUS_INTEREST,
  SB_SIDEBUS_NUMBER,
  SB_SIDEBUS_RESTORE,
  SB_SIDEBUS_RESTORED,
  SB_SIDEBUS_PART,
  SB_SIDEBUS_WORDS
};

struct sb_bye {
  char name[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t number;
  bool last; /* it is the only member */
};

struct sb_said_interest {
  enum sb_sub_kind kind;
  struct sb_bytes name;
  uint32_t count;
};

struct sb_numbered {
  struct sb_bytes key, payload;
};

struct sb_sidebus {
  enum sb_sidebus_word word;
  union {
    struct sb_bye bye;
    struct sb_said_interest interest;
    struct sb_numbered number;
    struct sb_key_text restore; /* its expiry: ms from the log time of the batch */
    struct sb_fragment fragment;
  };
};

/* Reads the entry at `off` of a body; views of it. False: it is none of these, or not canonical. */
bool sb_sidebus_read(struct sb_bytes body, uint32_t off, struct sb_sidebus *out);

/* The same where only a fragment will do, which is all of its body. */
bool sb_fragment_read(struct sb_bytes body, struct sb_fragment *out);

/* The size of the entry; the entry into memory that has room for it; and behind what a buffer holds. */
size_t sb_sidebus_size(const struct sb_sidebus *entry);
void sb_sidebus_write(uint8_t *at, const struct sb_sidebus *entry);
void sb_sidebus_append(struct sb_buf *out, const struct sb_sidebus *entry);

#endif
