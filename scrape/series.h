/* SPDX-License-Identifier: Apache-2.0 */
/* series: what is remembered of the series of one target, in the order of its last good scrape.

     hashes:    [ XXH3 of "name{labels}" ] [ ... ]                 8 bytes an entry
     refs:      [ head | pair id | pair id ... ] [ head | ... ]    varints; head = count << 4 | flags
     families:  [ first entry, type, help ] ...                    a few entries share one

   Entries are walked in order, so refs need no offsets. An entry is about 8 + 1 + 2 * labels bytes. */
#ifndef OBSAGENT_SCRAPE_SERIES_H
#define OBSAGENT_SCRAPE_SERIES_H

#include "base/wire.h"

#include <stdint.h>

enum series_flag {
    SERIES_DROPPED = 1,   /* a rule dropped it: no ids */
    SERIES_DUPLICATE = 2, /* an earlier entry has the same labels: only written with an own timestamp */
    SERIES_STAMPED = 4,   /* came with an own timestamp: no stale marker */
    SERIES_HISTOGRAM = 8, /* was a native histogram: its marker is one, too */
    SERIES_LIMITED = SERIES_DROPPED | SERIES_DUPLICATE, /* a series limit kept it out: no ids */
};
#define SERIES_FLAGS 15u
#define SERIES_SHIFT 4
#define SERIES_NONE UINT32_MAX

struct series_family {
    uint32_t first; /* entry that begins it */
    uint32_t print; /* hash of name, type and help, to see a change */
    uint32_t name, help, unit; /* string ids, or SERIES_NONE; a name only for members */
    uint8_t type;   /* enum block_metric_type */
    bool announced; /* HELP or TYPE stands right before it; else the membership changed between two samples */
    bool member;    /* its samples belong to the family that the header names */
};

struct series {
    uint64_t *hashes;
    struct series_family *families; /* behind the hashes, in their allocation */
    uint8_t *refs;
    uint32_t n, families_n, refs_n;
    uint32_t dropped, duplicates, limited;
};

/* The same while it is made: buffers of a running scrape, kept for the next one. */
struct series_draft {
    uint64_t *hashes;
    struct series_family *families;
    uint8_t *refs;
    size_t n, families_n, refs_n;
    size_t hashes_cap, families_cap, refs_cap;
    uint32_t dropped, duplicates, limited; /* dropped: by a rule */
};

/* One decoded head, and the ids behind it. */
struct series_entry {
    uint32_t count, flags;
    const uint8_t *ids;
};

/* Decodes the entry at p and returns the place behind its head. */
static inline const uint8_t *series_head(const uint8_t *p, struct series_entry *out)
{
    uint32_t v = *p & 0x7f;
    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        v |= (uint32_t)(*p & 0x7f) << shift;
    out->count = v >> SERIES_SHIFT;
    out->flags = v & SERIES_FLAGS;
    out->ids = p;
    return p;
}

static inline const uint8_t *series_id(const uint8_t *p, uint32_t *id)
{
    uint32_t v = *p & 0x7f;
    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        v |= (uint32_t)(*p & 0x7f) << shift;
    *id = v;
    return p;
}

/* Steps over the ids of an entry. */
static inline const uint8_t *series_skip(const struct series_entry *e)
{
    const uint8_t *p = e->ids;
    for (uint32_t left = e->count; left; left--)
        while (*p++ & 0x80)
            ;
    return p;
}

static inline bool series_limited(uint32_t flags)
{
    return (flags & SERIES_LIMITED) == SERIES_LIMITED;
}

/* Changes the flags of the entry whose head is at p. */
static inline void series_set_flags(uint8_t *p, uint32_t flags)
{
    *p = (uint8_t)((*p & ~SERIES_FLAGS) | flags);
}

void series_free(struct series *s);
/* Replaces s by exactly what the draft holds, which is empty afterwards. A large draft gives its memory away instead of
   being copied. */
void series_store(struct series *s, struct series_draft *draft);
/* Memory of s with the allocator's overhead. */
size_t series_bytes(const struct series *s);

void series_draft_free(struct series_draft *d);
/* Empties it, keeps its memory. */
void series_draft_clear(struct series_draft *d);
/* Adds an entry: ids_n bytes of encoded ids, count of them. False when a limit of the
   format (4 GiB) is hit. */
bool series_draft_add(struct series_draft *d, uint64_t hash, const uint8_t *ids, size_t ids_n, uint32_t count,
                      uint32_t flags);
void series_draft_family(struct series_draft *d, const struct series_family *family);
/* The first `entries` entries of s, with the families that begin there, become the draft. */
void series_draft_prefix(struct series_draft *d, const struct series *s, uint32_t entries);

#endif
