/* SPDX-License-Identifier: Apache-2.0 */
/* apply: what each action does to a label set. What is made lies in the arena of the set, names too: rules
   may be gone before the labels are. */
#include "rule.h"

#include "base/hash.h"
#include "letters.h"

#include <stdlib.h>

static const struct str NAME = {"__name__", 8};

/* The values of the source labels joined; a single one is not copied. */
static struct str join(const struct rule *r, const struct labels *l)
{
    size_t total = 0, n = 0;
    if (r->source_labels_n == 1)
        return labels_get(l, r->source_labels[0]);
    for (size_t i = 0; i < r->source_labels_n; i++)
        total += labels_get(l, r->source_labels[i]).n + r->separator.n;
    char *out = arena_alloc(l->arena, total + 1);
    for (size_t i = 0; i < r->source_labels_n; i++) {
        struct str value = labels_get(l, r->source_labels[i]);
        if (i && r->separator.n)
            memcpy(out + n, r->separator.p, r->separator.n);
        n += i ? r->separator.n : 0;
        if (value.n)
            memcpy(out + n, value.p, value.n);
        n += value.n;
    }
    return str_make(out, n);
}

static void set_or_delete(struct labels *l, struct str name, struct str value)
{
    if (value.n == 0)
        labels_del(l, name);
    else if (labels_has(l, name))
        labels_set(l, name, value);
    else
        labels_push(l, arena_str(l->arena, name), value);
}

/* ---- many labels at once ---- */

struct place {
    struct label label;
    size_t at;
};

static int by_name_and_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int r = str_cmp(x->label.name, y->label.name);
    return r != 0 ? r : x->at < y->at ? -1 : x->at > y->at;
}

/* Adds pairs as labels_set would one by one, which for thousands of labels would take a square of time. */
static void set_all(struct labels *l, const struct label *pairs, size_t n)
{
    if (n <= 64) {
        for (size_t i = 0; i < n; i++)
            labels_set(l, pairs[i].name, pairs[i].value);
        return;
    }
    for (size_t i = 0; i < n; i++)
        labels_push(l, pairs[i].name, pairs[i].value);
    struct place *places = arena_alloc(l->arena, l->n * sizeof *places);
    for (size_t i = 0; i < l->n; i++)
        places[i] = (struct place){l->v[i], i};
    qsort(places, l->n, sizeof *places, by_name_and_place);
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) { /* of equal names the last stays */
        if (i + 1 == l->n || !str_eq(places[i].label.name, places[i + 1].label.name))
            l->v[kept++] = places[i].label;
    }
    l->n = kept;
}

/* ---- Prometheus's actions ---- */

static void apply_replace(const struct rule *r, bool legacy, struct labels *l)
{
    struct regex_match m;
    struct str value = join(r, l), target = r->target_label, replaced;
    if (r->default_regex) {
        m.n = 2;
        m.group[0] = m.group[1] = value;
    } else if (!regex_match_groups(r->re, value, r->groups, &m)) {
        return;
    }
    if (r->target && (!expand(r->target, &m, l, &target) || target.n == 0 || !str_is_utf8(target)))
        return;
    if (r->target && legacy && !labels_is_legacy_name(target))
        return;
    if (expand(r->replaced_by, &m, l, &replaced))
        set_or_delete(l, target, replaced);
}

static void apply_hashmod(const struct rule *r, struct labels *l)
{
    uint8_t digest[16];
    char digits[20];
    uint64_t h = 0;
    size_t at = sizeof digits;
    struct str value = join(r, l);
    hash_md5(value.p ? value.p : "", value.n, digest);
    for (int i = 8; i < 16; i++)
        h = h << 8 | digest[i];
    h %= r->modulus;
    do {
        digits[--at] = (char)('0' + h % 10);
        h /= 10;
    } while (h);
    set_or_delete(l, r->target_label, arena_str(l->arena, str_make(digits + at, sizeof digits - at)));
}

/* Prometheus walks the labels in the order of their names, which tells when two are mapped to one. */
static bool sort_changes(struct labels *l)
{
    for (size_t i = 1; i < l->n; i++) {
        if (str_cmp(l->v[i - 1].name, l->v[i].name) > 0) {
            labels_sort(l);
            return true;
        }
    }
    return false;
}

/* All names are looked at before any is set, so that what one makes is nothing to the others. */
static void apply_labelmap(const struct rule *r, struct labels *l)
{
    struct label *made = NULL;
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct regex_match m;
        if (!regex_match_groups(r->re, l->v[i].name, r->groups, &m))
            continue;
        if (!made) {
            made = arena_alloc(l->arena, l->n * sizeof *made);
            if (sort_changes(l)) {
                i = (size_t)-1; /* begin again, at 0 */
                continue;
            }
        }
        made[n].value = l->v[i].value;
        n += expand(r->replaced_by, &m, l, &made[n].name) && made[n].name.n;
    }
    set_all(l, made, n);
}

static void apply_names(const struct rule *r, struct labels *l)
{
    bool keep_matching = r->action == ACTION_LABELKEEP;
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (regex_matches(r->re, l->v[i].name) == keep_matching)
            l->v[kept++] = l->v[i];
    }
    l->n = kept;
}

static void apply_case(const struct rule *r, struct labels *l)
{
    struct text out;
    struct str s = join(r, l);
    text_init(&out, l->arena, s.n);
    letters_add(&out, s, r->action == ACTION_UPPERCASE);
    if (!out.overflow)
        set_or_delete(l, r->target_label, text_str(&out));
}

/* ---- vmagent's ---- */

struct replacing {
    const struct rule *r;
    const struct labels *l;
    struct str subject;
    size_t done;
    struct text out;
};

static void replace_one(void *ctx, const struct regex_match *m)
{
    struct replacing *a = ctx;
    size_t at = (size_t)(m->group[0].p - a->subject.p);
    if (!a->out.arena)
        text_init(&a->out, a->l->arena, a->subject.n + 16);
    text_add(&a->out, str_make(a->subject.p + a->done, at - a->done));
    expand_add(a->r->replaced_by, m, a->l, &a->out);
    a->done = at + m->group[0].n;
}

/* Every match inside s replaced; s itself when there is none, or when it is too much work or text. */
static struct str replace_matches(const struct rule *r, struct str s, const struct labels *l)
{
    struct replacing a = {.r = r, .l = l, .subject = s.p ? s : STR("")};
    if (!regex_each(r->re, a.subject, r->groups, replace_one, &a) || !a.out.arena)
        return s;
    text_add(&a.out, str_skip(a.subject, a.done));
    return a.out.overflow ? s : text_str(&a.out);
}

static void apply_replace_all(const struct rule *r, struct labels *l)
{
    struct str value = join(r, l);
    struct str replaced = replace_matches(r, value, l);
    if (!str_eq(value, replaced))
        set_or_delete(l, r->target_label, replaced);
}

static void apply_labelmap_all(const struct rule *r, struct labels *l)
{
    struct label *renamed = arena_alloc(l->arena, l->n * sizeof *renamed);
    size_t n = l->n;
    for (size_t i = 0; i < n; i++) {
        renamed[i].name = replace_matches(r, l->v[i].name, l);
        renamed[i].value = l->v[i].value;
    }
    labels_clear(l);
    set_all(l, renamed, n);
}

static bool sources_equal(const struct rule *r, const struct labels *l)
{
    for (size_t i = 1; i < r->source_labels_n; i++) {
        if (!str_eq(labels_get(l, r->source_labels[0]), labels_get(l, r->source_labels[i])))
            return false;
    }
    return true;
}

static bool target_contains_sources(const struct rule *r, const struct labels *l)
{
    struct str target = labels_get(l, r->target_label);
    for (size_t i = 0; i < r->source_labels_n; i++) {
        struct str value = labels_get(l, r->source_labels[i]);
        if (value.n && str_find(target, value) == target.n)
            return false;
    }
    return true;
}

static void apply_graphite(const struct rule *r, struct labels *l)
{
    struct regex_match m;
    if (!graphite_match(r->graphite, labels_get(l, NAME), &m))
        return;
    for (size_t i = 0; i < r->labels_n; i++) {
        struct str value;
        if (expand(r->templates[i], &m, l, &value))
            set_or_delete(l, r->labels[i].name, value);
    }
}

/* ---- all of them ---- */

static bool ifs_hold(const struct rule *r, const struct labels *l)
{
    for (size_t i = 0; i < r->ifs_n; i++) {
        if (selector_matches(r->ifs[i], l))
            return true;
    }
    return r->ifs_n == 0;
}

static void rewrite(const struct rule *r, bool legacy, struct labels *l)
{
    switch (r->action) {
    case ACTION_REPLACE:
        apply_replace(r, legacy, l);
        break;
    case ACTION_REPLACE_ALL:
        apply_replace_all(r, l);
        break;
    case ACTION_HASHMOD:
        apply_hashmod(r, l);
        break;
    case ACTION_LABELMAP:
        apply_labelmap(r, l);
        break;
    case ACTION_LABELMAP_ALL:
        apply_labelmap_all(r, l);
        break;
    case ACTION_LABELDROP:
    case ACTION_LABELKEEP:
        apply_names(r, l);
        break;
    case ACTION_LOWERCASE:
    case ACTION_UPPERCASE:
        apply_case(r, l);
        break;
    case ACTION_GRAPHITE:
        apply_graphite(r, l);
        break;
    default:
        break;
    }
}

bool rule_apply(const struct rule *r, bool legacy, struct labels *l)
{
    if (!ifs_hold(r, l))
        return r->action != ACTION_KEEP && r->action != ACTION_KEEP_METRICS;
    switch (r->action) {
    case ACTION_KEEP:
        return r->default_regex || regex_matches(r->re, join(r, l));
    case ACTION_DROP:
        return !r->default_regex && !regex_matches(r->re, join(r, l));
    case ACTION_KEEPEQUAL:
        return str_eq(join(r, l), labels_get(l, r->target_label));
    case ACTION_DROPEQUAL:
        return !str_eq(join(r, l), labels_get(l, r->target_label));
    case ACTION_KEEP_METRICS:
        return regex_matches(r->re, labels_get(l, NAME));
    case ACTION_DROP_METRICS:
        return !regex_matches(r->re, labels_get(l, NAME));
    case ACTION_KEEP_IF_EQUAL:
        return sources_equal(r, l);
    case ACTION_DROP_IF_EQUAL:
        return !sources_equal(r, l);
    case ACTION_KEEP_IF_CONTAINS:
        return target_contains_sources(r, l);
    case ACTION_DROP_IF_CONTAINS:
        return !target_contains_sources(r, l);
    default:
        rewrite(r, legacy, l);
        return true;
    }
}
