/* Bytes from anywhere made safe for a terminal or for JSON. */
#ifndef SB_LOGGING_ESCAPE_H
#define SB_LOGGING_ESCAPE_H

#include "bridge/base/bytes.h"

/* Appends what may stand between the quotes of a JSON text. Bytes that are not UTF-8 become U+FFFD. */
void sb_escape_json(struct sb_bytes text, struct sb_buf *out);

/* Appends one printable line: UTF-8 as it is; control characters, backslashes and bytes that are not UTF-8 as
 * \n, \r, \t, \\ or \xNN. Nothing in it moves a cursor, and the bytes can be told from it. */
void sb_escape_terminal(struct sb_bytes text, struct sb_buf *out);

#endif
