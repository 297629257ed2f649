#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"
#include "bridge/logging/escape.h"

#define TIMEOUT_S_DEFAULT 5U
#define PATTERNS_MAX      1024

static const char usage[] =
    "usage: sidebus tail [options] PATTERN…\n"
    "Prints what is published on the channels that match, one line each: channel, space, payload. Control\n"
    "characters and bytes that are not UTF-8 show as \\n, \\t, \\xNN. Ends on Ctrl-C.\n"
    "  -n, --count N             end after N messages\n"
    "      --raw                 print the payload alone, byte for byte, and a newline\n" SB_CLI_TARGET_HELP;

struct tail {
  redisContext *context;
  struct sb_cli_target target;
  uint64_t count; /* 0: no end */
  uint64_t seen;
  bool raw;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
  (void)number;
  interrupted = 1;
}

/* Lets SIGINT and SIGTERM in only while waiting; returns the mask to wait with. */
static sigset_t catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t both, before;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigemptyset(&both);
  sigaddset(&both, SIGINT);
  sigaddset(&both, SIGTERM);
  sigprocmask(SIG_BLOCK, &both, &before);
  return before;
}

static void print_message(const struct tail *t, const redisReply *channel, const redisReply *payload) {
  if (t->raw) {
    fwrite(payload->str, 1, payload->len, stdout);
    putchar('\n');
    return;
  }
  struct sb_buf line = {0};
  sb_escape_terminal(sb_bytes(channel->str, channel->len), &line);
  sb_buf_text(&line, " ");
  sb_escape_terminal(sb_bytes(payload->str, payload->len), &line);
  sb_buf_text(&line, "\n");
  fwrite(line.data, 1, line.len, stdout);
  sb_buf_close(&line);
}

/* Messages are ["pmessage", pattern, channel, payload]; confirmations are passed over. */
static int take(struct tail *t, const redisReply *reply, struct sb_error *error) {
  if (reply->type == REDIS_REPLY_ERROR)
    return sb_error_set(error, SB_ERR_REFUSED, "%.*s", (int)(reply->len < 400 ? reply->len : 400),
                        reply->str);
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
      reply->element[0]->type != REDIS_REPLY_STRING)
    return sb_error_set(error, SB_ERR_PROTOCOL, "a reply is not a message");
  if (strcmp(reply->element[0]->str, "pmessage") != 0) return 0;
  if (reply->elements != 4 || reply->element[2]->type != REDIS_REPLY_STRING ||
      reply->element[3]->type != REDIS_REPLY_STRING)
    return sb_error_set(error, SB_ERR_PROTOCOL, "a message has not four parts");
  print_message(t, reply->element[2], reply->element[3]);
  t->seen++;
  return 0;
}

static bool done(const struct tail *t) {
  return t->count != 0 && t->seen == t->count;
}

/* Takes every reply that has been read. */
static int take_all(struct tail *t, struct sb_error *error) {
  while (!done(t)) {
    redisReply *reply = NULL;
    if (redisGetReplyFromReader(t->context, (void **)&reply) != REDIS_OK)
      return sb_cli_link_error(t->context, &t->target, error);
    if (!reply) break;
    int rc = take(t, reply, error);
    freeReplyObject(reply);
    if (rc) return rc;
  }
  if (fflush(stdout) == EOF) return sb_error_errno(error, errno, "standard output");
  return 0;
}

static int follow(struct tail *t, struct sb_error *error) {
  sigset_t open = catch_signals();
  struct pollfd wait = {.fd = t->context->fd, .events = POLLIN};
  int rc = take_all(t, error);
  while (rc == 0 && !done(t) && !interrupted) {
    int ready = ppoll(&wait, 1, NULL, &open);
    if (ready < 0 && errno != EINTR) return sb_error_errno(error, errno, "waiting for messages");
    if (ready <= 0) continue;
    if (redisBufferRead(t->context) != REDIS_OK) {
      sb_cli_link_error(t->context, &t->target, error);
      return sb_error_wrap(error, "the bridge went away");
    }
    rc = take_all(t, error);
  }
  return rc;
}

/* Waits for the confirmation of every pattern. */
static int subscribe(struct tail *t, int count, char **patterns, struct sb_error *error) {
  const char *argv[PATTERNS_MAX + 1] = {"PSUBSCRIBE"};
  memcpy(argv + 1, patterns, (size_t)count * sizeof *patterns);
  redisReply *reply = sb_cli_command(t->context, &t->target, error, count + 1, argv, NULL);
  for (int confirmed = 1; reply; confirmed++) {
    int rc = take(t, reply, error);
    freeReplyObject(reply);
    if (rc) return rc;
    if (confirmed == count) return 0;
    reply = NULL;
    if (redisGetReply(t->context, (void **)&reply) != REDIS_OK)
      return sb_cli_link_error(t->context, &t->target, error);
  }
  return error->code;
}

static int tail(struct tail *t, int count, char **patterns) {
  struct sb_error error = {0};
  t->context = sb_cli_connect(&t->target, &error);
  if (!t->context) goto failed;
  int rc = subscribe(t, count, patterns, &error);
  if (rc == 0) {
    fprintf(stderr, "sidebus tail: listening\n");
    rc = follow(t, &error);
  }
  redisFree(t->context);
  if (rc == 0) return SB_EXIT_OK;
failed:
  sb_cli_complain("tail", "%s", error.text);
  return sb_cli_exit_of(&error);
}

int sb_cli_tail(int argc, char **argv) {
  static const struct option known[] = {
      SB_CLI_TARGET_LONG, {"count", required_argument, NULL, 'n'}, {"raw", no_argument, NULL, 'R'}, {0}};
  struct tail t = {.target = {.timeout_ms = TIMEOUT_S_DEFAULT * 1000}};
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":n:" SB_CLI_TARGET_SHORT, known, NULL)) >= 0) {
    enum sb_cli_option was = sb_cli_target_option(&t.target, option, argv, known);
    if (was == SB_CLI_BAD) return SB_EXIT_UNREACHABLE;
    if (was == SB_CLI_HELP) {
      printf(usage, TIMEOUT_S_DEFAULT);
      return SB_EXIT_OK;
    }
    if (option == 'R') t.raw = true;
    if (option == 'n' && (!sb_bytes_u64(sb_bytes_of(optarg), UINT64_MAX, &t.count) || t.count == 0)) {
      sb_cli_complain(argv[0], "--count %s: write a number from 1", optarg);
      return SB_EXIT_UNREACHABLE;
    }
  }
  int count = argc - optind;
  if (count < 1 || count > PATTERNS_MAX) {
    sb_cli_complain(argv[0], "write a pattern, for example \"*\" (in quotes)");
    return SB_EXIT_UNREACHABLE;
  }
  return tail(&t, count, argv + optind);
}
