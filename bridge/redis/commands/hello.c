/* Who connects, and how: HELLO, AUTH, RESET, QUIT. */
#include <string.h>

#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/client.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/monitor.h"
#include "bridge/redis/commands/transaction.h"
#include "bridge/redis/sockets/authentication.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/listener.h"

#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled."

enum sb_held sb_run_quit(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_simple(sb_reply_of(c), "OK");
  sb_connection_finish(c);
  return SB_HELD_NOT;
}

/* Takes the same time however many bytes are right. */
static bool secret_equals(const char *secret, struct sb_bytes given) {
  size_t len = strlen(secret);
  unsigned differs = len != given.len;
  for (size_t i = 0; i < given.len; i++)
    differs |= (unsigned)(given.at[i] ^ (uint8_t)secret[len ? i % len : 0]);
  return differs == 0;
}

/* Without a configured password every AUTH is right: clients whose connection string has one would otherwise
 * reconnect for ever. */
static bool authenticate(struct sb_connection *c, struct sb_bytes user, struct sb_bytes password) {
  const char *secret = c->listener->password;
  if (secret) {
    bool right = secret_equals(secret, password);
    if (!right || !sb_bytes_equal(user, sb_bytes_of("default"))) return false;
  }
  sb_stranger_set(c, false);
  return true;
}

enum sb_held sb_run_auth(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  struct sb_bytes user = request->count == 3 ? request->args[1] : sb_bytes_of("default");
  if (request->count > 3)
    sb_reply_error_text(reply, "syntax error");
  else if (authenticate(c, user, request->args[request->count - 1]))
    sb_reply_simple(reply, "OK");
  else if (!sb_stranger_may_be_told(c))
    return SB_HELD_PASSWORD;
  else
    sb_reply_error_text(reply, WRONGPASS);
  return SB_HELD_NOT;
}

/* [AUTH user password] [SETNAME name]; false: the reply says what is wrong, or *held that it comes later. */
static bool hello_options(struct sb_connection *c, const struct sb_request *request, enum sb_held *held) {
  struct sb_buf *reply = sb_reply_of(c);
  for (uint32_t i = 2; i < request->count; i++) {
    uint32_t more = request->count - 1 - i;
    if (sb_bytes_is(request->args[i], "AUTH") && more >= 2) {
      if (!authenticate(c, request->args[i + 1], request->args[i + 2])) {
        if (sb_stranger_may_be_told(c))
          sb_reply_error_text(reply, WRONGPASS);
        else
          *held = SB_HELD_PASSWORD;
        return false;
      }
      i += 2;
    } else if (sb_bytes_is(request->args[i], "SETNAME") && more >= 1) {
      if (!sb_client_set_name(c, request->args[i + 1], reply)) return false;
      i++;
    } else {
      struct sb_bytes option = request->args[i];
      sb_reply_errorf(reply, "Syntax error in HELLO option '%.*s'",
                      (int)strnlen((const char *)option.at, option.len), (const char *)option.at);
      return false;
    }
  }
  return true;
}

enum sb_held sb_run_hello(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  int64_t version = 0;
  if (request->count > 1) {
    if (!sb_bytes_i64(request->args[1], &version)) {
      sb_reply_error_text(reply, "Protocol version is not an integer or out of range");
      return SB_HELD_NOT;
    }
    if (version != 2 && version != 3) {
      sb_reply_error_text(reply, "-NOPROTO unsupported protocol version");
      return SB_HELD_NOT;
    }
  }
  enum sb_held held = SB_HELD_NOT;
  if (!hello_options(c, request, &held)) return held;
  if (c->stranger) {
    sb_reply_error_text(
        reply, "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
               "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
               "protocol version at the same time");
    return SB_HELD_NOT;
  }
  if (version != 0) sb_session_speak(&c->session, (uint8_t)version);
  if (version == 2) sb_session_send_ids(&c->session, false);
  sb_reply_map(reply, c->session.proto, 7);
  sb_reply_bulk_text(reply, "server");
  sb_reply_bulk_text(reply, "redis");
  sb_reply_bulk_text(reply, "version");
  sb_reply_bulk_text(reply, SB_REDIS_VERSION);
  sb_reply_bulk_text(reply, "proto");
  sb_reply_integer(reply, c->session.proto);
  sb_reply_bulk_text(reply, "id");
  sb_reply_integer(reply, (int64_t)c->id);
  sb_reply_bulk_text(reply, "mode");
  sb_reply_bulk_text(reply, "standalone");
  sb_reply_bulk_text(reply, "role");
  sb_reply_bulk_text(reply, "master");
  sb_reply_bulk_text(reply, "modules");
  sb_reply_array(reply, 0);
  return SB_HELD_NOT;
}

enum sb_held sb_run_reset(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (sb_core_unsubscribing(sb_hub_of(c), &c->session) != SB_DONE) return SB_HELD_ROOM;
  sb_monitor_stop(c);
  sb_transaction_discard(c);
  sb_core_reset(sb_hub_of(c), &c->session);
  sb_client_set_name(c, sb_bytes(NULL, 0), sb_reply_of(c));
  sb_session_speak(&c->session, 2);
  sb_session_send_ids(&c->session, false);
  sb_stranger_set(c, c->listener->password != NULL);
  sb_reply_simple(sb_reply_of(c), "RESET");
  return sb_answer_confirmation(c);
}
