/* Commands on strings and keys, with the replies that redis-server 7.0.15 gave to them. */
#include "tests/unit/op_fixture.h"

#define WRONG_TYPE  "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define SYNTAX      "-ERR syntax error\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"
#define FULL        "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

static const struct op_said strings[] = {
    {"GET a", "$-1\r\n"},      {"SET a 1", "+OK\r\n"},
    {"get a", "$1\r\n1\r\n"},  {"SET a '' GET", "$1\r\n1\r\n"},
    {"GET a", "$0\r\n\r\n"},   {"SETNX a 2", ":0\r\n"},
    {"SETNX b 2", ":1\r\n"},   {"GETSET b 3", "$1\r\n2\r\n"},
    {"GETSET c 3", "$-1\r\n"}, {"GETDEL c", "$1\r\n3\r\n"},
    {"GETDEL c", "$-1\r\n"},   {"TYPE b", "+string\r\n"},
    {"TYPE c", "+none\r\n"},   {"EXISTS a b b c", ":3\r\n"},
    {"DEL a b b c", ":2\r\n"}, {"UNLINK a", ":0\r\n"},
};

static const struct op_said set_options[] = {
    {"SET k v XX", "$-1\r\n"},
    {"SET k v NX", "+OK\r\n"},
    {"SET k w nx", "$-1\r\n"},
    {"SET k w NX GET", "$1\r\nv\r\n"},
    {"SET k w xx get", "$1\r\nv\r\n"},
    {"SET k x GET GET XX", "$1\r\nw\r\n"},
    {"SET k v EX 100", "+OK\r\n"},
    {"TTL k", ":100\r\n"},
    {"SET k v KEEPTTL", "+OK\r\n"},
    {"TTL k", ":100\r\n"},
    {"SET k v", "+OK\r\n"},
    {"TTL k", ":-1\r\n"},
    {"SET k v PX 100000 EX 5", SYNTAX},
    {"SET k v EX 5 EX 200 NX", "$-1\r\n"},
    {"SET k v XX EX 5 EX 200", "+OK\r\n"},
    {"TTL k", ":200\r\n"},
    {"SET k v NX XX", SYNTAX},
    {"SET k v KEEPTTL EX 5", SYNTAX},
    {"SET k v EX 5 KEEPTTL", SYNTAX},
    {"SET k v EX", SYNTAX},
    {"SET k v EX abc", NOT_INTEGER},
    {"SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v PX -1", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v EX 9223372036854775", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v EXAT 0", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v PXAT -1", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v foo", SYNTAX},
    {"SET k v EX 1.5", NOT_INTEGER},
    {"GET k", "$1\r\nv\r\n"},
    {"SET k v EXAT 99999999999", "+OK\r\n"},
    {"EXPIRETIME k", ":99999999999\r\n"},
    {"PEXPIRETIME k", ":99999999999000\r\n"},
    {"SET k v PXAT 99999999999999", "+OK\r\n"},
    {"PEXPIRETIME k", ":99999999999999\r\n"},
    {"EXPIRETIME k", ":100000000000\r\n"},
    {"SET k v PXAT 1 GET", "$1\r\nv\r\n"},
    {"GET k", "$-1\r\n"},
    {"SET k v EXAT 1", "+OK\r\n"},
    {"EXISTS k", ":0\r\n"},
    {"SETEX k 100 v", "+OK\r\n"},
    {"TTL k", ":100\r\n"},
    {"SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n"},
    {"SETEX k abc v", NOT_INTEGER},
    {"PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command\r\n"},
    {"PSETEX k 500000 v", "+OK\r\n"},
    {"TTL k", ":500\r\n"},
    {"SETEX k 9223372036854775807 v", "-ERR invalid expire time in 'setex' command\r\n"},
    {"SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
    {"SETNX k", "-ERR wrong number of arguments for 'setnx' command\r\n"},
    {"GET k k", "-ERR wrong number of arguments for 'get' command\r\n"},
    {"GETDEL", "-ERR wrong number of arguments for 'getdel' command\r\n"},
    {"GETSET k", "-ERR wrong number of arguments for 'getset' command\r\n"},
    {"SETEX k 5", "-ERR wrong number of arguments for 'setex' command\r\n"},
};

static const struct op_said numbers[] = {
    {"INCR n", ":1\r\n"},
    {"INCR n", ":2\r\n"},
    {"DECR n", ":1\r\n"},
    {"INCRBY n 41", ":42\r\n"},
    {"DECRBY n 2", ":40\r\n"},
    {"INCRBY n -50", ":-10\r\n"},
    {"GET n", "$3\r\n-10\r\n"},
    {"INCRBY n abc", NOT_INTEGER},
    {"INCRBY n 1.5", NOT_INTEGER},
    {"INCRBY n 9223372036854775808", NOT_INTEGER},
    {"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"},
    {"SET n 9223372036854775807", "+OK\r\n"},
    {"INCR n", "-ERR increment or decrement would overflow\r\n"},
    {"DECRBY n -1", "-ERR increment or decrement would overflow\r\n"},
    {"INCRBY n -1", ":9223372036854775806\r\n"},
    {"SET n -9223372036854775808", "+OK\r\n"},
    {"DECR n", "-ERR increment or decrement would overflow\r\n"},
    {"INCRBY n -1", "-ERR increment or decrement would overflow\r\n"},
    {"SET n 007", "+OK\r\n"},
    {"INCR n", NOT_INTEGER},
    {"SET n -0", "+OK\r\n"},
    {"INCR n", NOT_INTEGER},
    {"SET n ''", "+OK\r\n"},
    {"INCR n", NOT_INTEGER},
    {"SET n +1", "+OK\r\n"},
    {"INCR n", NOT_INTEGER},
    {"SETEX n 100 5", "+OK\r\n"},
    {"INCR n", ":6\r\n"},
    {"TTL n", ":100\r\n"},
    {"DECR fresh", ":-1\r\n"},
    {"INCRBY m -9223372036854775808", ":-9223372036854775808\r\n"},
    {"INCRBY m 9223372036854775807", ":-1\r\n"},
    {"GET m", "$2\r\n-1\r\n"},
};

static const struct op_said expiry[] = {
    {"TTL k", ":-2\r\n"},
    {"PTTL k", ":-2\r\n"},
    {"EXPIRETIME k", ":-2\r\n"},
    {"PEXPIRETIME k", ":-2\r\n"},
    {"EXPIRE k 100", ":0\r\n"},
    {"PERSIST k", ":0\r\n"},
    {"SET k v", "+OK\r\n"},
    {"TTL k", ":-1\r\n"},
    {"PTTL k", ":-1\r\n"},
    {"EXPIRETIME k", ":-1\r\n"},
    {"PEXPIRETIME k", ":-1\r\n"},
    {"PERSIST k", ":0\r\n"},
    {"EXPIRE k 100 XX", ":0\r\n"},
    {"EXPIRE k 100 GT", ":0\r\n"},
    {"EXPIRE k 100 NX", ":1\r\n"},
    {"EXPIRE k 200 NX", ":0\r\n"},
    {"EXPIRE k 50 GT", ":0\r\n"},
    {"EXPIRE k 200 gt", ":1\r\n"},
    {"EXPIRE k 300 LT", ":0\r\n"},
    {"EXPIRE k 150 LT", ":1\r\n"},
    {"EXPIRE k 160 XX LT", ":0\r\n"},
    {"EXPIRE k 140 XX LT", ":1\r\n"},
    {"TTL k", ":140\r\n"},
    {"PERSIST k", ":1\r\n"},
    {"EXPIRE k 140 XX LT", ":0\r\n"},
    {"EXPIRE k 140 LT", ":1\r\n"},
    {"EXPIRE k 1000 XX GT", ":1\r\n"},
    {"TTL k", ":1000\r\n"},
    {"EXPIRE k 5 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
    {"EXPIRE k 5 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
    {"EXPIRE k 5 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"},
    {"EXPIRE k 5 foo", "-ERR Unsupported option foo\r\n"},
    {"EXPIRE k abc foo", "-ERR Unsupported option foo\r\n"},
    {"EXPIRE k abc", NOT_INTEGER},
    {"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
    {"EXPIRE k -9223372036854775808", "-ERR invalid expire time in 'expire' command\r\n"},
    {"EXPIRE k 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n"},
    {"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"},
    {"PEXPIRE k 500000", ":1\r\n"},
    {"TTL k", ":500\r\n"},
    {"PEXPIREAT k 99999999999499", ":1\r\n"},
    {"EXPIRETIME k", ":99999999999\r\n"},
    {"PEXPIREAT k 99999999999500", ":1\r\n"},
    {"EXPIRETIME k", ":100000000000\r\n"},
    {"EXPIREAT k 99999999999", ":1\r\n"},
    {"PEXPIRETIME k", ":99999999999000\r\n"},
    {"EXPIREAT k 9223372036854775807", "-ERR invalid expire time in 'expireat' command\r\n"},
    {"EXPIREAT k 1 GT", ":0\r\n"},
    {"EXPIREAT k 1", ":1\r\n"},
    {"EXISTS k", ":0\r\n"},
    {"SET k v", "+OK\r\n"},
    {"EXPIRE k 0", ":1\r\n"},
    {"GET k", "$-1\r\n"},
    {"SET k v", "+OK\r\n"},
    {"PEXPIRE k -1 NX", ":1\r\n"},
    {"GET k", "$-1\r\n"},
    {"SET k v", "+OK\r\n"},
    {"PEXPIREAT k -5", ":1\r\n"},
    {"GET k", "$-1\r\n"},
    {"EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n"},
    {"TTL", "-ERR wrong number of arguments for 'ttl' command\r\n"},
    {"PERSIST k k", "-ERR wrong number of arguments for 'persist' command\r\n"},
};

static const struct op_said wrong_types[] = {
    {"SET str v", "+OK\r\n"},
    {"XADD st * f v", "$9\r\n1000-8192\r\n"},
    {"GET st", WRONG_TYPE},
    {"GETSET st v", WRONG_TYPE},
    {"GETDEL st", WRONG_TYPE},
    {"INCR st", WRONG_TYPE},
    {"SET st v GET", WRONG_TYPE},
    {"SET st v NX", "$-1\r\n"},
    {"SETNX st v", ":0\r\n"},
    {"TYPE st", "+stream\r\n"},
    {"TYPE str", "+string\r\n"},
    {"XADD str * f v", WRONG_TYPE},
    {"XADD str NOMKSTREAM * f v", WRONG_TYPE},
    {"XLEN str", WRONG_TYPE},
    {"XRANGE str - +", WRONG_TYPE},
    {"XREVRANGE str + -", WRONG_TYPE},
    {"XDEL str abc", WRONG_TYPE},
    {"XTRIM str MAXLEN 0", WRONG_TYPE},
    {"XINFO STREAM str", WRONG_TYPE},
    {"XINFO STREAM str foo", WRONG_TYPE},
    {"XREAD STREAMS str abc", WRONG_TYPE},
    {"XREAD STREAMS st str 0 0", WRONG_TYPE},
    {"EXPIRE st 100", ":1\r\n"},
    {"TTL st", ":100\r\n"},
    {"PERSIST st", ":1\r\n"},
    {"SET st v", "+OK\r\n"},
    {"TYPE st", "+string\r\n"},
    {"XLEN st", WRONG_TYPE},
    {"XADD st * f v", WRONG_TYPE},
    {"DEL st", ":1\r\n"},
    {"XADD st * f v", "$11\r\n1000-126976\r\n"},
    {"XLEN st", ":1\r\n"},
    {"EXPIRE st -1", ":1\r\n"},
    {"EXISTS st", ":0\r\n"},
};

static const struct op_said resp3[] = {
    {"GET k", "_\r\n"},
    {"SET k v NX GET", "_\r\n"},
    {"SET k v NX", "_\r\n"},
    {"SET k w GET", "$1\r\nv\r\n"},
    {"XADD none NOMKSTREAM * f v", "_\r\n"},
    {"XRANGE none - + COUNT 0", "*0\r\n"},
    {"XADD s * f v", "$10\r\n1000-28672\r\n"},
    {"XRANGE s - + COUNT 0", "_\r\n"},
    {"XRANGE s - +", "*1\r\n*2\r\n$10\r\n1000-28672\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
    {"XREAD STREAMS s none 0 0",
     "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$10\r\n1000-28672\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
    {"XREAD STREAMS s $", "_\r\n"},
    {"XINFO STREAM s",
     "%10\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$"
     "17\r\nlast-generated-id\r\n$10\r\n1000-28672\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n0-0\r\n$"
     "13\r\nentries-added\r\n:1\r\n$23\r\nrecorded-first-entry-id\r\n$10\r\n1000-28672\r\n$6\r\ngroups\r\n:"
     "0\r\n$11\r\nfirst-entry\r\n*2\r\n$10\r\n1000-28672\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n$10\r\nlast-"
     "entry\r\n*2\r\n$10\r\n1000-28672\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
    {"XDEL s 1000-28672", ":1\r\n"},
    {"XINFO STREAM s",
     "%10\r\n$6\r\nlength\r\n:0\r\n$15\r\nradix-tree-keys\r\n:0\r\n$16\r\nradix-tree-nodes\r\n:1\r\n$"
     "17\r\nlast-generated-id\r\n$10\r\n1000-28672\r\n$20\r\nmax-deleted-entry-id\r\n$10\r\n1000-28672\r\n$"
     "13\r\nentries-added\r\n:1\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n0-0\r\n$6\r\ngroups\r\n:0\r\n$"
     "11\r\nfirst-entry\r\n_\r\n$10\r\nlast-entry\r\n_\r\n"},
    {"INCR k", NOT_INTEGER},
    {"TYPE s", "+stream\r\n"},
};

static void replies_are(uint8_t proto, const struct op_said *said, size_t count) {
  struct op_node node;
  op_open(&node);
  node.proto = proto;
  op_expect_all(&node, said, count);
  op_close(&node);
}

#define REPLIES_ARE(proto, said) replies_are(proto, said, sizeof(said) / sizeof *(said))

static void strings_are_set_and_read_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(2, strings);
}

static void the_options_of_set_are_those_of_redis(void **state) {
  (void)state;
  REPLIES_ARE(2, set_options);
}

static void numbers_count_and_overflow_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(2, numbers);
}

static void expiry_is_set_and_told_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(2, expiry);
}

static void a_key_of_the_other_kind_is_refused_as_in_redis(void **state) {
  (void)state;
  REPLIES_ARE(2, wrong_types);
}

static void resp3_has_its_own_nulls_and_maps(void **state) {
  (void)state;
  REPLIES_ARE(3, resp3);
}

/* ---- time ---- */

static void a_key_is_gone_as_soon_as_its_time_has_come(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  assert_string_equal(op_run(&node, "SET k v PX 1000"), "+OK\r\n");
  node.now_ms += 999;
  assert_string_equal(op_run(&node, "PTTL k"), ":1\r\n");
  assert_string_equal(op_run(&node, "GET k"), "$1\r\nv\r\n");
  node.now_ms += 1;
  assert_string_equal(op_run(&node, "GET k"), "$-1\r\n");
  assert_string_equal(op_run(&node, "PTTL k"), ":-2\r\n");
  assert_string_equal(op_run(&node, "PERSIST k"), ":0\r\n");
  assert_string_equal(op_run(&node, "SET k w XX"), "$-1\r\n");
  assert_string_equal(op_run(&node, "SET k w NX KEEPTTL"), "+OK\r\n");
  assert_string_equal(op_run(&node, "PTTL k"), ":-1\r\n");
  op_close(&node);
}

static void log_time_and_not_the_clock_of_the_sender_decides(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  assert_string_equal(op_run(&node, "SET k v PXAT 1700000005000"), "+OK\r\n"); /* 5 s after OP_NOW_MS */
  assert_string_equal(op_run(&node, "PTTL k"), ":5000\r\n");
  assert_string_equal(op_run(&node, "PEXPIREAT k 1700000000001"), ":1\r\n");
  assert_string_equal(op_run(&node, "PTTL k"), ":1\r\n");
  op_close(&node);
}

/* The sender's clock stands at OP_NOW_MS, and the log's is 3 ms ahead. */
static void a_time_of_the_wall_clock_is_read_back_as_it_was_told(void **state) {
  (void)state;
  static const struct op_said said[] = {
      {"SET k 1 PXAT 1700000005000", "+OK\r\n"},
      {"PEXPIRETIME k", ":1700000005000\r\n"},
      {"PTTL k", ":5000\r\n"},
      {"INCR k", ":2\r\n"},
      {"PEXPIRETIME k", ":1700000005000\r\n"},
      {"SET k 3 KEEPTTL", "+OK\r\n"},
      {"PEXPIRETIME k", ":1700000005000\r\n"},
      {"PEXPIREAT k 1700000005000 GT", ":0\r\n"},
      {"PEXPIREAT k 1700000005000 LT", ":0\r\n"},
      {"PEXPIREAT k 1700000005001 GT", ":1\r\n"},
      {"PEXPIRETIME k", ":1700000005001\r\n"},
      {"EXPIREAT k 1700000009", ":1\r\n"},
      {"PEXPIRETIME k", ":1700000009000\r\n"},
      {"EXPIRETIME k", ":1700000009\r\n"},
      {"PEXPIRE k 5000", ":1\r\n"},
      {"PEXPIRETIME k", ":1700000005003\r\n"}, /* log time: there is no other */
      {"SET k 4 EXAT 1700000007", "+OK\r\n"},
      {"PEXPIRETIME k", ":1700000007000\r\n"},
      {"PERSIST k", ":1\r\n"},
      {"PEXPIRETIME k", ":-1\r\n"},
      {"EXPIREAT k 1700000009", ":1\r\n"},
      {"SET k 5", "+OK\r\n"},
      {"PEXPIRETIME k", ":-1\r\n"},
      {"XADD s * f v", "$10\r\n1000-98304\r\n"},
      {"PEXPIREAT s 1700000009001", ":1\r\n"},
      {"PEXPIRETIME s", ":1700000009001\r\n"},
  };
  struct op_node node;
  op_open(&node);
  node.ahead_ms = 3;
  node.now_ms = OP_NOW_MS + node.ahead_ms;
  op_expect_all(&node, said, sizeof said / sizeof *said);
  op_close(&node);
}

static void seconds_are_rounded_as_in_redis(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  assert_string_equal(op_run(&node, "SET k v PX 1499"), "+OK\r\n");
  assert_string_equal(op_run(&node, "TTL k"), ":1\r\n");
  assert_string_equal(op_run(&node, "SET k v PX 1500"), "+OK\r\n");
  assert_string_equal(op_run(&node, "TTL k"), ":2\r\n");
  assert_string_equal(op_run(&node, "EXPIRETIME k"), ":1700000002\r\n");
  op_close(&node);
}

/* ---- limits ---- */

static void run_big(struct op_node *node, const char *command, const char *name, size_t size) {
  char *value = sb_calloc(1, size + 1);
  memset(value, 'x', size);
  const struct sb_bytes args[] = {sb_bytes_of(command), sb_bytes_of(name), sb_bytes(value, size)};
  op_run_args(node, args, 3);
  sb_buf_append(&node->reply, "", 1);
  free(value);
}

static void what_would_make_the_keys_too_large_changes_nothing(void **state) {
  (void)state;
  struct op_node node;
  op_open(&node);
  /* room for "big" and "n" with a digit, and less than one more key needs */
  run_big(&node, "SET", "big", SB_KEYS_BYTES_MAX - (size_t)2 * SB_KEY_OVERHEAD - 20);
  assert_string_equal((const char *)node.reply.data, "+OK\r\n");
  assert_string_equal(op_run(&node, "SET n 9"), "+OK\r\n");
  run_big(&node, "SET", "n", 200);
  assert_string_equal((const char *)node.reply.data, FULL);
  run_big(&node, "GETSET", "n", 200);
  assert_string_equal((const char *)node.reply.data, FULL);
  assert_false(node.written);
  run_big(&node, "SETNX", "more", 200);
  assert_string_equal((const char *)node.reply.data, FULL);
  assert_string_equal(op_run(&node, "XADD stream-with-a-name * f v"), FULL);
  assert_false(node.added);
  assert_string_equal(op_run(&node, "INCR counter-with-a-name"), FULL);
  assert_string_equal(op_run(&node, "GET n"), "$1\r\n9\r\n");
  assert_string_equal(op_run(&node, "DEL big"), ":1\r\n");
  assert_string_equal(op_run(&node, "INCR counter-with-a-name"), ":1\r\n");
  op_close(&node);
}

static void a_name_may_be_so_long_and_no_longer(void **state) {
  (void)state;
  struct op_node node;
  struct sb_op op;
  char *name = sb_calloc(1, SB_KEY_NAME_MAX + 2);
  memset(name, 'k', SB_KEY_NAME_MAX);
  struct sb_bytes args[] = {sb_bytes_of("EXISTS"), sb_bytes_of("short"), sb_bytes_of(name)};
  op_open(&node);
  run_big(&node, "SET", name, 5);
  assert_string_equal((const char *)node.reply.data, "+OK\r\n");
  assert_null(sb_op_parse(args, 3, false, &op));
  name[SB_KEY_NAME_MAX] = 'k';
  args[2] = sb_bytes_of(name);
  assert_string_equal(sb_op_parse(args, 3, false, &op), "key is longer than 65536 bytes");
  assert_string_equal(sb_op_parse(args, 3, true, &op), "key is longer than 65536 bytes");
  op_close(&node);
  free(name);
}

static void an_option_of_any_length_is_quoted_within_bounds(void **state) {
  (void)state;
  struct sb_op op;
  char *option = sb_calloc(1, 100001);
  memset(option, 'o', 100000);
  const struct sb_bytes args[] = {sb_bytes_of("EXPIRE"), sb_bytes_of("k"), sb_bytes_of("5"),
                                  sb_bytes(option, 100000)};
  const char *error = sb_op_parse(args, 4, false, &op);
  assert_true(strlen(error) < SB_ERROR_TEXT_MAX);
  assert_memory_equal(error, "Unsupported option ooo", 22);
  free(option);
}

/* ---- which commands there are ---- */

static enum sb_op_name find(const char *text) {
  struct sb_bytes args[OP_ARGS_MAX];
  return sb_op_find(args, op_words(text, args));
}

static void commands_are_found_in_any_case_and_no_others(void **state) {
  (void)state;
  assert_int_equal(find("GET"), SB_OP_GET);
  assert_int_equal(find("pExpireAt"), SB_OP_PEXPIREAT);
  assert_int_equal(find("xread"), SB_OP_XREAD);
  assert_int_equal(find("xinfo stream"), SB_OP_XINFO_STREAM);
  assert_int_equal(find("XINFO"), SB_OP_NAMES);
  assert_int_equal(find("XINFO GROUPS"), SB_OP_NAMES);
  assert_int_equal(find("GETEX"), SB_OP_NAMES);
  assert_int_equal(find("''"), SB_OP_NAMES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(strings_are_set_and_read_as_in_redis),
      cmocka_unit_test(the_options_of_set_are_those_of_redis),
      cmocka_unit_test(numbers_count_and_overflow_as_in_redis),
      cmocka_unit_test(expiry_is_set_and_told_as_in_redis),
      cmocka_unit_test(a_key_of_the_other_kind_is_refused_as_in_redis),
      cmocka_unit_test(resp3_has_its_own_nulls_and_maps),
      cmocka_unit_test(a_key_is_gone_as_soon_as_its_time_has_come),
      cmocka_unit_test(log_time_and_not_the_clock_of_the_sender_decides),
      cmocka_unit_test(a_time_of_the_wall_clock_is_read_back_as_it_was_told),
      cmocka_unit_test(seconds_are_rounded_as_in_redis),
      cmocka_unit_test(what_would_make_the_keys_too_large_changes_nothing),
      cmocka_unit_test(a_name_may_be_so_long_and_no_longer),
      cmocka_unit_test(an_option_of_any_length_is_quoted_within_bounds),
      cmocka_unit_test(commands_are_found_in_any_case_and_no_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
