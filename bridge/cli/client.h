/* One connection from a subcommand to a running bridge, and the options that say which. */
#ifndef SB_CLI_CLIENT_H
#define SB_CLI_CLIENT_H

#include <getopt.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"

struct sb_cli_target {
  const char *socket; /* NULL: the configuration's, or the default one */
  const char *config; /* NULL: none */
  const char *password_file;
  uint32_t timeout_ms;
};

/* For getopt_long: what every client subcommand understands. */
#define SB_CLI_TARGET_SHORT "s:c:t:h"
#define SB_CLI_TARGET_LONG                                                                                   \
  {"socket", required_argument, NULL, 's'}, {"config", required_argument, NULL, 'c'},                        \
      {"timeout", required_argument, NULL, 't'}, {"password-file", required_argument, NULL, 'P'}, {          \
    "help", no_argument, NULL, 'h'                                                                           \
  }
#define SB_CLI_TARGET_HELP                                                                                   \
  "  -s, --socket PATH         the bridge's socket\n"                                                        \
  "  -c, --config FILE         take socket and password from this configuration\n"                           \
  "  -t, --timeout SECONDS     wait this long for an answer (default %u)\n"                                  \
  "      --password-file FILE  a file with the password; or set SIDEBUS_PASSWORD\n"                          \
  "  -h, --help                show this text\n"

/* Whose option it was. */
enum sb_cli_option { SB_CLI_MINE, SB_CLI_TAKEN, SB_CLI_HELP, SB_CLI_BAD };

/* Handles `option`, which getopt_long returned, if every client understands it or it is wrong: then a
 * complaint is printed. */
enum sb_cli_option sb_cli_target_option(struct sb_cli_target *target, int option, char **argv,
                                        const struct option *known);

/* "sidebus <command>: <text>" on stderr. */
__attribute__((format(printf, 2, 3))) void sb_cli_complain(const char *command, const char *format, ...);

/* Connects and gives the password, if there is one. NULL and an error. */
redisContext *sb_cli_connect(const struct sb_cli_target *target, struct sb_error *error);

/* Sends one command and waits for its reply. NULL and an error when the connection failed (SB_ERR_LINK,
 * SB_ERR_TIMEOUT) or the bridge answered with an error (SB_ERR_REFUSED). The reply is freed with
 * freeReplyObject. */
redisReply *sb_cli_command(redisContext *context, const struct sb_cli_target *target, struct sb_error *error,
                           int argc, const char **argv, const size_t *lengths);

/* A bridge that has no room for a session says why and closes, often before it was asked anything, and then
 * our writing fails. True when it had said why: `error` has it. */
bool sb_cli_last_words(const redisContext *context, struct sb_error *error);

/* What went wrong on the connection, in words. */
int sb_cli_link_error(const redisContext *context, const struct sb_cli_target *target,
                      struct sb_error *error);

/* The exit status for an error of the functions above. */
int sb_cli_exit_of(const struct sb_error *error);

#endif
