/* SPDX-License-Identifier: Apache-2.0 */
/* expand: templates of replacements, read once: $1, ${1}, ${name} as in Go, {{label}} as in vmagent. */
#ifndef OBSAGENT_RELABEL_EXPAND_H
#define OBSAGENT_RELABEL_EXPAND_H

#include "labels.h"
#include "regex.h"
#include "text.h"

struct expansion;

/* Reads text. Numbers go up to `groups`, names are those of re's groups (re may be NULL: none). `$$` is a
   dollar, a reference to no group is empty, a '$' that starts no reference stays. With `label_references`
   {{x}} is the value of the label x; an unclosed {{ stays. */
struct expansion *expand_new(struct str text, const struct regex *re, size_t groups, bool label_references);
void expand_free(struct expansion *e);
/* How many groups a match must carry for it, the whole included: 1 when it refers to none. */
size_t expand_groups(const struct expansion *e);
/* The template filled in from m and l. A template that is one reference gives a view of what it refers to;
   anything else goes to the arena of l. What is put in is not looked at again. False: above TEXT_MAX. */
bool expand(const struct expansion *e, const struct regex_match *m, const struct labels *l, struct str *out);
/* The same, appended. */
void expand_add(const struct expansion *e, const struct regex_match *m, const struct labels *l,
                struct text *out);

#endif
