/* SPDX-License-Identifier: Apache-2.0 */
/* expand: templates of replacements. Source of the rules: Go's regexp.Expand (a name is the longest run of
   letters, digits and '_', so $1x is the group named "1x"). */
#include "expand.h"

#include "base/alloc.h"

#include <stdlib.h>

enum kind { PIECE_TEXT, PIECE_GROUP, PIECE_LABEL };

struct piece {
    enum kind kind;
    struct str text; /* of the template's own copy: the text itself or the label's name */
    uint64_t groups; /* bits; the first of them that took part is meant */
};

struct expansion {
    char *copy;
    struct piece *v;
    size_t n, cap;
    size_t groups;
};

static void push(struct expansion *e, struct piece piece)
{
    if (piece.kind == PIECE_TEXT && piece.text.n == 0)
        return;
    e->v = xgrow(e->v, &e->cap, e->n + 1, sizeof *e->v);
    e->v[e->n++] = piece;
}

/* The length of the letter, digit or '_' at the start of s, or 0. Go takes Unicode's letters and digits; they
   are rare enough here to ask the regex engine. */
static size_t word_step(struct str s)
{
    struct err err = {0};
    size_t step = str_utf8_step(s);
    if (step <= 1) {
        char c = step ? s.p[0] : ' ';
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    struct regex *re = regex_new(STR("[\\pL\\p{Nd}]"), true, &err);
    bool is_word = re && regex_matches(re, str_make(s.p, step));
    regex_free(re);
    return is_word ? step : 0;
}

/* Reads the reference behind a '$' at s; false when there is none. *used counts the bytes behind the '$'. */
static bool read_reference(struct str s, struct str *name, size_t *used)
{
    size_t from = s.n && s.p[0] == '{' ? 1 : 0, at = from;
    for (size_t step; (step = word_step(str_skip(s, at))) > 0;)
        at += step;
    if (at == from || (from && (at >= s.n || s.p[at] != '}')))
        return false;
    *name = str_make(s.p + from, at - from);
    *used = at + from;
    return true;
}

/* The groups a name stands for, as bits. A number has only digits, and no leading zero. */
static uint64_t groups_of(struct str name, const struct regex *re, size_t groups)
{
    size_t number = 0;
    bool is_number = name.n == 1 || name.p[0] != '0';
    for (size_t i = 0; i < name.n && is_number; i++) {
        is_number = name.p[i] >= '0' && name.p[i] <= '9' && number < REGEX_GROUPS_MAX;
        number = number * 10 + (size_t)(name.p[i] - '0');
    }
    if (!is_number)
        return re ? regex_groups_named(re, name) : 0;
    return number <= groups ? (uint64_t)1 << number : 0;
}

/* Text without {{label}} references. */
static void read_groups(struct expansion *e, struct str text, const struct regex *re, size_t groups)
{
    while (text.n) {
        size_t dollar = str_find_char(text, '$'), used;
        struct str name;
        push(e, (struct piece){.text = str_make(text.p, dollar)});
        if (dollar == text.n)
            return;
        struct str behind = str_skip(text, dollar + 1);
        if (behind.n && behind.p[0] == '$') {
            push(e, (struct piece){.text = STR("$")});
            text = str_skip(behind, 1);
        } else if (read_reference(behind, &name, &used)) {
            uint64_t bits = groups_of(name, re, groups);
            if (bits)
                push(e, (struct piece){.kind = PIECE_GROUP, .groups = bits});
            while (e->groups < REGEX_GROUPS_MAX && bits >> e->groups)
                e->groups++;
            text = str_skip(behind, used);
        } else {
            push(e, (struct piece){.text = STR("$")});
            text = behind;
        }
    }
}

struct expansion *expand_new(struct str text, const struct regex *re, size_t groups, bool label_references)
{
    struct expansion *e = xcalloc(1, sizeof *e);
    e->copy = str_dup(text);
    e->groups = 1;
    struct str rest = str_make(e->copy, text.n);
    while (label_references) {
        size_t open = str_find(rest, STR("{{"));
        struct str inside = str_skip(rest, open + 2);
        size_t close = str_find(inside, STR("}}"));
        if (open == rest.n || close == inside.n)
            break;
        read_groups(e, str_make(rest.p, open), re, groups);
        push(e, (struct piece){.kind = PIECE_LABEL, .text = str_make(inside.p, close)});
        rest = str_skip(inside, close + 2);
    }
    read_groups(e, rest, re, groups);
    return e;
}

void expand_free(struct expansion *e)
{
    if (!e)
        return;
    free(e->copy);
    free(e->v);
    free(e);
}

size_t expand_groups(const struct expansion *e)
{
    return e->groups;
}

static struct str first_of(uint64_t bits, const struct regex_match *m)
{
    for (; bits; bits &= bits - 1) {
        size_t group = (size_t)__builtin_ctzll(bits);
        if (group < m->n && m->group[group].p)
            return m->group[group];
    }
    return STR_NULL;
}

static struct str fill(const struct piece *p, const struct regex_match *m, const struct labels *l)
{
    switch (p->kind) {
    case PIECE_TEXT:
        return p->text;
    case PIECE_GROUP:
        return first_of(p->groups, m);
    case PIECE_LABEL:
        return labels_get(l, p->text);
    }
    return STR_NULL;
}

void expand_add(const struct expansion *e, const struct regex_match *m, const struct labels *l,
                struct text *out)
{
    for (size_t i = 0; i < e->n; i++)
        text_add(out, fill(&e->v[i], m, l));
}

bool expand(const struct expansion *e, const struct regex_match *m, const struct labels *l, struct str *out)
{
    struct text t;
    size_t total = 0;
    *out = STR("");
    if (e->n == 0)
        return true;
    /* the template's own text may be gone before the labels are */
    if (e->n == 1 && e->v[0].kind != PIECE_TEXT) {
        *out = fill(&e->v[0], m, l);
        return true;
    }
    for (size_t i = 0; i < e->n && total <= TEXT_MAX; i++)
        total += fill(&e->v[i], m, l).n;
    text_init(&t, l->arena, total);
    expand_add(e, m, l, &t);
    *out = text_str(&t);
    return !t.overflow;
}
