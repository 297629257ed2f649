/* The bounded queue between a transport's threads and the bridge: one consumer, any number of producers.
 *
 * Deliveries and stored messages bring bodies. Each of the two kinds has a limit of its own; when it is
 * reached, the producer waits on its thread. All other events always find room: there are at most as many as
 * there are links and tokens. The consumer swaps the whole queue out under a short lock, and works on it
 * unlocked. */
#ifndef SB_TRANSPORTS_EVENT_QUEUE_H
#define SB_TRANSPORTS_EVENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transports/transport.h"

struct sb_event_queue;

/* `events_max` and `bytes_max` limit the deliveries that wait. Of stored messages SB_TRANSPORT_STORED_MAX
 * may wait, with SB_TRANSPORT_STORED_BYTES_MAX of bodies. `wake` is called without the lock when the queue
 * stops being empty. Confirmations alone do not wake before there are many: the bridge decides nothing by
 * them (sb_settle). */
struct sb_event_queue *sb_event_queue_new(size_t events_max, size_t bytes_max, void (*wake)(void *owner),
                                          void *wake_owner);
void sb_event_queue_free(struct sb_event_queue *queue); /* closes the events left in it */

/* Any thread. Takes the event. Of a delivery or a stored message: false when there is no room, and the event
 * stays the caller's. */
bool sb_event_queue_push(struct sb_event_queue *queue, struct sb_event *event);

/* Any thread. Pushes SB_EVENT_REASON, unless one is in the queue already: whoever takes it asks for the
 * newest reason. */
void sb_event_queue_tell_reason(struct sb_event_queue *queue);

/* The producer's thread. Waits until the event (a delivery or a stored message) would fit. False when
 * `timeout_ms` passed first, or the queue is stopped. A body that is larger than the whole limit fits when
 * no other waits. */
bool sb_event_queue_wait_room(struct sb_event_queue *queue, const struct sb_event *event, int timeout_ms);

/* True if a delivery of `bytes` would fit now. */
bool sb_event_queue_has_room(struct sb_event_queue *queue, size_t bytes);

/* Wakes every waiting producer for good. From here on deliveries and stored messages are refused; other
 * events still pass. */
void sb_event_queue_stop(struct sb_event_queue *queue);

/* Consumer's thread. */
bool sb_event_queue_next(struct sb_event_queue *queue, struct sb_event *event);

#endif
