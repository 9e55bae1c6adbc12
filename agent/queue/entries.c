/* SPDX-License-Identifier: Apache-2.0 */
/* entries: the log as RAM knows it: which blocks are still owed to whom. */
#include "queue_private.h"

#include "base/alloc.h"

#include <stdlib.h>

/* An emptied array that is larger than this is given back. */
#define KEPT_ENTRIES 4096
/* So many dead entries between living ones are no harm. */
#define DEAD_KEPT 512

struct entry *entry_at(const struct queue *q, size_t i)
{
    return &q->v[q->head + i];
}

size_t entry_lower(const struct queue *q, uint64_t seq)
{
    size_t low = 0, high = q->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_at(q, middle)->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct entry *entry_find(const struct queue *q, uint64_t seq)
{
    size_t i = entry_lower(q, seq);
    return i < q->n && entry_at(q, i)->seq == seq ? entry_at(q, i) : NULL;
}

struct entry *entry_insert(struct queue *q, size_t i, size_t n)
{
    if (q->head > q->n && q->head > 64) {
        memmove(q->v, q->v + q->head, q->n * sizeof *q->v);
        q->head = 0;
    }
    q->v = xgrow(q->v, &q->cap, q->head + q->n + n, sizeof *q->v);
    struct entry *e = &q->v[q->head + i];
    memmove(e + n, e, (q->n - i) * sizeof *e);
    memset(e, 0, n * sizeof *e);
    q->n += n;
    return e;
}

void entry_remove(struct queue *q, size_t i, size_t n)
{
    if (i == 0) {
        q->head += n;
    } else {
        struct entry *e = entry_at(q, i);
        memmove(e, e + n, (q->n - i - n) * sizeof *e);
    }
    q->n -= n;
}

bool entry_is_pending(const struct entry *e, const struct queue_reader *r)
{
    return (e->pending & (1u << r->slot)) != 0;
}

/* The block, when the reader holds it, or NULL. */
static struct block *held_block(const struct entry *e, const struct queue_reader *r)
{
    for (int stream = 0; stream < 2 && e->lane < CURSOR_LANES_MAX; stream++) {
        const struct held *h = &r->out[stream][e->lane];
        for (size_t i = 0; i < h->n; i++) {
            if (h->v[i]->seq == e->seq)
                return h->v[i];
        }
    }
    return NULL;
}

bool entry_is_out(const struct entry *e, const struct queue_reader *r)
{
    return held_block(e, r) != NULL;
}

void entry_set_block(struct queue *q, struct entry *e, struct block *b)
{
    e->block = b;
    q->ram_bytes += b->size;
    q->ram_blocks++;
}

void entry_drop_block(struct queue *q, struct entry *e)
{
    if (!e->block)
        return;
    q->ram_bytes -= e->block->size;
    q->ram_blocks--;
    block_unref(e->block);
    e->block = NULL;
}

void entry_claim(struct entry *e, struct queue_reader *r)
{
    e->pending |= 1u << r->slot;
    r->blocks++;
    r->samples += e->samples;
    r->bytes += e->bytes;
    if (e->seq < r->from_seq)
        r->from_seq = e->seq;
}

/* Nobody needs the entry: its bytes may go. The entry itself stays until it is at the front, or until too many like
   it are between the others. */
static void release(struct queue *q, struct entry *e)
{
    struct log_segment *s = e->segment;
    entry_drop_block(q, e);
    e->segment = NULL;
    if (s)
        segments_leave(q, s, 1);
}

static bool is_dead(const struct entry *e)
{
    return e->pending == 0 && !e->unclaimed;
}

/* The living ones close up. */
static void compact(struct queue *q)
{
    size_t n = 0;
    for (size_t i = 0; i < q->n; i++) {
        struct entry *e = entry_at(q, i);
        if (is_dead(e))
            release(q, e);
        else
            *entry_at(q, n++) = *e;
    }
    q->n = n;
    q->dead = 0;
}

void entries_trim(struct queue *q)
{
    while (q->n && is_dead(entry_at(q, 0))) {
        release(q, entry_at(q, 0));
        q->head++;
        q->n--;
        q->dead -= q->dead > 0;
    }
    if (q->dead > DEAD_KEPT && q->dead > q->n / 2)
        compact(q);
    if (q->n == 0)
        q->head = 0;
    if (q->n == 0 && q->cap > KEPT_ENTRIES) {
        free(q->v);
        q->v = NULL;
        q->cap = 0;
    }
}

void entry_settle(struct queue *q, struct entry *e, struct queue_reader *r)
{
    e->pending &= ~(1u << r->slot);
    r->blocks--;
    r->samples -= e->samples;
    r->bytes -= e->bytes;
    if (e->pending == 0) {
        release(q, e);
        q->dead++;
    }
    entries_trim(q);
    reader_update_cursor(r);
}

/* ---- losing ---- */

/* The readers of mask that e is still owed to and that do not hold it. A reader that holds it may still
   deliver it. */
static uint32_t losers(const struct queue *q, const struct entry *e, uint32_t mask)
{
    uint32_t lose = 0;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        uint32_t bit = 1u << i;
        if ((mask & e->pending & bit) && !entry_is_out(e, q->readers[i]))
            lose |= bit;
    }
    return lose;
}

/* Some reader of mask has it pending and does not hold it. */
static bool entry_can_lose(const struct queue *q, const struct entry *e, uint32_t mask)
{
    return losers(q, e, mask) != 0;
}

static void book_loss(struct queue *q, const struct queue_reader *r, const struct block *jobs,
                      uint32_t samples, enum ledger_reason reason)
{
    if (jobs)
        ledger_lost_block(q->ledger, str_of(r->name), jobs, reason);
    else
        ledger_lost(q->ledger, str_of(r->name), STR(""), reason, samples);
}

void entry_lose(struct queue *q, uint64_t seq, uint32_t mask, enum ledger_reason reason)
{
    struct entry *e = entry_find(q, seq);
    if (!e || !losers(q, e, mask))
        return;
    struct err err = {0};
    int why;
    struct block *jobs = e->block ? block_ref(e->block) : NULL;
    if (!jobs && e->segment)
        jobs = segments_fetch(q, e->segment, e->offset, true, &why, &err);
    e = entry_find(q, seq);
    uint32_t lose = e ? losers(q, e, mask) : 0;
    for (unsigned i = 0; e && i < READERS_MAX; i++) {
        if (!(lose & (1u << i)))
            continue;
        reader_forget_batches(q->readers[i], seq, seq);
        book_loss(q, q->readers[i], jobs, e->samples, reason);
        entry_settle(q, e, q->readers[i]);
        e = entry_find(q, seq);
    }
    block_unref(jobs);
}

void entry_leave_segment(struct queue *q, struct entry *e)
{
    struct log_segment *s = e->segment;
    for (unsigned i = 0; !e->block && i < READERS_MAX; i++) {
        struct block *held = q->readers[i] && entry_is_pending(e, q->readers[i]) ? held_block(e, q->readers[i]) : NULL;
        if (held)
            entry_set_block(q, e, block_ref(held));
    }
    if (!e->block || !s)
        return;
    e->segment = NULL;
    if (e->seq < q->unspilled_from)
        q->unspilled_from = e->seq; /* it is to be written again, behind younger ones */
    segments_leave(q, s, 1);
}

bool entries_drop_oldest_in_ram(struct queue *q)
{
    for (size_t i = entry_lower(q, q->unspilled_from); i < q->n; i++) {
        const struct entry *e = entry_at(q, i);
        if (!e->block || e->segment || !entry_can_lose(q, e, ALL_READERS))
            continue;
        entry_lose(q, e->seq, ALL_READERS, LEDGER_DISK);
        return true;
    }
    return false;
}
