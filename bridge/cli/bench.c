#include "bridge/cli/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/cli/bench_redis.h"
#include "bridge/cli/bench_report.h"
#include "bridge/cli/cli.h"
#include "config/config.h"

static const char usage_text[] =
    "usage: sidebus bench [-s SOCKET]… [options]\n"
    "Publishes messages and checks what subscribers get: messages a second from the first publish to the "
    "last\n"
    "delivery at the slowest subscriber, latency from publish to delivery, CPU of the clients, and how many\n"
    "messages were lost, doubled or reordered.\n";

static int measure(const struct sb_bench_roles *roles, const struct sb_bench_plan *plan,
                   struct sb_error *error) {
  struct sb_bench_result *result = NULL;
  int rc = sb_bench_run(plan, roles, &result, error);
  if (!result) return rc;
  struct sb_bench_report *report = sb_malloc(sizeof *report);
  sb_bench_report_make(report, plan, result);
  sb_bench_report_print(report, plan, stdout);
  if (rc == 0 && !sb_bench_report_clean(report)) {
    rc = sb_error_set(error, SB_ERR_PROTOCOL, "not every message came once, in order and undamaged");
  }
  free(report);
  sb_bench_result_free(result);
  return rc;
}

int sb_bench_main(const struct sb_bench_program *program, int argc, char **argv) {
  struct sb_bench_plan plan;
  struct sb_error error = {0};
  int rc = sb_bench_plan_init(&plan, argc, argv, program->usage, program->default_socket, &error);
  if (rc == 1) return SB_EXIT_OK;
  if (rc == 0 && plan.idle > 0 && !program->hold_idle) {
    rc = sb_error_set(&error, SB_ERR_INVALID, "--idle: not here");
  }
  if (rc != 0) {
    fprintf(stderr, "%s: %s\n", program->name, error.text);
    return SB_EXIT_UNREACHABLE;
  }
  rc = plan.idle > 0 ? program->hold_idle(&plan, &error) : measure(program->roles, &plan, &error);
  if (rc != 0) fprintf(stderr, "%s: %s\n", program->name, error.text);
  sb_bench_plan_close(&plan);
  return rc == 0 ? SB_EXIT_OK : SB_EXIT_FAILED;
}

int sb_cli_bench(int argc, char **argv) {
  struct sb_config defaults;
  sb_config_init_defaults(&defaults);
  const struct sb_bench_program program = {.name = "sidebus bench",
                                           .usage = usage_text,
                                           .default_socket = defaults.socket.path,
                                           .roles = &sb_bench_redis,
                                           .hold_idle = sb_bench_hold_idle};
  int status = sb_bench_main(&program, argc, argv);
  sb_config_free(&defaults);
  return status;
}
