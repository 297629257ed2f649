/* What was read back is put before what came meanwhile: the same as if all had been there from the begin on.
 */
#include <stdio.h>

#include "tests/unit/history_fixture.h"
#include "tests/unit/seed.h"

#define ROOMY ((size_t)64 * 1024 * 1024)
#define NAMES 4

static const char *const names[NAMES] = {"a", "b", "stream", ""};

struct fixture {
  struct sb_history whole, older, newer;
  uint64_t sequence;
};

static void set_up(struct fixture *f) {
  *f = (struct fixture){0};
  sb_history_init(&f->whole, ROOMY, 0);
  sb_history_init(&f->older, ROOMY, 0);
  sb_history_init(&f->newer, ROOMY, 0);
}

static void tear_down(struct fixture *f) {
  sb_history_close(&f->whole);
  sb_history_close(&f->older);
  sb_history_close(&f->newer);
  assert_int_equal(f->whole.bytes + f->older.bytes + f->newer.bytes, 0);
}

static void random_batch(struct fixture *f, struct sb_history *also) {
  struct made made = {0};
  char text[8];
  for (uint32_t parts = 1 + below(4); parts > 0; parts--) {
    struct sb_bytes bulks[8];
    uint32_t count = 1 + below(8);
    for (uint32_t i = 0; i < 8; i++) bulks[i] = sb_bytes(text, below(sizeof text));
    snprintf(text, sizeof text, "%u", below(1000000));
    if (below(3) == 0)
      make_fields(&made, names[below(NAMES)], bulks, 1 + below(4));
    else
      make_messages(&made, names[below(NAMES)], bulks, count);
  }
  struct sb_body *body = body_of(&made);
  f->sequence += 1 + below(3);
  struct sb_history *both[] = {&f->whole, also};
  for (uint32_t b = 0; b < 2; b++) {
    sb_history_batch(both[b], GENERATION, f->sequence, body, 0);
    for (uint32_t i = 0; i < made.told_count; i++) tell(both[b], &made.told[i]);
  }
  sb_body_unref(body);
}

/* What goes is counted by each for itself; what is left must be the same in the end. */
static void random_removal(struct fixture *f) {
  struct sb_bytes name = sb_bytes_of(names[below(NAMES)]);
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  uint64_t length = sb_history_length(&f->whole, name);
  if (length == 0) return;
  uint32_t steps = below((uint32_t)length), what = below(20);
  sb_history_seek(&f->whole, name, first_id, SB_ID_MAX, false, &cursor);
  for (uint32_t i = 0; i <= steps; i++) assert_true(sb_history_next(&cursor, &entry));
  struct sb_history *both[] = {&f->whole, &f->newer};
  for (uint32_t b = 0; b < 2; b++) {
    if (what < 12)
      sb_history_delete(both[b], name, entry.id);
    else if (what < 15 && steps < length / 3)
      sb_history_trim_below(both[b], name, entry.id);
    else if (what < 19)
      sb_history_trim_length(both[b], name, length - steps / 4);
    else if (steps == 0)
      sb_history_forget(both[b], name);
  }
}

static void assert_same(const struct sb_history *a, const struct sb_history *b, const char *name,
                        bool backwards) {
  struct sb_history_cursor cursors[2];
  struct sb_history_entry x, y;
  sb_history_seek(a, sb_bytes_of(name), first_id, SB_ID_MAX, backwards, &cursors[0]);
  sb_history_seek(b, sb_bytes_of(name), first_id, SB_ID_MAX, backwards, &cursors[1]);
  while (sb_history_next(&cursors[0], &x)) {
    assert_true(sb_history_next(&cursors[1], &y));
    assert_id(y.id, x.id);
    assert_int_equal(y.pairs, x.pairs);
    assert_int_equal(y.message, x.message);
    assert_true(sb_bytes_equal(x.bulk, y.bulk));
  }
  assert_false(sb_history_next(&cursors[1], &y));
  assert_int_equal(sb_history_length(a, sb_bytes_of(name)), sb_history_length(b, sb_bytes_of(name)));
}

static void it_is_as_if_all_had_been_there(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 200; round++) {
    struct fixture f;
    set_up(&f);
    for (uint32_t i = below(30); i > 0; i--) random_batch(&f, &f.older);
    sb_history_restart(&f.newer, sb_id_end_of(GENERATION, f.sequence));
    sb_history_record(&f.newer, true);
    for (uint32_t i = below(100); i > 0; i--) {
      if (below(2))
        random_batch(&f, &f.newer);
      else
        random_removal(&f);
    }
    assert_true(sb_history_prepend(&f.newer, &f.older));
    assert_id(f.newer.begin, first_id);
    assert_int_equal(f.older.entries, 0);
    for (uint32_t name = 0; name < NAMES; name++) {
      assert_same(&f.whole, &f.newer, names[name], false);
      assert_same(&f.whole, &f.newer, names[name], true);
    }
    assert_int_equal(f.whole.entries, f.newer.entries);
    for (uint32_t i = 0; i < 20; i++) {
      random_batch(&f, &f.newer);
      random_removal(&f);
    }
    for (uint32_t name = 0; name < NAMES; name++) assert_same(&f.whole, &f.newer, names[name], false);
    tear_down(&f);
  }
}

static void without_a_record_nothing_is_put_before(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  random_batch(&f, &f.older);
  uint64_t entries = f.older.entries;
  assert_false(sb_history_prepend(&f.newer, &f.older));
  assert_int_equal(f.older.entries, entries);
  sb_history_record(&f.newer, true);
  sb_history_record(&f.newer, false);
  assert_false(sb_history_prepend(&f.newer, &f.older));
  tear_down(&f);
}

/* Node libraries trim with each XADD: that is one thing to remember for each stream, not one for each XADD.
 */
static void a_stream_that_is_trimmed_often_does_not_fill_the_record(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  for (uint32_t i = 0; i < 30; i++) random_batch(&f, &f.older);
  sb_history_restart(&f.newer, sb_id_end_of(GENERATION, f.sequence));
  sb_history_record(&f.newer, true);
  for (uint32_t i = 0; i < 20000; i++) {
    sb_history_trim_length(&f.newer, sb_bytes_of("stream"), 10);
    sb_history_trim_length(&f.whole, sb_bytes_of("stream"), 10);
    if (i % 100 == 0) random_batch(&f, &f.newer);
  }
  sb_history_trim_length(&f.newer, sb_bytes_of("stream"), 10);
  sb_history_trim_length(&f.whole, sb_bytes_of("stream"), 10);
  assert_true(sb_history_prepend(&f.newer, &f.older));
  for (uint32_t name = 0; name < NAMES; name++) assert_same(&f.whole, &f.newer, names[name], false);
  tear_down(&f);
}

static void above_its_limit_the_record_is_given_up(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  random_batch(&f, &f.older);
  uint64_t entries = f.older.entries;
  sb_history_restart(&f.newer, sb_id_end_of(GENERATION, f.sequence));
  sb_history_record(&f.newer, true);
  for (uint32_t i = 0; i < 5000; i++) /* of what is not older */
    sb_history_delete(&f.newer, sb_bytes_of("a"), sb_id_at(GENERATION, f.sequence + 1 + i, 0));
  for (uint32_t i = 0; i < 5000; i++) {
    char name[16];
    sb_history_forget(&f.newer, sb_bytes(name, (size_t)snprintf(name, sizeof name, "key %u", i)));
  }
  random_batch(&f, &f.newer);
  uint64_t since = f.newer.entries;
  assert_false(sb_history_prepend(&f.newer, &f.older));
  assert_int_equal(f.older.entries, entries);
  assert_int_equal(f.newer.entries, since);
  tear_down(&f);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_as_if_all_had_been_there),
      cmocka_unit_test(without_a_record_nothing_is_put_before),
      cmocka_unit_test(above_its_limit_the_record_is_given_up),
      cmocka_unit_test(a_stream_that_is_trimmed_often_does_not_fill_the_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
