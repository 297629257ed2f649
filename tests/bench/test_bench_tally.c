/* What `sidebus bench` says about faults is only worth something if it sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/cli/bench_payload.h"
#include "bridge/cli/bench_report.h"

#define BYTES 100

struct fixture {
  struct sb_bench_plan plan;
  struct sb_bench_result *result;
  struct sb_bench_tracker trackers[2];
  struct sb_bench_report report;
  uint8_t *block;
};

/* Two publishers on two channels, two subscribers. */
static int set_up(void **state) {
  char *argv[] = {"bench", "-s",      "a",   "-s",       "b", "--publishers", "2", "--channels",
                  "2",     "--bytes", "100", "--verify", NULL};
  struct fixture *f = sb_calloc(1, sizeof *f);
  assert_int_equal(sb_bench_plan_init(&f->plan, 12, argv, "", NULL, NULL), 0);
  f->result = sb_calloc(1, sizeof *f->result + 2 * sizeof(struct sb_bench_tally));
  f->block = sb_bench_block_new(false);
  for (int i = 0; i < 2; i++) sb_bench_tracker_init(&f->trackers[i], &f->plan, &f->result->tallies[i]);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  for (int i = 0; i < 2; i++) sb_bench_tracker_close(&f->trackers[i]);
  sb_bench_plan_close(&f->plan);
  free(f->result);
  free(f->block);
  free(f);
  return 0;
}

static struct sb_bench_stamp stamp_of(const struct fixture *f, unsigned publisher, uint64_t number) {
  return (struct sb_bench_stamp){.run = f->plan.run,
                                 .publisher = (uint16_t)publisher,
                                 .kind = SB_BENCH_DATA,
                                 .number = number,
                                 .sent_ns = 1000};
}

static void deliver(struct fixture *f, int subscriber, unsigned publisher, uint64_t number) {
  uint8_t payload[BYTES];
  struct sb_bench_stamp stamp = stamp_of(f, publisher, number);
  sb_bench_payload_write(payload, sizeof payload, &stamp, f->block);
  sb_bench_tracker_take(&f->trackers[subscriber], sb_buf_bytes(&f->plan.names[number % 2]),
                        sb_bytes(payload, sizeof payload), 3000);
}

static const struct sb_bench_report *report_on(struct fixture *f, uint64_t sent_by_each) {
  f->result->publishers[0].sent = f->result->publishers[1].sent = sent_by_each;
  sb_bench_report_make(&f->report, &f->plan, f->result);
  return &f->report;
}

static void a_run_without_faults_is_clean_however_channels_and_publishers_mix(void **state) {
  struct fixture *f = *state;
  for (int s = 0; s < 2; s++) {
    for (uint64_t n = 0; n < 100; n++) deliver(f, s, 0, n);
    for (uint64_t n = 0; n < 100; n += 2) deliver(f, s, 1, n + 1);
    for (uint64_t n = 0; n < 100; n += 2) deliver(f, s, 1, n);
  }

  const struct sb_bench_report *r = report_on(f, 100);

  assert_true(sb_bench_report_clean(r));
  assert_int_equal(r->deliveries, 400);
}

static void a_missing_message_is_lost(void **state) {
  struct fixture *f = *state;
  for (int s = 0; s < 2; s++) {
    deliver(f, s, 0, 0);
    deliver(f, s, 1, 0);
    deliver(f, s, 1, 1);
  }
  deliver(f, 1, 0, 1);

  const struct sb_bench_report *r = report_on(f, 2);

  assert_int_equal(r->lost, 1);
  assert_false(sb_bench_report_clean(r));
}

static void a_message_that_comes_again_is_doubled_and_makes_up_for_no_lost_one(void **state) {
  struct fixture *f = *state;
  for (int s = 0; s < 2; s++) {
    deliver(f, s, 0, 0);
    deliver(f, s, 0, 0);
    deliver(f, s, 1, 0);
  }

  const struct sb_bench_report *r = report_on(f, 1);
  assert_int_equal(r->doubled, 2);
  assert_int_equal(r->lost, 0);
  r = report_on(f, 2);
  assert_int_equal(r->lost, 4);
  assert_false(sb_bench_report_clean(r));
}

static void an_older_message_after_a_newer_one_of_its_channel_is_reordered(void **state) {
  struct fixture *f = *state;
  for (int s = 0; s < 2; s++) {
    deliver(f, s, 0, 2);
    deliver(f, s, 0, 0);
    deliver(f, s, 0, 1);
  }

  const struct sb_bench_report *r = report_on(f, 0);

  assert_int_equal(r->reordered, 2);
  assert_false(sb_bench_report_clean(r));
}

static void subscribers_that_see_two_orders_of_a_channel_are_told(void **state) {
  struct fixture *f = *state;
  deliver(f, 0, 0, 0);
  deliver(f, 0, 1, 0);
  deliver(f, 1, 1, 0);
  deliver(f, 1, 0, 0);
  for (int s = 0; s < 2; s++) deliver(f, s, 0, 1);

  const struct sb_bench_report *r = report_on(f, 1);

  assert_int_equal(r->reordered, 0);
  assert_int_equal(r->diverged, 1);
  assert_false(sb_bench_report_clean(r));
}

static void another_channel_another_length_or_another_content_is_damage(void **state) {
  struct fixture *f = *state;
  uint8_t payload[BYTES];
  struct sb_bench_stamp stamp = stamp_of(f, 0, 0);
  struct sb_bytes right = sb_buf_bytes(&f->plan.names[0]), wrong = sb_buf_bytes(&f->plan.names[1]);
  sb_bench_payload_write(payload, sizeof payload, &stamp, f->block);

  sb_bench_tracker_take(&f->trackers[0], wrong, sb_bytes(payload, BYTES), 3000);
  sb_bench_tracker_take(&f->trackers[0], right, sb_bytes(payload, BYTES - 1), 3000);
  payload[BYTES - 1] ^= 1;
  sb_bench_tracker_take(&f->trackers[0], right, sb_bytes(payload, BYTES), 3000);

  const struct sb_bench_report *r = report_on(f, 0);
  assert_int_equal(r->damaged, 3);
  assert_int_equal(r->deliveries, 0);
  assert_false(sb_bench_report_clean(r));
}

static void messages_of_others_are_no_fault(void **state) {
  struct fixture *f = *state;
  struct sb_bench_stamp stamp = stamp_of(f, 0, 0);
  stamp.run++;
  struct sb_bytes channel = sb_buf_bytes(&f->plan.names[0]);

  sb_bench_tracker_take(&f->trackers[0], channel, sb_bytes_of("hello"), 3000);
  sb_bench_tracker_take(&f->trackers[0], channel, sb_bytes(&stamp, sizeof stamp), 3000);

  const struct sb_bench_report *r = report_on(f, 0);
  assert_int_equal(r->foreign, 2);
  assert_true(sb_bench_report_clean(r));
}

static void end_channel(struct fixture *f, uint64_t channel) {
  struct sb_bench_stamp stamp = {.run = f->plan.run, .kind = SB_BENCH_END, .number = channel};
  sb_bench_tracker_take(&f->trackers[0], sb_buf_bytes(&f->plan.names[channel]),
                        sb_bytes(&stamp, sizeof stamp), 1);
}

static void a_subscriber_listens_for_late_and_doubled_messages_after_the_end(void **state) {
  struct fixture *f = *state;
  const uint64_t second = 1000000000, ms = 1000000;
  end_channel(f, 0);
  assert_int_equal(sb_bench_listen_ns(&f->trackers[0], 1, second), 10 * second);
  end_channel(f, 1);
  assert_int_equal(sb_bench_listen_ns(&f->trackers[0], 1, second), SB_BENCH_LATE_MS * ms);
  assert_int_equal(sb_bench_listen_ns(&f->trackers[0], 1, second + SB_BENCH_LATE_MS * ms), 0);

  deliver(f, 0, 0, 0);

  assert_int_equal(sb_bench_listen_ns(&f->trackers[0], 1, 5 * second), SB_BENCH_LINGER_MS * ms);
  assert_int_equal(sb_bench_listen_ns(&f->trackers[0], 1, 5 * second + SB_BENCH_LINGER_MS * ms), 0);
}

static void percentiles_are_exact_within_two_percent(void **state) {
  (void)state;
  struct sb_bench_latencies *all = sb_calloc(1, sizeof *all);
  for (uint64_t n = 1; n <= 100000; n++) sb_bench_latencies_add(all, n * 1000);
  for (int percent = 1; percent < 100; percent++) {
    double exact = percent * 1e6, got = (double)sb_bench_latencies_at(all, percent / 100.0);
    assert_true(got >= exact && got <= exact * 1.02);
  }
  assert_int_equal(sb_bench_latencies_at(all, 1), 100000000);
  sb_bench_latencies_add(all, UINT64_MAX);
  assert_true(sb_bench_latencies_at(all, 1) == UINT64_MAX);
  free(all);
}

static void a_payload_of_any_length_is_told_from_a_damaged_one(void **state) {
  struct fixture *f = *state;
  const size_t lengths[] = {SB_BENCH_STAMP_BYTES, SB_BENCH_STAMP_BYTES + 1, 1000,
                            SB_BENCH_BLOCK_BYTES + 5000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    uint8_t *payload = sb_malloc(lengths[i]);
    struct sb_bench_stamp stamp = stamp_of(f, 1, 123456789), read;
    sb_bench_payload_write(payload, lengths[i], &stamp, f->block);

    assert_true(sb_bench_payload_read(sb_bytes(payload, lengths[i]), &read));
    assert_memory_equal(&read, &stamp, sizeof stamp);
    assert_true(sb_bench_payload_intact(sb_bytes(payload, lengths[i]), &read, f->block));
    payload[lengths[i] - 1] ^= 0x80;
    assert_true(lengths[i] == SB_BENCH_STAMP_BYTES ||
                !sb_bench_payload_intact(sb_bytes(payload, lengths[i]), &read, f->block));
    free(payload);
  }
}

static void nonsense_on_the_command_line_is_refused(void **state) {
  (void)state;
  char *wrong[][2] = {{"--bytes", "23"},    {"--publishers", "0"}, {"--rate", "-1"},   {"--rate", "nan"},
                      {"--messages", "1x"}, {"--seconds", "0"},    {"--channels", ""}, {"--socket", ""}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char *argv[] = {"bench", wrong[i][0], wrong[i][1], NULL};
    struct sb_bench_plan plan;
    struct sb_error error = {0};
    assert_int_equal(sb_bench_plan_init(&plan, 3, argv, "", "default", &error), SB_ERR_INVALID);
    assert_non_null(strstr(error.text, wrong[i][0] + 2));
  }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_run_without_faults_is_clean_however_channels_and_publishers_mix),
      CASE(a_missing_message_is_lost),
      CASE(a_message_that_comes_again_is_doubled_and_makes_up_for_no_lost_one),
      CASE(an_older_message_after_a_newer_one_of_its_channel_is_reordered),
      CASE(subscribers_that_see_two_orders_of_a_channel_are_told),
      CASE(another_channel_another_length_or_another_content_is_damage),
      CASE(messages_of_others_are_no_fault),
      CASE(a_subscriber_listens_for_late_and_doubled_messages_after_the_end),
      CASE(a_payload_of_any_length_is_told_from_a_damaged_one),
      cmocka_unit_test(percentiles_are_exact_within_two_percent),
      cmocka_unit_test(nonsense_on_the_command_line_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
