/* The history: each promise of its header by itself. */
#include <stdio.h>

#include "tests/unit/history_fixture.h"

#define ROOMY ((size_t)64 * 1024 * 1024)

static void publish(struct sb_history *history, uint64_t sequence, const char *channel, const char *payload) {
  struct made made = {0};
  struct sb_bytes bytes = sb_bytes_of(payload);
  make_messages(&made, channel, &bytes, 1);
  apply(history, GENERATION, sequence, &made, 0);
}

/* `count` messages "0", "1" … as one run. */
static void publish_run(struct sb_history *history, uint64_t sequence, const char *channel, uint32_t count) {
  struct made made = {0};
  char text[4096][5];
  struct sb_bytes payloads[4096];
  assert_true(count <= 4096);
  for (uint32_t i = 0; i < count; i++) {
    int len = snprintf(text[i], sizeof text[i], "%u", i);
    payloads[i] = sb_bytes(text[i], (size_t)len);
  }
  make_messages(&made, channel, payloads, count);
  apply(history, GENERATION, sequence, &made, 0);
}

static void heartbeat(struct sb_history *history, uint64_t sequence, uint64_t now_ms) {
  struct made made = {0};
  make_other(&made);
  apply(history, GENERATION, sequence, &made, now_ms);
}

/* ---- what is read ---- */

static void read_all(const struct sb_history *history, const char *name, struct sb_id from, struct sb_id to,
                     bool backwards, struct sb_buf *out) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  sb_history_seek(history, sb_bytes_of(name), from, to, backwards, &cursor);
  while (sb_history_next(&cursor, &entry)) {
    if (out->len) sb_buf_text(out, " ");
    sb_buf_printf(out, "%llu-%llu/%llu", (unsigned long long)entry.id.ms,
                  (unsigned long long)(entry.id.seq / SB_BATCH_ENTRIES_MAX),
                  (unsigned long long)(entry.id.seq % SB_BATCH_ENTRIES_MAX));
    sb_buf_text(out, entry.message ? "=" : ":");
    for (size_t i = 0; i < entry.bulk.len; i++)
      if (entry.bulk.at[i] != '\r')
        sb_buf_append(out, entry.bulk.at[i] == '\n' ? "," : (const char *)&entry.bulk.at[i], 1);
  }
  assert_false(sb_history_next(&cursor, &entry));
}

static void assert_range(const struct sb_history *history, const char *name, struct sb_id from,
                         struct sb_id to, bool backwards, const char *expected) {
  struct sb_buf out = {0};
  read_all(history, name, from, to, backwards, &out);
  sb_buf_append(&out, "", 1);
  assert_string_equal((const char *)out.data, expected);
  sb_buf_close(&out);
}

static void assert_holds(const struct sb_history *history, const char *name, const char *expected) {
  assert_range(history, name, first_id, SB_ID_MAX, false, expected);
}

static struct sb_id at(uint64_t sequence, uint32_t index) {
  return sb_id_at(GENERATION, sequence, index);
}

static struct sb_history *history_new(size_t max_bytes, uint64_t max_age_ms) {
  struct sb_history *history = sb_malloc(sizeof *history);
  sb_history_init(history, max_bytes, max_age_ms);
  return history;
}

static void history_free(struct sb_history *history) {
  sb_history_close(history);
  assert_int_equal(history->bytes, 0);
  assert_int_equal(history->entries, 0);
  free(history);
}

/* ---- adding and reading ---- */

static void messages_are_read_as_bulk_strings_with_their_ids(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes payloads[] = {sb_bytes_of("one"), sb_bytes_of(""), sb_bytes_of("$3\r\nx")};
  make_other(&made);
  make_messages(&made, "news", payloads, 3);
  make_messages(&made, "other", payloads, 1);
  apply(h, GENERATION, 7, &made, 0);
  assert_holds(h, "news", "1000-7/0=$3,one, 1000-7/1=$0,, 1000-7/2=$5,$3,x,");
  assert_holds(h, "other", "1000-7/3=$3,one,");
  assert_holds(h, "nobody", "");
  assert_int_equal(sb_history_length(h, sb_bytes_of("news")), 3);
  assert_int_equal(sb_history_length(h, sb_bytes_of("nobody")), 0);
  assert_int_equal(h->entries, 4);
  history_free(h);
}

static void fields_are_read_as_they_stand(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes fields[] = {sb_bytes_of("a"), sb_bytes_of("1"), sb_bytes_of("bb"), sb_bytes_of("")};
  make_fields(&made, "stream", fields, 2);
  make_fields(&made, "stream", fields, 1);
  apply(h, GENERATION, 7, &made, 0);
  assert_holds(h, "stream", "1000-7/0:$1,a,$1,1,$2,bb,$0,, 1000-7/1:$1,a,$1,1,");

  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  sb_history_seek(h, sb_bytes_of("stream"), first_id, SB_ID_MAX, false, &cursor);
  assert_true(sb_history_next(&cursor, &entry));
  assert_int_equal(entry.pairs, 2);
  assert_false(entry.message);
  history_free(h);
}

static void the_empty_name_is_a_name(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish(h, 1, "", "x");
  assert_holds(h, "", "1000-1/0=$1,x,");
  assert_int_equal(sb_history_forget(h, sb_bytes(NULL, 0)), 1);
  history_free(h);
}

static void ranges_include_both_ends_and_go_both_ways(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish_run(h, 1, "c", 3);
  publish(h, 5, "c", "x");
  assert_range(h, "c", at(1, 1), at(1, 2), false, "1000-1/1=$1,1, 1000-1/2=$1,2,");
  assert_range(h, "c", at(1, 1), at(1, 2), true, "1000-1/2=$1,2, 1000-1/1=$1,1,");
  assert_range(h, "c", at(1, 2), at(5, 0), false, "1000-1/2=$1,2, 1000-5/0=$1,x,");
  assert_range(h, "c", at(1, 2), at(5, 0), true, "1000-5/0=$1,x, 1000-1/2=$1,2,");
  assert_range(h, "c", at(1, 3), at(4, 9), false, "");
  assert_range(h, "c", at(1, 3), at(4, 9), true, "");
  assert_range(h, "c", at(1, 2), at(1, 1), false, "");
  assert_range(h, "c", at(1, 2), at(1, 1), true, "");
  assert_range(h, "c", at(5, 1), SB_ID_MAX, false, "");
  assert_range(h, "c", first_id, at(1, 0), true, "1000-1/0=$1,0,");
  history_free(h);
}

static void a_new_generation_is_behind_the_old_one_whatever_its_sequences(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes payload = sb_bytes_of("x");
  publish(h, 900, "c", "a");
  make_messages(&made, "c", &payload, 1);
  apply(h, GENERATION + 1, 3, &made, 0);
  assert_holds(h, "c", "1000-900/0=$1,a, 1001-3/0=$1,x,");
  assert_range(h, "c", sb_id_at(GENERATION + 1, 0, 0), SB_ID_MAX, false, "1001-3/0=$1,x,");
  assert_range(h, "c", first_id, (struct sb_id){GENERATION, UINT64_MAX}, true, "1000-900/0=$1,a,");
  history_free(h);
}

/* Messages that were made of entries stand between the others of their batch, with bodies of their own. */
static void a_body_counts_once_however_many_messages_stand_between(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made all = {0};
  static char big[40000];
  memset(big, 'x', sizeof big);
  const struct sb_bytes large = sb_bytes(big, sizeof big), small = sb_bytes_of("made");
  make_messages(&all, "c", &large, 1);
  for (int i = 0; i < 20; i++) {
    make_other(&all);
    all.index++;
    make_messages(&all, "c", &small, 1);
  }
  struct sb_body *body = body_of(&all);
  for (uint32_t i = 0; i < all.told_count; i++) {
    sb_history_batch(h, GENERATION, 1, body, 0);
    tell(h, &all.told[i]);
    if (i + 1 == all.told_count) break;
    struct made one = {.index = all.told[i].index + 1};
    make_messages(&one, "k", &small, 1);
    apply(h, GENERATION, 1, &one, 0);
  }
  rename_messages(body, &all);
  sb_body_unref(body);
  assert_int_equal(sb_history_length(h, sb_bytes_of("c")), 21);
  assert_int_equal(sb_history_length(h, sb_bytes_of("k")), 20);
  assert_in_range(h->bytes, sizeof big, 2 * sizeof big);
  assert_true(sb_history_delete(h, sb_bytes_of("c"), sb_id_at(GENERATION, 1, 0)));
  assert_in_range(h->bytes, sizeof big, 2 * sizeof big); /* the others hold it */
  assert_int_equal(sb_history_forget(h, sb_bytes_of("c")), 20);
  publish(h, 2, "z", "a"); /* nothing is added to the other any more */
  assert_true(h->bytes < sizeof big);
  history_free(h);
}

static void messages_told_one_by_one_are_one_piece_where_they_lie_end_to_end(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes payloads[] = {sb_bytes_of("a"), sb_bytes_of("bb"), sb_bytes_of("ccc")};
  make_messages(&made, "c", payloads, 1);
  make_messages(&made, "c", payloads + 1, 2);
  make_messages(&made, "c", payloads, 1);
  make_other(&made);
  make_messages(&made, "c", payloads, 1); /* not end to end */
  make_fields(&made, "c", payloads, 1);
  make_messages(&made, "c", payloads, 1);
  make_messages(&made, "d", payloads, 1);
  make_messages(&made, "c", payloads, 1); /* another between them */
  apply(h, GENERATION, 1, &made, 0);
  assert_int_equal(sb_history_find(h, sb_bytes_of("c"))->count, 5);
  assert_int_equal(h->first->keys_count, 2); /* each key once */
  assert_holds(h, "c",
               "1000-1/0=$1,a, 1000-1/1=$2,bb, 1000-1/2=$3,ccc, 1000-1/3=$1,a, 1000-1/4=$1,a, "
               "1000-1/5:$1,a,$2,bb, 1000-1/6=$1,a, 1000-1/8=$1,a,");
  history_free(h);
}

/* Backwards, entries are found a few at a time from the begin of their run. */
static void the_longest_run_is_read_from_any_place_both_ways(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish_run(h, 1, "c", SB_BATCH_ENTRIES_MAX);
  for (uint32_t from = 0; from < SB_BATCH_ENTRIES_MAX; from += 61) {
    struct sb_history_cursor forwards, backwards;
    struct sb_history_entry entry;
    char text[32];
    sb_history_seek(h, sb_bytes_of("c"), at(1, from), SB_ID_MAX, false, &forwards);
    sb_history_seek(h, sb_bytes_of("c"), first_id, at(1, from), true, &backwards);
    for (uint32_t i = 0; i < 200; i++) {
      bool there = from + i < SB_BATCH_ENTRIES_MAX;
      assert_int_equal(sb_history_next(&forwards, &entry), there);
      int len = snprintf(text, sizeof text, "$%u\r\n%u\r\n", digits(from + i), from + i);
      if (there) assert_true(sb_bytes_equal(entry.bulk, sb_bytes(text, (size_t)len)));
      there = i <= from;
      assert_int_equal(sb_history_next(&backwards, &entry), there);
      if (!there) continue;
      len = snprintf(text, sizeof text, "$%u\r\n%u\r\n", digits(from - i), from - i);
      assert_true(sb_bytes_equal(entry.bulk, sb_bytes(text, (size_t)len)));
      assert_id(entry.id, at(1, from - i));
    }
  }
  history_free(h);
}

/* ---- what is kept ---- */

static void without_room_nothing_is_kept_and_begin_moves_along(void **state) {
  (void)state;
  struct sb_history *h = history_new(0, 0);
  publish(h, 1, "c", "x");
  assert_holds(h, "c", "");
  assert_id(h->begin, sb_id_end_of(GENERATION, 1));
  assert_int_equal(h->bytes, 0);
  assert_null(h->open);
  history_free(h);
}

static void a_body_is_held_only_when_something_of_it_was_added(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes payload = sb_bytes_of("x");
  make_messages(&made, "c", &payload, 1);
  struct sb_body *body = body_of(&made);
  sb_history_batch(h, GENERATION, 1, body, 0);
  assert_int_equal(atomic_load(&body->refs), 1);
  tell(h, &made.told[0]);
  assert_int_equal(atomic_load(&body->refs), 2);
  sb_history_restart(h, first_id);
  assert_int_equal(atomic_load(&body->refs), 1);
  tell(h, &made.told[0]); /* of a message that it has forgotten */
  assert_holds(h, "c", "");
  sb_body_unref(body);
  history_free(h);
}

static void messages_that_add_nothing_cost_nothing(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish(h, 1, "c", "x");
  size_t bytes = h->bytes;
  for (uint64_t s = 2; s < 100; s++) heartbeat(h, s, 0);
  assert_int_equal(h->bytes, bytes);
  assert_id(h->begin, first_id);
  publish(h, 100, "c", "y");
  assert_holds(h, "c", "1000-1/0=$1,x, 1000-100/0=$1,y,");
  history_free(h);
}

static void the_oldest_batch_goes_first_and_begin_tells_it(void **state) {
  (void)state;
  struct sb_history *h = history_new(20000, 0);
  char payload[1001] = {0};
  memset(payload, 'x', 1000);
  for (uint64_t s = 1; s <= 100; s++) {
    publish(h, s, s % 2 ? "odd" : "even", payload);
    assert_true(h->bytes <= 20000);
    /* All that is behind begin is there, and nothing else. */
    struct sb_history_entry entry;
    struct sb_history_cursor cursor;
    uint64_t oldest = (h->begin.seq + 1) / SB_BATCH_ENTRIES_MAX;
    if (h->begin.ms == 0) oldest = 1;
    assert_int_equal(h->entries, s + 1 - oldest);
    sb_history_seek(h, sb_bytes_of(oldest % 2 ? "odd" : "even"), first_id, SB_ID_MAX, false, &cursor);
    assert_true(sb_history_next(&cursor, &entry));
    assert_id(entry.id, at(oldest, 0));
  }
  assert_in_range(h->entries, 15, 19); /* the room is used */
  history_free(h);
}

static void one_message_may_have_several_bodies(void **state) {
  (void)state;
  struct sb_history *h = history_new(5000, 0);
  char text[2001] = {0};
  memset(text, 'x', 2000);
  const struct sb_bytes payload = sb_bytes_of(text), short_one = sb_bytes_of("y");
  for (uint32_t i = 0; i < 6; i++) {
    struct made made = {.index = 2 * i};
    make_messages(&made, "c", &payload, 1);
    make_messages(&made, "c", &short_one, 1);
    apply(h, GENERATION, 7, &made, 0);
  }
  assert_int_equal(h->entries, 4);
  assert_id(h->begin, at(7, 7));
  assert_range(h, "c", at(7, 9), at(7, 9), false, "1000-7/9=$1,y,");
  publish(h, 8, "c", text);
  publish(h, 9, "c", text);
  assert_int_equal(h->entries, 2);
  assert_id(h->begin, sb_id_end_of(GENERATION, 7));
  history_free(h);
}

static void what_is_open_is_kept_whatever_its_size(void **state) {
  (void)state;
  struct sb_history *h = history_new(1000, 0);
  char payload[5001] = {0};
  memset(payload, 'x', 5000);
  publish(h, 1, "c", "small");
  publish(h, 2, "c", payload);
  assert_int_equal(h->entries, 1);
  assert_id(h->begin, sb_id_end_of(GENERATION, 1));
  assert_true(h->bytes > 5000);
  heartbeat(h, 3, 0);
  assert_int_equal(h->entries, 0);
  assert_id(h->begin, sb_id_end_of(GENERATION, 2));
  assert_true(h->bytes <= 1000);
  history_free(h);
}

static void what_is_too_old_goes_with_or_without_traffic(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 100);
  const struct sb_bytes payload = sb_bytes_of("x");
  for (uint64_t s = 1; s <= 3; s++) {
    struct made made = {0};
    make_messages(&made, "c", &payload, 1);
    apply(h, GENERATION, s, &made, 1000 + 10 * s);
  }
  sb_history_age(h, 900); /* a clock that was set back tells nothing */
  sb_history_age(h, 1110);
  assert_int_equal(h->entries, 3);
  sb_history_age(h, 1111);
  assert_int_equal(h->entries, 2);
  assert_id(h->begin, sb_id_end_of(GENERATION, 1));
  heartbeat(h, 4, 1121);
  assert_holds(h, "c", "1000-3/0=$1,x,");
  sb_history_age(h, 5000);
  assert_int_equal(h->entries, 0);
  assert_id(h->begin, sb_id_end_of(GENERATION, 3));
  publish(h, 5, "c", "y");
  assert_holds(h, "c", "1000-5/0=$1,y,");
  sb_history_age(h, 5000); /* the open one too */
  assert_null(h->open);
  history_free(h);
}

static void a_restart_forgets_everything(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish_run(h, 1, "c", 10);
  publish(h, 2, "d", "x");
  sb_history_restart(h, at(9, 4095));
  assert_int_equal(h->entries, 0);
  assert_int_equal(h->bytes, 0);
  assert_id(h->begin, at(9, 4095));
  assert_holds(h, "c", "");
  publish(h, 10, "c", "y");
  assert_holds(h, "c", "1000-10/0=$1,y,");
  assert_id(h->begin, at(9, 4095));
  history_free(h);
}

/* ---- taking away ---- */

/* The C library gives the memory of a batch to the next one. */
static void a_batch_is_not_taken_for_one_that_went(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  for (uint64_t s = 1; s < 300; s += 3) {
    publish(h, s, "c", "x");
    publish(h, s + 1, "c", "x");
    assert_true(sb_history_delete(h, sb_bytes_of("c"), at(s + 1, 0)));
    publish(h, s + 2, "c", "x");
  }
  for (const struct sb_history_batch *b = h->first; b; b = b->next) assert_int_equal(b->keys_count, 1);
  assert_int_equal(h->entries, 200);
  sb_history_restart(h, first_id);
  assert_int_equal(h->entries, 0);
  history_free(h);
}

static void deleting_takes_one_entry_anywhere_in_a_run(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct sb_bytes c = sb_bytes_of("c");
  publish_run(h, 1, "c", 6);
  assert_true(sb_history_delete(h, c, at(1, 0)));
  assert_true(sb_history_delete(h, c, at(1, 5)));
  assert_true(sb_history_delete(h, c, at(1, 2)));
  assert_holds(h, "c", "1000-1/1=$1,1, 1000-1/3=$1,3, 1000-1/4=$1,4,");
  assert_range(h, "c", at(1, 2), at(1, 3), true, "1000-1/3=$1,3,");
  assert_int_equal(sb_history_length(h, c), 3);
  assert_false(sb_history_delete(h, c, at(1, 0)));
  assert_false(sb_history_delete(h, c, at(1, 2)));
  assert_false(sb_history_delete(h, c, at(1, 5)));
  assert_false(sb_history_delete(h, c, at(2, 0)));
  assert_false(sb_history_delete(h, c, first_id));
  assert_false(sb_history_delete(h, sb_bytes_of("d"), at(1, 1)));
  assert_true(sb_history_delete(h, c, at(1, 1)));
  assert_holds(h, "c", "1000-1/3=$1,3, 1000-1/4=$1,4,");
  history_free(h);
}

static void trimming_keeps_the_newest_also_of_a_run(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct sb_bytes c = sb_bytes_of("c");
  publish_run(h, 1, "c", 4);
  publish_run(h, 2, "c", 3);
  assert_int_equal(sb_history_trim_length(h, c, 7), 0);
  assert_int_equal(sb_history_trim_length(h, c, 5), 2);
  assert_holds(h, "c", "1000-1/2=$1,2, 1000-1/3=$1,3, 1000-2/0=$1,0, 1000-2/1=$1,1, 1000-2/2=$1,2,");
  assert_int_equal(sb_history_trim_below(h, c, at(1, 2)), 0);
  assert_int_equal(sb_history_trim_below(h, c, at(2, 1)), 3);
  assert_holds(h, "c", "1000-2/1=$1,1, 1000-2/2=$1,2,");
  assert_int_equal(sb_history_trim_below(h, c, at(2, 4095)), 2);
  assert_int_equal(sb_history_trim_below(h, c, SB_ID_MAX), 0);
  assert_int_equal(sb_history_trim_length(h, sb_bytes_of("d"), 0), 0);
  assert_int_equal(sb_history_trim_below(h, sb_bytes_of("d"), SB_ID_MAX), 0);
  history_free(h);
}

static void forgetting_takes_all_of_one_key_only(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  publish_run(h, 1, "c", 4);
  publish(h, 2, "d", "x");
  assert_int_equal(sb_history_forget(h, sb_bytes_of("c")), 4);
  assert_int_equal(sb_history_forget(h, sb_bytes_of("c")), 0);
  assert_holds(h, "c", "");
  assert_holds(h, "d", "1000-2/0=$1,x,");
  publish(h, 3, "c", "y");
  assert_holds(h, "c", "1000-3/0=$1,y,");
  assert_id(h->begin, first_id);
  history_free(h);
}

static void a_stream_that_is_kept_short_pushes_nothing_out(void **state) {
  (void)state;
  struct sb_history *h = history_new(100000, 0);
  char payload[1001] = {0};
  memset(payload, 'x', 1000);
  publish(h, 1, "kept", "x");
  for (uint64_t s = 2; s < 5000; s++) {
    publish(h, s, "short", payload);
    sb_history_trim_length(h, sb_bytes_of("short"), 10);
  }
  assert_holds(h, "kept", "1000-1/0=$1,x,");
  assert_int_equal(sb_history_length(h, sb_bytes_of("short")), 10);
  assert_true(h->bytes < 20000);
  assert_id(h->begin, first_id);
  sb_history_forget(h, sb_bytes_of("kept"));
  sb_history_forget(h, sb_bytes_of("short"));
  heartbeat(h, 5000, 0);
  assert_null(h->first);
  assert_int_equal(h->keys.count, 0);
  history_free(h);
}

static void what_comes_after_all_was_taken_from_an_open_batch_is_kept(void **state) {
  (void)state;
  struct sb_history *h = history_new(ROOMY, 0);
  struct made made = {0};
  const struct sb_bytes payload = sb_bytes_of("x");
  make_messages(&made, "c", &payload, 1);
  make_messages(&made, "c", &payload, 1);
  struct sb_body *body = body_of(&made);
  sb_history_batch(h, GENERATION, 1, body, 0);
  tell(h, &made.told[0]);
  assert_int_equal(sb_history_forget(h, sb_bytes_of("c")), 1);
  tell(h, &made.told[1]);
  sb_body_unref(body);
  assert_holds(h, "c", "1000-1/1=$1,x,");
  history_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_are_read_as_bulk_strings_with_their_ids),
      cmocka_unit_test(fields_are_read_as_they_stand),
      cmocka_unit_test(the_empty_name_is_a_name),
      cmocka_unit_test(ranges_include_both_ends_and_go_both_ways),
      cmocka_unit_test(a_new_generation_is_behind_the_old_one_whatever_its_sequences),
      cmocka_unit_test(a_body_counts_once_however_many_messages_stand_between),
      cmocka_unit_test(messages_told_one_by_one_are_one_piece_where_they_lie_end_to_end),
      cmocka_unit_test(the_longest_run_is_read_from_any_place_both_ways),
      cmocka_unit_test(without_room_nothing_is_kept_and_begin_moves_along),
      cmocka_unit_test(a_body_is_held_only_when_something_of_it_was_added),
      cmocka_unit_test(messages_that_add_nothing_cost_nothing),
      cmocka_unit_test(the_oldest_batch_goes_first_and_begin_tells_it),
      cmocka_unit_test(one_message_may_have_several_bodies),
      cmocka_unit_test(what_is_open_is_kept_whatever_its_size),
      cmocka_unit_test(what_is_too_old_goes_with_or_without_traffic),
      cmocka_unit_test(a_restart_forgets_everything),
      cmocka_unit_test(a_batch_is_not_taken_for_one_that_went),
      cmocka_unit_test(deleting_takes_one_entry_anywhere_in_a_run),
      cmocka_unit_test(trimming_keeps_the_newest_also_of_a_run),
      cmocka_unit_test(forgetting_takes_all_of_one_key_only),
      cmocka_unit_test(a_stream_that_is_kept_short_pushes_nothing_out),
      cmocka_unit_test(what_comes_after_all_was_taken_from_an_open_batch_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
