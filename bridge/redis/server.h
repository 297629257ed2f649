/* The Redis side of the bridge: listeners, sessions, commands. It reads requests, hands what concerns the
 * logs to the core, answers the rest itself, and writes out what the core has gathered for each session.
 *
 * In a turn of the loop the daemon lets libuv call back (sessions are read, the core is fed), then does
 *     do sb_core_turn(core); while (sb_server_turn(server));
 * and gives the core's effects to sb_server_room, sb_server_outputs_full and sb_server_released. All on the
 * loop's thread.
 *
 * Life:
 *     new ─▶ start ─▶ turn … ─▶ stop_listening ─▶ turn … ─▶ close ─▶ the loop runs until no handle is left
 *         ─▶ sb_core_free ─▶ free */
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

/* For a reload: takes sessions_max, memory_bytes, request_bytes, input_bytes and the output limits. They hold
 * for open sessions as well, except request_bytes: a session keeps the one that it began with. */
void sb_server_reload(struct sb_server *server, const struct sb_server_settings *settings);

/* The passwords that AUTH takes from now on; NULL: none is needed. An open session that has not given a
 * password has to give the new one; one that gave the old one stays. Copies the new passwords and wipes the
 * old ones. */
void sb_server_passwords(struct sb_server *server, const char *socket_password, const char *tcp_password);

/* To be called at the end of a loop turn, after sb_core_turn. Sessions whose earlier replies have come go on,
 * output is written, sessions over a limit are closed. True when requests were given to the core: call
 * sb_core_turn again.
 */
bool sb_server_turn(struct sb_server *server);

/* True: take nothing from the log for a moment, so that sessions that read can catch up. `more` says whether
 * something waits in the log. Ask once a turn, and again after sb_server_turn; while the answer is true, ask
 * at least every SB_PACE_LOOK_MS. */
bool sb_server_log_stands(struct sb_server *server, bool more);

/* To be called when a message is taken from the log, and when a link to it was lost. */
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
