/* The password of a listener comes from a file that may change while the bridge runs: it is read again for
 * everybody who connects. That is a few microseconds of the loop for a file on this machine; a file that may
 * take long is read at SIGHUP only. What cannot be read is told once with the reason, and the password that
 * was read before holds. The loop's thread. */
#ifndef SB_BRIDGE_LISTEN_PASSWORD_H
#define SB_BRIDGE_LISTEN_PASSWORD_H

#include <stdbool.h>

#include "bridge/base/error.h"

/* Zeroed but for the texts at the start, and again when the settings are others. */
struct sb_listen_password {
  const char *key;              /* of the configuration */
  char told[SB_ERROR_TEXT_MAX]; /* why the file was no use when it was read last; empty: it was */
};

/* True when the file holds another password than *password: that one is wiped and replaced. */
bool sb_listen_password_refresh(struct sb_listen_password *state, const char *path, char **password);

#endif
