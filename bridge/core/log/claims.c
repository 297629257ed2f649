#include "bridge/core/log/claims.h"

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/rows.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"

/* A PING and nothing else. No other entry is so short. */
static bool is_heartbeat(const struct sb_message *message) {
  return message->envelope->number > 0 && message->body->len == sizeof SB_ENTRY_HEARTBEAT - 1;
}

void sb_claims_follow(struct sb_partition *part, const struct sb_message *message) {
  if (part->state.chain.at != message->sequence) return;
  sb_chain_add(&part->chain, part->state.chain, is_heartbeat(message), part->logs->now_ms);
}

/* The incarnation that others know us by, and compare with theirs. */
static struct sb_incarnation speaks_as(const struct sb_partition *part) {
  bool spoke = part->dispatch.incarnation.start_ms > 0;
  return sb_partition_has_row(part) || !spoke ? part->incarnation : part->dispatch.incarnation;
}

/* How much longer we wait than the first who may speak. */
static uint64_t turn_ms(const struct sb_partition *part) {
  int own = sb_state_member(&part->state, part->logs->settings.node);
  return (uint64_t)(own < 0 ? 0 : own) * sb_logs_delta_ms(part->logs);
}

static const char *what_we_do(enum sb_chain_act act) {
  switch (act) {
  case SB_CHAIN_STAY:
    return "the other one has the higher incarnation and joins anew";
  case SB_CHAIN_LEAVE:
    return "this node has the higher incarnation and joins anew";
  case SB_CHAIN_TIRED:
    return "this node ought to join anew, did so several times lately, and stays as it is: do all nodes "
           "believe the same messages (hub.key_file, rabbitmq.trusted_users, versions)?";
  }
  return "";
}

static void tell(struct sb_partition *part, const struct sb_envelope *envelope, struct sb_claim own,
                 uint64_t agreed_at, enum sb_chain_act act) {
  char theirs[SB_CLAIM_TEXT], ours[SB_CLAIM_TEXT];
  char their_incarnation[SB_INCARNATION_TEXT], our_incarnation[SB_INCARNATION_TEXT];
  sb_claim_text(&envelope->claim, theirs);
  sb_claim_text(&own, ours);
  sb_incarnation_text(envelope->incarnation, their_incarnation);
  sb_incarnation_text(speaks_as(part), our_incarnation);
  part->logs->stats.divergences++;
  sb_logs_say(part->logs, SB_LOG_ERROR,
              "partition %u: node %s (%s) and this node (%s) have accepted different messages: %s there, %s "
              "here, the same up to %llu; %s",
              part->index, envelope->node, their_incarnation, our_incarnation, theirs, ours,
              (unsigned long long)agreed_at, what_we_do(act));
}

/* `row` is that of the sender, or NULL. */
static bool differs(struct sb_partition *part, const struct sb_envelope *envelope, const struct sb_row *row,
                    struct sb_claim own, uint64_t *agreed_at) {
  const struct sb_logs *logs = part->logs;
  bool higher = sb_incarnation_compare(speaks_as(part), envelope->incarnation) > 0, first;
  bool agreed = row && row->agreed_at > part->joined_at &&
                sb_incarnation_compare(row->incarnation, envelope->incarnation) == 0;
  *agreed_at = agreed ? row->agreed_at : part->joined_at;
  enum sb_chain_act act = sb_chain_differed(&part->chain, higher, envelope->claim.at, logs->now_ms,
                                            logs->settings.lease_ms, turn_ms(part) / 2, &first);
  if (first) tell(part, envelope, own, *agreed_at, act);
  if (act != SB_CHAIN_LEAVE) return false;
  part->logs->stats.divergence_rejoins++;
  return true;
}

bool sb_claims_judge(struct sb_partition *part, const struct sb_message *message, uint64_t *agreed_at) {
  const struct sb_envelope *envelope = message->envelope;
  bool ours = envelope->incarnation.nonce == part->logs->settings.nonce;
  struct sb_claim own;
  if (envelope->foreign || envelope->number == 0 || envelope->claim.founding == 0) return false;
  const struct sb_row *row = sb_state_row(&part->state, envelope->node);
  /* Late word of one that has joined anew since. */
  if (row && sb_incarnation_compare(row->incarnation, envelope->incarnation) > 0) return false;
  switch (sb_chain_compare(&part->chain, envelope->claim, message->sequence, &own)) {
  case SB_CHAIN_SILENT:
    break;
  case SB_CHAIN_AGREES:
    sb_chain_covered(&part->chain, envelope->claim.at, part->logs->now_ms);
    if (!ours) sb_state_agreed(&part->state, envelope->node, envelope->claim.at);
    break;
  case SB_CHAIN_DIFFERS:
    return !ours && differs(part, envelope, row, own, agreed_at);
  }
  return false;
}

uint64_t sb_claims_due(const struct sb_partition *part) {
  /* Whoever is alone here is compared with nobody. But one that differs may have no row here, and be told. */
  if (part->state.members.count <= 1) return part->chain.speak_ms > 0 ? part->chain.speak_ms : UINT64_MAX;
  return sb_chain_due(&part->chain, part->logs->settings.lease_ms, turn_ms(part));
}
