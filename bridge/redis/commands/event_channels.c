#include "bridge/redis/commands/event_channels.h"

#include <stdint.h>

/* A pattern that can match "__keyspace@" or "__keyevent@" is taken to mean it when at least so many of its
 * eleven characters are matched by that character only. */
#define FIXED_MIN 5

/* If a star comes before the end of that word, so many characters at its begin must be matched so: "__k". */
#define LEAD_MIN 3

static const char *const words[] = {"__keyspace@", "__keyevent@"};

bool sb_is_event_channel(struct sb_bytes name) {
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t len = strlen(words[i]);
    if (name.len >= len && memcmp(name.at, words[i], len) == 0) return true;
  }
  return false;
}

/* Which characters match at one place of a pattern. */
struct place {
  bool takes[256];
  unsigned count;
};

static void add(struct place *place, unsigned low, unsigned high) {
  for (unsigned byte = low; byte <= high; byte++) {
    if (!place->takes[byte]) place->count++;
    place->takes[byte] = true;
  }
}

/* Reads a set from behind its '['; returns what follows. A set that is not closed ends with the pattern, as
 * in Redis. */
static struct sb_bytes read_set(struct sb_bytes left, struct place *place) {
  const uint8_t *at = left.at, *end = left.at + left.len;
  bool negated = at < end && *at == '^';
  if (negated) at++;
  for (; at < end && *at != ']'; at++) {
    if (*at == '\\' && end - at >= 2) {
      at++;
      add(place, *at, *at);
    } else if (end - at >= 3 && at[1] == '-') {
      add(place, at[0] < at[2] ? at[0] : at[2], at[0] < at[2] ? at[2] : at[0]);
      at += 2;
    } else {
      add(place, *at, *at);
    }
  }
  for (int i = 0; negated && i < 256; i++) place->takes[i] = !place->takes[i];
  if (negated) place->count = 256 - place->count;
  if (at < end) at++;
  return sb_bytes(at, (size_t)(end - at));
}

/* Reads one place of a pattern, which has one and no star there; returns what follows. */
static struct sb_bytes read_place(struct sb_bytes left, struct place *place) {
  *place = (struct place){.count = 0};
  uint8_t byte = left.at[0];
  left = sb_bytes(left.at + 1, left.len - 1);
  if (byte == '[') return read_set(left, place);
  if (byte == '?') {
    add(place, 0, 255);
    return left;
  }
  if (byte == '\\' && left.len > 0) {
    byte = left.at[0];
    left = sb_bytes(left.at + 1, left.len - 1);
  }
  add(place, byte, byte);
  return left;
}

static bool means(struct sb_bytes left, const char *word) {
  size_t fixed = 0, lead = 0;
  struct place place;
  for (size_t i = 0; word[i]; i++) {
    if (left.len == 0) return false; /* it is shorter than every such channel */
    if (left.at[0] == '*') return lead >= LEAD_MIN;
    left = read_place(left, &place);
    if (!place.takes[(uint8_t)word[i]]) return false;
    if (place.count > 1) continue;
    fixed++;
    if (lead == i) lead++;
  }
  return fixed >= FIXED_MIN;
}

bool sb_means_event_channels(struct sb_bytes pattern) {
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (means(pattern, words[i])) return true;
  return false;
}
