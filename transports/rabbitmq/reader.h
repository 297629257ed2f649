/* Reads one partition's stream, and finds out how it goes on after a lost connection.
 *
 * A resume asks for the last message that was delivered, inclusively. It cannot ask for the one behind it: a
 * broker that is asked for an offset beyond the end says nothing, and withholds all that stands below it.
 * The first message that comes decides:
 *
 *  the same message   the log goes on; the message is dropped                  SB_ATTACH_CONTINUED
 *  a higher offset    retention has passed the last message                    SB_ATTACH_GAP
 *  another message    it was emptied or made again; it is read from its start  SB_ATTACH_NEW_LOG
 *  nothing            the probe, a second consumer, looks at the tail. If the
 *                     stream ends below the last message: as another message
 *
 * If others write to the stream all the time, the probe never comes to the tail. Then it is opened again
 * where only new messages come: the first one that stands below the last message says that the stream ended
 * below.
 *
 * Where there are several hosts, a stream that ends below may also be the copy of a broker that was cut off
 * or is catching up. So the other hosts are asked first, for a while.
 *
 *              want                          consume-ok, not a resume
 *   IDLE ----------------> WAITING --> OPENING ----------------------> FLOWING
 *     ^  connection lost      ^           | consume-ok                  ^   |
 *     +---- from any state    |           v        first message        |   |
 *                             |        CHECKING ------------------------+   | cancelled
 *                             |         |    ^ tail is above                |
 *                             |  silent v    |                              |
 *                             |        PROBING                              |
 *                             |         | tail is below, none               |
 *                             +--- CLOSING <--------------------------------+
 *
 * While it flows it is watched: a message of which the publisher was told that it is in the log must come
 * here (sb_rabbitmq_echo). If it does not, and nothing else does either, the broker is asked something on
 * the same channel. Its answer stands behind whatever is on its way, however slow that is. If the message
 * has not come by then, the stream is opened again, here first and then on the other hosts. The link counts
 * as down until something new has come.
 *
 * Only the look at the topology waits for answers. Everything else is sent without waiting, so one slow
 * stream does not hold up the others. One thread: that of the consuming connection. */
#ifndef SB_TRANSPORTS_RABBITMQ_READER_H
#define SB_TRANSPORTS_RABBITMQ_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/content.h"
#include "transports/rabbitmq/link.h"

enum sb_rabbitmq_reader_state {
  SB_READER_IDLE,
  SB_READER_WAITING, /* to be opened at due_ms */
  SB_READER_OPENING,
  SB_READER_CHECKING,
  SB_READER_PROBING,
  SB_READER_FLOWING,
  SB_READER_CLOSING,
};

struct sb_rabbitmq_consumer {
  amqp_channel_t channel;
  enum { SB_CONSUMER_SHUT, SB_CONSUMER_OPEN, SB_CONSUMER_CLOSING } state;
  bool consuming;        /* the broker has confirmed it */
  uint64_t delivery_tag; /* of the message that `content` holds */
  struct sb_rabbitmq_content content;
};

struct sb_rabbitmq_reader {
  struct sb_rabbitmq_board *board;
  struct sb_rabbitmq_link *link;
  uint32_t partition;

  enum sb_rabbitmq_reader_state state;
  int64_t due_ms; /* when the state must change by itself; INT64_MAX: never */
  bool wanted;
  bool link_up; /* as the bridge knows it */
  bool ensure;  /* look at the topology before opening */

  bool began;    /* an attach was reported */
  bool anew;     /* the next attach is one to a new log */
  bool has_last; /* since the last fresh or new start */
  uint64_t last, last_print;

  bool cancelled;          /* by the broker, which does not say why; known at the next attach */
  int64_t behind_since_ms; /* the stream has been seen to end below `last` since then; 0: it was not */
  int64_t below_since_ms;  /* the probe is given messages below `last` since then; 0: it was given none */
  bool awaits_new;         /* the probe is given only what is written after it was opened */

  int64_t heard_ms; /* when a message came last, or reading began */
  unsigned deaths;  /* how often in a row a message that must come did not */
  bool suspect;     /* after such a death: the link counts as down until something new has come */
  int64_t asked_ms; /* when the broker was asked whether all has come; 0: not since a message came */
  bool answered;

  struct sb_rabbitmq_consumer main, probe;
  uint32_t unacked;
  int64_t patience_ms; /* how long to wait for the first message of a resume */
  uint32_t failures;   /* since it flowed last */
  int64_t failing_since_ms;
  uint64_t trouble; /* hash of the reason logged last, 0: none */
};

/* Channels of the connection that readers use; one more is the caller's for the topology. */
#define SB_RABBITMQ_READER_CHANNELS(partitions) (2 * (partitions))

void sb_rabbitmq_reader_init(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_board *board,
                             struct sb_rabbitmq_link *link, uint32_t partition);

void sb_rabbitmq_reader_want(struct sb_rabbitmq_reader *reader, bool connected);
void sb_rabbitmq_reader_connected(struct sb_rabbitmq_reader *reader);
void sb_rabbitmq_reader_lost(struct sb_rabbitmq_reader *reader);

/* Whether its link is up, as the bridge knows it. A partition that nobody reads is well as long as there is
 * a connection. */
bool sb_rabbitmq_reader_is_well(const struct sb_rabbitmq_reader *reader);

/* Errors of the next three mean that the connection must be given up. */

/* Before _tick for a reader whose `ensure` is set and that is due; uses RPCs on `topology_channel`. */
int sb_rabbitmq_reader_ensure(struct sb_rabbitmq_reader *reader, amqp_channel_t topology_channel,
                              struct sb_error *error);
/* When due_ms has come. */
int sb_rabbitmq_reader_tick(struct sb_rabbitmq_reader *reader, int64_t now_ms, struct sb_error *error);
/* How far the connection has been read. */
struct sb_rabbitmq_progress {
  int64_t read_up_to_ms; /* all that had arrived then has been given to _frame */
  int64_t held_up_ms;    /* we may have held up what was on its way before */
  int64_t arrived_ms;    /* when a frame came last, for any reader */
};

/* Judges whether it is alive. */
int sb_rabbitmq_reader_watch(struct sb_rabbitmq_reader *reader, const struct sb_rabbitmq_progress *progress,
                             struct sb_error *error);
/* A frame of one of its two channels. */
int sb_rabbitmq_reader_frame(struct sb_rabbitmq_reader *reader, const amqp_frame_t *frame,
                             struct sb_error *error);

#endif
