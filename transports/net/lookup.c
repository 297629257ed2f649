#include "transports/net/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/thread.h"

struct sb_net_lookup {
  char *host;
  char port[8];
  int done_fd;
  atomic_uint holders; /* who asked, and the thread */
  atomic_bool done;
  int rc; /* of getaddrinfo; it and those below are the asker's when `done` */
  int number;
  struct sb_net_addresses found;
};

/* Threads that have not ended, in the process. */
static atomic_uint lookups;

static void add(struct sb_net_addresses *found, const struct addrinfo *address) {
  if (found->count == SB_NET_ADDRESSES_MAX || address->ai_addrlen > sizeof found->list[0].at) return;
  struct sb_net_address *at = &found->list[found->count];
  *at = (struct sb_net_address){.len = address->ai_addrlen};
  memcpy(&at->at, address->ai_addr, address->ai_addrlen);
  for (size_t i = 0; i < found->count; i++)
    if (found->list[i].len == at->len && memcmp(&found->list[i].at, &at->at, at->len) == 0) return;
  found->count++;
}

static int ask(struct sb_net_lookup *lookup, int flags) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
  struct addrinfo *chain = NULL;
  int rc = getaddrinfo(lookup->host, lookup->port, &hints, &chain);
  lookup->number = errno;
  if (rc) return rc;
  lookup->found.count = 0;
  for (const struct addrinfo *address = chain; address; address = address->ai_next)
    if (address->ai_family == AF_INET || address->ai_family == AF_INET6) add(&lookup->found, address);
  freeaddrinfo(chain);
  return lookup->found.count ? 0 : EAI_NONAME;
}

/* AI_ADDRCONFIG spares a machine without IPv6 the question for IPv6 addresses. But it does not count
 * loopback as an interface, so a name whose only address is ::1 would have none; then it is asked again
 * without. */
static int ask_for_name(struct sb_net_lookup *lookup) {
  int rc = ask(lookup, AI_ADDRCONFIG);
  return rc == EAI_NONAME || rc == EAI_NODATA || rc == EAI_ADDRFAMILY ? ask(lookup, 0) : rc;
}

void sb_net_lookup_leave(struct sb_net_lookup *lookup) {
  if (atomic_fetch_sub(&lookup->holders, 1) > 1) return;
  if (lookup->done_fd >= 0) close(lookup->done_fd);
  free(lookup->host);
  free(lookup);
}

static void *main_of_lookup(void *arg) {
  struct sb_net_lookup *lookup = arg;
  lookup->rc = ask_for_name(lookup);
  atomic_store(&lookup->done, true);
  eventfd_write(lookup->done_fd, 1);
  sb_net_lookup_leave(lookup);
  atomic_fetch_sub(&lookups, 1);
  return NULL;
}

static int start_thread(struct sb_net_lookup *lookup) {
  atomic_fetch_add(&lookup->holders, 1);
  int rc = sb_thread_start_detached(main_of_lookup, lookup);
  if (rc) atomic_fetch_sub(&lookup->holders, 1);
  return rc;
}

static int look_up_name(struct sb_net_lookup *lookup, struct sb_error *error) {
  if (atomic_fetch_add(&lookups, 1) >= SB_NET_LOOKUPS_MAX) {
    atomic_fetch_sub(&lookups, 1);
    return sb_error_set(error, SB_ERR_LINK,
                        "cannot resolve the name: the resolver does not answer, %d "
                        "earlier questions are still waiting",
                        SB_NET_LOOKUPS_MAX);
  }
  lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failed = lookup->done_fd < 0 ? errno : start_thread(lookup);
  if (failed == 0) return 0;
  atomic_fetch_sub(&lookups, 1);
  return sb_error_errno(error, failed, "cannot resolve the name");
}

int sb_net_lookup_start(const char *host, uint16_t port, struct sb_net_lookup **out, struct sb_error *error) {
  struct sb_net_lookup *lookup = sb_calloc(1, sizeof *lookup);
  lookup->host = sb_strdup(host);
  lookup->done_fd = -1;
  atomic_init(&lookup->holders, 1);
  snprintf(lookup->port, sizeof lookup->port, "%u", (unsigned)port);
  lookup->rc = ask(lookup, AI_NUMERICHOST | AI_NUMERICSERV);
  atomic_init(&lookup->done, lookup->rc == 0);
  int rc = lookup->rc == 0 ? 0 : look_up_name(lookup, error);
  if (rc == 0)
    *out = lookup;
  else
    sb_net_lookup_leave(lookup);
  return rc;
}

bool sb_net_lookup_done(const struct sb_net_lookup *lookup) {
  return atomic_load(&lookup->done);
}

int sb_net_lookup_fd(const struct sb_net_lookup *lookup) {
  return lookup->done_fd;
}

int sb_net_lookup_result(const struct sb_net_lookup *lookup, struct sb_net_addresses *out,
                         struct sb_error *error) {
  /* This also makes what the thread wrote visible here. The event that it rang does not. */
  if (!sb_net_lookup_done(lookup))
    return sb_error_set(error, SB_ERR_TIMEOUT, "cannot resolve the name: no answer yet");
  if (lookup->rc == 0) {
    *out = lookup->found;
    return 0;
  }
  const char *why = lookup->rc == EAI_SYSTEM ? strerror(lookup->number) : gai_strerror(lookup->rc);
  return sb_error_set(error, SB_ERR_LINK, "cannot resolve the name: %s", why);
}
