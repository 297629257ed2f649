/* MULTI … EXEC: the transaction that a session has begun. */
#ifndef SB_REDIS_COMMANDS_TRANSACTION_H
#define SB_REDIS_COMMANDS_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/redis/commands/command.h"

/* Queues a request of a session that has a transaction, or says why not. */
enum sb_held sb_transaction_queue(struct sb_connection *c, const struct sb_command *command,
                                  const struct sb_request *request);

/* A request was refused before it was run, and the reply says why: an open transaction fails. EXEC ends it in
 * its own words. `command` is NULL when there is none of that name; `fits` is false when it has a wrong
 * number of arguments. */
void sb_transaction_rejected(struct sb_connection *c, const struct sb_command *command, bool fits);

/* Forgets the transaction, if there is one, and that a WATCH was refused. */
void sb_transaction_discard(struct sb_connection *c);

/* How much memory it takes; 0: there is none. */
size_t sb_transaction_bytes(const struct sb_connection *c);

/* How many commands are queued; -1: there is no transaction. */
int64_t sb_transaction_count(const struct sb_connection *c);

#endif
