/* SPDX-License-Identifier: Apache-2.0 */
/* report: promtool's findings as a part of the report. */
#include "report.h"

#include "base/alloc.h"

#include <stdlib.h>

/* ---- lint ---- */

struct findings {
    char **lines; /* "METRIC wording" */
    size_t n, cap;
};

static void add_finding(void *ctx, const char *metric, const char *text)
{
    struct findings *f = ctx;
    f->lines = xgrow(f->lines, &f->cap, f->n + 1, sizeof *f->lines);
    f->lines[f->n++] = xasprintf("%s %s", metric, text);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct findings find_all(const struct report *r)
{
    struct findings f = {0};
    for (size_t i = 0; i < r->counts->families_n; i++) {
        if (r->counts->families[i].samples)
            lint_check(&r->counts->families[i].lint, add_finding, &f);
    }
    if (f.n)
        qsort(f.lines, f.n, sizeof *f.lines, compare_lines);
    return f;
}

static void findings_free(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->lines[i]);
    free(f->lines);
}

size_t report_lint(const struct report *r, struct buf *out)
{
    struct findings f = find_all(r);
    for (size_t i = 0; i < f.n; i++)
        buf_addf(out, "%s\n", f.lines[i]);
    findings_free(&f);
    return f.n;
}

void report_json_lint(const struct report *r, struct buf *out)
{
    struct findings f = find_all(r);
    buf_add_c(out, "\"lint\":[");
    for (size_t i = 0; i < f.n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, str_of(f.lines[i]));
    }
    buf_add_char(out, ']');
    findings_free(&f);
}
