/* Certificates and keys in PEM files: read, and judged as TLS will judge them. Errors name the file and what
 * would be right, never what is in it. Any thread; regular files only, so that a pipe makes nobody wait. */
#ifndef SB_CONFIG_CERTIFICATES_H
#define SB_CONFIG_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/error.h"

#define SB_CERTIFICATES_WARNING_TEXT 160

/* What a file holds; zeroed is empty. */
struct sb_pem {
  char *text;
  size_t len;
};

/* Only the size is judged here. `read_by_all` may be NULL. */
int sb_pem_read(const char *path, struct sb_pem *out, bool *read_by_all, struct sb_error *error);

/* Wipes. */
void sb_pem_close(struct sb_pem *pem);

/* What is no error, for people: empty when there is nothing. */
struct sb_certificates_warning {
  char text[SB_CERTIFICATES_WARNING_TEXT];
};

/* Whether `ca`, which `path` holds, is at least one certificate to trust and nothing that cannot be read. */
int sb_certificates_judge_ca(const struct sb_pem *ca, const char *path,
                             struct sb_certificates_warning *warning, struct sb_error *error);

/* Whether `cert` begins with a certificate, and `key` is the key of that. *key_is_wrong says about which of
 * the two files an error is. */
int sb_certificates_judge_pair(const struct sb_pem *cert, const char *cert_path, const struct sb_pem *key,
                               const char *key_path, bool *key_is_wrong,
                               struct sb_certificates_warning *warning, struct sb_error *error);

#endif
