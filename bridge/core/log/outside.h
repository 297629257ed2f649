/* What lies outside of the core: its settings, what it may do to the world, and the figures that it tells. */
#ifndef SB_CORE_LOG_OUTSIDE_H
#define SB_CORE_LOG_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/name_id.h"
#include "bridge/core/wire/name.h"

struct sb_session;

struct sb_core_settings {
  char node[SB_NODE_NAME_MAX + 1];
  uint64_t nonce;               /* random, drawn once per process */
  struct sb_name_key name_key;  /* random likewise: by it names are known in the logs that this node founds */
  char about[SB_ABOUT_MAX + 1]; /* this process, for who meets it: host, process id, when it began */
  uint32_t partitions;
  size_t batch_bytes;       /* a batch is closed at this size; one larger entry travels alone */
  size_t outbox_bytes;      /* of all partitions together; above it publishers wait */
  size_t output_hard_bytes; /* per session; 0: no limit */
  size_t output_mark_bytes; /* per session: sb_core_output_rose tells when the log fills it above this */
  uint32_t lease_ms;        /* a member silent for this long may be declared dead */
  uint32_t quiet_ms;        /* a log that brings nothing for so long is asked for a sign of life; 0: never */
  uint32_t found_ms; /* T of the log protocol: nobody answers a HELLO for this long, so found the log anew */
  size_t window_step_bytes;     /* one more batch may fly per this much collected; 0: SB_WINDOW_STEP_BYTES */
  size_t snapshot_piece_bytes;  /* of a SNAPSHOT in one message; 0: SB_SNAPSHOT_PIECE_BYTES */
  uint32_t linger_ms;           /* a batch waits this long for company; 0: it leaves at the end of the turn */
  uint32_t rate_per_s;          /* batches a second over all partitions; 0: no limit */
  bool refuse_in_outage;        /* answer -BUSY while the broker is away instead of waiting */
  bool compress;                /* lz4 where it pays */
  bool hides_tail;              /* an attach does not show the last message that a log holds */
  bool log_begins_here;         /* nothing was in the logs before this process */
  size_t history_bytes;         /* of all partitions together; 0: nothing is kept */
  uint64_t history_age_ms;      /* 0: no limit */
  bool history_prefill;         /* at the start, what the log holds from before */
  uint64_t checkpoint_messages; /* between two checkpoints; 0: as many as pay */
  uint64_t log_bytes;           /* that the broker keeps of a log; 0: no limit */
  uint64_t log_age_ms;          /* likewise */
  size_t range_bytes;           /* of what is read back for one request; 0: SB_RANGE_BYTES_MAX */
  size_t channel_bytes;         /* of a name that is published or subscribed to; 0: SB_CHANNEL_LENGTH_MAX */
  size_t pattern_bytes;         /* of a pattern; 0: SB_PATTERN_LENGTH_MAX */
  size_t patterns_max;          /* that sessions of this node subscribe to; 0: no limit */
};

struct sb_core_io {
  void *owner;

  /* As sb_transport_publish: 0, SB_ERR_FULL, SB_ERR_LINK or SB_ERR_TOO_LARGE. Takes its own reference of
   * `body`. */
  int (*publish)(void *owner, uint32_t partition, const struct sb_envelope *envelope, struct sb_body *body,
                 uint64_t token);

  /* There may be room, or the bridge became ready: offer the requests again that were told to wait. Called
   * from sb_core_turn only. */
  void (*room)(void *owner);

  /* A closed session has no unanswered requests left: its memory may be freed. */
  void (*released)(void *owner, struct sb_session *session);

  /* The bridge cannot go on; stop with this reason. */
  void (*fatal)(void *owner, const char *why);

  /* `cause` as for sb_log_line. */
  void (*log)(void *owner, enum sb_log_level level, const char *cause, const char *line);

  /* As sb_transport_read_back; NULL where logs cannot be read back. */
  int (*read_back)(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token);
  void (*read_back_stop)(void *owner, uint64_t token);

  /* So much more is about to be kept for this session, and all of them together have more than
   * sb_core_set_outputs_max then: end who has most with sb_core_session_drop, until there is room or it is
   * this one. Called from within any event; nothing else may be called. NULL: there is no such limit. */
  void (*outputs_full)(void *owner, struct sb_session *session, size_t more);
};

struct sb_core_stats {
  uint64_t entries_published; /* accepted from sessions */
  uint64_t entries_delivered; /* applied from the logs */
  uint64_t messages_sent;     /* pushes to local subscribers */
  uint64_t batches_published; /* first sendings */
  uint64_t batches_resent;
  uint64_t batches_accepted;
  uint64_t batches_duplicate;    /* dropped: number seen before */
  uint64_t batches_hole;         /* dropped: a number before it is missing */
  uint64_t losses_shown;         /* dropped: its sender knows of batches that this node was not shown */
  uint64_t batches_stranger;     /* dropped: no row, or another incarnation or generation */
  uint64_t batches_malformed;    /* dropped: not what docs/wire.md allows */
  uint64_t batches_unsigned;     /* dropped: this node has a key, and they no signature */
  uint64_t batches_forged;       /* dropped: signed with no key that this node has */
  uint64_t batches_untrusted;    /* dropped: of no user who may speak for nodes */
  uint64_t batches_impersonated; /* accepted under this node's incarnation, and not sent by it */
  uint64_t divergences; /* times that this node and another were found to have accepted different messages */
  uint64_t divergence_rejoins; /* of them, those for which this node joined anew */
  uint64_t wire_version_met;   /* the last one that was met and is not this node's; 0: none was */
  uint64_t foreign_messages;
  uint64_t gaps;
  uint64_t rejoins;
  uint64_t snapshots_sent;
  uint64_t checkpoints_sent;
  uint64_t ranges_read_back; /* begun for requests that go back behind the history */
  uint64_t members_declared_dead;
  uint64_t outputs_over_limit;
  uint64_t bytes_published;             /* of bodies, as sent */
  uint64_t bytes_delivered;             /* of bodies, as received */
  uint64_t outbox_bytes;                /* now */
  uint64_t outbox_max;                  /* what it may have */
  uint64_t subscriptions[SB_SUB_KINDS]; /* of this node's sessions, now */
  uint64_t topics[SB_SUB_KINDS];        /* channels, patterns, shard channels that have any, now */
};

#endif
