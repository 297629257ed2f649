/* What is put aside: messages until a state is known, pieces of a text until it is whole. */
#include "bridge/core/log/kept.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/core/wire/control.h"

void sb_kept_init(struct sb_kept_list *list) {
  *list = (struct sb_kept_list){.end = &list->first};
}

static void check(const struct sb_kept_list *list) {
  SB_ASSERT(*list->end == NULL);
  SB_ASSERT(list->first ? list->bytes > 0 : list->bytes == 0 && list->end == &list->first);
  (void)list;
}

static size_t bytes_of(const struct sb_kept *kept) {
  return kept->body->len + (kept->brought ? kept->brought->len : 0) + sizeof *kept;
}

void sb_kept_add(struct sb_kept_list *list, const struct sb_message *message) {
  struct sb_kept *kept = sb_malloc(sizeof *kept);
  *kept = (struct sb_kept){.sequence = message->sequence,
                           .envelope = *message->envelope,
                           .channel = message->channel,
                           .body = message->body,
                           .brought = message->brought};
  check(list);
  *list->end = kept;
  list->end = &kept->next;
  list->bytes += bytes_of(kept);
  check(list);
}

struct sb_kept *sb_kept_take(struct sb_kept_list *list) {
  struct sb_kept *kept = list->first;
  if (!kept) return NULL;
  list->first = kept->next;
  if (!list->first) list->end = &list->first;
  SB_ASSERT(list->bytes >= bytes_of(kept));
  list->bytes -= bytes_of(kept);
  check(list);
  return kept;
}

struct sb_message sb_kept_message(const struct sb_kept *kept) {
  return (struct sb_message){.sequence = kept->sequence,
                             .envelope = &kept->envelope,
                             .channel = kept->channel,
                             .body = kept->body,
                             .brought = kept->brought};
}

void sb_kept_free(struct sb_kept *kept) {
  sb_body_unref(kept->brought);
  sb_body_unref(kept->channel);
  sb_body_unref(kept->body);
  free(kept);
}

void sb_kept_drop(struct sb_kept_list *list) {
  struct sb_kept *kept;
  while ((kept = sb_kept_take(list))) sb_kept_free(kept);
}

/* ---- pieces of a text ---- */

void sb_assembler_clear(struct sb_assembler *assembler) {
  for (int i = 0; i < SB_ASSEMBLIES; i++) sb_buf_close(&assembler->at[i].text);
  *assembler = (struct sb_assembler){.by_begin = assembler->by_begin};
}

static struct sb_assembly *find(struct sb_assembler *assembler, const struct sb_envelope *envelope,
                                const struct sb_control *control) {
  struct sb_assembly *oldest = &assembler->at[0];
  for (int i = 0; i < SB_ASSEMBLIES; i++) {
    struct sb_assembly *at = &assembler->at[i];
    if (at->pieces == control->pieces && at->as_of == control->as_of &&
        sb_incarnation_compare(at->incarnation, envelope->incarnation) == 0 &&
        strcmp(at->node, envelope->node) == 0)
      return at;
    if (at->touched < oldest->touched) oldest = at;
  }
  if (control->piece != 0) return NULL;
  sb_buf_clear(&oldest->text);
  memcpy(oldest->node, envelope->node, sizeof oldest->node);
  oldest->incarnation = envelope->incarnation;
  oldest->as_of = control->as_of;
  oldest->pieces = control->pieces;
  oldest->next = 0;
  return oldest;
}

enum sb_assembled sb_assembler_take(struct sb_assembler *assembler, const struct sb_envelope *envelope,
                                    const struct sb_control *control, uint64_t sequence,
                                    struct sb_bytes *text) {
  struct sb_assembly *at = find(assembler, envelope, control);
  if (!at || control->piece != at->next) return SB_ASSEMBLED_NOT;
  if (control->text.len > SB_JOIN_BUFFER_BYTES - at->text.len) return SB_ASSEMBLED_NOT;
  SB_ASSERT(at->next < at->pieces);
  sb_buf_append(&at->text, control->text.at, control->text.len);
  if (!assembler->by_begin || at->next == 0) at->touched = sequence;
  if (++at->next < at->pieces) return SB_ASSEMBLED_MORE;
  *text = sb_buf_bytes(&at->text);
  return SB_ASSEMBLED_WHOLE;
}

void sb_snapshot_drop_text(struct sb_message *message, const struct sb_control *control) {
  struct sb_control without = *control;
  without.text = sb_bytes(NULL, 0);
  struct sb_body *body = sb_control_write(&without);
  sb_body_unref(message->body);
  message->body = body;
}
