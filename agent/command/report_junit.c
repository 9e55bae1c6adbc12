/* SPDX-License-Identifier: Apache-2.0 */
/* report_junit: the report as test results, which every CI knows how to show. */
#include "report.h"

#include "junit.h"

#include <inttypes.h>

static void add_errors(const struct survey_counts *c, struct junit *s)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        buf_addf(&text, "%" PRIu64 ":%" PRIu64 ": %s\n    %s\n", e->line, e->column, e->why, e->text);
    }
    if (c->errors > c->first_errors_n)
        buf_addf(&text, "and %" PRIu64 " more\n", c->errors - c->first_errors_n);
    junit_case(s, "exposition", c->errors ? buf_c(&text) : NULL);
    buf_free(&text);
}

static void add_limits(const struct report *r, struct junit *s)
{
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t n = report_limits(r, limits);
    for (size_t i = 0; i < n; i++) {
        struct err why = {0};
        if (limits[i].limit <= 0)
            continue;
        if (limits[i].exceeded)
            err_set(&why, "%.15g of %.15g", limits[i].used, limits[i].limit);
        junit_case(s, limits[i].name, limits[i].exceeded ? why.msg : NULL);
    }
}

static void add_lint(const struct report *r, struct junit *s)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    size_t n = report_lint(r, &text);
    junit_case(s, "lint", n ? buf_c(&text) : NULL);
    buf_free(&text);
}

static void add_all(const struct report *r, struct junit *s)
{
    struct err why;
    junit_case(s, "scrape", report_failure(r, &why) ? why.msg : NULL);
    if (r->probe->type != PROBE_TYPE_UNKNOWN)
        junit_case(s, "content type", r->probe->type == PROBE_TYPE_GOOD ? NULL : r->probe->type_why.msg);
    if (r->probe->raw_bytes || !err_is(&r->probe->error))
        add_errors(r->counts, s);
    add_limits(r, s);
    if (r->lint)
        add_lint(r, s);
    if (r->load)
        junit_case(s, "load", r->load->failed ? r->load->first_error.msg : NULL);
    for (size_t i = 0; i < r->analyses->n; i++) {
        if (r->analyses->v[i].junit)
            r->analyses->v[i].junit(r->analyses->v[i].watcher.ctx, junit_case, s);
    }
}

void report_junit(const struct report *r, struct buf *out)
{
    struct junit s;
    junit_begin(&s, r->name);
    add_all(r, &s);
    junit_end(&s, r->probe->seconds, out);
}
