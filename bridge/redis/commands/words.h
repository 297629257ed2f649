/* What the commands of one session keep about it: its names, a transaction that it has begun, whether it is
 * in MONITOR mode. Few sessions have any of these, so they are made on first use, and hang on the connection
 * as `words`. Each member is written by the file that is named beside it. */
#ifndef SB_REDIS_COMMANDS_WORDS_H
#define SB_REDIS_COMMANDS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/list.h"

struct sb_transaction;

struct sb_words {
  struct sb_connection *of;
  char *name, *lib_name, *lib_version; /* client.c; NULL: not set */
  struct sb_transaction *transaction;  /* transaction.c: from MULTI to its end; NULL: none */
  bool watch_refused; /* transaction.c: a WATCH was refused; EXEC fails, as nobody checks its condition */
  struct sb_link monitors; /* monitor.c: in the list of those in MONITOR mode */
};

/* The words of the session; makes them when it has none yet. */
struct sb_words *sb_words_of(struct sb_connection *c);

/* Frees them. The session must have no transaction and not be in MONITOR mode. */
void sb_words_free(struct sb_connection *c);

/* How much memory the names take, with the structure. */
size_t sb_words_bytes(const struct sb_words *words);

static inline bool sb_words_has_transaction(const struct sb_connection *c) {
  return c->words && c->words->transaction;
}

static inline bool sb_words_is_monitor(const struct sb_connection *c) {
  return c->words && sb_link_linked(&c->words->monitors);
}

#endif
