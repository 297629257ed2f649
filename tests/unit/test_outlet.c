/* What waits to be written to a session: within its limit, behind what it must not overtake, and told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bridge/core/sessions/outlet.h"

#define HARD_BYTES 100

struct fixture {
  struct sb_outputs outputs;
  struct sb_outlet outlets[2];
  struct sb_outlet *drops; /* whom the owner drops when all have too much */
};

static void full(void *owner, struct sb_outlet *outlet, size_t more) {
  struct fixture *f = owner;
  (void)outlet;
  (void)more;
  if (f->drops) sb_outlet_drop(&f->outputs, f->drops);
}

static void fixture_init(struct fixture *f) {
  *f = (struct fixture){0};
  sb_outputs_init(&f->outputs, f, full);
  sb_outputs_set_limits(&f->outputs, HARD_BYTES, 10);
  for (int i = 0; i < 2; i++) sb_outlet_open(&f->outlets[i]);
}

static void fixture_close(struct fixture *f) {
  for (int i = 0; i < 2; i++) sb_outlet_close(&f->outputs, &f->outlets[i]);
  assert_null(sb_outputs_next(&f->outputs));
  assert_int_equal(sb_output_memory(), 0);
}

static void who_has_something_to_write_is_told_once(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  sb_outlet_copy(&f.outputs, &f.outlets[1], "a", 1);
  sb_outlet_copy(&f.outputs, &f.outlets[0], "b", 1);
  sb_outlet_copy(&f.outputs, &f.outlets[1], "c", 1);
  assert_ptr_equal(sb_outputs_next(&f.outputs), &f.outlets[1]);
  assert_ptr_equal(sb_outputs_next(&f.outputs), &f.outlets[0]);
  assert_null(sb_outputs_next(&f.outputs));
  fixture_close(&f);
}

static void who_closes_leaves_the_list(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  for (int i = 0; i < 2; i++) sb_outlet_copy(&f.outputs, &f.outlets[i], "a", 1);
  sb_outlet_close(&f.outputs, &f.outlets[1]);
  f.outlets[1] = (struct sb_outlet){0};
  sb_outlet_open(&f.outlets[1]);
  assert_ptr_equal(sb_outputs_next(&f.outputs), &f.outlets[0]);
  assert_null(sb_outputs_next(&f.outputs));
  fixture_close(&f);
}

/* What is written, what is held and what is kept elsewhere count together. */
static void who_would_exceed_its_limit_loses_what_it_has(void **state) {
  (void)state;
  struct fixture f;
  char text[HARD_BYTES] = {0};
  fixture_init(&f);
  struct sb_outlet *outlet = &f.outlets[0];
  sb_outlet_copy(&f.outputs, outlet, text, 40);
  sb_outlet_keep(outlet, 30);
  sb_outlet_hold(outlet, 3, 1);
  sb_outlet_push_copy(&f.outputs, outlet, 3, text, 30);
  assert_true(sb_outlet_is_open(outlet));
  sb_outlet_push_copy(&f.outputs, outlet, 4, text, 1);
  assert_int_equal(outlet->state, SB_OUTLET_OVER_LIMIT);
  assert_int_equal(f.outputs.over_limit, 1);
  assert_int_equal(outlet->out.bytes + outlet->held_bytes, 0);
  assert_int_equal(sb_output_memory(), 0); /* what is kept elsewhere counts as gone */
  sb_outlet_copy(&f.outputs, outlet, text, 1);
  assert_int_equal(outlet->out.bytes, 0);
  assert_ptr_equal(sb_outputs_next(&f.outputs), outlet);
  sb_outlet_unkeep(outlet, 30);
  fixture_close(&f);
}

static void a_hold_keeps_back_what_its_log_brings_and_nothing_else(void **state) {
  (void)state;
  struct fixture f;
  struct iovec vec[4];
  fixture_init(&f);
  struct sb_outlet *outlet = &f.outlets[0];
  sb_outlet_hold(outlet, 1, 5);
  sb_outlet_push_copy(&f.outputs, outlet, 1, "late", 4);
  sb_outlet_push_copy(&f.outputs, outlet, 2, "other ", 6);
  sb_outlet_copy(&f.outputs, outlet, "reply ", 6);
  assert_int_equal(outlet->out.bytes, 12);
  sb_outlet_release(outlet, 4);
  assert_int_equal(outlet->held_bytes, 4);
  sb_outlet_release(outlet, 5);
  assert_int_equal(outlet->held_bytes, 0);
  char text[16];
  size_t len = 0;
  int count = sb_output_peek(&outlet->out, vec, 4);
  for (int i = 0; i < count; len += vec[i++].iov_len) memcpy(text + len, vec[i].iov_base, vec[i].iov_len);
  assert_int_equal(len, 16);
  assert_memory_equal(text, "other reply late", 16);
  fixture_close(&f);
}

static void a_hold_that_is_empty_is_moved_on(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  struct sb_outlet *outlet = &f.outlets[0];
  for (uint32_t slot = 0; slot < 1000; slot++) sb_outlet_hold(outlet, 1, slot);
  assert_null(outlet->holds->next);
  assert_int_equal(outlet->holds->slot, 999);
  fixture_close(&f);
}

static void only_what_a_log_brings_above_the_mark_is_told(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  sb_outlet_copy(&f.outputs, &f.outlets[0], "12345678901234567890", 20);
  assert_false(sb_outputs_rose(&f.outputs));
  sb_outlet_push_copy(&f.outputs, &f.outlets[1], 0, "1234567890", 10);
  assert_false(sb_outputs_rose(&f.outputs));
  sb_outlet_push_copy(&f.outputs, &f.outlets[1], 0, "1", 1);
  assert_true(sb_outputs_rose(&f.outputs));
  assert_false(sb_outputs_rose(&f.outputs));
  fixture_close(&f);
}

static void when_all_have_too_much_the_owner_says_who_goes(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  sb_outputs_set_max(&f.outputs, sb_output_memory());
  f.drops = &f.outlets[1];
  sb_outlet_copy(&f.outputs, &f.outlets[0], "a", 1);
  assert_true(sb_outlet_is_open(&f.outlets[0]));
  assert_int_equal(f.outlets[0].out.bytes, 1);
  assert_int_equal(f.outlets[1].state, SB_OUTLET_OVER_LIMIT);
  f.drops = &f.outlets[0];
  sb_outlet_copy(&f.outputs, &f.outlets[0], "a", 1);
  assert_int_equal(f.outlets[0].state, SB_OUTLET_OVER_LIMIT);
  assert_int_equal(f.outlets[0].out.bytes, 0);
  assert_int_equal(f.outputs.over_limit, 0); /* neither exceeded its own */
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_has_something_to_write_is_told_once),
      cmocka_unit_test(who_closes_leaves_the_list),
      cmocka_unit_test(who_would_exceed_its_limit_loses_what_it_has),
      cmocka_unit_test(a_hold_keeps_back_what_its_log_brings_and_nothing_else),
      cmocka_unit_test(a_hold_that_is_empty_is_moved_on),
      cmocka_unit_test(only_what_a_log_brings_above_the_mark_is_told),
      cmocka_unit_test(when_all_have_too_much_the_owner_says_who_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
