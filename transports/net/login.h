/* Who this node is to its broker, which may change while the bridge runs. */
#ifndef SB_TRANSPORTS_NET_LOGIN_H
#define SB_TRANSPORTS_NET_LOGIN_H

#include "bridge/base/wipe.h"

/* With a name and a secret: a user and his password, or a shared access key. With a secret alone: a token
 * that nobody renews. With a file alone: a token that some other program renews there. The texts belong to
 * it. */
struct sb_login {
  char *name;
  char *secret;
  char *token_file;
};

/* Where a transport gets it, anew for every attempt to log in. */
struct sb_login_source {
  void *owner;
  /* Fills in what holds now; the caller closes it with sb_login_close. Any thread. It may read a file and
   * block for as long as that takes. When the file cannot be read it gives what it gave last. NULL: what the
   * settings say holds for ever. */
  void (*read)(void *owner, struct sb_login *out);
};

/* Wipes and frees the texts. */
static inline void sb_login_close(struct sb_login *login) {
  sb_wipe_free(login->name);
  sb_wipe_free(login->secret);
  sb_wipe_free(login->token_file);
  *login = (struct sb_login){0};
}

#endif
