/* The table of commands. Arities, flags and groups are Redis's own (COMMAND INFO and COMMAND DOCS of 7.0 and,
 * for CLIENT SETINFO and NO-TOUCH, of 7.2). */
#include "bridge/redis/commands/table.h"

#include <stddef.h>

#include "bridge/redis/commands/handlers.h"

#define LS       (SB_CMD_LOADING | SB_CMD_STALE)
#define LSF      (LS | SB_CMD_FAST)
#define NLS      (SB_CMD_NOSCRIPT | LS)
#define NLSF     (NLS | SB_CMD_FAST)
#define ADMIN    (SB_CMD_ADMIN | NLS)
#define CONN     SB_CMD_CONNECTION
#define ORDERED  SB_CMD_ORDERED
#define FREE     (NLSF | SB_CMD_NO_AUTH | SB_CMD_ALLOW_BUSY | CONN | ORDERED) /* allowed before AUTH */
#define SUB      (SB_CMD_PUBSUB | NLS | SB_CMD_SUBSCRIBED)
#define ASK      (SB_CMD_PUBSUB | LS)
#define PUBSUB   (ASK | ORDERED)
#define READ     (SB_CMD_READONLY | ORDERED | SB_CMD_QUEUED)
#define READF    (READ | SB_CMD_FAST)
#define WRITE    (SB_CMD_WRITE | SB_CMD_QUEUED)
#define WRITEF   (WRITE | SB_CMD_FAST)
#define SETS     (WRITE | SB_CMD_DENYOOM)
#define SETSF    (SETS | SB_CMD_FAST)
#define NO_WATCH (NLSF | SB_CMD_ALLOW_BUSY)
#define MULTI    (NO_WATCH | SB_CMD_IN_MULTI)
#define EVAL                                                                                                 \
  (SB_CMD_NOSCRIPT | SB_CMD_STALE | SB_CMD_SKIP_MONITOR | SB_CMD_NO_MANDATORY_KEYS | SB_CMD_MOVABLEKEYS |    \
   SB_CMD_PUBLISHES)

/* Where keys are, and what is done to them, in Redis's words. */
static const struct sb_key_spec reads = {SB_KEYS_AT, 1, 1, "RO access"}, looks = {SB_KEYS_AT, 1, 1, "RO"},
                                looks_all = {SB_KEYS_AT, 1, -1, "RO"},
                                sets = {SB_KEYS_AT, 1, 1, "RW access update variable_flags"},
                                inserts = {SB_KEYS_AT, 1, 1, "OW insert"},
                                writes = {SB_KEYS_AT, 1, 1, "OW update"},
                                swaps = {SB_KEYS_AT, 1, 1, "RW access update"},
                                takes = {SB_KEYS_AT, 1, 1, "RW access delete"},
                                updates = {SB_KEYS_AT, 1, 1, "RW update"},
                                cuts = {SB_KEYS_AT, 1, 1, "RW delete"},
                                deletes_all = {SB_KEYS_AT, 1, -1, "RM delete"},
                                second_reads = {SB_KEYS_AT, 2, 2, "RO access"},
                                second_updates = {SB_KEYS_AT, 2, 2, "RW update"},
                                second_inserts = {SB_KEYS_AT, 2, 2, "RW insert"},
                                second_deletes = {SB_KEYS_AT, 2, 2, "RW delete"},
                                streams = {SB_KEYS_BEHIND_STREAMS, 1, -1, "RO access"},
                                group_streams = {SB_KEYS_BEHIND_STREAMS, 4, -1, "RO access"},
                                counted = {SB_KEYS_COUNTED, 2, 0, "RW access update"};

static const struct sb_command client_subs[] = {
    {"client|getname", 2, NLS | CONN, sb_run_client_getname, "connection", "2.6.9",
     "The name of this session", NULL, NULL},
    {"client|help", 2, LS | CONN, sb_run_client_help, "connection", "5.0.0", "Text about the subcommands",
     NULL, NULL},
    {"client|id", 2, NLS | CONN, sb_run_client_id, "connection", "5.0.0", "The id of this session", NULL,
     NULL},
    {"client|info", 2, NLS | CONN | ORDERED, sb_run_client_info, "connection", "6.2.0",
     "Facts about this session", NULL, NULL},
    {"client|kill", -3, ADMIN | CONN | ORDERED, sb_run_client_kill, "connection", "2.4.0", "Ends sessions",
     NULL, NULL},
    {"client|list", -2, ADMIN | CONN | ORDERED, sb_run_client_list, "connection", "2.4.0",
     "Facts about sessions", NULL, NULL},
    {"client|no-evict", 3, ADMIN | CONN, sb_run_client_no_evict, "connection", "7.0.0",
     "Spares this session in part when memory is short", NULL, NULL},
    {"client|no-touch", 3, NLS | CONN, sb_run_client_no_touch, "connection", "7.2.0",
     "Accepted, has no effect", NULL, NULL},
    {"client|setinfo", 4, NLS | CONN, sb_run_client_setinfo, "connection", "7.2.0",
     "Says which library connects", NULL, NULL},
    {"client|setname", 3, NLS | CONN, sb_run_client_setname, "connection", "2.6.9", "Names this session",
     NULL, NULL},
    {0},
};

/* Redis checks these names and arities before it says that there is no cluster. */
#define NO_CLUSTER(name, arity, flags)                                                                       \
  {                                                                                                          \
    "cluster|" name, arity, flags, sb_run_no_cluster, "cluster", "3.0.0",                                    \
        "Refused: there is no Redis Cluster", NULL, NULL                                                     \
  }
static const struct sb_command cluster_subs[] = {
    NO_CLUSTER("addslots", -3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("addslotsrange", -4, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("bumpepoch", 2, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("count-failure-reports", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("countkeysinslot", 3, SB_CMD_STALE),
    NO_CLUSTER("delslots", -3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("delslotsrange", -4, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("failover", -2, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("flushslots", 2, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("forget", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("getkeysinslot", 4, SB_CMD_STALE),
    NO_CLUSTER("help", 2, SB_CMD_LOADING | SB_CMD_STALE),
    NO_CLUSTER("info", 2, SB_CMD_STALE),
    NO_CLUSTER("keyslot", 3, SB_CMD_STALE),
    NO_CLUSTER("links", 2, SB_CMD_STALE),
    NO_CLUSTER("meet", -4, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("myid", 2, SB_CMD_STALE),
    NO_CLUSTER("nodes", 2, SB_CMD_STALE),
    NO_CLUSTER("replicas", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("replicate", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("reset", -2, SB_CMD_ADMIN | SB_CMD_NOSCRIPT | SB_CMD_STALE),
    NO_CLUSTER("saveconfig", 2, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("set-config-epoch", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("setslot", -4, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("shards", 2, SB_CMD_STALE),
    NO_CLUSTER("slaves", 3, SB_CMD_ADMIN | SB_CMD_STALE),
    NO_CLUSTER("slots", 2, SB_CMD_STALE),
    {0},
};

static const struct sb_command command_subs[] = {
    {"command|count", 2, LS | CONN, sb_run_command_count, "server", "2.8.13", "The number of commands", NULL,
     NULL},
    {"command|docs", -2, LS | CONN | ORDERED, sb_run_command_docs, "server", "7.0.0", "What commands are for",
     NULL, NULL},
    {"command|getkeys", -4, LS | CONN, sb_run_command_getkeys, "server", "2.8.13", "The keys in a command",
     NULL, NULL},
    {"command|getkeysandflags", -4, LS | CONN, sb_run_command_getkeysandflags, "server", "7.0.0",
     "The keys in a command", NULL, NULL},
    {"command|help", 2, LS | CONN, sb_run_command_help, "server", "5.0.0", "Text about the subcommands", NULL,
     NULL},
    {"command|info", -2, LS | CONN | ORDERED, sb_run_command_info, "server", "2.8.13", "Facts about commands",
     NULL, NULL},
    {"command|list", -2, LS | CONN | ORDERED, sb_run_command_list, "server", "7.0.0",
     "The names of the commands", NULL, NULL},
    {0},
};

static const struct sb_command config_subs[] = {
    {"config|get", -3, ADMIN | ORDERED, sb_run_config_get, "server", "2.0.0", "Settings as Redis names them",
     NULL, NULL},
    {"config|help", 2, LS, sb_run_config_help, "server", "5.0.0", "Text about the subcommands", NULL, NULL},
    {"config|set", -4, ADMIN | ORDERED, sb_run_config_set, "server", "2.0.0",
     "Refused: settings come from a file", NULL, NULL},
    {0},
};

static const struct sb_command pubsub_subs[] = {
    {"pubsub|channels", -2, PUBSUB, sb_run_pubsub_channels, "pubsub", "2.8.0", "This node's channels", NULL,
     NULL},
    {"pubsub|help", 2, LS, sb_run_pubsub_help, "pubsub", "6.2.0", "Text about the subcommands", NULL, NULL},
    {"pubsub|numpat", 2, ASK, sb_run_pubsub_numpat, "pubsub", "2.8.0", "The number of patterns", NULL, NULL},
    {"pubsub|numsub", -2, ASK, sb_run_pubsub_numsub, "pubsub", "2.8.0", "Subscribers of channels", NULL,
     NULL},
    {"pubsub|shardchannels", -2, PUBSUB, sb_run_pubsub_shardchannels, "pubsub", "7.0.0",
     "This node's shard channels", NULL, NULL},
    {"pubsub|shardnumsub", -2, ASK, sb_run_pubsub_shardnumsub, "pubsub", "7.0.0",
     "Subscribers of shard channels", NULL, NULL},
    {0},
};

static const struct sb_command sidebus_subs[] = {
    {"sidebus|gaps", 2, ADMIN | ORDERED, sb_run_sidebus_gaps, "server", SB_VERSION,
     "Where logs have lost something", NULL, NULL},
    {"sidebus|help", 2, LS, sb_run_sidebus_help, "server", SB_VERSION, "Text about the subcommands", NULL,
     NULL},
    {"sidebus|ids", 3, LS | ORDERED, sb_run_sidebus_ids, "server", SB_VERSION,
     "Puts the id before each message of this session", NULL, NULL},
    {"sidebus|nodes", 2, ADMIN | ORDERED, sb_run_sidebus_nodes, "server", SB_VERSION,
     "The members of the logs", NULL, NULL},
    {"sidebus|refused", 2, ADMIN | ORDERED, sb_run_sidebus_refused, "server", SB_VERSION,
     "What was asked for and is not done", NULL, NULL},
    {"sidebus|slot", 3, LS, sb_run_sidebus_slot, "server", SB_VERSION, "Slot and partition of a name", NULL,
     NULL},
    {"sidebus|status", 2, ADMIN | ORDERED, sb_run_sidebus_status, "server", SB_VERSION,
     "How this node is doing", NULL, NULL},
    {0},
};

static const struct sb_command script_subs[] = {
    {"script|exists", -3, SB_CMD_NOSCRIPT, sb_run_script_exists, "scripting", "2.6.0",
     "Which scripts this node knows", NULL, NULL},
    {"script|flush", -2, SB_CMD_NOSCRIPT, sb_run_script_flush, "scripting", "2.6.0", "Forgets scripts", NULL,
     NULL},
    {"script|help", 2, LS, sb_run_script_help, "scripting", "5.0.0", "Text about the subcommands", NULL,
     NULL},
    {"script|load", 3, SB_CMD_NOSCRIPT | SB_CMD_STALE, sb_run_script_load, "scripting", "2.6.0",
     "Names a script that is known", NULL, NULL},
    {0},
};

#define NO_GROUPS "Refused: there are no consumer groups", NULL
static const struct sb_command xgroup_subs[] = {
    {"xgroup|create", -5, SB_CMD_WRITE | SB_CMD_DENYOOM, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS,
     &second_inserts},
    {"xgroup|createconsumer", 5, SB_CMD_WRITE | SB_CMD_DENYOOM, sb_run_no_groups, "stream", "6.2.0",
     NO_GROUPS, &second_inserts},
    {"xgroup|delconsumer", 5, SB_CMD_WRITE, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &second_deletes},
    {"xgroup|destroy", 4, SB_CMD_WRITE, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &second_deletes},
    {"xgroup|help", 2, LS, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, NULL},
    {"xgroup|setid", -5, SB_CMD_WRITE, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &second_updates},
    {0},
};

static const struct sb_command xinfo_subs[] = {
    {"xinfo|consumers", 4, SB_CMD_READONLY | SB_CMD_VARIES, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS,
     &second_reads},
    {"xinfo|groups", 3, SB_CMD_READONLY, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &second_reads},
    {"xinfo|help", 2, LS, sb_run_xinfo_help, "stream", "5.0.0", "Text about the subcommands", NULL, NULL},
    {"xinfo|stream", -3, READ, sb_run_op, "stream", "5.0.0", "Facts about a stream", NULL, &second_reads},
    {0},
};

#define OP(name, arity, flags, group, since, summary, keys)                                                  \
  { name, arity, flags, sb_run_op, group, since, summary, NULL, keys }
const struct sb_command sb_command_table[] = {
    {"publish", 3, SB_CMD_PUBSUB | LSF | SB_CMD_PUBLISHES | SB_CMD_QUEUED, sb_run_publish, "pubsub", "2.0.0",
     "Sends a message to a channel", NULL, NULL},
    {"asking", 1, SB_CMD_FAST | CONN, sb_run_no_cluster, "cluster", "3.0.0",
     "Refused: there is no Redis Cluster", NULL, NULL},
    {"auth", -2, FREE, sb_run_auth, "connection", "1.0.0", "Proves who connects", NULL, NULL},
    {"client", -2, 0, NULL, "connection", "2.4.0", "About sessions", client_subs, NULL},
    {"cluster", -2, 0, NULL, "cluster", "3.0.0", "Refused: there is no Redis Cluster", cluster_subs, NULL},
    {"command", -1, LS | CONN | ORDERED, sb_run_command, "server", "2.8.13", "Facts about all commands",
     command_subs, NULL},
    {"config", -2, 0, NULL, "server", "2.0.0", "Settings", config_subs, NULL},
    {"echo", 2, LSF | CONN | SB_CMD_QUEUED, sb_run_echo, "connection", "1.0.0", "Sends its argument back",
     NULL, NULL},
    {"hello", -1, FREE, sb_run_hello, "connection", "6.0.0", "Chooses the protocol, says who is who", NULL,
     NULL},
    {"info", -1, LS | SB_CMD_DANGEROUS | ORDERED, sb_run_info, "server", "1.0.0", "How this node is doing",
     NULL, NULL},
    {"monitor", 1, ADMIN | ORDERED, sb_run_monitor, "server", "1.0.0", "Shows what this node's sessions send",
     NULL, NULL},
    {"ping", -1, SB_CMD_FAST | CONN | SB_CMD_SUBSCRIBED | SB_CMD_QUEUED, sb_run_ping, "connection", "1.0.0",
     "Answers", NULL, NULL},
    {"psubscribe", -2, SUB, sb_run_psubscribe, "pubsub", "2.0.0", "Subscribes to patterns", NULL, NULL},
    {"pubsub", -2, 0, NULL, "pubsub", "2.8.0", "About subscriptions", pubsub_subs, NULL},
    {"punsubscribe", -1, SUB, sb_run_punsubscribe, "pubsub", "2.0.0", "Ends subscriptions to patterns", NULL,
     NULL},
    {"quit", -1, FREE | SB_CMD_SUBSCRIBED | SB_CMD_IN_MULTI, sb_run_quit, "connection", "1.0.0",
     "Ends this session", NULL, NULL},
    {"readonly", 1, LSF | CONN, sb_run_no_cluster, "cluster", "3.0.0", "Refused: there is no Redis Cluster",
     NULL, NULL},
    {"readwrite", 1, LSF | CONN, sb_run_no_cluster, "cluster", "3.0.0", "Refused: there is no Redis Cluster",
     NULL, NULL},
    {"reset", 1, FREE | SB_CMD_SUBSCRIBED | SB_CMD_IN_MULTI, sb_run_reset, "connection", "6.2.0",
     "Makes this session as new", NULL, NULL},
    {"role", 1, NLSF | SB_CMD_IN_ADMIN | SB_CMD_DANGEROUS, sb_run_role, "server", "2.8.12", "Says master",
     NULL, NULL},
    {"select", 2, LSF | CONN, sb_run_select, "connection", "1.0.0", "Accepts database 0", NULL, NULL},
    {"sidebus", -2, 0, NULL, "server", SB_VERSION, "About this bridge", sidebus_subs, NULL},
    {"spublish", 3, SB_CMD_PUBSUB | LSF | SB_CMD_PUBLISHES | SB_CMD_QUEUED | SB_CMD_NAMES_SHARDS,
     sb_run_spublish, "pubsub", "7.0.0", "Sends a message to a shard channel", NULL, NULL},
    {"ssubscribe", -2, SUB | SB_CMD_NAMES_SHARDS, sb_run_ssubscribe, "pubsub", "7.0.0",
     "Subscribes to shard channels", NULL, NULL},
    {"subscribe", -2, SUB, sb_run_subscribe, "pubsub", "2.0.0", "Subscribes to channels", NULL, NULL},
    {"sunsubscribe", -1, SUB | SB_CMD_NAMES_SHARDS, sb_run_sunsubscribe, "pubsub", "7.0.0",
     "Ends subscriptions to shard channels", NULL, NULL},
    {"time", 1, LSF, sb_run_time, "server", "2.6.0", "The time of this host", NULL, NULL},
    {"multi", 1, MULTI, sb_run_multi, "transactions", "1.2.0", "Begins a transaction", NULL, NULL},
    {"exec", 1, NLS | SB_CMD_SKIP_SLOWLOG | SB_CMD_IN_MULTI, sb_run_exec, "transactions", "1.2.0",
     "Runs a transaction", NULL, NULL},
    {"discard", 1, MULTI, sb_run_discard, "transactions", "2.0.0", "Forgets a transaction", NULL, NULL},
    {"watch", -2, MULTI, sb_run_no_watch, "transactions", "2.2.0", "Refused: use conditions of commands",
     NULL, &looks_all},
    {"unwatch", 1, NO_WATCH | SB_CMD_QUEUED, sb_run_unwatch, "transactions", "2.2.0",
     "Forgets that WATCH was refused", NULL, NULL},
    {"eval", -3, EVAL, sb_run_eval, "scripting", "2.6.0", "Does what a known script does", NULL, &counted},
    {"evalsha", -3, EVAL, sb_run_evalsha, "scripting", "2.6.0", "Does what a known script does", NULL,
     &counted},
    {"script", -2, 0, NULL, "scripting", "2.6.0", "About scripts", script_subs, NULL},

    OP("get", 2, READF, "string", "1.0.0", "The value of a string", &reads),
    OP("set", -3, SETS, "string", "1.0.0", "Gives a key a string", &sets),
    OP("setnx", 3, SETSF, "string", "1.0.0", "Gives a key a string when there is no such key", &inserts),
    OP("setex", 4, SETS, "string", "2.0.0", "Gives a key a string for some seconds", &writes),
    OP("psetex", 4, SETS, "string", "2.6.0", "Gives a key a string for some milliseconds", &writes),
    OP("getset", 3, SETSF, "string", "1.0.0", "Gives a key a string, says what it had", &swaps),
    OP("getdel", 2, WRITEF, "string", "6.2.0", "The value of a string, which it removes", &takes),
    OP("incr", 2, SETSF, "string", "1.0.0", "Adds one", &swaps),
    OP("decr", 2, SETSF, "string", "1.0.0", "Subtracts one", &swaps),
    OP("incrby", 3, SETSF, "string", "1.0.0", "Adds a number", &swaps),
    OP("decrby", 3, SETSF, "string", "1.0.0", "Subtracts a number", &swaps),
    OP("del", -2, WRITE | SB_CMD_SHARDED, "generic", "1.0.0", "Removes keys", &deletes_all),
    OP("unlink", -2, WRITEF | SB_CMD_SHARDED, "generic", "4.0.0", "Removes keys", &deletes_all),
    OP("exists", -2, READF | SB_CMD_SHARDED, "generic", "1.0.0", "How many of the keys there are",
       &looks_all),
    OP("type", 2, READF, "generic", "1.0.0", "What a key holds", &looks),
    OP("ttl", 2, READF | SB_CMD_VARIES, "generic", "1.0.0", "Seconds that a key still has", &reads),
    OP("pttl", 2, READF | SB_CMD_VARIES, "generic", "2.6.0", "Milliseconds that a key still has", &reads),
    OP("expiretime", 2, READF, "generic", "7.0.0", "Until which second a key is there", &reads),
    OP("pexpiretime", 2, READF, "generic", "7.0.0", "Until which millisecond a key is there", &reads),
    OP("expire", -3, WRITEF, "generic", "1.0.0", "Gives a key some seconds", &updates),
    OP("pexpire", -3, WRITEF, "generic", "2.6.0", "Gives a key some milliseconds", &updates),
    OP("expireat", -3, WRITEF, "generic", "1.2.0", "Gives a key time until a second", &updates),
    OP("pexpireat", -3, WRITEF, "generic", "2.6.0", "Gives a key time until a millisecond", &updates),
    OP("persist", 2, WRITEF, "generic", "2.2.0", "Lets a key be there for ever", &updates),

    OP("xadd", -5, SETSF | SB_CMD_VARIES, "stream", "5.0.0", "Adds an entry to a stream", &updates),
    OP("xtrim", -4, WRITE | SB_CMD_VARIES, "stream", "5.0.0", "Removes the oldest entries", &cuts),
    OP("xdel", -3, WRITEF, "stream", "5.0.0", "Removes entries", &cuts),
    OP("xlen", 2, READF, "stream", "5.0.0", "How many entries a stream has", &looks),
    OP("xrange", -4, READ, "stream", "5.0.0", "Entries between two ids", &reads),
    OP("xrevrange", -4, READ, "stream", "5.0.0", "Entries between two ids, the latest first", &reads),
    OP("xread", -4, READ | SB_CMD_BLOCKING | SB_CMD_MOVABLEKEYS, "stream", "5.0.0",
       "Entries of several streams behind ids", &streams),
    {"xinfo", -2, 0, NULL, "stream", "5.0.0", "About a stream", xinfo_subs, NULL},
    {"xgroup", -2, 0, NULL, "stream", "5.0.0", "Refused: there are no consumer groups", xgroup_subs, NULL},
    {"xreadgroup", -7, SB_CMD_WRITE | SB_CMD_BLOCKING | SB_CMD_MOVABLEKEYS, sb_run_no_groups, "stream",
     "5.0.0", NO_GROUPS, &group_streams},
    {"xack", -4, SB_CMD_WRITE | SB_CMD_FAST, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &updates},
    {"xclaim", -6, SB_CMD_WRITE | SB_CMD_FAST | SB_CMD_VARIES, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS,
     &updates},
    {"xautoclaim", -6, SB_CMD_WRITE | SB_CMD_FAST | SB_CMD_VARIES, sb_run_no_groups, "stream", "6.2.0",
     NO_GROUPS, &cuts},
    {"xpending", -3, SB_CMD_READONLY | SB_CMD_VARIES, sb_run_no_groups, "stream", "5.0.0", NO_GROUPS, &reads},
    {"xsetid", -3, SB_CMD_WRITE | SB_CMD_DENYOOM | SB_CMD_FAST, sb_run_no_setid, "stream", "5.0.0",
     "Refused: ids come from the log", NULL, &updates},
    {"unsubscribe", -1, SUB, sb_run_unsubscribe, "pubsub", "2.0.0", "Ends subscriptions to channels", NULL,
     NULL},
    {0},
};
