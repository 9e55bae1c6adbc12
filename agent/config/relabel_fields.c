/* SPDX-License-Identifier: Apache-2.0 */
/* relabel_fields: relabel rules from YAML to relabel_compile, its errors back to the field they are about. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "load.h"

/* In the order of enum relabel_field. Nearly all are read here by hand: the rules' own compiler knows the
   defaults and which fields an action refuses, so it must see what was written and nothing else. */
static const struct field relabel_fields[] = {
    {"action", FIELD_OWN, .standard = "replace",
     .help = "replace, keep, drop, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase, keepequal, "
             "dropequal; vmagent's replace_all, keep_if_equal, drop_if_equal, keep_if_contains, "
             "drop_if_contains, keep_metrics, drop_metrics, labelmap_all, graphite"},
    {"source_labels", FIELD_OWN, .help = "labels whose values are joined"},
    {"separator", FIELD_OWN, .standard = ";", .help = "what they are joined with"},
    {"target_label", FIELD_OWN, .help = "the label to write"},
    {"regex", FIELD_OWN, .standard = "(.*)", .help = "RE2, anchored at both ends; a list is joined with |"},
    {"modulus", FIELD_COUNT, .at = offsetof(struct relabel_source, modulus),
     .help = "of the hash, for hashmod"},
    {"replacement", FIELD_OWN, .standard = "$1", .help = "what to write; $1 and ${name} are captures"},
    {"if", FIELD_OWN, .help = "a series selector, or a list of which one must match (vmagent)"},
    {"match", FIELD_OWN, .help = "a Graphite template, for graphite (vmagent)"},
    {"labels", FIELD_OWN, .help = "labels to write and their templates, for graphite (vmagent)"},
};

#define RELABEL_FIELDS_N (sizeof relabel_fields / sizeof *relabel_fields)

const struct section section_relabel = {
    .name = "relabel_config",
    .help = "one rule of relabel_configs, metric_relabel_configs or write_relabel_configs",
    FIELDS(relabel_fields),
};

/* A list of texts, or one text, as views into the tree. */
static const struct str *read_texts(struct load *l, const struct node *v, const char *what, size_t *n)
{
    struct str *texts = arena_alloc(&l->arena, (v->kind == NODE_LIST ? v->n + 1 : 1) * sizeof *texts);
    *n = 0;
    if (v->kind != NODE_LIST) {
        if (node_text(l, v, what, &texts[0]))
            *n = 1;
        return texts;
    }
    for (size_t i = 0; i < v->n; i++)
        if (node_text(l, v->items[i], what, &texts[*n]))
            ++*n;
    return texts;
}

/* As written: also a number, a boolean or null; a list becomes alternatives, as in vmagent. */
static struct str read_regex(struct load *l, const struct node *v)
{
    if (v->kind == NODE_SCALAR)
        return v->text;
    if (!node_is_list(l, v, "regex"))
        return STR("");
    struct buf joined;
    buf_init(&joined, YAML_MAX_BYTES);
    for (size_t i = 0; i < v->n; i++) {
        struct str text = v->items[i]->text;
        if (i > 0)
            buf_add_char(&joined, '|');
        if (v->items[i]->kind == NODE_SCALAR || node_text(l, v->items[i], "regex", &text))
            buf_add_str(&joined, text);
    }
    if (joined.overflow)
        problem_add(&l->problems, v->at, "regex: too long");
    struct str regex = arena_str(&l->arena, buf_str(&joined));
    buf_free(&joined);
    return regex;
}

static void read_templates(struct load *l, const struct node *v, struct relabel_source *rule)
{
    if (!node_is_map(l, v, "labels"))
        return;
    struct label *labels = arena_alloc(&l->arena, (v->n + 1) * sizeof *labels);
    for (size_t i = 0; i < v->n; i++) {
        labels[i].name = v->pairs[i].key;
        (void)node_text(l, v->pairs[i].value, "labels", &labels[i].value);
    }
    rule->labels = labels;
    rule->labels_n = v->n;
}

static void read_rule_field(struct load *l, enum relabel_field field, const struct node *v,
                            struct relabel_source *rule)
{
    struct str ignored, *text = &ignored;
    switch (field) {
    case RELABEL_SOURCE_LABELS:
        if (node_is_list(l, v, "source_labels"))
            rule->source_labels = read_texts(l, v, "source_labels", &rule->source_labels_n);
        return;
    case RELABEL_REGEX:
        rule->regex = read_regex(l, v);
        return;
    case RELABEL_MODULUS: /* by its row */
        return;
    case RELABEL_IF:
        rule->ifs = read_texts(l, v, "if", &rule->ifs_n);
        return;
    case RELABEL_LABELS:
        read_templates(l, v, rule);
        return;
    case RELABEL_ACTION:
        text = &rule->action;
        break;
    case RELABEL_SEPARATOR:
        text = &rule->separator;
        break;
    case RELABEL_TARGET_LABEL:
        text = &rule->target_label;
        break;
    case RELABEL_REPLACEMENT:
        text = &rule->replacement;
        break;
    case RELABEL_MATCH:
        text = &rule->match;
        break;
    }
    (void)node_text(l, v, relabel_fields[__builtin_ctz((unsigned)field)].name, text);
}

static bool read_rule(struct load *l, const struct node *node, const char *null_rule,
                      struct relabel_source *rule)
{
    size_t before = l->problems.n;
    if (node_is_null(node))
        problem_add(&l->problems, node->at, "%s", null_rule);
    section_load(l, &section_relabel, node, rule); /* unknown names */
    rule->line = node->at.line;
    for (size_t i = 0; i < RELABEL_FIELDS_N; i++) {
        const struct node *v = node_get(node, relabel_fields[i].name);
        /* Only a null regex means something: to match nothing but the empty text. */
        if (!v || (node_is_null(v) && 1U << i != RELABEL_REGEX))
            continue;
        rule->given |= 1U << i;
        read_rule_field(l, (enum relabel_field)(1U << i), v, rule);
    }
    return l->problems.n == before;
}

/* The place of the field that a message is about; of the rule when it is about all of it. */
static struct place rule_place(const struct node *rule, enum relabel_field field)
{
    return field == 0 ? rule->at : field_place(rule, relabel_fields[__builtin_ctz((unsigned)field)].name);
}

/* relabel_compile stops at the first bad rule; each is tried alone to tell of all. */
static void try_rule(struct load *l, const struct node *node, const struct relabel_source *rule)
{
    struct err err = {0};
    size_t bad = 0;
    enum relabel_field field = 0;
    struct relabel_rules *one = relabel_compile(rule, 1, &err, &bad, &field);
    if (!one)
        problem_add(&l->problems, rule_place(node, field), "%s", err.msg);
    relabel_free(one);
}

void legacy_relabel(struct load *l, const struct node *list, struct relabel_rules *rules, size_t first)
{
    size_t n = relabel_count(rules);
    for (size_t i = first; list && list->kind == NODE_LIST && i < n && i - first < list->n; i++) {
        struct err err = {0};
        enum relabel_field field = 0;
        const struct node *rule = list->items[i - first];
        if (!relabel_check_legacy(rules, i, &field, &err))
            problem_add(&l->problems, rule_place(rule, field), "%s", err.msg);
    }
    relabel_set_legacy(rules);
}

void load_relabel(struct load *l, const struct node *value, const char *null_rule,
                  struct relabel_rules **rules)
{
    if (!node_is_list(l, value, "relabel rules"))
        return;
    size_t before = l->problems.n;
    struct relabel_source *sources = arena_alloc(&l->arena, (value->n + 1) * sizeof *sources);
    for (size_t i = 0; i < value->n; i++)
        if (read_rule(l, value->items[i], null_rule, &sources[i]))
            try_rule(l, value->items[i], &sources[i]);
    if (l->problems.n > before)
        return;
    struct err err = {0};
    size_t bad = 0;
    enum relabel_field field = 0;
    struct relabel_rules *compiled = relabel_compile(sources, value->n, &err, &bad, &field);
    if (!compiled) { /* not one of them alone, so all together: too many */
        problem_add(&l->problems, value->at, "%s", err.msg);
        return;
    }
    relabel_free(*rules);
    *rules = compiled;
}
