/* Where each setting was written, and complaints that say so. Internal to config/. */
#ifndef SB_CONFIG_CONFIG_ORIGIN_H
#define SB_CONFIG_CONFIG_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
