/* SPDX-License-Identifier: Apache-2.0 */
/* series: the memory of one target's series. Stored exactly sized, because there are millions of entries;
   built in buffers that grow and are shared by all targets of a worker. */
#include "series.h"

#include <stdlib.h>

#include "base/alloc.h"

#define REFS_MAX (UINT32_MAX / 2)
#define MALLOC_OVERHEAD 16
#define GIVE_AWAY ((size_t)32 << 10) /* entries */

void series_free(struct series *s)
{
    free(s->hashes);
    free(s->refs);
    memset(s, 0, sizeof *s);
}

static size_t hashes_size(size_t n, size_t families_n)
{
    return n * sizeof(uint64_t) + families_n * sizeof(struct series_family);
}

static void take_over(struct series *s, struct series_draft *d)
{
    s->hashes = xrealloc(d->hashes, hashes_size(s->n, s->families_n));
    s->refs = xrealloc(d->refs, s->refs_n);
    d->hashes = NULL;
    d->refs = NULL;
    d->hashes_cap = d->refs_cap = 0;
}

static void copy(struct series *s, const struct series_draft *d)
{
    s->hashes = xmalloc(hashes_size(s->n, s->families_n));
    memcpy(s->hashes, d->hashes, s->n * sizeof *s->hashes);
    s->refs = xmalloc(s->refs_n);
    memcpy(s->refs, d->refs, s->refs_n);
}

void series_store(struct series *s, struct series_draft *d)
{
    series_free(s);
    s->dropped = d->dropped;
    s->duplicates = d->duplicates;
    s->limited = d->limited;
    if (d->n == 0)
        return;
    s->n = (uint32_t)d->n;
    s->families_n = (uint32_t)d->families_n;
    s->refs_n = (uint32_t)d->refs_n;
    if (d->n > GIVE_AWAY)
        take_over(s, d);
    else
        copy(s, d);
    s->families = (struct series_family *)(s->hashes + s->n);
    if (s->families_n)
        memcpy(s->families, d->families, s->families_n * sizeof *s->families);
    if (d->hashes)
        series_draft_clear(d);
    else
        series_draft_free(d);
}

size_t series_bytes(const struct series *s)
{
    return s->n ? hashes_size(s->n, s->families_n) + s->refs_n + 2 * MALLOC_OVERHEAD : 0;
}

/* ---- drafts ---- */

void series_draft_free(struct series_draft *d)
{
    free(d->hashes);
    free(d->families);
    free(d->refs);
    memset(d, 0, sizeof *d);
}

void series_draft_clear(struct series_draft *d)
{
    d->n = d->families_n = d->refs_n = 0;
    d->dropped = d->duplicates = d->limited = 0;
}

bool series_draft_add(struct series_draft *d, uint64_t hash, const uint8_t *ids, size_t ids_n, uint32_t count,
                      uint32_t flags)
{
    if (ids_n > REFS_MAX || d->refs_n + ids_n > REFS_MAX || d->n >= SERIES_NONE / 2)
        return false;
    d->hashes = xgrow(d->hashes, &d->hashes_cap, d->n + 1, sizeof *d->hashes);
    d->refs = xgrow(d->refs, &d->refs_cap, d->refs_n + WIRE_VARINT_MAX + ids_n, 1);
    d->hashes[d->n++] = hash;
    uint8_t *p = wire_put_varint(d->refs + d->refs_n, (uint64_t)count << SERIES_SHIFT | flags);
    if (ids_n)
        memcpy(p, ids, ids_n);
    d->refs_n = (size_t)(p - d->refs) + ids_n;
    uint32_t kind = flags & SERIES_LIMITED;
    d->dropped += kind == SERIES_DROPPED;
    d->duplicates += kind == SERIES_DUPLICATE;
    d->limited += kind == SERIES_LIMITED;
    return true;
}

void series_draft_family(struct series_draft *d, const struct series_family *family)
{
    d->families = xgrow(d->families, &d->families_cap, d->families_n + 1, sizeof *d->families);
    d->families[d->families_n++] = *family;
}

void series_draft_prefix(struct series_draft *d, const struct series *s, uint32_t entries)
{
    const uint8_t *p = s->refs;
    struct series_entry e;
    for (uint32_t i = 0; i < entries; i++) {
        series_head(p, &e);
        p = series_skip(&e);
        (void)series_draft_add(d, s->hashes[i], e.ids, (size_t)(p - e.ids), e.count, e.flags);
    }
    for (uint32_t i = 0; i < s->families_n && s->families[i].first < entries; i++)
        series_draft_family(d, &s->families[i]);
}
