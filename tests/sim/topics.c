/* What sessions subscribe to: a few names, so that nodes meet. Which pattern matches which channel is written
 * out here, not asked of the matcher. */
#include "bridge/core/wire/slot.h"
#include "tests/sim/world.h"

static const char *const channels[CHANNELS] = {"c0", "c1", "c2", "c3"};

static const struct {
  const char *name;
  uint32_t channels; /* a bit for each that it matches */
} patterns[PATTERNS] = {
    {"*", 0xf}, {"c*", 0xf}, {"c[02]", 0x5}, {"?1", 0x2}, {"c[^3]", 0x7}, {"x*", 0},
};

enum sb_sub_kind sim_topic_kind(uint32_t topic) {
  if (topic < CHANNELS) return SB_SUB_CHANNEL;
  return topic < 2 * CHANNELS ? SB_SUB_SHARD : SB_SUB_PATTERN;
}

struct sb_bytes sim_topic_name(uint32_t topic) {
  if (topic >= 2 * CHANNELS) return sb_bytes_of(patterns[topic - 2 * CHANNELS].name);
  return sb_bytes_of(channels[topic % CHANNELS]);
}

bool sim_topic_find(enum sb_sub_kind kind, struct sb_bytes name, uint8_t *topic) {
  for (*topic = 0; *topic < TOPICS; (*topic)++)
    if (sim_topic_kind(*topic) == kind && sb_bytes_equal(sim_topic_name(*topic), name)) return true;
  return false;
}

bool sim_topic_lives(const struct world *world, uint32_t topic, uint32_t partition) {
  return topic >= 2 * CHANNELS || sim_partition(world, (uint8_t)(topic % CHANNELS)) == partition;
}

uint32_t sim_topics_of(uint8_t channel, bool shard) {
  if (shard) return UINT32_C(1) << (CHANNELS + channel);
  uint32_t bits = UINT32_C(1) << channel;
  for (uint32_t i = 0; i < PATTERNS; i++)
    if (patterns[i].channels >> channel & 1) bits |= UINT32_C(1) << (2 * CHANNELS + i);
  return bits;
}

uint32_t sim_partition(const struct world *world, uint8_t channel) {
  return world->options.partitions == 1 ? 0
                                        : sb_slot(sb_bytes_of(channels[channel])) % world->options.partitions;
}
