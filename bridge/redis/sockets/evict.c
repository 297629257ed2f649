#include "bridge/redis/sockets/evict.h"

#include "bridge/base/limits.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define WORST_MAX 64 /* sessions found in one look at all */

struct worst {
  size_t count;
  struct {
    struct sb_connection *c;
    size_t weight;
  } at[WORST_MAX]; /* the heaviest first */
};

/* How many bytes more are about to be kept, and for which session; NULL: for none. */
struct wish {
  const struct sb_session *session;
  size_t more;
};

void sb_evict_spare(struct sb_connection *c, bool spare) {
  c->no_evict = spare;
}

/* A session that asked not to be evicted counts as if it took less, so others go before it. Yet it is not
 * safe: the budget is a promise to all. */
static size_t weight_of(const struct sb_connection *c, const struct wish *wish) {
  size_t bytes =
      c->charged + sb_memory_of_output(&c->session) + (&c->session == wish->session ? wish->more : 0);
  return bytes / (c->no_evict ? SB_NO_EVICT_SHARE : 1);
}

static void insert(struct worst *worst, struct sb_connection *c, size_t weight) {
  size_t at = worst->count < WORST_MAX ? worst->count++ : WORST_MAX - 1;
  for (; at > 0 && worst->at[at - 1].weight < weight; at--) worst->at[at] = worst->at[at - 1];
  worst->at[at].c = c;
  worst->at[at].weight = weight;
}

static void find_worst(const struct sb_server *server, const struct wish *wish, struct worst *worst) {
  worst->count = 0;
  for (const struct sb_link *at = server->roster.open.next; at != &server->roster.open; at = at->next) {
    struct sb_connection *c = SB_OF_LINK(at, struct sb_connection, link);
    size_t weight = weight_of(c, wish);
    if (sb_session_is_over_limit(&c->session)) continue;
    if (worst->count < WORST_MAX || weight > worst->at[WORST_MAX - 1].weight) insert(worst, c, weight);
  }
}

static void drop(struct sb_connection *c) {
  c->evicted = true;
  c->server->stats.evicted++;
  sb_connection_log_close(c, "all sessions together exceeded limits.memory, and this one had most of it");
  sb_core_session_drop(c->server->core, &c->session);
  sb_memory_release(c);
}

/* Drops sessions, those that take most first, until there is room. True when there is, or when nobody is
 * left. */
static bool drop_some(struct sb_server *server, struct wish *wish, bool and_close) {
  uint64_t most = server->settings.memory_bytes, goal = most - most / SB_MEMORY_SPARE_SHARE;
  struct worst worst;
  find_worst(server, wish, &worst);
  for (size_t i = 0; i < worst.count; i++) {
    struct sb_connection *c = worst.at[i].c;
    drop(c);
    if (and_close) sb_connection_close(c);
    if (&c->session == wish->session) { /* its own wish is void: there may be room */
      *wish = (struct wish){0};
      if (sb_memory_used(server) <= most) return true;
    }
    if (sb_memory_used(server) + wish->more <= goal) return true;
  }
  return worst.count == 0;
}

static void make_room(struct sb_server *server, struct wish wish, bool and_close) {
  if (sb_memory_used(server) + wish.more <= server->settings.memory_bytes) return;
  while (!drop_some(server, &wish, and_close)) continue;
}

void sb_evict_over_budget(struct sb_server *server) {
  make_room(server, (struct wish){0}, true);
}

void sb_evict_for_output(struct sb_server *server, const struct sb_session *session, size_t more) {
  make_room(server, (struct wish){session, more}, false);
}
