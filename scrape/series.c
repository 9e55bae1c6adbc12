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
    memset(s, 0, sizeof *s);
}

static size_t blob_size(size_t n, size_t families_n, size_t refs_n)
{
    return n * sizeof(uint64_t) + families_n * sizeof(struct series_family) + refs_n;
}

/* The hashes of the draft at the beginning of a new allocation for all three arrays. */
static uint64_t *store_hashes(struct series_draft *d, size_t size)
{
    uint64_t *hashes;
    if (d->n > GIVE_AWAY) {
        hashes = xrealloc(d->hashes, size);
        d->hashes = NULL;
        d->hashes_cap = 0;
    } else {
        hashes = xmalloc(size);
        memcpy(hashes, d->hashes, d->n * sizeof *hashes);
    }
    return hashes;
}

void series_store(struct series *s, struct series_draft *d)
{
    series_free(s);
    s->n = (uint32_t)d->n;
    s->families_n = (uint32_t)d->families_n;
    s->refs_n = (uint32_t)d->refs_n;
    s->dropped = d->dropped;
    s->duplicates = d->duplicates;
    s->limited = d->limited;
    if (s->n == 0) {
        s->families_n = s->refs_n = 0;
        return;
    }
    s->hashes = store_hashes(d, blob_size(s->n, s->families_n, s->refs_n));
    s->families = (struct series_family *)(s->hashes + s->n);
    s->refs = (uint8_t *)(s->families + s->families_n);
    if (s->families_n)
        memcpy(s->families, d->families, s->families_n * sizeof *s->families);
    memcpy(s->refs, d->refs, s->refs_n);
    if (s->n > GIVE_AWAY)
        series_draft_free(d);
    else
        series_draft_clear(d);
}

size_t series_bytes(const struct series *s)
{
    return s->n ? blob_size(s->n, s->families_n, s->refs_n) + MALLOC_OVERHEAD : 0;
}

/* ---- drafts ---- */

void series_draft_free(struct series_draft *d)
{
    free(d->hashes);
    free(d->families);
    free(d->refs);
    free(d->at);
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
    d->at = xgrow(d->at, &d->at_cap, d->n + 1, sizeof *d->at);
    d->refs = xgrow(d->refs, &d->refs_cap, d->refs_n + WIRE_VARINT_MAX + ids_n, 1);
    d->hashes[d->n] = hash;
    d->at[d->n++] = (uint32_t)d->refs_n;
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
