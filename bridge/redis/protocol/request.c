#include "bridge/redis/protocol/request.h"

#include <endian.h>
#include <stdlib.h>

#include "bridge/base/limits.h"
#include "bridge/redis/protocol/inline.h"

#define UNAUTHENTICATED_ARGS_MAX 10    /* Redis: processMultibulkBuffer */
#define UNAUTHENTICATED_BULK_MAX 16384 /* likewise */

/* "*0\r\n", "$0\r\n" and "$00\r" as little-endian words. */
#define COUNT_WORD      0x0a0d302au
#define LENGTH_WORD     0x0a0d3024u
#define TWO_DIGITS_WORD 0x0d303024u

void sb_parser_init(struct sb_parser *parser, size_t max_request_bytes, uint32_t max_args) {
  *parser = (struct sb_parser){.max_request_bytes = max_request_bytes, .max_args = max_args};
  sb_parser_set_unauthenticated(parser, false);
}

void sb_parser_close(struct sb_parser *parser) {
  free(parser->many);
  sb_buf_close(&parser->text);
  *parser = (struct sb_parser){0};
}

void sb_parser_set_unauthenticated(struct sb_parser *parser, bool unauthenticated) {
  parser->unauthenticated = unauthenticated;
  uint32_t most = parser->max_args < SB_PARSER_FEW_ARGS ? parser->max_args : SB_PARSER_FEW_ARGS;
  parser->whole_args_max = unauthenticated ? 0 : most;
}

/* ---- the short way: a canonical request of few arguments that lies whole in the buffer ---- */

/* The digits of a header: the word at `at` less the one expected for digits of 0, rotated by a byte. Where
 * the rest of the word is not as expected, high bits are set. */
static inline uint32_t header_digits(const uint8_t *at, uint32_t expected) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  word = le32toh(word) - expected;
  return word >> 8 | word << 24;
}

/* Reads "$len\r\n" at `at`, 4 bytes or more before `last`, the place of the last "\r\n" that could end a
 * request. Returns what follows, which may be one byte behind `last`, or NULL. A length that cannot fit
 * is given up while it is read, so it never overflows. */
static inline const uint8_t *take_length(const uint8_t *at, const uint8_t *last, size_t *value) {
  size_t n = header_digits(at, LENGTH_WORD);
  if (n > 9) {
    uint32_t digits = header_digits(at, TWO_DIGITS_WORD), high = digits & 0xff, low = digits >> 8;
    if (at[0] != '$' || high - 1 > 8) return NULL;
    if (low <= 9) {
      n = high * 10 + low;
      at++;
    } else {
      n = high;
      for (size_t digit; (digit = (size_t)at[2] - '0') <= 9; at++) {
        if ((ptrdiff_t)n > last - at - 3) return NULL;
        n = n * 10 + digit;
      }
    }
    if (memcmp(at + 2, "\r\n", 2) != 0) return NULL;
  }
  *value = n;
  return at + 4;
}

/* False when the request is not of that kind. It may be incomplete, of a lenient form, long or wrong: the
 * long way finds out. */
static inline bool take_whole(struct sb_parser *parser, const uint8_t *data, size_t len, size_t *used,
                              struct sb_request *out) {
  if (len < 10 || len > parser->max_request_bytes) return false;
  uint32_t count = header_digits(data, COUNT_WORD);
  if (count - 1 >= parser->whole_args_max) return false;
  const uint8_t *at = data + 4, *last = data + len - 2;
  struct sb_bytes *arg = parser->few, *end = arg + count;
  out->args = arg;
  out->count = count;
  do {
    size_t n;
    if (last - at < 4 || !(at = take_length(at, last, &n))) return false;
    *arg = sb_bytes(at, n);
    if ((ptrdiff_t)n > last - at) return false;
    at += n;
    if (memcmp(at, "\r\n", 2) != 0) return false;
    at += 2;
  } while (++arg < end);
  out->canonical = true;
  out->raw = sb_bytes(data, (size_t)(at - data));
  *used = out->raw.len;
  return true;
}

/* ---- the long way: any request, step by step ---- */

static enum sb_parse fail(struct sb_parser *parser, const char *error) {
  parser->step = SB_PARSER_BROKEN;
  parser->error = error;
  return SB_PARSE_ERROR;
}

static enum sb_parse fail_too_long(struct sb_parser *parser) {
  sb_buf_clear(&parser->text);
  sb_buf_printf(&parser->text, "Protocol error: request exceeds %zu bytes", parser->max_request_bytes);
  return fail(parser, (const char *)parser->text.data);
}

static enum sb_parse fail_expected_bulk(struct sb_parser *parser, uint8_t got) {
  sb_buf_clear(&parser->text);
  sb_buf_printf(&parser->text, "Protocol error: expected '$', got '%c'", got);
  return fail(parser, (const char *)parser->text.data);
}

static enum sb_parse more(struct sb_parser *parser, size_t need) {
  parser->need = need;
  return SB_PARSE_MORE;
}

static void forget_request(struct sb_parser *parser) {
  free(parser->many);
  parser->many = NULL;
  parser->cap = 0;
  sb_buf_close(&parser->text);
  parser->step = SB_PARSER_START;
}

static void begin_request(struct sb_parser *parser, uint8_t first) {
  parser->step = first == '*' ? SB_PARSER_COUNT : SB_PARSER_INLINE;
  parser->canonical = first == '*';
  parser->announced = parser->count = 0;
  parser->pos = parser->scanned = 0;
}

static struct sb_bytes *args_of(struct sb_parser *parser) {
  return parser->many ? parser->many : parser->few;
}

/* Room for one more argument; doubling, so that it stays in proportion to what has arrived. */
static struct sb_bytes *add_arg(struct sb_parser *parser) {
  uint32_t cap = parser->many ? parser->cap : SB_PARSER_FEW_ARGS;
  if (parser->count == cap) {
    struct sb_bytes *grown = sb_realloc(parser->many, (size_t)cap * 2 * sizeof *grown);
    if (!parser->many) memcpy(grown, parser->few, sizeof parser->few);
    parser->many = grown;
    parser->cap = cap * 2;
  }
  return &args_of(parser)[parser->count++];
}

/* Looks for the end of the line that begins at pos: the terminator and the tail_bytes behind it, whatever
 * they are. As in Redis nothing behind a NUL is found, until the line counts as too long. DONE puts
 * the terminator's offset into *at. */
static enum sb_parse find_line(struct sb_parser *parser, const uint8_t *data, size_t len, uint8_t terminator,
                               size_t tail_bytes, const char *too_long, size_t *at) {
  size_t end = len < parser->max_request_bytes ? len : parser->max_request_bytes;
  size_t stop = end - parser->pos > SB_INLINE_BYTES_MAX ? parser->pos + SB_INLINE_BYTES_MAX + 1 : end;
  size_t i = parser->scanned;
  while (i < stop && data[i] != terminator && data[i] != 0) i++;
  parser->scanned = i;
  bool found = i < stop && data[i] == terminator;
  if (found && end - i > tail_bytes) {
    *at = i;
    return SB_PARSE_DONE;
  }
  if (!found && end - parser->pos > SB_INLINE_BYTES_MAX) return fail(parser, too_long);
  if (end == parser->max_request_bytes) return fail_too_long(parser);
  return more(parser, 1);
}

static enum sb_parse parse_inline(struct sb_parser *parser, const uint8_t *data, size_t len) {
  size_t end;
  enum sb_parse found = find_line(parser, data, len, '\n', 0, "Protocol error: too big inline request", &end);
  if (found != SB_PARSE_DONE) return found;
  parser->pos = end + 1;
  struct sb_bytes line = sb_bytes(data, end > 0 && data[end - 1] == '\r' ? end - 1 : end);
  /* Unescaping never lengthens: with this reserved once, the arguments do not move. */
  sb_buf_reserve(&parser->text, line.len + 1);
  for (;;) {
    uint8_t *room = parser->text.data + parser->text.len;
    size_t arg_len;
    int got = sb_inline_next(&line, room, &arg_len);
    if (got < 0) return fail(parser, "Protocol error: unbalanced quotes in request");
    if (got == 0) return SB_PARSE_DONE;
    if (parser->count == parser->max_args) return fail(parser, "Protocol error: invalid multibulk length");
    *add_arg(parser) = sb_bytes(room, arg_len);
    parser->text.len += arg_len;
  }
}

/* The number between the type byte at pos and the '\r' at `end`. */
static bool line_number(const struct sb_parser *parser, const uint8_t *data, size_t end, int64_t *out) {
  size_t from = parser->pos + 1;
  return end >= from && sb_bytes_i64(sb_bytes(data + from, end - from), out);
}

static void line_taken(struct sb_parser *parser, const uint8_t *data, size_t end) {
  if (data[end + 1] != '\n') parser->canonical = false;
  parser->pos = parser->scanned = end + 2;
}

static enum sb_parse parse_count(struct sb_parser *parser, const uint8_t *data, size_t len) {
  size_t end;
  int64_t number;
  enum sb_parse found =
      find_line(parser, data, len, '\r', 1, "Protocol error: too big mbulk count string", &end);
  if (found != SB_PARSE_DONE) return found;
  if (!line_number(parser, data, end, &number) || number > (int64_t)parser->max_args)
    return fail(parser, "Protocol error: invalid multibulk length");
  if (number > UNAUTHENTICATED_ARGS_MAX && parser->unauthenticated)
    return fail(parser, "Protocol error: unauthenticated multibulk length");
  line_taken(parser, data, end);
  parser->announced = number > 0 ? (uint32_t)number : 0;
  parser->step = SB_PARSER_LENGTH;
  return SB_PARSE_DONE;
}

static enum sb_parse parse_length(struct sb_parser *parser, const uint8_t *data, size_t len) {
  size_t end;
  int64_t number;
  enum sb_parse found =
      find_line(parser, data, len, '\r', 1, "Protocol error: too big bulk count string", &end);
  if (found != SB_PARSE_DONE) return found;
  if (data[parser->pos] != '$') return fail_expected_bulk(parser, data[parser->pos]);
  if (!line_number(parser, data, end, &number) || number < 0 || (uint64_t)number > parser->max_request_bytes)
    return fail(parser, "Protocol error: invalid bulk length");
  if (number > UNAUTHENTICATED_BULK_MAX && parser->unauthenticated)
    return fail(parser, "Protocol error: unauthenticated bulk length");
  line_taken(parser, data, end);
  parser->bulk_len = (size_t)number;
  size_t room = parser->max_request_bytes - parser->pos;
  if (room < 2 || parser->bulk_len > room - 2) return fail_too_long(parser);
  parser->step = SB_PARSER_BULK;
  return SB_PARSE_DONE;
}

static enum sb_parse parse_bulk(struct sb_parser *parser, const uint8_t *data, size_t len) {
  size_t whole = parser->bulk_len + 2, arrived = len - parser->pos;
  if (arrived < whole) return more(parser, whole - arrived);
  /* Redis does not look at the two bytes behind an argument. */
  if (memcmp(data + parser->pos + parser->bulk_len, "\r\n", 2) != 0) parser->canonical = false;
  *add_arg(parser) = sb_bytes(NULL, parser->bulk_len);
  parser->pos = parser->scanned = parser->pos + whole;
  parser->step = SB_PARSER_LENGTH;
  return SB_PARSE_DONE;
}

/* The buffer may have moved since an argument was seen, so the views are made when all have arrived. Lengths
 * are written in one way only, so where each argument lies follows from the lengths. */
static void place_args(struct sb_parser *parser, const uint8_t *data) {
  struct sb_bytes *args = args_of(parser);
  size_t pos = parser->pos;
  for (uint32_t i = parser->count; i-- > 0;) {
    char digits[20];
    pos -= args[i].len + 2;
    args[i].at = data + pos;
    pos -= 1 + sb_u64_text(args[i].len, digits) + 2;
  }
}

/* Goes on with the request at data[0]; DONE with no arguments for an empty one. Its end is at pos. */
static enum sb_parse advance(struct sb_parser *parser, const uint8_t *data, size_t len) {
  if (parser->step == SB_PARSER_START) {
    if (len == 0) return more(parser, 1);
    begin_request(parser, data[0]);
  }
  for (;;) {
    enum sb_parse result = SB_PARSE_ERROR;
    switch (parser->step) {
    case SB_PARSER_INLINE:
      return parse_inline(parser, data, len);
    case SB_PARSER_COUNT:
      result = parse_count(parser, data, len);
      break;
    case SB_PARSER_LENGTH:
      result = parse_length(parser, data, len);
      break;
    case SB_PARSER_BULK:
      result = parse_bulk(parser, data, len);
      break;
    case SB_PARSER_START:
    case SB_PARSER_LENT:
    case SB_PARSER_BROKEN:
      break;
    }
    if (result != SB_PARSE_DONE) return result;
    if (parser->step == SB_PARSER_LENGTH && parser->count == parser->announced) break;
  }
  place_args(parser, data);
  return SB_PARSE_DONE;
}

/* Out of line, so that the short way saves no registers for it. */
__attribute__((noinline, cold)) static enum sb_parse take_by_steps(struct sb_parser *parser,
                                                                   const uint8_t *data, size_t len,
                                                                   size_t *used, struct sb_request *out,
                                                                   const char **error) {
  if (parser->step == SB_PARSER_LENT) forget_request(parser);
  *used = 0;
  for (;;) {
    const uint8_t *from = *used > 0 ? data + *used : data;
    enum sb_parse result = advance(parser, from, len - *used);
    if (result == SB_PARSE_ERROR) *error = parser->error;
    if (result != SB_PARSE_DONE) return result;
    *used += parser->pos;
    if (parser->count > 0) {
      out->args = args_of(parser);
      out->count = parser->count;
      out->canonical = parser->canonical;
      out->raw = sb_bytes(from, parser->pos);
      parser->step = parser->many || parser->text.data ? SB_PARSER_LENT : SB_PARSER_START;
      return SB_PARSE_DONE;
    }
    forget_request(parser);
  }
}

enum sb_parse sb_parser_next(struct sb_parser *parser, const uint8_t *data, size_t len, size_t *used,
                             struct sb_request *out, const char **error) {
  if (parser->step == SB_PARSER_START && take_whole(parser, data, len, used, out)) return SB_PARSE_DONE;
  return take_by_steps(parser, data, len, used, out, error);
}
