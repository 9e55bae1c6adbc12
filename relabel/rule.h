/* SPDX-License-Identifier: Apache-2.0 */
/* rule: one compiled relabel rule, shared by the files of this room. */
#ifndef OBSAGENT_RELABEL_RULE_H
#define OBSAGENT_RELABEL_RULE_H

#include "expand.h"
#include "graphite.h"
#include "regex.h"
#include "relabel.h"
#include "selector.h"

enum relabel_action {
    ACTION_REPLACE, ACTION_KEEP, ACTION_DROP, ACTION_KEEPEQUAL, ACTION_DROPEQUAL, ACTION_HASHMOD,
    ACTION_LABELMAP, ACTION_LABELDROP, ACTION_LABELKEEP, ACTION_LOWERCASE, ACTION_UPPERCASE,
    /* vmagent's */
    ACTION_REPLACE_ALL, ACTION_LABELMAP_ALL, ACTION_KEEP_METRICS, ACTION_DROP_METRICS, ACTION_KEEP_IF_EQUAL,
    ACTION_DROP_IF_EQUAL, ACTION_KEEP_IF_CONTAINS, ACTION_DROP_IF_CONTAINS, ACTION_GRAPHITE,
    ACTIONS_N
};

/* Immutable; strings are owned copies. Counted, because lists share rules (relabel_concat). */
struct rule {
    int refs;
    unsigned given;
    enum relabel_action action;
    struct str *source_labels;
    size_t source_labels_n;
    struct str separator;
    struct str target_label;
    struct str regex_text;
    struct regex *re;
    uint64_t modulus;
    struct str replacement;
    struct selector **ifs;
    struct str *ifs_text;
    size_t ifs_n;
    struct str match;
    struct graphite *graphite;
    struct label *labels;
    size_t labels_n;
    int line;
    /* Known at compile time, so that applying does not look again. */
    bool default_regex;            /* (.*): matches everything, $1 is the whole */
    struct expansion *target;      /* of target_label; NULL when it has no '$' */
    struct expansion *replaced_by; /* of replacement */
    struct expansion **templates;  /* graphite: of the labels' values */
    size_t groups;                 /* groups a match must carry for target and replaced_by */
};

struct relabel_rules {
    struct rule **v;
    size_t n;
    bool legacy; /* labels get no names but those from before UTF-8 */
};

/* A text in quotes as Go's %q has it, as far as it fits; for messages. */
struct quoted {
    char text[256];
};

struct quoted rule_quote(struct str s);

const char *rule_action_name(enum relabel_action action);
/* NULL with err and *field set. */
struct rule *rule_new(const struct relabel_source *src, struct err *err, enum relabel_field *field) MUSTCHECK;
struct rule *rule_ref(struct rule *r);
void rule_unref(struct rule *r);
/* False when the rule drops the set. `legacy` as of the list it stands in. */
bool rule_apply(const struct rule *r, bool legacy, struct labels *l) MUSTCHECK;

#endif
