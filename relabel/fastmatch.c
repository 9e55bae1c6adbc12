/* SPDX-License-Identifier: Apache-2.0 */
/* fastmatch: patterns that need no regex engine.

   A pattern is read as [open] literal [close], where open and close are nothing, `.*` or `.+`; or as literals joined by
   '|'. Since '.' matches every character (a broken byte counts as one), "anything" is just a length. A literal with
   U+FFFD in it is left to the engine, which shows broken bytes as that character. */
#include "fastmatch.h"

#include "base/alloc.h"

#include <stdlib.h>

#define ALTERNATIVES_MAX 4096

enum gap { GAP_NONE, GAP_ANY, GAP_SOME };

struct fastmatch {
    enum gap open, close;
    struct str literal;
    struct str *list; /* sorted; NULL when there is one literal */
    size_t list_n;
    char *text; /* owns the literals */
};

static bool is_meta(char c)
{
    return c && strchr("\\.+*?()|[]{}^$", c) != NULL;
}

/* `x.*`: the gap that starts at p, two bytes long. */
static enum gap gap_at(struct str s)
{
    if (s.n < 2 || s.p[0] != '.')
        return GAP_NONE;
    return s.p[1] == '*' ? GAP_ANY : s.p[1] == '+' ? GAP_SOME : GAP_NONE;
}

/* Copies a literal without its escapes to out; -1 when it is more than a literal. */
static long copy_literal(struct str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\') {
            c = ++i < s.n ? s.p[i] : 'x';
            bool punctuation = (unsigned char)c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
                               !(c >= 'A' && c <= 'Z') && c != '_' && c > ' ';
            if (!punctuation)
                return -1;
        } else if (is_meta(c)) {
            return -1;
        }
        out[n++] = c;
    }
    return (long)n;
}

/* Without one pair of parentheses around everything, when none are inside. */
static struct str unwrap(struct str s)
{
    size_t head = str_starts(s, STR("(?:")) ? 3 : str_starts(s, STR("(")) ? 1 : 0;
    if (head == 0 || s.n < head + 1 || s.p[s.n - 1] != ')' || (s.n >= 2 && s.p[s.n - 2] == '\\'))
        return s;
    struct str inside = str_make(s.p + head, s.n - head - 1);
    if (str_find_char(inside, '(') < inside.n || str_find_char(inside, ')') < inside.n ||
        (head == 1 && inside.n && inside.p[0] == '?'))
        return s;
    return inside;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool read_list(struct fastmatch *f, struct str s)
{
    char *out = f->text;
    size_t cap = 0;
    for (;;) {
        size_t end = str_find_char(s, '|');
        long n = copy_literal(str_make(s.p, end), out);
        if (n < 0 || f->list_n >= ALTERNATIVES_MAX || (end && end < s.n && s.p[end - 1] == '\\'))
            return false;
        f->list = xgrow(f->list, &cap, f->list_n + 1, sizeof *f->list);
        f->list[f->list_n++] = str_make(out, (size_t)n);
        out += n;
        if (end == s.n)
            break;
        s = str_skip(s, end + 1);
    }
    qsort(f->list, f->list_n, sizeof *f->list, by_bytes);
    return true;
}

static bool read_pattern(struct fastmatch *f, struct str s)
{
    if (str_find_char(s, '|') < s.n)
        return read_list(f, s);
    f->open = gap_at(s);
    if (f->open != GAP_NONE)
        s = str_skip(s, 2);
    if (s.n >= 2 && !(s.n >= 3 && s.p[s.n - 3] == '\\')) {
        f->close = gap_at(str_skip(s, s.n - 2));
        if (f->close != GAP_NONE)
            s.n -= 2;
    }
    long n = copy_literal(s, f->text);
    if (n < 0)
        return false;
    f->literal = str_make(f->text, (size_t)n);
    /* `.+.+` and the like with nothing between are lengths of two: leave them to the engine. */
    return n > 0 || f->open == GAP_NONE || f->close == GAP_NONE;
}

struct fastmatch *fastmatch_new(struct str pattern)
{
    struct str s = unwrap(pattern);
    if (!str_is_utf8(pattern) || str_find(pattern, STR("\xef\xbf\xbd")) < pattern.n)
        return NULL;
    struct fastmatch *f = xcalloc(1, sizeof *f);
    f->text = xmalloc(pattern.n + 1);
    if (!read_pattern(f, s)) {
        fastmatch_free(f);
        return NULL;
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

static bool gap_takes(enum gap gap, size_t n)
{
    return gap == GAP_ANY || (gap == GAP_NONE ? n == 0 : n > 0);
}

/* .*lit.* and its kin: the first place of the literal that leaves enough on both sides. */
static bool contains(const struct fastmatch *f, struct str s)
{
    size_t from = f->open == GAP_SOME ? 1 : 0;
    for (;;) {
        struct str rest = str_skip(s, from);
        size_t at = str_find(rest, f->literal);
        if (at == rest.n && f->literal.n)
            return false;
        if (gap_takes(f->close, rest.n - at - f->literal.n))
            return true;
        if (at >= rest.n)
            return false;
        from += at + 1;
    }
}

bool fastmatch_matches(const struct fastmatch *f, struct str s)
{
    if (f->list)
        return bsearch(&s, f->list, f->list_n, sizeof *f->list, by_bytes) != NULL;
    if (s.n < f->literal.n)
        return false;
    if (f->open == GAP_NONE)
        return str_starts(s, f->literal) && gap_takes(f->close, s.n - f->literal.n);
    if (f->close == GAP_NONE)
        return str_ends(s, f->literal) && gap_takes(f->open, s.n - f->literal.n);
    return contains(f, s);
}
