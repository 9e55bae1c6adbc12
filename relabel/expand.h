/* SPDX-License-Identifier: Apache-2.0 */
/* expand: templates of replacements: $1, ${1}, ${name} as Go's regexp expands them. */
#ifndef OBSAGENT_RELABEL_EXPAND_H
#define OBSAGENT_RELABEL_EXPAND_H

#include "labels.h"
#include "regex.h"

/* How many groups a match must carry for this template: 1 when it names none. Names are looked up in re. */
size_t expand_groups_needed(struct str text, const struct regex *re);
/* Appends text with its references replaced from m. `$$` is a dollar; a reference to no group is empty; a '$' that
   starts no reference stays. */
void expand_groups(struct str text, const struct regex *re, const struct regex_match *m, struct buf *out);
#endif
