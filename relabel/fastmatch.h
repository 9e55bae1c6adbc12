/* SPDX-License-Identifier: Apache-2.0 */
/* fastmatch: patterns that need no regex engine: literals, prefixes, suffixes, substrings and lists of
   literals. */
#ifndef OBSAGENT_RELABEL_FASTMATCH_H
#define OBSAGENT_RELABEL_FASTMATCH_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fastmatch;

/* A matcher for an anchored, dot-matches-newline pattern that the engine has accepted, or NULL when the
   pattern is not of these kinds: lit, lit.*, lit.+, .*lit, .+lit, .*lit.*, .*, .+, a|b|c, pre(a|b|c)post;
   with at most one pair of parentheses anywhere, capturing or not, and perhaps ^ before and $ behind. */
struct fastmatch *fastmatch_new(struct str pattern);
void fastmatch_free(struct fastmatch *f);
/* Capturing groups of the pattern: 0 or 1. */
size_t fastmatch_groups(const struct fastmatch *f);
/* Exactly what the engine would say about the whole subject. */
bool fastmatch_matches(const struct fastmatch *f, struct str subject);
/* The same, and on a match *group is what group 1 took, with p == NULL when there is no such group. */
bool fastmatch_capture(const struct fastmatch *f, struct str subject, struct str *group);
/* True when the pattern matches one text only, and not the empty one. */
bool fastmatch_literal(const struct fastmatch *f, struct str *literal);

#ifdef __cplusplus
}
#endif

#endif
