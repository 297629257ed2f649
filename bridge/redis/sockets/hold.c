#include "bridge/redis/sockets/hold.h"

#include "bridge/base/assert.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"

void sb_waiting_init(struct sb_waiting *waiting) {
  sb_link_init(&waiting->list);
  waiting->count = 0;
}

void sb_connection_hold(struct sb_connection *c, enum sb_held why) {
  struct sb_waiting *waiting = &c->server->waiting;
  SB_ASSERT(c->held == SB_HELD_NOT && why != SB_HELD_NOT);
  c->held = (uint8_t)why;
  if (why == SB_HELD_TURN) sb_share_wait(&c->server->shares, &c->share);
  if (why != SB_HELD_ROOM || sb_link_linked(&c->wait_link)) return;
  sb_link_append(&waiting->list, &c->wait_link);
  waiting->count++;
}

void sb_connection_unhold(struct sb_connection *c) {
  struct sb_waiting *waiting = &c->server->waiting;
  c->held = SB_HELD_NOT;
  if (!sb_link_linked(&c->wait_link)) return;
  SB_ASSERT(waiting->count > 0);
  sb_link_remove(&c->wait_link);
  waiting->count--;
}

void sb_waiting_take(struct sb_waiting *waiting, struct sb_link *batch) {
  sb_link_init(batch);
  sb_link_prepend_all(batch, &waiting->list);
}

void sb_waiting_refuse(struct sb_connection *c, struct sb_link *refused) {
  SB_ASSERT(c->held == SB_HELD_ROOM && sb_link_linked(&c->wait_link));
  sb_link_remove(&c->wait_link);
  sb_link_append(refused, &c->wait_link);
}

void sb_waiting_put_back(struct sb_waiting *waiting, struct sb_link *batch, struct sb_link *refused) {
  sb_link_prepend_all(&waiting->list, refused);
  sb_link_prepend_all(&waiting->list, batch);
  SB_ASSERT((waiting->count > 0) == sb_link_linked(&waiting->list));
}
