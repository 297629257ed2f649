/* The output of a session against a plain buffer: the same bytes, bounded memory, every reference given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/output.h"
#include "tests/unit/seed.h"

#define SLACK_BYTES                                                                                          \
  ((size_t)2 * SB_OUTPUT_CHUNK_BYTES) /* a chunk that is not full yet, and what came before it was known */

/* ---- bodies that are counted ---- */

static int bodies_alive;

static void release(void *data) {
  bodies_alive--;
  free(data);
}

static struct sb_body *body_of(size_t len) {
  uint8_t *data = sb_malloc(len);
  for (size_t i = 0; i < len; i++) data[i] = (uint8_t)random();
  bodies_alive++;
  return sb_body_wrap(data, len, release, data);
}

static int all_bodies_released(void **state) {
  (void)state;
  return bodies_alive == 0 ? 0 : -1;
}

/* ---- what an output holds ---- */

/* The pieces in order; vectors are taken `most` at a time from the front and dropped. */
static struct sb_buf drained(struct sb_output *out, int most) {
  struct sb_buf text = {0};
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  while (out->bytes > 0) {
    size_t len = 0;
    int n = sb_output_peek(out, vec, most);
    assert_true(n > 0 && n <= most);
    for (int i = 0; i < n; i++) {
      assert_true(vec[i].iov_len > 0);
      sb_buf_append(&text, vec[i].iov_base, vec[i].iov_len);
      len += vec[i].iov_len;
    }
    assert_true(len <= out->bytes);
    sb_output_drop(out, len);
  }
  assert_int_equal(sb_output_peek(out, vec, most), 0);
  return text;
}

static void assert_holds(struct sb_output *out, const char *expected) {
  struct sb_buf text = drained(out, SB_OUTPUT_IOV_MAX);
  assert_int_equal(text.len, strlen(expected));
  assert_memory_equal(text.data, expected, text.len);
  sb_buf_close(&text);
}

/* Bytes of all bodies that the output keeps alive, but for the first, which may have been written in part,
 * and the last, which may still grow. */
static size_t pinned(const struct sb_output *out) {
  size_t sum = 0;
  for (uint32_t i = 1; i + 1 < out->count; i++) {
    const struct sb_body *body = out->pieces[out->head + i].body;
    if (body != out->pieces[out->head + i - 1].body) sum += body->len;
  }
  return sum;
}

static void assert_bounded(const struct sb_output *out) {
  if (pinned(out) > 4 * out->bytes + SLACK_BYTES) fail_msg("%zu bytes pin %zu", out->bytes, pinned(out));
}

/* ---- promises ---- */

static void copies_and_references_come_out_in_order(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct sb_body *body = body_of(10);
  for (uint8_t i = 0; i < 10; i++) body->data[i] = (uint8_t)('0' + i);
  sb_output_copy(&out, "a", 1);
  sb_output_ref(&out, body, 2, 6);
  sb_output_copy(&out, "b", 1);
  sb_output_ref(&out, body, 0, 1);
  sb_output_copy(&out, "c", 1);
  sb_body_unref(body);
  assert_int_equal(out.bytes, 10);
  assert_holds(&out, "a234567b0c");
  sb_output_close(&out);
}

static void a_copy_is_a_copy(void **state) {
  (void)state;
  struct sb_output out = {0};
  char text[] = "before";
  sb_output_copy(&out, text, 6);
  memcpy(text, "behind", 6);
  assert_holds(&out, "before");
  sb_output_close(&out);
}

static void pieces_that_continue_each_other_are_one(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct iovec vec[4];
  struct sb_body *body = body_of(100);
  for (size_t off = 0; off < 100; off += 10) sb_output_ref(&out, body, off, 10);
  assert_int_equal(sb_output_peek(&out, vec, 4), 1);
  assert_ptr_equal(vec[0].iov_base, body->data);
  assert_int_equal(vec[0].iov_len, 100);
  sb_body_unref(body);
  sb_output_close(&out);
}

static void copies_behind_each_other_are_one(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct iovec vec[4];
  for (int i = 0; i < 100; i++) sb_output_copy(&out, ":1\r\n", 4);
  assert_int_equal(sb_output_peek(&out, vec, 4), 1);
  assert_int_equal(vec[0].iov_len, 400);
  sb_output_close(&out);
}

static void chunks_grow_with_what_is_written(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct iovec vec[64];
  for (int i = 0; i < 20000; i++) sb_output_copy(&out, ":1\r\n", 4);
  assert_in_range(sb_output_peek(&out, vec, 64), 5, 12);
  sb_output_close(&out);
}

static void a_long_reference_is_not_copied(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct iovec vec[2];
  struct sb_body *body = body_of(1 << 20);
  sb_output_ref(&out, body, 16, 1 << 19);
  sb_output_copy(&out, "x", 1);
  assert_int_equal(sb_output_peek(&out, vec, 2), 2);
  assert_ptr_equal(vec[0].iov_base, body->data + 16);
  sb_body_unref(body);
  sb_output_close(&out);
}

static void nothing_added_is_nothing_held(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct sb_body *body = body_of(4);
  sb_output_copy(&out, NULL, 0);
  sb_output_ref(&out, body, 4, 0);
  assert_int_equal(out.count, 0);
  sb_body_unref(body);
  assert_int_equal(bodies_alive, 0);
  sb_output_close(&out);
}

static void a_body_is_let_go_with_its_last_byte(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct sb_body *body = body_of(64);
  sb_output_ref(&out, body, 0, 64);
  sb_body_unref(body);
  sb_output_drop(&out, 63);
  assert_int_equal(bodies_alive, 1);
  sb_output_drop(&out, 1);
  assert_int_equal(bodies_alive, 0);
  sb_output_close(&out);
}

static void what_outputs_share_is_in_memory_once(void **state) {
  (void)state;
  struct sb_output a = {0}, b = {0};
  size_t before = sb_output_memory();
  struct sb_body *body = sb_body_new(100000);
  memset(body->data, 'x', body->len);
  assert_int_equal(sb_output_memory(), before);
  sb_output_ref(&a, body, 0, 50000);
  size_t once = sb_output_memory();
  assert_true(once >= before + 100000 && once < before + 101000);
  sb_output_ref(&b, body, 0, 100000);
  sb_output_ref(&a, body, 50000, 50000);
  assert_int_equal(sb_output_memory(), once);
  sb_output_drop(&a, 100000);
  assert_int_equal(sb_output_memory(), once);
  sb_output_copy(&a, "abc", 3);
  assert_true(sb_output_memory() > once);
  sb_output_close(&a);
  assert_int_equal(sb_output_memory(), once);
  sb_output_close(&b);
  assert_int_equal(sb_output_memory(), before);
  sb_body_unref(body);
}

static void closing_lets_everything_go(void **state) {
  (void)state;
  struct sb_output out = {0};
  for (int i = 0; i < 50; i++) {
    struct sb_body *body = body_of(200);
    sb_output_ref(&out, body, 0, 200);
    sb_output_copy(&out, "between", 7);
    sb_body_unref(body);
  }
  sb_output_close(&out);
  assert_int_equal(bodies_alive, 0);
  assert_int_equal(out.bytes, 0);
}

/* ---- random use ---- */

struct reference {
  struct sb_buf text;
  size_t from; /* text[from ..) is what the output should hold */
};

static void add_some(struct sb_output *out, struct reference *reference) {
  static const uint16_t sizes[] = {1, 5, 40, 700, 5000, 40000};
  struct sb_body *body = body_of(1 + below(sizes[below(6)]));
  for (uint32_t more = 1 + below(6), off = 0; more > 0 && off < body->len; more--) {
    uint32_t len = below((uint32_t)body->len - off + 1);
    if (below(3) == 0)
      sb_output_copy(out, body->data + off, len);
    else
      sb_output_ref(out, body, off, len);
    sb_buf_append(&reference->text, body->data + off, len);
    off += len;
    if (below(2) && off < body->len)
      off += below((uint32_t)body->len - off); /* a hole: the next does not continue */
  }
  sb_body_unref(body);
}

static void assert_same(const struct sb_output *out, const struct reference *reference) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  const uint8_t *expected = reference->text.data + reference->from;
  int n = sb_output_peek(out, vec, SB_OUTPUT_IOV_MAX);
  assert_int_equal(out->bytes, reference->text.len - reference->from);
  for (int i = 0; i < n; i++) {
    assert_memory_equal(vec[i].iov_base, expected, vec[i].iov_len);
    expected += vec[i].iov_len;
  }
}

static void it_holds_what_a_plain_buffer_would_hold(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct reference reference = {0};
  for (int round = 0; round < 4000; round++) {
    if (below(100) < (round % 1000 < 500 ? 60 : 40)) {
      add_some(&out, &reference);
    } else if (out.bytes > 0) {
      size_t len = below(4) ? below((uint32_t)out.bytes / 4 + 1) : below((uint32_t)out.bytes) + 1;
      sb_output_drop(&out, len);
      reference.from += len;
    }
    assert_same(&out, &reference);
    if (out.bytes == 0) { /* begin anew, so that the reference does not grow for ever */
      reference.text.len = reference.from = 0;
    }
  }
  struct sb_buf rest = drained(&out, 3);
  assert_memory_equal(rest.data, reference.text.data + reference.from, rest.len);
  assert_int_equal(bodies_alive, 0);
  sb_buf_close(&rest);
  sb_buf_close(&reference.text);
  sb_output_close(&out);
}

/* ---- memory ---- */

static void scattered_references_do_not_pin_their_bodies(void **state) {
  (void)state;
  static const size_t lengths[] = {50, 3000, 13000};
  for (size_t k = 0; k < 3; k++) {
    struct sb_output out = {0};
    for (int i = 0; i < 100; i++) {
      struct sb_body *body = body_of(60000);
      for (size_t off = 0; off < 60000; off += 20000) sb_output_ref(&out, body, off, lengths[k]);
      sb_body_unref(body);
      assert_bounded(&out);
      assert_true(bodies_alive <= 2);
    }
    sb_output_close(&out);
  }
}

/* A slow subscriber of a pattern: the head of every pmessage is a copy, the rest a reference. */
static void heads_between_references_do_not_pin_a_chunk_each(void **state) {
  (void)state;
  static const size_t lengths[] = {120, 4096, 20000};
  for (size_t k = 0; k < 3; k++) {
    struct sb_output out = {0};
    for (int i = 0; i < 500; i++) {
      struct sb_body *body = body_of(lengths[k]);
      sb_output_copy(&out, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n", 26);
      sb_output_ref(&out, body, 17, lengths[k] - 17);
      sb_body_unref(body);
    }
    assert_bounded(&out);
    sb_output_close(&out);
  }
}

static void memory_pinned_stays_within_four_times_what_is_counted(void **state) {
  (void)state;
  struct sb_output out = {0};
  struct reference reference = {0};
  for (int round = 0; round < 500; round++) {
    add_some(&out, &reference);
    assert_bounded(&out);
  }
  sb_buf_close(&reference.text);
  sb_output_close(&out);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(copies_and_references_come_out_in_order, all_bodies_released),
      cmocka_unit_test(a_copy_is_a_copy),
      cmocka_unit_test_teardown(pieces_that_continue_each_other_are_one, all_bodies_released),
      cmocka_unit_test(copies_behind_each_other_are_one),
      cmocka_unit_test(chunks_grow_with_what_is_written),
      cmocka_unit_test_teardown(a_long_reference_is_not_copied, all_bodies_released),
      cmocka_unit_test(nothing_added_is_nothing_held),
      cmocka_unit_test(a_body_is_let_go_with_its_last_byte),
      cmocka_unit_test(what_outputs_share_is_in_memory_once),
      cmocka_unit_test(closing_lets_everything_go),
      cmocka_unit_test_teardown(it_holds_what_a_plain_buffer_would_hold, all_bodies_released),
      cmocka_unit_test_teardown(scattered_references_do_not_pin_their_bodies, all_bodies_released),
      cmocka_unit_test_teardown(heads_between_references_do_not_pin_a_chunk_each, all_bodies_released),
      cmocka_unit_test_teardown(memory_pinned_stays_within_four_times_what_is_counted, all_bodies_released),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
