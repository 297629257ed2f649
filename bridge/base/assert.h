/* What a comment promises, checked: on in all builds but release (NDEBUG), and so in the simulation and the
 * fuzzers. It must hold whatever a log says: what others write is judged, never asserted. */
#ifndef SB_BASE_ASSERT_H
#define SB_BASE_ASSERT_H

#include <assert.h>

#define SB_ASSERT(condition) assert(condition)

#endif
