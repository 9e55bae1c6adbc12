/* SPDX-License-Identifier: Apache-2.0 */
/* entries: the log as RAM knows it: which blocks are still owed to whom, and which segments that keeps alive. */
#include "queue_private.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <unistd.h>

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

struct entry *entry_push(struct queue *q)
{
    if (q->head > q->n && q->head > 64) {
        memmove(q->v, q->v + q->head, q->n * sizeof *q->v);
        q->head = 0;
    }
    q->v = xgrow(q->v, &q->cap, q->head + q->n + 1, sizeof *q->v);
    struct entry *e = &q->v[q->head + q->n++];
    *e = (struct entry){0};
    return e;
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
}

bool entry_is_out(const struct entry *e, const struct queue_reader *r)
{
    const struct block *out = e->lane < CURSOR_LANES_MAX ? r->out[e->lane] : NULL;
    return out && out->seq == e->seq;
}

/* Nobody needs the entry: its bytes may go. The entry itself stays until it is at the front. */
static void release(struct queue *q, struct entry *e)
{
    entry_drop_block(q, e);
    if (e->segment) {
        e->segment->entries--;
        e->segment = NULL;
    }
}

void entries_trim(struct queue *q)
{
    while (q->n && entry_at(q, 0)->pending == 0 && !entry_at(q, 0)->unclaimed) {
        release(q, entry_at(q, 0));
        q->head++;
        q->n--;
    }
    if (q->n == 0)
        q->head = 0;
    /* A long outage leaves a large array behind; the quiet time after it should not pay for that. */
    if (q->n == 0 && q->cap > 4096) {
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
    if (e->pending == 0)
        release(q, e);
    entries_trim(q);
    reader_update_cursor(r);
    segments_collect(q, false);
}

/* The readers of mask that e is still owed to and that do not hold it. A reader that holds it keeps it: should it come
   back undelivered, RAM has it. */
static uint32_t losers(struct queue *q, struct entry *e, uint32_t mask)
{
    uint32_t lose = 0;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        uint32_t bit = 1u << i;
        if (!(mask & e->pending & bit))
            continue;
        if (!entry_is_out(e, q->readers[i]))
            lose |= bit;
        else if (!e->block)
            entry_set_block(q, e, block_ref(q->readers[i]->out[e->lane]));
    }
    return lose;
}

static void book_loss(struct queue *q, const struct queue_reader *r, const struct block *jobs, uint32_t samples,
                      enum ledger_reason reason)
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
    struct block *jobs = e->block ? block_ref(e->block) : NULL;
    if (!jobs && e->segment) {
        struct log_segment *segment = e->segment;
        uint64_t offset = e->offset;
        segment->users++;
        pthread_mutex_unlock(&q->lock);
        jobs = segment_read_jobs(segment->fd, offset);
        pthread_mutex_lock(&q->lock);
        segment->users--;
        e = entry_find(q, seq);
    }
    uint32_t lose = e ? losers(q, e, mask) : 0;
    for (unsigned i = 0; i < READERS_MAX && lose; i++) {
        if (!(lose & (1u << i)))
            continue;
        lose &= ~(1u << i);
        book_loss(q, q->readers[i], jobs, e->samples, reason);
        entry_settle(q, e, q->readers[i]);
        e = entry_find(q, seq);
        if (!e)
            break;
    }
    if (jobs)
        block_unref(jobs);
}

/* ---- segments ---- */

struct log_segment *segments_add(struct queue *q, char *path, int fd, uint64_t first_seq, uint64_t size)
{
    struct log_segment *s = xcalloc(1, sizeof *s);
    *s = (struct log_segment){.path = path, .fd = fd, .first_seq = first_seq, .size = size};
    if (q->newest)
        q->newest->next = s;
    else
        q->oldest = s;
    q->newest = s;
    q->disk_bytes += size;
    return s;
}

void segments_collect(struct queue *q, bool also_current)
{
    struct log_segment **at = &q->oldest, *last = NULL;
    while (*at) {
        struct log_segment *s = *at;
        bool keep = s->entries > 0 || s->users > 0 || (s == q->current && !also_current);
        if (keep) {
            last = s;
            at = &s->next;
            continue;
        }
        if (s == q->current)
            q->current = NULL;
        *at = s->next;
        q->disk_bytes -= s->size;
        unlink(s->path);
        close(s->fd);
        free(s->path);
        free(s);
    }
    q->newest = last;
}
