/* SPDX-License-Identifier: Apache-2.0 */
/* graphite: templates that take a dotted name apart. Between two stars stands literal text; a star takes the
   shortest run that lets that text follow, and never a dot, so matching is linear. */
#include "graphite.h"

#include "base/alloc.h"

#include <stdlib.h>

struct graphite {
    char *text;
    struct str parts[REGEX_GROUPS_MAX]; /* literals between the stars: one more than stars */
    size_t parts_n;
};

struct graphite *graphite_new(struct str match)
{
    struct graphite *g = xcalloc(1, sizeof *g);
    g->text = str_dup(match);
    struct str rest = str_make(g->text, match.n);
    for (;;) {
        size_t star = str_find_char(rest, '*');
        g->parts[g->parts_n++] = str_make(rest.p, star);
        if (star == rest.n)
            return g;
        if (g->parts_n == REGEX_GROUPS_MAX - 1) {
            graphite_free(g);
            return NULL;
        }
        rest = str_skip(rest, star + 1);
    }
}

void graphite_free(struct graphite *g)
{
    if (!g)
        return;
    free(g->text);
    free(g);
}

size_t graphite_stars(const struct graphite *g)
{
    return g->parts_n - 1;
}

bool graphite_match(const struct graphite *g, struct str name, struct regex_match *m)
{
    struct str rest = name;
    m->n = 1;
    m->group[0] = name;
    if (!str_starts(rest, g->parts[0]))
        return false;
    rest = str_skip(rest, g->parts[0].n);
    for (size_t i = 1; i < g->parts_n; i++) {
        bool last = i + 1 == g->parts_n;
        struct str part = g->parts[i];
        size_t taken;
        if (last)
            taken = str_ends(rest, part) ? rest.n - part.n : rest.n + 1;
        else
            taken = part.n ? str_find(rest, part) : str_find_char(rest, '.');
        if (taken > rest.n || taken + part.n > rest.n || str_find_char(str_make(rest.p, taken), '.') < taken)
            return false;
        m->group[m->n++] = str_make(rest.p, taken);
        rest = str_skip(rest, taken + part.n);
    }
    return rest.n == 0;
}
