/* Patterns mean what they mean to Redis: the table below was checked against redis-server 7.0.15 (KEYS,
 * PSUBSCRIBE). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bridge/core/glob.h"
#include "tests/unit/seed.h"

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
    if (sb_glob_match(sb_bytes_of(e->pattern), sb_bytes_of(e->text)) != e->matches)
      fail_msg("\"%s\" %s \"%s\"", e->pattern, e->matches ? "does not match" : "matches", e->text);
  }
}

static void a_zero_byte_is_a_byte_like_others(void **state) {
  (void)state;
  assert_true(sb_glob_match(sb_bytes("a\0b", 3), sb_bytes("a\0b", 3)));
  assert_false(sb_glob_match(sb_bytes("a\0b", 3), sb_bytes("a\0c", 3)));
  assert_true(sb_glob_match(sb_bytes("*\0", 2), sb_bytes("ab\0", 3)));
  assert_true(sb_glob_match(sb_bytes("[\0-\x02]", 5), sb_bytes("\x01", 1)));
  assert_false(sb_glob_match(sb_bytes("a", 1), sb_bytes("a\0", 2)));
}

static void an_empty_view_may_have_no_address(void **state) {
  (void)state;
  assert_true(sb_glob_match(sb_bytes(NULL, 0), sb_bytes(NULL, 0)));
  assert_false(sb_glob_match(sb_bytes_of("?"), sb_bytes(NULL, 0)));
  assert_false(sb_glob_match(sb_bytes(NULL, 0), sb_bytes_of("a")));
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
    if (sb_glob_match(sb_bytes_of(pattern), sb_bytes_of(text)) != expected)
      fail_msg("\"%s\" %s \"%s\"", pattern, expected ? "does not match" : "matches", text);
    matched += expected;
  }
  assert_in_range(matched, 5000, 45000);
}

/* Trying all ways would take longer than the world lasts, and the product of the two lengths is 100 million
 * simple steps here at most: the bound of CPU time tells these two apart on any machine. */
static void a_hostile_pattern_costs_no_more_than_the_product_of_the_lengths(void **state) {
  (void)state;
  static char pattern[10001], text[10001];
  static const char *const stones[] = {"*a", "a*", "*?", "*[a]", "*\\a", "*[^b]", "**a*"};
  memset(text, 'a', 10000);
  clock_t begin = clock();
  for (size_t i = 0; i < sizeof stones / sizeof *stones; i++) {
    size_t step = strlen(stones[i]);
    for (size_t at = 0; at + step < 10000; at += step) memcpy(pattern + at, stones[i], step);
    memcpy(pattern + 9990, "*bbbbbbbbb", 11);
    assert_false(sb_glob_match(sb_bytes_of(pattern), sb_bytes_of(text)));
    assert_in_range((clock() - begin) / CLOCKS_PER_SEC, 0, 20);
  }
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(patterns_mean_what_they_mean_to_redis),
      cmocka_unit_test(a_zero_byte_is_a_byte_like_others),
      cmocka_unit_test(an_empty_view_may_have_no_address),
      cmocka_unit_test(random_patterns_match_what_a_table_of_prefixes_says),
      cmocka_unit_test(a_hostile_pattern_costs_no_more_than_the_product_of_the_lengths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
