#include "tests/conformance/servicebus_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_MS 20000L

/* ---- the process ---- */

/* So short that a test can wait for a lock to expire. */
static char *const arguments[] = {"node", SB_SERVICEBUS_DOUBLE, "--set", "min_lock_ms=1000", NULL};

static void run_child(int out) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(out, STDOUT_FILENO);
  execvp(arguments[0], arguments);
  _exit(127);
}

static void take_text(const char *line, const char *key, char *out, size_t size) {
  size_t len = strlen(key);
  if (strncmp(line, key, len) != 0 || line[len] != '=') return;
  snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
}

static void take_port(const char *line, const char *key, uint16_t *port) {
  char text[16] = "";
  take_text(line, key, text, sizeof text);
  if (*text) *port = (uint16_t)strtoul(text, NULL, 10);
}

static void read_lines(struct servicebus_double *d) {
  char line[1024], pid[16] = "";
  FILE *in = fdopen(dup(d->out), "r");
  while (!*pid && fgets(line, sizeof line, in)) {
    take_port(line, "AMQP_PORT", &d->amqp);
    take_port(line, "AMQPS_PORT", &d->amqps);
    take_port(line, "HTTPS_PORT", &d->https);
    take_port(line, "HTTP_PORT", &d->http);
    take_port(line, "CONTROL_PORT", &d->control);
    take_text(line, "CA_FILE", d->ca_file, sizeof d->ca_file);
    take_text(line, "KEY_NAME", d->key_name, sizeof d->key_name);
    take_text(line, "KEY", d->key, sizeof d->key);
    take_text(line, "PID", pid, sizeof pid); /* the last line */
  }
  fclose(in);
}

bool servicebus_double_start(struct servicebus_double *d) {
  *d = (struct servicebus_double){0};
  if (access(SB_SERVICEBUS_DOUBLE, R_OK) != 0) return false;
  int ends[2];
  if (pipe(ends) != 0) return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  d->out = ends[0];
  d->pid = fork();
  if (d->pid == 0) run_child(ends[1]);
  close(ends[1]);
  if (d->pid > 0) read_lines(d);
  if (d->control) {
    d->curl = curl_easy_init();
    return true;
  }
  servicebus_double_stop(d);
  return false;
}

void servicebus_double_stop(struct servicebus_double *d) {
  if (d->curl) curl_easy_cleanup(d->curl);
  if (d->pid > 0) {
    kill(d->pid, SIGTERM);
    waitpid(d->pid, NULL, 0);
  }
  close(d->out);
  *d = (struct servicebus_double){0};
}

/* ---- its control port ---- */

static size_t take_answer(char *at, size_t size, size_t count, void *owner) {
  sb_buf_append(owner, at, size * count);
  return size * count;
}

/* The answer, ended by a zero. */
static struct sb_buf request(struct servicebus_double *d, const char *path, const char *json) {
  char url[256];
  struct sb_buf answer = {0};
  snprintf(url, sizeof url, "http://127.0.0.1:%u/%s", d->control, path);
  curl_easy_reset(d->curl);
  curl_easy_setopt(d->curl, CURLOPT_URL, url);
  curl_easy_setopt(d->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(d->curl, CURLOPT_PROXY, "");
  curl_easy_setopt(d->curl, CURLOPT_TIMEOUT_MS, REQUEST_TIMEOUT_MS);
  curl_easy_setopt(d->curl, CURLOPT_WRITEFUNCTION, take_answer);
  curl_easy_setopt(d->curl, CURLOPT_WRITEDATA, &answer);
  if (json) curl_easy_setopt(d->curl, CURLOPT_POSTFIELDS, json);
  CURLcode rc = curl_easy_perform(d->curl);
  long status = 0;
  curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
  sb_buf_append(&answer, "", 1);
  if (rc != CURLE_OK) fail_msg("control %s: %s", path, curl_easy_strerror(rc));
  if (status != 200) fail_msg("control %s %s: %ld %s", path, json ? json : "", status, (char *)answer.data);
  return answer;
}

static long integer_of(const struct sb_buf *answer, const char *key) {
  char quoted[128];
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *at = strstr((const char *)answer->data, quoted);
  return at ? strtol(at + strlen(quoted), NULL, 10) : -1;
}

__attribute__((format(printf, 3, 0))) static struct sb_buf post(struct servicebus_double *d, const char *verb,
                                                                const char *format, va_list args) {
  char json[4096];
  vsnprintf(json, sizeof json, format, args);
  return request(d, verb, json);
}

void servicebus_double_do(struct servicebus_double *d, const char *verb, const char *format, ...) {
  va_list args;
  va_start(args, format);
  struct sb_buf answer = post(d, verb, format, args);
  va_end(args);
  sb_buf_close(&answer);
}

long servicebus_double_ask(struct servicebus_double *d, const char *verb, const char *key, const char *format,
                           ...) {
  va_list args;
  va_start(args, format);
  struct sb_buf answer = post(d, verb, format, args);
  va_end(args);
  long value = integer_of(&answer, key);
  sb_buf_close(&answer);
  return value;
}

long servicebus_double_tell(struct servicebus_double *d, const char *query, const char *key) {
  struct sb_buf answer = request(d, query, NULL);
  long value = integer_of(&answer, key);
  sb_buf_close(&answer);
  return value;
}

bool servicebus_double_mentions(struct servicebus_double *d, const char *query, const char *text) {
  char quoted[256];
  snprintf(quoted, sizeof quoted, "\"%s\"", text);
  struct sb_buf answer = request(d, query, NULL);
  bool mentions = strstr((const char *)answer.data, quoted) != NULL;
  sb_buf_close(&answer);
  return mentions;
}

/* ---- messages of others ---- */

static void put_base64(struct sb_buf *out, const struct sb_body *body) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < body->len; at += 3) {
    size_t left = body->len - at;
    uint32_t bits = (uint32_t)body->data[at] << 16;
    if (left > 1) bits |= (uint32_t)body->data[at + 1] << 8;
    if (left > 2) bits |= body->data[at + 2];
    const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                          digits[bits & 63]};
    size_t used = left < 3 ? left + 1 : sizeof four;
    sb_buf_append(out, four, used);
    sb_buf_append(out, "==", sizeof four - used);
  }
}

/* `properties` are the items of a JSON object. */
static void publish(struct servicebus_double *d, const char *topic, const char *properties,
                    const struct sb_body *body) {
  struct sb_buf json = {0};
  sb_buf_printf(&json, "{\"topic\":\"%s\",\"base64\":true,\"properties\":{%s},\"body\":\"", topic,
                properties);
  put_base64(&json, body);
  sb_buf_text(&json, "\"}");
  sb_buf_append(&json, "", 1);
  struct sb_buf answer = request(d, "publish", (const char *)json.data);
  sb_buf_close(&answer);
  sb_buf_close(&json);
}

void servicebus_double_foreign(struct servicebus_double *d, const char *topic, const char *channel,
                               const struct sb_body *body) {
  char properties[256] = "";
  if (channel) snprintf(properties, sizeof properties, "\"channel\":\"%s\"", channel);
  publish(d, topic, properties, body);
}

bool servicebus_double_malformed(struct servicebus_double *d, const char *topic, unsigned n,
                                 const struct sb_body *body) {
#define REST                                                                                                 \
  "\"sb-base\":1,\"sb-gen\":1,\"sb-time\":1,\"sb-count\":1,\"sb-try\":0,\"sb-inc\":\"1-0123456789abcdef\""
  static const char *const kinds[] = {
      "\"sb-v\":1",
      "\"sb-v\":1,\"sb-num\":1," REST,
      "\"sb-v\":\"1\",\"sb-node\":\"a\",\"sb-num\":1," REST,
      "\"sb-v\":1.5,\"sb-node\":\"a\",\"sb-num\":1," REST,
      "\"sb-v\":1,\"sb-node\":7,\"sb-num\":-1," REST,
      "\"sb-v\":1,\"sb-node\":\"a\",\"sb-num\":1," REST, /* its content-type is missing */
  };
#undef REST
  if (n >= sizeof kinds / sizeof *kinds) return false;
  publish(d, topic, kinds[n], body);
  return true;
}

/* ---- settings ---- */

void servicebus_double_settings(const struct servicebus_double *d, struct sb_servicebus_settings *settings) {
  sb_servicebus_settings_default(settings);
  settings->host = "localhost";
  settings->port = d->amqp;
  settings->management_port = d->http;
  settings->plain = true;
  settings->credentials.kind = SB_SERVICEBUS_KEY;
  settings->credentials.key_name = d->key_name;
  settings->credentials.key = d->key;
  settings->container = "conformance";
  settings->lock_s = 1;
  settings->backoff_min_ms = 10;
  settings->backoff_max_ms = 200;
  settings->busy_pause_ms = 100;
  settings->connect_timeout_ms = 5000;
  settings->rpc_timeout_ms = 10000;
}
