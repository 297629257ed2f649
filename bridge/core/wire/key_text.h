/* A key as it is written to a log: in a state ("STRING …", "STREAM …"), in the keys that a founder brings,
 * and behind SIDEBUS RESTORE. docs/wire.md, "The state in a SNAPSHOT". */
#ifndef SB_CORE_WIRE_KEY_TEXT_H
#define SB_CORE_WIRE_KEY_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/id.h"

enum sb_key_kind { SB_KEY_STRING, SB_KEY_STREAM };

struct sb_stream {
  struct sb_id last;        /* of all entries that were ever added */
  struct sb_id max_deleted; /* of those that XDEL, XTRIM … MINID and DEL took away; 0-0: none */
  uint64_t added;           /* entries, ever */
};

struct sb_key_text {
  enum sb_key_kind kind;
  struct sb_bytes name, value; /* views */
  struct sb_stream stream;
  uint64_t expires_ms; /* log time; 0: never */
  uint64_t asked_ms;   /* the Unix time that a client gave for it; 0: none did */
};

#define SB_KEY_TEXT_ARGS_MAX 7

struct sb_key_text_scratch {
  char last[SB_ID_TEXT], deleted[SB_ID_TEXT], added[20], expires[20], asked[20];
};

/* Its arguments, views of the text and of the scratch; returns how many. */
uint32_t sb_key_text_args(const struct sb_key_text *text, struct sb_key_text_scratch *scratch,
                          struct sb_bytes args[SB_KEY_TEXT_ARGS_MAX]);

/* Views of the arguments. False: they are not what sb_key_text_args makes. */
bool sb_key_text_read(const struct sb_bytes *args, uint32_t count, struct sb_key_text *out);

#endif
