/* The running bridge: wires sessions, core and transport to one loop. */
#ifndef SB_BRIDGE_DAEMON_H
#define SB_BRIDGE_DAEMON_H

#include "config/config.h"

/* Runs until SIGTERM or SIGINT and returns the exit status of the process: 0 after a clean stop, 1 when it
 * could not start or go on (the log says why). Logging goes where the caller set it. SIGHUP reads
 * `config_path` again and changes `config`, which stays the caller's, in place; NULL when there is no file.
 */
int sb_daemon_run(struct sb_config *config, const char *config_path);

#endif
