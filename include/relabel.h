/* SPDX-License-Identifier: Apache-2.0 */
/* relabel: rules that rewrite, keep or drop label sets. Prometheus's actions and vmagent's, compiled once,
   immutable afterwards, applied from any number of threads. */
#ifndef OBSAGENT_RELABEL_H
#define OBSAGENT_RELABEL_H

#include "base/err.h"
#include "labels.h"

/* One rule as configuration spells it. Views must live until relabel_compile returns (it copies). `given`
   bits tell a written field from a default, because some actions refuse fields that are written out. */
enum relabel_field {
    RELABEL_ACTION = 1 << 0,
    RELABEL_SOURCE_LABELS = 1 << 1,
    RELABEL_SEPARATOR = 1 << 2,
    RELABEL_TARGET_LABEL = 1 << 3,
    RELABEL_REGEX = 1 << 4,
    RELABEL_MODULUS = 1 << 5,
    RELABEL_REPLACEMENT = 1 << 6,
    RELABEL_IF = 1 << 7,
    RELABEL_MATCH = 1 << 8,
    RELABEL_LABELS = 1 << 9,
};

struct relabel_source {
    unsigned given; /* relabel_field bits */
    struct str action;
    const struct str *source_labels;
    size_t source_labels_n;
    struct str separator;
    struct str target_label;
    struct str regex; /* list items already joined with '|' by the loader, as vmagent does */
    uint64_t modulus;
    struct str replacement;
    const struct str *ifs; /* selectors, any of which may match */
    size_t ifs_n;
    struct str match;          /* graphite template */
    const struct label *labels; /* graphite: name and template of each label */
    size_t labels_n;
    int line; /* where the rule starts in its file, for explanations; 0 = unknown */
};

struct relabel_rules;

/* Compiles n rules. On a bad one returns NULL, sets err to Prometheus's message (vmagent's for its own
   actions; RE2's message with the offending part for a regex), *bad_rule to its index and *bad_field to the
   field the message is about (0 when it is the rule as a whole). n == 0 gives a list that keeps everything.
   Free with relabel_free; use is read-only and thread-safe. */
struct relabel_rules *relabel_compile(const struct relabel_source *v, size_t n, struct err *err,
                                      size_t *bad_rule, enum relabel_field *bad_field) MUSTCHECK;
void relabel_free(struct relabel_rules *rules);
size_t relabel_count(const struct relabel_rules *rules);
/* A new list holding a's rules and then b's; either may be NULL. The parts are copied by reference count. */
struct relabel_rules *relabel_concat(struct relabel_rules *a, struct relabel_rules *b);
/* For metric_name_validation_scheme: legacy. False with err and *bad_field as of relabel_compile when rule `index`
   could only give a label a name that Prometheus did not have before UTF-8. vmagent's actions always pass. */
bool relabel_check_legacy(const struct relabel_rules *rules, size_t index, enum relabel_field *bad_field,
                          struct err *err) MUSTCHECK;
/* From now on `replace` leaves alone what it would give such a name. Only of a list that is not in use yet; one that
   relabel_concat makes of it is as relabel_compile would make it. */
void relabel_set_legacy(struct relabel_rules *rules);

/* Runs the rules over l in order. False when a rule dropped the set (l is then whatever it was at that
   moment). New text goes to l->arena, so the labels may outlive the rules. Labels left empty are removed at the
   end, the order is not sorted. Work is linear in the size of the values, whatever the regex and the values are;
   so a rule leaves alone what it would make larger than 16 MiB, and replace_all and labelmap_all leave alone a
   text of more than 5,000 bytes on which their regex would look at the rest again for each match. */
bool relabel_apply(const struct relabel_rules *rules, struct labels *l) MUSTCHECK;

/* Called after each rule. `line` is the rule's line, `text` a one-line rendering of the rule, `kept` false
   for the rule that dropped the set (no call follows). */
typedef void relabel_trace_fn(void *ctx, size_t index, int line, struct str text,
                              const struct labels *after, bool changed, bool kept);
bool relabel_apply_traced(const struct relabel_rules *rules, struct labels *l, relabel_trace_fn *trace,
                          void *ctx) MUSTCHECK;

/* One rule on one line, as relabel_apply_traced tells it. Returns its line in the file, 0 = unknown. */
int relabel_describe(const struct relabel_rules *rules, size_t index, struct buf *out);
/* One rule as a JSON object with the names that Prometheus's API uses (sourceLabels, targetLabel ...); its defaults are
   written out, as there. */
void relabel_json(const struct relabel_rules *rules, size_t index, struct buf *out);
/* The rules as YAML (a list, two-space indented by `indent`), for comparing generations. */
void relabel_dump(const struct relabel_rules *rules, int indent, struct buf *out);
/* The same for people, without what rules put into parameters that sound secret (hide_label); so are the texts and
   labels that the functions above tell. */
void relabel_dump_shown(const struct relabel_rules *rules, int indent, struct buf *out);

#endif
