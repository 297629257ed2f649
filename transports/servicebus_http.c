#include "transports/servicebus_http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API_VERSION "api-version=2017-04"
#define HOST_MAX    255

struct sb_servicebus_http {
  CURL *curl; /* keeps its connection between requests */
  char *host, *ca_file;
  uint16_t port;
  bool tls, verify;
  uint32_t connect_timeout_ms, request_timeout_ms;
  const atomic_bool *stop;
  struct sb_servicebus_credentials credentials;
  struct sb_servicebus_token token;
  bool overflow; /* the answer had more than SB_SERVICEBUS_ANSWER_BYTES_MAX */
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
  /* An emulator stands on this machine or beside it, whatever proxy leads to the world. */
  if (!http->tls) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, http->verify ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, http->verify ? 2L : 0L);
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (http->ca_file) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* only these, not the system's as well */
  }
}

static int explain(const struct sb_servicebus_http *http, CURLcode code, const char *why,
                   struct sb_error *error) {
  if (http->overflow)
    return sb_error_set(error, SB_ERR_TOO_LARGE, "the answer has more than %zu bytes",
                        SB_SERVICEBUS_ANSWER_BYTES_MAX);
  const char *text = *why ? why : curl_easy_strerror(code);
  switch (code) {
  case CURLE_OPERATION_TIMEDOUT:
    return sb_error_set(error, SB_ERR_TIMEOUT, "%s", text);
  case CURLE_ABORTED_BY_CALLBACK:
    return sb_error_set(error, SB_ERR_LINK, "given up, since the transport stops");
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return sb_error_set(error, SB_ERR_PROTOCOL, "%s", text);
  default:
    return sb_error_set(error, SB_ERR_LINK, "%s", text);
  }
}

int sb_servicebus_http_do(struct sb_servicebus_http *http, const struct sb_servicebus_request *request,
                          long *status, struct sb_buf *answer, struct sb_error *error) {
  char why[CURL_ERROR_SIZE] = "";
  struct sb_buf url = {0};
  struct curl_slist *headers = NULL;
  struct sink sink = {http, answer};
  CURLcode code;
  http->overflow = false;
  sb_buf_clear(answer);
  write_url(http, request->path, &url);
  sb_buf_append(&url, "", 1);
  int rc = sb_servicebus_token_make(&http->credentials, (const char *)url.data, (uint64_t)time(NULL),
                                    &http->token, error);
  if (rc) goto out;
  headers = make_headers(http);
  if (!headers) {
    rc = sb_error_set(error, SB_ERR_SYSTEM, "no memory for a request");
    goto out;
  }
  url.len--;
  sb_buf_printf(&url, "?" API_VERSION "%s", request->query);
  sb_buf_append(&url, "", 1);
  set_up(http, request, (const char *)url.data, headers, &sink, why);
  code = curl_easy_perform(http->curl);
  if (code == CURLE_OK)
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, status);
  else
    rc = explain(http, code, why, error);
  curl_easy_reset(http->curl); /* which forgets what this frame owns */
out:
  free_headers(headers);
  sb_servicebus_token_close(&http->token);
  sb_buf_close(&url);
  return rc;
}
