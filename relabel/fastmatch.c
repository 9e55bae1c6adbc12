/* SPDX-License-Identifier: Apache-2.0 */
/* fastmatch: patterns that need no regex engine.

   A pattern is read as [open] literal [close], where open and close are nothing, `.*` or `.+`; or as literals
   joined by '|', with literal text before and behind when they stand in parentheses. Since '.' matches every
   character (a broken byte counts as one), "anything" is just a length. A literal with U+FFFD in it is left
   to the engine, which shows broken bytes as that character. Whatever is not understood is left to the engine
   too. */
#include "fastmatch.h"

#include "base/alloc.h"

#include <stdlib.h>

#define ALTERNATIVES_MAX 4096
#define LIST_BYTES_MAX (1 << 20)

enum gap { GAP_NONE, GAP_ANY, GAP_SOME };

/* One end of the capturing group: an end of the subject, or some bytes from the start of the literal. */
struct edge {
    bool outer;
    size_t offset;
};

struct fastmatch {
    enum gap open, close;
    struct str literal;
    struct str *list; /* sorted; NULL when there is one literal */
    size_t list_n;
    size_t before, behind; /* of a list: literal bytes around the group */
    bool captures;
    struct edge from, to; /* without a list: where the group lies */
    char *text;           /* owns the literals */
};

static bool is_meta(char c)
{
    return c && strchr("\\.+*?()|[]{}^$", c) != NULL;
}

/* Reads one literal character, perhaps escaped, from s to *c. Returns the bytes read, 0 when it is none. */
static size_t literal_step(struct str s, char *c)
{
    if (s.n == 0)
        return 0;
    *c = s.p[0];
    if (*c != '\\')
        return is_meta(*c) ? 0 : 1;
    if (s.n < 2)
        return 0;
    *c = s.p[1];
    bool punctuation = *c > ' ' && *c < 0x7f && *c != '_' && !(*c >= '0' && *c <= '9') &&
                       !(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z');
    return punctuation ? 2 : 0;
}

/* Appends the literal at the start of s to out and returns what follows it. */
static struct str copy_literal(struct str s, char *out, size_t *n)
{
    size_t step;
    while ((step = literal_step(s, &out[*n])) > 0) {
        s = str_skip(s, step);
        ++*n;
    }
    return s;
}

/* `.*` or `.+` at the start of s. */
static enum gap gap_at(struct str s)
{
    if (s.n < 2 || s.p[0] != '.')
        return GAP_NONE;
    return s.p[1] == '*' ? GAP_ANY : s.p[1] == '+' ? GAP_SOME : GAP_NONE;
}

/* The whole is anchored, so a ^ at the start and a $ at the end say nothing more, in a list of alternatives
   neither. */
static struct str without_anchors(struct str s)
{
    if (s.n && s.p[0] == '^')
        s = str_skip(s, 1);
    if (s.n && s.p[s.n - 1] == '$' && (s.n == 1 || s.p[s.n - 2] != '\\'))
        s.n--;
    return s;
}

/* ---- one literal ---- */

/* Steps over parentheses at the start of s, noting where the group begins and ends; false for too many. */
static bool read_parentheses(struct fastmatch *f, struct str *s, int *pairs, bool *inside, struct edge here)
{
    while (s->n && (s->p[0] == '(' || s->p[0] == ')')) {
        bool opens = s->p[0] == '(', plain = str_starts(*s, STR("(?:"));
        if (opens && (*inside || *pairs > 0 || (!plain && str_starts(*s, STR("(?")))))
            return false;
        if (!opens && !*inside)
            return false;
        *inside = opens;
        *s = str_skip(*s, plain ? 3 : 1);
        if (!opens) {
            f->to = here;
            continue;
        }
        f->captures = !plain;
        f->from = here;
        ++*pairs;
        if (s->n && s->p[0] == ')') /* an empty group has no edge of its own */
            return false;
    }
    return true;
}

static bool read_gap(enum gap *gap, struct str *s)
{
    *gap = gap_at(*s);
    if (*gap != GAP_NONE)
        *s = str_skip(*s, 2);
    return *gap != GAP_NONE;
}

static bool read_one(struct fastmatch *f, struct str s)
{
    const struct edge outer = {.outer = true};
    int pairs = 0;
    bool inside = false;
    size_t n = 0, before;
    if (!read_parentheses(f, &s, &pairs, &inside, outer))
        return false;
    bool open = read_gap(&f->open, &s);
    do { /* the literal, perhaps in pieces between parentheses */
        before = n;
        if (!read_parentheses(f, &s, &pairs, &inside, (struct edge){.outer = n == 0 && !open, .offset = n}))
            return false;
        s = copy_literal(s, f->text, &n);
    } while (n > before);
    bool closed = read_gap(&f->close, &s);
    if (closed && !read_parentheses(f, &s, &pairs, &inside, outer))
        return false;
    f->literal = str_make(f->text, n);
    /* Two gaps with nothing between are the engine's: which takes what is a question of greed. */
    return s.n == 0 && !inside && (n > 0 || !open || !closed);
}

/* ---- lists of literals ---- */

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Splits `pre(list)post` or a bare list; false when the parentheses are others. */
static bool split_list(struct fastmatch *f, struct str s, struct str *pre, struct str *list, struct str *post)
{
    size_t open = str_find_char(s, '(');
    *pre = STR_NULL;
    *post = STR_NULL;
    *list = s;
    if (open == s.n)
        return true;
    *pre = str_make(s.p, open);
    *list = str_skip(s, open + 1);
    f->captures = !str_starts(*list, STR("?:"));
    if (!f->captures)
        *list = str_skip(*list, 2);
    size_t close = str_find_char(*list, ')');
    if (close == list->n)
        return false;
    *post = str_skip(*list, close + 1);
    list->n = close;
    return true;
}

/* pre + item + post at *out, or false when one of them is more than a literal. */
static bool add_item(struct fastmatch *f, size_t *cap, char **out, struct str pre, struct str item,
                     struct str post)
{
    const struct str parts[] = {pre, item, post};
    size_t lengths[3], n = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t start = n;
        if (copy_literal(parts[i], *out, &n).n > 0)
            return false;
        lengths[i] = n - start;
    }
    f->before = lengths[0];
    f->behind = lengths[2];
    f->list = xgrow(f->list, cap, f->list_n + 1, sizeof *f->list);
    f->list[f->list_n++] = str_make(*out, n);
    *out += n;
    return true;
}

static bool read_list(struct fastmatch *f, struct str s)
{
    struct str pre, list, post;
    size_t items = 1, cap = 0;
    if (!split_list(f, s, &pre, &list, &post))
        return false;
    for (size_t i = 0; i < list.n; i++)
        items += list.p[i] == '|';
    size_t bytes = list.n + items * (pre.n + post.n) + 1;
    if (items > ALTERNATIVES_MAX || (items > 1 && bytes > LIST_BYTES_MAX))
        return false;
    f->text = xrealloc(f->text, bytes);
    char *out = f->text;
    for (;;) {
        size_t end = str_find_char(list, '|');
        /* An escaped '|' ends its item in a lone backslash, which is no literal. */
        if (!add_item(f, &cap, &out, pre, str_make(list.p, end), post))
            return false;
        if (end == list.n)
            break;
        list = str_skip(list, end + 1);
    }
    qsort(f->list, f->list_n, sizeof *f->list, by_bytes);
    return true;
}

/* ---- */

struct fastmatch *fastmatch_new(struct str pattern)
{
    if (!str_is_utf8(pattern) || str_find(pattern, STR("\xef\xbf\xbd")) < pattern.n)
        return NULL;
    struct str s = without_anchors(pattern);
    struct fastmatch *f = xcalloc(1, sizeof *f);
    f->text = xmalloc(pattern.n + 1);
    if (!(str_find_char(s, '|') < s.n ? read_list(f, s) : read_one(f, s))) {
        /* `\|` alone is no list: what has one may still be a literal with it. */
        free(f->list);
        free(f->text);
        *f = (struct fastmatch){.text = xmalloc(pattern.n + 1)};
        if (!read_one(f, s)) {
            fastmatch_free(f);
            return NULL;
        }
    }
    return f;
}

void fastmatch_free(struct fastmatch *f)
{
    if (!f)
        return;
    free(f->list);
    free(f->text);
    free(f);
}

size_t fastmatch_groups(const struct fastmatch *f)
{
    return f->captures ? 1 : 0;
}

bool fastmatch_literal(const struct fastmatch *f, struct str *literal)
{
    *literal = f->literal;
    return !f->list && f->open == GAP_NONE && f->close == GAP_NONE && f->literal.n > 0;
}

static bool gap_takes(enum gap gap, size_t n)
{
    return gap == GAP_ANY || (gap == GAP_NONE ? n == 0 : n > 0);
}

/* Between two gaps the first one is greedy, so the literal is the last that leaves enough behind it. */
static bool find_last(const struct fastmatch *f, struct str s, size_t *at)
{
    size_t least = f->literal.n + (f->close == GAP_SOME ? 1 : 0);
    if (s.n < least)
        return false;
    for (size_t i = s.n - least + 1; i-- > 0;) {
        if (memcmp(s.p + i, f->literal.p, f->literal.n) == 0) {
            *at = i;
            return gap_takes(f->open, i);
        }
    }
    return false;
}

/* Whether s matches, and where the literal lies in it. */
static bool find(const struct fastmatch *f, struct str s, size_t *at)
{
    if (s.n < f->literal.n)
        return false;
    if (f->open == GAP_NONE) {
        *at = 0;
        return str_starts(s, f->literal) && gap_takes(f->close, s.n - f->literal.n);
    }
    if (f->close == GAP_NONE) {
        *at = s.n - f->literal.n;
        return str_ends(s, f->literal) && gap_takes(f->open, *at);
    }
    return find_last(f, s, at);
}

static bool in_list(const struct fastmatch *f, struct str s)
{
    return bsearch(&s, f->list, f->list_n, sizeof *f->list, by_bytes) != NULL;
}

bool fastmatch_matches(const struct fastmatch *f, struct str s)
{
    size_t at;
    return f->list ? in_list(f, s) : find(f, s, &at);
}

bool fastmatch_capture(const struct fastmatch *f, struct str s, struct str *group)
{
    size_t at = 0;
    *group = STR_NULL;
    if (!(f->list ? in_list(f, s) : find(f, s, &at)))
        return false;
    if (!f->captures)
        return true;
    size_t from = f->list ? f->before : f->from.outer ? 0 : at + f->from.offset;
    size_t to = f->list ? s.n - f->behind : f->to.outer ? s.n : at + f->to.offset;
    *group = str_make(s.p ? s.p + from : "", to - from);
    return true;
}
