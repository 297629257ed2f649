/* How far a node has come in one log: a state with a name, and which moves there are between them. */
#ifndef SB_CORE_LOG_PHASE_H
#define SB_CORE_LOG_PHASE_H

#include <stdbool.h>

enum sb_phase {
  SB_PHASE_NEW,      /* a HELLO is to be sent, as soon as may be */
  SB_PHASE_GREETING, /* it was sent; its echo is awaited */
  SB_PHASE_WAITING,  /* the echo is at H; somebody may answer */
  SB_PHASE_FOUNDING, /* nobody did: the own GENESIS was sent */
  SB_PHASE_ANSWERED, /* a SNAPSHOT or GENESIS stands behind H, and the state is not known yet all the same */
  /* from here on the node is ready: it knows the state */
  SB_PHASE_RETURNING, /* its row does not stand; its HELLO was sent */
  SB_PHASE_READY,     /* its row stands */
  SB_PHASE_DISPLACED, /* its row does not stand, and a HELLO is to be sent */
  SB_PHASE_LEFT,      /* it said BYE, and has nothing more to say */
  SB_PHASES
};

/* Whether phase.c draws that move. sb_partition_move makes it. */
bool sb_phase_may(enum sb_phase from, enum sb_phase to);

static inline bool sb_phase_is_ready(enum sb_phase phase) {
  return phase >= SB_PHASE_RETURNING;
}

/* The own HELLO has come back, and the state is not known yet. */
static inline bool sb_phase_has_echo(enum sb_phase phase) {
  return phase >= SB_PHASE_WAITING && phase <= SB_PHASE_ANSWERED;
}

static inline bool sb_phase_wants_hello(enum sb_phase phase) {
  return phase == SB_PHASE_NEW || phase == SB_PHASE_DISPLACED;
}

#endif
