/* SPDX-License-Identifier: Apache-2.0 */
/* report_lint: promtool's findings as a part of the report. */
#include "report.h"

#include "base/alloc.h"

#include <stdlib.h>

struct lines {
    char **v; /* "METRIC wording" */
    size_t n, cap;
};

static void add_line(void *ctx, const char *metric, const char *text)
{
    struct lines *l = ctx;
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = xasprintf("%s %s", metric, text);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Promtool's rules are about names as the text format has them. */
static void check_family(const struct report *r, const struct survey_family *family, struct lines *lines)
{
    struct lint_family f = family->lint;
    char *name = survey_plain_name(family, r->counts->format);
    f.name = name;
    lint_check(&f, r->lint_rules, add_line, lines);
    free(name);
}

static struct lines find_all(const struct report *r)
{
    struct lines l = {0};
    for (size_t i = 0; i < r->counts->families_n; i++) {
        if (r->counts->families[i].samples)
            check_family(r, &r->counts->families[i], &l);
    }
    if (l.n)
        qsort(l.v, l.n, sizeof *l.v, compare_lines);
    return l;
}

static void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

size_t report_lint(const struct report *r, struct buf *out)
{
    struct lines l = find_all(r);
    for (size_t i = 0; i < l.n; i++)
        buf_addf(out, "%s\n", l.v[i]);
    lines_free(&l);
    return l.n;
}

void report_json_lint(const struct report *r, struct buf *out)
{
    struct lines l = find_all(r);
    buf_add_c(out, "\"lint\":[");
    for (size_t i = 0; i < l.n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, str_of(l.v[i]));
    }
    buf_add_char(out, ']');
    lines_free(&l);
}
