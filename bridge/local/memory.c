#include "bridge/local/memory.h"

#include <string.h>

#include "bridge/base/limits.h"
#include "bridge/local/command.h"
#include "bridge/local/state.h"

#define SLOT_BYTES ((size_t)16) /* of a ring of replies */

static size_t text_bytes(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

static size_t names_bytes(const struct sb_names *names) {
  if (!names) return 0;
  return sizeof *names + text_bytes(names->name) + text_bytes(names->lib_name) +
         text_bytes(names->lib_version);
}

static size_t own_bytes(const struct sb_connection *c) {
  const struct sb_session *s = &c->session;
  return sizeof *c + c->in_cap + c->parser.cap * sizeof *c->parser.many + c->parser.text.cap +
         s->out.cap * sizeof *s->out.pieces + s->slots_cap * SLOT_BYTES + s->slot_bytes + s->sub_bytes +
         s->blocked_bytes + names_bytes(c->names) + sb_command_queued_bytes(c);
}

void sb_memory_charge(struct sb_connection *c) {
  size_t bytes = own_bytes(c);
  c->local->charged += bytes - c->charged;
  c->charged = bytes;
}

void sb_memory_release(struct sb_connection *c) {
  c->local->charged -= c->charged;
  c->charged = 0;
}

size_t sb_memory_used(const struct sb_local *local) {
  return local->charged + sb_output_memory();
}

size_t sb_memory_of(const struct sb_connection *c) {
  return own_bytes(c) + c->session.out.bytes + c->session.held_bytes;
}

/* Who asked not to be evicted is spared while others take nearly as much; the budget is a promise to all of
 * them, so nobody is spared whatever it takes. */
static size_t weight_of(const struct sb_connection *c) {
  return sb_memory_of(c) / (c->no_evict ? SB_NO_EVICT_SHARE : 1);
}

static struct sb_connection *worst(const struct sb_local *local) {
  struct sb_connection *most = NULL;
  size_t most_bytes = 0;
  for (const struct sb_link *at = local->all.next; at != &local->all; at = at->next) {
    struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    size_t bytes = weight_of(c);
    if (most && bytes <= most_bytes) continue;
    most = c;
    most_bytes = bytes;
  }
  return most;
}

void sb_memory_enforce(struct sb_local *local) {
  for (int i = 0; i < SB_EVICTIONS_PER_TURN && sb_memory_used(local) > local->settings.memory_bytes; i++) {
    struct sb_connection *c = worst(local);
    if (!c) return;
    local->stats.evicted++;
    sb_connection_log_close(c, "all sessions together exceeded limits.memory, and this one had most of it");
    sb_connection_close(c);
  }
}
