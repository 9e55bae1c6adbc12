/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: the register of collectors, and the page made of what they emit. Nothing is stored between pages:
   a metric costs memory only while somebody asks for it. */
#include "metrics.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>

/* Of one metric on one page: 10,000 jobs with some hundred bytes each fit. */
#define METRIC_BYTES_MAX ((size_t)16 << 20)

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };

struct metric_row {
    enum metric_kind kind;
    const char *name;
    const char *help;
};

#define METRICS_ROW(id, kind, name, help) {kind, name, help},
static const struct metric_row ROWS[METRICS_COUNT] = {METRICS_TABLE(METRICS_ROW)};
#undef METRICS_ROW

struct collector {
    metric_collect_fn *fn;
    void *ctx;
};

/* Held while a page is made, so that metrics_unregister waits for it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct collector *collectors;
static size_t collectors_n, collectors_cap;

/* Sample lines by metric: collectors emit in any order, the text format wants each metric in one piece. */
struct metric_out {
    struct buf lines[METRICS_COUNT];
};

void metrics_register(metric_collect_fn *fn, void *ctx)
{
    pthread_mutex_lock(&lock);
    collectors = xgrow(collectors, &collectors_cap, collectors_n + 1, sizeof *collectors);
    collectors[collectors_n++] = (struct collector){fn, ctx};
    pthread_mutex_unlock(&lock);
}

void metrics_unregister(metric_collect_fn *fn, void *ctx)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < collectors_n; i++) {
        if (collectors[i].fn == fn && collectors[i].ctx == ctx) {
            collectors_n--;
            memmove(&collectors[i], &collectors[i + 1], (collectors_n - i) * sizeof *collectors);
            break;
        }
    }
    if (collectors_n == 0) {
        free(collectors);
        collectors = NULL;
        collectors_cap = 0;
    }
    pthread_mutex_unlock(&lock);
}

/* Appends s with \ and line feed escaped; in label values " too. */
static void add_escaped(struct buf *out, const char *s, bool quotes)
{
    for (; *s; s++) {
        if (*s == '\\')
            buf_add_c(out, "\\\\");
        else if (*s == '\n')
            buf_add_c(out, "\\n");
        else if (*s == '"' && quotes)
            buf_add_c(out, "\\\"");
        else
            buf_add_char(out, *s);
    }
}

void metric_emit(struct metric_out *out, enum metric_id id, double value, ...)
{
    struct buf *b = &out->lines[id];
    size_t before = b->n;
    const char *separator = "{";
    va_list ap;
    buf_add_c(b, ROWS[id].name);
    va_start(ap, value);
    for (const char *name; (name = va_arg(ap, const char *)) != NULL; separator = ",") {
        const char *text = va_arg(ap, const char *);
        buf_add_c(b, separator);
        buf_add_c(b, name);
        buf_add_c(b, "=\"");
        add_escaped(b, text ? text : "", true);
        buf_add_char(b, '"');
    }
    va_end(ap);
    buf_add_c(b, *separator == ',' ? "} " : " ");
    buf_add_double(b, value);
    buf_add_char(b, '\n');
    if (b->overflow)
        b->n = before; /* no half line */
}

void metric_emit_histogram(struct metric_out *out, enum metric_id id, const double *bounds, const uint64_t *counts,
                           size_t n, double sum)
{
    struct buf *b = &out->lines[id];
    size_t before = b->n;
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++) {
        all += counts[i];
        buf_addf(b, "%s_bucket{le=\"", ROWS[id].name);
        buf_add_double(b, bounds[i]);
        buf_addf(b, "\"} %llu\n", (unsigned long long)all);
    }
    all += counts[n];
    buf_addf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", ROWS[id].name, (unsigned long long)all, ROWS[id].name);
    buf_add_double(b, sum);
    buf_addf(b, "\n%s_count %llu\n", ROWS[id].name, (unsigned long long)all);
    if (b->overflow)
        b->n = before;
}

static void add_metric(struct buf *out, const struct metric_row *row, const struct buf *lines)
{
    buf_addf(out, "# HELP %s ", row->name);
    add_escaped(out, row->help, false);
    static const char *const KINDS[] = {[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
    buf_addf(out, "\n# TYPE %s %s\n", row->name, KINDS[row->kind]);
    buf_add_str(out, buf_str(lines));
}

void metrics_render(struct buf *out)
{
    struct metric_out page;
    for (size_t i = 0; i < METRICS_COUNT; i++)
        buf_init(&page.lines[i], METRIC_BYTES_MAX);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < collectors_n; i++)
        collectors[i].fn(collectors[i].ctx, &page);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < METRICS_COUNT; i++) {
        if (page.lines[i].n)
            add_metric(out, &ROWS[i], &page.lines[i]);
        buf_free(&page.lines[i]);
    }
}
