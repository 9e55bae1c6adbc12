/* SPDX-License-Identifier: Apache-2.0 */
/* labels: a mutable set of label pairs. Sets are small (a dozen), so search is linear and sorting is by
   insertion. */
#include "labels.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdlib.h>

void labels_init(struct labels *l, struct arena *arena)
{
    *l = (struct labels){.arena = arena};
}

void labels_free(struct labels *l)
{
    free(l->v);
    *l = (struct labels){.arena = l->arena};
}

void labels_clear(struct labels *l)
{
    l->n = 0;
}

static struct label *find(const struct labels *l, struct str name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(l->v[i].name, name))
            return &l->v[i];
    }
    return NULL;
}

struct str labels_get(const struct labels *l, struct str name)
{
    const struct label *hit = find(l, name);
    return hit ? hit->value : STR_NULL;
}

bool labels_has(const struct labels *l, struct str name)
{
    return find(l, name) != NULL;
}

void labels_push(struct labels *l, struct str name, struct str value)
{
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = (struct label){name, value};
}

void labels_set(struct labels *l, struct str name, struct str value)
{
    struct label *hit = find(l, name);
    if (hit)
        hit->value = value;
    else
        labels_push(l, name, value);
}

void labels_del(struct labels *l, struct str name)
{
    struct label *hit = find(l, name);
    if (!hit)
        return;
    size_t behind = (size_t)(l->v + l->n - (hit + 1));
    memmove(hit, hit + 1, behind * sizeof *hit);
    l->n--;
}

void labels_drop_empty(struct labels *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].name.n && l->v[i].value.n)
            l->v[kept++] = l->v[i];
    }
    l->n = kept;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

void labels_sort(struct labels *l)
{
    if (l->n > 64) { /* hostile: insertion would be quadratic */
        qsort(l->v, l->n, sizeof *l->v, by_name);
        return;
    }
    for (size_t i = 1; i < l->n; i++) {
        struct label moving = l->v[i];
        size_t k = i;
        for (; k > 0 && str_cmp(l->v[k - 1].name, moving.name) > 0; k--)
            l->v[k] = l->v[k - 1];
        l->v[k] = moving;
    }
}

void labels_copy(struct labels *dst, const struct labels *src)
{
    labels_clear(dst);
    for (size_t i = 0; i < src->n; i++)
        labels_push(dst, arena_str(dst->arena, src->v[i].name), arena_str(dst->arena, src->v[i].value));
}

uint64_t labels_hash(const struct labels *l)
{
    struct label few[64];
    struct labels sorted = {.v = l->n <= 64 ? few : xcalloc(l->n, sizeof few[0]), .n = l->n, .cap = l->n};
    uint64_t h = l->n;
    if (l->n)
        memcpy(sorted.v, l->v, l->n * sizeof few[0]);
    labels_sort(&sorted);
    for (size_t i = 0; i < sorted.n; i++)
        h = hash_more(hash_more(h, sorted.v[i].name), sorted.v[i].value);
    if (sorted.v != few)
        free(sorted.v);
    return h;
}

static bool legacy_char(char c, bool first, bool colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
           (!first && c >= '0' && c <= '9');
}

static bool is_legacy(struct str name, bool colon)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!legacy_char(name.p[i], i == 0, colon))
            return false;
    }
    return name.n > 0;
}

bool labels_is_legacy_name(struct str name)
{
    return is_legacy(name, false);
}

bool labels_is_legacy_metric(struct str name)
{
    return is_legacy(name, true);
}

/* ---- the notation ---- */

static void add_quoted(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n') {
            buf_add_c(out, "\\n");
        } else {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, s.p[i]);
        }
    }
    buf_add_char(out, '"');
}

static const struct str NAME = {"__name__", 8};

void labels_format(const struct labels *l, struct buf *out)
{
    struct str name = labels_get(l, NAME);
    bool plain = labels_is_legacy_metric(name);
    bool open = false;
    if (plain) {
        buf_add_str(out, name);
    } else if (name.n) {
        buf_add_char(out, '{');
        add_quoted(out, name);
        open = true;
    }
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(l->v[i].name, NAME))
            continue;
        buf_add_char(out, open ? ',' : '{');
        open = true;
        if (labels_is_legacy_name(l->v[i].name))
            buf_add_str(out, l->v[i].name);
        else
            add_quoted(out, l->v[i].name);
        buf_add_char(out, '=');
        add_quoted(out, l->v[i].value);
    }
    if (open)
        buf_add_char(out, '}');
    else if (!plain)
        buf_add_c(out, "{}");
}

struct scan {
    struct str text;
    size_t at;
    struct labels *l;
    struct err *err;
};

static bool bad(const struct scan *s, const char *why)
{
    return err_set(s->err, "column %zu: %s", s->at + 1, why);
}

static char peek(const struct scan *s)
{
    return s->at < s->text.n ? s->text.p[s->at] : '\0';
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->text.n && (peek(s) == ' ' || peek(s) == '\t'))
        s->at++;
}

static struct str scan_name(struct scan *s, bool colon)
{
    size_t from = s->at;
    while (s->at < s->text.n && legacy_char(s->text.p[s->at], s->at == from, colon))
        s->at++;
    return str_make(s->text.p + from, s->at - from);
}

/* A double-quoted string with \\ \" \n escapes; another escaped character stays as it stands. */
static bool scan_quoted(struct scan *s, struct str *out)
{
    struct str rest = str_skip(s->text, s->at + 1);
    char *copy = arena_alloc(s->l->arena, rest.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        if (c == '"') {
            s->at += i + 2;
            *out = str_make(copy, n);
            return true;
        }
        if (c == '\\' && i + 1 < rest.n) {
            char next = rest.p[++i];
            if (next != 'n' && next != '"' && next != '\\')
                copy[n++] = '\\';
            c = next == 'n' ? '\n' : next;
        }
        copy[n++] = c;
    }
    return bad(s, "a quoted string does not end");
}

static bool add_pair(struct scan *s, struct str name, struct str value)
{
    if (labels_has(s->l, name))
        return err_set(s->err, "column %zu: label \"%.*s\" stands twice", s->at, STR_ARG(name));
    labels_push(s->l, arena_str(s->l->arena, name), value);
    return true;
}

/* One item between the braces: name="value", "name"="value", or a quoted metric name alone. */
static bool scan_item(struct scan *s)
{
    struct str name, value;
    bool quoted = peek(s) == '"';
    if (quoted && !scan_quoted(s, &name))
        return false;
    if (!quoted)
        name = scan_name(s, false);
    if (name.n == 0)
        return bad(s, "a label name is expected");
    skip_blanks(s);
    if (quoted && (peek(s) == ',' || peek(s) == '}'))
        return add_pair(s, NAME, name);
    if (peek(s) != '=')
        return bad(s, "'=' is expected after a label name");
    s->at++;
    skip_blanks(s);
    if (peek(s) != '"')
        return bad(s, "a value in double quotes is expected");
    return scan_quoted(s, &value) && add_pair(s, name, value);
}

static bool scan_braces(struct scan *s)
{
    s->at++;
    for (;;) {
        skip_blanks(s);
        if (peek(s) == '}') {
            s->at++;
            return true;
        }
        if (!scan_item(s))
            return false;
        skip_blanks(s);
        if (peek(s) == ',')
            s->at++;
        else if (peek(s) != '}')
            return bad(s, "',' or '}' is expected");
    }
}

bool labels_parse(struct labels *l, struct str text, struct err *err)
{
    struct scan s = {.text = text, .l = l, .err = err};
    labels_clear(l);
    skip_blanks(&s);
    struct str name = scan_name(&s, true);
    if (name.n)
        labels_push(l, NAME, arena_str(l->arena, name));
    skip_blanks(&s);
    if (peek(&s) == '{' && !scan_braces(&s))
        return false;
    skip_blanks(&s);
    if (s.at < text.n)
        return bad(&s, name.n || s.at ? "nothing more is expected here" : "a series is expected");
    return s.at > 0 || bad(&s, "a series is expected");
}
