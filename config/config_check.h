/* Checks that need more than one key: keys that must fit each other, users, groups and files that must exist;
 * and the values that are derived from them. Internal to config/. */
#ifndef SB_CONFIG_CONFIG_CHECK_H
#define SB_CONFIG_CONFIG_CHECK_H

#include "config/config.h"

#define SB_CONFIG_KEYS_MAX 128

#define SB_CONFIG_FILES_MAX 64 /* included by one configuration */

/* Where each key stands, or the group that it could stand in, in the order of sb_config_keys; line 0: neither
 * does. Belongs to a configuration; its texts are its own. */
struct sb_config_origin {
  char *path;                       /* of the configuration file; NULL: there is none */
  char *files[SB_CONFIG_FILES_MAX]; /* that keys stand in */
  size_t file_count;
  struct {
    const char *file;
    unsigned line;
    bool written;
  } keys[SB_CONFIG_KEYS_MAX];
};

/* Reports "file:line: key: …" with as much of that as is known. */
__attribute__((format(printf, 5, 6))) void sb_config_complain(struct sb_config_report *report,
                                                              const struct sb_config_origin *origin,
                                                              const char *key, bool warning,
                                                              const char *format, ...);

/* For functions that have `report` and `origin`. */
#define WRONG(key, ...)  sb_config_complain(report, origin, key, false, __VA_ARGS__)
#define NOTICE(key, ...) sb_config_complain(report, origin, key, true, __VA_ARGS__)

/* `path` is copied, and may be NULL. */
struct sb_config_origin *sb_config_origin_new(const char *path);
void sb_config_origin_free(struct sb_config_origin *origin);

/* The origin's own copy of a file's name, for its keys. */
const char *sb_config_origin_file(struct sb_config_origin *origin, const char *file);

bool sb_config_is_written(const struct sb_config_origin *origin, const char *key);

/* Reads the file that `key` names; NULL and a complaint when it cannot be read. *far says whether reading it
 * may take long; `far` may be NULL. */
char *sb_config_read_secret(const char *key, const char *path, bool *far,
                            const struct sb_config_origin *origin, struct sb_config_report *report);

/* Complains when there is such a path and it cannot be read. */
void sb_config_check_readable(const char *key, const char *path, const struct sb_config_origin *origin,
                              struct sb_config_report *report);

/* The TLS settings of one group, such as "rabbitmq.tls": files that can be read, hold what they should and
 * fit each other. NULL: not set (config_tls.c). */
void sb_config_check_tls_files(const char *group, const char *ca_file, const char *cert_file,
                               const char *key_file, const struct sb_config_origin *origin,
                               struct sb_config_report *report);

/* Numbers that must fit each other. No look at the machine, so that a reload can ask again. */
void sb_config_check_numbers(const struct sb_config *config, const struct sb_config_origin *origin,
                             struct sb_config_report *report);

/* As sb_config_complete, for Service Bus (config_servicebus.c). */
void sb_config_complete_servicebus(struct sb_config *config, const struct sb_config_origin *origin,
                                   struct sb_config_report *report);

/* Checks everything, and fills in gid, allow_uids, host_list, the passwords and servicebus.resolved. */
void sb_config_complete(struct sb_config *config, const struct sb_config_origin *origin,
                        struct sb_config_report *report);

#endif
