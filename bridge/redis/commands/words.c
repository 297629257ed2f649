#include "bridge/redis/commands/words.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"

struct sb_words *sb_words_of(struct sb_connection *c) {
  SB_ASSERT(c->fd >= 0);
  if (c->words) return c->words;
  c->words = sb_calloc(1, sizeof *c->words);
  c->words->of = c;
  sb_link_init(&c->words->monitors);
  return c->words;
}

void sb_words_free(struct sb_connection *c) {
  struct sb_words *words = c->words;
  if (!words) return;
  SB_ASSERT(!words->transaction && !sb_link_linked(&words->monitors));
  free(words->name);
  free(words->lib_name);
  free(words->lib_version);
  free(words);
  c->words = NULL;
}

static size_t text_bytes(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

size_t sb_words_bytes(const struct sb_words *words) {
  return sizeof *words + text_bytes(words->name) + text_bytes(words->lib_name) +
         text_bytes(words->lib_version);
}
