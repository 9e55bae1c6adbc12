/* SPDX-License-Identifier: Apache-2.0 */
/* fastmatch: patterns that need no regex engine: literals, prefixes, suffixes, substrings and lists of literals. */
#ifndef OBSAGENT_RELABEL_FASTMATCH_H
#define OBSAGENT_RELABEL_FASTMATCH_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fastmatch;

/* A matcher for an anchored, dot-matches-newline pattern, or NULL when the pattern is not of these kinds:
   lit, lit.*, lit.+, .*lit, .+lit, .*lit.*, .*, .+, a|b|c; each also in one pair of parentheses. */
struct fastmatch *fastmatch_new(struct str pattern);
void fastmatch_free(struct fastmatch *f);
/* Exactly what the engine would say about the whole subject. */
bool fastmatch_matches(const struct fastmatch *f, struct str subject);

#ifdef __cplusplus
}
#endif

#endif
