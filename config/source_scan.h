/* Finds what libconfig takes without a word although nobody can mean it: it cuts a number that does not fit
 * its type (4295032832 becomes 65536), and a comment or text that is not closed swallows the rest of the
 * file. */
#ifndef SB_CONFIG_SOURCE_SCAN_H
#define SB_CONFIG_SOURCE_SCAN_H

#include "bridge/base/bytes.h"

enum sb_source_fault {
  SB_SOURCE_NEEDS_L,   /* the number fits when an L is put behind it */
  SB_SOURCE_TOO_LARGE, /* the number fits no type */
  SB_SOURCE_UNCLOSED_TEXT,
  SB_SOURCE_UNCLOSED_COMMENT,
  SB_SOURCE_INCLUDES, /* no fault: another file, which libconfig opens without a look at what it is */
};

/* `what` is the number without its L, or the name of the file that is included; for the others it is where
 * the text or comment begins, as `line` is. */
typedef void sb_source_fault_found(void *owner, enum sb_source_fault fault, unsigned line,
                                   struct sb_bytes what);

void sb_source_scan(struct sb_bytes text, sb_source_fault_found *found, void *owner);

#endif
