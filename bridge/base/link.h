/* What a transport tells the core about a partition besides its messages. Neither knows the other. */
#ifndef SB_BASE_LINK_H
#define SB_BASE_LINK_H

/* A partition has a link to publish and one to consume: they go up and down on their own. */
enum sb_link_side { SB_LINK_PUBLISH, SB_LINK_CONSUME };

/* How a log goes on where reading it begins, or begins again after a lost link. */
enum sb_attach {
  SB_ATTACH_FRESH,     /* the first time in this process, at the tail */
  SB_ATTACH_ALONE,     /* the same, where the tail is not shown; but nobody else reads this log */
  SB_ATTACH_CONTINUED, /* right behind what was delivered last: nothing is missing */
  SB_ATTACH_GAP,       /* the same log, but retention or the broker lost what would come next; it also comes
                          while the link stays up */
  SB_ATTACH_NEW_LOG, /* the log was emptied, or deleted and made again: sequences may be lower than before */
};

/* What became of a message that was published. */
enum sb_settle {
  SB_SETTLE_CONFIRMED, /* the broker has it; the proof for the bridge is still the delivery */
  SB_SETTLE_REJECTED,  /* nack, return, refused: it is not in the log */
  SB_SETTLE_LOST,      /* the link broke first: it may or may not be in the log */
};

#endif
