#include "bridge/core/log/admit.h"

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/wire/codec.h"

static const char *refusal(const struct sb_envelope *envelope) {
  switch (envelope->refused) {
  case SB_REFUSED_NOT:
    return NULL;
  case SB_REFUSED_UNSIGNED:
    return "it is not signed, and this node has a hub.key_file";
  case SB_REFUSED_FORGED:
    return "its signature is of no key that this node has in hub.key_file or hub.other_key_file";
  case SB_REFUSED_UNTRUSTED:
    return "it speaks for a node, and is of none of rabbitmq.trusted_users or came through the exchange of "
           "other programs";
  }
  return NULL;
}

bool sb_message_of_another_version(const struct sb_envelope *envelope) {
  return !envelope->foreign && envelope->version > 0 && envelope->version != SB_WIRE_VERSION;
}

const char *sb_message_unfit(struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  const char *refused = refusal(envelope);
  if (refused) return refused;
  if (message->sequence > SB_SEQUENCE_MAX) return "its sequence is out of range";
  if (sb_message_of_another_version(envelope)) return "it is of another wire version";
  if (envelope->malformed || (envelope->foreign && !message->channel))
    return "its headers are not of docs/wire.md";
  if (envelope->foreign) return NULL;
  if (envelope->version != SB_WIRE_VERSION || envelope->generation > SB_GENERATION_MAX ||
      envelope->incarnation.start_ms > SB_START_MS_MAX || envelope->time_ms > SB_TIME_MS_MAX)
    return "its version, generation, incarnation or time is out of range";
  if (!envelope->lz4) return NULL;
  struct sb_body *plain = sb_codec_unpack(message->body);
  if (!plain) return "its body is not a valid LZ4 frame";
  sb_body_unref(message->body);
  message->body = plain;
  return NULL;
}

void sb_message_dropped(struct sb_logs *logs, uint32_t partition, const struct sb_message *message,
                        const char *why) {
  struct sb_core_stats *stats = &logs->stats;
  sb_logs_say(logs, SB_LOG_WARN, "partition %u: message at %llu dropped: %s", partition,
              (unsigned long long)message->sequence, why);
  switch (message->envelope->refused) {
  case SB_REFUSED_NOT:
    stats->batches_malformed++;
    break;
  case SB_REFUSED_UNSIGNED:
    stats->batches_unsigned++;
    break;
  case SB_REFUSED_FORGED:
    stats->batches_forged++;
    break;
  case SB_REFUSED_UNTRUSTED:
    stats->batches_untrusted++;
    break;
  }
}
