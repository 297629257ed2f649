/* The settings of one node, typed, checked and complete.
 *
 * One table of keys (config_keys.c) holds for every key its type, range and default; loading, checking,
 * printing and reloading all go by it. A file is read with libconfig; every problem of a file is reported at
 * once, as "file:line: what is wrong; what would be right".
 *
 * Secrets come from files or the environment. They are never printed, and wiped by sb_config_free. Storage is
 * the caller's; what a struct sb_config points to belongs to it. One thread at a time. */
#ifndef SB_CONFIG_CONFIG_H
#define SB_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"

enum sb_config_broker { SB_CONFIG_MEMORY, SB_CONFIG_RABBITMQ, SB_CONFIG_SERVICEBUS };
enum sb_config_servicebus_auth { SB_CONFIG_SERVICEBUS_CBS, SB_CONFIG_SERVICEBUS_PLAIN };
enum sb_config_servicebus_tier { SB_CONFIG_SERVICEBUS_STANDARD, SB_CONFIG_SERVICEBUS_PREMIUM };
enum sb_config_servicebus_receive { SB_CONFIG_SERVICEBUS_PEEK_LOCK, SB_CONFIG_SERVICEBUS_RECEIVE_AND_DELETE };
enum sb_config_outage { SB_CONFIG_OUTAGE_WAIT, SB_CONFIG_OUTAGE_REFUSE };
enum sb_config_compression { SB_CONFIG_COMPRESSION_AUTO, SB_CONFIG_COMPRESSION_OFF };
enum sb_config_log_format { SB_CONFIG_LOG_TEXT, SB_CONFIG_LOG_JSON };

struct sb_config_texts {
  bool set; /* the file has it, if only as an empty list, or there is a default */
  size_t count;
  char **items;
};

struct sb_config_host {
  bool tls;
  uint16_t port;
  char *name; /* a name or an address; an IPv6 address without its brackets */
};

struct sb_config_origin;

struct sb_config {
  struct sb_config_origin *origin; /* where each setting stands; internal to config/ */

  char *node;

  struct {
    char *path;
    uint32_t mode;
    char *group;                        /* NULL: the group of the process */
    gid_t gid;                          /* of `group` */
    struct sb_config_texts allow_users; /* not set: anybody whom the mode admits; set and empty: nobody */
    uid_t *allow_uids;                  /* of allow_users, as many */
    char *password_file;
    char *password;    /* NULL: no AUTH needed */
    bool password_far; /* reading its file may take long, as on a network file system */
  } socket;

  struct {
    bool on; /* the group `tcp` was written */
    char *address;
    uint32_t port;
    char *password_file;
    char *password; /* never NULL when on */
    bool password_far;
  } tcp;

  enum sb_config_broker broker;

  struct {
    char *prefix;
    uint32_t partitions;
  } topics;

  struct {
    char *key_file;       /* NULL: nothing is signed */
    char *other_key_file; /* accepted too, signs nothing */
    char *key, *other_key;
  } hub;

  struct {
    struct sb_config_texts hosts;
    struct sb_config_host *host_list; /* hosts taken apart, as many */
    char *vhost;
    char *user;
    char *password_file;
    char *password;                       /* not NULL when the broker is RabbitMQ */
    struct sb_config_texts trusted_users; /* not set: anybody whom the broker lets write */
    bool plain_password_warning;          /* false: the operator means it to go over a network without TLS */
    struct {
      char *ca_file;   /* NULL: the certificates that the system trusts */
      char *cert_file; /* both or none */
      char *key_file;
      bool verify; /* the peer's certificate and its name */
    } tls;
    uint32_t heartbeat_s;
    bool foreign_exchange; /* for other programs: "<prefix>.foreign" */
    bool declare;          /* false: exchange and streams exist already and are only checked */
    struct {               /* 0: no such limit */
      uint32_t max_age_s;
      uint64_t max_bytes;
      uint64_t segment_bytes;
    } retention;
    uint32_t prefetch;
    uint32_t connect_timeout_ms, rpc_timeout_ms;
    uint32_t backoff_min_ms, backoff_max_ms;
  } rabbitmq;

  struct {
    char *namespace_host; /* the key `namespace`: "host" or "host:port"; NULL: a connection string has it */
    uint32_t port, management_port;
    char *connection_string_file;
    char *key_name, *key_file; /* key_name: of the key alone, not of a connection string */
    char *token_file;
    bool emulator; /* plain AMQP and HTTP; also when the connection string says so */
    enum sb_config_servicebus_auth auth;
    enum sb_config_servicebus_tier tier;
    bool manage;         /* make topics and subscriptions; false: they exist */
    bool remove_on_stop; /* this node's own subscriptions, on a clean stop */
    char *subscription;  /* not NULL when the broker is Service Bus: derived from the node's name */
    enum sb_config_servicebus_receive receive;
    uint32_t prefetch;
    uint32_t lock_s, ttl_s, auto_delete_idle_s, max_size_mb;
    uint32_t connect_timeout_ms, rpc_timeout_ms;
    uint32_t backoff_min_ms, backoff_max_ms, busy_pause_ms, idle_timeout_ms;
    struct {
      char *ca_file; /* NULL: the certificates that the system trusts */
      bool verify;   /* the peer's certificate and its name */
    } tls;
    /* What the keys above and the environment come to. When the broker is Service Bus, `host` is set, and one
     * of: rule and key, token, token_file. */
    struct {
      char *host;
      char *rule, *key; /* a shared access key and its name */
      char *token;      /* a signature from a connection string, which nobody renews */
    } resolved;
  } servicebus;

  enum sb_config_outage outage;

  struct {
    uint64_t max_bytes;
  } outbox;

  struct {
    uint32_t max_bytes;
    enum sb_config_compression compression;
    uint32_t linger_ms;  /* 0: a lone entry leaves at once */
    uint32_t rate_per_s; /* batches per second; 0: no limit */
  } batch;

  struct {
    uint64_t max_bytes; /* of all partitions together; 0: nothing is kept */
    uint32_t max_age_s; /* 0: no limit */
    bool prefill;       /* at the start, from the log, where it can be read back */
  } history;

  struct {
    uint32_t sessions;
    uint64_t memory;  /* bytes of all sessions together; 0: sb_config_sessions_memory says */
    uint32_t backlog; /* connections that wait to be taken; 0: as many as the system allows */
    uint64_t request_bytes;
    uint64_t input_bytes;
    uint64_t channel_bytes; /* of a name that is published or subscribed to */
    uint64_t pattern_bytes;
    uint32_t patterns; /* that the sessions of this node subscribe to */
    struct {
      uint64_t hard_bytes;
      uint64_t soft_bytes; /* 0: no soft limit */
      uint32_t soft_seconds;
    } output;
    uint32_t drain_ms; /* how long a clean stop waits for what is under way */
  } limits;

  struct {
    uint32_t lease_ms;
    uint32_t found_ms;
  } cluster;

  struct {
    enum sb_log_level level;
    enum sb_config_log_format format;
  } log;
};

/* The errors and warnings of a load. Zeroed is empty. A warning does not stop the start. */
struct sb_config_problem {
  bool warning;
  char *text; /* one line: "file:line: …" where there is a line */
};

struct sb_config_report {
  struct sb_config_problem *problems;
  size_t count, errors;
};

void sb_config_report_close(struct sb_config_report *report);
__attribute__((format(printf, 3, 4))) void sb_config_report_add(struct sb_config_report *report, bool warning,
                                                                const char *format, ...);

/* The settings without a file: the memory broker on a socket in $XDG_RUNTIME_DIR or /run/sidebus. Defaults
 * that the broker decides (config_defaults.h) are those of the memory broker. */
void sb_config_init_defaults(struct sb_config *config);

/* Also after a failed load, and on zeroed storage. Wipes the secrets. */
void sb_config_free(struct sb_config *config);

/* limits.memory, or what stands for it: a share of the memory that this process may have. */
uint64_t sb_config_sessions_memory(const struct sb_config *config);

/* Reads, checks and completes (users to uids, hosts taken apart, secrets read). `path` may be NULL: the
 * defaults. `config` need not be initialised; after a failure it is empty. Returns 0, or SB_ERR_INVALID with
 * every error in `report`. */
int sb_config_load(const char *path, struct sb_config *config, struct sb_config_report *report);

/* Looks, without changing anything, whether the bridge can listen on this machine: a folder that takes the
 * socket, its group, nothing that is in the way, enough descriptors. Another process that listens on the
 * socket is an error for a bridge that starts now; otherwise it is a warning, since it may be the running
 * bridge itself. Returns 0, or SB_ERR_INVALID with every error in `report`. */
int sb_config_check_place(const struct sb_config *config, bool starts_now, struct sb_config_report *report);

/* The same for a client of the bridge, who may not be allowed to read its secrets: types and ranges are
 * checked, but no secret is read and no user or file looked up. */
int sb_config_load_client(const char *path, struct sb_config *config, struct sb_config_report *report);

/* For SIGHUP: takes over, from a file that was loaded again, what may change in a running bridge: secrets,
 * user and certificates, log.level, limits, outage. If any other key changed, each is an error with its
 * place, nothing at all is taken over, and SB_ERR_INVALID is returned. `loaded` is empty afterwards. What is
 * replaced is wiped: nobody may point into it. */
int sb_config_replace(struct sb_config *live, struct sb_config *loaded, struct sb_config_report *report);

/* Loads and replaces. On any error `live` stays as it is and SB_ERR_INVALID is returned. */
int sb_config_reload(const char *path, struct sb_config *live, struct sb_config_report *report);

/* Appends the effective settings in the form of a configuration file that loads to the same settings. Secrets
 * are comments that say whether they are set. */
void sb_config_print(const struct sb_config *config, struct sb_buf *out);

/* The names that `broker` may have in this version, ended by NULL. */
const char *const *sb_config_brokers(void);

const char *sb_config_broker_name(enum sb_config_broker broker);

#endif
