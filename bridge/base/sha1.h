/* SHA-1 (FIPS 180-4), for the names that Redis gives to scripts. Not for anything that must be secret. */
#ifndef SB_BASE_SHA1_H
#define SB_BASE_SHA1_H

#include "bridge/base/bytes.h"

#define SB_SHA1_TEXT 40 /* digits of it in hexadecimal */

/* Writes the digest in lower-case hexadecimal digits, and a zero. */
void sb_sha1_text(struct sb_bytes text, char out[static SB_SHA1_TEXT + 1]);

#endif
