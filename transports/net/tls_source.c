#include "transports/net/tls_source.h"

#include "bridge/base/wipe.h"

void sb_tls_files_close(struct sb_tls_files *files) {
  sb_wipe_free(files->ca);
  sb_wipe_free(files->cert);
  sb_wipe_free(files->key);
  *files = (struct sb_tls_files){0};
}
