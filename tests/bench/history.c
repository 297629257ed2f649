/* What a history of 64 MiB costs, on this machine, now: time for each entry that is added, memory, and time
 * to read 100 entries from anywhere. Prints markdown. Nothing here is a test: figures depend on what else the
 * machine does.
 *
 *   bench_history [ENTRIES]      10 million where none are given */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/core/history/history.h"
#include "bridge/core/wire/entry.h"

#define HISTORY_BYTES ((size_t)64 * 1024 * 1024)
#define BODY_BYTES    ((size_t)64 * 1024)
#define PAYLOAD_BYTES 64
#define READS         20000
#define READS_MEDIAN  10000
#define READS_P99     19800
#define READ_ENTRIES  100
#define GENERATION    1732000000000
#define MAPPED_BYTES  (512 * 1024) /* as `sidebus run` has it */

struct plan {
  const char *title;
  uint32_t channels;
  enum {
    RUNS,
    SINGLY,
    FIELDS
  } kind; /* singly: messages that lie end to end are told one by one; fields: XADD */
  enum { FULL, ONE_ENTRY, ANY_SIZE } body;
};

static const struct plan plans[] = {
    {"1 channel", 1, RUNS, FULL},
    {"1 channel, singly", 1, SINGLY, FULL},
    {"1 stream", 1, FIELDS, FULL},
    {"1,000 channels", 1000, RUNS, FULL},
    {"1,000 channels, batches of one", 1000, RUNS, ONE_ENTRY},
    {"1,000 channels, batches of any size", 1000, RUNS, ANY_SIZE},
    {"100,000 channels", 100000, RUNS, FULL},
    {"100,000 channels, batches of any size", 100000, RUNS, ANY_SIZE},
};

struct run {
  uint32_t off, end, key_off, key_len, index, count;
};

struct bench {
  struct plan plan;
  struct sb_history history;
  struct sb_buf text, reply;
  struct run runs[SB_BATCH_ENTRIES_MAX];
  uint32_t runs_count, batch_entries;
  uint64_t sequence, random;
  uint64_t add_ns;
  uint64_t took[READS];
};

static uint64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* xorshift64* */
static uint64_t below(struct bench *bench, uint64_t bound) {
  bench->random ^= bench->random >> 12;
  bench->random ^= bench->random << 25;
  bench->random ^= bench->random >> 27;
  return (bench->random * UINT64_C(0x2545f4914f6cdd1d) >> 11) % bound;
}

/* In KiB, as /proc tells it. */
static uint64_t memory_of_process(const char *field) {
  char line[256];
  unsigned long long value = 0;
  size_t len = strlen(field);
  FILE *file = fopen("/proc/self/status", "r");
  if (!file) return 0;
  while (fgets(line, sizeof line, file))
    if (strncmp(line, field, len) == 0) value = strtoull(line + len + 1, NULL, 10);
  fclose(file);
  return value;
}

static size_t channel_name(uint64_t channel, char out[32]) {
  return (size_t)snprintf(out, 32, "room:%llu", (unsigned long long)channel);
}

static uint32_t append_entry(struct bench *bench, const char *name, size_t name_len) {
  static const char payload[PAYLOAD_BYTES] = "what is published";
  const struct sb_bytes publish[] = {sb_bytes_of("PUBLISH"), sb_bytes(name, name_len),
                                     sb_bytes(payload, sizeof payload)};
  const struct sb_bytes add[] = {sb_bytes_of("XADD"), sb_bytes(name, name_len), sb_bytes_of("*"),
                                 sb_bytes_of("data"), sb_bytes(payload, sizeof payload)};
  uint32_t off = (uint32_t)bench->text.len;
  size_t head = strlen(bench->plan.kind == FIELDS ? "*5\r\n$4\r\nXADD\r\n" : "*3\r\n$7\r\nPUBLISH\r\n");
  sb_entry_append(&bench->text, bench->plan.kind == FIELDS ? add : publish,
                  bench->plan.kind == FIELDS ? 5 : 3);
  return off + (uint32_t)head + (name_len < 10 ? 4 : 5); /* behind "$<n>CRLF" */
}

/* Of any size: as often below 128 bytes as above 64 KiB. */
static size_t body_bytes(struct bench *bench) {
  if (bench->plan.body == ONE_ENTRY) return 1;
  return bench->plan.body == FULL ? BODY_BYTES : (size_t)64 << below(bench, 12);
}

static void make_batch(struct bench *bench, uint64_t left) {
  const struct plan *plan = &bench->plan;
  uint64_t before = UINT64_MAX;
  uint32_t i = 0;
  size_t full = body_bytes(bench);
  sb_buf_clear(&bench->text);
  bench->runs_count = 0;
  for (; i < left && i < SB_BATCH_ENTRIES_MAX && bench->text.len < full; i++) {
    char name[32];
    uint64_t channel = below(bench, plan->channels);
    size_t name_len = channel_name(channel, name);
    uint32_t off = (uint32_t)bench->text.len, key_off = append_entry(bench, name, name_len);
    bool joins = channel == before && plan->kind == RUNS;
    if (!joins) bench->runs[bench->runs_count++] = (struct run){off, 0, key_off, (uint32_t)name_len, i, 0};
    bench->runs[bench->runs_count - 1].end = (uint32_t)bench->text.len;
    bench->runs[bench->runs_count - 1].count++;
    before = channel;
  }
  bench->batch_entries = i;
}

static void add_run(struct bench *bench, const struct run *run) {
  uint32_t fields_off = run->key_off + run->key_len + (uint32_t)strlen("\r\n$1\r\n*\r\n");
  if (bench->plan.kind == FIELDS)
    sb_history_add_fields(&bench->history, run->key_off, run->key_len, fields_off, run->end - fields_off, 1,
                          run->index);
  else
    sb_history_add_messages(&bench->history, run->off, run->key_off, run->key_len, run->index, run->count);
}

static void add_batch(struct bench *bench) {
  struct sb_body *body = sb_body_new(bench->text.len);
  memcpy(body->data, bench->text.data, bench->text.len);
  uint64_t begin = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  sb_history_batch(&bench->history, GENERATION, ++bench->sequence, body, 0);
  for (uint32_t i = 0; i < bench->runs_count; i++) add_run(bench, &bench->runs[i]);
  bench->add_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin;
  sb_body_unref(body);
}

/* What XRANGE or XREVRANGE from a random id does, with the bytes of its reply. */
static uint64_t read_some(struct bench *bench, bool backwards) {
  char name[32], id_text[SB_ID_TEXT];
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  struct sb_id none = {0, 0}, begin = bench->history.begin;
  uint64_t oldest = begin.seq / SB_BATCH_ENTRIES_MAX + 1;
  struct sb_id id = sb_id_at(GENERATION, oldest + below(bench, bench->sequence - oldest + 1),
                             (uint32_t)below(bench, bench->batch_entries));
  size_t name_len = channel_name(below(bench, bench->plan.channels), name);
  uint64_t start = now_ns(CLOCK_MONOTONIC);
  sb_buf_clear(&bench->reply);
  sb_history_seek(&bench->history, sb_bytes(name, name_len), backwards ? none : id,
                  backwards ? id : SB_ID_MAX, backwards, &cursor);
  for (uint32_t i = 0; i < READ_ENTRIES && sb_history_next(&cursor, &entry); i++) {
    size_t id_len = sb_id_text(entry.id, id_text);
    sb_buf_text(&bench->reply, "*2\r\n$");
    sb_buf_u64(&bench->reply, id_len);
    sb_buf_text(&bench->reply, "\r\n");
    sb_buf_append(&bench->reply, id_text, id_len);
    sb_buf_text(&bench->reply, "\r\n*2\r\n$4\r\ndata\r\n");
    sb_buf_append(&bench->reply, entry.bulk.at, entry.bulk.len);
  }
  return now_ns(CLOCK_MONOTONIC) - start;
}

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static void print_reads(struct bench *bench, bool backwards) {
  for (uint32_t i = 0; i < READS; i++) bench->took[i] = read_some(bench, backwards);
  qsort(bench->took, READS, sizeof bench->took[0], by_size);
  uint64_t median = bench->took[READS_MEDIAN], p99 = bench->took[READS_P99];
  printf(" %.1f | %.1f |", (double)median / 1e3, (double)p99 / 1e3);
}

static void measure(struct plan plan, uint64_t entries) {
  static struct bench bench;
  bench.plan = plan;
  bench.random = 88172645463325252;
  sb_history_init(&bench.history, HISTORY_BYTES, 0);
  make_batch(&bench, entries); /* its buffer is not the history's */
  uint64_t before_kib = memory_of_process("VmRSS:"), added = 0;
  while (added < entries) {
    make_batch(&bench, entries - added);
    add_batch(&bench);
    added += bench.batch_entries;
  }
  uint64_t after_kib = memory_of_process("VmHWM:");
  printf("| %s | %.1f | %.1f | %.1f | %llu |", plan.title, (double)bench.add_ns / (double)entries,
         (double)(after_kib - before_kib) / 1024, (double)bench.history.bytes / 1024 / 1024,
         (unsigned long long)bench.history.entries);
  print_reads(&bench, false);
  print_reads(&bench, true);
  printf("\n");
  sb_history_close(&bench.history);
  sb_buf_close(&bench.text);
  sb_buf_close(&bench.reply);
}

/* Each in a process of its own: what the memory of one left behind would be another's. */
int main(int argc, char **argv) {
  uint64_t entries = 10000000;
  if (argc > 2 ||
      (argc == 2 && (!sb_bytes_u64(sb_bytes_of(argv[1]), UINT32_MAX, &entries) || entries == 0))) {
    fprintf(stderr, "usage: bench_history [ENTRIES]\n");
    return 2;
  }
  printf("| %llu entries over | ns/entry | RSS MiB | accounted MiB | entries held | XRANGE us | p99 | "
         "XREVRANGE us "
         "| p99 |\n|---|---|---|---|---|---|---|---|---|\n",
         (unsigned long long)entries);
  for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
      measure(plans[i], entries);
      return 0;
    }
    if (waitpid(child, &status, 0) != child || status != 0) return 1;
  }
  return 0;
}
