/* The password of a listener comes from a file that may change while the bridge runs: it is read again for
 * everybody who connects. That is a few microseconds of the loop for a file on this machine; a file that may
 * take long is read at SIGHUP only. When it cannot be read, the reason is logged once, and the password that
 * was read before holds. The loop's thread. */
#ifndef SB_BRIDGE_LISTEN_PASSWORD_H
#define SB_BRIDGE_LISTEN_PASSWORD_H

#include <stdbool.h>

#include "bridge/base/error.h"

/* Zero it but for `area` and `key`, at the start and whenever the settings change. */
struct sb_listen_password {
  const char *key;                   /* of the configuration */
  char complaint[SB_ERROR_TEXT_MAX]; /* what was wrong when the file was read last; empty: nothing */
};

/* True when the file holds another password than *password: that one is wiped and replaced. */
bool sb_listen_password_refresh(struct sb_listen_password *state, const char *path, char **password);

#endif
