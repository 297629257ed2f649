/* Splits an inline command ("SET key \"a b\"") into its arguments as Redis's sdssplitargs does.
 *
 * Blanks separate; "..." knows \n \r \t \b \a and \xHH, and a backslash before any other byte is dropped;
 * '...' knows only \'. A closing quote must be followed by a blank or the end. */
#ifndef SB_REDIS_PROTOCOL_INLINE_H
#define SB_REDIS_PROTOCOL_INLINE_H

#include "bridge/base/bytes.h"

/* One argument at a time from *line, a line without NUL bytes; what was taken is cut from its front. The
 * unescaped argument is written to `room`, which holds at least line->len bytes, and *len is its length.
 * - 1: an argument
 * - 0: nothing but blanks was left
 * - -1: quotes are unbalanced */
int sb_inline_next(struct sb_bytes *line, uint8_t *room, size_t *len);

#endif
