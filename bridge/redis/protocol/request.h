/* Requests of the Redis protocol, parsed where they lie: bytes in, views out, no I/O.
 *
 * The caller keeps the bytes that it has read and not yet used, and asks for one request at a time. A request
 * that has not arrived whole stays in the caller's buffer; the parser remembers how far it came as offsets
 * from the request's first byte, so the buffer may grow and move between calls and nothing is looked at
 * twice. Grammar, leniencies and error texts are those of Redis 7.0 (networking.c, sdssplitargs), with two
 * additions: a limit on a whole request, and a line is too long at the same byte however it was cut into
 * reads.
 *
 * Memory: the views' array grows with the arguments that arrived, not with the number that was announced, and
 * is freed by the call after the one that handed it out. One thread. */
#ifndef SB_REDIS_PROTOCOL_REQUEST_H
#define SB_REDIS_PROTOCOL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_PARSER_FEW_ARGS 8 /* requests up to this many arguments need no allocation */

struct sb_request {
  struct sb_bytes *args; /* into the caller's buffer; for an inline command into the parser */
  uint32_t count;        /* 1 or more */
  bool canonical;        /* raw is exactly "*N\r\n" and N times "$len\r\n<len bytes>\r\n" */
  struct sb_bytes raw;   /* the whole request as it was sent */
};

enum sb_parse { SB_PARSE_DONE, SB_PARSE_MORE, SB_PARSE_ERROR };

enum sb_parser_step {
  SB_PARSER_START,  /* nothing of a request was seen */
  SB_PARSER_INLINE, /* within a line that is a command */
  SB_PARSER_COUNT,  /* within "*N\r\n" */
  SB_PARSER_LENGTH, /* within "$len\r\n" */
  SB_PARSER_BULK,   /* within the bytes of an argument or the two after them */
  SB_PARSER_LENT,   /* as at the start; memory of the last request waits to be freed */
  SB_PARSER_BROKEN, /* an error was returned, the session is to be closed */
};

/* Storage that the caller holds. Only `need` is for others to read. */
struct sb_parser {
  size_t need; /* after SB_PARSE_MORE: at least this many more bytes are missing, 1 when it is not known */

  size_t max_request_bytes;
  uint32_t max_args;
  uint32_t whole_args_max; /* requests up to this many arguments may take the short way */
  bool unauthenticated;

  enum sb_parser_step step;
  bool canonical;            /* so far */
  uint32_t announced, count; /* arguments */
  uint32_t cap;              /* of many */
  size_t pos;                /* offset in the request of what `step` is about */
  size_t scanned;            /* offset up to which the end of the line was looked for */
  size_t bulk_len;           /* of the argument at pos */
  struct sb_bytes *many;     /* NULL while few suffices */
  struct sb_buf text;        /* the arguments of an inline command, or a formatted error */
  const char *error;         /* in SB_PARSER_BROKEN */
  struct sb_bytes few[SB_PARSER_FEW_ARGS];
};

/* max_request_bytes bounds one request with all of its framing, and each argument; max_args at most
 * INT32_MAX. The parser starts as one of an authenticated session. */
void sb_parser_init(struct sb_parser *parser, size_t max_request_bytes, uint32_t max_args);
void sb_parser_close(struct sb_parser *parser);

/* While a password is awaited Redis takes at most 10 arguments of at most 16384 bytes. Applies to lengths
 * that are parsed from now on. */
void sb_parser_set_unauthenticated(struct sb_parser *parser, bool unauthenticated);

/* Takes the first request of data[0 .. len). Always sets *used: the caller drops that many bytes from the
 * front.
 * - SB_PARSE_DONE: out is filled; its views hold until the next call, the end of `data` or sb_parser_close.
 * - SB_PARSE_MORE: call again with the bytes that remain and at least one more; *used is not 0 when empty
 *   requests (as "\r\n" or "*0\r\n") were skipped.
 * - SB_PARSE_ERROR: *error is the text for sb_reply_error, "Protocol error: ..."; it holds until close. The
 *   stream cannot be continued, further calls give the same.
 *
 * `len` may be 0: nothing happens but that memory of the last request is freed. */
enum sb_parse sb_parser_next(struct sb_parser *parser, const uint8_t *data, size_t len, size_t *used,
                             struct sb_request *out, const char **error);

#endif
