#include "bridge/cli/bench_plan.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/cli/bench_payload.h"

enum option_id {
  OPT_SOCKET = 's',
  OPT_HELP = 'h',
  OPT_PUBLISH_TO = 256,
  OPT_SUBSCRIBE_TO,
  OPT_PUBLISHERS,
  OPT_SUBSCRIBERS,
  OPT_CHANNELS,
  OPT_CHANNEL,
  OPT_BYTES,
  OPT_MESSAGES,
  OPT_SECONDS,
  OPT_RATE,
  OPT_WINDOW,
  OPT_PATIENCE,
  OPT_IDLE,
  OPT_COMPRESSIBLE,
  OPT_VERIFY,
  OPT_LEAN,
  OPT_JSON,
};

static const struct option options[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"publish-to", required_argument, NULL, OPT_PUBLISH_TO},
    {"subscribe-to", required_argument, NULL, OPT_SUBSCRIBE_TO},
    {"publishers", required_argument, NULL, OPT_PUBLISHERS},
    {"subscribers", required_argument, NULL, OPT_SUBSCRIBERS},
    {"channels", required_argument, NULL, OPT_CHANNELS},
    {"channel", required_argument, NULL, OPT_CHANNEL},
    {"bytes", required_argument, NULL, OPT_BYTES},
    {"messages", required_argument, NULL, OPT_MESSAGES},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"idle", required_argument, NULL, OPT_IDLE},
    {"compressible", no_argument, NULL, OPT_COMPRESSIBLE},
    {"verify", no_argument, NULL, OPT_VERIFY},
    {"lean", no_argument, NULL, OPT_LEAN},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char options_text[] =
    "  -s, --socket WHERE     path or host:port of a server; repeat it for several\n"
    "                         (default: the socket of a bridge that runs without a configuration)\n"
    "      --publish-to WHERE, --subscribe-to WHERE\n"
    "                         only for publishers, only for subscribers (default: the sockets of -s, which\n"
    "                         publishers use in turn)\n"
    "      --publishers N     each with a connection of its own (1)\n"
    "      --subscribers N    on each socket (1)\n"
    "      --channels N       the messages of a publisher go to the channels in turn (1)\n"
    "      --channel NAME     start of the channels' names (bench)\n"
    "      --bytes N          payload of a message, 24 or more (256)\n"
    "      --messages N       of each publisher (100000, or no limit with --seconds)\n"
    "      --seconds S        stop publishing after so long\n"
    "      --rate R           messages a second of all publishers (as many as the window allows)\n"
    "      --window N         publishes of one publisher that wait for their reply (500)\n"
    "      --patience S       give up after so long without progress (10)\n"
    "      --idle N           measure nothing: hold N idle sessions until standard input ends\n"
    "      --compressible     JSON text instead of random bytes\n"
    "      --verify           also compare the content of every message\n"
    "      --lean             read replies without allocating\n"
    "      --json             one JSON object instead of text\n"
    "A password for the servers is taken from $SIDEBUS_PASSWORD.\n"
    "Ends with 1 when messages were lost, doubled, out of order or damaged, or the run failed.\n";

static int read_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out,
                       struct sb_error *error) {
  if (sb_bytes_u64(sb_bytes_of(text), max, out) && *out >= min) return 0;
  return sb_error_set(error, SB_ERR_INVALID, "--%s: \"%s\" is not a number from %llu to %llu", option, text,
                      (unsigned long long)min, (unsigned long long)max);
}

static int read_count(const char *option, const char *text, unsigned min, unsigned max, unsigned *out,
                      struct sb_error *error) {
  uint64_t number = 0;
  int rc = read_number(option, text, min, max, &number, error);
  if (rc == 0) *out = (unsigned)number;
  return rc;
}

static int read_decimal(const char *option, const char *text, double max, double *out,
                        struct sb_error *error) {
  char *end = NULL;
  errno = 0;
  double value = strtod(text, &end);
  if (errno == 0 && end != text && *end == '\0' && isfinite(value) && value > 0 && value <= max) {
    *out = value;
    return 0;
  }
  return sb_error_set(error, SB_ERR_INVALID, "--%s: \"%s\" is not a number above 0 and up to %.0f", option,
                      text, max);
}

static int add_socket(const char *option, struct sb_bench_sockets *list, const char *where,
                      struct sb_error *error) {
  if (*where == '\0') return sb_error_set(error, SB_ERR_INVALID, "--%s: it is empty", option);
  if (list->count == SB_BENCH_SOCKETS_MAX) {
    return sb_error_set(error, SB_ERR_INVALID, "--%s: more than %d", option, SB_BENCH_SOCKETS_MAX);
  }
  list->at[list->count++] = where;
  return 0;
}

static int take_option(struct sb_bench_plan *plan, int id, const char *arg, struct sb_error *error) {
  uint64_t number = 0;
  int rc = 0;
  switch (id) {
  case OPT_SOCKET:
    return add_socket("socket", &plan->sockets, arg, error);
  case OPT_PUBLISH_TO:
    return add_socket("publish-to", &plan->publish_to, arg, error);
  case OPT_SUBSCRIBE_TO:
    return add_socket("subscribe-to", &plan->subscribe_to, arg, error);
  case OPT_PUBLISHERS:
    return read_count("publishers", arg, 1, SB_BENCH_CLIENTS_MAX, &plan->publishers, error);
  case OPT_SUBSCRIBERS:
    return read_count("subscribers", arg, 1, SB_BENCH_CLIENTS_MAX, &plan->subscribers, error);
  case OPT_CHANNELS:
    return read_count("channels", arg, 1, SB_BENCH_CHANNELS_MAX, &plan->channels, error);
  case OPT_CHANNEL:
    plan->channel = arg;
    return 0;
  case OPT_BYTES:
    rc = read_number("bytes", arg, SB_BENCH_STAMP_BYTES, SB_BENCH_PAYLOAD_BYTES_MAX, &number, error);
    if (rc == 0) plan->payload_bytes = (size_t)number;
    return rc;
  case OPT_MESSAGES:
    return read_number("messages", arg, 1, SB_BENCH_MESSAGES_MAX, &plan->messages, error);
  case OPT_SECONDS:
    return read_decimal("seconds", arg, 1e6, &plan->seconds, error);
  case OPT_RATE:
    return read_decimal("rate", arg, 1e9, &plan->rate, error);
  case OPT_WINDOW:
    return read_count("window", arg, 1, 1000000, &plan->window, error);
  case OPT_PATIENCE:
    return read_decimal("patience", arg, 1e6, &plan->patience, error);
  case OPT_IDLE:
    return read_count("idle", arg, 1, SB_BENCH_SESSIONS_MAX, &plan->idle, error);
  case OPT_COMPRESSIBLE:
    plan->compressible = true;
    return 0;
  case OPT_VERIFY:
    plan->verify = true;
    return 0;
  case OPT_LEAN:
    plan->lean = true;
    return 0;
  case OPT_JSON:
    plan->json = true;
    return 0;
  default:
    return sb_error_set(error, SB_ERR_INVALID, "see --help");
  }
}

static int check(struct sb_bench_plan *plan, struct sb_error *error) {
  if (plan->publish_to.count == 0) plan->publish_to = plan->sockets;
  if (plan->subscribe_to.count == 0) plan->subscribe_to = plan->sockets;
  if (plan->publish_to.count == 0 || plan->subscribe_to.count == 0) {
    return sb_error_set(error, SB_ERR_INVALID, "where to? Name a server with -s");
  }
  if (sb_bench_subscribers(plan) > SB_BENCH_CLIENTS_MAX) {
    return sb_error_set(error, SB_ERR_INVALID, "more than %d subscribers on all sockets together",
                        SB_BENCH_CLIENTS_MAX);
  }
  if (plan->messages == 0) plan->messages = plan->seconds > 0 ? SB_BENCH_MESSAGES_MAX : 100000;
  return 0;
}

static void name_channels(struct sb_bench_plan *plan) {
  plan->names = sb_calloc(plan->channels, sizeof *plan->names);
  for (unsigned i = 0; i < plan->channels; i++) {
    sb_buf_printf(&plan->names[i], "%s:%u", plan->channel, i);
  }
}

int sb_bench_plan_init(struct sb_bench_plan *plan, int argc, char **argv, const char *usage,
                       const char *default_socket, struct sb_error *error) {
  *plan = (struct sb_bench_plan){.publishers = 1,
                                 .subscribers = 1,
                                 .channels = 1,
                                 .channel = "bench",
                                 .payload_bytes = 256,
                                 .window = 500,
                                 .patience = 10};
  int rc = 0;
  optind = 1;
  for (int id; rc == 0 && (id = getopt_long(argc, argv, "s:h", options, NULL)) != -1;) {
    if (id == OPT_HELP) {
      printf("%s%s", usage, options_text);
      return 1;
    }
    rc = take_option(plan, id, optarg, error);
  }
  if (rc == 0 && optind < argc) {
    rc = sb_error_set(error, SB_ERR_INVALID, "\"%s\" is too much; see --help", argv[optind]);
  }
  bool named = plan->sockets.count + plan->publish_to.count + plan->subscribe_to.count > 0;
  if (rc == 0 && !named && default_socket) rc = add_socket("socket", &plan->sockets, default_socket, error);
  if (rc == 0) rc = check(plan, error);
  if (rc != 0) return rc;
  plan->run = (uint32_t)sb_bench_now_ns() ^ (uint32_t)getpid() << 12;
  name_channels(plan);
  return 0;
}

void sb_bench_plan_close(struct sb_bench_plan *plan) {
  for (unsigned i = 0; plan->names && i < plan->channels; i++) {
    sb_buf_close(&plan->names[i]);
  }
  free(plan->names);
  plan->names = NULL;
}

unsigned sb_bench_subscribers(const struct sb_bench_plan *plan) {
  return plan->subscribers * plan->subscribe_to.count;
}

const char *sb_bench_publish_socket(const struct sb_bench_plan *plan, unsigned n) {
  return plan->publish_to.at[n % plan->publish_to.count];
}

const char *sb_bench_subscribe_socket(const struct sb_bench_plan *plan, unsigned n) {
  return plan->subscribe_to.at[n % plan->subscribe_to.count];
}
