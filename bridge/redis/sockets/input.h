/* What was read from a session and not used yet: requests that are incomplete or held. Zeroed is empty. */
#ifndef SB_REDIS_SOCKETS_INPUT_H
#define SB_REDIS_SOCKETS_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct sb_input {
  uint8_t *data; /* [at, len) of cap is kept */
  size_t at, len, cap;
};

static inline size_t sb_input_kept(const struct sb_input *input) {
  return input->len - input->at;
}

static inline uint8_t *sb_input_at(const struct sb_input *input) {
  return input->data + input->at;
}

/* Keeps `len` bytes and nothing else: the last ones that it has; or a copy of those at `from`, which lie
 * elsewhere. With no bytes it keeps no memory. */
void sb_input_keep_last(struct sb_input *input, size_t len);
void sb_input_keep_copy(struct sb_input *input, const uint8_t *from, size_t len);

/* Makes room behind what is kept for a request that needs `need` more bytes. The room doubles with what has
 * arrived, so that announcing a length takes no memory. It ends soon behind that request, so that the next
 * one starts in the shared buffer. Returns how much can be read now, to the end of what is kept. */
size_t sb_input_grow(struct sb_input *input, size_t need);

/* Call it when `bytes` were read into that room. */
void sb_input_add(struct sb_input *input, size_t bytes);

void sb_input_free(struct sb_input *input);

#endif
