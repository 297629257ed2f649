/* The lines of INFO and SIDEBUS STATUS: "# Section" and "key:value". */
#ifndef SB_CLI_INFO_H
#define SB_CLI_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/bytes.h"

struct sb_info_field {
  struct sb_bytes section, key, value; /* views of the text that was read */
};

/* Zeroed is empty. */
struct sb_info {
  struct sb_info_field *fields;
  size_t count;
};

/* Adds what `text` says; lines of another form are passed over. `text` outlives the info. */
void sb_info_read(struct sb_info *info, struct sb_bytes text);
void sb_info_close(struct sb_info *info);

/* The first value of that key; false when there is none. */
bool sb_info_find(const struct sb_info *info, const char *key, struct sb_bytes *value);

/* Sections with their fields, aligned, for people. */
void sb_info_print(const struct sb_info *info, struct sb_buf *out);

/* One JSON object that begins with "ready", as given here. Each partition, member and refusal is an object in
 * it. The field decides what is a number and what a text, never the look of its value. A key that came
 * before is written as "section.key", and left out when that came before too. */
void sb_info_json(const struct sb_info *info, bool ready, struct sb_buf *out);

#endif
