/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf: the streaming parser of delimited metric families.

        length | name | help | type | metric | metric | ... | unit | length | name ...
                 `------- carried: one item at a time -------'

   A family may be of any size; what is held of it is its name, help and unit, and one Metric, which is read where
   it lies unless the border of a piece cuts it. Every known writer puts the fields in the order of their numbers,
   so name and type are known before the first metric; a body where they are not is refused. The unit stands behind
   the metrics: a small family is waited for as a whole, to tell its unit first; that of a larger one is told late. */
#include <stdlib.h>

#include "base/alloc.h"
#include "labels.h"
#include "private.h"
#include "protobuf_metric.h"
#include "series_write.h"
#include "wire_field.h"

#define MESSAGE_MAX_DEFAULT ((size_t)16 << 20)
#define CARRY_KEEP ((size_t)128 << 10)
#define SMALL_FAMILY ((size_t)64 << 10)

enum family_field { FAMILY_NAME = 1, FAMILY_HELP = 2, FAMILY_TYPE = 3, FAMILY_METRIC = 4, FAMILY_UNIT = 5 };

struct protobuf_parser {
    struct exposition_handler handler;
    struct metric_reader *metrics;
    size_t max_message;
    struct buf carry; /* the beginning of an item, or a small family, whose end has not come yet */
    uint64_t need;    /* how long it is, as far as one can tell */
    bool in_family, failed;
    bool announced; /* help and type were told: a metric has come */
    uint64_t at;    /* in the body: where the item that is taken begins */
    exposition_error_fn *on_error; /* lenient: told of wrong items, which are stepped over */
    uint64_t left;  /* of the family's bytes, behind the items taken */
    uint64_t skip;  /* of an unknown field's bytes */
    struct metric_family family;
    struct buf name, escaped, help, unit;
};

struct protobuf_parser *protobuf_new(size_t max_message)
{
    struct protobuf_parser *p = xcalloc(1, sizeof *p);
    p->max_message = max_message ? max_message : MESSAGE_MAX_DEFAULT;
    p->metrics = metric_reader_new(p->max_message);
    buf_init(&p->carry, (p->max_message > SMALL_FAMILY ? p->max_message : SMALL_FAMILY) + 2 * WIRE_VARINT_MAX);
    buf_init(&p->unit, SMALL_FAMILY);
    buf_init(&p->name, p->max_message);
    buf_init(&p->escaped, 2 * p->max_message);
    buf_init(&p->help, p->max_message);
    return p;
}

void protobuf_free(struct protobuf_parser *p)
{
    if (!p)
        return;
    metric_reader_free(p->metrics);
    buf_free(&p->carry);
    buf_free(&p->name);
    buf_free(&p->escaped);
    buf_free(&p->help);
    buf_free(&p->unit);
    free(p);
}

void protobuf_begin(struct protobuf_parser *p, const struct exposition_options *options,
                    const struct exposition_handler *handler)
{
    p->handler = *handler;
    p->in_family = p->failed = p->announced = false;
    p->left = p->skip = p->at = 0;
    p->need = 1;
    p->family = (struct metric_family){.number = 1};
    buf_clear(&p->name);
    buf_clear(&p->help);
    buf_clear(&p->unit);
    buf_clear(&p->carry);
    buf_trim(&p->carry, CARRY_KEEP);
    metric_reader_begin(p->metrics, options, handler);
}

/* ---- a family ---- */

/* Must be the last part of the name, or stand before a counter's _total. */
static bool tell_unit(struct protobuf_parser *p, struct str unit, struct err *err)
{
    const struct exposition_handler *h = &p->handler;
    struct str name = buf_str(&p->name), base = name;
    bool total = p->family.type == METRIC_COUNTER && str_ends(name, STR("_total"));
    base.n -= total ? 6 : 0;
    if (!str_is_utf8(unit) || !str_ends(base, unit) || base.n == unit.n || base.p[base.n - unit.n - 1] != '_')
        return err_set(err, "unit \"%.*s\" not a suffix of %s \"%.*s\"", STR_ARG(unit), total ? "counter" : "metric",
                       STR_ARG(name));
    return !h->on_unit || h->on_unit(h->ctx, name, unit);
}

static bool announce_family(struct protobuf_parser *p, struct err *err)
{
    static const enum block_metric_type TYPES[] = {BLOCK_COUNTER,     BLOCK_GAUGE,     BLOCK_SUMMARY,
                                                   BLOCK_UNSPECIFIED, BLOCK_HISTOGRAM, BLOCK_GAUGEHISTOGRAM};
    const struct exposition_handler *h = &p->handler;
    struct str name = buf_str(&p->name), help = buf_str(&p->help);
    p->announced = true;
    if (!name.n)
        return err_set(err, "a metric before the name of its family");
    if (!str_is_utf8(name))
        return err_set(err, "invalid metric name: %.*s", STR_ARG(name));
    if (!str_is_utf8(help))
        return err_set(err, "invalid help for metric \"%.*s\": %.*s", STR_ARG(name), STR_ARG(help));
    if (p->family.type > METRIC_GAUGE_HISTOGRAM)
        return err_set(err, "unknown metric type for metric \"%.*s\": %llu", STR_ARG(name),
                       (unsigned long long)p->family.type);
    buf_clear(&p->escaped);
    series_write_escaped(&p->escaped, name);
    p->family.name = buf_str(&p->escaped);
    p->family.legacy = labels_is_legacy_metric(name);
    if (help.n && h->on_help && !h->on_help(h->ctx, name, help))
        return false;
    if (p->unit.n && !tell_unit(p, buf_str(&p->unit), err))
        return false;
    return !h->on_type || h->on_type(h->ctx, name, TYPES[p->family.type]);
}

/* A family that could not be announced has no name afterwards. */
static bool announce(struct protobuf_parser *p, struct err *err)
{
    if (announce_family(p, err))
        return true;
    p->family.name = STR_NULL;
    return false;
}

/* Told with the family when it is known by then. */
static bool take_unit(struct protobuf_parser *p, struct str unit, struct err *err)
{
    if (!unit.n || (p->announced && p->unit.n))
        return true;
    buf_clear(&p->unit);
    if (!buf_add_str(&p->unit, unit))
        return err_set(err, "too long");
    return !p->announced || tell_unit(p, unit, err);
}

static bool take_text(struct protobuf_parser *p, struct buf *to, struct str text, struct err *err)
{
    if (p->announced && !str_eq(buf_str(to), text))
        return err_set(err, "name or help of the family behind one of its metrics");
    buf_clear(to);
    return buf_add_str(to, text) || err_set(err, "too long");
}

static bool take_type(struct protobuf_parser *p, uint64_t type, struct err *err)
{
    if (p->announced && type != p->family.type)
        return err_set(err, "type of the family behind one of its metrics");
    p->family.type = type;
    return true;
}

static bool take_field(struct protobuf_parser *p, const struct wire_field *f, struct err *err)
{
    switch (f->number) {
    case FAMILY_NAME: return take_text(p, &p->name, f->bytes, err);
    case FAMILY_HELP: return take_text(p, &p->help, f->bytes, err);
    case FAMILY_TYPE: return take_type(p, f->bits, err);
    case FAMILY_UNIT: return take_unit(p, f->bytes, err);
    case FAMILY_METRIC:
        return (p->announced || announce(p, err)) && metric_read(p->metrics, &p->family, f->bytes, err);
    default: return true;
    }
}

/* ---- items ---- */

static bool needs_more(struct protobuf_parser *p, uint64_t need, size_t *used)
{
    p->need = need;
    *used = 0;
    return true;
}

/* A varint at r, which may end before it does: *cut. */
static uint64_t varint(struct wire_reader *r, bool *cut)
{
    const uint8_t *start = r->p;
    uint64_t v = wire_get_varint(r);
    *cut = r->bad && r->p == r->end && r->end - start < WIRE_VARINT_MAX;
    return v;
}

/* Gets ready for the next family when this one has no bytes left. */
static void family_end(struct protobuf_parser *p)
{
    if (p->left || p->skip)
        return;
    p->family = (struct metric_family){.number = p->family.number + 1};
    p->in_family = p->announced = false;
    buf_clear(&p->name);
    buf_clear(&p->help);
    buf_clear(&p->unit);
}

/* The unit of a whole family. What is malformed, its items' turn will tell. */
static void find_unit(struct protobuf_parser *p, struct str family)
{
    struct wire_reader r = wire_open(family);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        if (f.number != FAMILY_UNIT)
            continue;
        buf_clear(&p->unit);
        buf_add_str(&p->unit, f.bytes);
    }
}

static bool take_length(struct protobuf_parser *p, struct str at, size_t *used, struct err *err)
{
    struct wire_reader r = wire_open(at);
    bool cut;
    p->left = varint(&r, &cut);
    if (cut)
        return needs_more(p, at.n + 1, used);
    if (r.bad)
        return err_set(err, "malformed length");
    *used = (size_t)(r.p - (const uint8_t *)at.p);
    if (p->left <= SMALL_FAMILY) {
        if (at.n - *used < p->left)
            return needs_more(p, *used + p->left, used);
        find_unit(p, str_make(at.p + *used, (size_t)p->left));
    }
    p->in_family = true;
    family_end(p);
    return true;
}

/* How long the field at the start of `at` is, all told; of unknown ones only up to the bytes that are skipped then. */
static bool measure(struct protobuf_parser *p, struct str at, uint64_t *size, struct err *err)
{
    struct wire_reader r = wire_open(at);
    bool cut;
    uint64_t tag = varint(&r, &cut), n = 0, field = tag >> 3;
    uint32_t type = (uint32_t)(tag & 7);
    if (!cut && type == WIRE_BYTES)
        n = varint(&r, &cut);
    else if (!cut && type == WIRE_VARINT)
        (void)varint(&r, &cut);
    else if (!cut && (type == WIRE_FIXED64 || type == WIRE_FIXED32))
        n = type == WIRE_FIXED64 ? 8 : 4;
    else if (!cut)
        r.bad = true;
    *size = cut ? at.n + 1 : (uint64_t)(r.p - (const uint8_t *)at.p);
    if (cut)
        return *size <= p->left || err_set(err, "malformed MetricFamily");
    bool known = field >= FAMILY_NAME && field <= FAMILY_UNIT;
    if (r.bad || tag > UINT32_MAX || field == 0 || (known && type != (field == FAMILY_TYPE ? WIRE_VARINT : WIRE_BYTES)))
        return err_set(err, "malformed MetricFamily");
    if (n > p->left - *size)
        return err_set(err, "malformed MetricFamily: a field of %llu bytes where %llu are left", (unsigned long long)n,
                       (unsigned long long)(p->left - *size));
    if (known && n > p->max_message)
        return err_set(err, "a message of %llu bytes, the limit is %zu", (unsigned long long)n, p->max_message);
    if (known)
        *size += n;
    else
        p->skip = n;
    return true;
}

static bool take_item(struct protobuf_parser *p, struct str at, size_t *used, struct err *err)
{
    uint64_t size;
    struct wire_field f;
    p->skip = 0;
    at.n = at.n < p->left ? at.n : (size_t)p->left; /* not a byte of the next family */
    if (!measure(p, at, &size, err))
        return false;
    if (size > at.n)
        return needs_more(p, size, used);
    *used = (size_t)size;
    p->left -= size + p->skip;
    if (!p->skip) {
        struct wire_reader r = wire_open(str_make(at.p, *used));
        if (wire_next(&r, &f) && !take_field(p, &f, err))
            return false;
    }
    family_end(p);
    return true;
}

/* Tells of a wrong item and goes on behind it: behind its family when that cannot be understood any more. False when
   not even the family's end is known. */
static bool step_over(struct protobuf_parser *p, struct str at, size_t *used, const struct err *why)
{
    if (!p->on_error || !p->in_family || !err_is(why))
        return false;
    p->on_error(p->handler.ctx, p->family.number, p->at, buf_str(&p->name), why->msg);
    bool lost = *used == 0 || (p->announced && !p->family.name.n);
    if (lost) {
        size_t rest = at.n - *used;
        rest = rest < p->left ? rest : (size_t)p->left;
        p->skip = p->left - rest;
        p->left = 0;
        *used += rest;
    }
    family_end(p);
    return true;
}

/* Takes one item from the start of `at`, or none (*used 0) when more bytes are needed: p->need. */
static bool take(struct protobuf_parser *p, struct str at, size_t *used, struct err *err)
{
    *used = 0;
    if (!(p->in_family ? take_item(p, at, used, err) : take_length(p, at, used, err))) {
        if (!step_over(p, at, used, err))
            return false;
        err_clear(err);
    }
    p->at += *used;
    return true;
}

static bool fail(struct protobuf_parser *p, const struct err *why, struct err *err)
{
    struct str name = buf_str(&p->name);
    p->failed = true;
    if (!err_is(why))
        return false; /* the handler wants no more */
    if (p->on_error) {
        p->on_error(p->handler.ctx, p->family.number, p->at, name, why->msg);
        return false;
    }
    unsigned long long number = p->family.number;
    if (!name.n || !str_is_utf8(name))
        return err_set(err, "metric family %llu: %s", number, why->msg);
    return err_set(err, "metric family %llu (%.*s): %s", number, name.n < 120 ? (int)name.n : 120, name.p, why->msg);
}

/* Leaves out what of an unknown field is there. */
static struct str skip_some(struct protobuf_parser *p, struct str at)
{
    size_t n = at.n < p->skip ? at.n : (size_t)p->skip;
    if (n) {
        p->skip -= n;
        p->at += n;
        family_end(p);
    }
    return str_skip(at, n);
}

/* Takes from at.p what fits to what is carried; *used says how much. */
static bool feed_carry(struct protobuf_parser *p, struct str at, size_t *used, struct err *err)
{
    size_t missing = (size_t)p->need - p->carry.n, taken;
    *used = at.n < missing ? at.n : missing;
    if (!buf_add(&p->carry, at.p, *used))
        return err_set(err, "a message beyond the limit of %zu bytes", p->max_message);
    if (*used < missing)
        return true;
    struct str item = buf_str(&p->carry);
    do { /* one, or all of a family */
        if (!take(p, item, &taken, err))
            return false;
        item = skip_some(p, str_skip(item, taken));
    } while (taken && item.n);
    if (taken)
        buf_clear(&p->carry);
    return true;
}

static bool feed_some(struct protobuf_parser *p, struct str at, size_t *used, struct err *err)
{
    if (p->skip) {
        *used = at.n - skip_some(p, at).n;
        return true;
    }
    if (p->carry.n)
        return feed_carry(p, at, used, err);
    if (!take(p, at, used, err))
        return false;
    if (*used == 0) {
        *used = at.n;
        buf_add_str(&p->carry, at); /* shorter than the item, which has its limit */
    }
    return true;
}

void protobuf_set_lenient(struct protobuf_parser *p, exposition_error_fn *on_error)
{
    p->on_error = on_error;
}

uint64_t protobuf_line(const struct protobuf_parser *p)
{
    return p->family.number;
}

bool protobuf_feed(struct protobuf_parser *p, const void *bytes, size_t n, struct err *err)
{
    struct str at = {bytes, n};
    struct err why = {0};
    size_t used;
    if (p->failed)
        return false;
    while (at.n) {
        if (!feed_some(p, at, &used, &why))
            return fail(p, &why, err);
        at = str_skip(at, used);
    }
    return true;
}

bool protobuf_finish(struct protobuf_parser *p, struct err *err)
{
    struct err why = {0};
    if (p->failed)
        return false;
    if (!p->in_family && !p->carry.n)
        return true;
    err_set(&why, "unexpected EOF");
    return fail(p, &why, err);
}
