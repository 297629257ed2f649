#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "bridge/base/limits.h"
#include "bridge/base/system_memory.h"
#include "bridge/cli/cli.h"
#include "bridge/cli/client.h"
#include "config/config.h"

static const char usage[] =
    "usage: sidebus check -c FILE [--print]\n"
    "Checks a configuration and shows every error in it. Ends with 0 when the bridge would start with it, "
    "else 1.\n"
    "  -c, --config FILE  the file\n"
    "      --print        show the settings that hold in the end; secrets are left out\n"
    "  -h, --help         show this text\n";

static void summary(const char *path, const struct sb_config *config) {
  printf("%s: ok: node %s, broker %s, %" PRIu32 " partition%s of %s, socket %s\n", path, config->node,
         sb_config_broker_name(config->broker), config->topics.partitions,
         config->topics.partitions == 1 ? "" : "s", config->topics.prefix, config->socket.path);
  printf("sessions may have %" PRIu64 " bytes of memory together (limits.memory) of %" PRIu64
         " that this process may have\n",
         sb_config_sessions_memory(config), sb_system_memory());
  if (config->broker == SB_CONFIG_MEMORY) return; /* it has no outages */
  printf(
      "after an outage each node sends up to %" PRIu64 " bytes at once (outbox.max_bytes); a session that "
      "reads them is waited for, for twice as long as the outage lasted and %d s at most, and above %" PRIu64
      " bytes (limits.output.hard_bytes) it is disconnected\n",
      config->outbox.max_bytes, SB_PACE_OUTAGE_MS / 1000, config->limits.output.hard_bytes);
}

static int check(const char *path, bool print) {
  struct sb_config config;
  struct sb_config_report report = {0};
  int rc = sb_config_load(path, &config, &report);
  bool loaded = rc == 0;
  if (loaded) rc = sb_config_check_place(&config, false, &report);
  for (size_t i = 0; i < report.count; i++)
    fprintf(stderr, "%s%s\n", report.problems[i].warning ? "warning: " : "", report.problems[i].text);
  if (report.errors > 1) fprintf(stderr, "%s: %zu errors\n", path, report.errors);
  if (loaded && print) {
    struct sb_buf text = {0};
    sb_config_print(&config, &text);
    fwrite(text.data, 1, text.len, stdout);
    sb_buf_close(&text);
  } else if (rc == 0) {
    summary(path, &config);
  }
  sb_config_report_close(&report);
  sb_config_free(&config);
  return rc == 0 ? SB_EXIT_OK : SB_EXIT_FAILED;
}

int sb_cli_check(int argc, char **argv) {
  static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                        {"print", no_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};
  struct sb_cli_target unused = {0};
  const char *path = NULL;
  bool print = false;
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":c:h", known, NULL)) >= 0) {
    if (option == 'c') {
      path = optarg;
    } else if (option == 'p') {
      print = true;
    } else if (option == 'h') {
      fputs(usage, stdout);
      return SB_EXIT_OK;
    } else {
      sb_cli_target_option(&unused, option, argv, known);
      return SB_EXIT_UNREACHABLE;
    }
  }
  if (!path && argc - optind == 1) path = argv[optind++];
  if (!path || optind < argc) {
    sb_cli_complain(argv[0], "write the file to check: sidebus check -c FILE");
    return SB_EXIT_UNREACHABLE;
  }
  return check(path, print);
}
