/* The configuration, read again on a thread of its own: files may lie where reading takes long, such as a
 * network file system that is away, and the loop must not wait for them. One reading at a time. */
#ifndef SB_BRIDGE_RELOAD_H
#define SB_BRIDGE_RELOAD_H

#include <stdbool.h>

#include "bridge/base/error.h"
#include "config/config.h"

struct sb_reload;

/* Begins to load `path`. When it is done the eventfd `wake_fd` is written to. NULL and an error when there is
 * no thread to be had. */
struct sb_reload *sb_reload_begin(const char *path, int wake_fd, struct sb_error *error);

/* False while it is not done. Else frees it and gives what sb_config_load returned, the configuration (empty
 * after a failure) and what the load had to say; both are the caller's. */
bool sb_reload_take(struct sb_reload *reload, int *result, struct sb_config *config,
                    struct sb_config_report *report);

/* Gives it up; NULL is allowed. The thread may go on reading, without harm, and frees what it read. */
void sb_reload_abandon(struct sb_reload *reload);

#endif
