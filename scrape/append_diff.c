/* SPDX-License-Identifier: Apache-2.0 */
/* append_diff: a scrape whose series are not those of the last one, line for line. A list of entries is
   drafted:

     known, wherever it stood    its encoded labels are copied from the old list
     unknown                     append_labels makes them

   Old entries are found by the hash of their text: first the one behind the last found (moved blocks stay in
   order), then through a table that lives for this scrape only. A second table holds the final labels, to see
   two texts that end as the same series. What was never found again is what stale.c looks at. */
#include "append_private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

#define TABLE_MIN 64
#define KEEP ((size_t)32 << 10) /* entries; buffers for more are given back after the scrape */

/* ---- tables ---- */

static void table_reset(struct append_table *t, size_t want)
{
    size_t cap = TABLE_MIN;
    while (cap / 4 * 3 <= want)
        cap *= 2;
    if (cap > t->room) {
        free(t->v);
        t->v = xmalloc(cap * sizeof *t->v);
        t->room = cap;
    }
    memset(t->v, 0, cap * sizeof *t->v);
    t->cap = cap;
    t->n = 0;
}

static void table_put(struct append_table *t, uint64_t hash, uint32_t what)
{
    size_t i = (size_t)hash & (t->cap - 1);
    while (t->v[i])
        i = (i + 1) & (t->cap - 1);
    t->v[i] = what + 1;
    t->n++;
}

/* ---- old entries by text ---- */

static uint32_t old_lookup(const struct append_scrape *s, uint64_t hash)
{
    const struct series *old = &s->t->series;
    for (size_t i = (size_t)hash & (s->old.cap - 1); s->old.v[i]; i = (i + 1) & (s->old.cap - 1))
        if (old->hashes[s->old.v[i] - 1] == hash)
            return s->old.v[i] - 1;
    return SERIES_NONE;
}

static uint32_t old_find(const struct append_scrape *s, uint64_t hash)
{
    const struct series *old = &s->t->series;
    if (s->cursor < old->n && old->hashes[s->cursor] == hash && !append_diff_seen(s, s->cursor))
        return s->cursor;
    return old_lookup(s, hash);
}

static void index_old(struct append_scrape *s)
{
    const struct series *old = &s->t->series;
    const uint8_t *p = old->refs;
    struct series_entry e;
    table_reset(&s->old, old->n);
    s->old_at = xgrow(s->old_at, &s->old_at_cap, (size_t)old->n + 1, sizeof *s->old_at);
    s->seen = xgrow(s->seen, &s->seen_cap, old->n / 64 + 1, sizeof *s->seen);
    memset(s->seen, 0, (old->n / 64 + 1) * sizeof *s->seen);
    for (uint32_t i = 0; i < old->n; i++) {
        s->old_at[i] = (uint32_t)(p - old->refs);
        series_head(p, &e);
        p = series_skip(&e);
        if (old_lookup(s, old->hashes[i]) == SERIES_NONE) /* of equal texts the first counts */
            table_put(&s->old, old->hashes[i], i);
    }
    s->old_at[old->n] = old->refs_n;
}

/* ---- new entries by final labels ---- */

/* True when the draft's entry at `place` has exactly these ids. */
static bool same_ids(const struct series_draft *d, uint32_t place, struct str ids, uint32_t count)
{
    struct series_entry e;
    series_head(d->refs + place, &e);
    return e.count == count && (size_t)(e.ids - d->refs) + ids.n <= d->refs_n &&
           memcmp(e.ids, ids.p, ids.n) == 0;
}

static bool finals_find(const struct append_scrape *s, struct str ids, uint32_t count, uint64_t hash)
{
    for (size_t i = (size_t)hash & (s->finals.cap - 1); s->finals.v[i]; i = (i + 1) & (s->finals.cap - 1))
        if (same_ids(&s->draft, s->finals.v[i] - 1, ids, count))
            return true;
    return false;
}

static void finals_rebuild(struct append_scrape *s, size_t want)
{
    const uint8_t *refs = s->draft.refs;
    table_reset(&s->finals, want);
    for (size_t place = 0, next; place < s->draft.refs_n; place = next) {
        struct series_entry e;
        series_head(refs + place, &e);
        next = (size_t)(series_skip(&e) - refs);
        if (!(e.flags & (SERIES_DROPPED | SERIES_DUPLICATE)))
            table_put(&s->finals, hash_bytes(e.ids, next - (size_t)(e.ids - refs)), (uint32_t)place);
    }
}

bool append_diff_has(const struct append_scrape *s, const struct series_entry *e, size_t ids_n)
{
    return finals_find(s, str_make((const char *)e->ids, ids_n), e->count, hash_bytes(e->ids, ids_n));
}

/* ---- families ---- */

static bool cut_suffix(struct str *s, struct str suffix)
{
    if (!str_ends(*s, suffix))
        return false;
    s->n -= suffix.n;
    return true;
}

/* Prometheus's isSeriesPartOfFamily. */
static bool in_family(struct str metric, struct str family, uint8_t type)
{
    if (!family.n || !str_starts(metric, family))
        return false;
    if (type == BLOCK_COUNTER) {
        cut_suffix(&family, STR("_total"));
        cut_suffix(&metric, STR("_total"));
    } else if (type == BLOCK_HISTOGRAM) {
        cut_suffix(&family, STR("_bucket"));
        (void)(cut_suffix(&metric, STR("_bucket")) || cut_suffix(&metric, STR("_sum")) ||
               cut_suffix(&metric, STR("_count")));
    } else if (type == BLOCK_GAUGEHISTOGRAM) {
        (void)(cut_suffix(&metric, STR("_bucket")) || cut_suffix(&metric, STR("_gsum")) ||
               cut_suffix(&metric, STR("_gcount")));
    } else if (type == BLOCK_SUMMARY) {
        (void)(cut_suffix(&metric, STR("_sum")) || cut_suffix(&metric, STR("_count")));
    } else if (type == BLOCK_INFO) {
        cut_suffix(&metric, STR("_info"));
    }
    /* OpenMetrics's _created stands among the others: counted in, they do not cut the family in pieces. */
    if (type == BLOCK_COUNTER || type == BLOCK_HISTOGRAM || type == BLOCK_SUMMARY || type == BLOCK_GAUGEHISTOGRAM)
        cut_suffix(&metric, STR("_created"));
    return str_eq(metric, family);
}

/* The metric name of a series text; empty when it cannot be read. */
static struct str metric_name(struct append_scrape *s, struct str series)
{
    size_t n = 0;
    if (series.n && series.p[0] == '{') {
        struct err ignored = {0};
        arena_reset(&s->arena);
        if (!exposition_parse_series(series, &s->labels, &ignored))
            return STR_NULL;
        return labels_get(&s->labels, STR("__name__"));
    }
    while (n < series.n && series.p[n] != '{' && series.p[n] != ' ' && series.p[n] != '\t')
        n++;
    return str_make(series.p, n);
}

/* Begins a family range at the next entry when a header came or the membership changes. */
static void step_family(struct append_scrape *s, struct str series)
{
    struct append_header *h = &s->header;
    bool member = h->name.n && in_family(metric_name(s, series), buf_str(&h->name), h->type);
    if (!h->fresh && member == s->member)
        return;
    struct series_family family = {
        .first = s->n, .print = h->print, .name = SERIES_NONE, .help = SERIES_NONE, .unit = SERIES_NONE,
        .announced = h->fresh, .member = member};
    if (member) {
        family.name = symbols_string(s->t->worker->symbols, buf_str(&h->name));
        family.type = h->type;
        if (h->help.n)
            family.help = symbols_string(s->t->worker->symbols, buf_str(&h->help));
        if (h->unit.n)
            family.unit = symbols_string(s->t->worker->symbols, buf_str(&h->unit));
    }
    series_draft_family(&s->draft, &family);
    h->fresh = false;
    s->member = member;
}

/* ---- samples ---- */

void append_diff_enter(struct append_scrape *s)
{
    const struct series *old = &s->t->series;
    s->diff = true;
    series_draft_clear(&s->draft);
    index_old(s);
    series_draft_prefix(&s->draft, old, s->n);
    for (uint32_t i = 0; i < s->n; i++)
        s->seen[i / 64] |= 1ull << (i % 64);
    finals_rebuild(s, old->n + 16);
    s->cursor = s->n;
    s->scraped = s->n;
    s->post_relabel = s->n - s->draft.dropped;
    s->appended = s->post_relabel - s->draft.duplicates - s->draft.limited;
    s->member = s->draft.families_n && s->draft.families[s->draft.families_n - 1].member;
}

static bool push(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash,
                 struct str ids, uint32_t count, uint32_t flags)
{
    if (!series_draft_add(&s->draft, hash, (const uint8_t *)ids.p, ids.n, count, flags))
        return err_set(&s->err, "too many series in one scrape");
    s->values = xgrow(s->values, &s->values_cap, (size_t)s->n + 1, sizeof *s->values);
    s->values[s->n] = sample->value;
    append_extra_note(s, sample, flags & SERIES_DROPPED);
    s->n++;
    return true;
}

/* Adds a series that rules kept. */
static bool keep(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash,
                 struct str ids, uint32_t count, bool unknown)
{
    uint64_t sample_limit = s->t->settings.sample_limit, ids_hash = hash_bytes(ids.p, ids.n);
    bool again = finals_find(s, ids, count, ids_hash);
    s->appended += !again || sample->has_ts;
    if (sample_limit && s->appended > sample_limit) {
        s->over_limit = true;
        return true;
    }
    if (unknown && !again && !(sample->has_ts && sample->ts_ms > s->max_ts_ms))
        s->added++;
    if (!again) {
        if (s->finals.n + 1 >= s->finals.cap / 4 * 3)
            finals_rebuild(s, s->finals.n + 1);
        table_put(&s->finals, ids_hash, (uint32_t)s->draft.refs_n);
    }
    return push(s, sample, hash, ids, count, again ? SERIES_DUPLICATE : 0);
}

static bool unknown_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash);

static bool known_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash,
                         uint32_t at)
{
    const struct series *old = &s->t->series;
    struct series_entry e;
    series_head(old->refs + s->old_at[at], &e);
    s->seen[at / 64] |= 1ull << (at % 64);
    s->cursor = at + 1;
    uint32_t kind = e.flags & SERIES_LIMITED;
    if (kind == SERIES_LIMITED && append_limit_room(s))
        return unknown_sample(s, sample, hash);
    s->post_relabel += kind != SERIES_DROPPED;
    if (s->over_limit)
        return true;
    step_family(s, sample->series);
    if (kind & SERIES_DROPPED)
        return push(s, sample, hash, STR_NULL, 0, kind);
    size_t ids_n = (size_t)(old->refs + s->old_at[at + 1] - e.ids);
    return keep(s, sample, hash, str_make((const char *)e.ids, ids_n), e.count, false);
}

static bool unknown_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash)
{
    if (!s->over_limit)
        step_family(s, sample->series);
    enum series_made made = append_labels_make(s, sample);
    if (made == SERIES_IS_WRONG)
        return false;
    s->post_relabel += made == SERIES_IS_KEPT;
    if (s->over_limit)
        return true;
    if (made == SERIES_IS_DROPPED)
        return push(s, sample, hash, STR_NULL, 0, SERIES_DROPPED);
    struct buf *ids = &s->t->worker->ids;
    if (!append_limit_take(s))
        return push(s, sample, hash, STR_NULL, 0, SERIES_LIMITED);
    buf_clear(ids);
    append_labels_encode(s->t->worker, &s->labels, ids);
    return keep(s, sample, hash, buf_str(ids), (uint32_t)s->labels.n, true);
}

bool append_diff_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash)
{
    s->scraped++;
    uint32_t at = old_find(s, hash);
    return at == SERIES_NONE ? unknown_sample(s, sample, hash) : known_sample(s, sample, hash, at);
}

static void tables_free(struct append_scrape *s)
{
    free(s->old.v);
    free(s->finals.v);
    free(s->old_at);
    free(s->seen);
    s->old = s->finals = (struct append_table){0};
    s->old_at = NULL;
    s->seen = NULL;
    s->old_at_cap = s->seen_cap = 0;
}

void append_diff_free(struct append_scrape *s)
{
    series_draft_free(&s->draft);
    tables_free(s);
}

void append_diff_release_tables(struct append_scrape *s)
{
    if (s->old_at_cap > KEEP || s->finals.room > KEEP * 4)
        tables_free(s);
}

void append_diff_trim(struct append_scrape *s)
{
    append_diff_release_tables(s);
    if (s->draft.hashes_cap > KEEP || s->draft.refs_cap > KEEP * 32)
        series_draft_free(&s->draft);
}
