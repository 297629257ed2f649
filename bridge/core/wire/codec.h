/* Bodies as they travel: plain, or an LZ4 frame where that pays. */
#ifndef SB_CORE_CODEC_H
#define SB_CORE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"

/* Compressing pays when it halves a body: with less, packing at the sender and unpacking at every node cost
 * more than the broker saves. The codec learns whether it does: each body that it could not halve makes it
 * send more bodies plain before it tries again. Zeroed is the start. */
struct sb_codec {
  uint32_t skip, skip_next;
};

/* A compressed copy, or NULL when the body should travel as it is. */
struct sb_body *sb_codec_pack(struct sb_codec *codec, const struct sb_body *plain);

/* The plain bytes of an LZ4 frame, SB_BODY_BYTES_MAX at most; NULL when it is not a whole valid frame. */
struct sb_body *sb_codec_unpack(const struct sb_body *packed);

#endif
