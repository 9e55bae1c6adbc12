/* SPDX-License-Identifier: Apache-2.0 */
/* report: what the scrape tester says about one target. */
#include "report.h"

#include "base/alloc.h"

#include <inttypes.h>
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

/* ---- text ---- */

static uint64_t count_families(const struct survey_counts *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->families_n; i++)
        n += c->families[i].samples > 0;
    return n;
}

static void add_plain(struct buf *out, const char *s)
{
    paint_plain(out, str_of(s));
}

static void add_http(const struct probe_result *p, struct buf *out)
{
    if (p->status == 0)
        return; /* nobody answered */
    buf_addf(out, "status: %ld\n", p->status);
    buf_add_c(out, "content type: ");
    add_plain(out,
              p->content_type[0] ? p->content_type : "(none: Prometheus 3 wants fallback_scrape_protocol)");
    buf_addf(out, "\ntime: dns %.1f ms, connect %.1f ms, tls %.1f ms, first byte %.1f ms, total %.1f ms\n",
             p->seconds_dns * 1000, p->seconds_connect * 1000, p->seconds_tls * 1000,
             p->seconds_first_byte * 1000, p->seconds * 1000);
}

static void add_duplicates(const struct survey_counts *c, struct buf *out)
{
    if (c->duplicates == 0)
        return;
    buf_addf(out, "duplicate series: %" PRIu64 "\n", c->duplicates);
    for (size_t i = 0; i < c->first_duplicates_n; i++) {
        const struct survey_duplicate *d = &c->first_duplicates[i];
        buf_addf(out, "  line %" PRIu64 ", as in line %" PRIu64 ": ", d->line, d->first_line);
        add_plain(out, d->series);
        buf_add_char(out, '\n');
    }
}

static void add_errors(const struct survey_counts *c, struct buf *out)
{
    if (c->errors == 0)
        return;
    buf_addf(out, "errors: %" PRIu64 "\n", c->errors);
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        buf_addf(out, "%" PRIu64 ":%" PRIu64 ": ", e->line, e->column);
        add_plain(out, e->why);
        buf_add_c(out, "\n    ");
        add_plain(out, e->text);
        buf_add_char(out, '\n');
    }
}

static void add_analyses(const struct report *r, const struct paint *paint, struct buf *out)
{
    for (size_t i = 0; i < r->analyses->n; i++) {
        if (r->analyses->v[i].text)
            r->analyses->v[i].text(r->analyses->v[i].watcher.ctx, paint, out);
    }
}

void report_text(const struct report *r, const struct paint *paint, struct buf *out)
{
    const struct probe_result *p = r->probe;
    const struct survey_counts *c = r->counts;
    buf_addf(out, "target: %s\n", r->name);
    if (p->http)
        add_http(p, out);
    if (err_is(&p->error)) {
        buf_add_c(out, "failed: ");
        add_plain(out, p->error.msg);
        buf_add_char(out, '\n');
        if (p->raw_bytes == 0)
            return;
    }
    buf_addf(out, "bytes: %" PRIu64 " received, %" PRIu64 " unpacked\n", p->wire_bytes, p->raw_bytes);
    buf_addf(out, "samples: %" PRIu64 "\nseries: %" PRIu64 "\nfamilies: %" PRIu64 "\n", c->samples, c->series,
             count_families(c));
    if (c->with_timestamp)
        buf_addf(out, "samples with a timestamp: %" PRIu64 "\n", c->with_timestamp);
    add_duplicates(c, out);
    add_errors(c, out);
    add_analyses(r, paint, out);
}

/* ---- JSON ---- */

static void key_text(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "\"%s\":", key);
    buf_add_json(out, str_of(value));
    buf_add_char(out, ',');
}

static void key_count(struct buf *out, const char *key, uint64_t n)
{
    buf_addf(out, "\"%s\":%" PRIu64 ",", key, n);
}

static void json_probe(const struct probe_result *p, struct buf *out)
{
    if (p->http) {
        buf_addf(out, "\"status\":%ld,", p->status);
        key_text(out, "contentType", p->content_type);
        buf_addf(out,
                 "\"dnsSeconds\":%.9g,\"connectSeconds\":%.9g,\"tlsSeconds\":%.9g,\"firstByteSeconds\":%.9g,",
                 p->seconds_dns, p->seconds_connect, p->seconds_tls, p->seconds_first_byte);
    }
    buf_addf(out, "\"seconds\":%.9g,", p->seconds);
    key_count(out, "wireBytes", p->wire_bytes);
    key_count(out, "rawBytes", p->raw_bytes);
    key_text(out, "error", p->error.msg);
}

static void json_lists(const struct survey_counts *c, struct buf *out)
{
    buf_add_c(out, "\"firstErrors\":[");
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        buf_addf(out, "%s{\"line\":%" PRIu64 ",\"column\":%" PRIu64 ",", i ? "," : "", e->line, e->column);
        key_text(out, "why", e->why);
        buf_add_c(out, "\"text\":");
        buf_add_json(out, str_of(e->text));
        buf_add_char(out, '}');
    }
    buf_add_c(out, "],\"firstDuplicates\":[");
    for (size_t i = 0; i < c->first_duplicates_n; i++) {
        const struct survey_duplicate *d = &c->first_duplicates[i];
        buf_addf(out, "%s{\"line\":%" PRIu64 ",\"firstLine\":%" PRIu64 ",\"series\":", i ? "," : "", d->line,
                 d->first_line);
        buf_add_json(out, str_of(d->series));
        buf_add_char(out, '}');
    }
    buf_add_c(out, "],");
}

static void json_lint(const struct report *r, struct buf *out)
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

void report_json(const struct report *r, struct buf *out)
{
    const struct survey_counts *c = r->counts;
    buf_add_char(out, '{');
    key_text(out, "target", r->name);
    json_probe(r->probe, out);
    key_count(out, "samples", c->samples);
    key_count(out, "series", c->series);
    key_count(out, "families", count_families(c));
    key_count(out, "withTimestamp", c->with_timestamp);
    key_count(out, "duplicates", c->duplicates);
    key_count(out, "errors", c->errors);
    json_lists(c, out);
    for (size_t i = 0; i < r->analyses->n; i++) {
        if (r->analyses->v[i].json)
            r->analyses->v[i].json(r->analyses->v[i].watcher.ctx, out);
    }
    json_lint(r, out);
    buf_add_c(out, "}\n");
}
