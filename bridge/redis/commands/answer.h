/* Answers that several commands give. */
#ifndef SB_REDIS_COMMANDS_ANSWER_H
#define SB_REDIS_COMMANDS_ANSWER_H

#include "bridge/base/bytes.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/redis/sockets/requests.h"

struct sb_connection;

#define SB_CROSS_SLOT         "-CROSSSLOT Keys in request don't hash to the same slot"
#define SB_NO_KEYSPACE_EVENTS "there are no keyspace events here"

/* The core did not take a request: puts the reason into the reply. With SB_WAIT the reply stays empty, and
 * the session is held until there is room. */
enum sb_held sb_answer_result(struct sb_connection *c, enum sb_result result);

/* The reply that was written confirms a change of subscriptions. The core sends it when every log knows of
 * the change. */
enum sb_held sb_answer_confirmation(struct sb_connection *c);

/* The reply to "<name> HELP"; `name` in upper case, lines ends with NULL. */
void sb_answer_help(struct sb_buf *reply, const char *name, const char *const *lines);

/* Call it before the reply refuses something that Redis would do and this bridge does not. It is counted and
 * logged when that reply is sent. `detail` may be any bytes, or none. */
void sb_note_unsupported(struct sb_connection *c, const char *name, struct sb_bytes detail);

#endif
