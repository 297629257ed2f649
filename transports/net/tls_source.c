#include "transports/net/tls_source.h"

#include <stdlib.h>
#include <string.h>

static void wipe(char *text) {
  if (text) explicit_bzero(text, strlen(text));
  free(text);
}

void sb_tls_files_close(struct sb_tls_files *files) {
  wipe(files->ca);
  wipe(files->cert);
  wipe(files->key);
  *files = (struct sb_tls_files){0};
}
