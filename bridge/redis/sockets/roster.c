#include "bridge/redis/sockets/roster.h"

#include "bridge/base/assert.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/server_struct.h"

void sb_roster_init(struct sb_roster *roster) {
  *roster = (struct sb_roster){0};
  sb_link_init(&roster->open);
  sb_link_init(&roster->closed);
}

void sb_roster_add(struct sb_connection *c) {
  struct sb_roster *roster = &c->server->roster;
  c->id = ++roster->last_id;
  sb_link_append(&roster->open, &c->link);
  roster->count++;
  c->listener->sessions++;
}

void sb_roster_close(struct sb_connection *c) {
  struct sb_roster *roster = &c->server->roster;
  SB_ASSERT(roster->count > 0 && c->listener->sessions > 0 && c->listener->sessions <= roster->count);
  sb_link_remove(&c->link);
  sb_link_append(&roster->closed, &c->link);
  roster->count--;
  c->listener->sessions--;
}

void sb_roster_remove(struct sb_connection *c) {
  sb_link_remove(&c->link);
}
