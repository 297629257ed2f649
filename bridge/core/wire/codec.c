#include "bridge/core/wire/codec.h"

#include <lz4frame.h>
#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"

#define PACK_MIN_BYTES 1024 /* below this a frame saves nothing that a broker would notice */
#define SKIP_MAX       256

struct sb_body *sb_codec_pack(struct sb_codec *codec, const struct sb_body *plain) {
  if (plain->len < PACK_MIN_BYTES) return NULL;
  if (codec->skip > 0) {
    codec->skip--;
    return NULL;
  }
  LZ4F_preferences_t preferences = {
      .frameInfo = {.blockSizeID = LZ4F_max64KB, .contentSize = plain->len},
  };
  size_t bound = LZ4F_compressFrameBound(plain->len, &preferences);
  struct sb_body *packed = sb_body_new(bound);
  size_t len = LZ4F_compressFrame(packed->data, bound, plain->data, plain->len, &preferences);
  if (LZ4F_isError(len) || len > plain->len / 2) {
    codec->skip_next = codec->skip_next ? codec->skip_next * 2 : 4;
    if (codec->skip_next > SKIP_MAX) codec->skip_next = SKIP_MAX;
    codec->skip = codec->skip_next;
    sb_body_unref(packed);
    return NULL;
  }
  codec->skip_next = 0;
  packed->len = len;
  return packed;
}

/* Reads the frame's header: how many bytes the plain body has. 0: it does not say, or more than may be. */
static size_t announced_size(LZ4F_dctx *context, const struct sb_body *packed, size_t *header) {
  LZ4F_frameInfo_t info;
  *header = packed->len;
  size_t hint = LZ4F_getFrameInfo(context, &info, packed->data, header);
  if (LZ4F_isError(hint) || info.contentSize > SB_BODY_BYTES_MAX) return 0;
  return (size_t)info.contentSize;
}

struct sb_body *sb_codec_unpack(const struct sb_body *packed) {
  LZ4F_dctx *context = NULL;
  struct sb_body *plain = NULL;
  size_t used = 0, filled = 0;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) return NULL;
  size_t size = announced_size(context, packed, &used);
  /* An LZ4 block expands 255 times at most: no memory is taken for a frame that announces more. */
  if (size == 0 || size / 256 > packed->len) goto done;
  plain = sb_body_new(size);
  size_t hint = 1;
  while (hint != 0 && used < packed->len) {
    size_t room = size - filled, take = packed->len - used;
    hint = LZ4F_decompress(context, plain->data + filled, &room, packed->data + used, &take, NULL);
    if (LZ4F_isError(hint) || (room == 0 && take == 0)) break;
    filled += room;
    used += take;
  }
  if (hint != 0 || filled != size || used != packed->len) {
    sb_body_unref(plain);
    plain = NULL;
  }
done:
  LZ4F_freeDecompressionContext(context);
  return plain;
}
