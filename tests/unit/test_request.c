/* The request parser: what a client's bytes mean, however they are cut into reads. Expected results are those
 * of redis-server 7.0.15; tests/clients/protocol_errors compares the same with a running one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/redis/protocol/request.h"

#define REQUEST_BYTES ((size_t)SB_REQUEST_BYTES_DEFAULT)

struct limits {
  size_t max_request_bytes;
  uint32_t max_args;
  bool unauthenticated;
};

static const struct limits usual = {REQUEST_BYTES, SB_REQUEST_ARGS_MAX, false};

/* ---- a transcript: what the parser said to a stream of bytes, as text ---- */

static void note_bytes(struct sb_buf *log, struct sb_bytes bytes) {
  if (bytes.len > 64) {
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < bytes.len; i++) hash = (hash ^ bytes.at[i]) * 1099511628211u;
    sb_buf_printf(log, "<%zu bytes, %016llx>", bytes.len, (unsigned long long)hash);
    return;
  }
  for (size_t i = 0; i < bytes.len; i++) {
    uint8_t c = bytes.at[i];
    sb_buf_printf(log, c >= ' ' && c < 127 && c != '\\' && c != '|' ? "%c" : "\\x%02x", c);
  }
}

/* "[GET|k] " for a canonical request, "(GET|k) " for another. */
static void note_request(struct sb_buf *log, const struct sb_request *request) {
  sb_buf_text(log, request->canonical ? "[" : "(");
  for (uint32_t i = 0; i < request->count; i++) {
    if (i == 8 && request->count > 16) {
      uint64_t sum = 0;
      for (; i < request->count; i++) sum = sum * 31 + request->args[i].len;
      sb_buf_printf(log, "|%u more, %016llx", request->count - 8, (unsigned long long)sum);
      break;
    }
    if (i > 0) sb_buf_text(log, "|");
    note_bytes(log, request->args[i]);
  }
  sb_buf_text(log, request->canonical ? "] " : ") ");
}

/* A caller's input buffer: what was read and not yet used. */
struct input {
  uint8_t *data; /* exactly `len` bytes when `moves`, so that a sanitizer sees a read beyond them */
  size_t len;
  bool moves;
};

static void input_add(struct input *in, const uint8_t *at, size_t len, size_t capacity) {
  if (in->moves) {
    uint8_t *moved = sb_malloc(in->len + len);
    if (in->len > 0) memcpy(moved, in->data, in->len);
    free(in->data);
    in->data = moved;
  } else if (!in->data) {
    in->data = sb_malloc(capacity);
  }
  memcpy(in->data + in->len, at, len);
  in->len += len;
}

static void input_drop(struct input *in, size_t len) {
  assert_true(len <= in->len);
  in->len -= len;
  if (len > 0) memmove(in->data, in->data + len, in->len);
}

/* Takes all requests there are. False when the parser gave an error. */
static bool drain(struct sb_parser *parser, struct input *in, struct sb_buf *log) {
  for (;;) {
    struct sb_request request;
    const char *error = NULL;
    size_t used = SIZE_MAX;
    enum sb_parse result = sb_parser_next(parser, in->data, in->len, &used, &request, &error);
    if (result == SB_PARSE_ERROR) {
      sb_buf_text(log, "!");
      note_bytes(log, sb_bytes_of(error));
      assert_int_equal(sb_parser_next(parser, in->data, in->len, &used, &request, &error), SB_PARSE_ERROR);
      return false;
    }
    if (result == SB_PARSE_DONE) {
      assert_true(request.raw.at + request.raw.len == in->data + used);
      note_request(log, &request);
    }
    input_drop(in, used);
    if (result == SB_PARSE_MORE) {
      assert_true(parser->need >= 1);
      return true;
    }
  }
}

/* Feeds `stream` in pieces of 1 to `most` bytes; all at once when most is 0. Ends with "..." when bytes of an
 * unfinished request are left. */
static struct sb_buf transcript(struct sb_bytes stream, const struct limits *limits, size_t most) {
  struct sb_parser parser;
  struct input in = {.moves = stream.len <= 4096};
  struct sb_buf log = {0};
  bool alive = true;
  sb_parser_init(&parser, limits->max_request_bytes, limits->max_args);
  sb_parser_set_unauthenticated(&parser, limits->unauthenticated);
  for (size_t pos = 0; pos < stream.len && alive;) {
    size_t rest = stream.len - pos;
    size_t piece = most == 0 ? rest : most == 1 ? 1 : (size_t)random() % most + 1;
    if (piece > rest) piece = rest;
    input_add(&in, stream.at + pos, piece, stream.len);
    pos += piece;
    alive = drain(&parser, &in, &log);
  }
  if (alive && in.len > 0) sb_buf_text(&log, "...");
  sb_buf_append(&log, "", 1);
  free(in.data);
  sb_parser_close(&parser);
  return log;
}

static void check(struct sb_bytes stream, const struct limits *limits, const char *expected) {
  const size_t most[] = {0, 1, 2, 5, 17, stream.len / 3 + 1, stream.len / 2 + 1};
  for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
    struct sb_buf log = transcript(stream, limits, most[i]);
    assert_string_equal((const char *)log.data, expected);
    sb_buf_close(&log);
  }
}

static void check_text(const char *stream, const struct limits *limits, const char *expected) {
  check(sb_bytes_of(stream), limits, expected);
}

struct example {
  const char *bytes;
  size_t len;
  const char *expected;
};

#define EXAMPLE(bytes, expected)                                                                             \
  { (bytes), sizeof(bytes) - 1, (expected) }

static void check_all(const struct example *examples, size_t count) {
  for (size_t i = 0; i < count; i++)
    check(sb_bytes(examples[i].bytes, examples[i].len), &usual, examples[i].expected);
}

#define CHECK_ALL(examples) check_all((examples), sizeof(examples) / sizeof *(examples))

/* `count` times `text`, then `tail`. */
static struct sb_buf repeated(const char *head, size_t count, const char *text, const char *tail) {
  struct sb_buf buf = {0};
  sb_buf_text(&buf, head);
  for (size_t i = 0; i < count; i++) sb_buf_text(&buf, text);
  sb_buf_text(&buf, tail);
  return buf;
}

/* ---- tests ---- */

static void requests_are_found_whole_and_in_pieces(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("", ""),
      EXAMPLE("*1\r\n$4\r\nPING\r\n", "[PING] "),
      EXAMPLE("*1\r\n$0\r\n\r\n", "[] "),
      EXAMPLE("*3\r\n$7\r\nPUBLISH\r\n$5\r\nhello\r\n$12\r\nworld, world\r\n",
              "[PUBLISH|hello|world, world] "),
      EXAMPLE("*2\r\n$4\r\nECHO\r\n$5\r\n\r\n\0\r\n\r\n", "[ECHO|\\x0d\\x0a\\x00\\x0d\\x0a] "),
      EXAMPLE("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n*1\r\n$4\r\nping\r\nPING\r\n", "[ECHO|] [ping] (PING) "),
      EXAMPLE("*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$"
              "1\r\nh\r\n$1\r\ni\r\n",
              "[a|b|c|d|e|f|g|h|i] "),
      EXAMPLE("*11\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$"
              "1\r\nh\r\n$1\r\ni\r\n$1\r\n"
              "j\r\n$1\r\nk\r\n*1\r\n$1\r\nz\r\n",
              "[a|b|c|d|e|f|g|h|i|j|k] [z] "),
      EXAMPLE("*1\r\n$4\r\nPI", "..."),
      EXAMPLE("*2\r\n$4\r\nECHO\r\n", "..."),
      EXAMPLE("*2\r\n$4\r\nECHO\r\n$1\r\nx\r", "..."),
      EXAMPLE("*", "..."),
      EXAMPLE("*1\r\n$1234", "..."),
      EXAMPLE("*1\r\n$12345", "..."),
      EXAMPLE("*1\r\n$1234567\r", "..."),
  };
  CHECK_ALL(examples);
}

static void empty_requests_are_skipped(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("\r\n", ""),
      EXAMPLE("\n\n\r\n", ""),
      EXAMPLE("  \t \r\n", ""),
      EXAMPLE("*0\r\n", ""),
      EXAMPLE("*-1\r\n*-9223372036854775808\r\n*0\r\n\n*1\r\n$4\r\nPING\r\n*0\r\nPING\r\n", "[PING] (PING) "),
  };
  CHECK_ALL(examples);
}

/* What Redis lets pass must not be forwarded as it came. */
static void lenient_requests_are_not_canonical(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("*1\rX$4\r\nPING\r\n", "(PING) "),
      EXAMPLE("*1\r\n$4\rXPING\r\n", "(PING) "),
      EXAMPLE("*1\r\n$4\r\nPINGxy", "(PING) "),
      EXAMPLE("*1\r\n$4\r\nPING\r\r", "(PING) "),
      EXAMPLE("*1\r\n$12\r\nPING12345678\n\n*1\r\n$4\r\nPING\r\n", "(PING12345678) [PING] "),
      EXAMPLE("*2\r\n$4\r\nPING\r\n$1\r\nx\r\0", "(PING|x) "),
  };
  CHECK_ALL(examples);
}

static void malformed_requests_get_the_error_of_redis(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("*\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*x\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*+1\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*01\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*00\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*-0\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*-\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("* 1\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*1 \r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*1\n\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*2147483648\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*9223372036854775808\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*-9223372036854775809\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*18446744073709551617\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*100000000000000000001\r\n", "!Protocol error: invalid multibulk length"),
      EXAMPLE("*1\r\n$\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$+4\r\nPING\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$04\r\nPING\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$00\r\n\r\n\r\n\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$4x\r\nPING\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$4 \r\nPING\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$:\r\n\r\n\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$1:\r\n\r\n\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$16777217\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$9223372036854775807\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\n$18446744073709551620\r\nPING\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*2\r\n$4\r\nECHO\r\n$99999999999999999999999\r\n", "!Protocol error: invalid bulk length"),
      EXAMPLE("*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'"),
      EXAMPLE("*1\r\n*1\r\n$4\r\nPING\r\n", "!Protocol error: expected '$', got '*'"),
      EXAMPLE("*1\r\n\r\n", "!Protocol error: expected '$', got '\\x0d'"),
      EXAMPLE("*1\r\n\nPING\r\n", "!Protocol error: expected '$', got '\\x0a'"),
      EXAMPLE("*1\r\n\xff\r\n", "!Protocol error: expected '$', got '\\xff'"),
      EXAMPLE("*1\r\n$4\r\nPING\r\n*1\r\nx\r\n", "[PING] !Protocol error: expected '$', got 'x'"),
      EXAMPLE("PING \"\r\n", "!Protocol error: unbalanced quotes in request"),
  };
  CHECK_ALL(examples);
}

static void inline_commands_are_split_and_unescaped_as_redis_does(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("PING\r\n", "(PING) "),
      EXAMPLE("PING\n", "(PING) "),
      EXAMPLE("  ECHO \t hi  \r\n", "(ECHO|hi) "),
      EXAMPLE("\v\fECHO a\vb c\fd\n", "(ECHO|a\\x0bb|c\\x0cd) "),
      EXAMPLE("a\rb\r\r\n", "(a|b) "),
      EXAMPLE("ECHO \"\"\n", "(ECHO|) "),
      EXAMPLE("ECHO ''\n", "(ECHO|) "),
      EXAMPLE("ECHO \"a b\"\n", "(ECHO|a b) "),
      EXAMPLE("ECHO \"\\n\\r\\t\\b\\a\\\\\\\"\\q\"\n", "(ECHO|\\x0a\\x0d\\x09\\x08\\x07\\x5c\"q) "),
      EXAMPLE("ECHO \"\\x00\\x7F\\xfa\"\n", "(ECHO|\\x00\\x7f\\xfa) "),
      EXAMPLE("ECHO \"\\x4\\xg1\\x\"\n", "(ECHO|x4xg1x) "),
      EXAMPLE("ECHO 'a b\\'c\\n\"'\n", "(ECHO|a b'c\\x5cn\") "),
      EXAMPLE("ECHO 'a\\\\b'\n", "(ECHO|a\\x5c\\x5cb) "),
      EXAMPLE("ECHO 'a\\\\'\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO a\\nb\n", "(ECHO|a\\x5cnb) "),
      EXAMPLE("ECHO a\"b c\" d'e'\n", "(ECHO|ab c|de) "),
      EXAMPLE("ECHO \"a\"\v\"b\"\n", "(ECHO|a|b) "),
      EXAMPLE("\"PING\"\n", "(PING) "),
      EXAMPLE("$4\r\nPING\r\n", "($4) (PING) "),
      EXAMPLE("1 2 3 4 5 6 7 8 9 10\nPING\n", "(1|2|3|4|5|6|7|8|9|10) (PING) "),
      EXAMPLE("ECHO \"a\"b\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO 'a'b\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO \"a\"\"b\"\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO 'a\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO \"a\\\"\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO \"a\\\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO \"\\x4\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO 'a\\'\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("ECHO \"a\n\"\n", "!Protocol error: unbalanced quotes in request"),
      EXAMPLE("PING", "..."),
      EXAMPLE("ECHO \"a", "..."),
  };
  CHECK_ALL(examples);
}

/* Redis searches lines with strchr: behind a NUL it sees no end of line. */
static void a_line_with_a_nul_never_ends(void **state) {
  (void)state;
  static const struct example examples[] = {
      EXAMPLE("PI\0NG\r\n", "..."),
      EXAMPLE("*1\0\r\n", "..."),
      EXAMPLE("*1\r\n\0$4\r\n", "..."),
      EXAMPLE("PING\n*1\r\n$4\0\r\nPING\r\n", "(PING) ..."),
  };
  CHECK_ALL(examples);
  struct sb_buf stream = {0};
  sb_buf_append(&stream, "PING\0\n", 6);
  for (size_t i = 6; i < SB_INLINE_BYTES_MAX; i++) sb_buf_append(&stream, "\n", 1);
  check(sb_buf_bytes(&stream), &usual, "...");
  sb_buf_append(&stream, "\n", 1);
  check(sb_buf_bytes(&stream), &usual, "!Protocol error: too big inline request");
  sb_buf_close(&stream);
}

static void a_line_may_have_64_kib_and_not_a_byte_more(void **state) {
  (void)state;
  const struct {
    const char *head, *at_limit, *above;
  } lines[] = {
      {"", "(<65535 bytes, ", "!Protocol error: too big inline request"},
      {"*", "!Protocol error: invalid multibulk length", "!Protocol error: too big mbulk count string"},
      {"*1\r\n", "!Protocol error: expected '$', got 'x'", "!Protocol error: too big bulk count string"},
      {"*1\r\n$", "!Protocol error: invalid bulk length", "!Protocol error: too big bulk count string"},
  };
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    size_t before = strcmp(lines[i].head, "*") == 0 || strchr(lines[i].head, '$') ? 1 : 0;
    struct sb_buf fits = repeated(lines[i].head, SB_INLINE_BYTES_MAX - before - !*lines[i].head, "x", "\r\n");
    struct sb_buf log = transcript(sb_buf_bytes(&fits), &usual, 0);
    assert_memory_equal(log.data, lines[i].at_limit, strlen(lines[i].at_limit));
    check(sb_buf_bytes(&fits), &usual, (const char *)log.data);
    struct sb_buf wide = repeated(lines[i].head, SB_INLINE_BYTES_MAX + 1 - before, "x", "");
    check(sb_buf_bytes(&wide), &usual, lines[i].above);
    sb_buf_text(&wide, "\r\n");
    check(sb_buf_bytes(&wide), &usual, lines[i].above);
    wide.len -= 3;
    check(sb_buf_bytes(&wide), &usual, "...");
    sb_buf_close(&fits);
    sb_buf_close(&wide);
    sb_buf_close(&log);
  }
}

static void an_unauthenticated_session_is_held_to_small_requests(void **state) {
  (void)state;
  const struct limits unauthenticated = {REQUEST_BYTES, SB_REQUEST_ARGS_MAX, true};
  check_text("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n", &unauthenticated, "[AUTH|x] ");
  check_text("*11\r\n", &unauthenticated, "!Protocol error: unauthenticated multibulk length");
  check_text("*2\r\n$4\r\nECHO\r\n$16385\r\n", &unauthenticated,
             "!Protocol error: unauthenticated bulk length");
  check_text("*9999999999\r\n", &unauthenticated, "!Protocol error: invalid multibulk length");
  check_text("*1\r\n$99999999999\r\n", &unauthenticated, "!Protocol error: invalid bulk length");
  struct sb_buf above = repeated("*2\r\n$4\r\nECHO\r\n$16385\r\n", 16385, "y", "\r\n");
  check(sb_buf_bytes(&above), &unauthenticated, "!Protocol error: unauthenticated bulk length");
  sb_buf_close(&above);
  struct sb_buf most = repeated("*10\r\n", 9, "$1\r\nx\r\n", "$16384\r\n");
  for (int i = 0; i < 16384; i++) sb_buf_append(&most, "y", 1);
  sb_buf_text(&most, "\r\n");
  struct sb_buf log = transcript(sb_buf_bytes(&most), &unauthenticated, 0);
  assert_non_null(strstr((const char *)log.data, "[x|x|x|x|x|x|x|x|x|<16384 bytes, "));
  sb_buf_close(&log);
  sb_buf_close(&most);
}

static void authentication_lifts_the_limits_at_once(void **state) {
  (void)state;
  struct sb_parser parser;
  struct sb_request request;
  const char *error;
  size_t used;
  struct sb_buf stream = repeated("*12\r\n", 12, "$1\r\nx\r\n", "");
  sb_parser_init(&parser, REQUEST_BYTES, SB_REQUEST_ARGS_MAX);
  sb_parser_set_unauthenticated(&parser, true);
  sb_parser_set_unauthenticated(&parser, false);
  assert_int_equal(sb_parser_next(&parser, stream.data, stream.len, &used, &request, &error), SB_PARSE_DONE);
  assert_int_equal(request.count, 12);
  sb_parser_close(&parser);
  sb_buf_close(&stream);
}

static void a_request_is_bounded_with_its_framing(void **state) {
  (void)state;
  const struct limits limits = {32, 4, false};
  const char *over = "!Protocol error: request exceeds 32 bytes";
  check_text("*2\r\n$4\r\nECHO\r\n$12\r\n123456789012\r\n", &limits, over);
  check_text("*2\r\n$4\r\nECHO\r\n$11\r\n12345678901\r\n", &limits, "[ECHO|12345678901] ");
  check_text("*2\r\n$4\r\nECHO\r\n$32\r\n", &limits, over);
  check_text("*2\r\n$4\r\nECHO\r\n$33\r\n", &limits, "!Protocol error: invalid bulk length");
  check_text("*2\r\n$22\r\n1234567890123456789012\r\n$0\r\n\r\n", &limits, over);
  check_text("*2\r\n$17\r\n12345678901234567\r\n$0\r\n\r\n", &limits, over);
  check_text("*2\r\n$15\r\n123456789012345\r\n$0\r\n\r\n", &limits, "[123456789012345|] ");
  check_text("*1\r\n$0000000000000000000000000000\r\n", &limits, over);
  check_text("1234567890123456789012345678901\n", &limits, "(1234567890123456789012345678901) ");
  check_text("12345678901234567890123456789012\n", &limits, over);
  check_text("\r\n\r\n*0\r\n*0\r\n*2\r\n$4\r\nECHO\r\n$11\r\n12345678901\r\n", &limits,
             "[ECHO|12345678901] ");
  check_text("*4\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", &limits, "[|||] ");
  check_text("*5\r\n", &limits, "!Protocol error: invalid multibulk length");
  check_text("a b c d\n", &limits, "(a|b|c|d) ");
  check_text("a b c d e\n", &limits, "!Protocol error: invalid multibulk length");
}

static void memory_follows_what_arrived_not_what_was_announced(void **state) {
  (void)state;
  static const char announced[] = "*1048576\r\n$1\r\nx\r\n$16000000\r\nxx";
  struct sb_parser parser;
  struct sb_request request;
  const char *error;
  size_t used;
  sb_parser_init(&parser, REQUEST_BYTES, SB_REQUEST_ARGS_MAX);
  assert_int_equal(
      sb_parser_next(&parser, (const uint8_t *)announced, sizeof announced - 1, &used, &request, &error),
      SB_PARSE_MORE);
  assert_int_equal(used, 0);
  assert_null(parser.many);
  assert_null(parser.text.data);
  sb_parser_close(&parser);
}

static void the_parser_tells_how_much_is_missing(void **state) {
  (void)state;
  static const char stream[] = "\r\n*2\r\n$4\r\nECHO\r\n$1048576\r\nabc";
  struct sb_parser parser;
  struct sb_request request;
  const char *error;
  size_t used;
  sb_parser_init(&parser, REQUEST_BYTES, SB_REQUEST_ARGS_MAX);
  assert_int_equal(sb_parser_next(&parser, (const uint8_t *)stream, 20, &used, &request, &error),
                   SB_PARSE_MORE);
  assert_int_equal(used, 2);
  assert_int_equal(parser.need, 1);
  assert_int_equal(
      sb_parser_next(&parser, (const uint8_t *)stream + 2, sizeof stream - 3, &used, &request, &error),
      SB_PARSE_MORE);
  assert_int_equal(used, 0);
  assert_int_equal(parser.need, 1048576 + 2 - 3);
  sb_parser_close(&parser);
}

static void memory_of_a_request_is_freed_by_the_next_call(void **state) {
  (void)state;
  struct sb_parser parser;
  struct sb_request request;
  const char *error;
  size_t used;
  struct sb_buf stream = repeated("*100\r\n", 100, "$1\r\nx\r\n", "ECHO inline\r\n");
  sb_parser_init(&parser, REQUEST_BYTES, SB_REQUEST_ARGS_MAX);
  assert_int_equal(sb_parser_next(&parser, stream.data, stream.len, &used, &request, &error), SB_PARSE_DONE);
  assert_int_equal(request.count, 100);
  assert_int_equal(sb_parser_next(&parser, stream.data + used, stream.len - used, &used, &request, &error),
                   SB_PARSE_DONE);
  assert_null(parser.many);
  assert_non_null(parser.text.data);
  assert_int_equal(sb_parser_next(&parser, NULL, 0, &used, &request, &error), SB_PARSE_MORE);
  assert_int_equal(used, 0);
  assert_null(parser.text.data);
  sb_parser_close(&parser);
  sb_buf_close(&stream);
}

/* Byte by byte this would take hours if a call looked at more than the new bytes. */
static void a_million_arguments_are_parsed_in_linear_time(void **state) {
  (void)state;
  struct sb_buf stream = repeated("*1000000\r\n", 1000000, "$1\r\nx\r\n", "*1\r\n$4\r\nPING\r\n");
  struct sb_buf whole = transcript(sb_buf_bytes(&stream), &usual, 0);
  assert_non_null(strstr((const char *)whole.data, "[x|x|x|x|x|x|x|x|999992 more, "));
  assert_non_null(strstr((const char *)whole.data, "] [PING] "));
  const size_t most[] = {1, 100, 65536};
  for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
    struct sb_buf split = transcript(sb_buf_bytes(&stream), &usual, most[i]);
    assert_string_equal((const char *)split.data, (const char *)whole.data);
    sb_buf_close(&split);
  }
  sb_buf_close(&whole);
  sb_buf_close(&stream);
}

/* Random requests, some with a byte changed: one meaning whatever the cuts, and canonical means what it says.
 */
static void any_stream_means_the_same_however_it_is_cut(void **state) {
  (void)state;
  static const char *const parts[] = {"*1\r\n",
                                      "*3\r\n",
                                      "$4\r\n",
                                      "$0\r\n",
                                      "$12\r\n",
                                      "$5\r\n",
                                      "PING",
                                      "\r\n",
                                      "hello",
                                      "PUBLISH",
                                      "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n",
                                      "\"a\\x41\" ",
                                      "'b' ",
                                      "*1\r\n$4\r\nPING\r\n",
                                      "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$12\r\n123456789012\r\n",
                                      "*0\r\n",
                                      "*10\r\n",
                                      "\n"};
  const struct limits limits[] = {usual, {64, 6, false}, {REQUEST_BYTES, SB_REQUEST_ARGS_MAX, true}};
  for (int round = 0; round < 1000; round++) {
    struct sb_buf stream = {0};
    long more = random() % 12;
    do sb_buf_text(&stream, parts[(size_t)random() % (sizeof parts / sizeof *parts)]);
    while (more-- > 0);
    if (random() % 2) stream.data[(size_t)random() % stream.len] = (uint8_t)random();
    const struct limits *chosen = &limits[random() % 3];
    struct sb_buf whole = transcript(sb_buf_bytes(&stream), chosen, 0);
    check(sb_buf_bytes(&stream), chosen, (const char *)whole.data);
    sb_buf_close(&whole);
    sb_buf_close(&stream);
  }
}

int main(void) {
  const char *given = getenv("SB_TEST_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20241122u;
  printf("seed %u (SB_TEST_SEED)\n", seed);
  srandom(seed);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_found_whole_and_in_pieces),
      cmocka_unit_test(empty_requests_are_skipped),
      cmocka_unit_test(lenient_requests_are_not_canonical),
      cmocka_unit_test(malformed_requests_get_the_error_of_redis),
      cmocka_unit_test(inline_commands_are_split_and_unescaped_as_redis_does),
      cmocka_unit_test(a_line_with_a_nul_never_ends),
      cmocka_unit_test(a_line_may_have_64_kib_and_not_a_byte_more),
      cmocka_unit_test(an_unauthenticated_session_is_held_to_small_requests),
      cmocka_unit_test(authentication_lifts_the_limits_at_once),
      cmocka_unit_test(a_request_is_bounded_with_its_framing),
      cmocka_unit_test(memory_follows_what_arrived_not_what_was_announced),
      cmocka_unit_test(the_parser_tells_how_much_is_missing),
      cmocka_unit_test(memory_of_a_request_is_freed_by_the_next_call),
      cmocka_unit_test(a_million_arguments_are_parsed_in_linear_time),
      cmocka_unit_test(any_stream_means_the_same_however_it_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
