/* XREAD over several streams, from what this node remembers of them. */
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
  bool first_only; /* after a wait: only the first stream that has entries; a string counts as no stream */
};

/* Appends the entries of each stream, read at its place; a place whose keys are NULL gives nothing. Or
 * appends an error. Returns how many streams gave anything, 1 for an error. */
uint32_t sb_op_read_streams(const struct sb_op_place *places, const struct sb_streams *streams,
                            struct sb_buf *reply);

#endif
