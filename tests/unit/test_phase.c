/* The drawing of phase.c, move by move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/core/log/phase.h"

/* In the order of the enum: to NEW, GREETING, WAITING, FOUNDING, ANSWERED, RETURNING, READY, DISPLACED, LEFT.
 */
static const char *const drawn[SB_PHASES] = {
    [SB_PHASE_NEW] = "xx-----x-",       /* sent; a GENESIS that another sent is a state */
    [SB_PHASE_GREETING] = "x-x--x---",  /* its echo is read; or a state first */
    [SB_PHASE_WAITING] = "x--xxx---",   /* nobody answers; somebody does; or a state first */
    [SB_PHASE_FOUNDING] = "x---xx---",  /* a SNAPSHOT or GENESIS is read */
    [SB_PHASE_ANSWERED] = "x---xx---",  /* more of it is read, until the state is in it */
    [SB_PHASE_RETURNING] = "x-----xxx", /* HELLO was accepted; again; a stop with nothing to say */
    [SB_PHASE_READY] = "x------xx",     /* the row is gone; BYE */
    [SB_PHASE_DISPLACED] = "x----xxx-", /* sent; an earlier one was accepted */
    [SB_PHASE_LEFT] = "x-----x--",      /* a late copy of its HELLO was accepted */
};

static void every_move_that_is_drawn_is_allowed_and_no_other(void **state) {
  (void)state;
  for (int from = 0; from < SB_PHASES; from++)
    for (int to = 0; to < SB_PHASES; to++)
      assert_int_equal(sb_phase_may((enum sb_phase)from, (enum sb_phase)to), drawn[from][to] == 'x');
}

static void a_log_that_is_lost_from_sight_makes_everybody_new(void **state) {
  (void)state;
  for (int from = 0; from < SB_PHASES; from++) assert_true(sb_phase_may((enum sb_phase)from, SB_PHASE_NEW));
}

static void who_is_ready_has_no_echo_to_wait_behind(void **state) {
  (void)state;
  for (int phase = 0; phase < SB_PHASES; phase++)
    assert_false(sb_phase_is_ready((enum sb_phase)phase) && sb_phase_has_echo((enum sb_phase)phase));
}

static void a_hello_is_to_be_sent_in_one_phase_on_each_side_of_ready(void **state) {
  int wanting[2] = {0, 0};
  (void)state;
  for (int phase = 0; phase < SB_PHASES; phase++)
    wanting[sb_phase_is_ready((enum sb_phase)phase)] += sb_phase_wants_hello((enum sb_phase)phase);
  assert_int_equal(wanting[0], 1);
  assert_int_equal(wanting[1], 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_move_that_is_drawn_is_allowed_and_no_other),
      cmocka_unit_test(a_log_that_is_lost_from_sight_makes_everybody_new),
      cmocka_unit_test(who_is_ready_has_no_echo_to_wait_behind),
      cmocka_unit_test(a_hello_is_to_be_sent_in_one_phase_on_each_side_of_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
