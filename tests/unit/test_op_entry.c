/* Commands as entries: what travels says the same, does the same on every node, and nothing that comes from
 * the network does harm. */
#include "tests/unit/op_fixture.h"
#include "tests/unit/seed.h"

/* ---- what travels ---- */

/* The entry of a request, with spaces between its words. */
static void assert_travels_as(const char *request, const char *expected) {
  struct sb_bytes args[OP_ARGS_MAX];
  struct sb_op op;
  struct sb_buf entry = {0}, text = {0};
  uint32_t off = 0;
  assert_null(sb_op_parse(args, op_words(request, args), false, &op));
  sb_op_entry(&op, OP_NOW_MS, &entry);
  uint32_t count = sb_entry_args(sb_buf_bytes(&entry), &off, args, OP_ARGS_MAX);
  assert_int_equal(off, entry.len);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) sb_buf_text(&text, " ");
    sb_buf_append(&text, args[i].at, args[i].len);
  }
  sb_buf_append(&text, "", 1);
  assert_string_equal((const char *)text.data, expected);
  sb_buf_close(&entry);
  sb_buf_close(&text);
}

static void a_command_travels_as_it_came_with_its_name_in_upper_case(void **state) {
  (void)state;
  assert_travels_as("set k v ex 5 nx get", "SET k v ex 5 nx get");
  assert_travels_as("Incr k", "INCR k");
  assert_travels_as("setex k 5 v", "SETEX k 5 v");
  assert_travels_as("expire k 5 gt", "EXPIRE k 5 gt");
  assert_travels_as("xadd s maxlen ~ 5 * f v", "XADD s maxlen ~ 5 * f v");
  assert_travels_as("get k", "GET k");
  assert_travels_as("xinfo stream k", "XINFO stream k");
  assert_travels_as("xread count 1 streams a b 0 $", "XREAD count 1 streams a b 0 $");
}

static const char *entry_error(const char *text) {
  struct sb_bytes args[OP_ARGS_MAX];
  struct sb_op op;
  return sb_op_parse(args, op_words(text, args), true, &op);
}

/* The sender's clock stands at OP_NOW_MS. */
static void times_of_the_wall_clock_travel_as_times_from_now_and_as_they_were_told(void **state) {
  (void)state;
  assert_travels_as("set k v exat 1700000005 nx", "SET k v PX 5000 nx PXAT 1700000005000");
  assert_travels_as("SET k v get PXAT 1700000000001", "SET k v get PX 1 PXAT 1700000000001");
  assert_travels_as("SET k exat pxat 1700000000000", "SET k exat PX 0 PXAT 1700000000000");
  assert_travels_as("SET k v EXAT 1", "SET k v PX -1699999999000 PXAT 1000");
  assert_travels_as("SET k v EXAT 1 EXAT 1700000001", "SET k v PX 1000 PX 1000 PXAT 1700000001000");
  assert_travels_as("expireat k 1700000005 XX", "PEXPIRE k 5000 XX PXAT 1700000005000");
  assert_travels_as("PEXPIREAT k 1699999999999", "PEXPIRE k -1 PXAT 1699999999999");
  assert_travels_as("PEXPIREAT k -9223372036854775808", "PEXPIRE k -9223372036854775808");
  assert_travels_as("PEXPIREAT k 9223372036854775807",
                    "PEXPIRE k 4611686018427387903 PXAT 9223372036854775807");
}

static void only_an_entry_has_two_times(void **state) {
  (void)state;
  struct sb_bytes args[OP_ARGS_MAX];
  struct sb_op op;
  assert_null(entry_error("SET k v PX 5 PXAT 1"));
  assert_null(entry_error("PEXPIRE k 5 GT PXAT 1"));
  assert_non_null(entry_error("SET k v PX 5 PXAT 0"));
  assert_non_null(entry_error("SET k v PX 5 PXAT -1"));
  assert_non_null(entry_error("SET k v PX 5 PXAT 9223372036854775808"));
  assert_non_null(entry_error("SET k v PX 5 PXAT 1 NX"));
  assert_non_null(entry_error("SET k v PX 5 pxat 1"));
  assert_non_null(entry_error("SET k v EX 5 PXAT 1"));
  assert_non_null(entry_error("PEXPIRE k 5 PXAT 1 GT"));
  assert_non_null(entry_error("PEXPIRE k 5 PXAT"));
  assert_non_null(entry_error("EXPIRE k 5 PXAT 1"));
  assert_string_equal(sb_op_parse(args, op_words("SET k v PX 5 PXAT 1", args), false, &op), "syntax error");
  assert_string_equal(sb_op_parse(args, op_words("PEXPIRE k 5 PXAT 1", args), false, &op),
                      "Unsupported option PXAT");
}

static void an_entry_depends_on_no_clock(void **state) {
  (void)state;
  assert_string_equal(entry_error("SET k v EXAT 5"), "times in entries must be relative");
  assert_string_equal(entry_error("SET k v PXAT 5"), "times in entries must be relative");
  assert_string_equal(entry_error("EXPIREAT k 5"), "times in entries must be relative");
  assert_string_equal(entry_error("PEXPIREAT k 5"), "times in entries must be relative");
}

static void only_an_entry_may_say_that_a_value_has_expired(void **state) {
  (void)state;
  struct sb_bytes args[OP_ARGS_MAX];
  struct sb_op op;
  assert_null(entry_error("SET k v PX 0"));
  assert_null(entry_error("SET k v NX PX -5"));
  assert_non_null(entry_error("SET k v EX 0"));
  assert_non_null(entry_error("SETEX k 0 v"));
  assert_non_null(entry_error("PSETEX k -5 v"));
  assert_non_null(sb_op_parse(args, op_words("SET k v PX 0", args), false, &op));
}

static void an_entry_is_canonical(void **state) {
  (void)state;
  assert_string_equal(entry_error("set k v"), "entry is not canonical");
  assert_string_equal(entry_error("SEt k v"), "entry is not canonical");
  assert_string_equal(entry_error("FOO k v"), "unknown command");
  assert_non_null(entry_error("SET k"));
  assert_non_null(entry_error("GET k k"));
  struct sb_op op;
  assert_non_null(sb_op_parse(NULL, 0, true, &op));
  assert_non_null(sb_op_parse(NULL, 0, false, &op));
}

static void a_value_that_has_expired_takes_the_old_one_away(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"SET k old", "+OK\r\n"},
      {"SET k new NX PXAT 1", "$-1\r\n"},
      {"GET k", "$3\r\nold\r\n"},
      {"SET none new XX PXAT 1", "$-1\r\n"},
      {"SET k new GET PXAT 1700000000000", "$3\r\nold\r\n"},
      {"EXISTS k none", ":0\r\n"},
      {"SET k new PXAT 1", "+OK\r\n"},
      {"EXISTS k", ":0\r\n"},
      {"XADD s * f v", "$10\r\n1000-36864\r\n"},
      {"SET s new PXAT 1", "+OK\r\n"},
      {"EXISTS s", ":0\r\n"},
  };
  struct op_node node;
  op_open(&node);
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

/* ---- random commands ---- */

/* Of each word in capital letters that stands here one of the choices is taken. */
static const struct {
  const char *word;
  const char *choices[10];
} choices[] = {
    {"KEY", {"a", "b", "c", "s", "t"}},
    {"STREAM", {"s", "t", "u"}},
    {"VALUE", {"v", "7", "-1", "9223372036854775807", "''", "a-longer-value"}},
    {"TIME", {"1", "50", "1000", "100000", "-1", "0", "9223372036854775807"}},
    {"AT", {"1", "1700000000000", "1700000000500", "1700000002000", "-5", "9223372036854775807"}},
    {"IF", {"NX", "XX", "GT", "LT"}},
    {"SETIF", {"NX", "XX", "GET", "KEEPTTL"}},
    {"N", {"0", "1", "3", "10", "-1", "x"}},
    {"ID", {"0", "1000-4096", "1000", "1000-40960", "1000-409600", "5000", "18446744073709551615", "x"}},
    {"FIELD", {"f", "g", "''", "*", "a-longer-field"}},
};

static const char *const templates[] = {
    "SET KEY VALUE",
    "SET KEY VALUE SETIF",
    "SET KEY VALUE SETIF SETIF",
    "SET KEY VALUE PX TIME",
    "set KEY VALUE SETIF pxat AT",
    "SET KEY VALUE EXAT TIME SETIF",
    "SETNX KEY VALUE",
    "PSETEX KEY TIME VALUE",
    "SETEX KEY TIME VALUE",
    "GETSET KEY VALUE",
    "GETDEL KEY",
    "incr KEY",
    "DECRBY KEY VALUE",
    "INCRBY KEY VALUE",
    "DEL KEY KEY",
    "UNLINK STREAM",
    "PEXPIRE KEY TIME",
    "EXPIRE KEY TIME IF",
    "PEXPIREAT KEY AT IF IF",
    "PEXPIREAT STREAM AT",
    "PERSIST KEY",
    "XADD STREAM * FIELD VALUE",
    "XADD STREAM * FIELD VALUE FIELD VALUE",
    "XADD STREAM * FIELD VALUE",
    "XADD STREAM MAXLEN N * FIELD VALUE",
    "XADD STREAM MINID ~ ID LIMIT N * FIELD VALUE",
    "xadd STREAM NOMKSTREAM MINID ID * FIELD VALUE",
    "XADD KEY * FIELD VALUE",
    "XTRIM STREAM MAXLEN ~ N LIMIT N",
    "XTRIM STREAM MINID ID",
    "XDEL STREAM ID ID",
    "XDEL STREAM ID",
};

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static const char *choose(const char *word, size_t len) {
  for (uint32_t i = 0; i < COUNT(choices); i++) {
    if (strlen(choices[i].word) != len || memcmp(choices[i].word, word, len) != 0) continue;
    uint32_t count = 0;
    while (count < COUNT(choices[i].choices) && choices[i].choices[count]) count++;
    return choices[i].choices[below(count)];
  }
  return NULL;
}

/* Into `text`, which is empty; it ends with a zero. */
static const char *random_command(struct sb_buf *text) {
  const char *at = templates[below(COUNT(templates))];
  for (;;) {
    size_t len = strcspn(at, " ");
    const char *choice = choose(at, len);
    if (choice)
      sb_buf_text(text, choice);
    else
      sb_buf_append(text, at, len);
    sb_buf_append(text, at[len] ? " " : "", 1);
    if (!at[len]) return (const char *)text->data;
    at += len + 1;
  }
}

static void assert_same_op(const struct sb_op *request, const struct sb_op *entry) {
  bool at = request->expiry == SB_EXPIRY_AT;
  if (!at || request->name == SB_OP_SET) assert_int_equal(request->name, entry->name);
  assert_int_equal(request->keys_count, entry->keys_count);
  for (uint32_t i = 0; i < request->keys_count; i++)
    assert_true(sb_bytes_equal(request->keys[i], entry->keys[i]));
  assert_true(sb_bytes_equal(request->value, entry->value));
  assert_int_equal(request->get, entry->get);
  assert_int_equal(request->condition, entry->condition);
  assert_int_equal(at ? SB_EXPIRY_AFTER : request->expiry, entry->expiry);
  if (!at) assert_int_equal(request->expiry_ms, entry->expiry_ms);
  if (at && request->expiry_ms < 2 * (int64_t)OP_NOW_MS)
    assert_int_equal(request->expiry_ms - (int64_t)OP_NOW_MS, entry->expiry_ms);
  assert_int_equal(request->by, entry->by);
  assert_int_equal(request->trim, entry->trim);
  assert_int_equal(request->trim_length, entry->trim_length);
  assert_int_equal(request->trim_limit, entry->trim_limit);
  assert_int_equal(sb_id_compare(request->trim_below, entry->trim_below), 0);
  assert_int_equal(request->fields_at, entry->fields_at);
  assert_int_equal(request->ids_at, entry->ids_at);
}

static void an_entry_says_what_the_request_said(void **state) {
  (void)state;
  uint32_t accepted = 0;
  seed_from_environment();
  for (uint32_t i = 0; i < 20000; i++) {
    struct sb_bytes args[OP_ARGS_MAX], again_args[OP_ARGS_MAX];
    struct sb_buf text = {0}, entry = {0}, again = {0};
    struct sb_op op, read;
    uint32_t off = 0;
    uint32_t count = op_words(random_command(&text), args);
    if (!sb_op_parse(args, count, false, &op)) {
      accepted++;
      sb_op_entry(&op, OP_NOW_MS, &entry);
      count = sb_entry_args(sb_buf_bytes(&entry), &off, again_args, OP_ARGS_MAX);
      assert_int_equal(off, entry.len);
      assert_null(sb_op_parse(again_args, count, true, &read));
      assert_same_op(&op, &read);
      sb_op_entry(&read, OP_NOW_MS + 12345, &again);
      assert_true(sb_bytes_equal(sb_buf_bytes(&entry), sb_buf_bytes(&again)));
    }
    sb_buf_close(&text);
    sb_buf_close(&entry);
    sb_buf_close(&again);
  }
  assert_true(accepted > 5000);
}

/* ---- all nodes alike ---- */

/* One that keeps everything, one that keeps little, one that follows the state only. */
static void keys_do_not_depend_on_what_a_node_remembers(void **state) {
  (void)state;
  struct op_node nodes[3];
  uint32_t added = 0, written = 0;
  seed_from_environment();
  for (uint32_t i = 0; i < 3; i++) op_open(&nodes[i]);
  nodes[1].history.max_bytes = 1500;
  nodes[2].no_history = true;
  for (uint32_t i = 0; i < 20000; i++) {
    struct sb_bytes args[OP_ARGS_MAX];
    struct sb_buf text = {0}, entry = {0};
    struct sb_op op;
    uint32_t count = op_words(random_command(&text), args);
    if (!sb_op_parse(args, count, false, &op)) {
      sb_op_entry(&op, nodes[0].now_ms + below(3), &entry);
      for (uint32_t n = 0; n < 3; n++) {
        sb_buf_clear(&nodes[n].reply);
        nodes[n].sequence++;
        op_apply(&nodes[n], sb_buf_bytes(&entry));
      }
      for (uint32_t n = 1; n < 3; n++) {
        assert_int_equal(nodes[n].added, nodes[0].added);
        assert_int_equal(nodes[n].written, nodes[0].written);
        assert_true(sb_keys_equal(&nodes[n].keys, &nodes[0].keys, nodes[0].now_ms));
      }
      added += nodes[0].added;
      written += nodes[0].written;
    }
    uint32_t pass_ms = below(4) ? 0 : below(100);
    for (uint32_t n = 0; n < 3; n++) nodes[n].now_ms += pass_ms;
    sb_buf_close(&text);
    sb_buf_close(&entry);
  }
  assert_true(added > 500);
  assert_true(written > 2000);
  assert_true(nodes[1].history.begin.ms != 0); /* it did forget */
  for (uint32_t i = 0; i < 3; i++) op_close(&nodes[i]);
}

/* ---- hostile entries ---- */

static const char *const words[] = {"GET",
                                    "SET",
                                    "SETNX",
                                    "SETEX",
                                    "PSETEX",
                                    "GETSET",
                                    "GETDEL",
                                    "INCR",
                                    "DECR",
                                    "INCRBY",
                                    "DECRBY",
                                    "DEL",
                                    "UNLINK",
                                    "TYPE",
                                    "EXISTS",
                                    "TTL",
                                    "PTTL",
                                    "PERSIST",
                                    "EXPIRE",
                                    "PEXPIRE",
                                    "XADD",
                                    "XTRIM",
                                    "XDEL",
                                    "XLEN",
                                    "XRANGE",
                                    "XREVRANGE",
                                    "XINFO",
                                    "XREAD",
                                    "STREAM",
                                    "STREAMS",
                                    "COUNT",
                                    "BLOCK",
                                    "FULL",
                                    "NX",
                                    "XX",
                                    "GT",
                                    "LT",
                                    "GET",
                                    "PX",
                                    "EX",
                                    "KEEPTTL",
                                    "*",
                                    "~",
                                    "=",
                                    "MAXLEN",
                                    "MINID",
                                    "LIMIT",
                                    "-",
                                    "+",
                                    "(",
                                    "$",
                                    ">",
                                    "(1",
                                    "0",
                                    "1",
                                    "-1",
                                    "1000-4096",
                                    "0-0",
                                    "NOMKSTREAM",
                                    "",
                                    "9223372036854775807",
                                    "-9223372036854775808",
                                    "18446744073709551615-18446744073709551615",
                                    "k",
                                    "s"};

static struct sb_bytes random_word(uint8_t *noise, size_t noise_len) {
  if (below(12) > 0) return sb_bytes_of(words[below(COUNT(words))]);
  for (size_t i = 0; i < noise_len; i++) noise[i] = (uint8_t)below(256);
  return sb_bytes(noise, below((uint32_t)noise_len + 1));
}

static void random_entry(struct sb_buf *entry, uint32_t args_max) {
  uint8_t noise[300];
  uint32_t count = 1 + below(args_max);
  sb_reply_array(entry, count);
  for (uint32_t i = 0; i < count; i++)
    sb_reply_bulk(entry, i == 0 ? sb_bytes_of(words[below(28)]) : random_word(noise, sizeof noise));
}

static void assert_streams_are_sound(const struct op_node *node) {
  const struct sb_key *key;
  size_t at = 0;
  while ((key = sb_table_each(&node->keys.table, &at)))
    if (key->kind == SB_KEY_STREAM)
      assert_true(sb_id_compare(key->stream.max_deleted, key->stream.last) <= 0);
}

/* A body of exactly its bytes, so that a sanitizer sees a read beyond them. True: it was run. */
static bool apply_hostile(struct op_node *node, struct sb_bytes entry) {
  struct sb_body *body = sb_body_new(entry.len);
  struct sb_bytes *args = sb_calloc(entry.len, sizeof *args);
  struct sb_op op;
  uint32_t off = 0;
  memcpy(body->data, entry.at, entry.len);
  node->sequence++;
  sb_keys_expire(&node->keys, node->now_ms);
  sb_history_batch(&node->history, OP_GENERATION, node->sequence, body, node->now_ms);
  struct sb_op_place place = op_place(node);
  place.body = sb_bytes(body->data, body->len);
  if (below(3) == 0) place.reply = NULL;
  sb_buf_clear(&node->reply);
  uint32_t count = sb_entry_args(place.body, &off, args, (uint32_t)entry.len);
  bool runs = sb_op_parse(args, count, true, &op) == NULL;
  if (runs && op.name == SB_OP_XREAD) {
    op_read_streams(node, &op);
  } else if (runs) {
    sb_op_run(&op, &place);
    if (place.reply) assert_true(node->reply.len > 2);
  }
  sb_body_unref(body);
  free(args);
  return runs;
}

static void no_entry_does_harm(void **state) {
  (void)state;
  struct op_node node;
  uint32_t ran = 0;
  seed_from_environment();
  op_open(&node);
  for (uint32_t i = 0; i < 60000; i++) {
    struct sb_buf entry = {0};
    node.proto = (uint8_t)(2 + below(2));
    random_entry(&entry, below(500) ? 8 : 60);
    ran += apply_hostile(&node, sb_buf_bytes(&entry));
    if (below(50) == 0) node.now_ms += below(1000);
    sb_buf_close(&entry);
    if (i % 100 == 0) assert_streams_are_sound(&node);
  }
  assert_true(ran > 2000);
  op_close(&node);
}

static void an_entry_of_very_many_arguments_is_run(void **state) {
  (void)state;
  struct op_node node;
  struct sb_buf entry = {0};
  op_open(&node);
  sb_reply_array(&entry, 3 + 20000);
  sb_reply_bulk_text(&entry, "XADD");
  sb_reply_bulk_text(&entry, "s");
  sb_reply_bulk_text(&entry, "*");
  for (uint32_t i = 0; i < 20000; i++) sb_reply_bulk_text(&entry, i % 2 ? "" : "f");
  op_apply(&node, sb_buf_bytes(&entry));
  assert_true(node.added);
  sb_buf_clear(&entry);
  sb_reply_array(&entry, 1 + 20000);
  sb_reply_bulk_text(&entry, "DEL");
  for (uint32_t i = 0; i < 20000; i++) sb_reply_bulk_text(&entry, "s");
  sb_buf_clear(&node.reply);
  op_apply(&node, sb_buf_bytes(&entry));
  assert_memory_equal(node.reply.data, ":1\r\n", 4);
  sb_buf_close(&entry);
  op_close(&node);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_command_travels_as_it_came_with_its_name_in_upper_case),
      cmocka_unit_test(times_of_the_wall_clock_travel_as_times_from_now_and_as_they_were_told),
      cmocka_unit_test(only_an_entry_has_two_times),
      cmocka_unit_test(an_entry_depends_on_no_clock),
      cmocka_unit_test(only_an_entry_may_say_that_a_value_has_expired),
      cmocka_unit_test(an_entry_is_canonical),
      cmocka_unit_test(a_value_that_has_expired_takes_the_old_one_away),
      cmocka_unit_test(an_entry_says_what_the_request_said),
      cmocka_unit_test(keys_do_not_depend_on_what_a_node_remembers),
      cmocka_unit_test(no_entry_does_harm),
      cmocka_unit_test(an_entry_of_very_many_arguments_is_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
