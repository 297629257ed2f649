#include "config/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/file.h"
#include "bridge/base/limits.h"

#define STALE_TEXT 64

/* ---- files ---- */

void sb_pem_close(struct sb_pem *pem) {
  if (pem->text) explicit_bzero(pem->text, pem->len);
  free(pem->text);
  *pem = (struct sb_pem){0};
}

static int read_all(int fd, const char *path, struct sb_pem *out, struct sb_error *error) {
  int failed = sb_file_read(fd, out->text, SB_PEM_BYTES_MAX, &out->len);
  if (failed) return sb_error_errno(error, failed, "cannot read %s", path);
  if (out->len == 0) return sb_error_set(error, SB_ERR_INVALID, "%s is empty", path);
  if (out->len == SB_PEM_BYTES_MAX)
    return sb_error_set(error, SB_ERR_INVALID, "%s is larger than %zu MiB: not certificates", path,
                        SB_PEM_BYTES_MAX / 1024 / 1024);
  return 0;
}

int sb_pem_read(const char *path, struct sb_pem *out, bool *read_by_all, struct sb_error *error) {
  struct stat stat;
  *out = (struct sb_pem){0};
  int fd = sb_file_open("", path, &stat, error);
  if (fd < 0) return fd;
  if (read_by_all) *read_by_all = (stat.st_mode & S_IROTH) != 0;
  out->text = sb_malloc(SB_PEM_BYTES_MAX);
  int rc = read_all(fd, path, out, error);
  if (rc) sb_pem_close(out);
  close(fd);
  return rc;
}

/* ---- what is wrong ---- */

static const char *reason(void) {
  unsigned long code = ERR_peek_last_error();
  const char *text = code ? ERR_reason_error_string(code) : NULL;
  return text ? text : "it cannot be read";
}

static bool is_der(const struct sb_pem *pem) {
  return pem->len > 2 && (unsigned char)pem->text[0] == 0x30 && (unsigned char)pem->text[1] >= 0x80;
}

static int none_there(const struct sb_pem *pem, const char *path, const char *what, struct sb_error *error) {
  if (is_der(pem))
    return sb_error_set(error, SB_ERR_INVALID, "%s is in DER form; convert it to PEM with openssl", path);
  return sb_error_set(error, SB_ERR_INVALID, "%s holds no %s in PEM form (-----BEGIN …-----)", path, what);
}

static void date_text(const ASN1_TIME *when, char *out, size_t size) {
  struct tm tm;
  if (!ASN1_TIME_to_tm(when, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0) snprintf(out, size, "?");
}

/* False when its time is now. */
static bool out_of_time(const X509 *certificate, char why[STALE_TEXT]) {
  char date[32];
  bool expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
  bool early = X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
  date_text(expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate), date, sizeof date);
  if (expired) snprintf(why, STALE_TEXT, "expired on %s", date);
  if (!expired && early) snprintf(why, STALE_TEXT, "is not valid before %s", date);
  return expired || early;
}

static bool at_end(void) {
  unsigned long code = ERR_peek_last_error();
  return code == 0 || (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
}

static int no_memory(struct sb_error *error) {
  return sb_error_set(error, SB_ERR_SYSTEM, "OpenSSL: no memory");
}

/* ---- authorities ---- */

int sb_certificates_judge_ca(const struct sb_pem *ca, const char *path,
                             struct sb_certificates_warning *warning, struct sb_error *error) {
  char one[STALE_TEXT] = "";
  warning->text[0] = 0;
  BIO *bio = BIO_new_mem_buf(ca->text, (int)ca->len);
  if (!bio) return no_memory(error);
  ERR_clear_error();
  size_t count = 0, stale = 0;
  X509 *certificate;
  while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
    count++;
    stale += out_of_time(certificate, one);
    X509_free(certificate);
  }
  int rc = 0;
  if (!at_end())
    rc = sb_error_set(error, SB_ERR_INVALID, "certificate %zu in %s cannot be read: %s", count + 1, path,
                      reason());
  else if (count == 0)
    rc = none_there(ca, path, "certificate", error);
  else if (stale == count)
    snprintf(warning->text, sizeof warning->text, "%s that it holds %s",
             count == 1 ? "the certificate" : "each certificate", one);
  ERR_clear_error();
  BIO_free(bio);
  return rc;
}

/* ---- a certificate and its key ---- */

/* A key that asks for its password: nobody is there to give it. */
static int on_password(char *out, int size, int writing, void *asked) {
  (void)writing;
  if (size > 0) out[0] = 0;
  *(bool *)asked = true;
  return -1;
}

static int read_key(const struct sb_pem *pem, const char *path, EVP_PKEY **key, struct sb_error *error) {
  static const char mark[] = "PRIVATE KEY-----"; /* OpenSSL's word for any other file is "unsupported" */
  bool asked = false;
  BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
  if (!bio) return no_memory(error);
  ERR_clear_error();
  *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &asked);
  int rc = 0;
  if (!*key && asked)
    rc =
        sb_error_set(error, SB_ERR_INVALID,
                     "the key in %s is encrypted, and nobody is there to give its password; write it without "
                     "one: openssl pkey -in … -out …",
                     path);
  else if (!*key && !memmem(pem->text, pem->len, mark, sizeof mark - 1))
    rc = none_there(pem, path, "private key", error);
  else if (!*key)
    rc = sb_error_set(error, SB_ERR_INVALID, "the key in %s cannot be read: %s", path, reason());
  ERR_clear_error();
  BIO_free(bio);
  return rc;
}

static int read_certificate(const struct sb_pem *pem, const char *path, X509 **certificate,
                            struct sb_error *error) {
  BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
  if (!bio) return no_memory(error);
  ERR_clear_error();
  *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
  int rc = 0;
  if (!*certificate && at_end())
    rc = none_there(pem, path, "certificate", error);
  else if (!*certificate)
    rc = sb_error_set(error, SB_ERR_INVALID, "the certificate in %s cannot be read: %s", path, reason());
  ERR_clear_error();
  BIO_free(bio);
  return rc;
}

/* OpenSSL refuses keys and digests that are too weak for the machine's security level. */
static int use(X509 *certificate, const char *cert_path, EVP_PKEY *key, const char *key_path,
               bool *key_is_wrong, struct sb_error *error) {
  int rc = 0;
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx) return no_memory(error);
  *key_is_wrong = false;
  if (SSL_CTX_use_certificate(ctx, certificate) != 1) {
    rc = sb_error_set(error, SB_ERR_INVALID, "the certificate in %s cannot be used: %s", cert_path, reason());
  } else if (X509_check_private_key(certificate, key) != 1) {
    *key_is_wrong = true;
    rc = sb_error_set(error, SB_ERR_INVALID, "the key in %s does not belong to the certificate in %s",
                      key_path, cert_path);
  } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
    *key_is_wrong = true;
    rc = sb_error_set(error, SB_ERR_INVALID, "the key in %s cannot be used: %s", key_path, reason());
  }
  ERR_clear_error();
  SSL_CTX_free(ctx);
  return rc;
}

int sb_certificates_judge_pair(const struct sb_pem *cert, const char *cert_path, const struct sb_pem *key,
                               const char *key_path, bool *key_is_wrong,
                               struct sb_certificates_warning *warning, struct sb_error *error) {
  X509 *certificate = NULL;
  EVP_PKEY *private = NULL;
  char late[STALE_TEXT] = "";
  warning->text[0] = 0;
  *key_is_wrong = false;
  int rc = read_certificate(cert, cert_path, &certificate, error);
  if (rc) goto out;
  *key_is_wrong = true;
  rc = read_key(key, key_path, &private, error);
  if (rc == 0) rc = use(certificate, cert_path, private, key_path, key_is_wrong, error);
  if (rc == 0 && out_of_time(certificate, late))
    snprintf(warning->text, sizeof warning->text, "the certificate that it holds %s", late);
out:
  EVP_PKEY_free(private);
  X509_free(certificate);
  return rc;
}
