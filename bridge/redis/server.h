/* The socket side of the bridge: listeners, sessions, commands. It reads requests, hands what concerns the
 * logs to the core, answers the rest itself, and writes out what the core has gathered for each session.
 *
 * In a loop turn, the daemon: lets libuv call back (sessions are read, the core is fed), then
 *     do sb_core_turn(core); while (sb_server_turn(local));
 * and gives the core's effects to sb_server_room and sb_server_released. All on the loop's thread.
 *
 * Life: new -> start -> (turn …) -> stop_listening -> turn … -> close -> run the loop until no handle is left
 * -> sb_core_free -> free. */
#ifndef SB_REDIS_SERVER_H
#define SB_REDIS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "bridge/base/error.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/server_settings.h"

struct sb_server;

/* Copies what the settings point to. */
struct sb_server *sb_server_new(uv_loop_t *loop, const struct sb_server_settings *settings,
                                const struct sb_server_io *io);

/* Opens the listeners. On an error none stays open. */
int sb_server_start(struct sb_server *server, struct sb_core *core, struct sb_error *error);

/* For a reload: sessions_max, request_bytes, input_bytes and the output limits; of open sessions too, but for
 * request_bytes, which holds from a session's start. */
void sb_server_reload(struct sb_server *server, const struct sb_server_settings *settings);

/* What AUTH takes from now on, also of sessions that are open and have not shown who they are; those that
 * have stay. NULL: none is needed. Copies, and wipes what it replaces. */
void sb_server_passwords(struct sb_server *server, const char *socket_password, const char *tcp_password);

/* At the end of a loop turn, behind sb_core_turn: lets sessions go on whose earlier replies have come, writes
 * out what all have to say, closes who is over a limit. True when the core was fed: call sb_core_turn again.
 */
bool sb_server_turn(struct sb_server *server);

/* Whether the log is to be left alone for a moment because sessions that read cannot follow; `more`:
 * something waits to be taken from it. Ask once a turn, and again behind sb_server_turn; while it is true, at
 * least every SB_PACE_LOOK_MS. */
bool sb_server_log_stands(struct sb_server *server, bool more);

/* What else that needs to know: a message is taken from the log; a link to it was lost. */
void sb_server_log_goes_on(struct sb_server *server);
void sb_server_link_lost(struct sb_server *server);

/* For io.room of the core: sessions that were told to wait offer their requests again, first come, first
 * served. */
void sb_server_room(struct sb_server *server);

/* For io.outputs_full of the core. */
void sb_server_outputs_full(struct sb_server *server, struct sb_session *session, size_t more);

/* For io.released of the core. */
void sb_server_released(struct sb_server *server, struct sb_session *session);

/* A clean stop begins: takes no more connections and removes the socket file; sessions stay. */
void sb_server_stop_listening(struct sb_server *server);

/* Closes listeners and sessions. Its handles are gone when the loop has called back. */
void sb_server_close(struct sb_server *server);

/* After the loop has run down and sb_core_free. NULL is allowed. */
void sb_server_free(struct sb_server *server);

/* The port of the TCP listener, 0 when there is none. */
uint16_t sb_server_tcp_port(const struct sb_server *server);

void sb_server_stats(const struct sb_server *server, struct sb_server_stats *out);

#endif
