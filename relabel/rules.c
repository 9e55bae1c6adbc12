/* SPDX-License-Identifier: Apache-2.0 */
/* rules: lists of rules: compiled, joined, run in order, traced and written out. */
#include "rule.h"

#include "base/alloc.h"
#include "base/hide.h"

#include <stdio.h>
#include <stdlib.h>

static void push(struct relabel_rules *rules, size_t *cap, struct rule *r)
{
    rules->v = xgrow(rules->v, cap, rules->n + 1, sizeof *rules->v);
    rules->v[rules->n++] = r;
}

struct relabel_rules *relabel_compile(const struct relabel_source *v, size_t n, struct err *err,
                                      size_t *bad_rule, enum relabel_field *bad_field)
{
    struct relabel_rules *rules = xcalloc(1, sizeof *rules);
    size_t cap = 0;
    for (size_t i = 0; i < n; i++) {
        struct rule *r = rule_new(&v[i], err, bad_field);
        if (!r) {
            *bad_rule = i;
            relabel_free(rules);
            return NULL;
        }
        push(rules, &cap, r);
    }
    return rules;
}

void relabel_free(struct relabel_rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->n; i++)
        rule_unref(rules->v[i]);
    free(rules->v);
    free(rules);
}

size_t relabel_count(const struct relabel_rules *rules)
{
    return rules->n;
}

struct relabel_rules *relabel_concat(struct relabel_rules *a, struct relabel_rules *b)
{
    struct relabel_rules *rules = xcalloc(1, sizeof *rules);
    const struct relabel_rules *const parts[] = {a, b};
    size_t cap = 0;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; parts[k] && i < parts[k]->n; i++)
            push(rules, &cap, rule_ref(parts[k]->v[i]));
    }
    return rules;
}

bool relabel_apply(const struct relabel_rules *rules, struct labels *l)
{
    for (size_t i = 0; i < rules->n; i++) {
        if (!rule_apply(rules->v[i], rules->legacy, l))
            return false;
    }
    labels_drop_empty(l);
    return true;
}

/* ---- written out ---- */

/* A rule's fields in a fixed order; `lead` goes before each, `tail` behind. */
static void write_field(struct buf *out, const char *lead, const char *name, const char *is, struct str value,
                        const char *tail)
{
    buf_addf(out, "%s%s%s", lead, name, is);
    buf_add_json(out, value);
    buf_add_c(out, tail);
}

static void write_strings(struct buf *out, const char *lead, const char *name, const char *is,
                          const struct str *v, size_t n, const char *tail)
{
    buf_addf(out, "%s%s%s[", lead, name, is);
    for (size_t i = 0; i < n; i++) {
        buf_add_c(out, i ? ", " : "");
        buf_add_json(out, v[i]);
    }
    buf_addf(out, "]%s", tail);
}

static void write_labels(struct buf *out, const char *lead, const char *is, const struct rule *r,
                         const char *tail)
{
    buf_addf(out, "%slabels%s{", lead, is);
    for (size_t i = 0; i < r->labels_n; i++) {
        buf_add_c(out, i ? ", " : "");
        buf_add_json(out, r->labels[i].name);
        buf_add_c(out, ": ");
        buf_add_json(out, r->labels[i].value);
    }
    buf_addf(out, "}%s", tail);
}

/* A parameter of the URL may be a key. */
static struct str shown_replacement(const struct rule *r)
{
    return hide_label(r->target_label) ? STR("<secret>") : r->replacement;
}

static void write_rule(struct buf *out, const struct rule *r, struct str replacement, const char *lead, const char *is,
                       const char *tail)
{
    if (r->ifs_n)
        write_strings(out, lead, "if", is, r->ifs_text, r->ifs_n, tail);
    if (r->source_labels_n)
        write_strings(out, lead, "source_labels", is, r->source_labels, r->source_labels_n, tail);
    if (r->given & RELABEL_SEPARATOR)
        write_field(out, lead, "separator", is, r->separator, tail);
    if (r->given & RELABEL_REGEX)
        write_field(out, lead, "regex", is, r->regex_text, tail);
    if (r->modulus)
        buf_addf(out, "%smodulus%s%llu%s", lead, is, (unsigned long long)r->modulus, tail);
    if (r->target_label.n)
        write_field(out, lead, "target_label", is, r->target_label, tail);
    if (r->given & RELABEL_REPLACEMENT)
        write_field(out, lead, "replacement", is, replacement, tail);
    if (r->match.n)
        write_field(out, lead, "match", is, r->match, tail);
    if (r->labels_n)
        write_labels(out, lead, is, r, tail);
}

static void format_rule(const struct rule *r, struct buf *out)
{
    buf_addf(out, "action=%s", rule_action_name(r->action));
    write_rule(out, r, shown_replacement(r), " ", "=", "");
}

int relabel_describe(const struct relabel_rules *rules, size_t index, struct buf *out)
{
    format_rule(rules->v[index], out);
    return rules->v[index]->line;
}

static void json_field(struct buf *out, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_addf(out, ",\"%s\":", name);
    buf_add_json(out, value);
}

static void json_list(struct buf *out, const char *name, const struct str *v, size_t n)
{
    if (n == 0)
        return;
    buf_addf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, v[i]);
    }
    buf_add_char(out, ']');
}

static void json_labels(struct buf *out, const struct rule *r)
{
    for (size_t i = 0; i < r->labels_n; i++) {
        buf_add_c(out, i ? "," : ",\"labels\":{");
        buf_add_json(out, r->labels[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, r->labels[i].value);
    }
    if (r->labels_n)
        buf_add_char(out, '}');
}

void relabel_json(const struct relabel_rules *rules, size_t index, struct buf *out)
{
    const struct rule *r = rules->v[index];
    buf_addf(out, "{\"action\":\"%s\"", rule_action_name(r->action));
    json_list(out, "if", r->ifs_text, r->ifs_n);
    json_list(out, "sourceLabels", r->source_labels, r->source_labels_n);
    json_field(out, "separator", r->separator);
    json_field(out, "regex", r->regex_text);
    if (r->modulus)
        buf_addf(out, ",\"modulus\":%llu", (unsigned long long)r->modulus);
    json_field(out, "targetLabel", r->target_label);
    json_field(out, "replacement", shown_replacement(r));
    json_field(out, "match", r->match);
    json_labels(out, r);
    buf_add_char(out, '}');
}

/* The labels as they may be seen; *copy is made when some may not. */
static const struct labels *shown_labels(const struct labels *l, struct labels *copy)
{
    size_t n = 0;
    while (n < l->n && !(hide_label(l->v[n].name) && l->v[n].value.n))
        n++;
    if (n == l->n)
        return l;
    for (size_t i = 0; i < l->n; i++) {
        bool hide = hide_label(l->v[i].name) && l->v[i].value.n;
        labels_push(copy, l->v[i].name, hide ? STR("<secret>") : l->v[i].value);
    }
    return copy;
}

bool relabel_apply_traced(const struct relabel_rules *rules, struct labels *l, relabel_trace_fn *trace,
                          void *ctx)
{
    bool kept = true;
    for (size_t i = 0; kept && i < rules->n; i++) {
        struct buf text;
        struct labels shown;
        uint64_t before = labels_hash(l);
        kept = rule_apply(rules->v[i], rules->legacy, l);
        buf_init(&text, 64 * 1024);
        format_rule(rules->v[i], &text);
        labels_init(&shown, l->arena);
        trace(ctx, i, rules->v[i]->line, buf_str(&text), shown_labels(l, &shown), labels_hash(l) != before, kept);
        labels_free(&shown);
        buf_free(&text);
    }
    if (kept)
        labels_drop_empty(l);
    return kept;
}

static void dump(const struct relabel_rules *rules, bool secrets, int indent, struct buf *out)
{
    char lead[80];
    int n = indent < 0 ? 0 : indent > 64 ? 64 : indent;
    snprintf(lead, sizeof lead, "%*s  ", n, "");
    for (size_t i = 0; i < rules->n; i++) {
        buf_addf(out, "%*s- action: %s\n", n, "", rule_action_name(rules->v[i]->action));
        write_rule(out, rules->v[i], secrets ? rules->v[i]->replacement : shown_replacement(rules->v[i]), lead, ": ",
                   "\n");
    }
}

void relabel_dump(const struct relabel_rules *rules, int indent, struct buf *out)
{
    dump(rules, true, indent, out);
}

void relabel_dump_shown(const struct relabel_rules *rules, int indent, struct buf *out)
{
    dump(rules, false, indent, out);
}
