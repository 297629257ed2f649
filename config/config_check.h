/* Checks that need more than one key: keys that must fit each other, users, groups and files that must exist;
 * and the values that are derived from them. Internal to config/. */
#ifndef SB_CONFIG_CONFIG_CHECK_H
#define SB_CONFIG_CONFIG_CHECK_H

#include "config/config.h"
#include "config/config_origin.h"

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
