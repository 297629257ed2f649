/* What is put aside: messages until a state is known, pieces of a text until it is whole. */
#ifndef SB_CORE_LOG_KEPT_H
#define SB_CORE_LOG_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/core/wire/control.h"

struct sb_message { /* one delivery, the bodies owned by who holds it */
  uint64_t sequence;
  const struct sb_envelope *envelope;
  struct sb_body *channel, *body;
  bool strange;            /* it has the number of a batch that we sent, and another content */
  struct sb_body *brought; /* of a GENESIS that was kept: the text of the keys that it brings, as far as it
                              was whole when the GENESIS came; else NULL */
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

/* Texts whose pieces are arriving, from different senders. When there is no place for a new one, the one that
 * got no piece for longest gives way. */
#define SB_ASSEMBLIES 3

struct sb_assembly {
  uint64_t touched; /* sequence of its last piece */
  char node[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t as_of;
  uint32_t pieces, next;
  struct sb_buf text;
};

struct sb_assembler {
  struct sb_assembly at[SB_ASSEMBLIES];
  bool by_begin; /* the one that began first gives way instead: so all nodes that saw the last SB_ASSEMBLIES
                    begin hold the same ones */
};

enum sb_assembled { SB_ASSEMBLED_NOT, SB_ASSEMBLED_MORE, SB_ASSEMBLED_WHOLE };

/* Takes a piece. WHOLE: *text is the state as of control->as_of, until the next call. NOT: it fits nothing.
 */
enum sb_assembled sb_assembler_take(struct sb_assembler *assembler, const struct sb_envelope *envelope,
                                    const struct sb_control *control, uint64_t sequence,
                                    struct sb_bytes *text);
void sb_assembler_clear(struct sb_assembler *assembler);

/* Drops the text of a SNAPSHOT that is kept: later it only matters that there was one. */
void sb_snapshot_drop_text(struct sb_message *message, const struct sb_control *control);

#endif
