/* SPDX-License-Identifier: Apache-2.0 */
/* history: a ring of points that the main thread fills and the pages read. Totals are kept, rates are made when they
   are asked for. */
#include "history.h"

#include "web.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* What "lately" means: long enough to even out blocks, short enough to follow a receiver that comes back. */
#define LATELY_MS 120000

struct history {
    pthread_mutex_t lock;
    int64_t due_ms;
    size_t first, n;
    uint64_t taken;
    struct history_point ring[HISTORY_POINTS];
};

struct history *history_new(void)
{
    struct history *h = xcalloc(1, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void history_add(struct history *h, const struct history_point *p)
{
    pthread_mutex_lock(&h->lock);
    struct history_point *place = &h->ring[(h->first + h->n) % HISTORY_POINTS];
    *place = *p;
    place->number = h->taken++;
    if (h->n < HISTORY_POINTS)
        h->n++;
    else
        h->first = (h->first + 1) % HISTORY_POINTS;
    pthread_mutex_unlock(&h->lock);
}

size_t history_copy(struct history *h, struct history_point *out)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->n;
    for (size_t i = 0; i < n; i++)
        out[i] = h->ring[(h->first + i) % HISTORY_POINTS];
    pthread_mutex_unlock(&h->lock);
    return n;
}

/* ---- a point ---- */

/* The second number of /proc/self/statm, in pages. */
static uint64_t read_rss(void)
{
    struct buf b;
    struct err err = {0};
    char *end = NULL;
    uint64_t pages = 0;
    buf_init(&b, 4096);
    if (file_read("/proc/self/statm", 4096, &b, &err)) {
        (void)strtoull(buf_c(&b), &end, 10);
        pages = strtoull(end, NULL, 10);
    }
    buf_free(&b);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void add_book(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                     uint64_t samples)
{
    struct history_point *p = ctx;
    (void)endpoint;
    (void)job;
    (void)reason;
    if (strcmp(kind, "scraped") == 0)
        p->scraped += samples;
    else if (strcmp(kind, "delivered") == 0)
        p->delivered += samples;
    else if (strcmp(kind, "lost") == 0)
        p->lost += samples;
}

static void add_remote(void *ctx, const struct remote_status *r)
{
    struct history_point *p = ctx;
    const struct queue_reader_stats *q = &r->queue;
    p->answers[HISTORY_2XX] += r->responses_2xx;
    p->answers[HISTORY_3XX] += r->responses_3xx;
    p->answers[HISTORY_4XX] += r->responses_4xx;
    p->answers[HISTORY_5XX] += r->responses_5xx;
    p->answers[HISTORY_NO_ANSWER] += r->network_errors;
    p->buffered_samples += q->buffered_samples;
    p->buffered_bytes += q->buffered_bytes;
    if (q->oldest_wall_ms && q->oldest_wall_ms < p->wall_ms)
        p->delay_s = fmax(p->delay_s, (double)(p->wall_ms - q->oldest_wall_ms) / 1000);
}

static void gather(const struct web_sources *sources, int64_t mono_ms, struct history_point *p)
{
    *p = (struct history_point){.wall_ms = clock_wall_ms(), .mono_ms = mono_ms, .rss_bytes = read_rss(),
                                .cpu_s = (double)clock_cpu_ns() / 1e9};
    if (sources->ledger)
        ledger_each(sources->ledger, add_book, p);
    if (sources->queue) {
        struct queue_stats q;
        queue_stats(sources->queue, &q);
        p->ram_bytes = q.ram_bytes;
        p->disk_bytes = q.disk_bytes;
    }
    if (sources->remote)
        remote_each(sources->remote, add_remote, p);
}

void history_tick(struct history *h, const struct web_sources *sources, int64_t mono_ms)
{
    struct history_point p;
    if (mono_ms < h->due_ms)
        return;
    /* On a grid, so that late ticks do not add up; after a long sleep the grid begins anew. */
    h->due_ms += HISTORY_INTERVAL_MS;
    if (h->due_ms <= mono_ms)
        h->due_ms = mono_ms + HISTORY_INTERVAL_MS;
    gather(sources, mono_ms, &p);
    history_add(h, &p);
}

/* ---- values ---- */

static double total_of(const struct history_point *p, enum history_value what)
{
    switch (what) {
    case HISTORY_SCRAPED_RATE:
        return (double)p->scraped;
    case HISTORY_DELIVERED_RATE:
        return (double)p->delivered;
    case HISTORY_LOST_RATE:
        return (double)p->lost;
    case HISTORY_CPU:
        return p->cpu_s * 100;
    default:
        return (double)p->answers[what - HISTORY_RATE_2XX];
    }
}

/* Totals of endpoints shrink when one is removed: then nothing is known of that moment. */
static double rate_of(const struct history_point *v, size_t i, enum history_value what)
{
    if (i == 0 || v[i].mono_ms <= v[i - 1].mono_ms)
        return NAN;
    double before = total_of(&v[i - 1], what), now = total_of(&v[i], what);
    return now < before ? NAN : (now - before) * 1000 / (double)(v[i].mono_ms - v[i - 1].mono_ms);
}

double history_value(const struct history_point *v, size_t i, enum history_value what)
{
    switch (what) {
    case HISTORY_DELAY:
        return v[i].delay_s;
    case HISTORY_BUFFERED_SAMPLES:
        return (double)v[i].buffered_samples;
    case HISTORY_BUFFERED_BYTES:
        return (double)v[i].buffered_bytes;
    case HISTORY_RAM_BYTES:
        return (double)v[i].ram_bytes;
    case HISTORY_DISK_BYTES:
        return (double)v[i].disk_bytes;
    case HISTORY_RSS:
        return v[i].rss_bytes ? (double)v[i].rss_bytes : NAN;
    default:
        return rate_of(v, i, what);
    }
}

const char *history_value_name(enum history_value what)
{
    static const char *const NAMES[HISTORY_VALUES] = {
        [HISTORY_SCRAPED_RATE] = "scraped_per_second",
        [HISTORY_DELIVERED_RATE] = "delivered_per_second",
        [HISTORY_LOST_RATE] = "lost_per_second",
        [HISTORY_DELAY] = "delay_seconds",
        [HISTORY_BUFFERED_SAMPLES] = "buffered_samples",
        [HISTORY_BUFFERED_BYTES] = "buffered_bytes",
        [HISTORY_RAM_BYTES] = "buffer_ram_bytes",
        [HISTORY_DISK_BYTES] = "buffer_disk_bytes",
        [HISTORY_RATE_2XX] = "answers_2xx_per_second",
        [HISTORY_RATE_3XX] = "answers_3xx_per_second",
        [HISTORY_RATE_4XX] = "answers_4xx_per_second",
        [HISTORY_RATE_5XX] = "answers_5xx_per_second",
        [HISTORY_RATE_NO_ANSWER] = "no_answer_per_second",
        [HISTORY_CPU] = "cpu_percent",
        [HISTORY_RSS] = "resident_memory_bytes",
    };
    return NAMES[what];
}

/* The first point of the time that is "lately", and in *s how long that is; 0 = too little is known. */
static const struct history_point *lately(const struct history_point *v, size_t n, double *s)
{
    size_t i = n ? n - 1 : 0;
    *s = 0;
    if (n < 2)
        return v;
    while (i > 0 && v[n - 1].mono_ms - v[i - 1].mono_ms <= LATELY_MS)
        i--;
    *s = (double)(v[n - 1].mono_ms - v[i].mono_ms) / 1000;
    return &v[i];
}

double history_growth(const struct history_point *v, size_t n)
{
    double s;
    const struct history_point *first = lately(v, n, &s);
    if (s <= 0)
        return 0;
    /* The disk is what has a cap; before the first file is written, what waits tells how fast it will fill. */
    const struct history_point *last = &v[n - 1];
    if (last->disk_bytes != first->disk_bytes)
        return ((double)last->disk_bytes - (double)first->disk_bytes) / s;
    return ((double)last->buffered_bytes - (double)first->buffered_bytes) / s;
}

double history_scraped(const struct history_point *v, size_t n)
{
    double s;
    const struct history_point *first = lately(v, n, &s);
    return s > 0 ? (double)(v[n - 1].scraped - first->scraped) / s : 0;
}

/* ---- JSON ---- */

static void add_column(struct buf *out, const struct history_point *v, size_t from, size_t n, enum history_value what)
{
    buf_addf(out, ",\"%s\":[", history_value_name(what));
    for (size_t i = from; i < n; i++) {
        double x = history_value(v, i, what);
        if (i > from)
            buf_add_char(out, ',');
        if (isnan(x))
            buf_add_c(out, "null");
        else
            buf_addf(out, "%.*f", x < 1000 && x != floor(x) ? 3 : 0, x);
    }
    buf_add_char(out, ']');
}

void history_json(const struct history_point *v, size_t n, uint64_t from, struct buf *out)
{
    size_t first = 0;
    while (first < n && v[first].number < from)
        first++;
    buf_addf(out, "{\"interval_seconds\":%d,\"next\":%" PRIu64 ",\"time\":[", HISTORY_INTERVAL_MS / 1000,
             n ? v[n - 1].number + 1 : 0);
    for (size_t i = first; i < n; i++)
        buf_addf(out, "%s%" PRId64, i > first ? "," : "", v[i].wall_ms);
    buf_add_char(out, ']');
    for (int what = 0; what < HISTORY_VALUES; what++)
        add_column(out, v, first, n, (enum history_value)what);
    buf_add_char(out, '}');
}
