/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: a bounded table of what was sent when, and the RW1 request that is being gathered. */
#include "metadata.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/wire.h"

#define TABLE_MAX 16384u          /* families and contents; past it the table starts anew */
#define TABLE_MIN 256u
#define PENDING_MAX (1024 * 1024) /* bytes of one request */

struct entry {
    uint64_t key; /* of family and content, 0 = free */
    int64_t sent_ms;
};

struct metadata {
    struct entry *table; /* open addressing, a power of two, at most half full */
    size_t table_n, table_size;
    struct buf pending;
};

struct metadata *metadata_new(void)
{
    struct metadata *m = xcalloc(1, sizeof *m);
    buf_init(&m->pending, PENDING_MAX);
    return m;
}

void metadata_free(struct metadata *m)
{
    if (!m)
        return;
    buf_free(&m->pending);
    free(m->table);
    free(m);
}

static bool strip(struct str *name, struct str suffix)
{
    if (name->n <= suffix.n || !str_ends(*name, suffix))
        return false;
    name->n -= suffix.n;
    return true;
}

/* For histograms and summaries the name without its _bucket, _sum, _count. A counter's _total and an info's _info stay:
   in the text format they belong to the family's name, and that is where people look. */
static struct str family_of(struct str metric, enum block_metric_type type)
{
    static const struct str SUFFIXES[] = {
        {"_bucket", 7}, {"_sum", 4}, {"_count", 6}, {"_gsum", 5}, {"_gcount", 7},
    };
    size_t from = SIZE_MAX, to = 0;
    if (type == BLOCK_HISTOGRAM) {
        from = 0;
        to = 3;
    } else if (type == BLOCK_SUMMARY) {
        from = 1;
        to = 3;
    } else if (type == BLOCK_GAUGEHISTOGRAM) {
        from = 0;
        to = 5;
    }
    for (size_t i = from; i < to; i++) {
        if (strip(&metric, SUFFIXES[i]))
            break;
    }
    return metric;
}

static struct entry *find(struct entry *table, size_t size, uint64_t key)
{
    size_t i = (size_t)key & (size - 1);
    while (table[i].key && table[i].key != key)
        i = (i + 1) & (size - 1);
    return &table[i];
}

static void make_room(struct metadata *m)
{
    if (2 * (m->table_n + 1) <= m->table_size)
        return;
    if (m->table_n >= TABLE_MAX) {
        memset(m->table, 0, m->table_size * sizeof *m->table);
        m->table_n = 0;
        return;
    }
    size_t size = m->table_size ? 2 * m->table_size : TABLE_MIN;
    struct entry *table = xcalloc(size, sizeof *table);
    for (size_t i = 0; i < m->table_size; i++) {
        if (m->table[i].key)
            *find(table, size, m->table[i].key) = m->table[i];
    }
    free(m->table);
    m->table = table;
    m->table_size = size;
}

static size_t text_size(struct str s)
{
    return s.n ? 1 + wire_varint_size(s.n) + s.n : 0;
}

static uint8_t *put_text(uint8_t *p, unsigned field, struct str s)
{
    if (s.n == 0)
        return p;
    *p++ = (uint8_t)WIRE_TAG(field, WIRE_BYTES);
    p = wire_put_varint(p, s.n);
    memcpy(p, s.p, s.n);
    return p + s.n;
}

/* MetricMetadata {type = 1, metric_family_name = 2, help = 4, unit = 5}; the numbers of types are those of
   RW2. */
static bool add(struct buf *out, struct str family, const struct transcode_meta *meta)
{
    size_t inner = 2 + text_size(family) + text_size(meta->help) + text_size(meta->unit);
    size_t whole = 1 + wire_varint_size(inner) + inner;
    uint8_t *start = (uint8_t *)buf_reserve(out, whole);
    if (!start)
        return false;
    uint8_t *p = start;
    *p++ = WIRE_TAG(3, WIRE_BYTES);
    p = wire_put_varint(p, inner);
    *p++ = WIRE_TAG(1, WIRE_VARINT);
    *p++ = (uint8_t)meta->type;
    p = put_text(p, 2, family);
    p = put_text(p, 4, meta->help);
    p = put_text(p, 5, meta->unit);
    out->n += (size_t)(p - start);
    return true;
}

void metadata_note(struct metadata *m, const struct transcode_meta *metas, size_t n, int64_t now_ms,
                   int64_t interval_ms)
{
    for (size_t i = 0; i < n; i++) {
        struct str family = metas[i].native ? metas[i].metric : family_of(metas[i].metric, metas[i].type);
        if (family.n == 0 || (unsigned)metas[i].type > BLOCK_STATESET)
            continue;
        uint64_t key =
            hash_more(hash_more(hash_more((uint64_t)metas[i].type, family), metas[i].help), metas[i].unit);
        key |= key == 0;
        make_room(m);
        struct entry *entry = find(m->table, m->table_size, key);
        if (entry->key && now_ms - entry->sent_ms < interval_ms)
            continue;
        if (!add(&m->pending, family, &metas[i]))
            return;
        m->table_n += entry->key == 0;
        *entry = (struct entry){key, now_ms};
    }
}

struct str metadata_pending(const struct metadata *m)
{
    return buf_str(&m->pending);
}

void metadata_clear(struct metadata *m)
{
    buf_trim(&m->pending, 64 * 1024);
    buf_clear(&m->pending);
}
