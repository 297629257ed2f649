/* "Did you mean": the known name that is nearest to what somebody wrote. */
#ifndef SB_CONFIG_SUGGEST_H
#define SB_CONFIG_SUGGEST_H

#include <stddef.h>

/* How many letters must be added, dropped, changed or swapped with their neighbour to turn one name into the
 * other, ignoring case and taking '-' for '_'. Names longer than 64 bytes are far from everything. */
size_t sb_edit_distance(const char *a, const char *b);

/* Keeps the nearest of the candidates shown to it. Start with {.wrote = …}. */
struct sb_suggestion {
  const char *wrote;
  const char *best; /* NULL while nothing was near enough: a third of the letters, but at least one; or one
                     * name is the beginning of the other */
  size_t distance;
};

void sb_suggest(struct sb_suggestion *suggestion, const char *candidate);

#endif
