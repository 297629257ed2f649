/* What sessions ask of the core, and what they are given. One thread. Waiting: core.h. */
#ifndef SB_CORE_SESSIONS_SESSIONS_H
#define SB_CORE_SESSIONS_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/sessions/session.h"

struct sb_core;

enum sb_result {
  SB_DONE,      /* accepted; a reply follows, or was written */
  SB_WAIT,      /* no room or not ready: offer it again after io.room */
  SB_BUSY,      /* refused: the broker is away and refuse_in_outage is set; sb_core_outage says why */
  SB_TOO_LARGE, /* the broker or the outbox would never take it; sb_core_refusal says so */
  SB_REFUSED,   /* a limit is in the way; sb_core_refusal says which one */
};

/* Why the last request was refused: a sentence for its client. It holds until the next request. */
const char *sb_core_refusal(const struct sb_core *core);

/* Initialises the structure, which the caller has zeroed. */
void sb_core_session_open(struct sb_core *core, struct sb_session *session, uint8_t proto);

/* Ends its subscriptions and drops its output. io.released follows, at once or when its last request was
 * answered. */
void sb_core_session_close(struct sb_core *core, struct sb_session *session);

/* As if it had exceeded its limit: its output goes, nothing is added any more, and it comes with
 * sb_core_next_dirty to be closed. Allowed from within io.outputs_full. */
void sb_core_session_drop(struct sb_core *core, struct sb_session *session);

/* What sb_output_memory may come to before io.outputs_full is called. */
void sb_core_set_outputs_max(struct sb_core *core, size_t bytes);

/* Whether a reply of so many bytes can be written to the session; else it is over its limit now, as if it had
 * been tried. For replies that are long to compose. */
bool sb_core_takes_reply(struct sb_core *core, struct sb_session *session, size_t len);

enum sb_publish_kind { SB_PUBLISH, SB_SPUBLISH };

/* One PUBLISH or SPUBLISH; its reply `:receivers` is written when the entry has come back in its log. */
enum sb_result sb_core_publish(struct sb_core *core, struct sb_session *session, enum sb_publish_kind kind,
                               struct sb_bytes channel, struct sb_bytes payload);

/* The same for `count` requests that are entries already: in canonical form with the name in upper case, all
 * to one channel, laid end to end. More than one: SB_PUBLISH_RUN_BYTES at most. Taken together or not at all;
 * what is not taken together may be taken one by one. */
enum sb_result sb_core_publish_raw(struct sb_core *core, struct sb_session *session, struct sb_bytes channel,
                                   struct sb_bytes raw, uint32_t count);

/* A reply that needs nothing from the log: written in its turn. False when the ring is full: treat as
 * SB_WAIT. */
bool sb_core_reply(struct sb_core *core, struct sb_session *session, struct sb_bytes reply);

/* A push outside the order of replies (MONITOR). Copied; dropped when the session is over its limit. */
void sb_core_push(struct sb_core *core, struct sb_session *session, struct sb_bytes push);

/* SUBSCRIBE and its kin, one request at a time: begin, then each name, then the confirmation of them all,
 * which is written in its turn when every log that was told has brought it back. All of these calls
 * belong into one turn. A subscription gets messages from the position in the log at which it came back.
 * Before that, the results below and `subs` of the session say what it has asked for. */
enum sb_result sb_core_subscribing(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                                   const struct sb_bytes *names, uint32_t count);
enum sb_result sb_core_unsubscribing(struct sb_core *core,
                                     struct sb_session *session); /* SB_DONE or SB_WAIT */
bool sb_core_subscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                       struct sb_bytes name); /* false: it was subscribed already */
bool sb_core_unsubscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                         struct sb_bytes name); /* false: it was not subscribed */
void sb_core_confirm(struct sb_core *core, struct sb_session *session, struct sb_bytes confirmation);

/* RESET, between sb_core_unsubscribing and sb_core_confirm: nothing more is pushed from now on, and its reply
 * waits until every log knows. */
void sb_core_reset(struct sb_core *core, struct sb_session *session);

/* A session that ends: nothing more is pushed from now on. */
void sb_core_unsubscribe_all(struct sb_core *core, struct sb_session *session);

/* The names that a session subscribes to, newest first; the view holds until that subscription ends. Begin
 * with NULL; NULL is returned behind the last. */
struct sb_sub *sb_session_next_sub(const struct sb_session *session, enum sb_sub_kind kind,
                                   struct sb_sub *after, struct sb_bytes *name);

/* PUBSUB NUMSUB, SHARDNUMSUB of the names, or NUMPAT (SB_SUB_PATTERN, no names): counts of the whole cluster.
 * The reply is written when the question has come back from the logs. */
enum sb_result sb_core_ask(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                           const struct sb_bytes *names, uint32_t count);

/* A command on keys or streams that writes (op.h): it travels, and its reply is written when it has come
 * back. Its keys are of one partition. */
enum sb_result sb_core_write(struct sb_core *core, struct sb_session *session, const struct sb_op *op);

/* One that only reads, but XREAD: appends the reply. SB_DONE, or SB_WAIT, also until all earlier requests of
 * the session are answered. */
enum sb_result sb_core_read(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                            struct sb_buf *reply);

/* XREAD: as above. Or nothing is appended, when it blocks: session->blocked is set until the reply was
 * written to the session's output, and any other request of it is told to wait meanwhile. */
enum sb_result sb_core_read_streams(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                                    struct sb_buf *reply);

/* EXEC: `count` entries laid end to end as sb_op_entry makes them, PUBLISH and SPUBLISH too, all of one
 * partition. `writes`: one of them does (PUBLISH does): they travel as one entry and are run together at its
 * place, and the reply is written then. Else they are run now, as sb_core_read. */
enum sb_result sb_core_exec(struct sb_core *core, struct sb_session *session, uint32_t partition,
                            struct sb_bytes entries, uint32_t count, bool writes, struct sb_buf *reply);

/* One payload to several channels; `reply` is written when all logs have brought it back. */
enum sb_result sb_core_publish_each(struct sb_core *core, struct sb_session *session,
                                    const struct sb_bytes *channels, uint32_t count, struct sb_bytes payload,
                                    struct sb_bytes reply);

/* What the script of ASP.NET SignalR's Redis backplane does: takes the next number of `key`, publishes
 * "<number> <payload>" to the channel of that name, replies [number, payload, what was published]. Numbers
 * come from the place in the log and never fall, also when the log began anew. */
enum sb_result sb_core_number(struct sb_core *core, struct sb_session *session, struct sb_bytes key,
                              struct sb_bytes payload);

/* Whether a channel's name is short enough to be published to. SB_DONE or SB_REFUSED. */
enum sb_result sb_core_channel(struct sb_core *core, struct sb_bytes channel);

/* Calls each(owner, name) for every channel of this node that matches the glob; pattern.at == NULL: all.
 * SB_DONE, or SB_REFUSED: to try that pattern on so many channels is too much work. Some may have been named
 * then. */
enum sb_result sb_core_channels(struct sb_core *core, enum sb_sub_kind kind, struct sb_bytes pattern,
                                void (*each)(void *owner, struct sb_bytes name), void *owner);

/* ---- effects: output ---- */

/* The next session with new output or over its limit, taken off the list; NULL when there is none. */
struct sb_session *sb_core_next_dirty(struct sb_core *core);

/* True when what came from the logs has filled the output of a session above output_mark_bytes since this was
 * asked last: write out what there is before more is taken. */
bool sb_core_output_rose(struct sb_core *core);

#endif
