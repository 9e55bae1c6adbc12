/* SPDX-License-Identifier: Apache-2.0 */
/* synth: what there is at some age, and its values. */
#include "synth_private.h"

#include <math.h>
#include <stdio.h>

#include "base/hash.h"

#define FAMILY_THINGS 50 /* of one kind, before a further family begins */
#define FAMILIES_MAX 20  /* of one kind */
#define GOLDEN 0.6180339887498949

/* What a random number is for. */
enum { FOR_POD, FOR_RATE, FOR_PHASE, FOR_PERIOD, FOR_TRACE };

const double synth_bounds[SYNTH_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, INFINITY};
const double synth_observed[SYNTH_BUCKETS] = {0.004, 0.008, 0.02, 0.04, 0.08, 0.2, 0.4, 0.8, 2, 5};
/* Observations fall into the buckets in this order, over and over: so none ever loses one. */
static const uint8_t PATTERN[32] = {4, 3, 5, 4, 2, 6, 4, 3, 5, 7, 4, 3, 1, 5, 4, 2,
                                    6, 3, 4, 5, 8, 4, 3, 0, 4, 2, 5, 9, 3, 4, 6, 4};

uint64_t synth_random(uint64_t seed, uint64_t thing, uint64_t what)
{
    const uint64_t words[3] = {seed, thing, what};
    return hash_bytes(words, sizeof words);
}

struct synth_plan synth_plan(uint64_t series)
{
    struct synth_plan p = {.histograms = series / (4 * (uint64_t)SYNTH_HISTOGRAM_SERIES)};
    uint64_t rest = series - p.histograms * SYNTH_HISTOGRAM_SERIES;
    p.counters = rest - rest / 2;
    p.gauges = rest / 2;
    return p;
}

/* Which life of the thing with this number it is at this age, from 0, and when that began. Things are replaced one
   after another, evenly over the periods: each has its place in the line by the golden ratio, which keeps neighbours
   apart. */
static uint64_t life_of(const struct synth_settings *s, uint64_t thing, int64_t age_ms, int64_t *born_ms)
{
    *born_ms = 0;
    if (s->churn <= 0)
        return 0;
    double place = fmod((double)thing * GOLDEN, 1.0);
    double periods = floor((double)age_ms / (double)s->period_ms);
    uint64_t life = (uint64_t)floor(periods * s->churn + place);
    if (life > 0)
        *born_ms = (int64_t)ceil(((double)life - place) / s->churn) * s->period_ms;
    if (*born_ms > age_ms)
        *born_ms = age_ms;
    return life;
}

static void observe(struct synth_thing *t, uint64_t count)
{
    uint64_t rounds = count / sizeof PATTERN, rest = count % sizeof PATTERN;
    for (size_t i = 0; i < sizeof PATTERN; i++)
        t->buckets[PATTERN[i]] += rounds + (i < rest);
    t->count = count;
    for (size_t i = 0; i < SYNTH_BUCKETS; i++)
        t->sum += (double)t->buckets[i] * synth_observed[i];
    t->sum = round(t->sum * 1000) / 1000;
}

static void fill_value(const struct synth_settings *s, struct synth_thing *t, uint64_t key, double life_s)
{
    double rate = 1 + (double)(synth_random(s->seed, key, FOR_RATE) % 1000) / 10;
    if (t->kind == SYNTH_COUNTER) {
        t->value = floor(rate * life_s);
    } else if (t->kind == SYNTH_GAUGE) {
        double phase = (double)(synth_random(s->seed, key, FOR_PHASE) % 1000) / 1000;
        double period_s = 60 + (double)(synth_random(s->seed, key, FOR_PERIOD) % 600);
        t->value = round((50 + 40 * sin(2 * M_PI * (life_s / period_s + phase))) * 1000) / 1000;
    } else {
        observe(t, (uint64_t)floor(rate * life_s));
    }
}

static void make_thing(const struct synth_settings *s, enum synth_kind kind, uint64_t number, int64_t age_ms,
                       struct synth_thing *t)
{
    int64_t born_ms;
    uint64_t life = life_of(s, number, age_ms, &born_ms);
    uint64_t key = synth_random(s->seed, number, life);
    *t = (struct synth_thing){.kind = kind};
    snprintf(t->id, sizeof t->id, "%llu", (unsigned long long)number);
    snprintf(t->zone, sizeof t->zone, "zone-%u", (unsigned)(number % 3));
    snprintf(t->pod, sizeof t->pod, "synth-%08x", (unsigned)(synth_random(s->seed, key, FOR_POD) & 0xffffffffu));
    fill_value(s, t, key, (double)(age_ms - born_ms) / 1000);
    if (s->exemplars && t->buckets[SYNTH_EXEMPLAR_BUCKET])
        snprintf(t->trace, sizeof t->trace, "%016llx",
                 (unsigned long long)synth_random(s->seed, key, FOR_TRACE + t->count));
}

static void name_family(struct synth_family *f, enum synth_kind kind, uint64_t number)
{
    static const struct {
        const char *name, *unit, *help;
    } KINDS[SYNTH_KINDS] = {
        [SYNTH_COUNTER] = {"events", "", "Made-up events."},
        [SYNTH_GAUGE] = {"level", "", "A made-up level that goes up and down."},
        [SYNTH_HISTOGRAM] = {"latency", "_seconds", "Made-up latencies."},
    };
    f->kind = kind;
    f->help = KINDS[kind].help;
    snprintf(f->name, sizeof f->name, "synth_%s_%02u%s", KINDS[kind].name, (unsigned)number, KINDS[kind].unit);
}

struct writer {
    const struct synth_settings *s;
    enum synth_format format;
    int64_t age_ms, now_ms;
    struct buf *out;
    struct buf messages;
};

/* Things [from, to) are one family. */
static void write_family(struct writer *w, const struct synth_family *f, uint64_t from, uint64_t to)
{
    struct synth_thing thing;
    bool openmetrics = w->format == SYNTH_OPENMETRICS;
    if (w->format != SYNTH_PROTOBUF)
        synth_text_begin(w->out, f, openmetrics);
    for (uint64_t i = from; i < to && !w->out->overflow; i++) {
        make_thing(w->s, f->kind, i, w->age_ms, &thing);
        if (w->format == SYNTH_PROTOBUF)
            synth_protobuf_put(&w->messages, &thing, w->s->native, w->now_ms);
        else
            synth_text_put(w->out, f, &thing, openmetrics);
    }
    if (w->format == SYNTH_PROTOBUF)
        synth_protobuf_end(w->out, f, &w->messages);
}

static void write_kind(struct writer *w, enum synth_kind kind, uint64_t first, uint64_t n)
{
    uint64_t families = (n + FAMILY_THINGS - 1) / FAMILY_THINGS;
    if (families > FAMILIES_MAX)
        families = FAMILIES_MAX;
    for (uint64_t i = 0; i < families; i++) {
        struct synth_family f;
        name_family(&f, kind, i);
        write_family(w, &f, first + n * i / families, first + n * (i + 1) / families);
    }
}

bool synth_write(const struct synth_settings *s, enum synth_format format, int64_t age_ms, int64_t now_ms,
                 struct buf *out)
{
    struct synth_plan p = synth_plan(s->series);
    struct writer w = {s, format, age_ms, now_ms, out, {0}};
    buf_init(&w.messages, out->max);
    write_kind(&w, SYNTH_COUNTER, 0, p.counters);
    write_kind(&w, SYNTH_GAUGE, p.counters, p.gauges);
    write_kind(&w, SYNTH_HISTOGRAM, p.counters + p.gauges, p.histograms);
    if (format == SYNTH_OPENMETRICS)
        buf_add_c(out, "# EOF\n");
    buf_free(&w.messages);
    return !out->overflow;
}
