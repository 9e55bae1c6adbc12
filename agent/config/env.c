/* SPDX-License-Identifier: Apache-2.0 */
/* env: replaces environment variables and remembers where, so that messages still point into the file. */
#include "env.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"

static size_t count_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static const char *variable(struct str name)
{
    char copy[256];
    if (name.n == 0 || name.n >= sizeof copy)
        return NULL;
    memcpy(copy, name.p, name.n);
    copy[name.n] = '\0';
    return getenv(copy);
}

/* Steps to the next placeholder with an existing variable. False when there is none. */
static bool next_placeholder(struct str s, size_t *at, size_t *n, const char **value)
{
    for (size_t from = *at; from < s.n; from = *at + 2) {
        *at = from + str_find(str_skip(s, from), STR("%{"));
        if (*at >= s.n)
            return false;
        struct str rest = str_skip(s, *at + 2);
        size_t end = 0;
        while (end < rest.n && (is_name_char(rest.p[end]) || rest.p[end] == '.' || rest.p[end] == '-'))
            end++;
        if (end == rest.n || rest.p[end] != '}')
            continue;
        *value = variable(str_make(rest.p, end));
        *n = end + 3;
        if (*value)
            return true;
    }
    return false;
}

static void index_lines(struct arena *arena, struct str source, struct env_text *out)
{
    size_t n = 1;
    for (size_t i = 0; i < source.n; i++)
        n += source.p[i] == '\n';
    size_t *lines = arena_alloc(arena, n * sizeof *lines);
    size_t line = 1, character = 0;
    for (size_t i = 0; i < source.n; i++) {
        character += ((unsigned char)source.p[i] & 0xc0) != 0x80;
        if (source.p[i] == '\n')
            lines[line++] = character;
    }
    out->lines = lines;
    out->lines_n = n;
}

bool env_expand(struct arena *arena, struct str source, size_t max, struct env_text *out)
{
    *out = (struct env_text){.text = source};
    struct buf text;
    buf_init(&text, max);
    struct env_cut *cuts = NULL;
    size_t cap = 0, done = 0, at = 0, n = 0, in_chars = 0, out_chars = 0;
    const char *value = NULL;
    while (next_placeholder(source, &at, &n, &value)) {
        struct str before = str_make(source.p + done, at - done);
        buf_add_str(&text, before);
        buf_add_c(&text, value);
        size_t skipped = count_characters(before);
        cuts = xgrow(cuts, &cap, out->cuts_n + 1, sizeof *cuts);
        struct env_cut cut = {out_chars + skipped, count_characters(str_of(value)), in_chars + skipped, n};
        cuts[out->cuts_n++] = cut;
        out_chars = cut.out_at + cut.out_n;
        in_chars = cut.in_at + cut.in_n;
        done = at = at + n;
    }
    buf_add_str(&text, str_skip(source, done));
    bool fits = !text.overflow;
    if (out->cuts_n > 0 && fits) {
        struct env_cut *kept = arena_alloc(arena, out->cuts_n * sizeof *kept);
        memcpy(kept, cuts, out->cuts_n * sizeof *kept);
        out->cuts = kept;
        out->text = arena_str(arena, buf_str(&text));
        index_lines(arena, source, out);
    }
    free(cuts);
    buf_free(&text);
    return fits;
}

void env_place(const struct env_text *t, size_t index, int *line, int *col)
{
    size_t low = 0, high = t->cuts_n;
    while (low < high) { /* the first cut behind index */
        size_t middle = (low + high) / 2;
        if (t->cuts[middle].out_at <= index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0) {
        const struct env_cut *cut = &t->cuts[low - 1];
        size_t into = index - cut->out_at;
        index = into < cut->out_n ? cut->in_at : cut->in_at + cut->in_n + (into - cut->out_n);
    }
    size_t first = 0, last = t->lines_n;
    while (last - first > 1) { /* lines[first] <= index < lines[last] */
        size_t middle = (first + last) / 2;
        if (t->lines[middle] <= index)
            first = middle;
        else
            last = middle;
    }
    *line = (int)first + 1;
    *col = (int)(index - t->lines[first]) + 1;
}

/* The name behind a '$' at the start of s, and how many bytes it takes, braces included. */
static struct str dollar_name(struct str s, size_t *used)
{
    if (s.n > 0 && s.p[0] == '{') {
        size_t end = str_find_char(s, '}');
        *used = end < s.n ? end + 1 : 1; /* broken syntax is eaten, as Go does */
        return end < s.n ? str_make(s.p + 1, end - 1) : STR_NULL;
    }
    size_t n = 0;
    if (s.n > 0 && strchr("*#$@!?-0123456789", s.p[0]) && s.p[0] != '\0')
        n = 1;
    else
        while (n < s.n && is_name_char(s.p[n]))
            n++;
    *used = n;
    return str_make(s.p, n);
}

struct str env_expand_dollar(struct arena *arena, struct str value, struct str label)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    for (size_t i = 0; i < value.n;) {
        if (value.p[i] != '$') {
            buf_add_char(&out, value.p[i++]);
            continue;
        }
        size_t used = 0;
        struct str name = dollar_name(str_skip(value, i + 1), &used);
        i += 1 + used;
        if (used == 0 || str_eq_c(name, "$")) {
            buf_add_char(&out, '$');
            continue;
        }
        const char *found = variable(name);
        if (name.n > 0 && (!found || !*found))
            log_warn("config", "external label \"%.*s\" uses the environment variable %.*s, which is empty",
                     STR_ARG(label), STR_ARG(name));
        if (found)
            buf_add_c(&out, found);
    }
    struct str expanded = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return expanded;
}
