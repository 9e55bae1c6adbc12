/* SPDX-License-Identifier: Apache-2.0 */
/* append_extra: what comes with a sample besides its value, kept until the scrape has ended well.

     v:      [ entry 7: message 40 bytes, 1 exemplar ] [ entry 9: 2 exemplars ]
     bytes:  message | exemplar | exemplar | exemplar
             exemplar = value 8, timestamp 8, labels 4, then for each label: name n 4, value n 4, name, value
     starts: [ 3, 5) since ts   [ 9, 10) since ts */
#include "append_private.h"

#include <stdlib.h>

#include "base/alloc.h"

#define EXEMPLAR_RUNES_MAX 128 /* of its labels: Prometheus refuses longer ones */

/* ---- taking ---- */

static size_t runes(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static bool is_good(const struct exposition_exemplar *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->labels_n; i++) {
        if (!str_is_utf8(e->labels[i].name) || !str_is_utf8(e->labels[i].value))
            return false;
        n += runes(e->labels[i].name) + runes(e->labels[i].value);
    }
    return n <= EXEMPLAR_RUNES_MAX;
}

static void add_u32(struct buf *b, size_t v)
{
    uint32_t n = (uint32_t)v;
    buf_add(b, &n, sizeof n);
}

static void add_exemplar(struct buf *b, const struct exposition_exemplar *e, int64_t ts_ms)
{
    buf_add(b, &e->value, sizeof e->value);
    buf_add(b, &ts_ms, sizeof ts_ms);
    add_u32(b, e->labels_n);
    for (size_t i = 0; i < e->labels_n; i++) {
        add_u32(b, e->labels[i].name.n);
        add_u32(b, e->labels[i].value.n);
        buf_add_str(b, e->labels[i].name);
        buf_add_str(b, e->labels[i].value);
    }
}

static void note_extra(struct append_scrape *s, const struct exposition_sample *sample)
{
    struct append_extras *x = &s->extras;
    struct append_extra extra = {.entry = s->n, .at = x->bytes.n};
    if (sample->histogram.p) {
        extra.is_histogram = true;
        extra.message_n = (uint32_t)sample->histogram.n;
        buf_add_str(&x->bytes, sample->histogram);
    }
    int64_t ts_ms = sample->has_ts ? sample->ts_ms : s->ts_ms;
    for (size_t i = 0; i < sample->exemplars_n; i++) {
        const struct exposition_exemplar *e = &sample->exemplars[i];
        if (!is_good(e))
            continue;
        add_exemplar(&x->bytes, e, e->has_ts ? e->ts_ms : ts_ms);
        extra.exemplars_n++;
    }
    if (!extra.is_histogram && extra.exemplars_n == 0)
        return;
    x->v = xgrow(x->v, &x->cap, x->n + 1, sizeof *x->v);
    x->v[x->n++] = extra;
}

static void note_start(struct append_scrape *s, const struct exposition_sample *sample)
{
    struct append_extras *x = &s->extras;
    uint32_t from = sample->started ? s->n - (sample->started < s->n ? sample->started : s->n) : s->n;
    uint32_t to = sample->started ? s->n : s->n + 1;
    struct append_start *last = x->starts_n ? &x->starts[x->starts_n - 1] : NULL;
    if (last && last->to > from)
        from = last->to;
    if (from >= to)
        return;
    if (last && last->to == from && last->ts_ms == sample->start_ts_ms) {
        last->to = to;
        return;
    }
    x->starts = xgrow(x->starts, &x->starts_cap, x->starts_n + 1, sizeof *x->starts);
    x->starts[x->starts_n++] = (struct append_start){from, to, sample->start_ts_ms};
}

void append_extra_note(struct append_scrape *s, const struct exposition_sample *sample, bool dropped)
{
    if (sample->start_ts_ms && (sample->started || !dropped))
        note_start(s, sample);
    if (dropped)
        return;
    if (sample->has_ts) {
        s->stamps = xgrow(s->stamps, &s->stamps_cap, s->stamps_n + 1, sizeof *s->stamps);
        s->stamps[s->stamps_n++] = (struct append_stamp){s->n, sample->ts_ms};
    }
    if (sample->histogram.p || sample->exemplars_n)
        note_extra(s, sample);
}

void append_extra_clear(struct append_extras *x)
{
    x->n = x->starts_n = 0;
    buf_clear(&x->bytes);
}

void append_extra_free(struct append_extras *x)
{
    free(x->v);
    free(x->starts);
    free(x->exemplars);
    free(x->refs);
    buf_free(&x->bytes);
}

/* ---- giving ---- */

static uint32_t get_u32(const char **at)
{
    uint32_t v;
    memcpy(&v, *at, sizeof v);
    *at += sizeof v;
    return v;
}

/* Names are few and go through the symbols; values are mostly unique (trace ids), so they are only written. */
static const char *get_exemplar(struct append_scrape *s, const char *at, size_t *refs_n,
                                struct block_exemplar *out)
{
    struct append_worker *w = s->t->worker;
    struct append_extras *x = &s->extras;
    memcpy(&out->value, at, 8);
    memcpy(&out->ts_ms, at + 8, 8);
    at += 16;
    uint32_t labels = get_u32(&at);
    x->refs = xgrow(x->refs, &x->refs_cap, *refs_n + labels * 2, sizeof *x->refs);
    for (uint32_t i = 0; i < labels; i++) {
        uint32_t name_n = get_u32(&at), value_n = get_u32(&at);
        uint32_t name = symbols_string(w->symbols, str_make(at, name_n));
        x->refs[(*refs_n)++] = symbols_ref(w->symbols, w->builder, name);
        x->refs[(*refs_n)++] = block_builder_intern(w->builder, str_make(at + name_n, value_n));
        at += name_n + value_n;
    }
    out->refs_n = labels * 2;
    return at;
}

struct block_extra append_extra_make(struct append_scrape *s, const struct append_extra *extra,
                                     const struct append_start *start, int64_t ts_ms)
{
    struct append_extras *x = &s->extras;
    struct block_extra out = {0};
    size_t refs_n = 0;
    if (start && start->ts_ms <= ts_ms) /* a start in the future is none */
        out.start_ts_ms = start->ts_ms;
    if (!extra)
        return out;
    const char *at = x->bytes.p + extra->at;
    if (extra->is_histogram)
        out.histogram = str_make(at, extra->message_n);
    at += extra->message_n;
    x->exemplars = xgrow(x->exemplars, &x->exemplars_cap, extra->exemplars_n, sizeof *x->exemplars);
    for (uint32_t i = 0; i < extra->exemplars_n; i++)
        at = get_exemplar(s, at, &refs_n, &x->exemplars[i]);
    const uint32_t *refs = x->refs; /* only now, as it may have moved */
    for (uint32_t i = 0; i < extra->exemplars_n; i++) {
        x->exemplars[i].refs = refs;
        if (refs) /* none when no exemplar has labels; NULL + 0 is not allowed either */
            refs += x->exemplars[i].refs_n;
    }
    out.exemplars = x->exemplars;
    out.exemplars_n = extra->exemplars_n;
    return out;
}
