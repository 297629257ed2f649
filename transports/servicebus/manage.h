/* The manager's thread: makes the topic and our subscription of a partition when asked, clears away what
 * earlier lives of this node left, and removes our subscriptions at the end. Requests block, so they have a
 * thread of their own; it meets the I/O thread only in the answers here. */
#ifndef SB_TRANSPORTS_SERVICEBUS_MANAGE_H
#define SB_TRANSPORTS_SERVICEBUS_MANAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "transports/servicebus/board.h"
#include "transports/servicebus/entities.h"

struct sb_servicebus_manage;

struct sb_servicebus_answer {
  uint32_t partition;
  enum sb_servicebus_result topic, subscription; /* of the last one that failed, `error` tells more */
  bool other_topic;                              /* than the last time: others have made it again */
  struct sb_error error;
};

/* Whether both are there. */
bool sb_servicebus_answer_good(const struct sb_servicebus_answer *answer);

struct sb_servicebus_manage *sb_servicebus_manage_new(struct sb_servicebus_board *board,
                                                      struct sb_error *error);
void sb_servicebus_manage_free(struct sb_servicebus_manage *manage); /* after _finish, or before _start */
int sb_servicebus_manage_start(struct sb_servicebus_manage *manage, struct sb_error *error);

/* The I/O thread's. One question per partition at a time; its answer wakes the I/O thread. */
void sb_servicebus_manage_ensure(struct sb_servicebus_manage *manage, uint32_t partition);
bool sb_servicebus_manage_answer(struct sb_servicebus_manage *manage, struct sb_servicebus_answer *answer);

/* Breaks off what is under way, so that _finish need not wait for it. Any thread. */
void sb_servicebus_manage_stop(struct sb_servicebus_manage *manage);

/* After _stop: removes our subscriptions if that is wanted, which takes a few seconds at most, and ends the
 * thread. */
void sb_servicebus_manage_finish(struct sb_servicebus_manage *manage);

#endif
