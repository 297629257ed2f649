#include "bridge/listen_password.h"

#include <stdio.h>
#include <string.h>

#include "bridge/base/log.h"
#include "bridge/base/wipe.h"
#include "config/secret.h"

#define AREA "bridge"

static void tell_failure(struct sb_listen_password *state, const struct sb_error *error) {
  bool again = strcmp(state->complaint, error->text) == 0;
  if (!again)
    sb_log(SB_LOG_WARN, AREA, "%s: %s; the password that it held before holds", state->key, error->text);
  snprintf(state->complaint, sizeof state->complaint, "%s", error->text);
}

bool sb_listen_password_refresh(struct sb_listen_password *state, const char *path, char **password) {
  struct sb_error error;
  char *fresh = sb_secret_read(path, NULL, &error);
  if (fresh && sb_secret_check_guess(fresh, path, &error) != 0) {
    sb_wipe_free(fresh);
    fresh = NULL;
  }
  if (!fresh) {
    tell_failure(state, &error);
    return false;
  }
  state->complaint[0] = 0;
  if (*password && strcmp(*password, fresh) == 0) {
    sb_wipe_free(fresh);
    return false;
  }
  sb_log(SB_LOG_NOTICE, AREA, "%s: %s has changed, who connects needs what it holds now", state->key, path);
  sb_wipe_free(*password);
  *password = fresh;
  return true;
}
