#include "bridge/base/glob.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/limits.h"

#define SET_BYTES 32 /* a bit for each byte */
#define ANY       256
#define FIRST_SET 257

/* A piece is searched for by words: one bit for each of its first 64 elements, so that a byte of text takes
 * one step whatever the elements are. Where FEW_STEPS comparisons do, that is not worth its preparation. */
#define WORD_ELEMENTS 64
#define FEW_STEPS     512

/* What longer pieces cost, measured in such steps. */
#define LITERAL_BYTES_A_STEP 8 /* memmem at its worst takes a step for so many */
#define ELEMENT_STEPS        4 /* for each element behind the first 64: they are compared one by one */

struct piece {
  uint16_t off, len; /* of its elements */
  bool literal;
};

struct sb_glob {
  uint32_t least; /* how many elements there are: bytes of the shortest text that matches */
  uint32_t work;
  uint32_t sets_count;
  uint16_t pieces_count; /* the first and the last are anchored, those between float */
  uint16_t prefix, suffix;
  bool open; /* there is a star */
  bool empty;
  uint16_t *elements; /* a byte, ANY, or FIRST_SET + a set; NULL: all are bytes */
  uint8_t *bytes;     /* the elements that are bytes */
  uint8_t (*sets)[SET_BYTES];
  struct piece pieces[];
};

/* ---- compiling ---- */

struct source {
  const uint8_t *at, *end;
};

static void put(uint8_t *set, uint8_t c) {
  set[c / 8] |= (uint8_t)(1 << c % 8);
}

/* The set behind '['; leaves the source behind its ']', or at the end of an unclosed one, which Redis takes
 * as closed. */
static void read_set(struct source *source, uint8_t *set) {
  const uint8_t *at = source->at + 1, *end = source->end;
  bool negated = at < end && *at == '^';
  if (negated) at++;
  for (; at < end && *at != ']'; at++) {
    if (*at == '\\' && end - at >= 2) {
      put(set, *++at);
    } else if (end - at >= 3 && at[1] == '-') {
      unsigned low = at[0] < at[2] ? at[0] : at[2], high = at[0] < at[2] ? at[2] : at[0];
      for (unsigned c = low; c <= high; c++) put(set, (uint8_t)c);
      at += 2;
    } else {
      put(set, *at);
    }
  }
  for (int i = 0; negated && i < SET_BYTES; i++) set[i] = (uint8_t)~set[i];
  source->at = at < end ? at + 1 : end;
}

/* The only byte of a set; ANY: it holds all; -1: neither. */
static int simpler(const uint8_t *set) {
  uint64_t words[SET_BYTES / 8];
  int count = 0, byte = 0;
  memcpy(words, set, SET_BYTES);
  for (int i = 0; i < SET_BYTES / 8; i++) count += __builtin_popcountll(words[i]);
  if (count != 1) return count == 256 ? ANY : -1;
  while (set[byte] == 0) byte++;
  return byte * 8 + __builtin_ctz(set[byte]);
}

/* A set that was read, and the element that will refer to it. */
struct found_set {
  uint8_t bits[SET_BYTES];
  uint16_t element;
};

struct sets {
  struct found_set *at;
  uint32_t count;
};

/* The next element; a set is added to those that were read. */
static uint16_t read_element(struct source *source, const struct sb_glob *glob, struct sets *sets) {
  if (*source->at == '?') {
    source->at++;
    return ANY;
  }
  if (*source->at == '[') {
    struct found_set *set = &sets->at[sets->count];
    *set = (struct found_set){.element = (uint16_t)glob->least};
    read_set(source, set->bits);
    int simple = simpler(set->bits);
    if (simple >= 0) return (uint16_t)simple;
    sets->count++;
    return FIRST_SET; /* which one is known when all are read */
  }
  if (*source->at == '\\' && source->end - source->at >= 2) source->at++;
  return *source->at++;
}

/* Reads the pattern into the glob, whose arrays have room for it. */
static void read_pieces(struct sb_glob *glob, struct sb_bytes pattern, struct sets *sets) {
  struct source source = {pattern.at, pattern.at + pattern.len};
  struct piece *piece = &glob->pieces[0];
  *piece = (struct piece){.literal = true};
  while (source.at < source.end) {
    if (*source.at == '*') {
      source.at++;
      if (glob->open && piece->len == 0) continue; /* "**" is "*" */
      glob->open = true;
      *++piece = (struct piece){.off = (uint16_t)glob->least, .literal = true};
      continue;
    }
    uint16_t element = read_element(&source, glob, sets);
    glob->elements[glob->least] = element;
    glob->bytes[glob->least++] = (uint8_t)element;
    piece->len++;
    piece->literal &= element < ANY;
  }
  glob->pieces_count = (uint16_t)(piece - glob->pieces + 1);
}

/* A copy in memory of just its size, since there may be very many globs. */
static void *kept(const void *from, size_t size) {
  void *to = size > 0 ? sb_malloc(size) : NULL;
  if (to) memcpy(to, from, size);
  return to;
}

static int by_bits(const void *a, const void *b) {
  return memcmp(((const struct found_set *)a)->bits, ((const struct found_set *)b)->bits, SET_BYTES);
}

/* Keeps each set once. They are sorted and not compared each with each: a client may send a thousand. */
static void keep_sets(struct sb_glob *glob, struct sets *sets) {
  if (sets->count == 0) return;
  if (sets->count > 1) qsort(sets->at, sets->count, sizeof *sets->at, by_bits);
  uint8_t(*room)[SET_BYTES] = sb_malloc((size_t)sets->count * SET_BYTES);
  for (uint32_t i = 0; i < sets->count; i++) {
    const struct found_set *set = &sets->at[i];
    if (i == 0 || by_bits(set - 1, set) != 0) memcpy(room[glob->sets_count++], set->bits, SET_BYTES);
    glob->elements[set->element] = (uint16_t)(FIRST_SET + glob->sets_count - 1);
  }
  glob->sets = kept(room, (size_t)glob->sets_count * SET_BYTES);
  free(room);
}

static uint32_t weight_of(const struct sb_glob *glob, const struct piece *piece) {
  uint32_t sets = 0, rest = piece->len > WORD_ELEMENTS ? piece->len - WORD_ELEMENTS : 0;
  if (piece->literal) return 1 + (rest > 0 ? piece->len / LITERAL_BYTES_A_STEP : 0);
  for (uint16_t i = 0; i < piece->len && i < WORD_ELEMENTS; i++)
    sets += glob->elements[piece->off + i] >= FIRST_SET;
  return 1 + sets + rest * ELEMENT_STEPS;
}

static void weigh(struct sb_glob *glob) {
  for (uint16_t i = 1; i + 1 < glob->pieces_count; i++) glob->work += weight_of(glob, &glob->pieces[i]);
}

static void find_ends(struct sb_glob *glob) {
  const struct piece *first = &glob->pieces[0], *last = &glob->pieces[glob->pieces_count - 1];
  while (glob->prefix < first->len && glob->elements[first->off + glob->prefix] < ANY) glob->prefix++;
  while (glob->suffix < last->len && glob->elements[last->off + last->len - 1 - glob->suffix] < ANY)
    glob->suffix++;
}

static size_t count_of(struct sb_bytes pattern, uint8_t c) {
  size_t count = 0;
  for (size_t i = 0; i < pattern.len; i++) count += pattern.at[i] == c;
  return count;
}

struct sb_glob *sb_glob_new(struct sb_bytes pattern) {
  uint16_t elements[SB_PATTERN_LENGTH_MAX];
  uint8_t bytes[SB_PATTERN_LENGTH_MAX + 1];
  if (pattern.len > SB_PATTERN_LENGTH_MAX) return NULL;
  size_t count = count_of(pattern, '['), pieces = count_of(pattern, '*') + 1;
  struct sb_glob *glob = sb_calloc(1, sizeof *glob + pieces * sizeof glob->pieces[0]);
  struct sets sets = {sb_malloc((count + 1) * sizeof *sets.at), 0};
  glob->elements = elements;
  glob->bytes = bytes;
  glob->empty = pattern.len == 0;
  read_pieces(glob, pattern, &sets);
  keep_sets(glob, &sets);
  free(sets.at);
  weigh(glob);
  find_ends(glob);
  bool literal = true;
  for (uint16_t i = 0; i < glob->pieces_count; i++) literal &= glob->pieces[i].literal;
  glob->elements = literal ? NULL : kept(elements, glob->least * sizeof elements[0]);
  bytes[glob->least] = 0;
  glob->bytes = kept(bytes, glob->least + 1); /* one more, so that it is never empty */
  return glob;
}

void sb_glob_free(struct sb_glob *glob) {
  if (!glob) return;
  free(glob->elements);
  free(glob->bytes);
  free(glob->sets);
  free(glob);
}

/* ---- matching ---- */

static bool stands_at(const struct sb_glob *glob, const struct piece *piece, const uint8_t *text) {
  if (piece->len == 0) return true;
  if (piece->literal) return memcmp(glob->bytes + piece->off, text, piece->len) == 0;
  const uint16_t *element = glob->elements + piece->off;
  for (uint16_t i = 0; i < piece->len; i++) {
    if (element[i] == ANY || element[i] == text[i]) continue;
    if (element[i] < ANY) return false;
    if (!(glob->sets[element[i] - FIRST_SET][text[i] / 8] >> text[i] % 8 & 1)) return false;
  }
  return true;
}

static const uint8_t *find_one_by_one(const struct sb_glob *glob, const struct piece *piece,
                                      const uint8_t *text, const uint8_t *end) {
  for (; end - text >= piece->len; text++)
    if (stands_at(glob, piece, text)) return text;
  return NULL;
}

/* Bit i of a byte's word says that this byte may stand at element i. */
static void make_words(const struct sb_glob *glob, const struct piece *piece, uint64_t words[256]) {
  uint64_t any = 0, bit = 1;
  memset(words, 0, 256 * sizeof words[0]);
  for (uint16_t i = 0; i < piece->len && i < WORD_ELEMENTS; i++, bit <<= 1) {
    uint16_t element = glob->elements ? glob->elements[piece->off + i] : glob->bytes[piece->off + i];
    if (element < ANY) {
      words[element] |= bit;
    } else if (element == ANY) {
      any |= bit;
    } else {
      const uint8_t *set = glob->sets[element - FIRST_SET];
      for (int c = 0; c < 256; c++) words[c] |= set[c / 8] >> c % 8 & 1 ? bit : 0;
    }
  }
  for (int c = 0; any && c < 256; c++) words[c] |= any;
}

/* Bit i of `standing` says that the last i + 1 bytes that were read match the first i + 1 elements. */
static const uint8_t *find_by_words(const struct sb_glob *glob, const struct piece *piece,
                                    const uint8_t *text, const uint8_t *end) {
  uint64_t words[256], standing = 0;
  uint16_t len = piece->len < WORD_ELEMENTS ? piece->len : WORD_ELEMENTS;
  uint64_t last = UINT64_C(1) << (len - 1);
  const struct piece rest = {(uint16_t)(piece->off + len), (uint16_t)(piece->len - len), piece->literal};
  make_words(glob, piece, words);
  for (; end - text > rest.len; text++) {
    standing = (standing << 1 | 1) & words[*text];
    if ((standing & last) && stands_at(glob, &rest, text + 1)) return text + 1 - len;
  }
  return NULL;
}

/* The leftmost place of the piece; NULL: none. */
static const uint8_t *find(const struct sb_glob *glob, const struct piece *piece, const uint8_t *text,
                           const uint8_t *end) {
  size_t left = (size_t)(end - text);
  if (left < piece->len) return NULL;
  if (piece->literal && piece->len == 1) return memchr(text, glob->bytes[piece->off], left);
  if (piece->literal && piece->len > WORD_ELEMENTS)
    return memmem(text, left, glob->bytes + piece->off, piece->len);
  if ((left - piece->len + 1) * piece->len <= FEW_STEPS) return find_one_by_one(glob, piece, text, end);
  return find_by_words(glob, piece, text, end);
}

bool sb_glob_matches(const struct sb_glob *glob, struct sb_bytes text) {
  if (text.len == 0) return glob->empty; /* as in Redis, `*` takes a byte here */
  const struct piece *first = &glob->pieces[0], *last = &glob->pieces[glob->pieces_count - 1];
  if (text.len < glob->least || (!glob->open && text.len > glob->least)) return false;
  const uint8_t *at = text.at, *end = text.at + text.len - last->len;
  if (!stands_at(glob, first, at)) return false;
  if (!glob->open) return true;
  if (!stands_at(glob, last, end)) return false;
  at += first->len;
  for (const struct piece *piece = first + 1; piece < last; piece++) {
    at = find(glob, piece, at, end);
    if (!at) return false;
    at += piece->len;
  }
  return true;
}

uint32_t sb_glob_work(const struct sb_glob *glob) {
  return glob->work;
}

uint64_t sb_glob_steps(const struct sb_glob *glob, size_t text_len) {
  return (uint64_t)glob->work * text_len + glob->least + 1;
}

size_t sb_glob_set_bytes(const struct sb_glob *glob) {
  return (size_t)glob->sets_count * SET_BYTES;
}

struct sb_bytes sb_glob_prefix(const struct sb_glob *glob) {
  return sb_bytes(glob->bytes, glob->prefix);
}

struct sb_bytes sb_glob_suffix(const struct sb_glob *glob) {
  return sb_bytes(glob->bytes + glob->least - glob->suffix, glob->suffix);
}
