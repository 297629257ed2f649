/* Puts a message together from its frames: header, then body fragments until the announced size (AMQP 0-9-1,
 * 4.2.6). One per channel, since frames of several channels interleave. The body is written straight into the
 * memory that the bridge will own. */
#ifndef SB_TRANSPORTS_RABBITMQ_CONTENT_H
#define SB_TRANSPORTS_RABBITMQ_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/error.h"
#include "transports/rabbitmq/amqp.h"
#include "transports/rabbitmq/headers.h"

enum sb_rabbitmq_content_state { SB_CONTENT_NONE, SB_CONTENT_HEADER, SB_CONTENT_BODY };

/* Storage that the caller holds; zeroed is empty. */
struct sb_rabbitmq_content {
  enum sb_rabbitmq_content_state state; /* what must come next */
  bool keep;                            /* false: the bytes of the body are not wanted */
  bool outside;
  const struct sb_rabbitmq_trust *trust;
  struct sb_rabbitmq_meta meta;
  uint64_t size, got;   /* bytes of the body */
  struct sb_body *body; /* NULL when it is not kept */
};

/* After the method that content follows (deliver, return). `trust` must outlive the message; `outside`: it
 * came through the exchange of other programs. */
void sb_rabbitmq_content_begin(struct sb_rabbitmq_content *content, bool keep,
                               const struct sb_rabbitmq_trust *trust, bool outside);

/* 1 when the message is complete, 0 when more must come, SB_ERR_PROTOCOL. What is complete stays in
 * `content`, the body and the channel in `meta` with it, until they are taken (set to NULL by the taker) or
 * _close. A body above SB_BODY_BYTES_MAX is not kept, and the message marked as malformed. */
int sb_rabbitmq_content_feed(struct sb_rabbitmq_content *content, const amqp_frame_t *frame,
                             struct sb_error *error);

void sb_rabbitmq_content_close(struct sb_rabbitmq_content *content);

#endif
