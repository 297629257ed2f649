#include "bridge/cli/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/wipe.h"
#include "bridge/cli/cli.h"
#include "config/config.h"
#include "config/secret.h"
#include "config/suggest.h"

#define SYSTEM_SOCKET "/run/sidebus/sidebus.sock"
#define PASSWORD_ENV  "SIDEBUS_PASSWORD"
#define TIMEOUT_S_MAX 86400

void sb_cli_complain(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "sidebus %s: ", command);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
}

static void complain_of_option(char **argv, int option, const struct option *known) {
  const char *wrote = argv[optind - 1];
  if (option == ':') {
    sb_cli_complain(argv[0], "%s needs a value", wrote);
    return;
  }
  if (strncmp(wrote, "--", 2) != 0) {
    sb_cli_complain(argv[0], "unknown option -%c; see sidebus %s --help", optopt, argv[0]);
    return;
  }
  struct sb_suggestion near = {.wrote = wrote + 2};
  for (; known->name; known++) sb_suggest(&near, known->name);
  if (near.best)
    sb_cli_complain(argv[0], "unknown option %s; did you mean --%s?", wrote, near.best);
  else
    sb_cli_complain(argv[0], "unknown option %s; see sidebus %s --help", wrote, argv[0]);
}

enum sb_cli_option sb_cli_target_option(struct sb_cli_target *target, int option, char **argv,
                                        const struct option *known) {
  uint64_t seconds;
  switch (option) {
  case 's':
    target->socket = optarg;
    return SB_CLI_TAKEN;
  case 'c':
    target->config = optarg;
    return SB_CLI_TAKEN;
  case 'P':
    target->password_file = optarg;
    return SB_CLI_TAKEN;
  case 't':
    if (sb_bytes_u64(sb_bytes_of(optarg), TIMEOUT_S_MAX, &seconds) && seconds > 0) {
      target->timeout_ms = (uint32_t)seconds * 1000;
      return SB_CLI_TAKEN;
    }
    sb_cli_complain(argv[0], "--timeout %s: write whole seconds from 1 to %d", optarg, TIMEOUT_S_MAX);
    return SB_CLI_BAD;
  case 'h':
    return SB_CLI_HELP;
  case '?':
  case ':':
    complain_of_option(argv, option, known);
    return SB_CLI_BAD;
  default:
    return SB_CLI_MINE;
  }
}

/* Loads the file of -c, or the defaults. Prints all errors of a broken file. */
static int load_config(const struct sb_cli_target *target, struct sb_config *config, struct sb_error *error) {
  struct sb_config_report report = {0};
  int rc = sb_config_load_client(target->config, config, &report);
  if (rc)
    sb_error_set(error, rc, "%s",
                 report.count ? report.problems[0].text : "the configuration cannot be read");
  sb_config_report_close(&report);
  return rc;
}

static const char *socket_of(const struct sb_cli_target *target, const struct sb_config *config) {
  if (target->socket) return target->socket;
  /* A user with a folder of his own for sockets may still mean the bridge of the machine. */
  if (!target->config && access(config->socket.path, F_OK) < 0 && access(SYSTEM_SOCKET, F_OK) == 0)
    return SYSTEM_SOCKET;
  return config->socket.path;
}

/* NULL without an error means that no password is known. */
static char *password_of(const struct sb_cli_target *target, const struct sb_config *config,
                         struct sb_error *error) {
  if (target->password_file) return sb_secret_read(target->password_file, NULL, error);
  const char *from_env = getenv(PASSWORD_ENV);
  if (from_env && *from_env) return sb_strdup(from_env);
  /* Somebody who may connect may not be allowed to read the bridge's file: then the bridge asks for a
   * password. */
  return config->socket.password_file ? sb_secret_read(config->socket.password_file, NULL, NULL) : NULL;
}

bool sb_cli_last_words(const redisContext *context, struct sb_error *error) {
  char text[256];
  ssize_t len = context->fd >= 0 ? recv(context->fd, text, sizeof text - 1, MSG_DONTWAIT) : -1;
  if (len <= 1 || text[0] != '-') return false;
  text[len] = 0;
  text[strcspn(text, "\r\n")] = 0;
  sb_error_set(error, SB_ERR_REFUSED, "the bridge refused the connection: %s", text + 1);
  return true;
}

int sb_cli_link_error(const redisContext *context, const struct sb_cli_target *target,
                      struct sb_error *error) {
  if (context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT))
    return sb_error_set(error, SB_ERR_TIMEOUT, "no answer within %u s", target->timeout_ms / 1000);
  if (context->err == REDIS_ERR_IO && sb_cli_last_words(context, error)) return SB_ERR_REFUSED;
  if (context->err == REDIS_ERR_EOF)
    return sb_error_set(error, SB_ERR_LINK, "the bridge closed the connection");
  return sb_error_set(error, SB_ERR_LINK, "%s", context->errstr);
}

redisReply *sb_cli_command(redisContext *context, const struct sb_cli_target *target, struct sb_error *error,
                           int argc, const char **argv, const size_t *lengths) {
  redisReply *reply = redisCommandArgv(context, argc, argv, lengths);
  if (!reply) {
    sb_cli_link_error(context, target, error);
    return NULL;
  }
  if (reply->type != REDIS_REPLY_ERROR) return reply;
  sb_error_set(error, SB_ERR_REFUSED, "%.*s%s", (int)(reply->len < 400 ? reply->len : 400), reply->str,
               strncmp(reply->str, "NOAUTH", 6) == 0 ? " (set SIDEBUS_PASSWORD or give --password-file)"
                                                     : "");
  freeReplyObject(reply);
  return NULL;
}

static int authenticate(redisContext *context, const struct sb_cli_target *target, const char *password,
                        struct sb_error *error) {
  const char *argv[] = {"AUTH", password};
  redisReply *reply = sb_cli_command(context, target, error, 2, argv, NULL);
  if (!reply) return sb_error_wrap(error, "the password");
  freeReplyObject(reply);
  return 0;
}

static redisContext *open_socket(const char *path, const struct sb_cli_target *target,
                                 struct sb_error *error) {
  /* hiredis cuts a longer path without a word. */
  if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
    sb_error_set(error, SB_ERR_INVALID, "%s is too long for the path of a socket", path);
    return NULL;
  }
  struct timeval timeout = {.tv_sec = target->timeout_ms / 1000};
  redisContext *context = redisConnectUnixWithTimeout(path, timeout);
  if (!context || context->err) {
    sb_error_set(error, SB_ERR_LINK,
                 "cannot connect to %s: %s; is sidebus running there? (-s or -c say where)", path,
                 context ? context->errstr : "out of memory");
    redisFree(context);
    return NULL;
  }
  redisSetTimeout(context, timeout);
  return context;
}

redisContext *sb_cli_connect(const struct sb_cli_target *target, struct sb_error *error) {
  struct sb_config config;
  redisContext *context = NULL;
  error->code = SB_OK;
  if (load_config(target, &config, error)) return NULL;
  char *password = password_of(target, &config, error);
  if (!password && error->code) goto out;
  context = open_socket(socket_of(target, &config), target, error);
  if (context && password && authenticate(context, target, password, error)) {
    redisFree(context);
    context = NULL;
  }
out:
  sb_wipe_free(password);
  sb_config_free(&config);
  return context;
}

int sb_cli_exit_of(const struct sb_error *error) {
  return error->code == SB_ERR_LINK || error->code == SB_ERR_TIMEOUT || error->code == SB_ERR_INVALID
             ? SB_EXIT_UNREACHABLE
             : SB_EXIT_FAILED;
}
