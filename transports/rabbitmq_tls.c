#include "transports/rabbitmq_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void date_text(const ASN1_TIME *when, char *out, size_t size) {
  struct tm tm;
  if (!ASN1_TIME_to_tm(when, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0) snprintf(out, size, "?");
}

/* Called by OpenSSL for every certificate of the chain, also with what is wrong with it. */
static int on_verified(int ok, X509_STORE_CTX *store) {
  if (ok) return ok;
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct sb_rabbitmq_tls_verdict *verdict = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  int code = X509_STORE_CTX_get_error(store);
  const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
  char date[32];
  if (code == X509_V_ERR_CERT_HAS_EXPIRED && certificate) {
    date_text(X509_get0_notAfter(certificate), date, sizeof date);
    snprintf(verdict->text, sizeof verdict->text, "certificate expired on %s", date);
  } else if (code == X509_V_ERR_CERT_NOT_YET_VALID && certificate) {
    date_text(X509_get0_notBefore(certificate), date, sizeof date);
    snprintf(verdict->text, sizeof verdict->text, "certificate is not valid before %s", date);
  } else {
    snprintf(verdict->text, sizeof verdict->text, "certificate verify failed: %s",
             X509_verify_cert_error_string(code));
  }
  return 0;
}

static int openssl_error(struct sb_error *error, const char *what, const char *file) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  return sb_error_set(error, SB_ERR_INVALID, "TLS: %s %s: %s", what, file, reason ? reason : "not usable");
}

/* OpenSSL would call a missing file "system lib". */
static int readable(const char *what, const char *file, struct sb_error *error) {
  if (access(file, R_OK) == 0) return 0;
  return sb_error_set(error, SB_ERR_INVALID, "TLS: cannot read the %s %s: %s", what, file, strerror(errno));
}

static int trust(SSL_CTX *ctx, const char *ca_file, const char *host, struct sb_error *error) {
  if (ca_file) {
    int rc = readable("CA file", ca_file, error);
    if (rc) return rc;
    if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
      return openssl_error(error, "cannot read the CA file", ca_file);
  } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
    return openssl_error(error, "cannot read", "the system's authorities");
  }
  X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) return 0;
  ERR_clear_error();
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_host(param, host, 0) != 1) return openssl_error(error, "unusable name", host);
  return 0;
}

static int show_certificate(SSL_CTX *ctx, const char *cert_file, const char *key_file,
                            struct sb_error *error) {
  int rc = readable("certificate", cert_file, error);
  if (rc == 0) rc = readable("key", key_file, error);
  if (rc) return rc;
  if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
    return openssl_error(error, "cannot read the certificate", cert_file);
  if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
    return openssl_error(error, "cannot read the key", key_file);
  if (SSL_CTX_check_private_key(ctx) != 1)
    return openssl_error(error, "the key does not belong to the certificate", cert_file);
  return 0;
}

int sb_rabbitmq_tls_prepare(amqp_socket_t *socket, const struct sb_rabbitmq_settings *settings,
                            const char *host, struct sb_rabbitmq_tls_verdict *verdict,
                            struct sb_error *error) {
  SSL_CTX *ctx = amqp_ssl_socket_get_context(socket);
  verdict->text[0] = 0;
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_app_data(ctx, verdict);
  /* rabbitmq-c's own checks come after the handshake and know no addresses in certificates. */
  amqp_ssl_socket_set_verify_hostname(socket, 0);
  amqp_ssl_socket_set_verify_peer(socket, settings->tls.verify);
  if (settings->tls.verify) {
    int rc = trust(ctx, settings->tls.ca_file, host, error);
    if (rc) return rc;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verified);
  }
  if (!settings->tls.cert_file) return 0;
  return show_certificate(ctx, settings->tls.cert_file, settings->tls.key_file, error);
}

int sb_rabbitmq_tls_explain(const struct sb_rabbitmq_tls_verdict *verdict, struct sb_error *error) {
  if (verdict->text[0]) return sb_error_set(error, SB_ERR_REFUSED, "TLS: %s", verdict->text);
  unsigned long code = ERR_peek_last_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  ERR_clear_error();
  if (reason) return sb_error_set(error, SB_ERR_REFUSED, "TLS: %s", reason);
  return sb_error_set(error, SB_ERR_LINK, "TLS: the connection ended during the handshake");
}
