/* The insides of the core, shared by its own files only. */
#ifndef SB_CORE_INTERNAL_H
#define SB_CORE_INTERNAL_H

#include "bridge/base/glob.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/core.h"
#include "bridge/core/history/history.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/interest.h"
#include "bridge/core/outbox.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/sidebus.h"

#define SB_GAPS_KEPT 64

struct sb_partition;

/* ---- XREADs that wait (blocked.c) ---- */

struct sb_blocking {
  struct sb_table keys;      /* that somebody waits for */
  struct sb_blocked **timed; /* those that do not wait for ever: a heap, the next to end on top */
  uint32_t timed_count, timed_cap;
  struct sb_blocked *signalled, **signalled_end; /* something came for them */
  struct sb_blocked *aside;                      /* and must be read back first */
  size_t served_bytes;                           /* of replies in this turn */
  uint32_t count;
};

void sb_blocking_init(struct sb_blocking *blocking);
void sb_blocking_close(struct sb_blocking *blocking);

/* What an XREAD reads: of each stream `limit` entries behind an id. */
struct sb_streams {
  const struct sb_bytes *names;
  struct sb_id *after;
  uint32_t count;
  uint64_t limit;
  bool first_only; /* one that has waited: of the first that has any, and a string is just no stream */
};

/* Makes the session wait, for so long or for ever (0); it waits for nothing else. */
void sb_blocked_begin(struct sb_core *core, struct sb_session *session, const struct sb_streams *streams,
                      uint64_t block_ms);

/* The session closes: its slot is filled with nothing. */
void sb_blocked_drop(struct sb_core *core, struct sb_session *session);

void sb_blocked_wake(struct sb_partition *part, struct sb_bytes key);
void sb_blocked_wake_all(struct sb_partition *part); /* entries may have come to any stream of this log */
void sb_blocked_pass(struct sb_partition *part);     /* what comes now may be missed */

/* An entry was added to a stream. */
static inline void sb_blocked_signal(struct sb_partition *part, struct sb_bytes key);

/* At the end of a turn: replies to those that something came for, or whose time has come. */
void sb_blocked_serve(struct sb_core *core);
uint64_t sb_blocked_deadline(const struct sb_core *core);
void sb_blocked_again(struct sb_core *core); /* something may have been read back */

/* ---- reply slots (ring.c) ---- */

enum sb_slot_state {
  SB_SLOT_WAITING,
  SB_SLOT_INTEGER,
  SB_SLOT_BYTES,
  SB_SLOT_PREPARED, /* the reply is known; it waits for `left` entries to come back */
  SB_SLOT_QUESTION, /* the reply is gathered from `left` entries that come back */
};

#define SB_SLOT_LEFT_MAX 0xffffff /* more than a request has arguments, or there are logs */

struct sb_question;

struct sb_slot {
  union {
    uint64_t integer;
    uint8_t *bytes; /* heap */
    struct sb_question *question;
  };
  uint32_t len;
  uint32_t state : 8, left : 24;
};

/* Makes room for more slots; false: there are SB_RING_SLOTS_MAX already. */
bool sb_ring_grow(struct sb_session *session);

/* Takes the next `count` slots. False: as above, or the session is blocked and takes no request. */
static inline bool sb_ring_expect(struct sb_session *session, uint32_t count, uint32_t *first) {
  if (session->blocked) return false;
  while (session->slots_cap - sb_session_waiting(session) < count)
    if (!sb_ring_grow(session)) return false;
  *first = session->expected;
  for (uint32_t i = 0; i < count; i++)
    session->slots[session->expected++ & (session->slots_cap - 1)].state = SB_SLOT_WAITING;
  return true;
}

/* The same integer in `count` slots that follow one another. */
void sb_ring_answer_integers(struct sb_core *core, struct sb_session *session, uint32_t slot, uint32_t count,
                             uint64_t value);
void sb_ring_answer_bytes(struct sb_core *core, struct sb_session *session, uint32_t slot,
                          struct sb_bytes reply);

/* The same reply in every slot of a waiter; nothing when nobody waits. */
void sb_ring_answer_each(struct sb_core *core, const struct sb_waiter *waiter, struct sb_bytes reply);

/* A reply that is written in its turn once `left` entries have come back. Copied. */
void sb_ring_prepare(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes reply,
                     uint32_t left);

/* The same for a reply that those entries bring. Takes the question. */
void sb_ring_ask(struct sb_session *session, uint32_t slot, struct sb_question *question, size_t size,
                 uint32_t left);
struct sb_question *sb_ring_question(const struct sb_session *session, uint32_t slot);

/* One of these entries will not come back: its error becomes the reply. The others are waited for all the
 * same. */
void sb_ring_fail(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes error);

/* One of these entries has come back. True when the reply has been written. */
bool sb_ring_count_down(struct sb_core *core, struct sb_session *session, uint32_t slot);

/* The session closed: its slots stay until their entries have come back, what they hold goes. */
void sb_ring_forget(struct sb_session *session);
void sb_ring_close(struct sb_session *session);

/* ---- an XREAD that waits until it can read (session.c) ---- */

/* Where the "$" of its streams stand, as far as that is known. They belong to this very request: what another
 * one left, which was told to wait and did not come again, is dropped. */
struct sb_last_ids {
  uint64_t request; /* a hash of its names and ids */
  uint32_t count;
  struct sb_id at[];
};
struct sb_last_ids *sb_session_last_ids(struct sb_session *session, const struct sb_op *op);
void sb_session_forget_last_ids(struct sb_session *session);

/* ---- output (session.c) ---- */

/* Takes the session off the list of those with new output. */
void sb_session_clean(struct sb_core *core, struct sb_session *session);

/* Whether `len` more bytes stay within the hard limit of its output. If not it is over its limit from now on.
 */
bool sb_session_has_room(struct sb_core *core, struct sb_session *session, size_t len);

/* A reply, within the limit of the session's output. */
void sb_session_copy(struct sb_core *core, struct sb_session *session, const void *at, size_t len);

/* A push that a log brings: behind the confirmations that it must not overtake. */
void sb_session_push_copy(struct sb_core *core, struct sb_session *session, uint32_t partition,
                          const void *at, size_t len);
void sb_session_push_ref(struct sb_core *core, struct sb_session *session, uint32_t partition,
                         struct sb_body *body, size_t off, size_t len);

/* Pushes of one log that wait until the reply in `slot` is written. */
struct sb_hold {
  struct sb_hold *next;
  uint32_t partition, slot;
  struct sb_output out;
};
void sb_session_hold(struct sb_session *session, uint32_t partition, uint32_t slot);
void sb_session_release(struct sb_session *session, uint32_t slot);
void sb_session_drop_holds(struct sb_session *session);

/* ---- subscriptions (subscribe.c) ---- */

/* An entry about a subscription has come back, or is known to have been ordered. */
void sb_subscription_changed(struct sb_core *core, uint32_t partition, const struct sb_waiter *waiter);

/* It will never be ordered: the session gets the error instead of the confirmation. */
void sb_subscription_refused(struct sb_partition *part, const struct sb_waiter *waiter,
                             struct sb_bytes error);

/* Nothing will come back any more. */
void sb_subscription_abandoned(struct sb_core *core, const struct sb_waiter *waiter);

/* Our row is new: it has no interest yet. What is active in this log is said again, before anything else. */
void sb_partition_announce(struct sb_partition *part);

/* Says once more how many sessions we have there, behind everything that is under way. */
void sb_partition_say_again(struct sb_partition *part, const struct sb_topic *topic, enum sb_sub_kind kind);

/* ---- questions (question.c): PUBSUB NUMSUB, SHARDNUMSUB, NUMPAT ---- */

/* What one log knows of it. */
void sb_question_look(struct sb_question *question, const struct sb_partition *part);
/* A question whose entry will not come back by itself goes out again. */
void sb_question_again(struct sb_partition *part, const struct sb_waiter *waiter);
void sb_question_reply(const struct sb_question *question, struct sb_buf *out);
void sb_question_free(struct sb_question *question);

/* ---- one log ---- */

struct sb_message { /* one delivery, the bodies owned by who holds it */
  uint64_t sequence;
  const struct sb_envelope *envelope;
  struct sb_body *channel, *body;
  struct sb_body *brought; /* of a FOUND that was kept: the text of the keys that it brings, as far as it was
                              whole when the FOUND came; else NULL */
};

/* Messages that are kept until the state is known that they apply to (kept.c). */
struct sb_kept {
  struct sb_kept *next;
  uint64_t sequence;
  struct sb_envelope envelope;
  struct sb_body *channel, *body; /* plain */
  struct sb_body *brought;
};

struct sb_kept_list {
  struct sb_kept *first, **end;
  size_t bytes;
};

void sb_kept_init(struct sb_kept_list *list);
void sb_kept_add(struct sb_kept_list *list, const struct sb_message *message); /* takes the bodies */
struct sb_kept *sb_kept_take(struct sb_kept_list *list);                       /* the first, or NULL */
struct sb_message sb_kept_message(const struct sb_kept *kept);                 /* a view of it */
void sb_kept_free(struct sb_kept *kept);
void sb_kept_drop(struct sb_kept_list *list);

/* SNAPSHOTs and CHECKPOINTs whose parts are arriving, from different senders; a new one takes the place of
 * the one that rested most. */
#define SB_ASSEMBLIES 3

struct sb_assembly {
  uint64_t touched; /* sequence of its last part */
  char node[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t as_of;
  uint32_t pieces, next;
  struct sb_buf text;
};

struct sb_assembler {
  struct sb_assembly at[SB_ASSEMBLIES];
  bool by_begin; /* of those that have begun a new one takes the place of the oldest, rested or not: all who
                  * saw the last SB_ASSEMBLIES begin hold the same ones */
};

enum sb_assembled { SB_ASSEMBLED_NOT, SB_ASSEMBLED_MORE, SB_ASSEMBLED_WHOLE };

/* Takes a part. WHOLE: *text is the state as of control->as_of, until the next call. NOT: it fits nothing. */
enum sb_assembled sb_assembler_take(struct sb_assembler *assembler, const struct sb_envelope *envelope,
                                    const struct sb_control *control, uint64_t sequence,
                                    struct sb_bytes *text);
void sb_assembler_clear(struct sb_assembler *assembler);

/* A SNAPSHOT or CHECKPOINT that is being sent, part by part, or the keys that a founder brings. */
struct sb_sending {
  bool active;
  struct sb_control piece; /* the next one, but for its text */

  struct sb_buf text;
};

/* What a member of a log held when that was lost from sight, for a founder (held.c). */
struct sb_held {
  struct sb_keys keys;
  struct sb_id upto; /* the generation, and the sequence up to which it was applied; 0-0: it holds nothing */
  uint64_t time_ms;  /* log time … */
  uint64_t at_ms;    /* … at this monotonic time */
  bool adds;         /* when it was taken, that state still waited for what was held then */
  uint64_t restore_until_ms; /* of its state: another one in the next tells of another founding */
  uint64_t restore_ms;       /* when it is restored into a log that another has founded; 0: not at any time */
};

/* When the state must be written to the log again, for those who read it back (checkpoint.c). */
struct sb_checkpoints {
  uint64_t messages, bytes; /* applied since the last one */
  uint64_t since_ms;        /* of it, or of the first message since; monotonic */
  size_t last_bytes;        /* of its text */
  size_t piece_bytes;       /* of the pieces seen of one that is not complete */
  bool had_keys;            /* it may have had some: they are in the log until the next one */
};

/* Reads a part of a log again, beside the ordinary reading: looks for a state in it, and from there on
 * follows the log as it was followed then (replay.c). */
struct sb_replay {
  struct sb_core *core;
  uint64_t log_now_ms; /* log time when it was opened */
  bool based;          /* a state was found */
  struct sb_state state;
  struct sb_history history;
  uint64_t base;        /* sequence of the state that was found */
  uint64_t base_ms;     /* its log time */
  uint64_t applied;     /* sequence up to which it was followed */
  uint64_t generation;  /* the highest met */
  uint64_t sf_mark;     /* sequence + 1 of the last SNAPSHOT or FOUND met before there was a state */
  uint64_t first, last; /* sequences of the first and the last message met; UINT64_MAX, 0: none */
  uint64_t kept_from;   /* what is kept is whole from this sequence on */
  struct sb_kept_list kept;
  struct sb_assembler assembler, brought;
};

/* Its history keeps all, or `only` a part. */
void sb_replay_open(struct sb_replay *replay, const struct sb_partition *part, size_t history_bytes,
                    struct sb_history_slice *only);
void sb_replay_close(struct sb_replay *replay);
/* The next message, its body plain; takes the bodies. */
void sb_replay_take(struct sb_replay *replay, const struct sb_message *message);

/* A part of a log that is being read back, further and further, until a state is met that lies far enough
 * back (back.c). */
struct sb_back {
  enum { SB_BACK_IDLE, SB_BACK_WAITING, SB_BACK_READING, SB_BACK_DONE } state;
  uint64_t token;    /* of the reading under way */
  uint64_t to, span; /* the sequence up to which it goes; how far back it begins */
  uint64_t wanted;   /* the state must not be of a later sequence than this */
  uint64_t old_ms;   /* and need not be older than this log time */
  uint64_t due_ms;   /* WAITING: when to begin */
  uint64_t give_up_ms;
  bool known; /* what the state was at `to`, of which these tell whether it is the same log that is read */
  uint64_t generation, time_ms, sf_mark;
  size_t history_bytes;
  struct sb_history_slice *only; /* NULL: the history keeps all */
  struct sb_id before;           /* then the state must be of before this id */
  const char *failed;            /* DONE: why there is no state at all; NULL: there is one */
  bool told;                     /* for its owner: why it failed */
  bool short_of_wanted;          /* DONE: the log does not reach back that far */
  struct sb_replay replay;       /* DONE and not failed: the state as of `to` */
};

/* What a session asks for that is older than the history: read back for it alone (range.c). */
struct sb_range {
  struct sb_session *owner; /* NULL: nobody's turn */
  struct sb_history_slice what;
  struct sb_back back;
  uint64_t log_ms;            /* log time when it was begun: what had expired then is not read */
  uint64_t nudge_ms, drop_ms; /* DONE: when it is offered again; how long it waits for its owner */
};

struct sb_suspicion {
  char name[SB_NODE_NAME_MAX + 1];
  uint64_t since_ms; /* partition 0: an own echo was read then, and no word of it since; others: act then */
};

struct sb_partition {
  struct sb_core *core;
  uint32_t index;
  bool publish_up, consume_up;

  /* the state, once known */
  bool ready;
  struct sb_state state;
  uint64_t joined_at;  /* sequence as of which the state was taken: what is before it is not known here */
  uint64_t applied;    /* sequence of the last message applied */
  uint64_t time_base;  /* log time … */
  uint64_t time_at_ms; /* … at this monotonic time */
  uint64_t known_generation; /* the highest ever seen, also in other lives of the log */

  bool interest_full; /* said once */

  struct sb_history history;
  struct sb_checkpoints checkpoints;
  struct sb_back recovery; /* of the keys, by a founder */
  struct sb_back prefill;  /* of the history, by one who has just become ready */
  struct sb_range range;
  struct sb_id followed_from; /* nothing that came behind it was missed, since it is ready */
  struct sb_id log_begin; /* what the log held up to there can be read by nobody any more; 0-0: not known */

  /* reading */
  bool any_seen;      /* a message was read since the log began or began anew */
  uint64_t last_seen; /* its sequence */
  uint64_t heard_ms;  /* when anything came last, or the links came up */
  bool last_left;     /* it said that the last member left */
  bool nobody_before; /* where nothing was read yet, nobody has written who could answer */

  /* joining */
  struct sb_incarnation incarnation;
  struct sb_incarnation met; /* of another process with our name that displaced us; until we stand again */
  struct sb_id since; /* the generation and sequence at which this process was ready first; 0-0: never */
  bool since_lost;    /* in a log that is no more */
  uint64_t taken_ms;  /* the start that stands under our name there, where it is above all that clocks say */
  bool hello_wanted;  /* as soon as the link is up */
  uint32_t hello_tries; /* HELLOs that brought nothing: an echo may take longer than we waited for the last */
  uint64_t hello_ms;
  bool hello_seen;
  uint64_t hello_at, hello_seen_ms;
  bool log_was_empty; /* when our HELLO came back, nobody could have answered it */
  bool log_was_new;   /* and nothing was ever in it, as far as can be known */
  bool sf_seen;       /* a SNAPSHOT or FOUND since */
  bool found_sent;
  uint64_t found_sent_ms;
  struct sb_kept_list kept;
  struct sb_assembler assembler;
  struct sb_assembler brought; /* keys that founders bring */
  struct sb_held held;
  bool keys_sent;           /* with this HELLO */
  struct sb_id best_held;   /* of all HELLOs that were read since the log began anew */
  uint64_t read_from;       /* everything from this sequence on was read; UINT64_MAX: nothing was yet */
  uint64_t sf_mark;         /* sequence + 1 of the last SNAPSHOT or FOUND in it; 0: there was none */
  bool log_anew;            /* the log was made anew while this process ran */
  bool only_hellos;         /* nothing else of its members was read in it */
  uint64_t lost_generation; /* of the log before, and of all before that */
  bool behind_equal;        /* a HELLO before ours holds as much */
  uint64_t keys_seen_ms;    /* when a part of keys came last that somebody else brings */

  /* answering */
  bool answer_due;
  uint64_t answer_ms, answer_after; /* when; the highest HELLO position to answer */
  struct sb_sending sending;

  /* publishing */
  struct sb_outbox outbox;
  uint64_t match_steps; /* that the messages of its open batch will cost, so far as is known */
  struct sb_incarnation outbox_incarnation; /* under which its batches are numbered */
  bool resend_wanted;
  uint64_t resend_not_before_ms, resend_pause_ms;
  uint64_t rto_ms;
  uint64_t tokens;
  uint64_t last_append_ms; /* a batch of ours, for heartbeats: control messages clear nobody of suspicion */
  bool goodbye_said;

  /* batches sent under an incarnation whose fate is not known, since the log was lost from sight */
  struct sb_batch *limbo;
  size_t limbo_bytes;
  struct sb_incarnation limbo_incarnation;
  bool limbo_same_log;
  bool in_limbo; /* from the loss until a state is found again */

  /* who may have died (partition 0), who is to be followed out (others) */
  struct sb_suspicion *suspicions;
  uint32_t suspicions_count, suspicions_cap;
};

struct sb_gap {
  uint64_t unix_ms, generation, after, before;
  uint32_t partition;
  const char *why;
};

struct sb_core {
  struct sb_core_settings settings;
  struct sb_core_io io;
  uint64_t now_ms, unix_ms;
  struct sb_partition *partitions;
  struct sb_interest interest;
  uint32_t change_slot, change_left; /* of the SUBSCRIBE or UNSUBSCRIBE that is being taken */
  struct sb_session *dirty_first, **dirty_end;
  size_t outputs_max;    /* above it io.outputs_full is called */
  uint64_t outbox_bytes; /* of all partitions, with limbo */
  bool room_wanted;
  bool readers_wait;       /* for what a log holds; they need no room */
  uint64_t incarnation_ms; /* the last one used */
  size_t entry_max;        /* of an entry that travels in one message */
  size_t whole_max;        /* of one that may travel in parts */
  char refusal[192];       /* why the last request was SB_REFUSED */
  struct sb_core_stats stats;
  struct sb_gap gaps[SB_GAPS_KEPT];
  uint64_t gap_count;
  uint32_t sides_down; /* of all links; above zero is an outage */
  uint64_t outage_since_unix_ms;
  char outage_reason[SB_ERROR_TEXT_MAX];
  bool stopping;
  bool gated;              /* publishes are not simply taken: stopping, or an outage with refuse_in_outage */
  bool failed;             /* io.fatal was called */
  uint64_t stood_at_ms;    /* when the bridge left the logs alone last, for sessions to follow; 0: never */
  bool output_rose;        /* what a log brought has filled an output above output_mark_bytes */
  uint32_t ranges;         /* that are read back for somebody, or wait for their owner */
  uint64_t ranges_room_ms; /* when all who wait are offered room again: many of them may wait for ranges */
  uint64_t rate_at_ms, rate_credit; /* of sends, in thousandths */
  uint32_t turn_first;              /* the partition that may send first: the others had their share */
  struct sb_entry *entries;         /* SB_BATCH_ENTRIES_MAX, the batch being applied */
  struct sb_bytes *args;            /* of the command being run */
  uint32_t args_cap;
  struct sb_buf reply, entry; /* of the command being run; that is being made */
  struct sb_blocking blocking;
  uint64_t readers_due_ms; /* when those who wait must be asked again at the latest; UINT64_MAX: nobody is */
};

static inline void sb_blocked_signal(struct sb_partition *part, struct sb_bytes key) {
  if (part->core->blocking.count > 0) sb_blocked_wake(part, key);
}

__attribute__((format(printf, 3, 4))) void sb_core_log(struct sb_core *core, enum sb_log_level level,
                                                       const char *format, ...);

/* SB_REFUSED, with the reason for its client. */
__attribute__((format(printf, 2, 3))) enum sb_result sb_core_refuse(struct sb_core *core, const char *format,
                                                                    ...);
enum sb_result sb_core_too_large(struct sb_core *core, size_t len); /* likewise; SB_TOO_LARGE */

/* Before `count` messages to a channel are appended: ends the open batch if they would make it cost too much
 * to match. */
void sb_partition_make_room_to_match(struct sb_partition *part, struct sb_bytes channel, uint32_t count);

/* Why an entry of `len` bytes that is not simply taken is not taken; SB_DONE: it is after all. */
enum sb_result sb_core_judge(struct sb_core *core, size_t len);
/* The same for several entries that have `len` bytes together. */
enum sb_result sb_core_judge_all(struct sb_core *core, size_t len);

/* ---- outgoing.c ---- */

void sb_partition_send(struct sb_partition *part); /* what may leave now */
void sb_partition_settled(struct sb_partition *part, uint64_t token, enum sb_settle outcome);
void sb_partition_send_timers(struct sb_partition *part);
uint64_t sb_partition_send_deadline(const struct sb_partition *part);
/* An own batch came back with a number missing before it, or a sending failed: go back to the oldest. */
void sb_partition_resend(struct sb_partition *part, bool pause);
void sb_partition_accepted(struct sb_partition *part); /* an own batch was */

/* 0 or what io.publish says. A control message is not resent by itself: whoever needs it asks again. */
int sb_partition_send_control(struct sb_partition *part, const struct sb_control *control);

uint64_t sb_partition_log_time(const struct sb_partition *part);
/* It is at least this, somebody says: whose clock runs ahead is followed. */
void sb_partition_set_time(struct sb_partition *part, uint64_t log_time_ms);
/* "-GAP ordered, position unknown" to everybody who waits for this batch. */
void sb_partition_answer_unknown(struct sb_partition *part, const struct sb_batch *batch);
/* An error to everybody who waits for this batch: what it holds will have no effect. */
void sb_partition_refuse(struct sb_partition *part, const struct sb_batch *batch, struct sb_bytes error);
bool sb_partition_has_row(const struct sb_partition *part); /* our row stands at our incarnation */

/* Everything held for this log; what changes it is framed by `before = held(part)` and `account(part,
 * before)`. */
size_t sb_partition_held(const struct sb_partition *part);
void sb_partition_account(struct sb_partition *part, size_t before);

/* ---- fanout.c ---- */

/* A batch in the two forms that sessions read; resp3 is made when it is needed and belongs to who made the
 * struct. */
struct sb_views {
  struct sb_body *resp2, *resp3;
  struct sb_id id; /* of the entry that is pushed first; those behind it follow. 0-0: they have none */
};

/* Pushes `count` neighbouring entries of one channel to its subscribers here. Where there are patterns, count
 * is 1. */
void sb_fan_out(struct sb_partition *part, struct sb_views *views, const struct sb_entry *first,
                uint32_t count);

/* ---- entries.c ---- */

/* Finds all entries of a batch before any of them is applied: a malformed batch has no effect at all. */
bool sb_entries_index(struct sb_core *core, struct sb_bytes body, uint32_t count);

/* Whether it says that a member leaves. */
bool sb_entry_is_bye(struct sb_bytes body, const struct sb_entry *entry);

struct sb_applying {
  struct sb_core *core;
  struct sb_state *state;
  struct sb_history *history;
  struct sb_partition
      *part; /* whose sessions get messages and replies; NULL: nobody does, it is read again */
  const char *sender;
  uint64_t sequence, now_ms;
  struct sb_body *body;
  const struct sb_batch *own; /* the batch as this node sent it, with its waiters; NULL: it is not ours */
};

/* What has expired at that log time goes, and what a stream held with it. */
void sb_keys_expire_here(struct sb_state *state, struct sb_history *history, uint64_t now_ms);

/* Applies the entries that sb_entries_index has found. Returns how many there were: none in a part but the
 * last. */
uint32_t sb_entries_apply(const struct sb_applying *of, uint32_t count);

/* ---- commands.c ---- */

/* Runs a command on keys or streams that stands in a body. */
void sb_op_entry_run(struct sb_core *core, const struct sb_entry *entry, struct sb_op_place *place);

/* What it may add to the bytes of the keys, as they are. */
size_t sb_op_entry_stores(struct sb_core *core, struct sb_bytes body, const struct sb_entry *entry,
                          const struct sb_keys *keys, uint64_t now_ms);

/* The reply to PING or ECHO with an argument. */
void sb_op_entry_echo(struct sb_bytes body, const struct sb_entry *entry, struct sb_buf *reply);

enum sb_reading { SB_READ_NOTHING, SB_READ_SOMETHING, SB_READ_LATER };

/* Appends the reply when there is something to read, or an error. LATER: it is read back for this session,
 * and core->readers_wait will be set. NOTHING: `after` may have been moved on to where there is nothing. */
enum sb_reading sb_read_streams(struct sb_core *core, struct sb_session *session,
                                const struct sb_streams *streams, struct sb_buf *reply);

static inline struct sb_partition *sb_part_of(struct sb_core *core, struct sb_bytes key) {
  return &core->partitions[sb_core_partition(core, key)];
}

/* What one reply may be: an eighth of what a session may be sent is left for errors and what waits already.
 */
static inline size_t sb_reply_max(const struct sb_core *core) {
  return core->settings.output_hard_bytes - core->settings.output_hard_bytes / 8;
}

/* Where a session reads now. */
struct sb_op_place sb_read_place(struct sb_partition *part, uint8_t proto, struct sb_buf *reply);

/* ---- apply.c ---- */

/* The PUBLISH that a foreign message is; what a FOUND says, with the keys that it brings, which are the
 * caller's. */
struct sb_body *sb_foreign_entry(const struct sb_message *message);
struct sb_founding sb_found_of(const struct sb_message *message, const struct sb_control *control,
                               const struct sb_assembler *brought, struct sb_keys *keys);
/* sb_state_apply_founding, with what follows for a history. */
bool sb_found_apply(struct sb_state *state, struct sb_history *history, const struct sb_founding *found);

/* Applies one message to a partition that is ready. */
void sb_partition_apply(struct sb_partition *part, const struct sb_message *message);

/* ---- join.c ---- */

void sb_partition_hello(struct sb_partition *part); /* with a new, higher incarnation */
/* The log was made anew while this process ran, and nothing but HELLOs came since. */
bool sb_partition_log_is_bare(const struct sb_partition *part);
void sb_partition_rejoin(struct sb_partition *part); /* our row vanished */
/* Somebody's HELLO. False: it says that another process with our name ran before this one, which stops. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello);
/* False after io.fatal: the nodes that run have another number of partitions. */
bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs);
/* What is not accepted under the incarnation before will never be: it is numbered again. */
void sb_partition_restamp(struct sb_partition *part);
void sb_partition_lost(struct sb_partition *part, bool same_log,
                       const char *why); /* the log went on without us */
void sb_partition_joining(struct sb_partition *part, struct sb_message *message); /* takes the bodies */
void sb_partition_answer(struct sb_partition *part,
                         uint64_t hello_at); /* somebody's HELLO, as one who is ready */
/* A part of somebody's SNAPSHOT. */
void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete);
/* Of a SNAPSHOT that is kept nothing is needed but that it was there. */
void sb_snapshot_drop_text(struct sb_message *message, const struct sb_control *control);
void sb_partition_join_timers(struct sb_partition *part);
uint64_t sb_partition_join_deadline(const struct sb_partition *part);
void sb_partition_join_close(struct sb_partition *part);

/* ---- held.c ---- */

/* The log is lost from sight: what is known of its keys is kept for who founds. */
void sb_held_keep(struct sb_partition *part);
void sb_held_drop(struct sb_partition *part);
void sb_held_let_go(struct sb_partition *part); /* the same, and says so where keys are lost by it */
uint64_t sb_held_log_time(const struct sb_partition *part); /* carried on; 0: nothing is held */
/* It has keys that have not expired. */
bool sb_held_any(const struct sb_partition *part);

/* The same in two steps, for keys that a founding takes away: what is to be held of the state as it is, but
 * for the keys; and then with them, which it takes over. */
struct sb_held sb_held_of(const struct sb_partition *part, uint64_t upto);
void sb_held_take(struct sb_partition *part, const struct sb_held *held);

/* Into a log that one has founded who had no keys: a member that holds some restores them. Whoever it is that
 * reads of a member that holds more waits for that one first. */
bool sb_restore_is_due(const struct sb_partition *part); /* its state waits for what is held here */
void sb_restore_begin(struct sb_partition *part, struct sb_outbox *first); /* the row is new */
void sb_restore_timers(struct sb_partition *part);
uint64_t sb_restore_deadline(const struct sb_partition *part);

/* A part of the keys that somebody brings. */
void sb_brought_take(struct sb_assembler *brought, const struct sb_envelope *envelope,
                     const struct sb_control *control, uint64_t sequence);
/* The text of those that a FOUND brings, as it was put together or kept; false: they are not complete, or
 * none. */
bool sb_brought_text(const struct sb_assembler *brought, const struct sb_message *found,
                     const struct sb_control *control, struct sb_bytes *text);
/* The same, as keys. */
bool sb_brought_read(const struct sb_assembler *brought, const struct sb_message *found,
                     const struct sb_control *control, struct sb_keys *keys);
/* For a FOUND that is kept: others may take the place of its keys before it is applied. A body of its own;
 * NULL when it speaks of none. */
struct sb_body *sb_brought_copy(const struct sb_assembler *brought, const struct sb_message *found,
                                const struct sb_control *control);

/* ---- checkpoint.c ---- */

void sb_checkpoint_count(struct sb_partition *part, size_t bytes); /* a message was applied */
void sb_checkpoint_seen(struct sb_partition *part, const struct sb_control *control);
void sb_checkpoint_want(struct sb_partition *part); /* soon: the last one may be far back */
/* It is time for one, and this member's turn to write it. */
bool sb_checkpoint_is_due(const struct sb_partition *part);
uint64_t sb_checkpoint_deadline(const struct sb_partition *part);

/* ---- back.c ---- */

/* Begins to read back up to `to`. */
void sb_back_begin(struct sb_partition *part, struct sb_back *back, uint64_t to, uint64_t wanted,
                   size_t history_bytes);
/* Asks the transport when it is time; gives up when it is. */
void sb_back_turn(struct sb_partition *part, struct sb_back *back);
void sb_back_drop(struct sb_partition *part, struct sb_back *back);
uint64_t sb_back_deadline(const struct sb_back *back);

/* The reading under way that has this token, or NULL. */
struct sb_back *sb_back_of(struct sb_partition *part, uint64_t token);
void sb_back_ended(struct sb_partition *part, struct sb_back *back, bool done);

static inline bool sb_back_is_running(const struct sb_back *back) {
  return back->state == SB_BACK_WAITING || back->state == SB_BACK_READING;
}

/* ---- recovery.c ---- */

/* True: nothing more is to be learnt about keys, and a FOUND may go. Begins to look when it did not. */
bool sb_recovery_is_over(struct sb_partition *part);
/* Moves the keys as of the message before `sequence` into the state; what came behind the HELLO was kept. */
void sb_recovery_take_keys(struct sb_partition *part, uint64_t sequence);

/* The history of one who has just become ready begins there: what lies before it is fetched. */
void sb_prefill_begin(struct sb_partition *part);
void sb_prefill_turn(struct sb_partition *part);
void sb_prefill_drop(struct sb_partition *part);

/* ---- range.c: streams from before the history begins ---- */

/* Entries of some streams, of each those at `from` or behind it and not behind `to`. */
struct sb_range_ask {
  const struct sb_bytes *names;
  const struct sb_id *from;
  uint32_t count;
  struct sb_id to;
  bool backwards;
  uint64_t limit;
};

enum sb_range_says {
  SB_RANGE_HERE,  /* nothing that is not in the history */
  SB_RANGE_WAITS, /* core->readers_wait will be set */
  SB_RANGE_READ,  /* sb_range_place says where it is, until sb_ranges_end */
  SB_RANGE_FAILED /* *why says it, for an error reply */
};

/* What becomes of a request. It is to be made again, the same one, when it WAITS. */
enum sb_range_says sb_ranges_ask(struct sb_core *core, struct sb_session *session,
                                 const struct sb_range_ask *ask, const char **why);

/* Where a session reads: what was read back for it, if anything was, as it was when it was asked for. False:
 * it stays as it is. */
bool sb_range_place(struct sb_partition *part, const struct sb_session *session, struct sb_op_place *place);

/* Nothing more is wanted for this session. */
void sb_ranges_end(struct sb_core *core, const struct sb_session *session);
void sb_range_drop(struct sb_partition *part); /* the log is lost from sight */

void sb_ranges_turn(struct sb_core *core);
uint64_t sb_range_deadline(const struct sb_partition *part);

/* ---- lease.c ---- */

void sb_partition_heard(struct sb_partition *part, const char *name);
void sb_partition_own_echo(struct sb_partition *part, uint64_t sent_ms);
void sb_partition_lease_timers(struct sb_partition *part);
uint64_t sb_partition_lease_deadline(const struct sb_partition *part);
void sb_partition_goodbye(struct sb_partition *part);
bool sb_partition_left(
    const struct sb_partition *part); /* our own BYE came back: a clean stop is done here */

#endif
