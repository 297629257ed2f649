#include "transports/net/login.h"

#include <stdlib.h>
#include <string.h>

static void wipe(char *text) {
  if (text) explicit_bzero(text, strlen(text));
  free(text);
}

void sb_login_close(struct sb_login *login) {
  wipe(login->name);
  wipe(login->secret);
  wipe(login->token_file);
  *login = (struct sb_login){0};
}
