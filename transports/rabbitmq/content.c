#include "transports/rabbitmq/content.h"

#include <string.h>

void sb_rabbitmq_content_close(struct sb_rabbitmq_content *content) {
  sb_body_unref(content->body);
  sb_body_unref(content->meta.channel);
  *content = (struct sb_rabbitmq_content){0};
}

void sb_rabbitmq_content_begin(struct sb_rabbitmq_content *content, bool keep,
                               const struct sb_rabbitmq_trust *trust, bool outside) {
  sb_rabbitmq_content_close(content);
  content->state = SB_CONTENT_HEADER;
  content->keep = keep;
  content->trust = trust;
  content->outside = outside;
}

static void feed_header(struct sb_rabbitmq_content *content, const amqp_frame_t *frame) {
  sb_rabbitmq_headers_decode(frame->payload.properties.decoded, content->trust, content->outside,
                             &content->meta);
  content->size = frame->payload.properties.body_size;
  content->got = 0;
  content->state = SB_CONTENT_BODY;
  if (!content->keep) return;
  if (content->size > (uint64_t)SB_BODY_BYTES_MAX) {
    content->meta.envelope.malformed = true;
    content->keep = false;
    content->body = sb_body_new(0);
    return;
  }
  content->body = sb_body_new((size_t)content->size);
}

static int feed_body(struct sb_rabbitmq_content *content, const amqp_frame_t *frame, struct sb_error *error) {
  amqp_bytes_t fragment = frame->payload.body_fragment;
  if (fragment.len > content->size - content->got)
    return sb_error_set(error, SB_ERR_PROTOCOL, "a body is longer than its header announced");
  if (content->keep && fragment.len) memcpy(content->body->data + content->got, fragment.bytes, fragment.len);
  content->got += fragment.len;
  return 0;
}

int sb_rabbitmq_content_feed(struct sb_rabbitmq_content *content, const amqp_frame_t *frame,
                             struct sb_error *error) {
  if (content->state == SB_CONTENT_HEADER && frame->frame_type == AMQP_FRAME_HEADER) {
    feed_header(content, frame);
  } else if (content->state == SB_CONTENT_BODY && frame->frame_type == AMQP_FRAME_BODY) {
    int rc = feed_body(content, frame, error);
    if (rc) return rc;
  } else {
    return sb_error_set(error, SB_ERR_PROTOCOL, "a frame of type %d where none was due",
                        (int)frame->frame_type);
  }
  if (content->got < content->size) return 0;
  content->state = SB_CONTENT_NONE;
  return 1;
}
