/* Redis's glob: `*`, `?`, `[a-c]`, `[^a]`, `\` before a character taken as it is. Bytes, case-sensitive. */
#ifndef SB_CORE_GLOB_H
#define SB_CORE_GLOB_H

#include <stdbool.h>

#include "bridge/base/bytes.h"

bool sb_glob_match(struct sb_bytes pattern, struct sb_bytes text);

#endif
