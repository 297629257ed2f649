/* Redis's glob: `*`, `?`, `[a-c]`, `[^a]`, `\` before a character taken as it is. Bytes, case-sensitive.
 *
 * A pattern is compiled once: into pieces between its stars, and each set of characters into a bit map. The
 * first piece stands at the begin of a text and the last one at its end, so they cost their own length. What
 * floats between two stars is searched for: once over the text, whatever the pattern, since the leftmost
 * place is always as good as a later one. `work` says what a byte of text costs there. */
#ifndef SB_BASE_GLOB_H
#define SB_BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

/* The longest pattern that is compiled: SB_PATTERN_LENGTH_MAX of limits.h. */

struct sb_glob;

/* NULL: the pattern is longer than that. */
struct sb_glob *sb_glob_new(struct sb_bytes pattern);
void sb_glob_free(struct sb_glob *glob);

bool sb_glob_matches(const struct sb_glob *glob, struct sb_bytes text);

/* How many steps what floats takes for each byte of a text; 0: nothing floats. */
uint32_t sb_glob_work(const struct sb_glob *glob);

/* Steps of one match at most. */
uint64_t sb_glob_steps(const struct sb_glob *glob, size_t text_len);

/* Bytes of its bit maps, which may be many times as long as what is written. */
size_t sb_glob_set_bytes(const struct sb_glob *glob);

/* What every text that matches begins and ends with, as far as that is known. The two may overlap. */
struct sb_bytes sb_glob_prefix(const struct sb_glob *glob);
struct sb_bytes sb_glob_suffix(const struct sb_glob *glob);

#endif
