/* SPDX-License-Identifier: Apache-2.0 */
/* selector: series selectors of `if`, as vmagent reads them: a disjunction of groups of matchers. */
#include "selector.h"

#include "base/alloc.h"
#include "regex.h"

#include <stdlib.h>

enum op { OP_EQ, OP_NE, OP_RE, OP_NRE };

struct matcher {
    struct str name, value; /* owned copies */
    enum op op;
    struct regex *re;
    bool starts_group; /* "or" stands before it */
};

struct selector {
    struct matcher *v;
    size_t n, cap;
};

struct scan {
    struct str text;
    size_t at;
    struct selector *out;
    struct arena *arena;
    struct err *err;
};

static bool bad(struct scan *s, const char *why)
{
    return err_set(s->err, "column %zu: %s", s->at + 1, why);
}

static char peek(const struct scan *s)
{
    return s->at < s->text.n ? s->text.p[s->at] : '\0';
}

static void skip_blanks(struct scan *s)
{
    for (char c; (c = peek(s)) == ' ' || c == '\t' || c == '\r' || c == '\n';)
        s->at++;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':' || c == '.';
}

static struct str scan_word(struct scan *s)
{
    size_t from = s->at;
    while (s->at < s->text.n && is_name_char(s->text.p[s->at]))
        s->at++;
    return str_make(s->text.p + from, s->at - from);
}

/* A string in double, single or back quotes; escapes \\ \" \' \n \t outside back quotes. */
static bool scan_quoted(struct scan *s, struct str *out)
{
    char quote = peek(s);
    struct str rest = str_skip(s->text, s->at + 1);
    char *copy = arena_alloc(s->arena, rest.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        if (c == quote) {
            s->at += i + 2;
            *out = str_make(copy, n);
            return true;
        }
        if (c == '\\' && quote != '`' && i + 1 < rest.n) {
            char next = rest.p[++i];
            if (!next || !strchr("\\\"'nt", next))
                copy[n++] = '\\';
            c = next == 'n' ? '\n' : next == 't' ? '\t' : next;
        }
        copy[n++] = c;
    }
    return bad(s, "a quoted string does not end");
}

static bool scan_op(struct scan *s, enum op *op)
{
    static const struct {
        const char *text;
        enum op op;
    } OPS[] = {{"=~", OP_RE}, {"!~", OP_NRE}, {"!=", OP_NE}, {"=", OP_EQ}};
    for (size_t i = 0; i < sizeof OPS / sizeof OPS[0]; i++) {
        if (str_starts(str_skip(s->text, s->at), str_of(OPS[i].text))) {
            s->at += strlen(OPS[i].text);
            *op = OPS[i].op;
            return true;
        }
    }
    return bad(s, "one of = != =~ !~ is expected");
}

static bool add_matcher(struct scan *s, struct str name, enum op op, struct str value, bool starts_group)
{
    struct regex *re = NULL;
    if ((op == OP_RE || op == OP_NRE) && !(re = regex_new(value, true, s->err)))
        return false;
    struct selector *out = s->out;
    out->v = xgrow(out->v, &out->cap, out->n + 1, sizeof *out->v);
    out->v[out->n++] = (struct matcher){.name = str_make(str_dup(name), name.n),
                                        .value = str_make(str_dup(value), value.n),
                                        .op = op, .re = re, .starts_group = starts_group};
    return true;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

/* name op "value", or a quoted metric name alone. */
static bool scan_matcher(struct scan *s, bool starts_group)
{
    struct str name, value;
    enum op op = OP_EQ;
    bool quoted = is_quote(peek(s));
    if (quoted && !scan_quoted(s, &name))
        return false;
    if (!quoted)
        name = scan_word(s);
    if (name.n == 0)
        return bad(s, "a label name is expected");
    skip_blanks(s);
    if (quoted && (peek(s) == ',' || peek(s) == '}'))
        return add_matcher(s, STR("__name__"), OP_EQ, name, starts_group);
    if (!scan_op(s, &op))
        return false;
    skip_blanks(s);
    if (!is_quote(peek(s)))
        return bad(s, "a value in quotes is expected");
    return scan_quoted(s, &value) && add_matcher(s, name, op, value, starts_group);
}

/* "or" as a word of its own, which a label could also be called. */
static bool take_or(struct scan *s)
{
    struct scan ahead = *s;
    if (!str_eq_c(scan_word(&ahead), "or"))
        return false;
    skip_blanks(&ahead);
    if (peek(&ahead) == '=' || peek(&ahead) == '!')
        return false;
    *s = ahead;
    return true;
}

static bool scan_braces(struct scan *s, struct str metric)
{
    bool starts_group = false, behind_or = false;
    s->at++;
    for (;;) {
        skip_blanks(s);
        if (peek(s) == '}' && !behind_or) {
            s->at++;
            return true;
        }
        if (!scan_matcher(s, starts_group))
            return false;
        starts_group = false;
        behind_or = false;
        skip_blanks(s);
        if (peek(s) == ',') {
            s->at++;
        } else if (take_or(s)) {
            starts_group = behind_or = true;
            if (metric.n) { /* foo{a="b" or c="d"} means foo in both groups */
                if (!add_matcher(s, STR("__name__"), OP_EQ, metric, true))
                    return false;
                starts_group = false;
            }
        } else if (peek(s) != '}') {
            return bad(s, "',', 'or' or '}' is expected");
        }
    }
}

struct selector *selector_new(struct str text, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct selector *out = xcalloc(1, sizeof *out);
    struct scan s = {.text = text, .out = out, .arena = &arena, .err = err};
    skip_blanks(&s);
    struct str metric = scan_word(&s);
    bool ok = !metric.n || add_matcher(&s, STR("__name__"), OP_EQ, metric, false);
    skip_blanks(&s);
    if (ok && peek(&s) == '{')
        ok = scan_braces(&s, metric);
    else if (ok && !metric.n)
        ok = bad(&s, "a selector is expected");
    skip_blanks(&s);
    if (ok && s.at < text.n)
        ok = bad(&s, "nothing more is expected here");
    arena_free(&arena);
    if (!ok) {
        selector_free(out);
        return NULL;
    }
    return out;
}

void selector_free(struct selector *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free((char *)s->v[i].name.p);
        free((char *)s->v[i].value.p);
        regex_free(s->v[i].re);
    }
    free(s->v);
    free(s);
}

static bool matcher_holds(const struct matcher *m, const struct labels *l)
{
    struct str value = labels_get(l, m->name);
    switch (m->op) {
    case OP_EQ:
        return str_eq(value, m->value);
    case OP_NE:
        return !str_eq(value, m->value);
    case OP_RE:
        return regex_matches(m->re, value);
    case OP_NRE:
        return !regex_matches(m->re, value);
    }
    return false;
}

bool selector_matches(const struct selector *s, const struct labels *l)
{
    bool group = true;
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].starts_group) {
            if (group)
                return true;
            group = true;
        }
        group = group && matcher_holds(&s->v[i], l);
    }
    return group;
}
