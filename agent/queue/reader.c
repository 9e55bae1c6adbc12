/* SPDX-License-Identifier: Apache-2.0 */
/* reader: an endpoint's way through the log: taking blocks lane by lane, acknowledging them, and the cursor that
   remembers it. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How far behind the first pending block a free lane is looked for. */
#define LOOKAHEAD 4096

struct queue_reader *reader_add(struct queue *q, const char *name)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            continue;
        struct queue_reader *r = xcalloc(1, sizeof *r);
        r->q = q;
        r->slot = i;
        r->cursor_fd = -1;
        snprintf(r->name, sizeof r->name, "%s", name);
        snprintf(r->cursor.name, sizeof r->cursor.name, "%s", name);
        pthread_mutex_init(&r->cursor_lock, NULL);
        q->readers[i] = r;
        return r;
    }
    return NULL;
}

void reader_free(struct queue_reader *r)
{
    if (r->cursor_fd >= 0)
        close(r->cursor_fd);
    pthread_mutex_destroy(&r->cursor_lock);
    free(r);
}

static struct queue_reader *find_reader(const struct queue *q, const char *name)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && strcmp(q->readers[i]->name, name) == 0)
            return q->readers[i];
    }
    return NULL;
}

/* ---- cursor ---- */

static bool is_pending(const struct entry *e, const struct queue_reader *r)
{
    return (e->pending & (1u << r->slot)) != 0;
}

/* The first entry that is pending for r, or q->n. */
static size_t first_pending(const struct queue_reader *r)
{
    const struct queue *q = r->q;
    size_t i = entry_lower(q, r->from_seq);
    while (i < q->n && !is_pending(entry_at(q, i), r))
        i++;
    return i;
}

void reader_update_cursor(struct queue_reader *r)
{
    const struct queue *q = r->q;
    size_t i = first_pending(r);
    r->from_seq = i < q->n ? entry_at(q, i)->seq : q->next_seq;
    r->cursor.low = r->from_seq - 1;
    r->cursor_dirty = true;
}

void reader_store_cursor(struct queue_reader *r, bool sync)
{
    struct queue *q = r->q;
    struct err err = {0};
    pthread_mutex_lock(&r->cursor_lock);
    if (r->cursor_fd < 0) {
        char *path = cursor_path(q->dir, r->name);
        r->cursor_fd = cursor_open(path, &err);
        free(path);
    }
    pthread_mutex_lock(&q->lock);
    struct cursor snapshot = r->cursor;
    r->cursor.turn++;
    r->cursor_dirty = false;
    pthread_mutex_unlock(&q->lock);
    bool stored = r->cursor_fd >= 0 && cursor_write(r->cursor_fd, &snapshot);
    if (stored && sync)
        (void)fdatasync(r->cursor_fd);
    if (!stored)
        log_throttled(1, LOG_ERROR, "queue", "cannot store what %s has delivered: a restart may send it twice", r->name);
    pthread_mutex_unlock(&r->cursor_lock);
}

/* ---- open, close ---- */

/* Under the lock: claims what the name has pending by right of being the first, and books what this process did not
   scrape or scraped without it. */
static void activate(struct queue_reader *r, bool is_new)
{
    struct queue *q = r->q;
    bool claimed = false;
    for (size_t i = 0; i < q->n; i++) {
        struct entry *e = entry_at(q, i);
        if (!e->unclaimed)
            continue;
        e->unclaimed = false;
        entry_claim(e, r);
        claimed = true;
    }
    if (is_new && !claimed)
        r->from_seq = q->next_seq;
    if (!r->restored && r->samples)
        ledger_restored(q->ledger, str_of(r->name), r->samples);
    r->restored = true;
    if (q->scraped > r->scraped_at_close)
        ledger_absent(q->ledger, str_of(r->name), q->scraped - r->scraped_at_close);
    r->active = true;
    reader_update_cursor(r);
}

struct queue_reader *queue_reader_open(struct queue *q, const char *name, void (*notify)(void *ctx), void *ctx,
                                       struct err *err)
{
    if (strlen(name) >= CURSOR_NAME_MAX) {
        err_set(err, "the endpoint's name is longer than %d bytes", CURSOR_NAME_MAX - 1);
        return NULL;
    }
    pthread_mutex_lock(&q->lock);
    struct queue_reader *r = find_reader(q, name);
    bool is_new = r == NULL;
    if (is_new)
        r = reader_add(q, name);
    if (!r || r->active) {
        err_set(err, r ? "endpoint \"%s\" is already reading" : "no room for endpoint \"%s\": %d at most, those that "
                "were removed from the configuration included", name, READERS_MAX);
        r = NULL;
    } else {
        r->notify = notify;
        r->ctx = ctx;
        r->failing = false;
        activate(r, is_new);
    }
    pthread_mutex_unlock(&q->lock);
    if (r)
        reader_store_cursor(r, false);
    return r;
}

void queue_reader_close(struct queue_reader *r)
{
    struct queue *q = r->q;
    pthread_mutex_lock(&q->lock);
    for (size_t lane = 0; lane < CURSOR_LANES_MAX; lane++) {
        block_unref(r->out[lane]);
        r->out[lane] = NULL;
    }
    r->active = false;
    while (r->notifying)
        pthread_cond_wait(&q->quiet, &q->lock);
    r->failing = false;
    r->notify = NULL;
    r->scraped_at_close = q->scraped;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    reader_store_cursor(r, false);
}

void queue_reader_limits(struct queue_reader *r, uint64_t max_bytes, int64_t max_age_ms)
{
    pthread_mutex_lock(&r->q->lock);
    r->max_bytes = max_bytes;
    r->max_age_ms = max_age_ms;
    pthread_mutex_unlock(&r->q->lock);
}

void queue_reader_failing(struct queue_reader *r, bool failing)
{
    pthread_mutex_lock(&r->q->lock);
    if (failing && !r->failing)
        pthread_cond_signal(&r->q->wake);
    r->failing = failing;
    pthread_mutex_unlock(&r->q->lock);
}

/* ---- take ---- */

static bool lane_is_free(const struct queue_reader *r, const struct entry *e)
{
    return e->lane < CURSOR_LANES_MAX && !r->out[e->lane];
}

/* The first pending entry of a free lane, of the oldest run that has any: runs do not mix, because their lanes may hold
   the same series. */
static struct entry *choose(const struct queue_reader *r)
{
    const struct queue *q = r->q;
    size_t first = first_pending(r);
    size_t end = first + LOOKAHEAD < q->n ? first + LOOKAHEAD : q->n;
    for (size_t i = first; i < end; i++) {
        struct entry *e = entry_at(q, i);
        if (!is_pending(e, r))
            continue;
        if (e->run != entry_at(q, first)->run)
            break;
        if (lane_is_free(r, e))
            return e;
    }
    return NULL;
}

/* Reads a block that is only on disk. Called with the lock, returns with it. */
static struct block *fetch(struct queue *q, struct entry *e, struct err *err)
{
    struct log_segment *segment = e->segment;
    uint64_t offset = e->offset;
    segment->users++;
    pthread_mutex_unlock(&q->lock);
    struct block *b = segment_read(segment->fd, offset, err);
    pthread_mutex_lock(&q->lock);
    segment->users--;
    if (b)
        q->read_bytes += b->size;
    return b;
}

struct block *queue_take(struct queue_reader *r)
{
    struct queue *q = r->q;
    struct block *b = NULL;
    pthread_mutex_lock(&q->lock);
    for (struct entry *e; !b && (e = choose(r));) {
        struct err err = {0};
        uint64_t seq = e->seq;
        uint32_t lane = e->lane;
        b = e->block ? block_ref(e->block) : fetch(q, e, &err);
        if (!b) {
            log_error("queue", "block %llu is unreadable and lost for %s: %s", (unsigned long long)seq, r->name, err.msg);
            q->corrupt++;
            entry_lose(q, seq, 1u << r->slot, LEDGER_CORRUPT);
        } else if (!entry_find(q, seq)) { /* dropped by a cap meanwhile */
            block_unref(b);
            b = NULL;
        } else {
            r->out[lane] = block_ref(b);
        }
    }
    pthread_mutex_unlock(&q->lock);
    return b;
}

/* ---- give back ---- */

/* Under the lock. */
static void put_back(struct queue_reader *r, const struct block *b)
{
    if (b->lane < CURSOR_LANES_MAX && r->out[b->lane] && r->out[b->lane]->seq == b->seq) {
        block_unref(r->out[b->lane]);
        r->out[b->lane] = NULL;
    }
}

void queue_ack(struct queue_reader *r, struct block *b)
{
    struct queue *q = r->q;
    bool store = false;
    pthread_mutex_lock(&q->lock);
    struct entry *e = entry_find(q, b->seq);
    put_back(r, b);
    if (e && is_pending(e, r)) {
        if (e->run != r->cursor.run) {
            r->cursor.run = e->run;
            memset(r->cursor.acked, 0, sizeof r->cursor.acked);
        }
        r->cursor.acked[e->lane] = e->seq;
        entry_settle(q, e, r);
        store = q->oldest != NULL;
    }
    pthread_mutex_unlock(&q->lock);
    block_unref(b);
    if (store)
        reader_store_cursor(r, false);
}

void queue_release(struct queue_reader *r, struct block *b)
{
    pthread_mutex_lock(&r->q->lock);
    put_back(r, b);
    pthread_mutex_unlock(&r->q->lock);
    block_unref(b);
}

/* ---- state ---- */

bool queue_reader_behind(const struct queue_reader *r)
{
    pthread_mutex_lock(&r->q->lock);
    size_t i = first_pending(r);
    bool behind = i < r->q->n && entry_at(r->q, i)->segment != NULL;
    pthread_mutex_unlock(&r->q->lock);
    return behind;
}

void queue_reader_stats(const struct queue_reader *r, struct queue_reader_stats *out)
{
    *out = (struct queue_reader_stats){0};
    pthread_mutex_lock(&r->q->lock);
    size_t i = first_pending(r);
    const struct entry *oldest = i < r->q->n ? entry_at(r->q, i) : NULL;
    snprintf(out->name, sizeof out->name, "%s", r->name);
    out->buffered_blocks = r->blocks;
    out->buffered_samples = r->samples;
    out->buffered_bytes = r->bytes;
    out->oldest_wall_ms = oldest ? oldest->sealed_wall_ms : 0;
    out->behind = oldest && oldest->segment;
    pthread_mutex_unlock(&r->q->lock);
}
