/* What all sessions of a node share: listeners, lists of sessions, buffers for the request that is being
 * served, figures. bridge/redis/server.c makes it. */
#ifndef SB_REDIS_SOCKETS_SERVER_STRUCT_H
#define SB_REDIS_SOCKETS_SERVER_STRUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "bridge/base/bytes.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/list.h"
#include "bridge/redis/sockets/listener.h"
#include "bridge/redis/sockets/pace.h"
#include "bridge/redis/sockets/requests.h"
#include "bridge/redis/sockets/server_settings.h"
#include "bridge/redis/sockets/share.h"

struct sb_command;
struct sb_commands;

struct sb_server {
  uv_loop_t *loop;
  struct sb_core *core; /* NULL before the start */
  struct sb_server_settings settings;
  struct sb_server_io io;
  uv_poll_cb on_event; /* for the socket of a session: events.c */

  struct sb_listener unix_listener, tcp_listener;

  /* Of connections. A connection is in `all` while it is open, afterwards in `closed` until the core lets it
   * go. */
  struct sb_link all, closed;
  struct sb_link waiting;  /* for room: first come, first served */
  struct sb_link soft;     /* above the soft output limit, the longest first */
  struct sb_shares shares; /* who waits for its turn */
  struct sb_link behind;   /* may hold the log up: their outputs are above the mark of `pace` */
  uint32_t waiting_count;
  size_t charged;         /* of all sessions; see memory.h */
  uint32_t busy_sessions; /* open, and told -BUSY */

  struct sb_pace pace;
  uint64_t pace_told_ms; /* when a log line last said that the pace's budget is used up; 0: never */
  uint64_t pace_used_up; /* how often it had been by then */

  uv_timer_t stranger_timer; /* runs only while there are strangers */
  uv_timer_t soft_timer;     /* runs only while `soft` is not empty */
  bool timers_open;

  uint8_t *read_buffer;         /* 2 * SB_READ_BYTES, for sessions that hold no large part of a request */
  struct sb_buf reply;          /* of the command being evaluated */
  struct sb_requests requests;  /* who runs what sessions ask for */
  struct sb_commands *commands; /* what they keep (commands/commands.h) */
  uint64_t next_id;
  uint64_t started_ms; /* of the loop's clock */
  char run_id[41];
  struct sb_server_stats stats;
};

#endif
