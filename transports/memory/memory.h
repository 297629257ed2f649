/* The embedded broker: partition logs in this process, for the many local sessions of one host that need no
 * broker at all. It has no threads and does no I/O; everything happens inside the calls, on the caller's
 * thread. A message is stored by reference and settled as confirmed at once; its delivery is a copy, made
 * when it is taken.
 * The log holds its reference beyond the settlement, so a published body never changes as long as it lives.
 *
 * What nobody has read yet is kept whatever the retention says, and bounded by events_max and bytes_max:
 * beyond them publish answers SB_ERR_FULL. One transport at a time on one set of logs. */
#ifndef SB_TRANSPORTS_MEMORY_MEMORY_H
#define SB_TRANSPORTS_MEMORY_MEMORY_H

#include "transports/memory/log.h"
#include "transports/transport.h"

/* A value of 0 means the default. */
struct sb_memory_settings {
  /* Messages kept of each partition although they were read. Default: the last one, which always stays. */
  size_t retain_messages;
  size_t retain_bytes; /* where they are more, fewer are kept; default: no limit */

  /* What may wait for its taker: messages, and settlements; bytes of bodies, but one larger body passes
   * alone. Defaults: SB_TRANSPORT_EVENTS_MAX, SB_TRANSPORT_EVENTS_BYTES_MAX. */
  size_t events_max, bytes_max;

  size_t max_body_bytes; /* default: SB_BODY_BYTES_MAX */

  /* The caller's, of as many partitions; they outlive the transport. NULL: its own, which end with it. */
  struct sb_memory_logs *logs;
};

/* `settings` may be NULL. */
struct sb_transport *sb_memory_new(const struct sb_transport_common *common,
                                   const struct sb_memory_settings *settings);

#endif
