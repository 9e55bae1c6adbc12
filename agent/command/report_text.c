/* SPDX-License-Identifier: Apache-2.0 */
/* report_text: what the scrape tester says to people. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- pieces ---- */

static void add_plain(struct buf *out, const char *s)
{
    paint_plain(out, str_of(s));
}

static void add_bytes(struct buf *out, double bytes)
{
    static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    for (; bytes >= 999.5 && unit < 4; unit++)
        bytes /= 1000;
    buf_addf(out, unit && bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, UNITS[unit]);
}

static void add_quantity(struct buf *out, enum report_unit unit, double v)
{
    if (unit == REPORT_BYTES)
        add_bytes(out, v);
    else if (unit == REPORT_SECONDS)
        buf_addf(out, v < 1 ? "%.3g ms" : "%.3g s", v < 1 ? v * 1000 : v);
    else
        buf_addf(out, "%.0f", v);
}

/* ---- the answer ---- */

static void add_type(const struct report *r, const struct paint *paint, struct buf *out)
{
    const struct probe_result *p = r->probe;
    const char *fallback = report_fallback(r);
    buf_add_c(out, "content type: ");
    add_plain(out, p->content_type[0] ? p->content_type : "(none)");
    if (p->type == PROBE_TYPE_GOOD) {
        buf_addf(out, " (%s)\n", report_protocol(r));
        return;
    }
    buf_add_char(out, '\n');
    if (p->type == PROBE_TYPE_FALLBACK)
        paint_add(paint, out, PAINT_YELLOW, "  taken for %s by the job's fallback_scrape_protocol\n",
                  report_protocol(r));
    if (p->type == PROBE_TYPE_REFUSED && p->looks_like_html)
        paint_add(paint, out, PAINT_YELLOW, "  this is a web page and not metrics: is the path right?\n");
    else if (fallback)
        paint_add(paint, out, PAINT_YELLOW, "  it looks like %s: set fallback_scrape_protocol: %s\n", fallback,
                  fallback);
}

static void add_answer(const struct report *r, const struct paint *paint, struct buf *out)
{
    const struct probe_result *p = r->probe;
    if (p->status == 0)
        return; /* nobody answered */
    paint_add(paint, out, p->status == 200 ? PAINT_GREEN : PAINT_RED, "status: %ld", p->status);
    buf_add_char(out, '\n');
    if (p->words[0]) {
        buf_add_c(out, "  it said: ");
        add_plain(out, p->words);
        buf_add_char(out, '\n');
    }
    if (p->status == 200)
        add_type(r, paint, out);
    buf_addf(out, "time: dns %.1f ms, connect %.1f ms, tls %.1f ms, first byte %.1f ms, total %.1f ms\n",
             p->seconds_dns * 1000, p->seconds_connect * 1000, p->seconds_tls * 1000,
             p->seconds_first_byte * 1000, p->seconds * 1000);
}

/* ---- the body ---- */

static void add_body(const struct report *r, struct buf *out)
{
    const struct probe_result *p = r->probe;
    const struct survey_counts *c = r->counts;
    buf_addf(out, "bytes: %" PRIu64 " received%s%s, %" PRIu64 " unpacked", p->wire_bytes, p->encoding[0] ? " as " : "",
             p->encoding, p->raw_bytes);
    if (!p->http)
        buf_addf(out, ", read as %s", report_protocol(r));
    if (!p->http && p->looks_like_html)
        buf_add_c(out, "\n  this is a web page and not metrics");
    buf_addf(out, "\nsamples: %" PRIu64 "\nseries: %" PRIu64 "\nfamilies: %" PRIu64 "\n", c->samples, c->series,
             report_families(c));
    if (c->histograms)
        buf_addf(out, "native histograms: %" PRIu64 "\n", c->histograms);
    if (c->exemplars)
        buf_addf(out, "exemplars: %" PRIu64 "\n", c->exemplars);
    if (c->with_timestamp)
        buf_addf(out, "samples with a timestamp: %" PRIu64 "\n", c->with_timestamp);
    if (r->rehearsal->up && r->rehearsal->post_relabel != r->rehearsal->scraped)
        buf_addf(out, "samples after metric_relabel_configs: %" PRIu64 "\n", r->rehearsal->post_relabel);
}

static void add_limits(const struct report *r, const struct paint *paint, struct buf *out)
{
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t n = report_limits(r, limits);
    for (size_t i = 0; i < n; i++) {
        const struct report_limit *l = &limits[i];
        double share = l->limit > 0 ? 100 * l->used / l->limit : 0;
        if (l->limit <= 0)
            continue;
        buf_addf(out, "%s: ", l->name);
        add_quantity(out, l->unit, l->used);
        buf_add_c(out, " of ");
        add_quantity(out, l->unit, l->limit);
        paint_add(paint, out, l->exceeded ? PAINT_RED : share > 80 ? PAINT_YELLOW : PAINT_PLAIN, " (%.*f %%%s)\n",
                  share < 10 ? 1 : 0, share, l->exceeded ? ", exceeded" : "");
    }
}

static void add_estimate(const struct report *r, struct buf *out)
{
    const struct rehearsal_result *h = r->rehearsal;
    int64_t interval = r->interval_ms;
    if (!h->up || r->probe->raw_bytes == 0)
        return;
    buf_addf(out, "a day at %.15gs:", (double)interval / 1000);
    for (enum rehearsal_way way = REHEARSAL_RW1; way < REHEARSAL_WAYS; way++) {
        buf_addf(out, "%s %s ", way ? "," : "", way == REHEARSAL_DISK ? "on disk" : rehearsal_way_name(way));
        add_bytes(out, rehearsal_per_day(h, way, interval));
    }
    buf_addf(out, " (%" PRIu64 " samples a scrape)\n", h->sent);
}

static void add_load(const struct report *r, const struct paint *paint, struct buf *out)
{
    const struct load_result *l = r->load;
    buf_addf(out, "load: %" PRIu64 " requests, %" PRIu64 " at once, in %.3g s: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, ",
             l->requests, l->concurrency, l->seconds, l->p50 * 1000, l->p90 * 1000, l->p99 * 1000);
    buf_addf(out, "max %.1f ms, ", l->max * 1000);
    add_bytes(out, (double)l->wire_bytes);
    buf_add_c(out, " received\n");
    if (l->failed) {
        paint_add(paint, out, PAINT_RED, "  %" PRIu64 " failed, the first: ", l->failed);
        add_plain(out, l->first_error.msg);
        buf_add_char(out, '\n');
    }
}

/* ---- what is wrong ---- */

static void add_more(uint64_t all, size_t shown, struct buf *out)
{
    if (all > shown)
        buf_addf(out, "  and %" PRIu64 " more (--max-errors)\n", all - shown);
}

static void add_error(const struct survey_error *e, const struct paint *paint, struct buf *out)
{
    paint_add(paint, out, PAINT_BOLD, "%" PRIu64 ":%" PRIu64 ":", e->line, e->column);
    buf_add_char(out, ' ');
    add_plain(out, e->why);
    if (e->text[0]) {
        buf_add_c(out, "\n    ");
        add_plain(out, e->text);
    }
    if (e->caret) {
        buf_addf(out, "\n    %*s", (int)e->caret - 1, "");
        paint_add(paint, out, PAINT_RED, "^");
    }
    buf_add_char(out, '\n');
}

static void add_errors(const struct report *r, const struct paint *paint, struct buf *out)
{
    const struct survey_counts *c = r->counts;
    if (c->errors == 0 || r->probe->looks_like_html)
        return; /* of a page each line is wrong */
    paint_add(paint, out, PAINT_RED, "errors: %" PRIu64, c->errors);
    buf_add_char(out, '\n');
    if (r->rehearsal->up)
        buf_add_c(out, "  the agent takes the body all the same: it follows quoted strings over the ends of lines\n");
    for (size_t i = 0; i < c->first_errors_n; i++)
        add_error(&c->first_errors[i], paint, out);
    add_more(c->errors, c->first_errors_n, out);
}

/* What people get wrong most often. */
static void add_hint(const struct report *r, const struct paint *paint, struct buf *out)
{
    const char *why = r->probe->error.msg;
    if (strstr(why, "wrong version number"))
        paint_add(paint, out, PAINT_YELLOW, "  there is no TLS on that port: http:// in place of https://?\n");
    else if (!r->probe->http && strstr(why, strerror(ENOENT)) && strchr(r->name, ':'))
        paint_add(paint, out, PAINT_YELLOW, "  a URL begins with http:// or https://\n");
}

void report_text(const struct report *r, const struct paint *paint, struct buf *out)
{
    struct err why;
    paint_add(paint, out, PAINT_BOLD, "target:");
    buf_add_char(out, ' ');
    add_plain(out, r->name);
    buf_add_char(out, '\n');
    add_answer(r, paint, out);
    if (report_failure(r, &why)) {
        paint_add(paint, out, PAINT_RED, "failed:");
        buf_add_char(out, ' ');
        add_plain(out, why.msg);
        buf_add_char(out, '\n');
        add_hint(r, paint, out);
    }
    if (r->probe->raw_bytes || !err_is(&r->probe->error)) {
        add_body(r, out);
        add_limits(r, paint, out);
        add_estimate(r, out);
        add_errors(r, paint, out);
        for (size_t i = 0; i < r->analyses->n; i++) {
            if (r->analyses->v[i].text)
                r->analyses->v[i].text(r->analyses->v[i].watcher.ctx, paint, out);
        }
    }
    if (r->load)
        add_load(r, paint, out);
}
