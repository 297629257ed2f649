/* Patterns mean what they mean to Redis: the table below was checked against redis-server 7.0.15 (KEYS,
 * PSUBSCRIBE). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/state/glob_index.h"
#include "tests/unit/seed.h"

/* A pattern that is too long matches nothing. */
static bool matches_once(struct sb_bytes pattern, struct sb_bytes text) {
  struct sb_glob *glob = sb_glob_new(pattern);
  bool matches = glob && sb_glob_matches(glob, text);
  sb_glob_free(glob);
  return matches;
}

struct example {
  const char *pattern, *text;
  bool matches;
};

static const struct example examples[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"a", "a", true},
    {"a", "A", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"news.eu", "news.eu", true},
    /* any byte */
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"h?llo", "hello", true},
    {"h?llo", "hllo", false},
    {"??", "\xc3\xa4", true},
    /* any bytes; but an empty text matches the empty pattern only, as a PUBLISH to "" under a PSUBSCRIBE of
       "*" shows */
    {"*", "", false},
    {"**", "", false},
    {"a*", "a", true},
    {"*", "anything", true},
    {"***", "ab", true},
    {"h*llo", "hllo", true},
    {"h*llo", "heeeello", true},
    {"h*llo", "hell", false},
    {"*lo", "hello", true},
    {"*lo", "hello!", false},
    {"*a*", "bab", true},
    {"*a*", "bbb", false},
    {"a*b*c", "abc", true},
    {"a*b*c", "axxbyybzzc", true},
    {"a*b*c", "acb", false},
    {"*?", "", false},
    {"*?", "a", true},
    {"?*?", "a", false},
    {"?*?", "ab", true},
    {"*ab", "aab", true},
    {"*aab", "aaab", true},
    {"a*", "a", true},
    {"a*b", "a", false},
    /* sets */
    {"h[ae]llo", "hello", true},
    {"h[ae]llo", "hallo", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hallo", true},
    {"h[^e]llo", "hello", false},
    {"h[a-b]llo", "hbllo", true},
    {"h[a-b]llo", "hcllo", false},
    {"h[b-a]llo", "hallo", true},
    {"[a-cx-z]", "y", true},
    {"[a-cx-z]", "d", false},
    {"[^a-c]", "b", false},
    {"[^a-c]", "d", true},
    {"[]", "a", false},
    {"[]", "]", false},
    {"[]a]", "a", false},
    {"[]a]", "a]", false},
    {"[^]", "a", true},
    {"[^]", "", false},
    {"[^]a", "xa", true},
    {"[a^]", "^", true},
    {"[-a]", "-", true},
    {"[a-]", "-", false},
    {"[a-]", "b", false},
    {"[a-]", "a", true},
    {"[a-]", "]", true},
    {"[a-]]", "]", true},
    {"[*]", "*", true},
    {"[*]", "a", false},
    {"[?]", "?", true},
    {"[?]", "a", false},
    {"*[0-9]", "channel7", true},
    {"*[0-9]", "channel", false},
    {"[[]", "[", true},
    /* sets without an end end with the pattern */
    {"[", "[", false},
    {"[", "a", false},
    {"[^", "a", true},
    {"[^", "", false},
    {"[ab", "a", true},
    {"[ab", "b", true},
    {"[ab", "c", false},
    {"[ab", "ab", false},
    {"[^ab", "c", true},
    {"[^ab", "a", false},
    {"[a-", "a", true},
    {"[a-", "-", true},
    {"[a-c", "b", true},
    {"[\\", "\\", true},
    {"[\\]", "]", true},
    {"*[ab", "xxb", true},
    {"*[", "x", false},
    /* a backslash takes the next byte as it is */
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\?", "?", true},
    {"\\?", "a", false},
    {"\\[a]", "[a]", true},
    {"\\[a]", "a", false},
    {"\\a", "a", true},
    {"\\\\", "\\", true},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    {"a\\", "a", false},
    {"*\\", "x\\", true},
    {"[\\]]", "]", true},
    {"[\\]]", "\\", false},
    {"[a\\-c]", "-", true},
    {"[a\\-c]", "b", false},
    {"[\\a-c]", "b", false},
    {"[\\a-c]", "a", true},
    {"[a-\\]", "b", false},
    {"[a-\\]", "^", true},
    {"[\\^a]", "^", true},
    {"*\\**", "a*b", true},
    {"*\\**", "ab", false},
    /* many resume points */
    {"*a*b*a*", "ababab", true},
    {"*ab*ab*ab", "ababab", true},
    {"*ab*ab*ab*ab", "ababab", false},
    {"*[ab]*[^ab]?", "aacx", true},
    {"*[ab]*[^ab]?", "aabx", false},
};

static void patterns_mean_what_they_mean_to_redis(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    const struct example *e = &examples[i];
    if (matches_once(sb_bytes_of(e->pattern), sb_bytes_of(e->text)) != e->matches)
      fail_msg("\"%s\" %s \"%s\"", e->pattern, e->matches ? "does not match" : "matches", e->text);
  }
}

static void a_zero_byte_is_a_byte_like_others(void **state) {
  (void)state;
  assert_true(matches_once(sb_bytes("a\0b", 3), sb_bytes("a\0b", 3)));
  assert_false(matches_once(sb_bytes("a\0b", 3), sb_bytes("a\0c", 3)));
  assert_true(matches_once(sb_bytes("*\0", 2), sb_bytes("ab\0", 3)));
  assert_true(matches_once(sb_bytes("[\0-\x02]", 5), sb_bytes("\x01", 1)));
  assert_false(matches_once(sb_bytes("a", 1), sb_bytes("a\0", 2)));
}

static void an_empty_view_may_have_no_address(void **state) {
  (void)state;
  assert_true(matches_once(sb_bytes(NULL, 0), sb_bytes(NULL, 0)));
  assert_false(matches_once(sb_bytes_of("?"), sb_bytes(NULL, 0)));
  assert_false(matches_once(sb_bytes(NULL, 0), sb_bytes_of("a")));
}

/* '*', '?' and literals by the table of all prefixes, a way that shares nothing with the one under test. */
static bool matches_by_table(const char *pattern, const char *text) {
  bool row[32] = {true};
  size_t texts = strlen(text);
  if (texts == 0) return *pattern == 0;
  for (; *pattern; pattern++) {
    bool diagonal = row[0];
    row[0] = row[0] && *pattern == '*';
    for (size_t t = 1; t <= texts; t++) {
      bool up = row[t];
      row[t] = *pattern == '*' ? up || row[t - 1] : diagonal && (*pattern == '?' || *pattern == text[t - 1]);
      diagonal = up;
    }
  }
  return row[texts];
}

static void random_string(char *out, size_t most, const char *alphabet) {
  size_t len = below((uint32_t)most + 1);
  for (size_t i = 0; i < len; i++) out[i] = alphabet[below((uint32_t)strlen(alphabet))];
  out[len] = 0;
}

static void random_patterns_match_what_a_table_of_prefixes_says(void **state) {
  (void)state;
  uint32_t matched = 0;
  for (int i = 0; i < 50000; i++) {
    char pattern[13], text[17];
    random_string(pattern, 12, "**?aab");
    random_string(text, 16, "aab");
    bool expected = matches_by_table(pattern, text);
    if (matches_once(sb_bytes_of(pattern), sb_bytes_of(text)) != expected)
      fail_msg("\"%s\" %s \"%s\"", pattern, expected ? "does not match" : "matches", text);
    matched += expected;
  }
  assert_in_range(matched, 5000, 45000);
}

/* ---- the same, read from the source at every step ---- */

struct step {
  const uint8_t *p, *end;
};

static bool set_has(struct step *at, uint8_t c) {
  const uint8_t *p = at->p + 1;
  bool negated = p < at->end && *p == '^', found = false;
  if (negated) p++;
  for (; p < at->end && *p != ']'; p++) {
    if (*p == '\\' && at->end - p >= 2) {
      p++;
      found |= *p == c;
    } else if (at->end - p >= 3 && p[1] == '-') {
      uint8_t low = p[0] < p[2] ? p[0] : p[2], high = p[0] < p[2] ? p[2] : p[0];
      p += 2;
      found |= c >= low && c <= high;
    } else {
      found |= *p == c;
    }
  }
  at->p = p < at->end ? p : at->end - 1;
  return found != negated;
}

static bool one_matches(struct step *at, uint8_t c) {
  bool same;
  if (*at->p == '?') {
    same = true;
  } else if (*at->p == '[') {
    same = set_has(at, c);
  } else {
    if (*at->p == '\\' && at->end - at->p >= 2) at->p++;
    same = *at->p == c;
  }
  at->p++;
  return same;
}

/* All ways are tried: what Redis does, without what makes it quick. For short ones. */
static bool matches_by_trying(struct step at, const uint8_t *text, const uint8_t *end) {
  while (at.p < at.end) {
    if (*at.p == '*') {
      at.p++;
      for (; text <= end; text++)
        if (matches_by_trying(at, text, end)) return true;
      return false;
    }
    if (text == end || !one_matches(&at, *text)) return false;
    text++;
  }
  return text == end;
}

static struct sb_bytes random_bytes(uint8_t *out, size_t most, const char *alphabet) {
  size_t len = below((uint32_t)most + 1);
  for (size_t i = 0; i < len; i++)
    out[i] = below(50) ? (uint8_t)alphabet[below((uint32_t)strlen(alphabet))] : (uint8_t)below(256);
  return sb_bytes(out, len);
}

static void random_patterns_with_sets_match_as_when_read_step_by_step(void **state) {
  (void)state;
  static const char *const alphabets[] = {"*?[]^-\\ab", "[]^-\\abc", "**?ab[]", "*abababab?", "[[]a-c^*"};
  uint32_t matched = 0;
  for (int i = 0; i < 300000; i++) {
    uint8_t pattern[14], text[12];
    struct sb_bytes p = random_bytes(pattern, sizeof pattern, alphabets[below(5)]);
    struct sb_bytes t = random_bytes(text, sizeof text, below(3) ? "ab" : "abc-]^[\\*?");
    bool expected = t.len == 0
                        ? p.len == 0
                        : matches_by_trying((struct step){pattern, pattern + p.len}, text, text + t.len);
    if (matches_once(p, t) != expected)
      fail_msg("\"%.*s\" %s \"%.*s\" (test %d)", (int)p.len, (const char *)pattern,
               expected ? "does not match" : "matches", (int)t.len, (const char *)text, i);
    matched += expected;
  }
  assert_in_range(matched, 5000, 295000);
}

/* ---- many ---- */

#define MANY 400

static void tick(void *owner, void *item) {
  uint8_t *ticked = owner;
  ticked[*(uint16_t *)item]++;
}

static void count_one(void *owner, void *item) {
  (void)item;
  ++*(uint32_t *)owner;
}

/* Some are added and removed between texts, so that places, shapes and buckets come and go. */
static void an_index_finds_what_each_pattern_by_itself_matches(void **state) {
  (void)state;
  static const char *const alphabets[] = {"ab*", "aab?*", "a[b]*", "abcdefgh"};
  struct sb_glob_index index = {0};
  static uint8_t patterns[MANY][80];
  struct sb_bytes sources[MANY] = {0};
  struct sb_glob_place *places[MANY] = {0};
  uint16_t numbers[MANY];
  uint32_t matched = 0;
  for (int i = 0; i < 20000; i++) {
    uint32_t n = below(MANY);
    if (places[n]) {
      sb_glob_index_remove(&index, places[n]);
      places[n] = NULL;
    } else {
      numbers[n] = (uint16_t)n;
      sources[n] = random_bytes(patterns[n], below(4) ? 6 : sizeof patterns[n], alphabets[below(4)]);
      places[n] = sb_glob_index_add(&index, sb_glob_new(sources[n]), &numbers[n]);
    }
    uint8_t text[100], ticked[MANY] = {0};
    struct sb_bytes t = random_bytes(text, below(4) ? 8 : sizeof text, "aab");
    if (n % 4 == 0 && sources[n].len > 0) t = sources[n]; /* literals match themselves */
    sb_glob_index_each(&index, t, tick, ticked);
    for (uint32_t k = 0; k < MANY; k++) {
      bool expected = places[k] && matches_once(sources[k], t);
      if (ticked[k] != expected) fail_msg("pattern %u is found %u times, not %u", k, ticked[k], expected);
      matched += expected;
    }
  }
  assert_true(matched > 1000);
  sb_glob_index_close(&index);
}

/* The bound of CPU time tells a product of the two lengths, or a walk over all patterns that look alike at
 * their begin, from what is promised, on any machine. */
static double seconds(clock_t begin) {
  return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

static void the_work_of_a_pattern_says_what_it_costs(void **state) {
  (void)state;
  static const struct {
    const char *pattern;
    uint32_t work;
  } known[] = {
      {"", 0},       {"news.*", 0},     {"*.eu", 0},  {"a?c*[xy]z", 0}, {"????", 0},
      {"*", 0},      {"*a*", 1},        {"*abc*", 1}, {"a*b*c*d", 2},   {"*a?c*", 1},
      {"*[ab]*", 2}, {"*a[bc]d*e*", 3}, {"**a**", 1}, {"*\\**", 1},     {"*[a][b]*[^b]*", 3},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    struct sb_glob *glob = sb_glob_new(sb_bytes_of(known[i].pattern));
    if (sb_glob_work(glob) != known[i].work)
      fail_msg("\"%s\" has work %u, not %u", known[i].pattern, sb_glob_work(glob), known[i].work);
    sb_glob_free(glob);
  }
}

/* All stones that a log takes, thrown at the longest name: 64 million steps at most. */
static void hostile_patterns_cost_no_more_than_their_work(void **state) {
  (void)state;
  static char pattern[SB_PATTERN_LENGTH_MAX + 1];
  static uint8_t text[SB_CHANNEL_LENGTH_MAX];
  static const char *const stones[] = {"*a", "a*", "*?", "*[ab]a", "*\\a", "*[^b]", "**a*", "?", "[ab]", "a"};
  memset(text, 'a', sizeof text);
  for (size_t i = 0; i < sizeof stones / sizeof *stones; i++) {
    size_t step = strlen(stones[i]), most = SB_PATTERN_LENGTH_MAX - 10;
    memset(pattern, 'a', most);
    pattern[0] = '*';
    for (size_t at = 1; at + step < most; at += step) memcpy(pattern + at, stones[i], step);
    memcpy(pattern + most, "b*", 3);
    struct sb_glob_index index = {0};
    clock_t begin = clock();
    for (size_t n = 0; n < SB_PATTERN_BYTES_MAX / SB_PATTERN_LENGTH_MAX; n++) {
      struct sb_glob *glob = sb_glob_new(sb_bytes_of(pattern));
      if (n > 0 && index.work + sb_glob_work(glob) > SB_PATTERN_WORK_MAX) {
        sb_glob_free(glob);
        break;
      }
      sb_glob_index_add(&index, glob, NULL);
    }
    uint32_t found = 0;
    sb_glob_index_each(&index, sb_bytes(text, sizeof text), count_one, &found);
    sb_glob_index_close(&index);
    if (seconds(begin) > 2) fail_msg("%s took %.1f s", stones[i], seconds(begin));
  }
}

static void ten_thousand_patterns_that_begin_otherwise_are_not_walked(void **state) {
  (void)state;
  struct sb_glob_index index = {0};
  char name[64];
  for (int i = 0; i < 10000; i++) {
    snprintf(name, sizeof name, i % 2 ? "app:user:%d:*" : "*:room-%d", i);
    sb_glob_index_add(&index, sb_glob_new(sb_bytes_of(name)), NULL);
  }
  uint32_t found = 0;
  clock_t begin = clock();
  for (int i = 0; i < 200000; i++) {
    snprintf(name, sizeof name, "app:user:%d:room-%d", 100000 + i, 100000 + i);
    sb_glob_index_each(&index, sb_bytes_of(name), count_one, &found);
  }
  assert_int_equal(found, 0);
  assert_true(seconds(begin) < 20); /* walked, they are two thousand million */
  sb_glob_index_close(&index);
}

/* Sets of two bytes, each another one. */
static size_t write_sets(uint8_t *out, int count) {
  for (int i = 0; i < count; i++) {
    const uint8_t set[] = {'[', (uint8_t)('a' + i / 120), (uint8_t)(0x80 + i % 120), ']'};
    memcpy(out + (size_t)i * 4, set, 4);
  }
  return (size_t)count * 4;
}

static double seconds_of_compiling(struct sb_bytes pattern, int times) {
  double least = 1e9;
  for (int i = 0; i < 5; i++) {
    clock_t begin = clock();
    for (int k = 0; k < times; k++) sb_glob_free(sb_glob_new(pattern));
    if (seconds(begin) < least) least = seconds(begin);
  }
  return least;
}

static void many_sets_cost_each_as_much_as_few(void **state) {
  (void)state;
  uint8_t few[4 * 32], many[4 * 1024];
  double of_few = seconds_of_compiling(sb_bytes(few, write_sets(few, 32)), 32 * 20);
  double of_many = seconds_of_compiling(sb_bytes(many, write_sets(many, 1024)), 20);
  assert_true(of_many < 5 * of_few); /* each compared with all before it: ten times */
}

static void equal_sets_are_kept_once(void **state) {
  (void)state;
  uint8_t pattern[4 * 1000];
  write_sets(pattern, 500);
  write_sets(pattern + 2000, 500);
  struct sb_glob *glob = sb_glob_new(sb_bytes(pattern, sizeof pattern));
  assert_int_equal(sb_glob_set_bytes(glob), 500 * 32);
  uint8_t text[1000];
  for (int i = 0; i < 1000; i++) text[i] = pattern[4 * i + 1 + i % 2];
  assert_true(sb_glob_matches(glob, sb_bytes(text, sizeof text)));
  text[999] = '!';
  assert_false(sb_glob_matches(glob, sb_bytes(text, sizeof text)));
  sb_glob_free(glob);
}

static void what_nobody_can_publish_to_or_is_too_long_to_compile_matches_nothing(void **state) {
  (void)state;
  static uint8_t text[SB_CHANNEL_LENGTH_MAX + 1];
  struct sb_glob_index index = {0};
  uint16_t number = 0;
  uint8_t found = 0;
  memset(text, '*', sizeof text);
  assert_null(sb_glob_new(sb_bytes(text, SB_PATTERN_LENGTH_MAX + 1)));
  assert_false(matches_once(sb_bytes(text, SB_PATTERN_LENGTH_MAX + 1), sb_bytes_of("a")));
  assert_true(matches_once(sb_bytes(text, SB_PATTERN_LENGTH_MAX), sb_bytes_of("a")));
  sb_glob_index_add(&index, sb_glob_new(sb_bytes_of("*")), &number);
  sb_glob_index_each(&index, sb_bytes(text, SB_CHANNEL_LENGTH_MAX), tick, &found);
  assert_int_equal(found, 1);
  sb_glob_index_each(&index, sb_bytes(text, SB_CHANNEL_LENGTH_MAX + 1), tick, &found);
  assert_int_equal(found, 1);
  sb_glob_index_close(&index);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(patterns_mean_what_they_mean_to_redis),
      cmocka_unit_test(a_zero_byte_is_a_byte_like_others),
      cmocka_unit_test(an_empty_view_may_have_no_address),
      cmocka_unit_test(random_patterns_match_what_a_table_of_prefixes_says),
      cmocka_unit_test(random_patterns_with_sets_match_as_when_read_step_by_step),
      cmocka_unit_test(an_index_finds_what_each_pattern_by_itself_matches),
      cmocka_unit_test(the_work_of_a_pattern_says_what_it_costs),
      cmocka_unit_test(hostile_patterns_cost_no_more_than_their_work),
      cmocka_unit_test(ten_thousand_patterns_that_begin_otherwise_are_not_walked),
      cmocka_unit_test(many_sets_cost_each_as_much_as_few),
      cmocka_unit_test(equal_sets_are_kept_once),
      cmocka_unit_test(what_nobody_can_publish_to_or_is_too_long_to_compile_matches_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
