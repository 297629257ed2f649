#include "bridge/redis/commands/refused.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(uint8_t byte) {
  return byte >= ' ' && byte <= '~' && !strchr("\"\\,=", byte);
}

static const char cut[] = "...";

void sb_refused_name(char *out, size_t size, struct sb_bytes text) {
  static const char hex[] = "0123456789abcdef";
  size_t at = strlen(out), last = size - sizeof cut;    /* the mark of a cut still fits here */
  for (size_t i = 0; i < text.len && at <= last; i++) { /* a longer one was cut before */
    uint8_t byte = text.at[i];
    const char code[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
    size_t len = is_plain(byte) ? 1 : sizeof code;
    if (at + len > last) {
      memcpy(out + at, cut, sizeof cut);
      return;
    }
    memcpy(out + at, is_plain(byte) ? (const char *)text.at + i : code, len);
    at += len;
    out[at] = 0;
  }
}

static struct sb_refused_row *find(struct sb_refused *refused, const char *what, const char *client) {
  for (uint32_t i = 0; i < refused->count; i++) {
    struct sb_refused_row *row = &refused->rows[i];
    if (strcmp(row->what, what) == 0 && strcmp(row->client, client) == 0) return row;
  }
  return NULL;
}

/* The first line of a reply. */
static void copy_error(char out[static SB_REFUSED_ERROR_TEXT], struct sb_bytes error) {
  size_t len = 0;
  for (; len < error.len && len + 1 < SB_REFUSED_ERROR_TEXT && error.at[len] != '\r'; len++)
    out[len] = (char)(error.at[len] >= ' ' && error.at[len] <= '~' ? error.at[len] : '?');
  out[len] = 0;
}

enum sb_refused_news sb_refused_count(struct sb_refused *refused, const char *what, const char *client,
                                      struct sb_bytes error, uint64_t unix_ms,
                                      const struct sb_refused_row **row) {
  struct sb_refused_row *found = find(refused, what, client);
  enum sb_refused_news news = SB_REFUSED_KNOWN;
  refused->total++;
  if (!found) {
    if (refused->count == SB_REFUSED_ROWS)
      return refused->uncounted++ == 0 ? SB_REFUSED_FULL : SB_REFUSED_KNOWN;
    found = &refused->rows[refused->count++];
    snprintf(found->what, sizeof found->what, "%s", what);
    snprintf(found->client, sizeof found->client, "%s", client);
    copy_error(found->error, error);
    found->first_ms = unix_ms;
    news = SB_REFUSED_NEW;
  }
  found->count++;
  found->last_ms = unix_ms;
  *row = found;
  return news;
}

/* The most frequent first; there are few. */
uint32_t sb_refused_sorted(const struct sb_refused *refused,
                           const struct sb_refused_row *out[SB_REFUSED_ROWS]) {
  for (uint32_t i = 0; i < refused->count; i++) {
    const struct sb_refused_row *row = &refused->rows[i];
    uint32_t at = i;
    for (; at > 0 && out[at - 1]->count < row->count; at--) out[at] = out[at - 1];
    out[at] = row;
  }
  return refused->count;
}

void sb_refused_info(const struct sb_refused *refused, struct sb_buf *out) {
  const struct sb_refused_row *rows[SB_REFUSED_ROWS];
  uint32_t count = sb_refused_sorted(refused, rows);
  sb_buf_printf(out, "refused_total:%llu\r\nrefused_kinds:%u\r\nrefused_without_a_row:%llu\r\n",
                (unsigned long long)refused->total, count, (unsigned long long)refused->uncounted);
  for (uint32_t i = 0; i < count && i < SB_REFUSED_SHOWN; i++)
    sb_buf_printf(out, "refused_%u:what=%s,client=%s,count=%llu\r\n", i, rows[i]->what, rows[i]->client,
                  (unsigned long long)rows[i]->count);
}
