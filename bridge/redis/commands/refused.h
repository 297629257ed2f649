/* What this bridge was asked for and does not do: unknown commands and scripts, options, keyspace events.
 * Many client libraries hide such an error from the app, so it is counted here by what was asked and by the
 * library that asked, for people to look at. Arguments of commands are not kept: they may be secrets.
 *
 * Bounded, since names come from outside: they are cut, and when all rows are taken, everything new is
 * counted as one. All texts are printable ASCII. Names have no commas, "=" nor quotes, which divide the lines
 * of INFO. One thread. */
#ifndef SB_REDIS_COMMANDS_REFUSED_H
#define SB_REDIS_COMMANDS_REFUSED_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"

struct sb_refused_row {
  char what[SB_REFUSED_WHAT_TEXT], client[SB_REFUSED_CLIENT_TEXT], error[SB_REFUSED_ERROR_TEXT];
  uint64_t count, first_ms, last_ms; /* Unix ms */
};

/* Storage that the caller holds; zeroed is empty. */
struct sb_refused {
  struct sb_refused_row rows[SB_REFUSED_ROWS];
  uint32_t count;            /* of rows */
  uint64_t total, uncounted; /* refusals; those that have no row */
};

enum sb_refused_news { SB_REFUSED_KNOWN, SB_REFUSED_NEW, SB_REFUSED_FULL /* the first that has no row */ };

/* `what` and `client` are texts of sb_refused_name; `error` is the reply as it was sent. *row is set when it
 * is KNOWN or NEW. */
enum sb_refused_news sb_refused_count(struct sb_refused *refused, const char *what, const char *client,
                                      struct sb_bytes error, uint64_t unix_ms,
                                      const struct sb_refused_row **row);

/* The rows, those with the highest counts first; returns how many. */
uint32_t sb_refused_sorted(const struct sb_refused *refused,
                           const struct sb_refused_row *out[SB_REFUSED_ROWS]);

/* Appends to the name in `out`, of `size` bytes, as much as fits; other bytes become \xNN. One that was cut
 * ends with "...". */
void sb_refused_name(char *out, size_t size, struct sb_bytes text);

/* The lines of INFO: totals, and the rows with the highest counts. */
void sb_refused_info(const struct sb_refused *refused, struct sb_buf *out);

#endif
