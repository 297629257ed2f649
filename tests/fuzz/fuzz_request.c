/* Any bytes through the request parser. The first byte of the input chooses limits and how the rest is cut
 * into reads. Checked besides what the sanitizers see:
 *   - a stream gives the same requests and the same error whole and in pieces;
 *   - views lie within the request, or within the parser for an inline command;
 *   - a request is called canonical exactly when encoding its arguments gives its bytes;
 *   - limits hold, and the views' array stays in proportion to the bytes that arrived. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/redis/protocol/request.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READS_MAX 64 /* more tell nothing new and cost most of the time */

struct setting {
  size_t max_request_bytes;
  uint32_t max_args;
  bool unauthenticated;
  size_t piece; /* bytes per read at least, 0: all at once */
};

static struct setting setting_of(uint8_t choice) {
  static const size_t request_bytes[] = {16777216, 64, 4096, 70000};
  static const size_t pieces[] = {1, 2, 3, 7, 16, 61, 255, 1021};
  return (struct setting){.max_request_bytes = request_bytes[choice & 3],
                          .max_args = choice & 4 ? 12 : 1024 * 1024,
                          .unauthenticated = choice & 8,
                          .piece = pieces[choice >> 4 & 7]};
}

static void encode(struct sb_buf *out, const struct sb_request *request) {
  sb_buf_printf(out, "*%u\r\n", request->count);
  for (uint32_t i = 0; i < request->count; i++) {
    sb_buf_printf(out, "$%zu\r\n", request->args[i].len);
    sb_buf_append(out, request->args[i].at, request->args[i].len);
    sb_buf_text(out, "\r\n");
  }
}

static bool within(struct sb_bytes part, struct sb_bytes whole) {
  return part.at >= whole.at && part.len <= whole.len &&
         part.at - whole.at <= (ptrdiff_t)(whole.len - part.len);
}

static void check_request(const struct sb_parser *parser, const struct sb_request *request,
                          const struct setting *setting) {
  bool is_inline = request->raw.at[0] != '*';
  REQUIRE(request->count >= 1 && request->count <= setting->max_args);
  REQUIRE(request->raw.len <= setting->max_request_bytes);
  for (uint32_t i = 0; i < request->count; i++) {
    REQUIRE(within(request->args[i], is_inline ? sb_buf_bytes(&parser->text) : request->raw));
    REQUIRE(is_inline || !setting->unauthenticated || request->args[i].len <= 16384);
  }
  REQUIRE(is_inline || !setting->unauthenticated || request->count <= 10);
  struct sb_buf canonical = {0};
  encode(&canonical, request);
  REQUIRE(request->canonical == sb_bytes_equal(sb_buf_bytes(&canonical), request->raw));
  sb_buf_close(&canonical);
}

static void note(struct sb_buf *log, enum sb_parse result, const struct sb_request *request,
                 const char *error) {
  if (result == SB_PARSE_ERROR) sb_buf_printf(log, "!%s\n", error);
  if (result != SB_PARSE_DONE) return;
  sb_buf_printf(log, "%d %zu:", request->canonical, request->raw.len);
  encode(log, request);
}

/* What the parser says to data[0 .. size) read in pieces. Every read lands in a buffer of its own of the
 * exact size, so that a view into an old one or a byte too far is seen. */
static struct sb_buf parse(const uint8_t *data, size_t size, const struct setting *setting) {
  struct sb_parser parser;
  struct sb_buf log = {0};
  size_t from = 0, to = 0; /* data[from .. to) is read and not used */
  enum sb_parse result = SB_PARSE_MORE;
  sb_parser_init(&parser, setting->max_request_bytes, setting->max_args);
  sb_parser_set_unauthenticated(&parser, setting->unauthenticated);
  size_t least = setting->piece == 0 ? size : setting->piece + size / READS_MAX;
  while (to < size && result != SB_PARSE_ERROR) {
    to += least < size - to ? least : size - to;
    size_t len = to - from, pos = 0;
    uint8_t *unread = sb_malloc(len);
    memcpy(unread, data + from, len);
    do {
      struct sb_request request = {0};
      const char *error = NULL;
      size_t used = SIZE_MAX;
      result = sb_parser_next(&parser, unread + pos, len - pos, &used, &request, &error);
      REQUIRE(used <= len - pos);
      if (result == SB_PARSE_DONE) check_request(&parser, &request, setting);
      if (result == SB_PARSE_MORE) REQUIRE(parser.need >= 1 && parser.need <= setting->max_request_bytes);
      note(&log, result, &request, error);
      pos += used;
    } while (result == SB_PARSE_DONE);
    REQUIRE(parser.cap <= 16 || parser.cap <= 2 * (len + 1));
    from += pos;
    free(unread);
  }
  sb_parser_close(&parser);
  return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct setting setting = setting_of(data[0]);
  struct sb_buf split = parse(data + 1, size - 1, &setting);
  setting.piece = 0;
  struct sb_buf whole = parse(data + 1, size - 1, &setting);
  REQUIRE(sb_bytes_equal(sb_buf_bytes(&split), sb_buf_bytes(&whole)));
  sb_buf_close(&split);
  sb_buf_close(&whole);
  return 0;
}
