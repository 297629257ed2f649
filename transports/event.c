#include "transports/transport.h"

static void release(struct sb_delivery *delivery) {
  sb_body_unref(delivery->channel);
  sb_body_unref(delivery->body);
  delivery->channel = NULL;
  delivery->body = NULL;
}

void sb_event_close(struct sb_event *event) {
  if (event->kind == SB_EVENT_DELIVERY) release(&event->delivery);
  if (event->kind == SB_EVENT_STORED) release(&event->stored.message);
}
