/* Assertions that stay on in release builds.
 *
 * For our own mistakes only: a broken invariant, an impossible state. Never for what a peer, a disk
 * or a network did; those are errors (base/error.h). A failed assertion says where, and aborts,
 * because a server with a broken invariant would go on to tell lies. */
#ifndef STOA_BASE_ASSERT_H
#define STOA_BASE_ASSERT_H

_Noreturn void assert_failed(const char *what, const char *file, int line);

#define ASSERT(cond)  ((cond) ? (void)0 : assert_failed(#cond, __FILE__, __LINE__))
#define UNREACHABLE() assert_failed("unreachable", __FILE__, __LINE__)

#endif
