/* For texts that hold a secret. */
#ifndef SB_BASE_WIPE_H
#define SB_BASE_WIPE_H

#include <stdlib.h>
#include <string.h>

/* Overwrites and frees; NULL is allowed. */
static inline void sb_wipe_free(char *text) {
  if (text) explicit_bzero(text, strlen(text));
  free(text);
}

#endif
