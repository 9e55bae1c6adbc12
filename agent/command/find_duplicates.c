/* SPDX-License-Identifier: Apache-2.0 */
/* find_duplicates: series that stand twice. With timestamps of their own they may, as several points of one series:
   then the same time must come again. */
#include "find.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "sampled.h"

#include <stdlib.h>

#define POINTS_MAX ((size_t)1 << 17)

struct duplicates {
    struct findings *to;
    struct sampled points; /* series and time, of samples with one */
};

/* Whether the series had a sample of this time before. What is not in the sample had not. */
static bool had_point(struct duplicates *d, const struct survey_sample *s)
{
    uint64_t point[2] = {s->hash, (uint64_t)s->raw->ts_ms};
    uint64_t *seen = sampled_at(&d->points, hash_bytes(point, sizeof point));
    bool had = seen && *seen;
    if (seen)
        *seen = 1;
    return had;
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct duplicates *d = ctx;
    bool same_time = !s->raw->has_ts || had_point(d, s);
    struct finding_at at = {s->raw->line, s->first_line, s->raw->series};
    if (s->first_line && same_time)
        findings_add(d->to, FINDING_DUPLICATE_SERIES, &at, "the same series again");
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct duplicates *d = ctx;
    if (counts->level)
        findings_cut(d->to, "duplicates: only 1 in %u series is compared", 1u << counts->level);
    else if (d->points.level)
        findings_cut(d->to, "duplicates: only 1 in %u samples with a time is compared", 1u << d->points.level);
    sampled_free(&d->points);
}

static void free_duplicates(void *ctx)
{
    struct duplicates *d = ctx;
    sampled_free(&d->points);
    free(d);
}

struct find_check find_duplicates(const struct find_for *to)
{
    struct duplicates *d = xcalloc(1, sizeof *d);
    d->to = to->findings;
    d->points.max = POINTS_MAX;
    return (struct find_check){.watcher = {NULL, on_sample, NULL, on_end, d}, .free = free_duplicates};
}
