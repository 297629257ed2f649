/* What is written to a log piece by piece. */
#ifndef SB_CORE_LOG_SENDING_H
#define SB_CORE_LOG_SENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/control.h"

/* A SNAPSHOT or CHECKPOINT that is being sent, piece by piece, or the keys that a founder brings. */
struct sb_sending {
  bool active;
  struct sb_control piece; /* the next one, but for its text */

  struct sb_buf text;
};

#endif
