/* SPDX-License-Identifier: Apache-2.0 */
/* find_rounds: what the second scrape of --twice shows beside the first: counters that fell, series that came and went,
   and whose labels' values these are. Of a body with very many series only a sample is compared. */
#include "find.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "map.h"
#include "sampled.h"

#include <inttypes.h>
#include <stdlib.h>

#define SERIES_MAX ((size_t)1 << 17)
#define PAIRS_MAX ((size_t)24575) /* what fits into 32768 places of a map */
#define LABELS_MAX ((size_t)512)
#define FAMILIES_MAX ((size_t)1 << 16)
#define NAMES_SHOWN ((size_t)3)

enum { PAIR_OLD = 1, PAIR_NEW = 2 };

/* A family or label name, and what was counted for it. */
struct named {
    char *name;
    uint64_t first, stayed, fresh; /* series of a family in the first round, in both, in the second only */
    uint64_t values;               /* of a label: that the first round did not have */
    uint64_t line;                 /* of the first fresh one */
};

struct names {
    struct named *v;
    size_t n, cap, max;
    struct map by_hash; /* -> index + 1 */
};

struct kept {
    double value;
    size_t family;
};

struct rounds {
    struct findings *to;
    unsigned round;
    struct sampled series; /* of the first round -> index in kept + 1 */
    struct kept *kept;
    size_t kept_n, kept_cap;
    struct sampled pairs;  /* label and value -> PAIR_ */
    struct names families, labels;
    double started[2]; /* process_start_time_seconds, 0 = not exposed */
};

/* NULL when there are too many. */
static struct named *named_at(struct names *names, struct str name)
{
    uint64_t hash = hash_bytes(name.p, name.n);
    const uint64_t *index = map_find(&names->by_hash, hash);
    if (index)
        return &names->v[*index - 1];
    if (names->n == names->max)
        return NULL;
    names->v = xgrow(names->v, &names->cap, names->n + 1, sizeof *names->v);
    names->v[names->n++] = (struct named){.name = str_dup(name)};
    *map_at(&names->by_hash, hash) = names->n;
    return &names->v[names->n - 1];
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i].name);
    free(names->v);
    map_free(&names->by_hash);
}

static uint64_t pair_key(const struct label *l)
{
    return hash_more(hash_bytes(l->name.p, l->name.n), l->value);
}

/* ---- the first round ---- */

static void remember(struct rounds *r, const struct survey_sample *s)
{
    struct named *f = named_at(&r->families, str_of(s->family->lint.name));
    uint64_t *index = f ? sampled_at(&r->series, s->hash) : NULL;
    if (index) {
        r->kept = xgrow(r->kept, &r->kept_cap, r->kept_n + 1, sizeof *r->kept);
        r->kept[r->kept_n++] = (struct kept){s->raw->value, (size_t)(f - r->families.v)};
        *index = r->kept_n;
    }
    for (size_t i = 0; i < s->labels->n; i++) {
        uint64_t *pair = sampled_at(&r->pairs, pair_key(&s->labels->v[i]));
        if (pair)
            *pair = PAIR_OLD;
    }
}

/* Series of each family, when it is known how far the sample was thinned out. */
static void count_first(struct rounds *r)
{
    for (size_t i = 0; i < r->series.map.size; i++) {
        if (r->series.map.keys[i])
            r->families.v[r->kept[r->series.map.values[i] - 1].family].first++;
    }
}

/* ---- the second ---- */

/* A value that was not there makes a series that was not there. */
static void fresh_values(struct rounds *r, const struct survey_sample *s)
{
    for (size_t i = 0; i < s->labels->n; i++) {
        const struct label *l = &s->labels->v[i];
        uint64_t *pair = sampled_at(&r->pairs, pair_key(l));
        if (!pair || *pair || str_eq_c(l->name, "__name__"))
            continue;
        *pair = PAIR_NEW;
        struct named *label = named_at(&r->labels, l->name);
        if (label)
            label->values++;
    }
}

static void compare(struct rounds *r, const struct survey_sample *s)
{
    bool of_sample;
    const uint64_t *before = sampled_find(&r->series, s->hash, &of_sample);
    struct named *f = of_sample ? named_at(&r->families, str_of(s->family->lint.name)) : NULL;
    if (!f)
        return;
    if (!before) {
        f->line = f->fresh++ ? f->line : s->raw->line;
        return;
    }
    f->stayed++;
    double value = r->kept[*before - 1].value;
    if (!s->raw->histogram.p && find_is_counting(s) && s->raw->value < value) {
        struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
        findings_add(r->to, FINDING_COUNTER_FELL, &at, "%.17g after %.17g", s->raw->value, value);
    }
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct rounds *r = ctx;
    if (s->first_line || r->round > 1)
        return;
    if (str_eq_c(s->name, "process_start_time_seconds"))
        r->started[r->round] = s->raw->value;
    if (r->round == 1) {
        compare(r, s);
        fresh_values(r, s);
        return;
    }
    remember(r, s);
}

/* ---- telling ---- */

static int by_change(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    uint64_t of_x = x->fresh + (x->first - x->stayed), of_y = y->fresh + (y->first - y->stayed);
    return of_x < of_y ? 1 : of_x > of_y ? -1 : strcmp(x->name, y->name);
}

static int by_values(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    return x->values < y->values ? 1 : x->values > y->values ? -1 : strcmp(x->name, y->name);
}

/* "3 new, 1 gone, 9 stayed" of a sample */
static void add_change(const struct rounds *r, const struct named *n, struct buf *out)
{
    unsigned level = r->series.level;
    buf_addf(out, "%" PRIu64 " new, %" PRIu64 " gone, %" PRIu64 " stayed", n->fresh << level,
             (n->first - n->stayed) << level, n->stayed << level);
}

/* Everything, and the labels that it comes from. */
static void tell_all(struct rounds *r)
{
    struct named all = {.name = NULL};
    struct finding_at at = {.subject = STR("all series")};
    struct buf text;
    for (size_t i = 0; i < r->families.n; i++) {
        all.first += r->families.v[i].first;
        all.stayed += r->families.v[i].stayed;
        all.fresh += r->families.v[i].fresh;
    }
    if (!all.fresh && all.first == all.stayed)
        return;
    buf_init(&text, 4096);
    add_change(r, &all, &text);
    if (r->labels.n)
        qsort(r->labels.v, r->labels.n, sizeof *r->labels.v, by_values);
    for (size_t i = 0; i < r->labels.n && i < NAMES_SHOWN; i++)
        buf_addf(&text, "%s%s (%" PRIu64 ")", i ? ", " : "; new values of labels: ", r->labels.v[i].name,
                 r->labels.v[i].values << r->pairs.level);
    findings_add(r->to, FINDING_CHURN, &at, "%s", buf_c(&text));
    buf_free(&text);
}

static void tell_churn(struct rounds *r)
{
    tell_all(r);
    if (r->families.n)
        qsort(r->families.v, r->families.n, sizeof *r->families.v, by_change);
    for (size_t i = 0; i < r->families.n; i++) {
        const struct named *f = &r->families.v[i];
        struct finding_at at = {.line = f->line, .subject = str_of(f->name)};
        struct buf text;
        if (!f->fresh && f->first == f->stayed)
            break;
        buf_init(&text, 4096);
        add_change(r, f, &text);
        findings_add(r->to, FINDING_CHURN, &at, "%s", buf_c(&text));
        buf_free(&text);
    }
}

static void tell_restart(struct rounds *r)
{
    struct finding_at at = {.subject = STR("process_start_time_seconds")};
    if (r->started[0] == r->started[1] || r->started[0] == 0 || r->started[1] == 0)
        return;
    findings_drop(r->to, FINDING_COUNTER_FELL);
    findings_add(r->to, FINDING_RESTART, &at, "the target was started anew between the scrapes");
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct rounds *r = ctx;
    if (r->round == 0) {
        count_first(r);
    } else if (r->round == 1 && counts->samples) {
        tell_churn(r);
        tell_restart(r);
        if (r->series.level)
            findings_cut(r->to, "between the scrapes: only 1 in %u series is compared", 1u << r->series.level);
        sampled_free(&r->series);
        sampled_free(&r->pairs);
    }
    r->round++;
}

/* What half a body lacks has not gone. */
static void on_done(void *ctx, const struct scrape_done *done)
{
    struct rounds *r = ctx;
    if (err_is(&done->probe->error) && done->probe->type != PROBE_TYPE_REFUSED)
        findings_drop(r->to, FINDING_CHURN);
}

static void free_rounds(void *ctx)
{
    struct rounds *r = ctx;
    names_free(&r->families);
    names_free(&r->labels);
    sampled_free(&r->series);
    sampled_free(&r->pairs);
    free(r->kept);
    free(r);
}

struct find_check find_rounds(const struct find_for *to)
{
    if (!to->twice)
        return (struct find_check){0};
    struct rounds *r = xcalloc(1, sizeof *r);
    r->to = to->findings;
    r->series.max = SERIES_MAX;
    r->pairs.max = PAIRS_MAX;
    r->families.max = FAMILIES_MAX;
    r->labels.max = LABELS_MAX;
    return (struct find_check){.watcher = {NULL, on_sample, NULL, on_end, r}, .done = on_done, .free = free_rounds};
}
