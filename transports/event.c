#include "transports/transport.h"

void sb_event_close(struct sb_event *event) {
  if (event->kind != SB_EVENT_DELIVERY) return;
  sb_body_unref(event->delivery.channel);
  sb_body_unref(event->delivery.body);
  event->delivery.channel = NULL;
  event->delivery.body = NULL;
}
