#include "bridge/redis/sockets/input.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"

void sb_input_free(struct sb_input *input) {
  free(input->data);
  *input = (struct sb_input){0};
}

void sb_input_keep_last(struct sb_input *input, size_t len) {
  SB_ASSERT(len <= sb_input_kept(input));
  if (len == 0)
    sb_input_free(input);
  else
    input->at = input->len - len;
}

void sb_input_keep_copy(struct sb_input *input, const uint8_t *from, size_t len) {
  if (len == 0) {
    sb_input_free(input);
    return;
  }
  if (input->cap < len) {
    input->data = sb_realloc(input->data, len);
    input->cap = len;
  }
  memcpy(input->data, from, len);
  input->at = 0;
  input->len = len;
}

size_t sb_input_grow(struct sb_input *input, size_t need) {
  size_t kept = sb_input_kept(input);
  if (input->at > 0) memmove(input->data, input->data + input->at, kept);
  input->at = 0;
  input->len = kept;
  size_t more = kept > SB_READ_BYTES ? kept : SB_READ_BYTES;
  if (more > need) more = need > SB_READ_BYTES ? need : SB_READ_BYTES;
  if (input->cap - kept < more) {
    input->cap = kept + more;
    input->data = sb_realloc(input->data, input->cap);
  }
  return input->cap - kept;
}

void sb_input_add(struct sb_input *input, size_t bytes) {
  SB_ASSERT(bytes <= input->cap - input->len);
  input->len += bytes;
}
