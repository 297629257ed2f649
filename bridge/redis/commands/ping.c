/* Small commands: PING, ECHO, TIME, ROLE, SELECT, and the refusals of CLUSTER. */
#include <stdint.h>
#include <sys/time.h>

#include "bridge/base/reply.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"

enum sb_held sb_run_ping(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  if (request->count > 2) {
    sb_reply_error_text(reply, "wrong number of arguments for 'ping' command");
  } else if (c->session.proto == 2 && sb_connection_is_subscribed(c)) {
    sb_reply_array(reply, 2);
    sb_reply_bulk_text(reply, "pong");
    sb_reply_bulk(reply, request->count == 2 ? request->args[1] : sb_bytes(NULL, 0));
  } else if (request->count == 2) {
    sb_reply_bulk(reply, request->args[1]);
  } else {
    sb_reply_simple(reply, "PONG");
  }
  return SB_HELD_NOT;
}

enum sb_held sb_run_echo(struct sb_connection *c, const struct sb_request *request) {
  sb_reply_bulk(sb_reply_of(c), request->args[1]);
  return SB_HELD_NOT;
}

enum sb_held sb_run_select(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  int64_t index;
  if (!sb_bytes_i64(request->args[1], &index))
    sb_reply_error_text(reply, "value is not an integer or out of range");
  else if (index < INT32_MIN || index > INT32_MAX)
    sb_reply_errorf(reply, "value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
  else if (index == 0)
    sb_reply_simple(reply, "OK");
  else {
    sb_note_unsupported(c, "select", sb_bytes_of("other databases"));
    sb_reply_error_text(reply, "DB index is out of range");
  }
  return SB_HELD_NOT;
}

static void bulk_number(struct sb_buf *reply, uint64_t number) {
  char digits[20];
  sb_reply_bulk(reply, sb_bytes(digits, sb_u64_text(number, digits)));
}

enum sb_held sb_run_time(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct timeval now;
  gettimeofday(&now, NULL);
  sb_reply_array(sb_reply_of(c), 2);
  bulk_number(sb_reply_of(c), (uint64_t)now.tv_sec);
  bulk_number(sb_reply_of(c), (uint64_t)now.tv_usec);
  return SB_HELD_NOT;
}

enum sb_held sb_run_role(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_buf *reply = sb_reply_of(c);
  sb_reply_array(reply, 3);
  sb_reply_bulk_text(reply, "master");
  sb_reply_integer(reply, 0);
  sb_reply_array(reply, 0);
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_cluster(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_error_text(sb_reply_of(c), "This instance has cluster support disabled");
  return SB_HELD_NOT;
}
