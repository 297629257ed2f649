#include "bridge/cli/bench_report.h"

#include <inttypes.h>

static unsigned count_diverged(const struct sb_bench_plan *plan, const struct sb_bench_result *result) {
  unsigned diverged = 0;
  for (unsigned channel = 0; channel < plan->channels; channel++) {
    bool same = true;
    for (unsigned i = 1; i < sb_bench_subscribers(plan); i++) {
      same = same && result->tallies[i].order[channel] == result->tallies[0].order[channel];
    }
    if (!same) diverged++;
  }
  return diverged;
}

static void add_subscriber(struct sb_bench_report *report, const struct sb_bench_tally *tally) {
  report->deliveries += tally->received;
  report->lost += tally->received < report->sent ? report->sent - tally->received : 0;
  report->doubled += tally->doubled;
  report->reordered += tally->reordered;
  report->damaged += tally->damaged;
  report->foreign += tally->foreign;
  sb_bench_latencies_merge(&report->latencies, &tally->latencies);
}

void sb_bench_report_make(struct sb_bench_report *report, const struct sb_bench_plan *plan,
                          const struct sb_bench_result *result) {
  uint64_t first_ns = UINT64_MAX, last_ns = 0, publish_cpu_ns = 0, receive_cpu_ns = 0;
  *report = (struct sb_bench_report){.sent = sb_bench_sent(plan, result)};
  for (unsigned i = 0; i < plan->publishers; i++) {
    const struct sb_bench_client *client = &result->publishers[i];
    publish_cpu_ns += client->cpu_ns;
    if (client->first_ns < first_ns) first_ns = client->first_ns;
  }
  for (unsigned i = 0; i < sb_bench_subscribers(plan); i++) {
    add_subscriber(report, &result->tallies[i]);
    receive_cpu_ns += result->subscribers[i].cpu_ns;
    if (result->tallies[i].last_ns > last_ns) last_ns = result->tallies[i].last_ns;
  }
  report->diverged = count_diverged(plan, result);
  if (last_ns > first_ns) {
    report->seconds = (double)(last_ns - first_ns) / 1e9;
    report->per_second = (double)report->sent / report->seconds;
  }
  if (report->sent > 0) report->publish_cpu_ns = (double)publish_cpu_ns / (double)report->sent;
  if (report->deliveries > 0) report->receive_cpu_ns = (double)receive_cpu_ns / (double)report->deliveries;
}

bool sb_bench_report_clean(const struct sb_bench_report *report) {
  return report->lost == 0 && report->doubled == 0 && report->reordered == 0 && report->damaged == 0 &&
         report->diverged == 0;
}

static double ms_at(const struct sb_bench_report *report, double share) {
  return (double)sb_bench_latencies_at(&report->latencies, share) / 1e6;
}

static void print_json(const struct sb_bench_report *r, const struct sb_bench_plan *plan, FILE *to) {
  fprintf(to,
          "{\"publishers\":%u,\"subscribers\":%u,\"channels\":%u,\"bytes\":%zu,\"window\":%u,\"rate\":%.0f,",
          plan->publishers, sb_bench_subscribers(plan), plan->channels, plan->payload_bytes, plan->window,
          plan->rate);
  fprintf(to, "\"sent\":%" PRIu64 ",\"deliveries\":%" PRIu64 ",\"seconds\":%.6f,\"per_second\":%.0f,",
          r->sent, r->deliveries, r->seconds, r->per_second);
  fprintf(to, "\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,\"p999_ms\":%.4f,\"max_ms\":%.4f,",
          ms_at(r, 0.5), ms_at(r, 0.9), ms_at(r, 0.99), ms_at(r, 0.999), ms_at(r, 1));
  fprintf(to,
          "\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"damaged\":%" PRIu64
          ",\"foreign\":%" PRIu64 ",\"diverged_channels\":%u,",
          r->lost, r->doubled, r->reordered, r->damaged, r->foreign, r->diverged);
  fprintf(to, "\"publish_cpu_ns\":%.0f,\"receive_cpu_ns\":%.0f}\n", r->publish_cpu_ns, r->receive_cpu_ns);
}

static void print_text(const struct sb_bench_report *r, const struct sb_bench_plan *plan, FILE *to) {
  fprintf(to, "%u publisher%s, %u subscriber%s, %u channel%s, %zu bytes\n", plan->publishers,
          plan->publishers == 1 ? "" : "s", sb_bench_subscribers(plan),
          sb_bench_subscribers(plan) == 1 ? "" : "s", plan->channels, plan->channels == 1 ? "" : "s",
          plan->payload_bytes);
  fprintf(to, "  throughput  %.0f messages/s (%" PRIu64 " in %.3f s)\n", r->per_second, r->sent, r->seconds);
  fprintf(to, "  latency     p50 %.3f ms, p90 %.3f, p99 %.3f, p99.9 %.3f, max %.3f\n", ms_at(r, 0.5),
          ms_at(r, 0.9), ms_at(r, 0.99), ms_at(r, 0.999), ms_at(r, 1));
  fprintf(to, "  clients     %.0f ns of CPU per message publishing, %.0f ns receiving\n", r->publish_cpu_ns,
          r->receive_cpu_ns);
  fprintf(to, "  faults      lost %" PRIu64 ", doubled %" PRIu64 ", reordered %" PRIu64 ", damaged %" PRIu64,
          r->lost, r->doubled, r->reordered, r->damaged);
  if (sb_bench_subscribers(plan) > 1) {
    fprintf(to, "; subscribers disagree on the order of %u of %u channels", r->diverged, plan->channels);
  }
  if (r->foreign > 0) fprintf(to, "; %" PRIu64 " messages of others", r->foreign);
  fprintf(to, "\n");
}

void sb_bench_report_print(const struct sb_bench_report *report, const struct sb_bench_plan *plan, FILE *to) {
  if (plan->json) {
    print_json(report, plan, to);
  } else {
    print_text(report, plan, to);
  }
}
