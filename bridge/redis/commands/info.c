/* INFO: those sections of Redis that mean something here, and our own. Programs that read Redis's INFO find
 * the keys that they look for: redis_version, redis_mode, role, loading, loading_eta_seconds,
 * connected_clients. */
#include "bridge/redis/commands/info.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define LOADING_ETA_S 1 /* a node is ready soon after its link is up; clients ask again after this long */

static uint64_t uptime_s(const struct sb_server *server) {
  return (uv_now(server->loop) - server->started_ms) / 1000;
}

static void write_server(const struct sb_server *server, struct sb_buf *out) {
  struct utsname name = {0};
  struct timeval now;
  uname(&name);
  gettimeofday(&now, NULL);
  sb_buf_printf(out,
                "# Server\r\n"
                "redis_version:" SB_REDIS_VERSION "\r\n"
                "redis_mode:standalone\r\n"
                "sidebus_version:" SB_VERSION "\r\n"
                "os:%s %s %s\r\n"
                "arch_bits:%zu\r\n"
                "multiplexing_api:epoll\r\n"
                "process_id:%ld\r\n"
                "run_id:%s\r\n"
                "tcp_port:%u\r\n"
                "server_time_usec:%lld\r\n"
                "uptime_in_seconds:%llu\r\n"
                "uptime_in_days:%llu\r\n"
                "config_file:%s\r\n",
                name.sysname, name.release, name.machine, sizeof(void *) * 8, (long)getpid(), server->run_id,
                sb_listener_port(&server->tcp_listener), (long long)now.tv_sec * 1000000 + now.tv_usec,
                (unsigned long long)uptime_s(server), (unsigned long long)(uptime_s(server) / 86400),
                server->settings.config_file ? server->settings.config_file : "");
}

static void clients(const struct sb_server *server, struct sb_buf *out) {
  size_t input = 0, output = 0;
  uint32_t blocked = server->waiting.count;
  for (const struct sb_link *at = server->roster.open.next; at != &server->roster.open; at = at->next) {
    const struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    if (sb_input_kept(&c->input) > input) input = sb_input_kept(&c->input);
    if (c->session.outlet.out.bytes > output) output = c->session.outlet.out.bytes;
    if (c->session.blocked) blocked++;
  }
  sb_buf_printf(out,
                "# Clients\r\n"
                "connected_clients:%u\r\n"
                "cluster_connections:0\r\n"
                "maxclients:%u\r\n"
                "client_recent_max_input_buffer:%zu\r\n"
                "client_recent_max_output_buffer:%zu\r\n"
                "blocked_clients:%u\r\n"
                "tracking_clients:0\r\n"
                "clients_in_timeout_table:0\r\n",
                server->roster.count, server->settings.sessions_max, input, output, blocked);
}

static void human(size_t bytes, char out[static 32]) {
  static const char units[] = {'K', 'M', 'G', 'T'};
  double value = (double)bytes / 1024;
  size_t unit = 0;
  if (bytes < 1024) {
    snprintf(out, 32, "%zuB", bytes);
    return;
  }
  while (value >= 1024 && unit < sizeof units - 1) {
    value /= 1024;
    unit++;
  }
  snprintf(out, 32, "%.2f%c", value, units[unit]);
}

static size_t resident_bytes(void) {
  char line[128] = "";
  FILE *file = fopen("/proc/self/statm", "re");
  if (!file) return 0;
  const char *read = fgets(line, sizeof line, file);
  fclose(file);
  const char *second = read ? strchr(line, ' ') : NULL;
  return second ? strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void memory(const struct sb_server *server, struct sb_buf *out) {
  struct mallinfo2 heap = mallinfo2();
  struct rusage usage;
  char used_text[32], rss_text[32], peak_text[32];
  size_t used = heap.uordblks + heap.hblkhd, rss = resident_bytes();
  getrusage(RUSAGE_SELF, &usage);
  size_t peak = (size_t)usage.ru_maxrss * 1024;
  human(used, used_text);
  human(rss, rss_text);
  human(peak, peak_text);
  sb_buf_printf(out,
                "# Memory\r\n"
                "used_memory:%zu\r\n"
                "used_memory_human:%s\r\n"
                "used_memory_rss:%zu\r\n"
                "used_memory_rss_human:%s\r\n"
                "used_memory_peak:%zu\r\n"
                "used_memory_peak_human:%s\r\n"
                "maxmemory:0\r\n"
                "maxmemory_human:0B\r\n"
                "maxmemory_policy:noeviction\r\n"
                "mem_clients_normal:%zu\r\n"
                "maxmemory_clients:%llu\r\n"
                "mem_allocator:libc\r\n",
                used, used_text, rss, rss_text, peak, peak_text, sb_memory_used(server),
                (unsigned long long)server->settings.memory_bytes);
}

static void persistence(const struct sb_server *server, struct sb_buf *out) {
  bool loading = !sb_core_ready(server->core);
  sb_buf_printf(out, "# Persistence\r\nloading:%d\r\nasync_loading:0\r\n", loading);
  if (loading) {
    struct timeval now;
    gettimeofday(&now, NULL);
    sb_buf_printf(out,
                  "loading_start_time:%lld\r\n"
                  "loading_total_bytes:0\r\n"
                  "loading_loaded_bytes:0\r\n"
                  "loading_loaded_perc:0.00\r\n"
                  "loading_eta_seconds:%d\r\n",
                  (long long)now.tv_sec - (long long)uptime_s(server), LOADING_ETA_S);
  }
  sb_buf_text(out, "rdb_changes_since_last_save:0\r\n"
                   "rdb_bgsave_in_progress:0\r\n"
                   "rdb_last_bgsave_status:ok\r\n"
                   "aof_enabled:0\r\n"
                   "aof_rewrite_in_progress:0\r\n"
                   "aof_last_write_status:ok\r\n");
}

static void stats(const struct sb_server *server, struct sb_buf *out) {
  const struct sb_server_stats *s = &server->stats;
  struct sb_core_stats core;
  sb_core_stats(server->core, &core);
  sb_buf_printf(out,
                "# Stats\r\n"
                "total_connections_received:%llu\r\n"
                "total_commands_processed:%llu\r\n"
                "total_net_input_bytes:%llu\r\n"
                "total_net_output_bytes:%llu\r\n"
                "rejected_connections:%llu\r\n"
                "sync_full:0\r\n"
                "sync_partial_ok:0\r\n"
                "sync_partial_err:0\r\n"
                "expired_keys:0\r\n"
                "evicted_keys:0\r\n"
                "evicted_clients:%llu\r\n"
                "keyspace_hits:0\r\n"
                "keyspace_misses:0\r\n"
                "pubsub_channels:%llu\r\n"
                "pubsub_patterns:%llu\r\n"
                "pubsubshard_channels:%llu\r\n",
                (unsigned long long)server->roster.last_id, (unsigned long long)s->commands,
                (unsigned long long)s->bytes_read, (unsigned long long)s->bytes_written,
                (unsigned long long)server->unix_listener.rejected + server->tcp_listener.rejected,
                (unsigned long long)s->evicted, (unsigned long long)core.topics[SB_SUB_CHANNEL],
                (unsigned long long)core.topics[SB_SUB_PATTERN],
                (unsigned long long)core.topics[SB_SUB_SHARD]);
  sb_buf_printf(out,
                "unexpected_error_replies:0\r\n"
                "total_error_replies:%llu\r\n"
                "protocol_errors:%llu\r\n"
                "total_reads_processed:%llu\r\n"
                "total_writes_processed:%llu\r\n"
                "client_query_buffer_limit_disconnections:%llu\r\n"
                "client_output_buffer_limit_disconnections:%llu\r\n"
                "acl_access_denied_auth:%llu\r\n"
                "unauthenticated_clients:%u\r\n"
                "unauthenticated_disconnections:%llu\r\n",
                (unsigned long long)s->error_replies + s->protocol_errors,
                (unsigned long long)s->protocol_errors, (unsigned long long)s->reads,
                (unsigned long long)s->writes, (unsigned long long)s->closed_for_input,
                (unsigned long long)s->closed_for_output, (unsigned long long)s->wrong_passwords,
                server->unix_listener.strangers.count + server->tcp_listener.strangers.count,
                (unsigned long long)s->strangers_closed);
}

static void replication(const struct sb_server *server, struct sb_buf *out) {
  sb_buf_printf(out,
                "# Replication\r\n"
                "role:master\r\n"
                "connected_slaves:0\r\n"
                "master_failover_state:no-failover\r\n"
                "master_replid:%s\r\n"
                "master_repl_offset:0\r\n"
                "repl_backlog_active:0\r\n",
                server->run_id);
}

static void cpu(const struct sb_server *server, struct sb_buf *out) {
  struct rusage all, thread;
  (void)server;
  getrusage(RUSAGE_SELF, &all);
  getrusage(RUSAGE_THREAD, &thread);
  sb_buf_printf(out,
                "# CPU\r\n"
                "used_cpu_sys:%ld.%06ld\r\n"
                "used_cpu_user:%ld.%06ld\r\n"
                "used_cpu_sys_main_thread:%ld.%06ld\r\n"
                "used_cpu_user_main_thread:%ld.%06ld\r\n",
                all.ru_stime.tv_sec, all.ru_stime.tv_usec, all.ru_utime.tv_sec, all.ru_utime.tv_usec,
                thread.ru_stime.tv_sec, thread.ru_stime.tv_usec, thread.ru_utime.tv_sec,
                thread.ru_utime.tv_usec);
}

static void modules(const struct sb_server *server, struct sb_buf *out) {
  (void)server;
  sb_buf_text(out, "# Modules\r\n");
}

static void errorstats(const struct sb_server *server, struct sb_buf *out) {
  (void)server;
  sb_buf_text(out, "# Errorstats\r\n");
}

static void cluster(const struct sb_server *server, struct sb_buf *out) {
  (void)server;
  sb_buf_text(out, "# Cluster\r\ncluster_enabled:0\r\n");
}

static void keyspace(const struct sb_server *server, struct sb_buf *out) {
  uint64_t keys = 0;
  for (uint32_t i = 0; i < server->settings.partitions; i++) {
    struct sb_core_log_info log;
    sb_core_log_info(server->core, i, &log);
    keys += log.keys;
  }
  sb_buf_text(out, "# Keyspace\r\n");
  if (keys > 0) sb_buf_printf(out, "db0:keys=%llu\r\n", (unsigned long long)keys);
}

/* ---- our own ---- */

static void sidebus(const struct sb_server *server, struct sb_buf *out) {
  struct sb_core_stats s;
  uint64_t since = 0;
  const char *outage = sb_core_outage(server->core, &since);
  sb_core_stats(server->core, &s);
  sb_buf_printf(
      out,
      "# Sidebus\r\n"
      "sidebus_version:" SB_VERSION "\r\n"
      "node:%s\r\n"
      "ready:%d\r\n"
      "partitions:%u\r\n"
      "outage:%s\r\n"
      "outage_since_unix_ms:%llu\r\n"
      "outbox_bytes:%llu\r\n"
      "sessions_waiting:%u\r\n"
      "paced:%d\r\n"
      "paced_times:%llu\r\n"
      "paced_ms:%llu\r\n"
      "paced_in_vain:%llu\r\n"
      "pace_budget_ms:%llu\r\n",
      server->settings.node, sb_core_ready(server->core), server->settings.partitions, outage ? outage : "",
      (unsigned long long)since, (unsigned long long)s.outbox_bytes, server->waiting.count,
      server->pacing.pace.stands, (unsigned long long)server->pacing.pace.times,
      (unsigned long long)server->pacing.pace.stood_ms, (unsigned long long)server->pacing.pace.used_up,
      (unsigned long long)(server->pacing.pace.budget / SB_PACE_REGAIN));
#define COUNT(key) sb_buf_printf(out, #key ":%llu\r\n", (unsigned long long)s.key)
  COUNT(entries_published);
  COUNT(entries_delivered);
  COUNT(messages_sent);
  COUNT(batches_published);
  COUNT(batches_resent);
  COUNT(batches_accepted);
  COUNT(batches_duplicate);
  COUNT(batches_hole);
  COUNT(batches_stranger);
  COUNT(losses_shown);
  COUNT(batches_malformed);
  COUNT(batches_unsigned);
  COUNT(batches_forged);
  COUNT(batches_untrusted);
  COUNT(batches_impersonated);
  COUNT(divergences);
  COUNT(divergence_rejoins);
  COUNT(wire_version_met);
  COUNT(foreign_messages);
  COUNT(gaps);
  COUNT(rejoins);
  COUNT(snapshots_sent);
  COUNT(checkpoints_sent);
  COUNT(ranges_read_back);
  COUNT(members_declared_dead);
  COUNT(outputs_over_limit);
  COUNT(bytes_published);
  COUNT(bytes_delivered);
#undef COUNT
  struct sb_log_losses lost = sb_log_losses();
  sb_buf_printf(out, "log_lines_over_rate:%llu\r\nlog_lines_dropped:%llu\r\n",
                (unsigned long long)lost.over_rate, (unsigned long long)lost.dropped);
}

static void broker(const struct sb_server *server, struct sb_buf *out) {
  sb_buf_printf(out, "# Broker\r\nbroker:%s\r\n", server->settings.broker);
  if (server->io.broker_status) server->io.broker_status(server->io.owner, out);
}

static void refused(const struct sb_server *server, struct sb_buf *out) {
  sb_buf_text(out, "# Refused\r\n");
  sb_refused_info(&server->commands->refused, out);
}

static void partitions(const struct sb_server *server, struct sb_buf *out) {
  sb_buf_text(out, "# Partitions\r\n");
  for (uint32_t i = 0; i < server->settings.partitions; i++) {
    struct sb_core_log_info log;
    sb_core_log_info(server->core, i, &log);
    sb_buf_printf(
        out,
        "partition_%u:ready=%d,publish_up=%d,consume_up=%d,generation=%llu,applied=%llu,log_time_ms=%llu,"
        "members=%u,channels=%llu,patterns=%llu,in_flight=%u,waiting_bytes=%llu,lag_ms=%llu,keys=%llu,"
        "keys_bytes=%llu,history_entries=%llu,history_bytes=%llu,history_begin=%llu-%llu\r\n",
        i, log.ready, log.publish_up, log.consume_up, (unsigned long long)log.generation,
        (unsigned long long)log.applied, (unsigned long long)log.log_time_ms, log.members,
        (unsigned long long)log.channels, (unsigned long long)log.patterns, log.in_flight,
        (unsigned long long)log.waiting_bytes, (unsigned long long)log.lag_ms, (unsigned long long)log.keys,
        (unsigned long long)log.keys_bytes, (unsigned long long)log.history_entries,
        (unsigned long long)log.history_bytes, (unsigned long long)log.history_begin.ms,
        (unsigned long long)log.history_begin.seq);
  }
}

static void members(const struct sb_server *server, struct sb_buf *out) {
  struct sb_core_member_info member;
  sb_buf_text(out, "# Members\r\n");
  for (uint32_t p = 0; p < server->settings.partitions; p++)
    for (uint32_t i = 0; sb_core_member_info(server->core, p, i, &member); i++)
      sb_buf_printf(
          out,
          "member_%u_%u:node=%s,incarnation=%s,number=%llu,silent_ms=%llu,channels=%llu,patterns=%llu,"
          "self=%d\r\n",
          p, i, member.name, member.incarnation, (unsigned long long)member.number,
          (unsigned long long)member.silent_ms, (unsigned long long)member.channels,
          (unsigned long long)member.patterns, member.self);
}

void sb_info_status(const struct sb_server *server, struct sb_buf *out) {
  sidebus(server, out);
  sb_buf_text(out, "\r\n");
  broker(server, out);
  sb_buf_text(out, "\r\n");
  refused(server, out);
  sb_buf_text(out, "\r\n");
  partitions(server, out);
  sb_buf_text(out, "\r\n");
  members(server, out);
}

/* ---- the command ---- */

struct section {
  const char *name; /* in upper case */
  bool by_default;
  void (*write)(const struct sb_server *server, struct sb_buf *out);
};

static const struct section sections[] = {
    {"SERVER", true, write_server},
    {"CLIENTS", true, clients},
    {"MEMORY", true, memory},
    {"PERSISTENCE", true, persistence},
    {"STATS", true, stats},
    {"REPLICATION", true, replication},
    {"CPU", true, cpu},
    {"MODULES", true, modules},
    {"ERRORSTATS", true, errorstats},
    {"CLUSTER", true, cluster},
    {"KEYSPACE", true, keyspace},
    {"SIDEBUS", true, sidebus},
    {"BROKER", true, broker},
    {"REFUSED", true, refused},
    {"PARTITIONS", false, partitions},
    {"MEMBERS", false, members},
};

static bool is_wanted(const struct section *section, const struct sb_request *request) {
  if (request->count == 1) return section->by_default;
  for (uint32_t i = 1; i < request->count; i++) {
    if (sb_bytes_is(request->args[i], section->name) || sb_bytes_is(request->args[i], "ALL") ||
        sb_bytes_is(request->args[i], "EVERYTHING"))
      return true;
    if (sb_bytes_is(request->args[i], "DEFAULT") && section->by_default) return true;
  }
  return false;
}

enum sb_held sb_run_info(struct sb_connection *c, const struct sb_request *request) {
  struct sb_server *server = c->server;
  struct sb_buf *text = &server->commands->scratch;
  sb_buf_clear(text);
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    if (!is_wanted(&sections[i], request)) continue;
    if (text->len > 0) sb_buf_text(text, "\r\n");
    sections[i].write(server, text);
  }
  sb_reply_verbatim(&server->reply, c->session.proto, "txt", sb_buf_bytes(text));
  return SB_HELD_NOT;
}
