#include "bridge/core/log/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"

#define NOTES_FIRST 8

void sb_lease_close(struct sb_lease *lease) {
  free(lease->suspicions);
  *lease = (struct sb_lease){0};
}

struct sb_suspicion *sb_lease_find(const struct sb_lease *lease, const char *name) {
  for (uint32_t i = 0; i < lease->count; i++)
    if (strcmp(lease->suspicions[i].name, name) == 0) return &lease->suspicions[i];
  return NULL;
}

void sb_lease_suspect(struct sb_lease *lease, const char *name, uint64_t since_ms) {
  SB_ASSERT(!sb_lease_find(lease, name));
  if (lease->count == lease->cap) {
    lease->cap = lease->cap ? lease->cap * 2 : NOTES_FIRST;
    lease->suspicions = sb_realloc(lease->suspicions, lease->cap * sizeof *lease->suspicions);
  }
  SB_ASSERT(lease->count < lease->cap);
  struct sb_suspicion *suspicion = &lease->suspicions[lease->count++];
  suspicion->since_ms = since_ms;
  snprintf(suspicion->name, sizeof suspicion->name, "%s", name);
}

void sb_lease_renew(struct sb_suspicion *suspicion, uint64_t since_ms) {
  suspicion->since_ms = since_ms;
}

void sb_lease_forget(struct sb_lease *lease, struct sb_suspicion *suspicion) {
  SB_ASSERT(suspicion >= lease->suspicions && suspicion < lease->suspicions + lease->count);
  *suspicion = lease->suspicions[--lease->count];
}

void sb_lease_clear(struct sb_lease *lease) {
  lease->count = 0;
}

void sb_lease_goodbye(struct sb_lease *lease, bool said) {
  lease->goodbye_said = said;
}

void sb_lease_time_asked(struct sb_lease *lease, bool asked) {
  lease->time_asked = asked;
}
