/* A text that is written to a log piece by piece: a SNAPSHOT, a CHECKPOINT, or the keys that a founder
 * brings. One at a time. */
#ifndef SB_CORE_LOG_SENDING_H
#define SB_CORE_LOG_SENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/control.h"

struct sb_sending {
  bool active;
  struct sb_control piece; /* the next one, but for its text */
  size_t piece_bytes;
  size_t refused_bytes; /* a piece of so many was too large for the broker; 0: none was */
  struct sb_buf text;
};

void sb_sending_close(struct sb_sending *sending);

/* An empty text, to be written; nothing is being sent. */
struct sb_buf *sb_sending_text(struct sb_sending *sending);
/* Begins to send that text in pieces of so many bytes at most: `what` says what it is. */
void sb_sending_begin(struct sb_sending *sending, const struct sb_control *what, size_t piece_bytes);
/* The next piece; false: nothing is being sent. */
bool sb_sending_next(struct sb_sending *sending, struct sb_control *piece);
/* It was handed to the transport; the text goes with the last one. */
void sb_sending_sent(struct sb_sending *sending);
/* The next piece was too large: nothing more of it is sent, and what is begun next has pieces of half the
 * size. */
void sb_sending_refused(struct sb_sending *sending);
/* Another connection may take more. */
void sb_sending_connected(struct sb_sending *sending);
/* Nothing more of it is sent. */
void sb_sending_end(struct sb_sending *sending);
/* It begins with its first piece again: the pieces of one state have one incarnation in common. */
void sb_sending_restart(struct sb_sending *sending);
/* The last one was sent as a whole. */
bool sb_sending_is_complete(const struct sb_sending *sending);

#endif
