/* Control messages (docs/wire.md, "Control messages"): read and written here and nowhere else. */
#ifndef SB_CORE_WIRE_CONTROL_H
#define SB_CORE_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/name_id.h"
#include "bridge/core/wire/id.h"

struct sb_control {
  enum {
    SB_CONTROL_HELLO,
    SB_CONTROL_SNAPSHOT,
    SB_CONTROL_CHECKPOINT,
    SB_CONTROL_KEYS,
    SB_CONTROL_GENESIS
  } kind;
  uint32_t partitions; /* HELLO, GENESIS */
  /* HELLO */
  uint64_t version;
  struct sb_bytes about;     /* for people */
  struct sb_incarnation met; /* the other process's, if one has displaced the sender; 0-0: none has */
  struct sb_id since; /* the generation (0: this log's) and the sequence at which the sender's process became
                         ready for the first time; 0-0: it never did */
  bool since_lost;    /* in a log before this one */
  struct sb_id holds; /* the generation and sequence of the state that the sender holds; 0-0: it holds none */
  /* SNAPSHOT, CHECKPOINT, KEYS: a piece of a text */
  uint64_t as_of; /* of KEYS: where the sender's HELLO is */
  uint32_t piece, pieces;
  struct sb_bytes text;
  /* GENESIS */
  uint64_t hello_at, generation;
  bool keeps_keys, brings_keys;
  struct sb_name_key name_key;
};

/* False: it is malformed. Views of the body. */
bool sb_control_read(struct sb_bytes body, struct sb_control *out);

/* How much text a piece may have where the broker takes messages of so many bytes; it is never too little to
 * go on with. */
size_t sb_control_room(size_t message_max);

/* A body of its own. */
struct sb_body *sb_control_write(const struct sb_control *control);

#endif
