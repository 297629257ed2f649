/* Reads one range of a stream once, on a channel of its own, beside the reader that follows the stream:
 *
 *            begin          consume-ok           outcome known            close-ok
 *   SHUT ------------> OPENING -------> READING --------------> CLOSING ----------> SHUT
 *     ^                   | refused or cancelled by the broker                       |
 *     +-------------------+----------------------------------------------------------+
 *
 * It ends with the message at `to`, or with the first one behind it, since a range may end in a hole. It also
 * ends when the broker refuses it, when it is no longer wanted, and when nothing comes for too long: a broker
 * that is asked for something beyond the end of a stream says nothing. One thread: that of its connection. */
#ifndef SB_TRANSPORTS_RABBITMQ_JOB_H
#define SB_TRANSPORTS_RABBITMQ_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/content.h"
#include "transports/rabbitmq/link.h"

enum sb_rabbitmq_job_state { SB_JOB_SHUT, SB_JOB_OPENING, SB_JOB_READING, SB_JOB_CLOSING };

struct sb_rabbitmq_range {
  uint32_t partition;
  uint64_t from, to, token; /* as in sb_transport_ops.read_back */
};

struct sb_rabbitmq_job {
  struct sb_rabbitmq_board *board;
  struct sb_rabbitmq_link *link;
  amqp_channel_t channel;
  atomic_bool unwanted; /* any thread may set it */

  enum sb_rabbitmq_job_state state;
  int64_t due_ms; /* when the state must change by itself; INT64_MAX: never */
  struct sb_rabbitmq_range range;
  uint64_t delivery_tag; /* of the message that `content` holds */
  struct sb_rabbitmq_content content;
  uint32_t unacked;

  enum sb_stored outcome;
  char why[SB_ERROR_TEXT_MAX]; /* it failed; empty: it did not, or was unwanted */
};

/* Channels are numbered from 1 on. */
void sb_rabbitmq_job_init(struct sb_rabbitmq_job *job, struct sb_rabbitmq_board *board,
                          struct sb_rabbitmq_link *link, amqp_channel_t channel);

/* Errors of the next three mean that the connection must be given up. When the state is SHUT again, `outcome`
 * and `why` say how it ended. */
int sb_rabbitmq_job_begin(struct sb_rabbitmq_job *job, const struct sb_rabbitmq_range *range,
                          struct sb_error *error);
int sb_rabbitmq_job_tick(struct sb_rabbitmq_job *job, int64_t now_ms, struct sb_error *error);
int sb_rabbitmq_job_frame(struct sb_rabbitmq_job *job, const amqp_frame_t *frame, struct sb_error *error);

/* The connection is gone. What was given in full stays done. */
void sb_rabbitmq_job_lost(struct sb_rabbitmq_job *job);

/* The thread did not read for `paused_ms`: this time does not count as silence of the broker. */
void sb_rabbitmq_job_pause(struct sb_rabbitmq_job *job, int64_t paused_ms);

#endif
