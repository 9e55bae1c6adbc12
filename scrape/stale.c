/* SPDX-License-Identifier: Apache-2.0 */
/* stale: markers for series that ended. A series is live when its entry is not dropped, not a repetition, and without
   an own timestamp (whose writer manages its time, as Prometheus sees it) unless track_timestamps_staleness is set. */
#include "append_private.h"

#include "base/hash.h"

#define NOT_LIVE (SERIES_DROPPED | SERIES_DUPLICATE)

static bool is_live(const struct append_target *t, const struct series_entry *e)
{
    return !(e->flags & NOT_LIVE) && (!(e->flags & SERIES_STAMPED) || t->job->track_timestamps_staleness);
}

double append_stale_value(void)
{
    uint64_t bits = BLOCK_STALE_BITS;
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

/* A marker, a histogram for a series that was one. Returns the place behind its ids. */
static const uint8_t *put_marker(struct append_target *t, const struct series_entry *e, int64_t ts_ms)
{
    struct block_extra extra = {.histogram = block_stale_histogram};
    return e->flags & SERIES_HISTOGRAM ? append_write_extra(t, e, 0, ts_ms, &extra)
                                       : append_write_entry(t, e, append_stale_value(), ts_ms);
}

uint64_t append_stale_all(struct append_target *t, int64_t ts_ms)
{
    const uint8_t *p = t->series.refs;
    uint64_t written = 0;
    if (t->all_stale || t->job->no_stale_markers)
        return 0;
    for (uint32_t i = 0; i < t->series.n; i++) {
        struct series_entry e;
        series_head(p, &e);
        if (is_live(t, &e)) {
            p = put_marker(t, &e, ts_ms);
            written++;
        } else {
            p = series_skip(&e);
        }
    }
    return written;
}

uint64_t append_stale_vanished(struct append_scrape *s)
{
    struct append_target *t = s->t;
    const struct series *old = &t->series;
    uint64_t written = 0;
    if (t->all_stale || t->job->no_stale_markers)
        return 0;
    for (uint32_t i = 0; i < old->n; i++) {
        struct series_entry e;
        if (append_diff_seen(s, i))
            continue;
        series_head(old->refs + s->old_at[i], &e);
        size_t ids_n = (size_t)(old->refs + s->old_at[i + 1] - e.ids);
        if (!is_live(t, &e) || append_diff_has(s, &e, ids_n))
            continue;
        (void)put_marker(t, &e, s->ts_ms);
        written++;
    }
    return written;
}
