/* The hash table against a plain list, with hashes that collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/table.h"
#include "tests/unit/seed.h"

#define ITEMS 600

struct item {
  uint64_t hash;
  bool in;
};

static bool holds(const struct sb_table *table, const struct item *item) {
  size_t at = sb_table_start(table, item->hash);
  const struct item *found;
  uint32_t times = 0;
  while ((found = sb_table_probe(table, item->hash, &at))) {
    assert_true(found->hash == item->hash);
    times += found == item;
  }
  assert_true(times <= 1);
  return times == 1;
}

static void check_against(const struct sb_table *table, const struct item *items) {
  size_t in = 0, walked = 0, at = 0;
  for (size_t i = 0; i < ITEMS; i++) {
    in += items[i].in;
    assert_int_equal(holds(table, &items[i]), items[i].in);
  }
  assert_int_equal(table->count, in);
  for (const struct item *item; (item = sb_table_each(table, &at)); walked++) assert_true(item->in);
  assert_int_equal(walked, in);
  assert_true(table->count * 16 <= table->cap * 13);
}

/* `spread` tells how many hashes there are: few make long runs, that also wrap around the end of the table.
 */
static void random_use(uint32_t spread) {
  struct sb_table table = {0};
  static struct item items[ITEMS];
  for (size_t i = 0; i < ITEMS; i++) items[i] = (struct item){.hash = UINT64_MAX - below(spread)};
  for (uint32_t round = 0; round < 20000; round++) {
    /* More are added than removed at first, then the other way round. */
    struct item *item = &items[below(ITEMS)];
    bool add = below(100) < (round % 8000 < 4000 ? 70 : 30);
    if (add && !item->in) sb_table_add(&table, item->hash, item);
    if (!add) assert_int_equal(sb_table_remove(&table, item->hash, item), item->in);
    item->in = add;
    if (round % 500 == 0) check_against(&table, items);
  }
  check_against(&table, items);
  sb_table_close(&table);
}

static void it_holds_what_a_list_would_hold(void **state) {
  (void)state;
  random_use(UINT32_MAX);
}

static void items_of_one_hash_are_kept_apart(void **state) {
  (void)state;
  random_use(3);
  random_use(40);
}

static void an_empty_table_has_nothing(void **state) {
  (void)state;
  struct sb_table table = {0};
  int item;
  size_t at = sb_table_start(&table, 5);
  assert_null(sb_table_probe(&table, 5, &at));
  assert_false(sb_table_remove(&table, 5, &item));
  at = 0;
  assert_null(sb_table_each(&table, &at));
  sb_table_close(&table);
}

static void memory_is_given_back_when_it_empties(void **state) {
  (void)state;
  struct sb_table table = {0};
  static struct item items[4096];
  for (uint32_t i = 0; i < 4096; i++) {
    items[i].hash = i * UINT64_C(0x9e3779b97f4a7c15);
    sb_table_add(&table, items[i].hash, &items[i]);
  }
  assert_true(table.cap >= 4096);
  for (uint32_t i = 0; i < 4090; i++) assert_true(sb_table_remove(&table, items[i].hash, &items[i]));
  assert_true(table.cap <= 64);
  for (uint32_t i = 4090; i < 4096; i++) assert_true(holds(&table, &items[i]));
  sb_table_close(&table);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_holds_what_a_list_would_hold),
      cmocka_unit_test(items_of_one_hash_are_kept_apart),
      cmocka_unit_test(an_empty_table_has_nothing),
      cmocka_unit_test(memory_is_given_back_when_it_empties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
