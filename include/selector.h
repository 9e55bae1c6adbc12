/* SPDX-License-Identifier: Apache-2.0 */
/* selector: series selectors of `if`: metric{a="b",c!="d",e=~"f" or g!~"h"}. */
#ifndef OBSAGENT_SELECTOR_H
#define OBSAGENT_SELECTOR_H

#include "labels.h"

struct selector;

/* NULL and err ("column N: why") for bad text. Regexes are anchored. Read-only and thread-safe afterwards. */
struct selector *selector_new(struct str text, struct err *err) MUSTCHECK;
void selector_free(struct selector *s);
/* A missing label compares as "". A selector without any matcher matches all. */
bool selector_matches(const struct selector *s, const struct labels *l);

#endif
