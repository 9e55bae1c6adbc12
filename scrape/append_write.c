/* SPDX-License-Identifier: Apache-2.0 */
/* append_write: samples of a scrape that ended well go to the block. Per label pair the encoded references
   are copied (symbols_wire); they are made anew once per block. Where to seal:

     before a target     when its scrape would not fit in what is left, and the block is not empty
     before a family     the same, for a scrape that is larger than a block
     anywhere            when the block is full all the same (a family larger than a block)

   Metadata goes with every series of a family, on the target's first scrape, when it changed, and once a
   minute. */
#include "append_private.h"

#include "base/clock.h"
#include "base/hash.h"

#define META_EVERY_MS 60000
#define WIRE_GUESS 40 /* bytes a sample, before there is experience */
#define META_GUESS 10

/* A walk over the entries of one scrape. */
struct walk {
    struct append_scrape *s;
    const struct append_entries *entries;
    uint32_t boundary; /* entry that begins the next family */
    size_t family;     /* index of that family */
    const struct series_family *now;
    bool with_meta;
    const struct block_meta *meta; /* NULL or &meta_now */
    struct block_meta meta_now;
    uint32_t meta_generation;
    size_t stamp, extra, start; /* places in the lists of what came with samples */
};

/* ---- one sample ---- */

static inline uint32_t present_stamp(struct append_worker *w)
{
    uint32_t generation = block_builder_generation(w->builder);
    if (__builtin_expect(generation != w->generation, 0)) {
        w->generation = generation;
        w->stamp = symbols_stamp(w->symbols, w->builder);
    }
    return w->stamp;
}

static inline const uint8_t *put_entry(struct append_worker *w, const struct series_entry *e, double value,
                                       int64_t ts_ms, const struct block_meta *meta,
                                       const struct block_extra *extra)
{
    struct block_builder *b = w->builder;
    const symbols_wire *wires = symbols_wires(w->symbols);
    uint32_t stamp = present_stamp(w), id;
    uint8_t *out = block_builder_room(b, (size_t)e->count * 6 + SYMBOLS_PAIR_WIRE_MAX);
    const uint8_t *p = e->ids;
    for (uint32_t left = e->count; left; left--) {
        p = series_id(p, &id);
        if (__builtin_expect(!symbols_wire_is_of(wires[id], stamp), 0))
            symbols_renew(w->symbols, b, id);
        out = symbols_put_wire(out, wires[id]);
    }
    if (__builtin_expect(extra != NULL, 0)) {
        block_builder_put_extra(b, out, value, ts_ms, meta, extra);
        w->exemplars += extra->exemplars_n;
        w->histograms += extra->histogram.p != NULL;
    } else {
        block_builder_put(b, out, value, ts_ms, meta);
    }
    return p;
}

static void touch(struct append_worker *w)
{
    if (w->pending_since < 0)
        w->pending_since = clock_mono_ms();
}

const uint8_t *append_write_extra(struct append_target *t, const struct series_entry *e, double value,
                                  int64_t ts_ms, const struct block_extra *extra)
{
    struct append_worker *w = t->worker;
    touch(w);
    const uint8_t *end = put_entry(w, e, value, ts_ms, NULL, extra);
    if (block_builder_full(w->builder)) {
        append_book(t);
        append_flush(w);
    }
    return end;
}

const uint8_t *append_write_entry(struct append_target *t, const struct series_entry *e, double value,
                                  int64_t ts_ms)
{
    return append_write_extra(t, e, value, ts_ms, NULL);
}

void append_book(struct append_target *t)
{
    block_builder_job(t->worker->builder, str_of(t->job->job_name));
}

/* ---- where to seal ---- */

static void seal(struct append_target *t)
{
    append_book(t);
    append_flush(t->worker);
}

/* Seals unless `samples` of about `bytes` fit in what is left of the block. */
static void make_room(struct append_target *t, size_t samples, size_t bytes)
{
    const struct append_worker *w = t->worker;
    size_t had = block_builder_samples(w->builder);
    if (had &&
        (had + samples > w->o.block_samples || block_builder_bytes(w->builder) + bytes > w->o.block_bytes))
        seal(t);
}

/* ---- metadata ---- */

static uint64_t meta_print(const struct append_entries *entries)
{
    uint64_t h = 0;
    for (size_t i = 0; i < entries->families_n; i++)
        if (entries->families[i].announced)
            h = (h ^ entries->families[i].print) * 0x9e3779b97f4a7c15ull;
    return h;
}

static bool meta_due(struct append_scrape *s, const struct append_entries *entries)
{
    struct append_target *t = s->t;
    bool due =
        t->meta_ts_ms == INT64_MIN || s->ts_ms < t->meta_ts_ms || s->ts_ms - t->meta_ts_ms >= META_EVERY_MS;
    if (s->diff || due) {
        uint64_t print = meta_print(entries);
        due = due || print != t->meta_print;
        t->meta_print = print;
    }
    if (due)
        t->meta_ts_ms = s->ts_ms;
    return due;
}

/* Makes walk->meta for the family at hand, with references of the present block. */
static void renew_meta(struct walk *walk)
{
    const struct series_family *f = walk->now;
    struct append_worker *w = walk->s->t->worker;
    walk->meta = NULL;
    walk->meta_generation = block_builder_generation(w->builder);
    if (!walk->with_meta || !f || !f->member ||
        (f->type == BLOCK_UNSPECIFIED && f->help == SERIES_NONE && f->unit == SERIES_NONE))
        return;
    uint32_t help = f->help == SERIES_NONE ? 0 : symbols_ref(w->symbols, w->builder, f->help);
    uint32_t unit = f->unit == SERIES_NONE ? 0 : symbols_ref(w->symbols, w->builder, f->unit);
    walk->meta_now = (struct block_meta){(enum block_metric_type)f->type, help, unit};
    walk->meta = &walk->meta_now;
}

/* ---- the walk ---- */

static void begin_family(struct walk *walk)
{
    const struct append_entries *entries = walk->entries;
    struct append_target *t = walk->s->t;
    uint32_t first = walk->boundary;
    walk->now = &entries->families[walk->family++];
    walk->boundary = walk->family < entries->families_n ? entries->families[walk->family].first : SERIES_NONE;
    size_t size = (walk->boundary == SERIES_NONE ? entries->n : walk->boundary) - first;
    size_t each = entries->n ? t->wire_bytes / entries->n : 0;
    make_room(t, size, size * ((each ? each + each / 4 : WIRE_GUESS) + (walk->with_meta ? META_GUESS : 0)));
    renew_meta(walk);
}

/* Writes a sample and returns the place behind its ids. */
static inline const uint8_t *write_sample(struct walk *walk, const struct series_entry *e, double value,
                                          int64_t ts_ms, const struct block_extra *extra)
{
    struct append_target *t = walk->s->t;
    if (walk->with_meta && walk->meta_generation != block_builder_generation(t->worker->builder))
        renew_meta(walk);
    const uint8_t *end = put_entry(t->worker, e, value, ts_ms, walk->meta, extra);
    if (__builtin_expect(block_builder_full(t->worker->builder), 0)) {
        seal(t);
        touch(t->worker);
    }
    return end;
}

/* The next entry from i on that brought something besides its value; moves the walk's places up to it. */
static uint32_t next_special(struct walk *walk, uint32_t i)
{
    const struct append_scrape *s = walk->s;
    const struct append_extras *x = &s->extras;
    uint32_t next = SERIES_NONE;
    while (walk->stamp < s->stamps_n && s->stamps[walk->stamp].entry < i)
        walk->stamp++;
    if (walk->stamp < s->stamps_n)
        next = s->stamps[walk->stamp].entry;
    while (walk->extra < x->n && x->v[walk->extra].entry < i)
        walk->extra++;
    if (walk->extra < x->n && x->v[walk->extra].entry < next)
        next = x->v[walk->extra].entry;
    while (walk->start < x->starts_n && x->starts[walk->start].to <= i)
        walk->start++;
    if (walk->start < x->starts_n && x->starts[walk->start].from < next)
        next = x->starts[walk->start].from;
    return next < i ? i : next;
}

/* Writes a sample that may have brought an own timestamp, a histogram, exemplars or a start. */
static const uint8_t *write_with(struct walk *walk, const struct series_entry *e, uint32_t i,
                                 const struct append_stamp *stamp, const struct append_extra *extra)
{
    struct append_scrape *s = walk->s;
    const struct append_extras *x = &s->extras;
    int64_t ts_ms = stamp ? stamp->ts_ms : s->ts_ms;
    const struct append_start *start =
        walk->start < x->starts_n && x->starts[walk->start].from <= i ? &x->starts[walk->start] : NULL;
    if (!extra && !start)
        return write_sample(walk, e, s->values[i], ts_ms, NULL);
    struct block_extra made = append_extra_make(s, extra, start, ts_ms);
    return write_sample(walk, e, s->values[i], ts_ms, &made);
}

/* The entry is not plain: it has flags, or its sample brought more than a value. Returns the place behind
   its ids. */
static const uint8_t *write_special(struct walk *walk, uint8_t *head, struct series_entry *e, uint32_t i)
{
    struct append_scrape *s = walk->s;
    struct append_worker *w = s->t->worker;
    const struct append_stamp *stamp =
        walk->stamp < s->stamps_n && s->stamps[walk->stamp].entry == i ? &s->stamps[walk->stamp] : NULL;
    const struct append_extra *extra =
        walk->extra < s->extras.n && s->extras.v[walk->extra].entry == i ? &s->extras.v[walk->extra] : NULL;
    if (e->flags & SERIES_DROPPED)
        return series_skip(e);
    uint32_t flags = (e->flags & SERIES_DUPLICATE) | (stamp ? SERIES_STAMPED : 0u) |
                     (extra && extra->is_histogram ? SERIES_HISTOGRAM : 0u);
    if (flags != e->flags)
        series_set_flags(head, flags);
    if ((flags & SERIES_DUPLICATE) && !stamp) {
        w->duplicate_samples++;
        return series_skip(e);
    }
    if (stamp && stamp->ts_ms > s->max_ts_ms) {
        w->out_of_bounds_samples++;
        return series_skip(e);
    }
    return write_with(walk, e, i, stamp, extra);
}

static void walk_entries(struct walk *walk)
{
    struct append_scrape *s = walk->s;
    uint8_t *p = walk->entries->refs;
    uint32_t special = next_special(walk, 0);
    for (uint32_t i = 0; i < walk->entries->n; i++) {
        struct series_entry e;
        while (i == walk->boundary)
            begin_family(walk);
        series_head(p, &e);
        const uint8_t *end;
        if (__builtin_expect(e.flags == 0 && i != special, 1)) {
            end = write_sample(walk, &e, s->values[i], s->ts_ms, NULL);
        } else {
            end = write_special(walk, p, &e, i);
            if (i == special)
                special = next_special(walk, i + 1);
        }
        p += end - p;
    }
}

void append_write_scrape(struct append_scrape *s, const struct append_entries *entries)
{
    struct append_target *t = s->t;
    struct append_worker *w = t->worker;
    struct walk walk = {.s = s, .entries = entries, .boundary = SERIES_NONE};
    walk.with_meta = meta_due(s, entries);
    size_t guess = t->wire_bytes ? t->wire_bytes + t->wire_bytes / 8 : (size_t)entries->n * WIRE_GUESS;
    make_room(t, (size_t)entries->n + APPEND_REPORTS,
              guess + (walk.with_meta ? entries->n * (size_t)META_GUESS : 0));
    if (entries->n)
        touch(w);
    if (entries->families_n)
        walk.boundary = entries->families[0].first;
    size_t before = block_builder_bytes(w->builder);
    uint32_t generation = block_builder_generation(w->builder);
    walk_entries(&walk);
    if (generation == block_builder_generation(w->builder))
        t->wire_bytes = block_builder_bytes(w->builder) - before;
    else
        t->wire_bytes = (size_t)entries->n * WIRE_GUESS;
}
