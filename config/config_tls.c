/* Files of certificates and keys. */
#include <stdio.h>

#include "config/certificates.h"
#include "config/config_check.h"

#define KEY_TEXT 64

struct names {
  char ca[KEY_TEXT], cert[KEY_TEXT], key[KEY_TEXT];
};

static void check_ca(const struct names *names, const char *path, const struct sb_config_origin *origin,
                     struct sb_config_report *report) {
  struct sb_pem ca;
  struct sb_error error;
  struct sb_certificates_warning warning = {""};
  int rc = sb_pem_read(path, &ca, NULL, &error);
  if (rc == 0) rc = sb_certificates_judge_ca(&ca, path, &warning, &error);
  if (rc) WRONG(names->ca, "%s", error.text);
  if (warning.text[0]) NOTICE(names->ca, "%s: %s", path, warning.text);
  sb_pem_close(&ca);
}

static void check_pair(const struct names *names, const char *cert_path, const char *key_path,
                       const struct sb_config_origin *origin, struct sb_config_report *report) {
  struct sb_pem cert, key;
  struct sb_error error;
  struct sb_certificates_warning warning = {""};
  bool key_is_wrong = false, read_by_all = false;
  int cert_rc = sb_pem_read(cert_path, &cert, NULL, &error);
  if (cert_rc) WRONG(names->cert, "%s", error.text);
  int key_rc = sb_pem_read(key_path, &key, &read_by_all, &error);
  if (key_rc) WRONG(names->key, "%s", error.text);
  if (read_by_all) NOTICE(names->key, "every user of this machine can read %s; chmod o-r it", key_path);
  if (cert_rc == 0 && key_rc == 0 &&
      sb_certificates_judge_pair(&cert, cert_path, &key, key_path, &key_is_wrong, &warning, &error) != 0)
    WRONG(key_is_wrong ? names->key : names->cert, "%s", error.text);
  if (warning.text[0]) NOTICE(names->cert, "%s: %s", cert_path, warning.text);
  sb_pem_close(&cert);
  sb_pem_close(&key);
}

void sb_config_check_tls_files(const char *group, const char *ca_file, const char *cert_file,
                               const char *key_file, const struct sb_config_origin *origin,
                               struct sb_config_report *report) {
  struct names names;
  snprintf(names.ca, sizeof names.ca, "%s.ca_file", group);
  snprintf(names.cert, sizeof names.cert, "%s.cert_file", group);
  snprintf(names.key, sizeof names.key, "%s.key_file", group);
  if (ca_file) check_ca(&names, ca_file, origin, report);
  if (cert_file && key_file) check_pair(&names, cert_file, key_file, origin, report);
}
