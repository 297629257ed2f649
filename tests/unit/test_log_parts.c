/* The small parts of a log, each by itself: what waits, what is noted, what was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/answering.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/seen.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/rows.h"

#define TEST(name) cmocka_unit_test(name)

/* ---- limbo ---- */

static const struct sb_incarnation old = {1000, 7}, fresh = {2000, 7};

struct waiting {
  struct sb_outbox outbox;
  struct sb_limbo limbo;
  uint64_t total;
};

/* Three batches of ten bytes, of which two were sent under numbers 1 and 2. */
static void set_up(struct waiting *w) {
  *w = (struct waiting){0};
  sb_outbox_init(&w->outbox, 1, &w->total);
  for (int i = 0; i < 3; i++) {
    memset(sb_outbox_append(&w->outbox, 10, 100, false, NULL, 0, 1), 'x', 10);
    sb_outbox_seal(&w->outbox, false);
  }
  for (int i = 0; i < 2; i++) sb_outbox_sent(&w->outbox, sb_outbox_next(&w->outbox, false), 1, 0);
}

static void tear_down(struct waiting *w, struct sb_batch *ordered) {
  for (struct sb_batch *next; ordered; ordered = next) {
    next = ordered->next;
    sb_batch_free(ordered);
  }
  sb_outbox_close(&w->outbox);
  assert_int_equal(w->total, 0);
}

static uint32_t length(const struct sb_batch *list) {
  uint32_t count = 0;
  for (; list; list = list->next) count++;
  return count;
}

static void what_the_row_says_was_ordered_is_not_sent_again(void **state) {
  (void)state;
  struct waiting w;
  struct sb_batch *again;
  const struct sb_row row = {.incarnation = fresh, .previous = old, .previous_number = 1};
  set_up(&w);
  sb_limbo_enter(&w.limbo, &w.outbox, old, true);
  assert_true(sb_limbo_is_active(&w.limbo));
  assert_int_equal(w.total, 30);
  struct sb_batch *ordered = sb_limbo_leave(&w.limbo, &row, &again);
  assert_false(sb_limbo_is_active(&w.limbo));
  assert_int_equal(length(ordered), 1);
  assert_int_equal(length(again), 2);
  sb_outbox_put_back(&w.outbox, again);
  assert_int_equal(w.total, 20);
  tear_down(&w, ordered);
}

static void in_a_new_log_nothing_counts_as_ordered(void **state) {
  (void)state;
  struct waiting w;
  struct sb_batch *again;
  const struct sb_row row = {.incarnation = fresh, .previous = old, .previous_number = 2};
  set_up(&w);
  sb_limbo_enter(&w.limbo, &w.outbox, old, true);
  sb_limbo_enter(&w.limbo, &w.outbox, old, false); /* lost once more, and now it is another one */
  assert_null(sb_limbo_leave(&w.limbo, &row, &again));
  assert_int_equal(length(again), 3);
  sb_outbox_put_back(&w.outbox, again);
  assert_int_equal(w.total, 30);
  tear_down(&w, NULL);
}

static void what_is_abandoned_holds_no_bytes(void **state) {
  (void)state;
  struct waiting w;
  set_up(&w);
  sb_limbo_enter(&w.limbo, &w.outbox, old, true);
  struct sb_batch *all = sb_limbo_abandon(&w.limbo);
  assert_int_equal(length(all), 3);
  assert_int_equal(w.total, 0);
  tear_down(&w, all);
}

/* ---- dispatch ---- */

static void many_refusals_at_once_are_one_reason_to_pause(void **state) {
  (void)state;
  struct sb_dispatch dispatch = {0};
  sb_dispatch_accepted(&dispatch, 3000);
  for (int i = 0; i < 16; i++) sb_dispatch_resend(&dispatch, true, 1000, true);
  uint64_t first_ms = dispatch.not_before_ms - 1000;
  assert_true(sb_dispatch_pauses(&dispatch, 1000 + first_ms - 1));
  assert_false(sb_dispatch_pauses(&dispatch, 1000 + first_ms));
  sb_dispatch_resend_done(&dispatch);
  sb_dispatch_resend(&dispatch, true, 5000, true);
  assert_int_equal(dispatch.not_before_ms - 5000, 2 * first_ms);
}

static void an_accepted_batch_makes_the_waits_short_again(void **state) {
  (void)state;
  struct sb_dispatch dispatch = {0};
  sb_dispatch_accepted(&dispatch, 3000);
  for (int i = 0; i < 20; i++) sb_dispatch_timed_out(&dispatch);
  assert_in_range(dispatch.rto_ms, 3001, 60000);
  sb_dispatch_accepted(&dispatch, 3000);
  assert_int_equal(dispatch.rto_ms, 3000);
}

static void with_nothing_on_its_way_nothing_is_sent_again(void **state) {
  (void)state;
  struct sb_dispatch dispatch = {0};
  sb_dispatch_resend(&dispatch, false, 1000, false);
  assert_false(dispatch.resend_wanted);
}

/* ---- lease ---- */

static void a_member_is_noted_until_it_is_forgotten(void **state) {
  (void)state;
  struct sb_lease lease = {0};
  char name[] = "node-00";
  for (int i = 0; i < 20; i++) {
    name[5] = (char)('0' + i / 10);
    name[6] = (char)('0' + i % 10);
    sb_lease_suspect(&lease, name, (uint64_t)i);
  }
  sb_lease_forget(&lease, sb_lease_find(&lease, "node-03"));
  assert_null(sb_lease_find(&lease, "node-03"));
  assert_int_equal(sb_lease_find(&lease, "node-19")->since_ms, 19);
  assert_int_equal(lease.count, 19);
  sb_lease_clear(&lease);
  assert_null(sb_lease_find(&lease, "node-19"));
  sb_lease_close(&lease);
}

/* ---- answering ---- */

static void one_complete_snapshot_answers_all_who_stand_before_it(void **state) {
  (void)state;
  struct sb_answering answering = {0};
  sb_answering_want(&answering, 10, 100);
  sb_answering_want(&answering, 20, 500);
  assert_int_equal(sb_answering_deadline(&answering), 100);
  sb_answering_seen(&answering, 15, true, 900); /* the one at 20 is not in it */
  assert_int_equal(sb_answering_deadline(&answering), 100);
  sb_answering_seen(&answering, 20, false, 900); /* a piece puts ours off */
  assert_int_equal(sb_answering_deadline(&answering), 900);
  sb_answering_seen(&answering, 20, true, 950);
  assert_int_equal(sb_answering_deadline(&answering), UINT64_MAX);
}

/* ---- sending ---- */

static void a_text_is_sent_in_pieces_and_again_from_the_first(void **state) {
  (void)state;
  struct sb_sending sending = {0};
  struct sb_control piece;
  sb_buf_append(sb_sending_text(&sending), "abcdefgh", 8);
  sb_sending_begin(&sending, &(const struct sb_control){.kind = SB_CONTROL_KEYS, .as_of = 5}, 3);
  assert_true(sb_sending_next(&sending, &piece));
  sb_sending_sent(&sending);
  sb_sending_restart(&sending);
  for (uint32_t i = 0; i < 3; i++) {
    static const size_t lengths[] = {3, 3, 2};
    assert_true(sb_sending_next(&sending, &piece));
    assert_int_equal(piece.piece, i);
    assert_int_equal(piece.pieces, 3);
    assert_int_equal(piece.as_of, 5);
    assert_int_equal(piece.text.len, lengths[i]);
    assert_memory_equal(piece.text.at, &"abcdefgh"[(size_t)3 * i], piece.text.len);
    assert_false(sb_sending_is_complete(&sending));
    sb_sending_sent(&sending);
  }
  assert_false(sb_sending_next(&sending, &piece));
  assert_true(sb_sending_is_complete(&sending));
  sb_sending_close(&sending);
}

static void behind_a_piece_that_was_too_large_pieces_have_half_its_size(void **state) {
  (void)state;
  struct sb_sending sending = {0};
  struct sb_control piece;
  static const size_t sizes[] = {8, 4, 2, 1, 1};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    sb_buf_append(sb_sending_text(&sending), "abcdefgh", 8);
    sb_sending_begin(&sending, &(const struct sb_control){.kind = SB_CONTROL_KEYS}, 1000);
    assert_true(sb_sending_next(&sending, &piece));
    assert_int_equal(piece.text.len, sizes[i]);
    sb_sending_refused(&sending);
    assert_false(sb_sending_next(&sending, &piece));
    assert_false(sb_sending_is_complete(&sending));
  }
  sb_sending_connected(&sending);
  sb_buf_append(sb_sending_text(&sending), "abcdefgh", 8);
  sb_sending_begin(&sending, &(const struct sb_control){.kind = SB_CONTROL_KEYS}, 1000);
  assert_true(sb_sending_next(&sending, &piece));
  assert_int_equal(piece.text.len, 8);
  sb_sending_close(&sending);
}

static void what_ends_early_is_not_complete(void **state) {
  (void)state;
  struct sb_sending sending = {0};
  assert_false(sb_sending_is_complete(&sending));
  sb_buf_append(sb_sending_text(&sending), "abcd", 4);
  sb_sending_begin(&sending, &(const struct sb_control){.kind = SB_CONTROL_KEYS}, 3);
  sb_sending_end(&sending);
  assert_false(sb_sending_is_complete(&sending));
}

/* ---- seen ---- */

static void an_empty_log_has_nobody_unless_its_tail_is_hidden(void **state) {
  (void)state;
  struct sb_seen seen = {0};
  sb_seen_init(&seen, false);
  assert_true(sb_seen_nobody(&seen));
  sb_seen_init(&seen, true);
  assert_false(sb_seen_nobody(&seen));
  sb_seen_attached(&seen, SB_ATTACH_ALONE, true);
  assert_true(sb_seen_nobody(&seen));
}

static void the_last_words_count_until_somebody_speaks_again(void **state) {
  (void)state;
  struct sb_seen seen = {0};
  sb_seen_init(&seen, true);
  sb_seen_message(&seen, 5, true);
  assert_true(sb_seen_nobody(&seen));
  sb_seen_unfit(&seen, 6); /* as if it were not there */
  assert_true(sb_seen_nobody(&seen));
  sb_seen_message(&seen, 7, false);
  assert_false(sb_seen_nobody(&seen));
}

static void behind_a_gap_somebody_may_be_there(void **state) {
  (void)state;
  struct sb_seen seen = {0};
  sb_seen_init(&seen, false);
  sb_seen_lost(&seen);
  assert_false(sb_seen_nobody(&seen));
  sb_seen_message(&seen, 5, true);
  sb_seen_lost(&seen);
  assert_false(sb_seen_nobody(&seen));
  assert_true(sb_seen_before(&seen, 5));
  sb_seen_attached(&seen, SB_ATTACH_NEW_LOG, false);
  assert_true(sb_seen_nobody(&seen));
  assert_false(sb_seen_before(&seen, 5)); /* sequences begin anew */
}

/* ---- joining ---- */

static void of_two_processes_of_one_name_exactly_one_came_first(void **state) {
  (void)state;
  static const struct {
    enum sb_first first;
    struct sb_id since;
  } lives[] = {
      {SB_FIRST_NEVER, {0, 0}},          {SB_FIRST_IN_THIS_LOG, {900, 40}}, {SB_FIRST_IN_THIS_LOG, {800, 50}},
      {SB_FIRST_IN_LOST_LOG, {700, 60}}, {SB_FIRST_IN_LOST_LOG, {600, 70}},
  };
  for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++)
    for (size_t j = 0; j < sizeof lives / sizeof lives[0]; j++) {
      struct sb_joining a = {0}, b = {0};
      a.first = lives[i].first, a.since = lives[i].since;
      b.first = lives[j].first, b.since = lives[j].since;
      const struct sb_control by_a = {.since = a.since, .since_lost = a.first == SB_FIRST_IN_LOST_LOG},
                              by_b = {.since = b.since, .since_lost = b.first == SB_FIRST_IN_LOST_LOG};
      bool a_first = sb_joining_came_first(&a, 1, &by_b, 2), b_first = sb_joining_came_first(&b, 2, &by_a, 1);
      if (i == 0 && j == 0)
        assert_false(a_first || b_first); /* neither knows yet */
      else
        assert_true(a_first != b_first);
    }
}

static void who_was_ready_in_a_lost_log_stays_so(void **state) {
  (void)state;
  struct sb_joining joining = {0};
  sb_joining_init(&joining);
  sb_joining_lost(&joining, false, 5);
  assert_int_equal(joining.first, SB_FIRST_NEVER); /* it was not ready in that one */
  sb_joining_ready(&joining, (struct sb_id){900, 1}, true);
  sb_joining_lost(&joining, true, 900);
  assert_int_equal(joining.first, SB_FIRST_IN_THIS_LOG);
  sb_joining_lost(&joining, false, 900);
  sb_joining_ready(&joining, (struct sb_id){950, 3}, true);
  assert_int_equal(joining.first, SB_FIRST_IN_LOST_LOG);
  assert_int_equal(joining.since.ms, 900);
  sb_joining_close(&joining);
}

static void time_in_which_nothing_was_read_is_no_time_to_answer_in(void **state) {
  (void)state;
  struct sb_joining joining = {.hello_ms = 1000, .hello_seen_ms = 4900, .genesis_sent_ms = 6000};
  sb_joining_put_off(&joining, 5000, 500);
  assert_int_equal(joining.hello_ms, 1500);
  assert_int_equal(joining.hello_seen_ms, 5000); /* never later than now */
  assert_int_equal(joining.genesis_sent_ms, 6000);
}

/* ---- checkpoints ---- */

static void the_next_member_writes_a_checkpoint_only_when_the_first_did_not(void **state) {
  (void)state;
  static const struct sb_core_settings settings = {.checkpoint_messages = 100, .found_ms = 1000};
  const struct sb_checkpoint_writer first = {&settings, 0, true}, second = {&settings, 1, true},
                                    idle = {&settings, 0, false};
  struct sb_checkpoints checkpoints = {0};
  for (int i = 0; i < 100; i++) sb_checkpoint_count(&checkpoints, 1, 10);
  assert_true(sb_checkpoint_is_due(&checkpoints, &first, 10));
  assert_false(sb_checkpoint_is_due(&checkpoints, &second, 10));
  assert_false(sb_checkpoint_is_due(&checkpoints, &idle, 10)); /* there is nothing to keep */
  for (int i = 0; i < 25; i++) sb_checkpoint_count(&checkpoints, 1, 10);
  assert_true(sb_checkpoint_is_due(&checkpoints, &second, 10));
  sb_checkpoint_seen(&checkpoints, &(const struct sb_control){.piece = 0, .pieces = 1}, true);
  assert_false(sb_checkpoint_is_due(&checkpoints, &first, 10));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_the_row_says_was_ordered_is_not_sent_again),
      TEST(in_a_new_log_nothing_counts_as_ordered),
      TEST(what_is_abandoned_holds_no_bytes),
      TEST(many_refusals_at_once_are_one_reason_to_pause),
      TEST(an_accepted_batch_makes_the_waits_short_again),
      TEST(with_nothing_on_its_way_nothing_is_sent_again),
      TEST(a_member_is_noted_until_it_is_forgotten),
      TEST(one_complete_snapshot_answers_all_who_stand_before_it),
      TEST(a_text_is_sent_in_pieces_and_again_from_the_first),
      TEST(behind_a_piece_that_was_too_large_pieces_have_half_its_size),
      TEST(what_ends_early_is_not_complete),
      TEST(an_empty_log_has_nobody_unless_its_tail_is_hidden),
      TEST(the_last_words_count_until_somebody_speaks_again),
      TEST(behind_a_gap_somebody_may_be_there),
      TEST(of_two_processes_of_one_name_exactly_one_came_first),
      TEST(who_was_ready_in_a_lost_log_stays_so),
      TEST(time_in_which_nothing_was_read_is_no_time_to_answer_in),
      TEST(the_next_member_writes_a_checkpoint_only_when_the_first_did_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
