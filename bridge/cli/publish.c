#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"

/* Longer than a broker's restart takes: the bridge keeps the message until then. */
#define TIMEOUT_S_DEFAULT 30U

static const char usage[] =
    "usage: sidebus publish [options] CHANNEL [MESSAGE]\n"
    "Publishes MESSAGE, or each line of standard input when it is - or missing, and prints how many "
    "subscribers\n"
    "got it. Every publish is answered when the log holds it.\n"
    "      --sharded             publish to the shard channel of that name (SPUBLISH)\n" SB_CLI_TARGET_HELP;

struct publish {
  redisContext *context;
  struct sb_cli_target target;
  const char *channel;
  bool sharded;
};

/* Returns how many got it, or a negative code. */
static int64_t publish_one(const struct publish *p, const char *message, size_t len, struct sb_error *error) {
  const char *argv[] = {p->sharded ? "SPUBLISH" : "PUBLISH", p->channel, message};
  const size_t lengths[] = {strlen(argv[0]), strlen(p->channel), len};
  redisReply *reply = sb_cli_command(p->context, &p->target, error, 3, argv, lengths);
  if (!reply && error->code == SB_ERR_TIMEOUT)
    return sb_error_wrap(error, "the message may still be delivered, for instance when the broker is back");
  if (!reply) return error->code;
  int64_t receivers = reply->type == REDIS_REPLY_INTEGER
                          ? reply->integer
                          : sb_error_set(error, SB_ERR_PROTOCOL, "the reply to a publish is not a number");
  freeReplyObject(reply);
  return receivers;
}

static int publish_lines(const struct publish *p, struct sb_error *error) {
  uint64_t messages = 0;
  int64_t receivers = 0, got = 0;
  char *line = NULL;
  size_t cap = 0;
  for (;;) {
    errno = 0;
    ssize_t len = getline(&line, &cap, stdin);
    if (len < 0) break;
    if (len > 0 && line[len - 1] == '\n') len--;
    got = publish_one(p, line, (size_t)len, error);
    if (got < 0) break;
    messages++;
    receivers += got;
  }
  if (got >= 0 && !feof(stdin)) got = sb_error_errno(error, errno, "standard input");
  free(line);
  printf("%" PRIu64 " messages, received %" PRId64 " times\n", messages, receivers);
  return got < 0 ? (int)got : 0;
}

static int publish(const struct publish *p, const char *message) {
  struct sb_error error = {0};
  int rc = 0;
  if (message) {
    int64_t receivers = publish_one(p, message, strlen(message), &error);
    if (receivers < 0)
      rc = (int)receivers;
    else
      printf("%" PRId64 "\n", receivers);
  } else {
    rc = publish_lines(p, &error);
  }
  if (rc == 0) return SB_EXIT_OK;
  sb_cli_complain("publish", "%s", error.text);
  return sb_cli_exit_of(&error);
}

int sb_cli_publish(int argc, char **argv) {
  static const struct option known[] = {SB_CLI_TARGET_LONG, {"sharded", no_argument, NULL, 'S'}, {0}};
  struct publish p = {.target = {.timeout_ms = TIMEOUT_S_DEFAULT * 1000}};
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":" SB_CLI_TARGET_SHORT, known, NULL)) >= 0) {
    enum sb_cli_option was = sb_cli_target_option(&p.target, option, argv, known);
    if (was == SB_CLI_BAD) return SB_EXIT_UNREACHABLE;
    if (was == SB_CLI_HELP) {
      printf(usage, TIMEOUT_S_DEFAULT);
      return SB_EXIT_OK;
    }
    if (was == SB_CLI_MINE) p.sharded = true;
  }
  if (argc - optind < 1 || argc - optind > 2) {
    sb_cli_complain(argv[0], "write a channel and a message (in quotes when it has spaces)");
    return SB_EXIT_UNREACHABLE;
  }
  p.channel = argv[optind];
  const char *message = argc - optind == 2 ? argv[optind + 1] : "-";
  struct sb_error error;
  p.context = sb_cli_connect(&p.target, &error);
  if (!p.context) {
    sb_cli_complain(argv[0], "%s", error.text);
    return sb_cli_exit_of(&error);
  }
  int rc = publish(&p, strcmp(message, "-") == 0 ? NULL : message);
  redisFree(p.context);
  return rc;
}
