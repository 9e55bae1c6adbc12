/* SPDX-License-Identifier: Apache-2.0 */
/* regex: Prometheus's regular expressions, which are RE2's, behind a C face. */
#ifndef OBSAGENT_RELABEL_REGEX_H
#define OBSAGENT_RELABEL_REGEX_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REGEX_GROUPS_MAX 64

struct regex;

/* Where the groups of a match lie in the subject; group 0 is the whole. Of a group that took no part p is
   NULL. Only group[0..n) are set. */
struct regex_match {
    struct str group[REGEX_GROUPS_MAX];
    size_t n;
};

/* Compiles `^(?s:pattern)$` (anchored) or `(?s:pattern)`. NULL and err in Go's words (`error parsing regexp:
   ...`) for what RE2 refuses, with the place in the pattern where it can be told; also for \C and non-ASCII
   group names, which Go refuses and RE2 does not, and for more than 63 groups. Read-only and thread-safe
   afterwards. */
struct regex *regex_new(struct str pattern, bool anchored, struct err *err) MUSTCHECK;
void regex_free(struct regex *re);
/* Whether an anchored pattern matches the whole subject. Linear in the subject. Bytes that are not UTF-8
   count as U+FFFD each. */
bool regex_matches(const struct regex *re, struct str subject);
/* The same with the first `groups` groups (1: only the whole), as far as there are so many. */
bool regex_match_groups(const struct regex *re, struct str subject, size_t groups, struct regex_match *m);
/* Calls fn for each non-overlapping match of an unanchored pattern, leftmost first, as Go's ReplaceAll walks:
   an empty match directly behind another match does not count. A pattern like `a.*z|a` can look through the
   whole rest of the subject for each match; false when that has taken too much (16 MiB looked at, so never
   below 5,000 bytes of subject), and the matches told so far are not all. */
typedef void regex_each_fn(void *ctx, const struct regex_match *m);
bool regex_each(const struct regex *re, struct str subject, size_t groups, regex_each_fn *fn, void *ctx)
    MUSTCHECK;
/* The groups named so, as bits: Go and RE2 let several share a name. */
uint64_t regex_groups_named(const struct regex *re, struct str name);
/* How many groups there are, the whole not counted. */
size_t regex_groups(const struct regex *re);
/* For tests: the same questions asked of the engine, never of a fast path. */
bool regex_match_engine(const struct regex *re, struct str subject, size_t groups, struct regex_match *m);
/* For tests: whether a fast path answers for this pattern. */
bool regex_is_fast(const struct regex *re);

#ifdef __cplusplus
}
#endif

#endif
