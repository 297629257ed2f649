/* XREAD, as far as the streams are known here. */
#ifndef SB_CORE_COMMANDS_READ_STREAMS_H
#define SB_CORE_COMMANDS_READ_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/op.h"

/* What an XREAD reads: of each stream `limit` entries behind an id. */
struct sb_streams {
  const struct sb_bytes *names;
  struct sb_id *after;
  uint32_t count;
  uint64_t limit;
  bool first_only; /* one that has waited: of the first that has any, and a string is just no stream */
};

/* Appends what there is of each stream at its place, where the keys are NULL nothing; or an error. Returns
 * how many streams have anything, 1 for an error. */
uint32_t sb_op_read_streams(const struct sb_op_place *places, const struct sb_streams *streams,
                            struct sb_buf *reply);

#endif
