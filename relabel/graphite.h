/* SPDX-License-Identifier: Apache-2.0 */
/* graphite: templates that take a dotted name apart: `a.*.b` matches, `*` stands for a run without dots. */
#ifndef OBSAGENT_RELABEL_GRAPHITE_H
#define OBSAGENT_RELABEL_GRAPHITE_H

#include "regex.h"

struct graphite;

/* NULL for a template with more stars than a match has room for (62). */
struct graphite *graphite_new(struct str match);
void graphite_free(struct graphite *g);
size_t graphite_stars(const struct graphite *g);
/* On a match group[0] is the whole name and group[i] what the i-th star took. */
bool graphite_match(const struct graphite *g, struct str name, struct regex_match *m);

#endif
