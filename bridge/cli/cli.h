/* The subcommands of `sidebus` other than `run`. argv[0] is the subcommand's name. Each prints its own errors
 * and returns the exit status of the process. */
#ifndef SB_CLI_CLI_H
#define SB_CLI_CLI_H

/* The exit status of all of them. FAILED: also a bridge that is not ready, and a file with errors.
 * UNREACHABLE: no bridge there, or it went away; also a command line that makes no sense. */
#define SB_EXIT_OK          0
#define SB_EXIT_FAILED      1
#define SB_EXIT_UNREACHABLE 2

int sb_cli_check(int argc, char **argv);
int sb_cli_publish(int argc, char **argv);
int sb_cli_status(int argc, char **argv);
int sb_cli_tail(int argc, char **argv);
int sb_cli_version(int argc, char **argv);

/* In bench.c; 1 also when messages were lost, doubled or out of order. */
int sb_cli_bench(int argc, char **argv);

#endif
