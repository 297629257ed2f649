/* What a node that is ready tells others of the state: SNAPSHOTs for those who have said HELLO, CHECKPOINTs
 * for those who read the log back. */
#ifndef SB_CORE_LOG_SNAPSHOTS_H
#define SB_CORE_LOG_SNAPSHOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_partition;

/* Somebody's HELLO, to be answered when it is our turn. */
void sb_partition_answer(struct sb_partition *part, uint64_t hello_at);
/* A piece of somebody's SNAPSHOT. */
void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete);

/* What is due of answers and checkpoints is sent. */
void sb_partition_answer_timers(struct sb_partition *part);
uint64_t sb_partition_answer_deadline(const struct sb_partition *part);

/* Goes on with the text that is being sent: as much of it as the transport takes. */
void sb_partition_send_pieces(struct sb_partition *part);
size_t sb_partition_piece_bytes(const struct sb_partition *part);

#endif
