/* SPDX-License-Identifier: Apache-2.0 */
/* steps: what each rule of a list did to a label set, told to people: by `relabel --explain`, `scrape --explain` and
   `test`. */
#ifndef OBSAGENT_COMMAND_STEPS_H
#define OBSAGENT_COMMAND_STEPS_H

#include "base/buf.h"
#include "labels.h"

/* The labels as text, sorted; `l` is left as it is. Empty ones are none. */
void steps_labels(struct buf *out, const struct labels *l);

/* The same as a JSON object of names and values. */
void steps_labels_json(struct buf *out, const struct labels *l);

struct steps {
    struct buf *out;    /* NULL: nothing is told */
    const char *indent; /* before each line of text */
    bool json;          /* else {"rule":1,"line":5,"text":"","changed":true,"kept":true,"labels":{}} and a comma */
    bool effects_only;  /* rules that changed nothing are left out */
    /* Known afterwards: */
    bool dropped;
    size_t dropped_by; /* index of the rule */
    int dropped_line;  /* 0 = unknown */
};

/* A relabel_trace_fn whose ctx is a struct steps. */
void steps_rule(void *ctx, size_t index, int line, struct str text, const struct labels *after, bool changed,
                bool kept);
/* "rule 2 (line 5)" */
void steps_rule_name(struct buf *out, size_t index, int line);

#endif
