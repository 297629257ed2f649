/* The command line: `sidebus run` is the bridge, the other subcommands are its clients (bridge/cli). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"
#include "bridge/daemon.h"
#include "bridge/logging/log_sink.h"
#include "config/config.h"
#include "config/suggest.h"

static const char run_usage[] =
    "usage: sidebus run [-c FILE]\n"
    "Runs the bridge in the foreground until SIGTERM. Without a file: the defaults, which need no broker.\n"
    "SIGHUP reads the file again and takes over what can change (see sidebus.conf(5)).\n"
    "  -c, --config FILE  the configuration\n"
    "  -h, --help         show this text\n";

/* A table that grows frees its old memory. By itself glibc soon keeps even megabytes of that for later. With
 * a fixed threshold they go back to the system. */
#define MAPPED_BYTES (512 * 1024)

static void return_large_memory(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

/* Errors go to stderr as plain text: the setting that says how to log may be wrong itself. */
static int run(const char *path) {
  static struct sb_log_stderr sink;
  struct sb_config config;
  struct sb_config_report report = {0};
  return_large_memory();
  int rc = sb_config_load(path, &config, &report);
  if (rc == 0) rc = sb_config_check_place(&config, true, &report);
  if (rc == 0)
    sb_log_stderr_open(&sink, config.log.format == SB_CONFIG_LOG_JSON, config.node, config.log.level);
  for (size_t i = 0; i < report.count; i++) {
    if (rc == 0)
      sb_log(SB_LOG_WARN, "config", "%s", report.problems[i].text);
    else
      fprintf(stderr, "%s%s\n", report.problems[i].warning ? "warning: " : "", report.problems[i].text);
  }
  sb_config_report_close(&report);
  if (rc) {
    sb_config_free(&config);
    return SB_EXIT_FAILED;
  }
  rc = sb_daemon_run(&config, path);
  sb_log_stderr_close(&sink);
  sb_config_free(&config);
  return rc;
}

static int command_run(int argc, char **argv) {
  static const struct option known[] = {
      {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
  struct sb_cli_target unused = {0};
  const char *path = NULL;
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:h", known, NULL)) >= 0) {
    if (option == 'c') {
      path = optarg;
    } else if (option == 'h') {
      fputs(run_usage, stdout);
      return SB_EXIT_OK;
    } else {
      sb_cli_target_option(&unused, option, argv, known);
      return SB_EXIT_UNREACHABLE;
    }
  }
  if (optind < argc) {
    sb_cli_complain(argv[0], "\"%s\" is too much; a configuration is given with -c FILE", argv[optind]);
    return SB_EXIT_UNREACHABLE;
  }
  return run(path);
}

static const struct command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "run the bridge", command_run},
    {"check", "check a configuration", sb_cli_check},
    {"status", "say how a running bridge is", sb_cli_status},
    {"tail", "print what is published", sb_cli_tail},
    {"publish", "publish a message", sb_cli_publish},
    {"bench", "measure throughput and latency, and count what went wrong", sb_cli_bench},
    {"version", "show versions and the brokers this build knows", sb_cli_version},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void usage(FILE *out) {
  fputs("usage: sidebus COMMAND [options]\n"
        "A backplane for real-time web apps: Redis publish/subscribe on a local socket, carried by a message "
        "broker.\n"
        "\n",
        out);
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    fprintf(out, "  %-9s%s\n", commands[i].name, commands[i].summary);
  fputs("\nsidebus COMMAND --help tells more of each; so do sidebus(1) and sidebus.conf(5).\n", out);
}

static int unknown(const char *name) {
  struct sb_suggestion near = {.wrote = name};
  for (size_t i = 0; i < COMMAND_COUNT; i++) sb_suggest(&near, commands[i].name);
  if (near.best)
    fprintf(stderr, "sidebus: unknown command \"%s\"; did you mean \"%s\"?\n", name, near.best);
  else
    fprintf(stderr, "sidebus: unknown command \"%s\"; sidebus --help lists all\n", name);
  return SB_EXIT_UNREACHABLE;
}

static const struct command *find(const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

/* `sidebus help <command>` is the command's own --help. */
static int help(const char *name) {
  const struct command *command = find(name);
  char option[] = "--help";
  if (!command) return unknown(name);
  char *argv[] = {(char[]){""}, option, NULL};
  return command->run(2, argv);
}

/* Opens standard streams that are closed: else a file that is opened later would take the number of one, and
 * get our log lines. */
static int open_standard_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
      return -1;
  return 0;
}

/* A command whose output could not be written has failed: its reader would take a part for all of it. */
static int finish(int status) {
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  if (status != SB_EXIT_OK) return status;
  fprintf(stderr, "sidebus: standard output: %s\n", errno ? strerror(errno) : "not all could be written");
  return SB_EXIT_FAILED;
}

int main(int argc, char **argv) {
  if (open_standard_streams() != 0) return SB_EXIT_FAILED;
  signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error to report, not the end of the process */
  if (argc < 2) {
    usage(stderr);
    return SB_EXIT_UNREACHABLE;
  }
  const char *name = argv[1];
  if (strcmp(name, "--version") == 0) name = "version";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    if (argc > 2) return finish(help(argv[2]));
    usage(stdout);
    return finish(SB_EXIT_OK);
  }
  const struct command *command = find(name);
  return command ? finish(command->run(argc - 1, argv + 1)) : unknown(name);
}
