#include "bridge/redis/commands/script.h"

#include <stdlib.h>
#include <strings.h>

#define SCRIPT_BYTES_MAX 4096 /* many times the longest that is known */

/* The scripts as sb_script_normalise writes them. SignalR's versions differ in how they restore a number. */
static const struct {
  const char *text;
  enum sb_script script;
} known[] = {
    {"local newId=redis.call('INCR',KEYS[1])local payload=newId..' '..ARGV[1]redis.call('PUBLISH',KEYS[1],"
     "payload)return{newId,ARGV[1],payload}",
     SB_SCRIPT_NUMBER},
    {"local newvalue=redis.call('GET',KEYS[1])if newvalue<ARGV[1]then return redis.call('SET',KEYS[1],ARGV[1]"
     ")else return nil end",
     SB_SCRIPT_RESTORE},
    {"local newvalue=redis.call('GET',KEYS[1])if newvalue then if newvalue<ARGV[1]then return redis.call("
     "'SET',KEYS[1],ARGV[1])else return nil end else return redis.call('SET',KEYS[1],ARGV[1])end",
     SB_SCRIPT_RESTORE},
    {"local newvalue=tonumber(redis.call('GET',KEYS[1]))if not newvalue or tonumber(newvalue)<tonumber(ARGV[1"
     "])then return redis.call('SET',KEYS[1],ARGV[1])else return nil end",
     SB_SCRIPT_RESTORE},
    {"for i=2,#ARGV do redis.call('publish',ARGV[i],ARGV[1])end", SB_SCRIPT_PUBLISH_EACH},
};

static bool is_blank(uint8_t byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == ';';
}

static bool is_word(uint8_t byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '_';
}

void sb_script_normalise(struct sb_bytes text, struct sb_buf *out) {
  bool blank = false;
  uint8_t quote = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = text.at[i];
    if (!quote && is_blank(byte)) {
      blank = true;
      continue;
    }
    if (blank && out->len > 0 && is_word(out->data[out->len - 1]) && is_word(byte)) sb_buf_text(out, " ");
    blank = false;
    sb_buf_append(out, &byte, 1);
    if (quote == byte)
      quote = 0;
    else if (!quote && (byte == '\'' || byte == '"'))
      quote = byte;
  }
}

enum sb_script sb_script_find(struct sb_bytes text) {
  struct sb_buf plain = {0};
  enum sb_script found = SB_SCRIPT_UNKNOWN;
  if (text.len > SCRIPT_BYTES_MAX) return found;
  sb_script_normalise(text, &plain);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (sb_bytes_equal(sb_buf_bytes(&plain), sb_bytes_of(known[i].text))) found = known[i].script;
  sb_buf_close(&plain);
  return found;
}

static const struct sb_kept_script *find(const struct sb_scripts *scripts, const char *sha1) {
  for (size_t i = 0; i < SB_SCRIPTS_KEPT; i++)
    if (scripts->kept[i].script != SB_SCRIPT_UNKNOWN && strcasecmp(scripts->kept[i].sha1, sha1) == 0)
      return &scripts->kept[i];
  return NULL;
}

const char *sb_scripts_keep(struct sb_scripts *scripts, struct sb_bytes text, enum sb_script script) {
  char sha1[SB_SHA1_TEXT + 1];
  sb_sha1_text(text, sha1);
  const struct sb_kept_script *kept = find(scripts, sha1);
  if (kept) return kept->sha1;
  struct sb_kept_script *place = &scripts->kept[scripts->next++ % SB_SCRIPTS_KEPT];
  memcpy(place->sha1, sha1, sizeof sha1);
  place->script = script;
  return place->sha1;
}

enum sb_script sb_scripts_find(const struct sb_scripts *scripts, struct sb_bytes sha1) {
  char text[SB_SHA1_TEXT + 1];
  if (sha1.len != SB_SHA1_TEXT) return SB_SCRIPT_UNKNOWN;
  memcpy(text, sha1.at, SB_SHA1_TEXT);
  text[SB_SHA1_TEXT] = 0;
  const struct sb_kept_script *kept = find(scripts, text);
  return kept ? kept->script : SB_SCRIPT_UNKNOWN;
}
