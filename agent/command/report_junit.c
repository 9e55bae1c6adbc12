/* SPDX-License-Identifier: Apache-2.0 */
/* report_junit: the report as test results, which every CI knows how to show. */
#include "report.h"

#include <inttypes.h>

struct suite {
    struct buf cases;
    uint64_t tests, failures;
    const char *name;
};

/* What XML has no way to say becomes '?'. */
static void add_xml(struct buf *out, const char *text)
{
    struct buf plain;
    bool utf8 = str_is_utf8(str_of(text));
    buf_init(&plain, SIZE_MAX);
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        bool bad = (byte < ' ' && byte != '\n') || byte == 127 || (byte > 127 && !utf8);
        buf_add_char(&plain, bad ? '?' : *c);
    }
    buf_add_html(out, buf_str(&plain));
    buf_free(&plain);
}

static void add_case(void *to, const char *name, const char *failure)
{
    struct suite *s = to;
    s->tests++;
    s->failures += failure != NULL;
    buf_add_c(&s->cases, "    <testcase classname=\"");
    add_xml(&s->cases, s->name);
    buf_add_c(&s->cases, "\" name=\"");
    add_xml(&s->cases, name);
    if (!failure) {
        buf_add_c(&s->cases, "\"/>\n");
        return;
    }
    buf_add_c(&s->cases, "\"><failure message=\"");
    struct buf first; /* of many lines */
    buf_init(&first, SIZE_MAX);
    buf_add(&first, failure, strcspn(failure, "\n"));
    add_xml(&s->cases, buf_c(&first));
    buf_free(&first);
    buf_add_c(&s->cases, "\">");
    add_xml(&s->cases, failure);
    buf_add_c(&s->cases, "</failure></testcase>\n");
}

static void add_errors(const struct survey_counts *c, struct suite *s)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        buf_addf(&text, "%" PRIu64 ":%" PRIu64 ": %s\n    %s\n", e->line, e->column, e->why, e->text);
    }
    if (c->errors > c->first_errors_n)
        buf_addf(&text, "and %" PRIu64 " more\n", c->errors - c->first_errors_n);
    add_case(s, "exposition", c->errors ? buf_c(&text) : NULL);
    buf_free(&text);
}

static void add_limits(const struct report *r, struct suite *s)
{
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t n = report_limits(r, limits);
    for (size_t i = 0; i < n; i++) {
        struct err why = {0};
        if (limits[i].limit <= 0)
            continue;
        if (limits[i].exceeded)
            err_set(&why, "%.15g of %.15g", limits[i].used, limits[i].limit);
        add_case(s, limits[i].name, limits[i].exceeded ? why.msg : NULL);
    }
}

static void add_all(const struct report *r, struct suite *s)
{
    struct err why;
    add_case(s, "scrape", report_failure(r, &why) ? why.msg : NULL);
    if (r->probe->type != PROBE_TYPE_UNKNOWN)
        add_case(s, "content type", r->probe->type == PROBE_TYPE_GOOD ? NULL : r->probe->type_why.msg);
    if (r->probe->raw_bytes || !err_is(&r->probe->error))
        add_errors(r->counts, s);
    add_limits(r, s);
    if (r->load)
        add_case(s, "load", r->load->failed ? r->load->first_error.msg : NULL);
    for (size_t i = 0; i < r->analyses->n; i++) {
        if (r->analyses->v[i].junit)
            r->analyses->v[i].junit(r->analyses->v[i].watcher.ctx, add_case, s);
    }
}

void report_junit(const struct report *r, struct buf *out)
{
    struct suite s = {.name = r->name};
    buf_init(&s.cases, SIZE_MAX);
    add_all(r, &s);
    buf_add_c(out, "  <testsuite name=\"");
    add_xml(out, r->name);
    buf_addf(out, "\" tests=\"%" PRIu64 "\" failures=\"%" PRIu64 "\" time=\"%.3f\">\n", s.tests, s.failures,
             r->probe->seconds);
    buf_add_str(out, buf_str(&s.cases));
    buf_add_c(out, "  </testsuite>\n");
    buf_free(&s.cases);
}
