/* What a command is: name, arity, flags, where its keys are, and the function that runs it. The table of them
 * is in table.c; run.c judges a request and runs it.
 *
 * Replies keep the order of requests in the core's ring. A command whose answer does not depend on the
 * session's earlier requests is answered at once, into the ring. One that changes the session or depends on
 * it (flag ORDERED), and one that would keep a large reply in the ring, waits until the earlier ones are
 * answered. */
#ifndef SB_REDIS_COMMANDS_COMMAND_H
#define SB_REDIS_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/redis/protocol/request.h"
#include "bridge/redis/sockets/requests.h"

#define SB_REDIS_VERSION "7.0.15" /* whose behaviour the commands have */

struct sb_connection;

/* Flags as COMMAND INFO names them, in Redis's order, and ours. */
enum sb_command_flag {
  SB_CMD_WRITE = 1 << 0,
  SB_CMD_READONLY = 1 << 1,
  SB_CMD_DENYOOM = 1 << 2,
  SB_CMD_ADMIN = 1 << 3,
  SB_CMD_PUBSUB = 1 << 4,
  SB_CMD_NOSCRIPT = 1 << 5,
  SB_CMD_BLOCKING = 1 << 6,
  SB_CMD_LOADING = 1 << 7,
  SB_CMD_STALE = 1 << 8,
  SB_CMD_SKIP_MONITOR = 1 << 9,
  SB_CMD_SKIP_SLOWLOG = 1 << 10,
  SB_CMD_FAST = 1 << 11,
  SB_CMD_NO_AUTH = 1 << 12,
  SB_CMD_NO_MANDATORY_KEYS = 1 << 13,
  SB_CMD_ALLOW_BUSY = 1 << 14,
  SB_CMD_MOVABLEKEYS = 1 << 15,
  SB_CMD_NAMED_FLAGS = 16,

  SB_CMD_CONNECTION = 1 << 16,   /* in category @connection */
  SB_CMD_DANGEROUS = 1 << 17,    /* in @dangerous without being admin */
  SB_CMD_IN_ADMIN = 1 << 18,     /* in @admin without being admin */
  SB_CMD_ORDERED = 1 << 19,      /* evaluated when all earlier requests are answered */
  SB_CMD_SUBSCRIBED = 1 << 20,   /* allowed in RESP2 while subscribed */
  SB_CMD_PUBLISHES = 1 << 21,    /* may publish without being a write command */
  SB_CMD_NAMES_SHARDS = 1 << 22, /* its arguments are shard channels: COMMAND INFO gives their positions */
  SB_CMD_QUEUED = 1 << 23,       /* may be part of a transaction */
  SB_CMD_IN_MULTI = 1 << 24,     /* runs at once between MULTI and EXEC */
  SB_CMD_VARIES = 1 << 25,       /* a tip: two Redises may answer differently */
  SB_CMD_SHARDED = 1 << 26,      /* a tip: may be split by key, the replies be added up */

  /* Commands about keys: refused to a session in MONITOR mode, which Redis counts as a replica. */
  SB_CMD_ON_KEYS = SB_CMD_WRITE | SB_CMD_READONLY | SB_CMD_PUBLISHES,
};

/* Where the keys are among the arguments. */
struct sb_key_spec {
  enum { SB_KEYS_AT, SB_KEYS_BEHIND_STREAMS, SB_KEYS_COUNTED } where;
  int first; /* SB_KEYS_AT: the first key; else where to look for STREAMS, or for the number of keys */
  int last;  /* SB_KEYS_AT: counted from the end when negative */
  const char *access; /* the words of Redis, "RO access" */
};

/* Runs the command. It appends the reply to server->reply, nothing when none is due, and returns SB_HELD_NOT;
 * or it returns why the request must wait, and then nothing has happened. */
typedef enum sb_held sb_command_handler(struct sb_connection *c, const struct sb_request *request);

struct sb_command {
  const char *name; /* in lower case; of a subcommand "client|id" */
  int arity;        /* with the name; negative: at least */
  uint32_t flags;
  sb_command_handler *run; /* NULL for one that has only subcommands */
  const char *group, *since, *summary;
  const struct sb_command *subs;  /* ends with a NULL name; NULL: none */
  const struct sb_key_spec *keys; /* NULL: it has none */
};

/* Finds commands by name; filled once from a table. */
#define SB_COMMAND_SLOTS 512 /* a power of two, several times the number of commands */
struct sb_command_index {
  const struct sb_command *table; /* ends with a NULL name */
  const struct sb_command *slots[SB_COMMAND_SLOTS];
};
void sb_command_index_init(struct sb_command_index *index, const struct sb_command *table);

/* NULL when there is none; `name` in any case. */
const struct sb_command *sb_command_find(const struct sb_command_index *index, struct sb_bytes name);
const struct sb_command *sb_command_find_sub(const struct sb_command *command, struct sb_bytes name);

bool sb_command_arity_fits(const struct sb_command *command, uint32_t count);

/* The name behind the '|', for a subcommand. */
const char *sb_command_short_name(const struct sb_command *command);

#endif
