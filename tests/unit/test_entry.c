/* Entries: what is written is read back, and nothing but the canonical form is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/core/wire/entry.h"
#include "tests/unit/seed.h"

#define PUBLISH  "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
#define SPUBLISH "*3\r\n$8\r\nSPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n"
#define PING     "*1\r\n$4\r\nPING\r\n"
#define BYE                                                                                                  \
  "*6\r\n$7\r\nSIDEBUS\r\n$3\r\nBYE\r\n$1\r\na\r\n$18\r\n1-0000000000000000\r\n$1\r\n7\r\n$4\r\nmore\r\n"

/* Reads one entry from a copy of exactly `len` bytes, so that a sanitizer sees a read beyond them. */
static bool reads(const char *text, size_t len, struct sb_entry *entry, uint32_t *off) {
  uint8_t *copy = malloc(len ? len : 1);
  memcpy(copy, text, len);
  bool read = sb_entry_next(sb_bytes(copy, len), off, NULL, entry);
  free(copy);
  return read;
}

static bool is_entry(const char *text, size_t len) {
  struct sb_entry entry;
  uint32_t off = 0;
  return reads(text, len, &entry, &off);
}

static struct sb_bytes part(const char *text, uint32_t off, uint32_t len) {
  return sb_bytes(text + off, len);
}

/* ---- reading ---- */

static void a_publish_is_read_with_its_channel_and_its_tail(void **state) {
  (void)state;
  struct sb_entry entry;
  uint32_t off = 0;
  assert_true(reads(PUBLISH, sizeof PUBLISH - 1, &entry, &off));
  assert_int_equal(entry.kind, SB_ENTRY_PUBLISH);
  assert_int_equal(off, sizeof PUBLISH - 1);
  assert_int_equal(entry.off, 0);
  assert_int_equal(entry.len, sizeof PUBLISH - 1);
  assert_true(sb_bytes_equal(part(PUBLISH, entry.key_off, entry.key_len), sb_bytes_of("news")));
  assert_string_equal(&PUBLISH[entry.tail_off], "$4\r\nnews\r\n$2\r\nhi\r\n");
  assert_memory_equal(&PUBLISH[SB_ENTRY_NAME_OFF], "PUBLISH", 7);
}

static void an_spublish_is_read_with_its_channel_and_its_tail(void **state) {
  (void)state;
  struct sb_entry entry;
  uint32_t off = 0;
  assert_true(reads(SPUBLISH, sizeof SPUBLISH - 1, &entry, &off));
  assert_int_equal(entry.kind, SB_ENTRY_SPUBLISH);
  assert_true(sb_bytes_equal(part(SPUBLISH, entry.key_off, entry.key_len), sb_bytes_of("c")));
  assert_string_equal(&SPUBLISH[entry.tail_off], "$1\r\nc\r\n$0\r\n\r\n");
  assert_memory_equal(&SPUBLISH[SB_ENTRY_NAME_OFF], "SPUBLISH", 8);
}

static void own_entries_are_read_with_their_subcommand(void **state) {
  (void)state;
  struct sb_entry entry;
  uint32_t off = 0;
  assert_true(reads(PING, sizeof PING - 1, &entry, &off));
  assert_int_equal(entry.kind, SB_ENTRY_PING);
  off = 0;
  assert_true(reads(BYE, sizeof BYE - 1, &entry, &off));
  assert_int_equal(entry.kind, SB_ENTRY_SIDEBUS);
  assert_true(sb_bytes_equal(part(BYE, entry.key_off, entry.key_len), sb_bytes_of("BYE")));
  assert_int_equal(entry.len, sizeof BYE - 1);
}

static void entries_laid_end_to_end_are_read_one_after_the_other(void **state) {
  (void)state;
  static const char body[] = PUBLISH SPUBLISH PING BYE PUBLISH;
  static const enum sb_entry_kind kinds[] = {SB_ENTRY_PUBLISH, SB_ENTRY_SPUBLISH, SB_ENTRY_PING,
                                             SB_ENTRY_SIDEBUS, SB_ENTRY_PUBLISH};
  struct sb_entry entry;
  uint32_t off = 0;
  for (size_t i = 0; i < 5; i++) {
    uint32_t begin = off;
    assert_true(sb_entry_next(sb_bytes(body, sizeof body - 1), &off, NULL, &entry));
    assert_int_equal(entry.kind, kinds[i]);
    assert_int_equal(entry.off, begin);
    assert_int_equal(entry.off + entry.len, off);
  }
  assert_int_equal(off, sizeof body - 1);
  assert_false(sb_entry_next(sb_bytes(body, sizeof body - 1), &off, NULL, &entry));
}

/* ---- the entry before as a hint ---- */

static bool same_entry(const struct sb_entry *a, const struct sb_entry *b) {
  return a->kind == b->kind && a->off == b->off && a->len == b->len && a->key_off == b->key_off &&
         a->key_len == b->key_len &&
         (a->kind > SB_ENTRY_SPUBLISH || (a->tail_off == b->tail_off && a->data_off == b->data_off));
}

static void append_random_entry(struct sb_buf *body) {
  static const char *const others[] = {PING, BYE};
  static const char *const channels[] = {"a", "b", "ab", ""};
  static const char payload[] = "$1\r\n*3\r\n$7\r\nP";
  if (below(12) == 0) {
    sb_buf_text(body, others[below(2)]);
    return;
  }
  const struct sb_bytes args[] = {sb_bytes_of(below(4) ? "PUBLISH" : "SPUBLISH"),
                                  sb_bytes_of(channels[below(4)]),
                                  sb_bytes(payload, below(2) ? 5 : below(12))};
  sb_entry_append(body, args, 3);
}

/* Both ways through a copy of exactly the body's size; stops at the first that is none. */
static void read_both_ways(struct sb_bytes body) {
  struct sb_entry plain = {0}, hinted = {0}, before = {0};
  uint32_t off = 0, hinted_off = 0;
  for (bool first = true;; first = false) {
    bool good = sb_entry_next(body, &off, NULL, &plain);
    assert_int_equal(sb_entry_next(body, &hinted_off, first ? NULL : &before, &hinted), good);
    if (!good) return;
    assert_int_equal(off, hinted_off);
    assert_true(same_entry(&plain, &hinted));
    assert_false(plain.same_head);
    if (hinted.same_head) {
      assert_int_equal(before.kind, plain.kind);
      assert_true(sb_bytes_equal(sb_bytes(body.at + before.key_off, before.key_len),
                                 sb_bytes(body.at + plain.key_off, plain.key_len)));
    }
    before = hinted;
  }
}

static void the_entry_before_changes_nothing_but_the_time_it_takes(void **state) {
  (void)state;
  for (int round = 0; round < 5000; round++) {
    struct sb_buf body = {0};
    for (uint32_t count = 1 + below(6); count > 0; count--) append_random_entry(&body);
    if (below(2)) body.data[below((uint32_t)body.len)] = (uint8_t) "\r\n$*0123456789PS"[below(16)];
    size_t len = below(3) ? body.len : below((uint32_t)body.len);
    uint8_t *exact = malloc(len ? len : 1);
    if (len) memcpy(exact, body.data, len);
    read_both_ways(sb_bytes(exact, len));
    free(exact);
    sb_buf_close(&body);
  }
}

/* The bytes behind the cut are there, and are none of the reader's business. */
static void a_repeated_entry_that_is_cut_is_none(void **state) {
  (void)state;
  static const char body[] = PUBLISH PUBLISH;
  const size_t one = sizeof PUBLISH - 1;
  for (size_t len = one; len < 2 * one; len++) {
    struct sb_entry before, entry;
    uint32_t off = 0;
    assert_true(sb_entry_next(sb_bytes(body, len), &off, NULL, &before));
    assert_false(sb_entry_next(sb_bytes(body, len), &off, &before, &entry));
  }
}

static void entries_of_one_channel_are_known_as_such(void **state) {
  (void)state;
  static const char body[] =
      PUBLISH PUBLISH "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$1\r\nx\r\n" SPUBLISH SPUBLISH PING PUBLISH
                      "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnewt\r\n$2\r\nhi\r\n";
  static const bool same[] = {false, true, true, false, true, false, false, false};
  struct sb_entry entries[8];
  uint32_t off = 0;
  for (size_t i = 0; i < 8; i++) {
    assert_true(
        sb_entry_next(sb_bytes(body, sizeof body - 1), &off, i ? &entries[i - 1] : NULL, &entries[i]));
    assert_int_equal(entries[i].same_head, same[i]);
  }
  assert_int_equal(off, sizeof body - 1);
}

/* ---- what is no entry ---- */

static void payloads_may_hold_any_byte(void **state) {
  (void)state;
  static const char tricky[] = "*3\r\n$7\r\nPUBLISH\r\n$2\r\n\r\n\r\n$7\r\n$1\r\n\0\r\n\r\n";
  struct sb_entry entry;
  uint32_t off = 0;
  assert_true(reads(tricky, sizeof tricky - 1, &entry, &off));
  assert_int_equal(entry.key_len, 2);
  assert_int_equal(entry.len, sizeof tricky - 1);
}

static void a_cut_entry_is_none_wherever_it_is_cut(void **state) {
  (void)state;
  static const char *const entries[] = {PUBLISH, SPUBLISH, PING, BYE};
  for (size_t i = 0; i < 4; i++) {
    assert_true(is_entry(entries[i], strlen(entries[i])));
    for (size_t len = 0; len < strlen(entries[i]); len++) assert_false(is_entry(entries[i], len));
  }
}

static void every_malformed_form_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      /* not a command that travels */
      "*3\r\n$7\r\npublish\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPublish\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$8\r\nsPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*1\r\n$4\r\nping\r\n",
      "*2\r\n$4\r\nPING\r\n$1\r\nx\r\n",
      "*1\r\n$7\r\nSIDEBUS\r\n",
      "*2\r\n$7\r\nsidebus\r\n$3\r\nBYE\r\n",
      "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
      "*1\r\n$0\r\n\r\n",
      /* the number of arguments */
      "*2\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n",
      "*4\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n$1\r\nx\r\n",
      "*0\r\n",
      "*\r\n",
      "*-1\r\n",
      "*03\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*+1\r\n$4\r\nPING\r\n",
      "* 1\r\n$4\r\nPING\r\n",
      "*1 \r\n$4\r\nPING\r\n",
      "*1x\r\n$4\r\nPING\r\n",
      "*4294967297\r\n$4\r\nPING\r\n",
      "*18446744073709551617\r\n$4\r\nPING\r\n",
      /* lengths */
      "*3\r\n$7\r\nPUBLISH\r\n$01\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$-1\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$2\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$0\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$0\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$999999999\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$4294967297\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$18446744073709551617\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$00\r\n\r\n",
      "*3\r\n$8\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$6\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$07\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      /* line ends */
      "*3\n$7\nPUBLISH\n$1\nc\n$1\np\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\n\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\r",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\n\r$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\rxc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISHxx$1\r\nc\r\n$1\r\np\r\n",
      "*1\r\n$4\r\nPINGxx",
      "\r\n*1\r\n$4\r\nPING\r\n",
      /* types */
      ">3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n+c\r\n$1\r\np\r\n",
      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n:1\r\n",
      "*3\r\n+PUBLISH\r\n$1\r\nc\r\n$1\r\np\r\n",
      "*1\r\n*1\r\n$4\r\nPING\r\n",
      "PING\r\n",
      "",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (is_entry(bad[i], strlen(bad[i]))) fail_msg("taken for an entry: %s", bad[i]);
}

static void an_entry_has_16_arguments_at_most(void **state) {
  (void)state;
  struct sb_bytes args[SB_ENTRY_ARGS_MAX + 1];
  for (uint32_t i = 0; i <= SB_ENTRY_ARGS_MAX; i++) args[i] = sb_bytes_of(i ? "x" : "SIDEBUS");
  for (uint32_t count = SB_ENTRY_ARGS_MAX; count <= SB_ENTRY_ARGS_MAX + 1; count++) {
    struct sb_buf text = {0};
    sb_entry_append(&text, args, count);
    assert_int_equal(is_entry((const char *)text.data, text.len), count == SB_ENTRY_ARGS_MAX);
    sb_buf_close(&text);
  }
}

/* ---- arguments ---- */

static void arguments_are_read_up_to_the_bound_that_is_given(void **state) {
  (void)state;
  struct sb_bytes args[6];
  uint32_t off = 0;
  assert_int_equal(sb_entry_args(sb_bytes_of(BYE), &off, args, 6), 6);
  assert_int_equal(off, sizeof BYE - 1);
  assert_true(sb_bytes_equal(args[5], sb_bytes_of("more")));
  off = 0;
  assert_int_equal(sb_entry_args(sb_bytes_of(BYE), &off, args, 5), 0);
  assert_int_equal(off, 0);
}

static void no_bytes_are_no_arguments(void **state) {
  (void)state;
  struct sb_bytes args[1];
  struct sb_entry entry;
  uint32_t off = 0;
  assert_int_equal(sb_entry_args(sb_bytes(NULL, 0), &off, args, 1), 0);
  assert_false(sb_entry_next(sb_bytes(NULL, 0), &off, NULL, &entry));
}

/* ---- writing ---- */

static void what_is_written_is_canonical(void **state) {
  (void)state;
  struct sb_buf out = {0};
  sb_buf_text(&out, "before ");
  sb_entry_append(&out, (struct sb_bytes[]){sb_bytes_of("SPUBLISH"), sb_bytes_of("c"), sb_bytes(NULL, 0)}, 3);
  assert_int_equal(out.len, strlen("before " SPUBLISH));
  assert_memory_equal(out.data, "before " SPUBLISH, out.len);
  sb_buf_close(&out);
}

static void the_size_told_is_the_size_written(void **state) {
  (void)state;
  static const size_t lengths[] = {0, 1, 9, 10, 99, 100, 999, 1000, 99999, 100000};
  static uint8_t payload[100000];
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), sb_bytes_of("c"), sb_bytes(payload, lengths[i])};
    size_t size = sb_entry_size(args, 3);
    uint8_t *at = malloc(size);
    struct sb_entry entry;
    uint32_t off = 0;
    sb_entry_write(at, args, 3);
    assert_true(sb_entry_next(sb_bytes(at, size), &off, NULL, &entry));
    assert_int_equal(off, size);
    free(at);
  }
}

static void random_arguments_come_back_as_they_were(void **state) {
  (void)state;
  for (int round = 0; round < 2000; round++) {
    uint8_t bytes[SB_ENTRY_ARGS_MAX][40];
    struct sb_bytes args[SB_ENTRY_ARGS_MAX], back[SB_ENTRY_ARGS_MAX];
    uint32_t count = 1 + below(SB_ENTRY_ARGS_MAX), off = 0;
    for (uint32_t i = 0; i < count; i++) {
      args[i] = sb_bytes(bytes[i], below(40));
      for (size_t k = 0; k < args[i].len; k++) bytes[i][k] = (uint8_t) "\r\n$*1\0abc"[below(9)];
    }
    struct sb_buf out = {0};
    sb_entry_append(&out, args, count);
    assert_int_equal(sb_entry_args(sb_buf_bytes(&out), &off, back, SB_ENTRY_ARGS_MAX), count);
    assert_int_equal(off, out.len);
    for (uint32_t i = 0; i < count; i++) assert_true(sb_bytes_equal(args[i], back[i]));
    sb_buf_close(&out);
  }
}

/* One changed byte gives another entry that is canonical as well, or none: never one read beyond its end. */
static void an_altered_entry_is_refused_or_as_long_as_it_says(void **state) {
  (void)state;
  for (int round = 0; round < 20000; round++) {
    char text[] = PUBLISH PING;
    struct sb_entry entry;
    uint32_t off = 0;
    text[below(sizeof text - 1)] = (char)random();
    if (!reads(text, sizeof text - 1, &entry, &off)) continue;
    assert_true(off <= sizeof text - 1 && entry.off + entry.len == off);
    assert_true(entry.key_off + entry.key_len <= off);
    struct sb_bytes args[3];
    uint32_t again = 0;
    uint32_t count = sb_entry_args(sb_bytes(text, sizeof text - 1), &again, args, 3);
    assert_int_equal(again, off);
    assert_int_equal(sb_entry_size(args, count), off);
  }
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_publish_is_read_with_its_channel_and_its_tail),
      cmocka_unit_test(an_spublish_is_read_with_its_channel_and_its_tail),
      cmocka_unit_test(own_entries_are_read_with_their_subcommand),
      cmocka_unit_test(entries_laid_end_to_end_are_read_one_after_the_other),
      cmocka_unit_test(the_entry_before_changes_nothing_but_the_time_it_takes),
      cmocka_unit_test(a_repeated_entry_that_is_cut_is_none),
      cmocka_unit_test(entries_of_one_channel_are_known_as_such),
      cmocka_unit_test(payloads_may_hold_any_byte),
      cmocka_unit_test(a_cut_entry_is_none_wherever_it_is_cut),
      cmocka_unit_test(every_malformed_form_is_refused),
      cmocka_unit_test(an_entry_has_16_arguments_at_most),
      cmocka_unit_test(arguments_are_read_up_to_the_bound_that_is_given),
      cmocka_unit_test(no_bytes_are_no_arguments),
      cmocka_unit_test(what_is_written_is_canonical),
      cmocka_unit_test(the_size_told_is_the_size_written),
      cmocka_unit_test(random_arguments_come_back_as_they_were),
      cmocka_unit_test(an_altered_entry_is_refused_or_as_long_as_it_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
