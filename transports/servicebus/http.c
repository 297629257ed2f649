#include "transports/servicebus/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/base/clock.h"
#include "transports/net/connect.h"
#include "transports/net/tls.h"

#define API_VERSION  "api-version=2017-04"
#define HOST_MAX     255
/* RFC 5737: an address of nobody. */
#define PLACE_HOLDER "192.0.2.1"

struct sb_servicebus_http {
  CURL *curl; /* keeps its connection between requests */
  char *host, *ca_file;
  struct sb_tls_source source;
  uint16_t port;
  bool tls, verify;
  uint32_t connect_timeout_ms, request_timeout_ms;
  const atomic_bool *stop;
  struct sb_servicebus_credentials credentials;
  struct sb_servicebus_token token;
  bool overflow; /* the answer had more than SB_SERVICEBUS_ANSWER_BYTES_MAX */
  struct sb_net_tls_peer peer;
  struct sb_error failed; /* why our own connecting failed; code 0: it was not tried or went well */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void) {
  curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool host_is_sane(const char *host) {
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  size_t len = host ? strlen(host) : 0;
  return len > 0 && len <= HOST_MAX && host[strspn(host, legal)] == 0;
}

struct sb_servicebus_http *sb_servicebus_http_new(const struct sb_servicebus_management *settings,
                                                  struct sb_error *error) {
  if (!host_is_sane(settings->host) || settings->port == 0) {
    sb_error_set(error, SB_ERR_INVALID, "the namespace is not a host name, or its port is 0");
    return NULL;
  }
  if (sb_servicebus_credentials_check(&settings->credentials, error)) return NULL;
  pthread_once(&curl_once, init_curl);
  CURL *curl = curl_ready == CURLE_OK ? curl_easy_init() : NULL;
  if (!curl) {
    sb_error_set(error, SB_ERR_SYSTEM, "libcurl cannot be used: %s", curl_easy_strerror(curl_ready));
    return NULL;
  }
  struct sb_servicebus_http *http = sb_calloc(1, sizeof *http);
  *http = (struct sb_servicebus_http){
      .curl = curl,
      .host = sb_strdup(settings->host),
      .ca_file = settings->ca_file ? sb_strdup(settings->ca_file) : NULL,
      .source = settings->source,
      .port = settings->port,
      .tls = settings->tls,
      .verify = settings->verify,
      .connect_timeout_ms = settings->connect_timeout_ms,
      .request_timeout_ms = settings->request_timeout_ms,
      .stop = settings->stop,
  };
  sb_servicebus_credentials_copy(&http->credentials, &settings->credentials);
  return http;
}

void sb_servicebus_http_free(struct sb_servicebus_http *http) {
  if (!http) return;
  curl_easy_cleanup(http->curl);
  sb_servicebus_token_close(&http->token);
  sb_servicebus_credentials_close(&http->credentials);
  free(http->host);
  free(http->ca_file);
  free(http);
}

bool sb_servicebus_http_stopped(const struct sb_servicebus_http *http) {
  return http->stop && atomic_load_explicit(http->stop, memory_order_relaxed);
}

/* libcurl calls it once a second at least. */
static int on_progress(void *owner, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
  (void)down_total, (void)down, (void)up_total, (void)up;
  return sb_servicebus_http_stopped(owner);
}

/* ---- connecting ---- */

static bool stopping(void *owner) {
  return sb_servicebus_http_stopped(owner);
}

/* libcurl would ask the resolver by itself, wait for it even at the end, and try several addresses by rules
 * of its own. So it is given a socket that is connected. */
static curl_socket_t on_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose, (void)address;
  struct sb_servicebus_http *http = owner;
  struct sb_net_wait wait = {.stopping = stopping, .wake_fd = -1, .owner = http};
  int64_t until_ms = sb_clock_ms() + http->connect_timeout_ms;
  int fd = sb_net_connect(http->host, http->port, &wait, until_ms, NULL, &http->failed);
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_socket_ready(void *owner, curl_socket_t fd, curlsocktype purpose) {
  (void)owner, (void)fd, (void)purpose;
  return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static CURLcode on_tls(CURL *curl, void *ctx, void *owner) {
  (void)curl;
  struct sb_servicebus_http *http = owner;
  const struct sb_net_tls_settings tls = {
      .ca_file = http->ca_file, .source = http->source, .verify = http->verify};
  http->peer.began = NULL;
  int rc = sb_net_tls_set_up(ctx, &tls, http->host, &http->peer, &http->failed);
  return rc ? CURLE_SSL_CERTPROBLEM : CURLE_OK;
}

/* With a proxy libcurl connects to that, and not to our host. */
static bool uses_proxy(const struct sb_servicebus_http *http) {
  static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  for (size_t i = 0; http->tls && i < sizeof variables / sizeof *variables; i++) {
    const char *proxy = getenv(variables[i]);
    if (proxy && *proxy) return true;
  }
  return false;
}

/* The place holder is an address to which nobody connects. With it libcurl does not ask the resolver. */
static void set_up_socket(struct sb_servicebus_http *http, struct curl_slist *place_holder) {
  if (uses_proxy(http)) return;
  curl_easy_setopt(http->curl, CURLOPT_RESOLVE, place_holder);
  curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
  curl_easy_setopt(http->curl, CURLOPT_OPENSOCKETDATA, http);
  curl_easy_setopt(http->curl, CURLOPT_SOCKOPTFUNCTION, on_socket_ready);
}

/* The context is ours to set up; what libcurl checks beside it can only refuse more. */
static CURLcode set_up_tls(struct sb_servicebus_http *http) {
  curl_easy_setopt(http->curl, CURLOPT_SSL_VERIFYPEER, http->verify ? 1L : 0L);
  curl_easy_setopt(http->curl, CURLOPT_SSL_VERIFYHOST, http->verify ? 2L : 0L);
  curl_easy_setopt(http->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(http->curl, CURLOPT_CAINFO, NULL);
  curl_easy_setopt(http->curl, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(http->curl, CURLOPT_SSL_CTX_DATA, http);
  return curl_easy_setopt(http->curl, CURLOPT_SSL_CTX_FUNCTION, on_tls);
}

/* ---- one request ---- */

struct sink {
  struct sb_servicebus_http *http;
  struct sb_buf *answer;
};

static size_t on_body(char *data, size_t size, size_t count, void *owner) {
  struct sink *sink = owner;
  size_t len = size * count;
  sink->http->overflow = len > SB_SERVICEBUS_ANSWER_BYTES_MAX - sink->answer->len;
  if (sink->http->overflow) return 0;
  sb_buf_append(sink->answer, data, len);
  return len;
}

/* "https://<host>[:port]/<path>", which is also what the token is for. */
static void write_url(const struct sb_servicebus_http *http, const char *path, struct sb_buf *out) {
  sb_buf_printf(out, "%s://%s", http->tls ? "https" : "http", http->host);
  if (http->port != (http->tls ? 443 : 80)) sb_buf_printf(out, ":%u", (unsigned)http->port);
  sb_buf_printf(out, "/%s", path);
}

/* NULL when there is no memory: then nothing is kept of `list` either. */
static struct curl_slist *add_header(struct curl_slist *list, const char *line) {
  struct curl_slist *longer = list ? curl_slist_append(list, line) : NULL;
  if (!longer) curl_slist_free_all(list);
  return longer;
}

static struct curl_slist *make_headers(const struct sb_servicebus_http *http) {
  struct sb_buf line = {0};
  sb_buf_reserve(&line, http->token.text.len + 64); /* at once, so that no growth leaves a copy behind */
  sb_buf_printf(&line, "Authorization: %s%s", http->token.jwt ? "Bearer " : "",
                (const char *)http->token.text.data);
  struct curl_slist *list = curl_slist_append(NULL, (const char *)line.data);
  explicit_bzero(line.data, line.cap);
  sb_buf_close(&line);
  list = add_header(list, "Content-Type: application/atom+xml;type=entry;charset=utf-8");
  list = add_header(list, "Accept: application/atom+xml, application/xml");
  return add_header(list, "Expect:");
}

static void free_headers(struct curl_slist *list) {
  if (list) explicit_bzero(list->data, strlen(list->data)); /* the first one is the token */
  curl_slist_free_all(list);
}

static void set_up(struct sb_servicebus_http *http, const struct sb_servicebus_request *request,
                   const char *url, struct curl_slist *headers, struct sink *sink, char *why) {
  static const char *const methods[] = {"GET", "PUT", "DELETE"};
  CURL *curl = http->curl;
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, http->tls ? "https" : "http");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* we are one of several threads */
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "sidebus/" SB_VERSION);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)http->request_timeout_ms);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
  if (request->method != SB_SERVICEBUS_GET)
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, methods[request->method]);
  if (request->body.len) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.at);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
  }
  /* An emulator is on this machine or beside it: no proxy leads there. */
  if (!http->tls) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
}

static int explain(const struct sb_servicebus_http *http, CURLcode code, const char *why,
                   struct sb_error *error) {
  if (http->overflow)
    return sb_error_set(error, SB_ERR_TOO_LARGE, "the answer has more than %zu bytes",
                        SB_SERVICEBUS_ANSWER_BYTES_MAX);
  if (sb_servicebus_http_stopped(http))
    return sb_error_set(error, SB_ERR_LINK, "given up, since the transport stops");
  if (http->failed.code) return sb_error_set(error, http->failed.code, "%s", http->failed.text);
  const char *text = *why ? why : curl_easy_strerror(code);
  switch (code) {
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
    /* libcurl takes OpenSSL's own reason for its text. */
    if (sb_net_tls_explain(&http->peer, error) == SB_ERR_REFUSED) return SB_ERR_REFUSED;
    return sb_error_set(error, SB_ERR_LINK, "TLS: %s", text);
  case CURLE_OPERATION_TIMEDOUT:
    return sb_error_set(error, SB_ERR_TIMEOUT, "%s", text);
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return sb_error_set(error, SB_ERR_PROTOCOL, "no HTTP is spoken there: is port %u right? (%s)",
                        (unsigned)http->port, text);
  default:
    return sb_error_set(error, SB_ERR_LINK, "%s", text);
  }
}

int sb_servicebus_http_do(struct sb_servicebus_http *http, const struct sb_servicebus_request *request,
                          long *status, struct sb_buf *answer, struct sb_error *error) {
  char why[CURL_ERROR_SIZE] = "";
  struct sb_buf url = {0};
  struct curl_slist *headers = NULL;
  struct curl_slist *place_holder = NULL;
  struct sink sink = {http, answer};
  CURLcode code;
  char resolve[HOST_MAX + 32];
  http->overflow = false;
  http->failed.code = 0;
  sb_buf_clear(answer);
  write_url(http, request->path, &url);
  sb_buf_append(&url, "", 1);
  int rc = sb_servicebus_token_make(&http->credentials, (const char *)url.data, (uint64_t)time(NULL),
                                    &http->token, error);
  if (rc) goto out;
  headers = make_headers(http);
  snprintf(resolve, sizeof resolve, "%s:%u:" PLACE_HOLDER, http->host, (unsigned)http->port);
  place_holder = curl_slist_append(NULL, resolve);
  if (!headers || !place_holder) {
    rc = sb_error_set(error, SB_ERR_SYSTEM, "no memory for a request");
    goto out;
  }
  url.len--;
  sb_buf_printf(&url, "?" API_VERSION "%s", request->query);
  sb_buf_append(&url, "", 1);
  set_up(http, request, (const char *)url.data, headers, &sink, why);
  set_up_socket(http, place_holder);
  code = http->tls ? set_up_tls(http) : CURLE_OK;
  if (code == CURLE_OK) code = curl_easy_perform(http->curl);
  if (code == CURLE_OK)
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status);
  else
    rc = explain(http, code, why, error);
  curl_easy_reset(http->curl); /* which forgets what this frame owns */
out:
  free_headers(headers);
  curl_slist_free_all(place_holder);
  sb_servicebus_token_close(&http->token);
  sb_buf_close(&url);
  return rc;
}
