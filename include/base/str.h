/* SPDX-License-Identifier: Apache-2.0 */
/* str: a view of bytes. All text that comes from outside is handled as {pointer, length}. */
#ifndef OBSAGENT_BASE_STR_H
#define OBSAGENT_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A view owns nothing; it is valid as long as the bytes it points at. May hold any byte, NUL included.
   An empty view may have p == NULL. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NULL ((struct str){NULL, 0})
/* For printf: "%.*s" takes STR_ARG(s). Precision is an int, so views over 2 GiB are cut. */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *cstr)
{
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}

static inline struct str str_make(const char *p, size_t n)
{
    return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_of(b));
}

/* Byte order, as Go compares strings; a prefix sorts before the longer one. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    if (r != 0)
        return r;
    return a.n < b.n ? -1 : a.n > b.n;
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* s without its first n bytes; n is capped at the length. */
static inline struct str str_skip(struct str s, size_t n)
{
    n = n < s.n ? n : s.n;
    return (struct str){s.p ? s.p + n : NULL, s.n - n};
}

/* First occurrence of needle, or s.n when absent. An empty needle is found at 0. */
size_t str_find(struct str s, struct str needle);
/* First occurrence of the byte c, or s.n when absent. */
size_t str_find_char(struct str s, char c);
/* s without leading and trailing spaces, tabs, CR and LF. */
struct str str_trim(struct str s);
/* A heap copy with a NUL behind it; the caller frees. Aborts when memory is out. */
char *str_dup(struct str s);
/* True when s is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);
/* The length of the well-formed UTF-8 sequence at the start of s (1 to 4), or 0 when there is none. */
size_t str_utf8_step(struct str s);

#endif
