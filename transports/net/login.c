#include "transports/net/login.h"

#include "bridge/base/wipe.h"

void sb_login_close(struct sb_login *login) {
  sb_wipe_free(login->name);
  sb_wipe_free(login->secret);
  sb_wipe_free(login->token_file);
  *login = (struct sb_login){0};
}
