/* SPDX-License-Identifier: Apache-2.0 */
/* reader_ack: what a reader has done with the blocks it took: all of it, a part, or nothing. */
#include "queue_private.h"

#include "base/alloc.h"

#include <stdlib.h>

/* ---- what is held ---- */

void held_add(struct held *h, struct block *b)
{
    h->v = xgrow(h->v, &h->cap, h->n + 1, sizeof(struct block *));
    h->v[h->n++] = b;
}

bool held_remove(struct held *h, const struct block *b)
{
    size_t i = 0;
    while (i < h->n && h->v[i]->seq != b->seq)
        i++;
    if (i == h->n)
        return false;
    block_unref(h->v[i]);
    memmove(&h->v[i], &h->v[i + 1], (h->n - i - 1) * sizeof(struct block *));
    h->n--;
    return true;
}

/* ---- batches ---- */

uint64_t progress_sum(const struct queue_progress *p)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->strands; i++)
        sum += p->series[i];
    return sum;
}

void reader_forget_batch(struct queue_reader *r, struct cursor_batch *batch)
{
    uint64_t done = progress_sum(&batch->progress);
    r->samples += done;
    ledger_restored(r->q->ledger, str_of(r->name), done);
    cursor_remove_batch(&r->cursor, batch);
    r->cursor_dirty = true;
}

void reader_forget_batches(struct queue_reader *r, uint64_t from, uint64_t to)
{
    for (size_t i = r->cursor.batches_n; i-- > 0;) {
        struct cursor_batch *b = &r->cursor.batches[i];
        if (b->first <= to && b->last >= from)
            reader_forget_batch(r, b);
    }
}

/* Under the lock. The record of the batch, made when there is none; NULL when there is no room. */
static struct cursor_batch *batch_of(struct queue_reader *r, struct block *const *blocks, size_t n, uint32_t run)
{
    struct cursor *c = &r->cursor;
    struct cursor_batch *b = cursor_find_batch(c, blocks[0]->lane, run, blocks[0]->seq);
    if (b || c->batches_n == CURSOR_BATCHES_MAX)
        return b;
    b = &c->batches[c->batches_n++];
    *b = (struct cursor_batch){.first = blocks[0]->seq, .last = blocks[n - 1]->seq, .run = run,
                               .lane = blocks[0]->lane, .blocks = (uint32_t)n};
    for (size_t i = 0; i < n; i++)
        b->samples += blocks[i]->samples;
    return b;
}

void queue_note_progress(struct queue_reader *r, struct block *const *blocks, size_t n,
                         const struct queue_progress *progress)
{
    struct queue *q = r->q;
    pthread_mutex_lock(&q->lock);
    const struct entry *e = entry_find(q, blocks[0]->seq);
    struct cursor_batch *b = e ? batch_of(r, blocks, n, e->run) : NULL;
    if (b) {
        r->samples -= progress_sum(progress) - progress_sum(&b->progress);
        b->progress = *progress;
        r->cursor_dirty = true;
        if (q->oldest || q->spilling)
            reader_store_cursor(r, STORE_UNLESS_BUSY);
    }
    pthread_mutex_unlock(&q->lock);
}

/* ---- giving back ---- */

/* Under the lock. Whether it was held as fresh. */
static bool put_back(struct queue_reader *r, const struct block *b)
{
    if (b->lane >= CURSOR_LANES_MAX || held_remove(&r->out[QUEUE_BACKLOG][b->lane], b))
        return false;
    return held_remove(&r->out[QUEUE_FRESH][b->lane], b);
}

/* Under the lock: the batch is through as a whole, so its record says nothing any more. */
static void end_batch(struct queue_reader *r, const struct block *first)
{
    const struct entry *e = entry_find(r->q, first->seq);
    struct cursor_batch *b = e ? cursor_find_batch(&r->cursor, first->lane, e->run, first->seq) : NULL;
    if (!b)
        return;
    r->samples += progress_sum(&b->progress); /* as the blocks hold them, which are settled now */
    cursor_remove_batch(&r->cursor, b);
}

/* To say that its lane is delivered up to here would say it of a file of that run that cannot be read now. */
static bool is_past_held(const struct queue *q, const struct entry *e)
{
    return q->held_seq && e->seq > q->held_seq && e->run != q->run;
}

void queue_ack_all(struct queue_reader *r, struct block *const *blocks, size_t n)
{
    struct queue *q = r->q;
    bool on_disk = false;
    pthread_mutex_lock(&q->lock);
    end_batch(r, blocks[0]);
    for (size_t i = 0; i < n; i++) {
        struct block *b = blocks[i];
        bool fresh = put_back(r, b);
        struct entry *e = entry_find(q, b->seq);
        if (e && entry_is_pending(e, r)) {
            on_disk = on_disk || q->oldest || q->spilling; /* also what this one is the last of */
            if (!is_past_held(q, e))
                cursor_ack(&r->cursor.windows[fresh ? r->cursor.windows_n - 1 : 0], e->seq, e->lane, e->run);
            entry_settle(q, e, r);
        }
    }
    if (on_disk)
        reader_store_cursor(r, STORE_UNLESS_BUSY);
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < n; i++)
        block_unref(blocks[i]);
}

void queue_ack(struct queue_reader *r, struct block *b)
{
    queue_ack_all(r, &b, 1);
}

void queue_release(struct queue_reader *r, struct block *b)
{
    pthread_mutex_lock(&r->q->lock);
    (void)put_back(r, b);
    pthread_mutex_unlock(&r->q->lock);
    block_unref(b);
}
