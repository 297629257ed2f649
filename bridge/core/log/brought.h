/* The keys that founders bring: KEYS, put together piece by piece until a GENESIS says that they count. Rule:
 * docs/log.md, "Keys that outlive their log". */
#ifndef SB_CORE_LOG_BROUGHT_H
#define SB_CORE_LOG_BROUGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/control.h"

/* A piece of the keys that somebody brings. */
void sb_brought_take(struct sb_assembler *brought, const struct sb_envelope *envelope,
                     const struct sb_control *control, uint64_t sequence);
/* The text of those that a GENESIS brings, as it was put together or kept; false: they are not complete, or
 * none. */
bool sb_brought_text(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_bytes *text);
/* The same, as keys. */
bool sb_brought_read(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_keys *keys);
/* Copies the text for a GENESIS that is kept for later: until it is applied, keys of other founders may take
 * the place of these. A body of its own; NULL when the GENESIS speaks of none. */
struct sb_body *sb_brought_copy(const struct sb_assembler *brought, const struct sb_message *genesis,
                                const struct sb_control *control);

#endif
