/* What a comment promises, checked: in all builds but release (NDEBUG), and so in the simulation and the
 * fuzzers. It must hold whatever a log says: what others write is judged, never asserted. */
#ifndef SB_BASE_ASSERT_H
#define SB_BASE_ASSERT_H

#include <assert.h>

/* In release the condition is compiled and never run, so it cannot name what is gone. */
#ifdef NDEBUG
#define SB_ASSERT(condition) ((void)(0 && (condition)))
#else
#define SB_ASSERT(condition) assert(condition)
#endif

#endif
