/* SPDX-License-Identifier: Apache-2.0 */
/* report: the series about a scrape itself. Their labels never change, so they are encoded once per
   target. */
#include "append_private.h"

#include <stdlib.h>

#include "base/alloc.h"

static const char *const NAMES[APPEND_REPORTS] = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
    "scrape_series_current",
    "scrape_series_limit",
    "scrape_series_limit_samples_dropped",
};

size_t append_report_make(struct append_target *t)
{
    struct labels l;
    struct buf *ids = &t->worker->ids, out;
    labels_init(&l, NULL);
    buf_init(&out, SIZE_MAX / 2);
    for (size_t i = 0; i < APPEND_REPORTS; i++) {
        labels_clear(&l);
        for (size_t k = 0; k < t->labels_n; k++)
            labels_push(&l, t->labels[k].name, t->labels[k].value);
        labels_set(&l, STR("__name__"), str_of(NAMES[i]));
        labels_sort(&l);
        buf_clear(ids);
        append_labels_encode(t->worker, &l, ids);
        uint8_t head[WIRE_VARINT_MAX];
        buf_add(&out, head, (size_t)(wire_put_varint(head, (uint64_t)l.n << SERIES_SHIFT) - head));
        buf_add(&out, ids->p, ids->n);
    }
    size_t n = out.n;
    t->reports = xmalloc(n);
    memcpy(t->reports, out.p, n);
    buf_free(&out);
    labels_free(&l);
    return n;
}

/* Prometheus's five always, its three extra ones and vmagent's about series limits when they are asked for. */
static bool is_written(const struct config_job *job, uint64_t series_limit, size_t report)
{
    if (report < APPEND_REPORTS_USUAL)
        return true;
    return report < APPEND_REPORTS_EXTRA ? job->extra_scrape_metrics : series_limit > 0;
}

const char *series_report_name(const struct config_job *job, uint64_t series_limit, size_t n)
{
    for (size_t i = 0; i < APPEND_REPORTS; i++) {
        if (is_written(job, series_limit, i) && n-- == 0)
            return NAMES[i];
    }
    return NULL;
}

void append_report_write(struct append_target *t, int64_t ts_ms, const double values[APPEND_REPORTS])
{
    const uint8_t *p = t->reports;
    for (size_t i = 0; i < APPEND_REPORTS; i++) {
        struct series_entry e;
        series_head(p, &e);
        bool written = is_written(t->job, t->settings.series_limit, i);
        p = written ? append_write_entry(t, &e, values[i], ts_ms) : series_skip(&e);
    }
}

void append_mark(struct symbols *sy, const uint8_t *refs, size_t n)
{
    struct series_entry e;
    for (; n; n--) {
        series_head(refs, &e);
        refs = e.ids;
        for (uint32_t left = e.count; left; left--) {
            uint32_t id;
            refs = series_id(refs, &id);
            symbols_mark_pair(sy, id);
        }
    }
}
