#include "transports/net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "transports/net/greeting.h"

/* TLS 1.2; all of 1.3 authenticate and encrypt. HIGH has no export ciphers, RC4 or 3DES. */
#define CIPHERS         "HIGH:!aNULL:!eNULL:!PSK:!SRP"
/* Keys of 1024 bits and digests that are not broken, whatever the machine's configuration allows. */
#define SECURITY_LEVEL  1
#define NAMES_SHOWN_MAX 160

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int peer_index; /* where a context keeps its peer */

static void make_index(void) {
  peer_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct sb_net_tls_peer *peer_of(const SSL *ssl) {
  return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), peer_index);
}

/* ---- what a certificate lacks ---- */

static void date_text(const ASN1_TIME *when, char *out, size_t size) {
  struct tm tm;
  if (!ASN1_TIME_to_tm(when, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0) snprintf(out, size, "?");
}

/* These bytes come from a certificate that was not accepted: its maker must not be able to write into the
 * log. */
static void add_name(const ASN1_IA5STRING *name, struct sb_buf *out) {
  const unsigned char *text = ASN1_STRING_get0_data(name);
  int len = ASN1_STRING_length(name);
  sb_buf_text(out, out->len ? ", " : "");
  for (int i = 0; i < len && out->len < NAMES_SHOWN_MAX; i++) {
    bool plain = text[i] > ' ' && text[i] < 0x7f;
    sb_buf_append(out, plain ? (const char *)&text[i] : "?", 1);
  }
}

static void add_address(const ASN1_OCTET_STRING *address, struct sb_buf *out) {
  char text[INET6_ADDRSTRLEN];
  int len = ASN1_STRING_length(address);
  int family = len == 4 ? AF_INET : len == 16 ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC || !inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text)) return;
  sb_buf_printf(out, "%s%s", out->len ? ", " : "", text);
}

static void describe_mismatch(const X509 *certificate, struct sb_net_tls_peer *peer, int code) {
  struct sb_buf names = {0};
  GENERAL_NAMES *all = certificate ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
  for (int i = 0; i < sk_GENERAL_NAME_num(all) && names.len < NAMES_SHOWN_MAX; i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
    if (name->type == GEN_DNS) add_name(name->d.dNSName, &names);
    if (name->type == GEN_IPADD) add_address(name->d.iPAddress, &names);
  }
  GENERAL_NAMES_free(all);
  sb_buf_append(&names, "", 1);
  const char *shown = names.len > 1 ? (const char *)names.data : "no name (a common name does not count)";
  snprintf(peer->verdict, sizeof peer->verdict,
           "certificate verify failed: %s: its subject alternative names have %.*s, not %.100s",
           X509_verify_cert_error_string(code), NAMES_SHOWN_MAX, shown, peer->name);
  sb_buf_close(&names);
}

/* Called by OpenSSL for every certificate of the chain, also with what is wrong with it. */
static int on_verified(int ok, X509_STORE_CTX *store) {
  if (ok) return ok;
  const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct sb_net_tls_peer *peer = peer_of(ssl);
  int code = X509_STORE_CTX_get_error(store);
  const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
  char date[32];
  if (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    describe_mismatch(X509_STORE_CTX_get0_cert(store), peer, code);
  } else if (code == X509_V_ERR_CERT_HAS_EXPIRED && certificate) {
    date_text(X509_get0_notAfter(certificate), date, sizeof date);
    snprintf(peer->verdict, sizeof peer->verdict, "certificate expired on %s", date);
  } else if (code == X509_V_ERR_CERT_NOT_YET_VALID && certificate) {
    date_text(X509_get0_notBefore(certificate), date, sizeof date);
    snprintf(peer->verdict, sizeof peer->verdict, "certificate is not valid before %s", date);
  } else {
    snprintf(peer->verdict, sizeof peer->verdict, "certificate verify failed: %s",
             X509_verify_cert_error_string(code));
  }
  return 0;
}

/* ---- watching a connection's handshake ---- */

/* Called before the first message of the handshake. rabbitmq-c would tell the server the address that it
 * connects to; the name is set here instead. */
static void on_state(const SSL *ssl, int where, int result) {
  (void)result;
  struct sb_net_tls_peer *peer = peer_of(ssl);
  if (where & SSL_CB_HANDSHAKE_DONE) peer->established = true;
  if (!(where & SSL_CB_HANDSHAKE_START) || peer->established) return;
  /* Only the callback's type makes it const: nothing else works on it now. */
  SSL_set_tlsext_host_name((SSL *)ssl, peer->numeric ? NULL : peer->name);
  int fd = -1;
  if (peer->began && BIO_get_fd(SSL_get_rbio(ssl), &fd) >= 0) peer->began(peer->owner, fd);
}

static void on_message(int written, int version, int type, const void *bytes, size_t len, SSL *ssl,
                       void *arg) {
  (void)version, (void)arg;
  struct sb_net_tls_peer *peer = peer_of(ssl);
  if (written || type != SSL3_RT_HEADER || peer->head_len) return;
  peer->head_len = len < sizeof peer->head ? len : sizeof peer->head;
  memcpy(peer->head, bytes, peer->head_len);
}

/* ---- set-up ---- */

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

/* "mq.example.com." is that name too, and "fe80::1%eth0" is an address of one machine. */
static void name_peer(struct sb_net_tls_peer *peer, const char *host) {
  peer->verdict[0] = 0;
  peer->head_len = 0;
  peer->established = false;
  snprintf(peer->name, sizeof peer->name, "%s", host);
  size_t len = strlen(peer->name);
  struct in6_addr address;
  char *zone = strchr(peer->name, '%');
  if (zone) *zone = 0;
  peer->numeric =
      inet_pton(AF_INET, peer->name, &address) == 1 || inet_pton(AF_INET6, peer->name, &address) == 1;
  if (!peer->numeric && len > 1 && peer->name[len - 1] == '.') peer->name[len - 1] = 0;
}

/* The context gets a store of its own. What a library, or the machine's configuration, put into it before
 * does not count. */
static int trust(SSL_CTX *ctx, const char *ca_file, struct sb_error *error) {
  X509_STORE *store = X509_STORE_new();
  if (!store) return openssl_error(error, "no memory for", "the authorities");
  SSL_CTX_set_cert_store(ctx, store);
  if (!ca_file)
    return SSL_CTX_set_default_verify_paths(ctx) == 1
               ? 0
               : openssl_error(error, "cannot read", "the system's authorities");
  int rc = readable("CA file", ca_file, error);
  if (rc) return rc;
  if (SSL_CTX_load_verify_file(ctx, ca_file) == 1) return 0;
  return openssl_error(error, "cannot read the CA file", ca_file);
}

/* Trusts the authorities that a source gave. */
static int trust_these(SSL_CTX *ctx, const char *pem, struct sb_error *error) {
  X509_STORE *store = X509_STORE_new();
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509 *certificate;
  size_t count = 0;
  while (store && bio && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
    count += X509_STORE_add_cert(store, certificate) == 1;
    X509_free(certificate);
  }
  BIO_free(bio);
  if (store) SSL_CTX_set_cert_store(ctx, store);
  ERR_clear_error(); /* the end of the text is an error to OpenSSL */
  return count ? 0 : openssl_error(error, "no authority in", "the CA file");
}

static int expect_name(SSL_CTX *ctx, const struct sb_net_tls_peer *peer, struct sb_error *error) {
  /* OpenSSL takes these for "any name" and "any name below". */
  if (peer->name[0] == 0 || peer->name[0] == '.')
    return sb_error_set(error, SB_ERR_INVALID, "TLS: \"%s\" is no host name", peer->name);
  X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
  X509_VERIFY_PARAM_set_hostflags(param,
                                  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  int done = peer->numeric ? X509_VERIFY_PARAM_set1_ip_asc(param, peer->name)
                           : X509_VERIFY_PARAM_set1_host(param, peer->name, 0);
  return done == 1 ? 0 : openssl_error(error, "unusable name", peer->name);
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

static bool use_chain(SSL_CTX *ctx, BIO *bio) {
  X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
  bool used = certificate && SSL_CTX_use_certificate(ctx, certificate) == 1;
  X509_free(certificate);
  while (used && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
    used = SSL_CTX_add0_chain_cert(ctx, certificate) == 1;
    if (!used) X509_free(certificate);
  }
  if (used) ERR_clear_error(); /* the end of the text is an error to OpenSSL */
  return used;
}

static int show_these(SSL_CTX *ctx, const struct sb_tls_files *files, struct sb_error *error) {
  BIO *cert = BIO_new_mem_buf(files->cert, -1), *key = BIO_new_mem_buf(files->key, -1);
  EVP_PKEY *private = key ? PEM_read_bio_PrivateKey(key, NULL, NULL, NULL) : NULL;
  int rc = 0;
  if (!cert || !use_chain(ctx, cert))
    rc = openssl_error(error, "cannot use", "the certificate");
  else if (!private || SSL_CTX_use_PrivateKey(ctx, private) != 1)
    rc = openssl_error(error, "cannot use", "the key of the certificate");
  EVP_PKEY_free(private);
  BIO_free(cert);
  BIO_free(key);
  return rc;
}

static int set_up_files(SSL_CTX *ctx, const struct sb_net_tls_settings *settings, struct sb_error *error) {
  struct sb_tls_files files = {0};
  if (!settings->source.read) {
    int rc = settings->verify ? trust(ctx, settings->ca_file, error) : 0;
    if (rc || !settings->cert_file) return rc;
    return show_certificate(ctx, settings->cert_file, settings->key_file, error);
  }
  int rc = settings->source.read(settings->source.owner, &files, error);
  if (rc == 0 && settings->verify)
    rc = files.ca ? trust_these(ctx, files.ca, error) : trust(ctx, NULL, error);
  if (rc == 0 && files.cert) rc = show_these(ctx, &files, error);
  sb_tls_files_close(&files);
  return rc;
}

/* Only raises what the machine's configuration asks for. */
static int restrict_protocol(SSL_CTX *ctx, struct sb_error *error) {
  long least = SSL_CTX_get_min_proto_version(ctx);
  if (least < TLS1_2_VERSION && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
    return openssl_error(error, "cannot insist on", "TLS 1.2");
  if (SSL_CTX_get_security_level(ctx) < SECURITY_LEVEL) SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
  if (SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1) return openssl_error(error, "no ciphers of", CIPHERS);
  return 0;
}

int sb_net_tls_set_up(SSL_CTX *ctx, const struct sb_net_tls_settings *settings, const char *host,
                      struct sb_net_tls_peer *peer, struct sb_error *error) {
  pthread_once(&index_once, make_index);
  ERR_clear_error();
  name_peer(peer, host);
  if (SSL_CTX_set_ex_data(ctx, peer_index, peer) != 1) return openssl_error(error, "no memory for", host);
  SSL_CTX_set_info_callback(ctx, on_state);
  SSL_CTX_set_msg_callback(ctx, on_message);
  int rc = restrict_protocol(ctx, error);
  if (rc == 0) rc = set_up_files(ctx, settings, error);
  if (rc == 0 && settings->verify) rc = expect_name(ctx, peer, error);
  if (rc) return rc;
  SSL_CTX_set_verify(ctx, settings->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     settings->verify ? on_verified : NULL);
  return 0;
}

/* ---- errors ---- */

static const char *reason_text(unsigned long code) {
  switch (ERR_GET_REASON(code)) {
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    return "the server offers no TLS 1.2 or later, and older versions are not accepted";
  case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    return "the server refused the handshake: it has no cipher in common with us, or wants a client "
           "certificate";
  case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    return "the server wants a client certificate: tls.cert_file and tls.key_file";
  case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
  case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
  case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    return "the server does not accept the client certificate of tls.cert_file";
  default:
    return ERR_reason_error_string(code);
  }
}

int sb_net_tls_explain(const struct sb_net_tls_peer *peer, struct sb_error *error) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code ? reason_text(code) : NULL;
  ERR_clear_error();
  if (peer->verdict[0]) return sb_error_set(error, SB_ERR_REFUSED, "TLS: %s", peer->verdict);
  if (peer->head_len && !sb_net_greeting_is_tls(peer->head, peer->head_len))
    return sb_error_set(error, SB_ERR_REFUSED,
                        "TLS: the server answered in plain text (%s), not in TLS: is it the right port?",
                        sb_net_greeting_name(peer->head, peer->head_len));
  if (reason) return sb_error_set(error, SB_ERR_REFUSED, "TLS: %s", reason);
  return sb_error_set(error, SB_ERR_LINK, "TLS: the connection ended%s",
                      peer->established ? "" : " during the handshake");
}

int sb_net_tls_explain_silence(const struct sb_net_tls_peer *peer, struct sb_error *error) {
  if (!peer->established) return error->code;
  return sb_error_set(error, SB_ERR_REFUSED,
                      "TLS: the server ended the connection right after the handshake: does it accept the "
                      "client certificate, or want one (tls.cert_file, tls.key_file)?");
}
