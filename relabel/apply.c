/* SPDX-License-Identifier: Apache-2.0 */
/* apply: what each action does to a label set. */
#include "rule.h"

#include "base/hash.h"
#include "expand.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#define TEXT_MAX (64 * 1024 * 1024)

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

/* Moves a scratch buffer's text to the arena of the set. */
static struct str keep_text(struct buf *b, struct labels *l)
{
    struct str s = arena_str(l->arena, buf_str(b));
    buf_free(b);
    return s;
}

static void set_or_delete(struct labels *l, struct str name, struct str value)
{
    if (value.n)
        labels_set(l, name, value);
    else
        labels_del(l, name);
}

/* The rule's replacement with {{label}} and group references replaced. Labels go first, and their values are not
   looked into for references: a '$' from outside stays a '$'. */
static struct str expand_replacement(const struct rule *r, const struct regex_match *m, struct labels *l)
{
    struct buf out;
    if (!r->replacement_refers && !r->replacement_labels)
        return r->replacement;
    if (r->replacement_is_whole)
        return m->group[0];
    buf_init(&out, TEXT_MAX);
    struct str rest = r->replacement;
    for (;;) {
        size_t open = str_find(rest, STR("{{"));
        struct str inside = str_skip(rest, open + 2);
        size_t close = str_find(inside, STR("}}"));
        if (open == rest.n || close == inside.n)
            break;
        expand_groups(str_make(rest.p, open), r->re, m, &out);
        buf_add_str(&out, labels_get(l, str_make(inside.p, close)));
        rest = str_skip(inside, close + 2);
    }
    expand_groups(rest, r->re, m, &out);
    return keep_text(&out, l);
}

static void apply_replace(const struct rule *r, struct labels *l)
{
    struct regex_match m = {.n = 0};
    struct str value = join(r, l);
    struct str target = r->target_label;
    if (r->default_regex) {
        m.n = 2;
        m.group[0] = m.group[1] = value;
    } else if (!regex_match_groups(r->re, value, r->groups, &m)) {
        return;
    }
    if (r->target_refers) {
        struct buf name;
        buf_init(&name, TEXT_MAX);
        expand_groups(r->target_label, r->re, &m, &name);
        target = keep_text(&name, l);
        if (target.n == 0 || !str_is_utf8(target))
            return;
    }
    set_or_delete(l, target, expand_replacement(r, &m, l));
}

struct replace_all {
    const struct rule *r;
    struct str subject;
    size_t done;
    struct buf out;
};

static void replace_one(void *ctx, const struct regex_match *m)
{
    struct replace_all *a = ctx;
    size_t at = (size_t)(m->group[0].p - a->subject.p);
    buf_add(&a->out, a->subject.p + a->done, at - a->done);
    expand_groups(a->r->replacement, a->r->re, m, &a->out);
    a->done = at + m->group[0].n;
}

/* Every match inside s replaced; s itself when there is none. */
static struct str replace_matches(const struct rule *r, struct str s, struct labels *l)
{
    struct replace_all a = {.r = r, .subject = s};
    if (!s.p)
        a.subject = STR("");
    buf_init(&a.out, TEXT_MAX);
    regex_each(r->re, a.subject, r->groups, replace_one, &a);
    buf_add_str(&a.out, str_skip(a.subject, a.done));
    if (a.out.overflow || str_eq(buf_str(&a.out), s)) {
        buf_free(&a.out);
        return s;
    }
    return keep_text(&a.out, l);
}

static void apply_replace_all(const struct rule *r, struct labels *l)
{
    struct str value = join(r, l);
    struct str replaced = replace_matches(r, value, l);
    if (!str_eq(value, replaced))
        set_or_delete(l, r->target_label, replaced);
}

static void apply_hashmod(const struct rule *r, struct labels *l)
{
    uint8_t digest[16];
    uint64_t h = 0;
    struct str value = join(r, l);
    hash_md5(value.p ? value.p : "", value.n, digest);
    for (int i = 8; i < 16; i++)
        h = h << 8 | digest[i];
    labels_set(l, r->target_label, str_of(arena_printf(l->arena, "%llu", (unsigned long long)(h % r->modulus))));
}

static void apply_labelmap(const struct rule *r, struct labels *l)
{
    size_t n = l->n; /* names made here are not looked at again */
    for (size_t i = 0; i < n; i++) {
        struct regex_match m;
        struct buf name;
        struct str value = l->v[i].value;
        if (!regex_match_groups(r->re, l->v[i].name, r->groups, &m))
            continue;
        buf_init(&name, TEXT_MAX);
        expand_groups(r->replacement, r->re, &m, &name);
        struct str target = keep_text(&name, l);
        if (target.n)
            labels_set(l, target, value);
    }
}

static void apply_labelmap_all(const struct rule *r, struct labels *l)
{
    struct labels old;
    labels_init(&old, l->arena);
    for (size_t i = 0; i < l->n; i++)
        labels_push(&old, l->v[i].name, l->v[i].value);
    labels_clear(l);
    for (size_t i = 0; i < old.n; i++)
        labels_set(l, replace_matches(r, old.v[i].name, l), old.v[i].value);
    labels_free(&old);
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

/* ---- upper and lower case, by Unicode ---- */

static locale_t utf8_locale;
static pthread_once_t utf8_once = PTHREAD_ONCE_INIT;

static void open_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

static uint32_t decode(struct str s, size_t step)
{
    const unsigned char *p = (const unsigned char *)s.p;
    static const unsigned char MASK[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & MASK[step];
    for (size_t i = 1; i < step; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

static void encode(uint32_t c, struct buf *out)
{
    size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char HEAD[] = {0, 0xc0, 0xe0, 0xf0};
    buf_add_char(out, (char)(HEAD[more] | (c >> (6 * more))));
    while (more-- > 0)
        buf_add_char(out, (char)(0x80 | ((c >> (6 * more)) & 0x3f)));
}

static uint32_t map_case(uint32_t c, bool upper)
{
    if (c < 0x80) {
        bool letter = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        return letter ? c ^ 0x20 : c;
    }
    if (!utf8_locale)
        return c;
    return (uint32_t)(upper ? towupper_l((wint_t)c, utf8_locale) : towlower_l((wint_t)c, utf8_locale));
}

static void apply_case(const struct rule *r, struct labels *l)
{
    struct buf out;
    struct str s = join(r, l);
    pthread_once(&utf8_once, open_locale);
    buf_init(&out, TEXT_MAX);
    while (s.n) {
        size_t step = str_utf8_step(s);
        if (step)
            encode(map_case(decode(s, step), r->action == ACTION_UPPERCASE), &out);
        else
            buf_add_c(&out, "\xef\xbf\xbd"); /* as Go maps a broken byte */
        s = str_skip(s, step ? step : 1);
    }
    set_or_delete(l, r->target_label, keep_text(&out, l));
}

/* ---- vmagent's ---- */

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
        struct buf value;
        buf_init(&value, TEXT_MAX);
        expand_groups(r->labels[i].value, r->re, &m, &value);
        set_or_delete(l, r->labels[i].name, keep_text(&value, l));
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

static void rewrite(const struct rule *r, struct labels *l)
{
    switch (r->action) {
    case ACTION_REPLACE:
        apply_replace(r, l);
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

bool rule_apply(const struct rule *r, struct labels *l)
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
        rewrite(r, l);
        return true;
    }
}
