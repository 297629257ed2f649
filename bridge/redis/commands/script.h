/* The scripts that are known. A bridge runs no Lua: it recognises the few scripts that programs for
 * backplanes send, and does what they do. */
#ifndef SB_REDIS_COMMANDS_SCRIPT_H
#define SB_REDIS_COMMANDS_SCRIPT_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/sha1.h"

enum sb_script {
  SB_SCRIPT_UNKNOWN,
  SB_SCRIPT_NUMBER,       /* ASP.NET SignalR 2: number a message, publish it */
  SB_SCRIPT_RESTORE,      /* the same, after a reconnect: raise the number to what was seen */
  SB_SCRIPT_PUBLISH_EACH, /* Laravel's broadcaster: one payload to many channels */
};

/* White space and semicolons make no difference. */
enum sb_script sb_script_find(struct sb_bytes text);

/* Appends the text without white space and semicolons, but one blank where two words would become one.
 * Strings in quotes stay as they are. */
void sb_script_normalise(struct sb_bytes text, struct sb_buf *out);

/* Which script a SHA-1 stands for, of the texts that were sent last: few, since programs that use the same
 * script send the same text. Storage that the caller holds; zeroed is empty. */
#define SB_SCRIPTS_KEPT 64
struct sb_scripts {
  struct sb_kept_script {
    char sha1[SB_SHA1_TEXT + 1];
    enum sb_script script; /* SB_SCRIPT_UNKNOWN: nothing is here */
  } kept[SB_SCRIPTS_KEPT];
  uint32_t next; /* the oldest, which is replaced next */
};

/* Returns the SHA-1 in digits, which holds until the next call. */
const char *sb_scripts_keep(struct sb_scripts *scripts, struct sb_bytes text, enum sb_script script);

/* `sha1` in digits of any case. */
enum sb_script sb_scripts_find(const struct sb_scripts *scripts, struct sb_bytes sha1);

#endif
