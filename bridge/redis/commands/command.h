/* The table of commands, and how one request is judged and run: name, arity, password, subscribed mode,
 * order.
 *
 * Replies keep the order of requests in the core's ring. What can be answered without looking at the
 * session's earlier requests is answered at once, into the ring; what changes the session or would change
 * with it (flag ORDERED), or would keep a large reply in the ring, waits until the earlier ones are answered.
 */
#ifndef SB_REDIS_COMMANDS_COMMAND_H
#define SB_REDIS_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/core.h"
#include "bridge/redis/protocol/request.h"
#include "bridge/redis/sockets/connection.h"

#define SB_REDIS_VERSION      "7.0.15" /* whose behaviour the commands have */
#define SB_CROSS_SLOT         "-CROSSSLOT Keys in request don't hash to the same slot"
#define SB_NO_KEYSPACE_EVENTS "there are no keyspace events here"

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

  /* What concerns keys: not for a session in MONITOR mode, which Redis counts as a replica. */
  SB_CMD_ON_KEYS = SB_CMD_WRITE | SB_CMD_READONLY | SB_CMD_PUBLISHES,
};

/* Where the keys are among the arguments. */
struct sb_key_spec {
  enum { SB_KEYS_AT, SB_KEYS_BEHIND_STREAMS, SB_KEYS_COUNTED } where;
  int first; /* of SB_KEYS_AT; where the word STREAMS is looked for; the argument that holds their number */
  int last;  /* SB_KEYS_AT: counted from the end when negative */
  const char *access; /* the words of Redis, "RO access" */
};

/* Runs the command: appends the reply to server->reply, nothing when none is due, and returns SB_HELD_NOT. Or
 * returns why it must wait; then nothing has happened. */
typedef enum sb_held sb_command_handler(struct sb_connection *c, const struct sb_request *request);

struct sb_command {
  const char *name; /* in lower case; of a subcommand "client|id" */
  int arity;        /* with the name; negative: at least */
  uint32_t flags;
  sb_command_handler *run; /* NULL for one that has only subcommands */
  const char *group, *since, *summary;
  const struct sb_command *subs;  /* NULL-named at its end; NULL: none */
  const struct sb_key_spec *keys; /* NULL: it has none */
};

/* Judges and runs the request that stands at the start of `input`. SB_HELD_NOT: taken, its reply is in the
 * ring or will be; *used is how much of the input that was, and more than the one request where others like
 * it followed. Otherwise nothing happened and the request is to be offered again. */
enum sb_held sb_command_run(struct sb_connection *c, const struct sb_request *request, struct sb_bytes input,
                            size_t *used);

/* A canonical PUBLISH and, with it, those to the same channel that follow it in `input`; as sb_command_run.
 */
enum sb_held sb_run_publishes(struct sb_connection *c, const struct sb_request *request,
                              struct sb_bytes input, size_t *used);

/* Finds commands by name; filled once from the table. */
#define SB_COMMAND_SLOTS 512 /* a power of two, several times the number of commands */
struct sb_command_index {
  const struct sb_command *slots[SB_COMMAND_SLOTS];
};
void sb_command_index_init(struct sb_command_index *index);

/* NULL when there is none; `name` in any case. */
const struct sb_command *sb_command_find(const struct sb_command_index *index, struct sb_bytes name);
const struct sb_command *sb_command_find_sub(const struct sb_command *command, struct sb_bytes name);

/* The table, for COMMAND. Ends with a NULL name. */
extern const struct sb_command sb_commands[];

/* The keys in the arguments of a command that has some, whose number of arguments is right. Returns how many,
 * and where the first is; -1: they are not to be found. They follow one another. */
int sb_command_keys(const struct sb_command *command, const struct sb_bytes *args, uint32_t count,
                    uint32_t *first);

/* What COMMAND INFO says of keys: the specifications; and the positions of the old form. */
void sb_command_write_key_specs(struct sb_buf *reply, int proto, const struct sb_command *command);
void sb_command_write_key_range(struct sb_buf *reply, const struct sb_command *command);

/* Words between blanks as a set of simple strings. */
void sb_command_write_words(struct sb_buf *reply, int proto, const char *words);

bool sb_command_arity_fits(const struct sb_command *command, uint32_t count);

/* What subcommands call themselves: behind the '|'. */
const char *sb_command_short_name(const struct sb_command *command);

/* The reply to "<name> HELP"; `name` in upper case, lines ends with NULL. */
void sb_command_help(struct sb_buf *reply, const char *name, const char *const *lines);

/* Feeds sessions in MONITOR mode with a command that `c` runs. */
void sb_command_monitor(struct sb_connection *c, const struct sb_request *request);
void sb_command_stop_monitor(struct sb_connection *c);

/* The reply that was written confirms a change of subscriptions: it goes out when every log knows of it. */
enum sb_held sb_command_confirm(struct sb_connection *c);

/* What the core says of a request that it did not take, in words, in the reply. SB_WAIT: the session is
 * held. */
enum sb_held sb_command_refused(struct sb_connection *c, enum sb_result result);

/* The request asks for something that Redis would do and this bridge does not, and the reply is about to say
 * so: counted and told when that is sent. `detail` may be anything, or empty. */
void sb_command_refuse(struct sb_server *server, const char *name, struct sb_bytes detail);

/* MULTI … EXEC. Queues a request of a session that has a transaction, or says why not. */
enum sb_held sb_command_queue(struct sb_connection *c, const struct sb_command *command,
                              const struct sb_request *request);

/* A request was refused before it was run, and the reply says why: an open transaction fails; EXEC ends it
 * in its own words. `command` may be NULL. */
void sb_command_rejected(struct sb_connection *c, const struct sb_command *command, bool fits);

/* Forgets the transaction, if there is one, and that a WATCH was refused. */
void sb_command_discard(struct sb_connection *c);

/* The commands that are queued; -1: there is no transaction. */
int64_t sb_command_queued(const struct sb_connection *c);

/* What it keeps in memory of them. */
size_t sb_command_queued_bytes(const struct sb_connection *c);

/* Ends all subscriptions without telling the session. */
void sb_command_unsubscribe_all(struct sb_connection *c);

static inline bool sb_connection_is_subscribed(const struct sb_connection *c) {
  return c->session.sub_count[SB_SUB_CHANNEL] + c->session.sub_count[SB_SUB_PATTERN] +
             c->session.sub_count[SB_SUB_SHARD] >
         0;
}

/* Handlers, by file. */
sb_command_handler sb_run_auth, sb_run_hello, sb_run_ping, sb_run_echo, sb_run_quit, sb_run_reset,
    sb_run_select, sb_run_time, sb_run_role, sb_run_no_cluster, sb_run_config_get, sb_run_config_set,
    sb_run_config_help; /* commands_connection.c */
sb_command_handler sb_run_client_id, sb_run_client_info, sb_run_client_list, sb_run_client_kill,
    sb_run_client_setname, sb_run_client_getname, sb_run_client_setinfo, sb_run_client_no_evict,
    sb_run_client_no_touch, sb_run_client_help;                                     /* commands_client.c */
sb_command_handler sb_run_op, sb_run_xinfo_help, sb_run_no_groups, sb_run_no_setid; /* commands_keys.c */
sb_command_handler sb_run_multi, sb_run_exec, sb_run_discard, sb_run_no_watch,
    sb_run_unwatch; /* commands_transaction.c */
sb_command_handler sb_run_eval, sb_run_evalsha, sb_run_script_load, sb_run_script_exists, sb_run_script_flush,
    sb_run_script_help; /* commands_script.c */
sb_command_handler sb_run_command, sb_run_command_count, sb_run_command_docs, sb_run_command_getkeys,
    sb_run_command_getkeysandflags, sb_run_command_info, sb_run_command_list,
    sb_run_command_help;        /* commands_command.c */
sb_command_handler sb_run_info; /* info.c */
sb_command_handler sb_run_subscribe, sb_run_psubscribe, sb_run_ssubscribe, sb_run_unsubscribe,
    sb_run_punsubscribe, sb_run_sunsubscribe, sb_run_publish, sb_run_spublish, sb_run_pubsub_channels,
    sb_run_pubsub_numpat, sb_run_pubsub_numsub, sb_run_pubsub_shardchannels, sb_run_pubsub_shardnumsub,
    sb_run_pubsub_help;            /* commands_pubsub.c */
sb_command_handler sb_run_monitor; /* commands_monitor.c */
sb_command_handler sb_run_sidebus_status, sb_run_sidebus_nodes, sb_run_sidebus_gaps, sb_run_sidebus_slot,
    sb_run_sidebus_ids, sb_run_sidebus_refused, sb_run_sidebus_help; /* commands_sidebus.c */

#endif
