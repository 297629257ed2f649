/* Counts of the cluster: they are those of a plain list, whatever comes and goes, at the bounds of the table
 * and at those of limits.h, and a row costs what was promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/state/counts.h"
#include "tests/unit/seed.h"

#define ROW_BYTES_MAX 40 /* of a remote subscription, on each node */

static bool set(struct sb_counts *counts, const char *name, uint32_t member, uint32_t count) {
  return sb_counts_set(counts, SB_SUB_CHANNEL, sb_bytes_of(name), member, count);
}

static uint64_t sessions_on(const struct sb_counts *counts, const char *name) {
  return sb_counts_channel(counts, sb_counts_id(counts, SB_SUB_CHANNEL, sb_bytes_of(name)));
}

/* The same place in the table as any other id with these bits, and yet another channel. */
static struct sb_name_id id_of(uint64_t low) {
  return (struct sb_name_id){low, low >> 7};
}

static bool set_pattern(struct sb_counts *counts, const char *name, uint32_t member, uint32_t count) {
  return sb_counts_set(counts, SB_SUB_PATTERN, sb_bytes_of(name), member, count);
}

/* ---- channels ---- */

static void a_count_is_what_was_set_last(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  struct sb_name_id id = sb_counts_id(&counts, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_int_equal(sb_counts_get(&counts, id, 1), 0);
  assert_int_equal(sb_counts_channel(&counts, id), 0);
  assert_true(set(&counts, "news", 1, 3));
  assert_true(set(&counts, "news", 1, 2));
  assert_int_equal(sb_counts_get(&counts, id, 1), 2);
  assert_int_equal(counts.count, 1);
  assert_true(set(&counts, "news", 1, 0));
  assert_true(set(&counts, "news", 1, 0)); /* nothing to remove is no error */
  assert_int_equal(sb_counts_get(&counts, id, 1), 0);
  assert_int_equal(counts.count, 0);
  sb_counts_close(&counts);
}

static void members_are_counted_apart_and_together(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  struct sb_name_id id = sb_counts_id(&counts, SB_SUB_CHANNEL, sb_bytes_of("news"));
  for (uint32_t member = 1; member <= 100; member++) set(&counts, "news", member, member);
  set(&counts, "other", 7, 1000);
  assert_int_equal(sessions_on(&counts, "news"), 5050);
  for (uint32_t member = 1; member <= 100; member++)
    assert_int_equal(sb_counts_get(&counts, id, member), member);
  set(&counts, "news", 50, 0);
  assert_int_equal(sessions_on(&counts, "news"), 5000);
  assert_int_equal(counts.count, 100);
  set(&counts, "news", 1, SB_INTEREST_COUNT_MAX);
  set(&counts, "news", 2, SB_INTEREST_COUNT_MAX);
  set(&counts, "news", 3, SB_INTEREST_COUNT_MAX);
  assert_int_equal(sessions_on(&counts, "news"), UINT64_C(3) * SB_INTEREST_COUNT_MAX + 4994);
  sb_counts_close(&counts);
}

static void channels_shard_channels_and_patterns_of_one_name_are_apart(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  struct sb_bytes name = sb_bytes_of("news");
  sb_counts_set(&counts, SB_SUB_CHANNEL, name, 1, 1);
  sb_counts_set(&counts, SB_SUB_SHARD, name, 1, 20);
  sb_counts_set(&counts, SB_SUB_PATTERN, name, 1, 300);
  assert_int_equal(sb_counts_channel(&counts, sb_counts_id(&counts, SB_SUB_CHANNEL, name)), 1);
  assert_int_equal(sb_counts_channel(&counts, sb_counts_id(&counts, SB_SUB_SHARD, name)), 20);
  assert_int_equal(sb_counts_matching(&counts, name), 300);
  sb_counts_set(&counts, SB_SUB_SHARD, name, 1, 0);
  assert_int_equal(sb_counts_channel(&counts, sb_counts_id(&counts, SB_SUB_CHANNEL, name)), 1);
  sb_counts_close(&counts);
}

/* Removing closes a hole, also across the end of the table: rows that stand behind the begin because there
 * was no room before the end. */
static void rows_are_found_when_any_of_a_full_table_leaves(void **state) {
  (void)state;
  enum { ROWS = 14 }; /* of 16 slots */
  uint32_t across = 0;
  for (uint64_t round = 0; round < 2000; round++) {
    struct sb_counts counts = {0};
    uint64_t first = round * 100, gone = first + below(ROWS);
    for (uint64_t hash = first; hash < first + ROWS; hash++) sb_counts_set_id(&counts, id_of(hash), 1, 1);
    assert_int_equal(counts.cap, 16);
    across += counts.slots[15].count && counts.slots[0].count ? 1 : 0;
    sb_counts_set_id(&counts, id_of(gone), 1, 0);
    for (uint64_t hash = first; hash < first + ROWS; hash++) {
      assert_int_equal(sb_counts_get(&counts, id_of(hash), 1), hash != gone);
      assert_int_equal(sb_counts_channel(&counts, id_of(hash)), hash != gone);
    }
    assert_int_equal(counts.count, ROWS - 1);
    sb_counts_close(&counts);
  }
  assert_true(across > 100);
}

static void only_the_member_is_forgotten(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  char name[16];
  for (int i = 0; i < 1000; i++) {
    snprintf(name, sizeof name, "c%d", i);
    for (uint32_t member = 1; member <= 3; member++) set(&counts, name, member, member);
  }
  sb_counts_forget(&counts, 9);
  assert_int_equal(counts.count, 3000);
  sb_counts_forget(&counts, 2);
  assert_int_equal(counts.count, 2000);
  for (int i = 0; i < 1000; i++) {
    snprintf(name, sizeof name, "c%d", i);
    assert_int_equal(sessions_on(&counts, name), 4);
  }
  sb_counts_forget(&counts, 1);
  sb_counts_forget(&counts, 3);
  assert_int_equal(counts.count, 0);
  assert_in_range(counts.cap, 0, 16); /* nothing is kept for those who left */
  sb_counts_close(&counts);
}

/* ---- patterns ---- */

static void patterns_count_where_they_match_with_all_their_members(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  set_pattern(&counts, "n*", 1, 2);
  set_pattern(&counts, "n*", 2, 3);
  set_pattern(&counts, "*s", 1, 10);
  set_pattern(&counts, "x", 3, 100);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("news")), 15);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("nil")), 5);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("y")), 0);
  assert_int_equal(counts.patterns.count, 3);
  assert_int_equal(counts.pattern_rows, 4);
  assert_int_equal(counts.pattern_bytes, 2 + 2 + 2 + 1);
  set_pattern(&counts, "n*", 1, 7); /* absolute, not added */
  assert_int_equal(sb_counts_pattern(&counts, sb_bytes_of("n*"), 1), 7);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("nil")), 10);
  set_pattern(&counts, "n*", 1, 0);
  set_pattern(&counts, "n*", 1, 0);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("nil")), 3);
  set_pattern(&counts, "n*", 2, 0);
  assert_int_equal(counts.patterns.count, 2);
  assert_int_equal(counts.pattern_bytes, 2 + 1);
  sb_counts_close(&counts);
}

static void a_pattern_may_be_empty_and_hold_any_byte(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes(NULL, 0), 1, 1));
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes("a\0b", 3), 1, 1));
  assert_int_equal(sb_counts_matching(&counts, sb_bytes("", 0)), 1);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes("a\0b", 3)), 1);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes("a\0c", 3)), 0);
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes("", 0), 1, 0));
  assert_int_equal(counts.patterns.count, 1);
  sb_counts_close(&counts);
}

/* Whoever leaves may have had most patterns: the table becomes smaller while it is walked. */
static void a_member_is_forgotten_while_its_patterns_shrink_the_table(void **state) {
  (void)state;
  for (uint32_t many = 1; many < 400; many += 7) {
    struct sb_counts counts = {0};
    char name[16];
    for (uint32_t i = 0; i < many; i++) {
      snprintf(name, sizeof name, "p%u", i);
      set_pattern(&counts, name, 1, 1);
      if (i % 5 == 0) set_pattern(&counts, name, 2, 2);
      if (i % 50 == 1) set_pattern(&counts, name, 3, 3);
    }
    sb_counts_forget(&counts, 1);
    uint32_t left = 0;
    for (uint32_t i = 0; i < many; i++) {
      snprintf(name, sizeof name, "p%u", i);
      uint32_t second = i % 5 == 0 ? 2 : 0, third = i % 50 == 1 ? 3 : 0;
      assert_int_equal(sb_counts_pattern(&counts, sb_bytes_of(name), 1), 0);
      assert_int_equal(sb_counts_pattern(&counts, sb_bytes_of(name), 2), second);
      assert_int_equal(sb_counts_pattern(&counts, sb_bytes_of(name), 3), third);
      assert_int_equal(sb_counts_matching(&counts, sb_bytes_of(name)), second + third);
      left += (second > 0 ? 1U : 0) + (third > 0 ? 1U : 0);
    }
    assert_int_equal(counts.pattern_rows, left);
    sb_counts_forget(&counts, 2);
    sb_counts_forget(&counts, 3);
    assert_int_equal(counts.patterns.count, 0);
    assert_int_equal(counts.pattern_bytes, 0);
    sb_counts_close(&counts);
  }
}

/* ---- limits ---- */

static void above_the_rows_that_a_log_may_have_nothing_changes(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  for (uint64_t i = 0; i < SB_INTEREST_ROWS_MAX; i++)
    if (!sb_counts_set_id(&counts, id_of(i * UINT64_C(0x9e3779b97f4a7c15)), 1, 1))
      fail_msg("row %zu", (size_t)i);
  assert_false(sb_counts_set_id(&counts, id_of(1), 2, 1));
  assert_int_equal(sb_counts_get(&counts, id_of(1), 2), 0);
  assert_int_equal(counts.count, SB_INTEREST_ROWS_MAX);
  assert_true(sb_counts_set_id(&counts, id_of(0), 1, 2)); /* what is there may change, and leave room */
  assert_int_equal(sb_counts_get(&counts, id_of(0), 1), 2);
  assert_true(sb_counts_set_id(&counts, id_of(1), 2, 0));
  assert_true(sb_counts_set_id(&counts, id_of(0), 1, 0));
  assert_true(sb_counts_set_id(&counts, id_of(1), 2, 1));
  assert_true(counts.cap * sizeof *counts.slots <= ROW_BYTES_MAX * counts.count);
  sb_counts_close(&counts);
}

static void above_the_patterns_that_a_log_may_have_nothing_changes(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  char name[16];
  for (uint32_t i = 0; i < SB_PATTERN_ROWS_MAX; i++) {
    snprintf(name, sizeof name, "%u", i / 2);
    assert_true(set_pattern(&counts, name, 1 + i % 2, 1));
  }
  assert_false(set_pattern(&counts, "one more", 1, 1));
  assert_false(set_pattern(&counts, "0", 3, 1));
  assert_int_equal(counts.patterns.count, SB_PATTERN_ROWS_MAX / 2);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("0")), 2);
  assert_true(set_pattern(&counts, "0", 1, 5));
  assert_true(set_pattern(&counts, "0", 2, 0));
  assert_true(set_pattern(&counts, "one more", 1, 1));
  sb_counts_close(&counts);
}

/* Patterns of the longest length, until no more fit; returns how many rows that were. */
static uint32_t fill_bytes(struct sb_counts *counts, const char *begin) {
  char name[SB_PATTERN_LENGTH_MAX];
  uint32_t rows = 0;
  memset(name, 'n', sizeof name);
  memcpy(name, begin, strlen(begin));
  do {
    char digits[8];
    memcpy(name + sizeof name - 8, digits, (size_t)snprintf(digits, sizeof digits, "%06u", rows / 2));
  } while (sb_counts_set(counts, SB_SUB_PATTERN, sb_bytes(name, sizeof name), 1 + rows % 2, 1) && ++rows);
  return rows;
}

static void above_the_bytes_that_patterns_may_have_nothing_changes(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  char first[SB_PATTERN_LENGTH_MAX];
  assert_int_equal(fill_bytes(&counts, ""), SB_PATTERN_BYTES_MAX / SB_PATTERN_LENGTH_MAX);
  assert_int_equal(counts.pattern_bytes, SB_PATTERN_BYTES_MAX);
  assert_false(set_pattern(&counts, "x", 1, 1));
  assert_int_equal(sb_counts_pattern(&counts, sb_bytes_of("x"), 1), 0);
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes(NULL, 0), 1, 1)); /* it has none */
  memset(first, 'n', sizeof first);
  memcpy(first + sizeof first - 8, "000000", 6);
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes(first, sizeof first), 1, 0));
  assert_true(set_pattern(&counts, "x", 1, 1));
  sb_counts_close(&counts);
}

static void the_bit_maps_of_patterns_count_as_their_bytes(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  assert_true(set_pattern(&counts, "[a-c][a-c][d-f][x]?", 1, 1)); /* two of them differ, "[x]" needs none */
  assert_int_equal(counts.pattern_bytes, 19 + 2 * 32);
  assert_true(set_pattern(&counts, "[a-c][a-c][d-f][x]?", 2, 1));
  assert_int_equal(counts.pattern_bytes, 2 * (19 + 2 * 32));
  assert_true(set_pattern(&counts, "[a-c][a-c][d-f][x]?", 1, 0));
  assert_true(set_pattern(&counts, "[a-c][a-c][d-f][x]?", 2, 0));
  assert_int_equal(counts.pattern_bytes, 0);
  sb_counts_close(&counts);
}

static void above_the_work_that_patterns_may_cost_nothing_changes(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  char name[16];
  for (uint32_t i = 0; i < SB_PATTERN_WORK_MAX; i++) {
    snprintf(name, sizeof name, "*%u*", i);
    assert_true(set_pattern(&counts, name, 1, 1));
  }
  assert_false(set_pattern(&counts, "*one more*", 1, 1));
  assert_true(set_pattern(&counts, "*7*", 2, 1)); /* is matched already */
  assert_true(set_pattern(&counts, "more.*", 1, 1));
  assert_true(set_pattern(&counts, "*8*", 1, 0));
  assert_true(set_pattern(&counts, "*one more*", 1, 1));
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("7 and one more")), 3); /* twice "*7*" */
  sb_counts_close(&counts);
}

static void a_pattern_that_is_longer_than_nodes_carry_is_not_counted(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  static char name[SB_PATTERN_LENGTH_MAX + 1];
  memset(name, '*', sizeof name);
  assert_false(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes(name, sizeof name), 1, 1));
  assert_int_equal(counts.pattern_rows, 0);
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("a")), 0);
  assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, sb_bytes(name, sizeof name - 1), 1, 1));
  assert_int_equal(sb_counts_matching(&counts, sb_bytes_of("a")), 1);
  sb_counts_close(&counts);
}

/* ---- memory ---- */

static void assert_cheap(const struct sb_counts *counts) {
  if (counts->count >= 1000 && counts->cap * sizeof *counts->slots > ROW_BYTES_MAX * counts->count)
    fail_msg("%zu bytes for each of %zu rows", counts->cap * sizeof *counts->slots / counts->count,
             counts->count);
}

static void a_row_costs_at_most_40_bytes_at_any_load(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  for (uint64_t i = 1; i <= 100000; i++) {
    sb_counts_set_id(&counts, id_of(i * UINT64_C(0x9e3779b97f4a7c15)), 1 + (uint32_t)(i % 10), 1);
    assert_cheap(&counts);
  }
  assert_int_equal(counts.count, 100000);
  print_message("%zu bytes for each of 100,000 rows\n", counts.cap * sizeof *counts.slots / counts.count);
  sb_counts_forget(&counts, 10);
  assert_cheap(&counts);
  for (uint64_t i = 1; i <= 100000; i++) {
    sb_counts_set_id(&counts, id_of(i * UINT64_C(0x9e3779b97f4a7c15)), 1 + (uint32_t)(i % 10), 0);
    assert_cheap(&counts);
  }
  assert_int_equal(counts.count, 0);
  sb_counts_close(&counts);
}

/* ---- time ---- */

#define MANY 200000

static int by_low_bits(const void *a, const void *b) {
  const struct sb_name_id *x = a, *y = b;
  return (x->low & 0x7ffff) < (y->low & 0x7ffff) ? -1 : (x->low & 0x7ffff) > (y->low & 0x7ffff);
}

/* The longest run of taken slots, the way that a row may have to walk. */
static size_t longest_run(const struct sb_counts *counts) {
  size_t longest = 0, run = 0;
  for (size_t i = 0; i < 2 * counts->cap; i++) {
    run = counts->slots[i % counts->cap].count ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return longest;
}

/* Sets all of them; whenever the table is about to grow, no run may be longer than an eighth of it. */
static void assert_spread(const struct sb_name_id *ids) {
  struct sb_counts counts = {0};
  for (size_t i = 0; i < MANY; i++) {
    if (counts.cap >= 32768 && (counts.count + 1) * 8 > counts.cap * 7)
      assert_true(longest_run(&counts) < counts.cap / 8);
    sb_counts_set_id(&counts, ids[i], 1, 1);
  }
  sb_counts_close(&counts);
}

/* As a SNAPSHOT is written, and as a member says what it has: in the order of a table. Where homes had that
 * order too, the smaller table would fill from one side. */
static void rows_that_come_in_the_order_of_a_table_spread_all_the_same(void **state) {
  (void)state;
  struct sb_name_id *ids = sb_malloc(MANY * sizeof *ids);
  struct sb_counts counts = {0};
  size_t count = 0;
  for (size_t i = 0; i < MANY; i++) {
    char name[16];
    int len = snprintf(name, sizeof name, "%zu", i);
    ids[i] = sb_counts_id(&counts, SB_SUB_CHANNEL, sb_bytes(name, (size_t)len));
    sb_counts_set_id(&counts, ids[i], 1, 1);
  }
  assert_spread(ids);
  for (size_t i = 0; i < counts.cap; i++)
    if (counts.slots[i].count) ids[count++] = counts.slots[i].id;
  assert_int_equal(count, MANY);
  assert_spread(ids);
  qsort(ids, MANY, sizeof *ids, by_low_bits);
  assert_spread(ids);
  sb_counts_close(&counts);
  free(ids);
}

/* ---- against a plain list ---- */

#define MEMBERS  5
#define CHANNELS 60
#define PATTERNS 40

struct model {
  uint32_t channels[MEMBERS][CHANNELS], patterns[MEMBERS][PATTERNS];
};

/* Homes crowd at the end of the table, and run over it. */
static struct sb_name_id channel_id(uint32_t channel) {
  return id_of(channel % 3 == 0 ? UINT64_MAX - channel : (uint64_t)channel * 8);
}

static struct sb_bytes pattern_of(uint32_t index) {
  static char names[PATTERNS][8];
  int len = snprintf(names[index], sizeof names[index], "p%u*", index);
  return sb_bytes(names[index], (size_t)len);
}

static void assert_as(const struct sb_counts *counts, const struct model *model) {
  size_t rows = 0, pattern_rows = 0, patterns = 0, bytes = 0;
  for (uint32_t c = 0; c < CHANNELS; c++) {
    uint64_t total = 0;
    for (uint32_t m = 0; m < MEMBERS; m++) {
      assert_int_equal(sb_counts_get(counts, channel_id(c), m + 1), model->channels[m][c]);
      total += model->channels[m][c];
      rows += model->channels[m][c] > 0;
    }
    assert_int_equal(sb_counts_channel(counts, channel_id(c)), total);
  }
  for (uint32_t p = 0; p < PATTERNS; p++) {
    bool any = false;
    for (uint32_t m = 0; m < MEMBERS; m++) {
      assert_int_equal(sb_counts_pattern(counts, pattern_of(p), m + 1), model->patterns[m][p]);
      if (model->patterns[m][p] == 0) continue;
      any = true;
      pattern_rows++;
      bytes += pattern_of(p).len;
    }
    patterns += any;
  }
  for (uint32_t p = 0; p < PATTERNS; p++) { /* "p1" matches p1*, "p12" p1* and p12* */
    uint64_t total = 0;
    char name[8];
    int len = snprintf(name, sizeof name, "p%u", p);
    for (uint32_t q = 0; q < PATTERNS; q++)
      if (q == p || (p >= 10 && q == p / 10))
        for (uint32_t m = 0; m < MEMBERS; m++) total += model->patterns[m][q];
    assert_int_equal(sb_counts_matching(counts, sb_bytes(name, (size_t)len)), total);
  }
  assert_int_equal(counts->count, rows);
  assert_int_equal(counts->pattern_rows, pattern_rows);
  assert_int_equal(counts->pattern_bytes, bytes);
  assert_int_equal(counts->patterns.count, patterns);
}

static void random_use_gives_what_a_list_would(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  struct model model = {0};
  uint32_t fill = 50; /* of a hundred changes, those that are not removals */
  for (int round = 0; round < 30000; round++) {
    uint32_t m = below(MEMBERS), dice = below(1000), count = below(100) < fill ? 1 + below(9) : 0;
    if (round % 1000 == 0) fill = below(100);
    if (dice < 600) {
      uint32_t c = below(CHANNELS);
      assert_true(sb_counts_set_id(&counts, channel_id(c), m + 1, count));
      model.channels[m][c] = count;
    } else if (dice < 995) {
      uint32_t p = below(PATTERNS);
      assert_true(sb_counts_set(&counts, SB_SUB_PATTERN, pattern_of(p), m + 1, count));
      model.patterns[m][p] = count;
    } else {
      sb_counts_forget(&counts, m + 1);
      memset(model.channels[m], 0, sizeof model.channels[m]);
      memset(model.patterns[m], 0, sizeof model.patterns[m]);
    }
    if (round % 20 == 0 || dice >= 995) assert_as(&counts, &model);
  }
  assert_as(&counts, &model);
  sb_counts_close(&counts);
  assert_int_equal(counts.cap, 0);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_count_is_what_was_set_last),
      cmocka_unit_test(members_are_counted_apart_and_together),
      cmocka_unit_test(channels_shard_channels_and_patterns_of_one_name_are_apart),
      cmocka_unit_test(rows_are_found_when_any_of_a_full_table_leaves),
      cmocka_unit_test(only_the_member_is_forgotten),
      cmocka_unit_test(patterns_count_where_they_match_with_all_their_members),
      cmocka_unit_test(a_pattern_may_be_empty_and_hold_any_byte),
      cmocka_unit_test(a_member_is_forgotten_while_its_patterns_shrink_the_table),
      cmocka_unit_test(above_the_rows_that_a_log_may_have_nothing_changes),
      cmocka_unit_test(above_the_patterns_that_a_log_may_have_nothing_changes),
      cmocka_unit_test(above_the_bytes_that_patterns_may_have_nothing_changes),
      cmocka_unit_test(the_bit_maps_of_patterns_count_as_their_bytes),
      cmocka_unit_test(above_the_work_that_patterns_may_cost_nothing_changes),
      cmocka_unit_test(a_pattern_that_is_longer_than_nodes_carry_is_not_counted),
      cmocka_unit_test(a_row_costs_at_most_40_bytes_at_any_load),
      cmocka_unit_test(rows_that_come_in_the_order_of_a_table_spread_all_the_same),
      cmocka_unit_test(random_use_gives_what_a_list_would),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
