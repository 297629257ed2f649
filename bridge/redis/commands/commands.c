#include "bridge/redis/commands/commands.h"

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

struct sb_commands *sb_commands_of(const struct sb_connection *c) {
  return c->server->commands;
}

struct sb_core *sb_hub_of(const struct sb_connection *c) {
  return c->server->core;
}

struct sb_buf *sb_reply_of(const struct sb_connection *c) {
  return &c->server->reply;
}
