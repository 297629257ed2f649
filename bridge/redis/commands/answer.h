/* What several commands answer alike. */
#ifndef SB_REDIS_COMMANDS_ANSWER_H
#define SB_REDIS_COMMANDS_ANSWER_H

#include "bridge/base/bytes.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/redis/sockets/requests.h"

struct sb_connection;
struct sb_server;

#define SB_CROSS_SLOT         "-CROSSSLOT Keys in request don't hash to the same slot"
#define SB_NO_KEYSPACE_EVENTS "there are no keyspace events here"

/* Puts into the reply, in words, what the core says of a request that it did not take. SB_WAIT: nothing, the
 * session is held until there is room. */
enum sb_held sb_answer_result(struct sb_connection *c, enum sb_result result);

/* The reply that was written confirms a change of subscriptions. The core sends it when every log knows of
 * the change. */
enum sb_held sb_answer_confirmation(struct sb_connection *c);

/* The reply to "<name> HELP"; `name` in upper case, lines ends with NULL. */
void sb_answer_help(struct sb_buf *reply, const char *name, const char *const *lines);

/* The request asks for something that Redis would do and this bridge does not, and the reply is about to say
 * so. It is counted and logged when that is sent. `detail` may be anything, or empty. */
void sb_note_unsupported(struct sb_server *server, const char *name, struct sb_bytes detail);

#endif
