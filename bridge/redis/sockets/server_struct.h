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

struct sb_commands;

/* All sessions: roster.c. One is in `open` while it is, the oldest first, and then in `closed` until the core
 * lets it go. */
struct sb_roster {
  struct sb_link open, closed;
  uint64_t last_id;
  uint32_t count; /* open ones */
};

/* Sessions that are held until the core has room: hold.c. */
struct sb_waiting {
  struct sb_link list; /* first come, first served */
  uint32_t count;
};

/* Sessions whose output is above the soft limit: soft_limit.c. */
struct sb_soft_limit {
  struct sb_link above; /* the longest first */
  uv_timer_t timer;     /* runs only while somebody is */
};

/* Sessions that may hold the log up: pacing.c. */
struct sb_pacing {
  struct sb_pace pace;
  struct sb_link behind; /* may hold the log up: their outputs are above the mark of `pace` */
  uint64_t logged_ms;    /* when a log line last said that the pace's budget is used up; 0: never */
  uint64_t used_up;      /* how often it had been by then */
};

struct sb_server {
  /* Set by server.c, and read by all. */
  uv_loop_t *loop;
  struct sb_core *core; /* NULL before the start */
  struct sb_server_settings settings;
  struct sb_server_io io;
  uint64_t started_ms; /* of the loop's clock */
  char run_id[41];
  bool timers_open;
  struct sb_listener unix_listener, tcp_listener;

  /* What all sessions of one kind have in common: each is written by the module whose header it comes from.
   */
  struct sb_roster roster;   /* all sessions */
  struct sb_waiting waiting; /* those that wait for room */
  struct sb_shares shares;   /* those that wait for their turn */
  struct sb_soft_limit soft; /* those above the soft output limit */
  struct sb_pacing pacing;   /* those that may hold the log up */

  size_t charged;            /* memory.c: for all sessions */
  uint32_t busy_sessions;    /* connection.c: open, and told -BUSY */
  uv_timer_t stranger_timer; /* strangers.c: runs only while there are strangers */
  uv_poll_cb on_event;       /* events.c: for the socket of a session */
  uint8_t *read_buffer; /* reading.c: 2 * SB_READ_BYTES, for sessions that hold no large part of a request */

  struct sb_requests requests;  /* who runs what sessions ask for */
  struct sb_commands *commands; /* what they keep (commands/commands.h) */
  struct sb_buf reply;          /* to the request that is being run */
  struct sb_server_stats stats; /* each counter is counted by one file */
};

#endif
