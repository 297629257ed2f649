/* The history against a plain list of entries. */
#include "tests/unit/history_fixture.h"
#include "tests/unit/seed.h"

#define NAMES     6
#define MODEL_MAX 200000
#define BULK_MAX  400
#define ROUNDS    6000
#define SMALL     60000
#define RUN_MAX   150

struct model_entry {
  struct sb_id id;
  uint32_t name;
  uint32_t pairs; /* 0: a message */
  uint32_t bulk, bulk_len;
  bool gone;
};

struct model {
  struct sb_history history;
  struct model_entry *entries;
  uint32_t count, from; /* nothing before `from` is there any more */
  struct sb_buf bulk;
  uint64_t generation, sequence, now_ms;
  uint32_t behind; /* the indexes of the last message; 0: it is over */
};

static const char *const names[NAMES] = {"", "a", "channel", "room:{1}", "stream", "ten letters"};

static void model_add(struct model *model, uint32_t name, uint32_t index, uint32_t pairs,
                      const struct sb_bytes *bulks, uint32_t count) {
  assert_true(model->count < MODEL_MAX);
  struct model_entry *entry = &model->entries[model->count++];
  *entry = (struct model_entry){.id = sb_id_at(model->generation, model->sequence, index),
                                .name = name,
                                .pairs = pairs,
                                .bulk = (uint32_t)model->bulk.len};
  for (uint32_t i = 0; i < count; i++) {
    sb_buf_printf(&model->bulk, "$%zu\r\n", bulks[i].len);
    sb_buf_append(&model->bulk, bulks[i].at, bulks[i].len);
    sb_buf_text(&model->bulk, "\r\n");
  }
  entry->bulk_len = (uint32_t)model->bulk.len - entry->bulk;
}

static struct sb_bytes random_bytes(uint32_t max) {
  static char text[BULK_MAX + 64];
  for (size_t i = 0; text[0] == 0 && i < sizeof text; i++) text[i] = "0123456789$*\r\nxyz"[i % 17];
  return sb_bytes(text + below(64), below(max));
}

/* Puts one to four runs or XADDs into a batch, some of it not for the history. */
static void random_batch(struct model *model) {
  struct made made = {0};
  bool more = model->behind > 0 && model->behind < 1000 && below(5) == 0;
  if (more)
    made.index = model->behind; /* another body of the same message */
  else if (below(40) == 0)
    model->generation += 1 + below(5), model->sequence = below(3);
  else
    model->sequence += 1 + below(4);
  for (uint32_t parts = below(5); parts > 0; parts--) {
    uint32_t name = below(NAMES), count = below(8) ? 1 + below(5) : 1 + below(RUN_MAX);
    struct sb_bytes bulks[RUN_MAX];
    if (below(4) == 0) make_other(&made);
    if (below(5) == 0) made.index += below(3); /* an entry that is visible but not kept here */
    if (below(3) == 0) {
      uint32_t pairs = 1 + below(4);
      for (uint32_t i = 0; i < 2 * pairs; i++) bulks[i] = random_bytes(20);
      model_add(model, name, made.index, pairs, bulks, 2 * pairs);
      make_fields(&made, names[name], bulks, pairs);
      continue;
    }
    for (uint32_t i = 0; i < count; i++) bulks[i] = random_bytes(below(10) ? 30 : BULK_MAX);
    for (uint32_t i = 0; i < count; i++) model_add(model, name, made.index + i, 0, &bulks[i], 1);
    make_messages(&made, names[name], bulks, count);
  }
  model->behind = made.index;
  apply(&model->history, model->generation, model->sequence, &made, model->now_ms);
  const struct sb_history *history = &model->history;
  assert_true(history->bytes <= history->max_bytes || history->first == history->open || !history->first);
}

static bool model_there(const struct model *model, const struct model_entry *entry) {
  return !entry->gone && sb_id_compare(entry->id, model->history.begin) > 0;
}

/* An id of the model or one near it. */
static struct sb_id random_id(const struct model *model) {
  if (model->from == model->count || below(20) == 0) return below(2) ? first_id : SB_ID_MAX;
  struct sb_id id = model->entries[model->from + below(model->count - model->from)].id;
  if (below(4) == 0) id.seq += below(10);
  if (below(10) == 0) id.ms += below(2);
  return id;
}

static void random_delete(struct model *model) {
  uint32_t name = below(NAMES);
  struct sb_id id = random_id(model);
  bool expected = false;
  for (uint32_t i = model->from; i < model->count && !expected; i++) {
    struct model_entry *entry = &model->entries[i];
    if (entry->name != name || sb_id_compare(entry->id, id) != 0 || !model_there(model, entry)) continue;
    entry->gone = expected = true;
  }
  assert_int_equal(sb_history_delete(&model->history, sb_bytes_of(names[name]), id), expected);
}

static uint64_t model_length(const struct model *model, uint32_t name) {
  uint64_t length = 0;
  for (uint32_t i = model->from; i < model->count; i++)
    length += model->entries[i].name == name && model_there(model, &model->entries[i]);
  return length;
}

/* Takes away the first entries of a name while there are more than `keep` and, or, they are below `id`. */
static uint64_t model_trim(struct model *model, uint32_t name, uint64_t keep, struct sb_id id) {
  uint64_t length = model_length(model, name), gone = 0;
  for (uint32_t i = model->from; i < model->count && length - gone > keep; i++) {
    struct model_entry *entry = &model->entries[i];
    if (entry->name != name || !model_there(model, entry) || sb_id_compare(entry->id, id) >= 0) continue;
    entry->gone = true;
    gone++;
  }
  return gone;
}

static void random_trim(struct model *model) {
  uint32_t name = below(NAMES), what = below(10);
  struct sb_bytes key = sb_bytes_of(names[name]);
  struct sb_id id = random_id(model);
  uint64_t length = model_length(model, name),
           keep = length > 0 ? length - below((uint32_t)length + 1) / 3 : 0;
  if (what < 5)
    assert_int_equal(sb_history_trim_length(&model->history, key, keep),
                     model_trim(model, name, keep, SB_ID_MAX));
  else if (what < 9)
    assert_int_equal(sb_history_trim_below(&model->history, key, id), model_trim(model, name, 0, id));
  else
    assert_int_equal(sb_history_forget(&model->history, key), model_trim(model, name, 0, SB_ID_MAX));
}

static const struct model_entry *model_step(const struct model *model, uint32_t name, struct sb_id from,
                                            struct sb_id to, bool backwards, uint32_t *walked) {
  while (*walked < model->count - model->from) {
    uint32_t i = backwards ? model->count - 1 - *walked : model->from + *walked;
    const struct model_entry *entry = &model->entries[i];
    (*walked)++;
    if (entry->name == name && model_there(model, entry) && sb_id_compare(entry->id, from) >= 0 &&
        sb_id_compare(entry->id, to) <= 0)
      return entry;
  }
  return NULL;
}

static void check_range(const struct model *model, uint32_t name, struct sb_id from, struct sb_id to,
                        bool backwards) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  const struct model_entry *expected;
  uint32_t walked = 0;
  sb_history_seek(&model->history, sb_bytes_of(names[name]), from, to, backwards, &cursor);
  while ((expected = model_step(model, name, from, to, backwards, &walked))) {
    assert_true(sb_history_next(&cursor, &entry));
    assert_id(entry.id, expected->id);
    assert_int_equal(entry.message, expected->pairs == 0);
    assert_int_equal(entry.pairs, expected->pairs ? expected->pairs : 1);
    assert_true(sb_bytes_equal(entry.bulk, sb_bytes(model->bulk.data + expected->bulk, expected->bulk_len)));
  }
  assert_false(sb_history_next(&cursor, &entry));
}

/* What holds the pieces, and what that costs: counted anew. */
static void check_parts(const struct sb_history *history) {
  size_t bytes = history->keys.cap * sizeof(struct sb_table_slot), walked = 0, named = 0;
  uint64_t entries = 0, pieces = 0, batches_pieces = 0;
  const struct sb_history_key *key;
  while ((key = sb_table_each(&history->keys, &walked))) {
    uint64_t length = 0;
    for (uint32_t i = 0; i < key->count; i++) length += sb_history_piece(key, i)->count;
    assert_int_equal(key->length, length);
    assert_true(key->named > 0);
    assert_true(key->cap <= 1 || key->count > key->cap / 4);
    entries += length;
    pieces += key->count;
    named += key->named;
    bytes += sizeof *key + key->name_len + key->cap * sizeof(struct sb_history_piece);
  }
  const struct sb_history_batch *before = NULL;
  for (const struct sb_history_batch *b = history->first; b; before = b, b = b->next) {
    assert_ptr_equal(b->prev, before);
    assert_true(b->pieces > 0 || b == history->open);
    assert_true(atomic_load(&b->body->refs) == 1);
    batches_pieces += b->pieces;
    named -= b->keys_count;
    bytes += sizeof *b + sizeof *b->body + b->body->len + b->keys_cap * sizeof(struct sb_history_key *);
  }
  assert_ptr_equal(history->last, before);
  assert_int_equal(entries, history->entries);
  assert_int_equal(pieces, batches_pieces);
  assert_int_equal(named, 0);
  assert_true(history->bytes >= bytes - bytes / 10);
  assert_true(history->bytes <= bytes * 2 + 64);
}

static void check_model(struct model *model) {
  check_parts(&model->history);
  while (model->from < model->count && !model_there(model, &model->entries[model->from])) model->from++;
  for (uint32_t name = 0; name < NAMES; name++)
    assert_int_equal(sb_history_length(&model->history, sb_bytes_of(names[name])), model_length(model, name));
  for (uint32_t i = 0; i < 6; i++)
    check_range(model, below(NAMES), random_id(model), random_id(model), i % 2);
  uint32_t all = below(NAMES);
  check_range(model, all, first_id, SB_ID_MAX, false);
  check_range(model, all, first_id, SB_ID_MAX, true);
}

static void random_step(struct model *model) {
  uint32_t what = below(1000);
  if (what < 600) {
    random_batch(model);
  } else if (what < 860) {
    random_delete(model);
  } else if (what < 990) {
    random_trim(model);
  } else if (what < 995) {
    model->behind = 0;
    model->now_ms += below(2000);
    sb_history_age(&model->history, model->now_ms);
  } else if (what < 997) {
    model->behind = 0;
    sb_history_restart(&model->history, sb_id_end_of(model->generation, model->sequence));
  }
}

static void random_use(size_t max_bytes, uint64_t max_age_ms) {
  struct model model = {.generation = GENERATION};
  model.entries = sb_malloc(MODEL_MAX * sizeof *model.entries);
  sb_history_init(&model.history, max_bytes, max_age_ms);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    random_step(&model);
    check_model(&model);
  }
  assert_true(model.count > ROUNDS);
  sb_history_close(&model.history);
  assert_int_equal(model.history.bytes, 0);
  sb_buf_close(&model.bulk);
  free(model.entries);
}

static void it_is_what_a_list_would_be(void **state) {
  (void)state;
  random_use(SMALL, 0);
}

static void it_is_what_a_list_would_be_when_it_holds_next_to_nothing(void **state) {
  (void)state;
  random_use(3000, 1500);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_what_a_list_would_be),
      cmocka_unit_test(it_is_what_a_list_would_be_when_it_holds_next_to_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
