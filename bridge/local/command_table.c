/* The table of commands. Arities, flags and groups are Redis's own (COMMAND INFO and COMMAND DOCS of 7.0 and,
 * for CLIENT SETINFO and NO-TOUCH, of 7.2). */
#include <stddef.h>

#include "bridge/local/command.h"

#define LS      (SB_CMD_LOADING | SB_CMD_STALE)
#define LSF     (LS | SB_CMD_FAST)
#define NLS     (SB_CMD_NOSCRIPT | LS)
#define NLSF    (NLS | SB_CMD_FAST)
#define ADMIN   (SB_CMD_ADMIN | NLS)
#define CONN    SB_CMD_CONNECTION
#define ORDERED SB_CMD_ORDERED
#define FREE    (NLSF | SB_CMD_NO_AUTH | SB_CMD_ALLOW_BUSY | CONN | ORDERED) /* allowed before AUTH */
#define SUB     (SB_CMD_PUBSUB | NLS | SB_CMD_SUBSCRIBED)
#define ASK     (SB_CMD_PUBSUB | LS)
#define PUBSUB  (ASK | ORDERED)

static const struct sb_command client_subs[] = {
    {"client|getname", 2, NLS | CONN, sb_run_client_getname, "connection", "2.6.9",
     "The name of this session", NULL},
    {"client|help", 2, LS | CONN, sb_run_client_help, "connection", "5.0.0", "Text about the subcommands",
     NULL},
    {"client|id", 2, NLS | CONN, sb_run_client_id, "connection", "5.0.0", "The id of this session", NULL},
    {"client|info", 2, NLS | CONN | ORDERED, sb_run_client_info, "connection", "6.2.0",
     "Facts about this session", NULL},
    {"client|kill", -3, ADMIN | CONN | ORDERED, sb_run_client_kill, "connection", "2.4.0", "Ends sessions",
     NULL},
    {"client|list", -2, ADMIN | CONN | ORDERED, sb_run_client_list, "connection", "2.4.0",
     "Facts about sessions", NULL},
    {"client|no-evict", 3, ADMIN | CONN, sb_run_client_no_evict, "connection", "7.0.0",
     "Accepted, has no effect", NULL},
    {"client|no-touch", 3, NLS | CONN, sb_run_client_no_touch, "connection", "7.2.0",
     "Accepted, has no effect", NULL},
    {"client|setinfo", 4, NLS | CONN, sb_run_client_setinfo, "connection", "7.2.0",
     "Says which library connects", NULL},
    {"client|setname", 3, NLS | CONN, sb_run_client_setname, "connection", "2.6.9", "Names this session",
     NULL},
    {0},
};

/* Redis checks these names and arities before it says that there is no cluster. */
#define NO_CLUSTER(name, arity, flags)                                                                       \
  {                                                                                                          \
    "cluster|" name, arity, flags, sb_run_no_cluster, "cluster", "3.0.0",                                    \
        "Refused: there is no Redis Cluster", NULL                                                           \
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
    {"command|count", 2, LS | CONN, sb_run_command_count, "server", "2.8.13", "The number of commands", NULL},
    {"command|docs", -2, LS | CONN | ORDERED, sb_run_command_docs, "server", "7.0.0", "What commands are for",
     NULL},
    {"command|getkeys", -4, LS | CONN, sb_run_command_getkeys, "server", "2.8.13", "The keys in a command",
     NULL},
    {"command|getkeysandflags", -4, LS | CONN, sb_run_command_getkeys, "server", "7.0.0",
     "The keys in a command", NULL},
    {"command|help", 2, LS | CONN, sb_run_command_help, "server", "5.0.0", "Text about the subcommands",
     NULL},
    {"command|info", -2, LS | CONN | ORDERED, sb_run_command_info, "server", "2.8.13", "Facts about commands",
     NULL},
    {"command|list", -2, LS | CONN | ORDERED, sb_run_command_list, "server", "7.0.0",
     "The names of the commands", NULL},
    {0},
};

static const struct sb_command config_subs[] = {
    {"config|get", -3, ADMIN | ORDERED, sb_run_config_get, "server", "2.0.0", "Settings as Redis names them",
     NULL},
    {"config|help", 2, LS, sb_run_config_help, "server", "5.0.0", "Text about the subcommands", NULL},
    {0},
};

static const struct sb_command pubsub_subs[] = {
    {"pubsub|channels", -2, PUBSUB, sb_run_pubsub_channels, "pubsub", "2.8.0", "This node's channels", NULL},
    {"pubsub|help", 2, LS, sb_run_pubsub_help, "pubsub", "6.2.0", "Text about the subcommands", NULL},
    {"pubsub|numpat", 2, ASK, sb_run_pubsub_numpat, "pubsub", "2.8.0", "The number of patterns", NULL},
    {"pubsub|numsub", -2, ASK, sb_run_pubsub_numsub, "pubsub", "2.8.0", "Subscribers of channels", NULL},
    {"pubsub|shardchannels", -2, PUBSUB, sb_run_pubsub_shardchannels, "pubsub", "7.0.0",
     "This node's shard channels", NULL},
    {"pubsub|shardnumsub", -2, ASK, sb_run_pubsub_shardnumsub, "pubsub", "7.0.0",
     "Subscribers of shard channels", NULL},
    {0},
};

static const struct sb_command sidebus_subs[] = {
    {"sidebus|gaps", 2, ADMIN | ORDERED, sb_run_sidebus_gaps, "server", SB_VERSION,
     "Where logs have lost something", NULL},
    {"sidebus|help", 2, LS, sb_run_sidebus_help, "server", SB_VERSION, "Text about the subcommands", NULL},
    {"sidebus|nodes", 2, ADMIN | ORDERED, sb_run_sidebus_nodes, "server", SB_VERSION,
     "The members of the logs", NULL},
    {"sidebus|slot", 3, LS, sb_run_sidebus_slot, "server", SB_VERSION, "Slot and partition of a name", NULL},
    {"sidebus|status", 2, ADMIN | ORDERED, sb_run_sidebus_status, "server", SB_VERSION,
     "How this node is doing", NULL},
    {0},
};

const struct sb_command sb_commands[] = {
    {"publish", 3, SB_CMD_PUBSUB | LSF | SB_CMD_PUBLISHES, sb_run_publish, "pubsub", "2.0.0",
     "Sends a message to a channel", NULL},
    {"asking", 1, SB_CMD_FAST | CONN, sb_run_no_cluster, "cluster", "3.0.0",
     "Refused: there is no Redis Cluster", NULL},
    {"auth", -2, FREE, sb_run_auth, "connection", "1.0.0", "Proves who connects", NULL},
    {"client", -2, 0, NULL, "connection", "2.4.0", "About sessions", client_subs},
    {"cluster", -2, 0, NULL, "cluster", "3.0.0", "Refused: there is no Redis Cluster", cluster_subs},
    {"command", -1, LS | CONN | ORDERED, sb_run_command, "server", "2.8.13", "Facts about all commands",
     command_subs},
    {"config", -2, 0, NULL, "server", "2.0.0", "Settings", config_subs},
    {"echo", 2, LSF | CONN, sb_run_echo, "connection", "1.0.0", "Sends its argument back", NULL},
    {"hello", -1, FREE, sb_run_hello, "connection", "6.0.0", "Chooses the protocol, says who is who", NULL},
    {"info", -1, LS | SB_CMD_DANGEROUS | ORDERED, sb_run_info, "server", "1.0.0", "How this node is doing",
     NULL},
    {"monitor", 1, ADMIN | ORDERED, sb_run_monitor, "server", "1.0.0", "Shows what this node's sessions send",
     NULL},
    {"ping", -1, SB_CMD_FAST | CONN | SB_CMD_SUBSCRIBED, sb_run_ping, "connection", "1.0.0", "Answers", NULL},
    {"psubscribe", -2, SUB, sb_run_psubscribe, "pubsub", "2.0.0", "Subscribes to patterns", NULL},
    {"pubsub", -2, 0, NULL, "pubsub", "2.8.0", "About subscriptions", pubsub_subs},
    {"punsubscribe", -1, SUB, sb_run_punsubscribe, "pubsub", "2.0.0", "Ends subscriptions to patterns", NULL},
    {"quit", -1, FREE | SB_CMD_SUBSCRIBED, sb_run_quit, "connection", "1.0.0", "Ends this session", NULL},
    {"readonly", 1, LSF | CONN, sb_run_no_cluster, "cluster", "3.0.0", "Refused: there is no Redis Cluster",
     NULL},
    {"readwrite", 1, LSF | CONN, sb_run_no_cluster, "cluster", "3.0.0", "Refused: there is no Redis Cluster",
     NULL},
    {"reset", 1, FREE | SB_CMD_SUBSCRIBED, sb_run_reset, "connection", "6.2.0", "Makes this session as new",
     NULL},
    {"role", 1, NLSF | SB_CMD_IN_ADMIN | SB_CMD_DANGEROUS, sb_run_role, "server", "2.8.12", "Says master",
     NULL},
    {"select", 2, LSF | CONN, sb_run_select, "connection", "1.0.0", "Accepts database 0", NULL},
    {"sidebus", -2, 0, NULL, "server", SB_VERSION, "About this bridge", sidebus_subs},
    {"spublish", 3, SB_CMD_PUBSUB | LSF | SB_CMD_PUBLISHES | SB_CMD_NAMES_SHARDS, sb_run_spublish, "pubsub",
     "7.0.0", "Sends a message to a shard channel", NULL},
    {"ssubscribe", -2, SUB | SB_CMD_NAMES_SHARDS, sb_run_ssubscribe, "pubsub", "7.0.0",
     "Subscribes to shard channels", NULL},
    {"subscribe", -2, SUB, sb_run_subscribe, "pubsub", "2.0.0", "Subscribes to channels", NULL},
    {"sunsubscribe", -1, SUB | SB_CMD_NAMES_SHARDS, sb_run_sunsubscribe, "pubsub", "7.0.0",
     "Ends subscriptions to shard channels", NULL},
    {"time", 1, LSF, sb_run_time, "server", "2.6.0", "The time of this host", NULL},
    {"unsubscribe", -1, SUB, sb_run_unsubscribe, "pubsub", "2.0.0", "Ends subscriptions to channels", NULL},
    {0},
};
