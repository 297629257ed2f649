/* Nodes that sign what they send and take nothing else, as the transports do it for them. Every node has both
 * keys of a rotation; which one it signs with is drawn when it starts. A node without a key takes nothing
 * that is signed. */
#include "tests/sim/world.h"
#include "transports/signing.h"

#define PREFIX "sim"

void sim_signing_begin(struct node *node) {
  static const char *const keys[] = {"the first key of the hub", "the other key of the hub"};
  struct sb_error error;
  if (!node->world->options.sign) return;
  uint32_t own = sim_below(node->world, 2);
  node->signing = sb_signing_new(PREFIX, keys[own], keys[!own], &error);
  if (!node->signing) sim_fail(node->world, "%s", error.text);
}

void sim_signing_end(struct node *node) {
  sb_signing_free(node->signing);
  node->signing = NULL;
}

void sim_sign(struct node *node, uint32_t partition, const struct sb_body *body,
              struct sb_envelope *envelope) {
  if (node->signing) sb_signing_sign(node->signing, partition, envelope, body);
}

bool sim_is_refused(const struct world *world, const struct stored *message) {
  return message->outsider && (world->options.sign || message->envelope.has_mac);
}

struct sb_envelope sim_judged_by(const struct node *node, uint32_t partition, const struct stored *message,
                                 struct sb_body *body) {
  struct sb_delivery delivery = {.sequence = message->sequence, .envelope = message->envelope, .body = body};
  sb_signing_judge(node->signing, partition, &delivery);
  if (sim_is_refused(node->world, message) != (delivery.envelope.refused != SB_REFUSED_NOT))
    sim_fail(node->world, "partition %u: %s judges the signature at %llu wrong", partition, node->name,
             (unsigned long long)message->sequence);
  return delivery.envelope;
}

uint64_t sim_refused_by(const struct node *node) {
  struct sb_core_stats stats;
  sb_core_stats(node->core, &stats);
  return stats.batches_unsigned + stats.batches_forged;
}
