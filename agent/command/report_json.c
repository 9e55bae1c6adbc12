/* SPDX-License-Identifier: Apache-2.0 */
/* report_json: the report for programs. Fields are only ever added within a schema version. */
#include "report.h"

#include <inttypes.h>

static void key_text(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "\"%s\":", key);
    if (value)
        buf_add_json(out, str_of(value));
    else
        buf_add_c(out, "null");
    buf_add_char(out, ',');
}

static void key_count(struct buf *out, const char *key, uint64_t n)
{
    buf_addf(out, "\"%s\":%" PRIu64 ",", key, n);
}

static void add_verdict(const struct report *r, struct buf *out)
{
    static const char *const RESULTS[] = {"good", "failed", "usage", "findings"};
    struct err why;
    bool failed = report_failure(r, &why);
    key_count(out, "schema_version", REPORT_SCHEMA_VERSION);
    key_text(out, "target", r->name);
    key_text(out, "result", RESULTS[r->exit]);
    key_count(out, "exit_code", r->exit);
    key_text(out, "error", failed ? why.msg : "");
}

static void add_times(const struct probe_result *p, struct buf *out)
{
    buf_addf(out, "\"times\":{\"dns\":%.9g,\"connect\":%.9g,\"tls\":%.9g,\"first_byte\":%.9g,\"total\":%.9g},",
             p->seconds_dns, p->seconds_connect, p->seconds_tls, p->seconds_first_byte, p->seconds);
}

static void add_answer(const struct report *r, struct buf *out)
{
    const struct probe_result *p = r->probe;
    bool answered = p->status != 0;
    if (answered)
        buf_addf(out, "\"status\":%ld,", p->status);
    else
        buf_add_c(out, "\"status\":null,");
    key_text(out, "content_type", answered ? p->content_type : NULL);
    key_text(out, "content_encoding", answered ? p->encoding : NULL);
    key_text(out, "type_verdict", report_type_verdict(r));
    key_text(out, "type_message", err_is(&p->type_why) ? p->type_why.msg : NULL);
    key_text(out, "protocol", p->raw_bytes ? report_protocol(r) : NULL);
    key_text(out, "set_fallback_scrape_protocol", report_fallback(r));
    key_text(out, "words", p->words[0] ? p->words : NULL);
    add_times(p, out);
}

static void add_counts(const struct report *r, struct buf *out)
{
    const struct survey_counts *c = r->counts;
    key_count(out, "wire_bytes", r->probe->wire_bytes);
    key_count(out, "raw_bytes", r->probe->raw_bytes);
    key_count(out, "samples", c->samples);
    key_count(out, "samples_after_relabeling", r->rehearsal->post_relabel);
    key_count(out, "series", c->series);
    key_count(out, "families", report_families(c));
    key_count(out, "histograms", c->histograms);
    key_count(out, "exemplars", c->exemplars);
    key_count(out, "with_timestamp", c->with_timestamp);
}

static void add_limits(const struct report *r, struct buf *out)
{
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t n = report_limits(r, limits);
    buf_add_c(out, "\"limits\":{");
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s\"%s\":{\"used\":%.9g,\"limit\":", i ? "," : "", limits[i].name, limits[i].used);
        if (limits[i].limit > 0)
            buf_addf(out, "%.15g", limits[i].limit);
        else
            buf_add_c(out, "null");
        buf_addf(out, ",\"exceeded\":%s}", limits[i].exceeded ? "true" : "false");
    }
    buf_add_c(out, "},");
}

static void add_estimate(const struct report *r, struct buf *out)
{
    const struct rehearsal_result *h = r->rehearsal;
    int64_t interval = r->interval_ms;
    if (!h->up || r->probe->raw_bytes == 0) {
        buf_add_c(out, "\"estimate\":null,");
        return;
    }
    buf_addf(out, "\"estimate\":{\"interval_seconds\":%.15g,\"samples_per_scrape\":%" PRIu64 ",\"bytes_per_day\":{",
             (double)interval / 1000, h->sent);
    for (enum rehearsal_way way = REHEARSAL_RW1; way < REHEARSAL_WAYS; way++)
        buf_addf(out, "%s\"%s\":%.0f", way ? "," : "", rehearsal_way_name(way), rehearsal_per_day(h, way, interval));
    buf_add_c(out, "}},");
}

static void add_lists(const struct survey_counts *c, struct buf *out)
{
    key_count(out, "errors", c->errors);
    buf_add_c(out, "\"first_errors\":[");
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        buf_addf(out, "%s{\"line\":%" PRIu64 ",\"column\":%" PRIu64 ",", i ? "," : "", e->line, e->column);
        key_text(out, "why", e->why);
        buf_add_c(out, "\"text\":");
        buf_add_json(out, str_of(e->text));
        buf_add_char(out, '}');
    }
    buf_add_c(out, "],");
    key_count(out, "duplicates", c->duplicates);
    buf_add_c(out, "\"first_duplicates\":[");
    for (size_t i = 0; i < c->first_duplicates_n; i++) {
        const struct survey_duplicate *d = &c->first_duplicates[i];
        buf_addf(out, "%s{\"line\":%" PRIu64 ",\"first_line\":%" PRIu64 ",\"series\":", i ? "," : "", d->line,
                 d->first_line);
        buf_add_json(out, str_of(d->series));
        buf_add_char(out, '}');
    }
    buf_add_c(out, "],");
}

static void add_load(const struct load_result *l, struct buf *out)
{
    if (!l) {
        buf_add_c(out, "\"load\":null,");
        return;
    }
    buf_add_c(out, "\"load\":{");
    key_count(out, "requests", l->requests);
    key_count(out, "concurrency", l->concurrency);
    key_count(out, "failed", l->failed);
    key_count(out, "wire_bytes", l->wire_bytes);
    key_text(out, "first_error", l->failed ? l->first_error.msg : NULL);
    buf_addf(out, "\"seconds\":%.9g,\"p50\":%.9g,\"p90\":%.9g,\"p99\":%.9g,\"max\":%.9g},", l->seconds, l->p50, l->p90,
             l->p99, l->max);
}

void report_json(const struct report *r, struct buf *out)
{
    buf_add_char(out, '{');
    add_verdict(r, out);
    add_answer(r, out);
    add_counts(r, out);
    add_limits(r, out);
    add_estimate(r, out);
    add_lists(r->counts, out);
    add_load(r->load, out);
    for (size_t i = 0; i < r->analyses->n; i++) {
        if (r->analyses->v[i].json)
            r->analyses->v[i].json(r->analyses->v[i].watcher.ctx, out);
    }
    report_json_lint(r, out);
    buf_add_c(out, "}\n");
}
