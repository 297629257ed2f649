#include <stdio.h>
#include <string.h>

#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"
#include "bridge/cli/info.h"

#define TIMEOUT_S_DEFAULT 5U

static const char usage[] = "usage: sidebus status [options]\n"
                            "Says how a running bridge is. Ends with 0 when it is ready, 1 when it is not, 2 "
                            "when it cannot be reached.\n"
                            "      --json                one JSON object\n" SB_CLI_TARGET_HELP;

/* Asks for a text, which servers send in several types. */
static redisReply *ask(redisContext *context, const struct sb_cli_target *target, struct sb_error *error,
                       int argc, const char **argv) {
  redisReply *reply = sb_cli_command(context, target, error, argc, argv, NULL);
  if (!reply || reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) return reply;
  freeReplyObject(reply);
  sb_error_set(error, SB_ERR_PROTOCOL, "the reply to %s is not a text", argv[0]);
  return NULL;
}

/* A server is ready when INFO has "loading:0", for which Redis clients wait, and no "ready" that says no. */
static bool is_ready(const struct sb_info *info) {
  struct sb_bytes value;
  if (!sb_info_find(info, "loading", &value) || !sb_bytes_equal(value, sb_bytes_of("0"))) return false;
  if (!sb_info_find(info, "ready", &value)) return true;
  return sb_bytes_equal(value, sb_bytes_of("1")) || sb_bytes_is(value, "YES") || sb_bytes_is(value, "TRUE");
}

static void print(const struct sb_info *info, bool ready, bool is_sidebus, bool json) {
  struct sb_buf out = {0};
  struct sb_bytes version = sb_bytes_of("?");
  if (json) {
    sb_info_json(info, ready, &out);
  } else if (is_sidebus) {
    sb_info_find(info, "sidebus_version", &version);
    sb_buf_printf(&out, "sidebus %.*s: %s\n", (int)version.len, (const char *)version.at,
                  ready ? "ready" : "not ready");
    sb_info_print(info, &out);
  } else {
    sb_info_find(info, "redis_version", &version);
    sb_buf_printf(&out, "redis %.*s, not a sidebus: %s\n", (int)version.len, (const char *)version.at,
                  ready ? "ready" : "loading");
  }
  fwrite(out.data, 1, out.len, stdout);
  sb_buf_close(&out);
}

static int status(redisContext *context, const struct sb_cli_target *target, bool json,
                  struct sb_error *error) {
  const char *ask_info[] = {"INFO"}, *ask_status[] = {"SIDEBUS", "STATUS"};
  redisReply *info_text = NULL, *status_text = NULL;
  struct sb_info all = {0}, own = {0};
  int rc = SB_EXIT_UNREACHABLE;
  info_text = ask(context, target, error, 1, ask_info);
  if (!info_text) goto out;
  status_text = ask(context, target, error, 2, ask_status);
  if (!status_text && error->code != SB_ERR_REFUSED) goto out;
  if (status_text) {
    sb_info_read(&own, sb_bytes(status_text->str, status_text->len));
    sb_info_read(&all, sb_bytes(status_text->str, status_text->len));
  }
  sb_info_read(&all, sb_bytes(info_text->str, info_text->len));
  bool ready = is_ready(&all);
  print(json ? &all : status_text ? &own : &all, ready, status_text != NULL, json);
  rc = ready ? SB_EXIT_OK : SB_EXIT_FAILED;
  error->code = SB_OK;
out:
  sb_info_close(&all);
  sb_info_close(&own);
  freeReplyObject(info_text);
  freeReplyObject(status_text);
  return rc;
}

int sb_cli_status(int argc, char **argv) {
  static const struct option known[] = {SB_CLI_TARGET_LONG, {"json", no_argument, NULL, 'j'}, {0}};
  struct sb_cli_target target = {.timeout_ms = TIMEOUT_S_DEFAULT * 1000};
  struct sb_error error = {0};
  bool json = false;
  int option, rc = SB_EXIT_UNREACHABLE;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":" SB_CLI_TARGET_SHORT, known, NULL)) >= 0) {
    enum sb_cli_option was = sb_cli_target_option(&target, option, argv, known);
    if (was == SB_CLI_BAD) return SB_EXIT_UNREACHABLE;
    if (was == SB_CLI_HELP) {
      printf(usage, TIMEOUT_S_DEFAULT);
      return SB_EXIT_OK;
    }
    if (was == SB_CLI_MINE) json = true;
  }
  if (optind < argc) {
    sb_cli_complain(argv[0], "\"%s\" is too much; see sidebus status --help", argv[optind]);
    return SB_EXIT_UNREACHABLE;
  }
  redisContext *context = sb_cli_connect(&target, &error);
  if (context) rc = status(context, &target, json, &error);
  if (error.code) sb_cli_complain(argv[0], "%s", error.text);
  redisFree(context);
  return rc;
}
