/* PUBLISH in floods. */
#ifndef SB_REDIS_COMMANDS_PUBSUB_H
#define SB_REDIS_COMMANDS_PUBSUB_H

#include <stddef.h>

#include "bridge/redis/commands/command.h"

/* Runs a canonical PUBLISH and, with it, those to the same channel that follow it in `input`. Returns as
 * `run` of sb_requests does. When it took more than one, sets *used, and *ran to their number. */
enum sb_held sb_run_publishes(struct sb_connection *c, const struct sb_request *request,
                              struct sb_bytes input, size_t *used, uint32_t *ran);

#endif
