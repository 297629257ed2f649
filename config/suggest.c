#include "config/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "bridge/base/bytes.h"

#define NAME_MAX_BYTES 64
#define BEGINNING_MIN  3 /* letters: fewer say little */

static int fold(char c) {
  return c == '-' ? '_' : tolower((unsigned char)c);
}

/* Optimal string alignment over three rows: two back for a swap of neighbours. */
size_t sb_edit_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES) return NAME_MAX_BYTES;
  size_t rows[3][NAME_MAX_BYTES + 1];
  for (size_t j = 0; j <= m; j++) rows[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *now = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t change = fold(a[i - 1]) != fold(b[j - 1]);
      now[j] = sb_least(sb_least(last[j], now[j - 1]) + 1, last[j - 1] + change);
      if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
        now[j] = sb_least(now[j], before[j - 2] + 1);
    }
  }
  return rows[n % 3][m];
}

/* "warning" for "warn", "part" for "partitions". */
static bool begins_alike(const char *a, const char *b) {
  size_t len = sb_least(strlen(a), strlen(b));
  if (len < BEGINNING_MIN) return false;
  for (size_t i = 0; i < len; i++)
    if (fold(a[i]) != fold(b[i])) return false;
  return true;
}

void sb_suggest(struct sb_suggestion *suggestion, const char *candidate) {
  size_t near = strlen(suggestion->wrote) / 3;
  if (near == 0) near = 1;
  size_t distance = sb_edit_distance(suggestion->wrote, candidate);
  if (distance > near && begins_alike(suggestion->wrote, candidate)) distance = near;
  if (distance > near || (suggestion->best && distance >= suggestion->distance)) return;
  suggestion->best = candidate;
  suggestion->distance = distance;
}
