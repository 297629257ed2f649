#include "bridge/core/glob.h"

/* Matches `c` against the set behind '[' at *p and moves *p to its ']' (or to the last byte of an unclosed
 * one, which Redis takes as closed). */
static bool match_set(const uint8_t **p, const uint8_t *end, uint8_t c) {
  const uint8_t *at = *p + 1;
  bool negated = at < end && *at == '^', found = false;
  if (negated) at++;
  for (; at < end && *at != ']'; at++) {
    if (*at == '\\' && end - at >= 2) {
      at++;
      found |= *at == c;
    } else if (end - at >= 3 && at[1] == '-') {
      uint8_t low = at[0], high = at[2];
      if (low > high) {
        low = at[2];
        high = at[0];
      }
      at += 2;
      found |= c >= low && c <= high;
    } else {
      found |= *at == c;
    }
  }
  *p = at < end ? at : end - 1;
  return found != negated;
}

/* One element of the pattern against one byte; moves *p behind the element. */
static bool match_one(const uint8_t **p, const uint8_t *end, uint8_t c) {
  bool same;
  if (**p == '?') {
    same = true;
  } else if (**p == '[') {
    same = match_set(p, end, c);
  } else {
    if (**p == '\\' && end - *p >= 2) (*p)++;
    same = **p == c;
  }
  (*p)++;
  return same;
}

/* Iterative with one resume point: a later '*' makes earlier ones final, so the time is bounded by the
 * product of the two lengths, whatever the pattern. */
bool sb_glob_match(struct sb_bytes pattern, struct sb_bytes text) {
  if (pattern.len == 0 || text.len == 0)
    return pattern.len == text.len; /* as in Redis, `*` takes a byte here */
  const uint8_t *p = pattern.at, *p_end = p + pattern.len, *t = text.at, *t_end = t + text.len;
  const uint8_t *star = NULL, *resume = NULL;
  while (t < t_end) {
    if (p < p_end && *p == '*') {
      star = ++p;
      resume = t;
      continue;
    }
    if (p < p_end && match_one(&p, p_end, *t)) {
      t++;
      continue;
    }
    if (!star) return false;
    p = star;
    t = ++resume;
  }
  while (p < p_end && *p == '*') p++;
  return p == p_end;
}
