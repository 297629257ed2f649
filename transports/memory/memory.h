/* The embedded broker: partition logs in this process, for the many local sessions of one host that need no
 * broker at all. It has no threads and does no I/O; everything happens inside the calls, on the caller's
 * thread. A message is stored by reference and settled as confirmed at once. Its delivery is a copy, made
 * when it is taken. The log keeps its reference after the settlement, so a published body must not change as
 * long as the log has it.
 *
 * What nobody has read yet is kept, whatever the retention says. It is bounded by events_max and bytes_max:
 * beyond them publish answers SB_ERR_FULL. One transport at a time uses one set of logs. */
#ifndef SB_TRANSPORTS_MEMORY_MEMORY_H
#define SB_TRANSPORTS_MEMORY_MEMORY_H

#include "transports/memory/log.h"
#include "transports/transport.h"

/* A value of 0 means the default. */
struct sb_memory_settings {
  /* Messages kept of each partition although they were read. Default: the last one, which always stays. */
  size_t retain_messages;
  size_t retain_bytes; /* fewer messages are kept where they have more bytes; default: no limit */

  /* How much may wait until the bridge takes it: events_max messages, as many settlements, and bytes_max of
   * bodies. One body that is larger passes alone. Defaults: SB_TRANSPORT_EVENTS_MAX,
   * SB_TRANSPORT_EVENTS_BYTES_MAX. */
  size_t events_max, bytes_max;

  size_t max_body_bytes; /* default: SB_BODY_BYTES_MAX */

  /* Logs of the caller's with as many partitions, which outlive the transport. NULL: logs of its own, which
   * end with it. */
  struct sb_memory_logs *logs;
};

/* `settings` may be NULL. */
struct sb_transport *sb_memory_new(const struct sb_transport_common *common,
                                   const struct sb_memory_settings *settings);

#endif
