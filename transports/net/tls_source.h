/* Certificates that may change while the bridge runs. */
#ifndef SB_TRANSPORTS_NET_TLS_SOURCE_H
#define SB_TRANSPORTS_NET_TLS_SOURCE_H

#include "bridge/base/error.h"
#include "bridge/base/wipe.h"

/* PEM; NULL: the system's authorities, no client certificate. Texts are its own. */
struct sb_tls_files {
  char *ca, *cert, *key;
};

/* Where TLS gets them, anew for every connection. */
struct sb_tls_source {
  void *owner;
  /* Fills in what holds now, each text whole and fit for use; the caller closes it with sb_tls_files_close.
   * Any thread. It may read files and block for as long as that takes. For a file that cannot be used it
   * gives what it gave last; an error when it never could. NULL: the files that the settings name are
   * read. */
  int (*read)(void *owner, struct sb_tls_files *out, struct sb_error *error);
};

/* Wipes and frees the texts. */
static inline void sb_tls_files_close(struct sb_tls_files *files) {
  sb_wipe_free(files->ca);
  sb_wipe_free(files->cert);
  sb_wipe_free(files->key);
  *files = (struct sb_tls_files){0};
}

#endif
