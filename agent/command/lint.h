/* SPDX-License-Identifier: Apache-2.0 */
/* lint: what promtool's `check metrics` finds in a metric family, in its words. */
#ifndef OBSAGENT_COMMAND_LINT_H
#define OBSAGENT_COMMAND_LINT_H

#include "base/buf.h"
#include "block.h"
#include "rule_set.h"

/* A family as promlint sees it: a histogram or summary under its base name, `le` and `quantile` not counted
   as labels of their own types. */
struct lint_family {
    const char *name;
    enum block_metric_type type; /* BLOCK_UNSPECIFIED: untyped */
    bool has_help;
    uint64_t camel_labels;    /* label names in camelCase, over all metrics */
    uint64_t le_labels;       /* labels named le, over all metrics */
    uint64_t quantile_labels; /* labels named quantile */
    uint64_t repeated;        /* metrics whose labels come again later */
};

/* True for a name with a lower-case letter before an upper-case one. */
bool lint_is_camel(struct str name);
/* Which rules: "all", "none", or names with commas between. */
bool lint_rules_parse(struct str text, rule_set *out, struct err *err) MUSTCHECK;
/* Each rule in a line: its name, and what it is about. */
void lint_list_rules(struct buf *out);
/* Calls found once for each finding of these rules (the same text again for each label it is about). */
void lint_check(const struct lint_family *f, rule_set rules,
                void (*found)(void *ctx, const char *metric, const char *text), void *ctx);

#endif
