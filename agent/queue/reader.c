/* SPDX-License-Identifier: Apache-2.0 */
/* reader: an endpoint's way through the log: taking blocks lane by lane, and giving them back. */
#include "pack.h"
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How far behind the first pending block a free lane is looked for. */
#define LOOKAHEAD 4096
/* A cold segment is brought back when fewer blocks than this are before it. */
#define THAW_AHEAD 64
/* A block that the disk fails to read so often, DISK_RETRY_MS apart, is lost: the others are behind it. */
#define READ_FAILURES_MAX 5

/* ---- slots ---- */

struct queue_reader *reader_add(struct queue *q, const char *name)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            continue;
        struct queue_reader *r = xcalloc(1, sizeof *r);
        r->q = q;
        r->slot = i;
        r->cursor_fd = -1;
        r->from_seq = q->next_seq;
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

struct queue_reader *reader_find(const struct queue *q, const char *name)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && strcmp(q->readers[i]->name, name) == 0)
            return q->readers[i];
    }
    return NULL;
}

/* Forgets a name that nobody uses and that has nothing to deliver. False when there is none. This is the one
   place that deletes a file under the lock: it happens after a good thirty renamings. */
static bool make_room(struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (r->active || r->blocks || r->notifying || r->storing)
            continue;
        char *path = q->lock_fd >= 0 ? cursor_path(q->dir, r->name) : NULL;
        if (path)
            unlink(path);
        free(path);
        q->readers[i] = NULL;
        reader_free(r);
        return true;
    }
    return false;
}

/* ---- open, close ---- */

bool reader_claim_unclaimed(struct queue_reader *r)
{
    struct queue *q = r->q;
    uint64_t blocks = r->blocks, samples = r->samples;
    for (size_t i = 0; i < q->n; i++) {
        struct entry *e = entry_at(q, i);
        if (!e->unclaimed)
            continue;
        e->unclaimed = false;
        entry_claim(e, r);
    }
    for (struct log_segment *s = q->oldest; s; s = s->next) {
        if (s->cold && s->unclaimed)
            cold_claim(s, r);
    }
    if (r->samples > samples)
        ledger_restored(q->ledger, str_of(r->name), r->samples - samples);
    return r->blocks > blocks;
}

/* How much of what was scraped is in the books of a name that has been forgotten. */
static uint64_t booked_before(struct queue *q, const char *name)
{
    struct ledger_totals sum;
    ledger_sum(q->ledger, str_of(name), &sum);
    uint64_t out = sum.delivered + sum.filtered + sum.lost + sum.absent;
    return out > sum.restored ? out - sum.restored : 0;
}

/* Under the lock: claims what nobody has claimed, and books what was scraped without the reader. */
static void activate(struct queue_reader *r, bool is_new)
{
    struct queue *q = r->q;
    if (is_new)
        r->scraped_at_close = booked_before(q, r->name);
    reader_claim_unclaimed(r);
    if (q->scraped > r->scraped_at_close)
        ledger_absent(q->ledger, str_of(r->name), q->scraped - r->scraped_at_close);
    r->active = true;
    reader_update_cursor(r);
}

struct queue_reader *queue_reader_open(struct queue *q, const char *name, void (*notify)(void *ctx),
                                       void *ctx, struct err *err)
{
    if (strlen(name) >= CURSOR_NAME_MAX) {
        err_set(err, "the endpoint's name is longer than %d bytes", CURSOR_NAME_MAX - 1);
        return NULL;
    }
    pthread_mutex_lock(&q->lock);
    struct queue_reader *r = reader_find(q, name);
    bool is_new = r == NULL;
    if (is_new)
        r = reader_add(q, name);
    if (!r && make_room(q))
        r = reader_add(q, name);
    if (!r) {
        err_set(err, "no room for endpoint \"%s\": %d at most, and those removed from the configuration count "
                "until their blocks are delivered or dropped", name, READERS_MAX);
    } else if (r->active) {
        err_set(err, "endpoint \"%s\" is already reading", name);
        r = NULL;
    } else {
        r->notify = notify;
        r->ctx = ctx;
        r->failing = false;
        activate(r, is_new);
        reader_store_cursor(r, STORE);
    }
    pthread_mutex_unlock(&q->lock);
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
    r->scraped_at_close = q->scraped; /* now: the wait below lets others push */
    while (r->notifying)
        pthread_cond_wait(&q->quiet, &q->lock);
    r->failing = false;
    r->notify = NULL;
    pthread_cond_signal(&q->wake);
    reader_store_cursor(r, STORE);
    pthread_mutex_unlock(&q->lock);
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

/* The first pending entry of a free lane, of the oldest run that has any: runs do not mix, because their
   lanes may hold the same series. Nothing behind the cold segment is looked at; *thaw when it is near. */
static struct entry *choose(const struct queue_reader *r, const struct log_segment *cold, bool *thaw)
{
    const struct queue *q = r->q;
    struct entry *found = NULL;
    uint32_t run = 0;
    size_t ahead = 0, first = reader_first(r);
    for (size_t i = first; i < q->n && i < first + LOOKAHEAD; i++) {
        struct entry *e = entry_at(q, i);
        if (cold && e->seq > cold->first_seq)
            break;
        if (!entry_is_pending(e, r))
            continue;
        run = ahead == 0 ? e->run : run;
        if (e->run != run || (found && ahead >= THAW_AHEAD))
            break;
        ahead++;
        if (!found && lane_is_free(r, e))
            found = e;
        if (found && !cold)
            break;
    }
    *thaw = cold && (ahead == 0 || (ahead < THAW_AHEAD && cold->run == run));
    return found;
}

/* The block of e, for r. NULL when it is lost, or when the disk cannot read now: then *wait. Releases the
   lock meanwhile. */
static struct block *fetch(struct queue_reader *r, const struct entry *e, bool *wait)
{
    struct queue *q = r->q;
    struct err err = {0};
    uint64_t seq = e->seq;
    uint32_t bytes = e->bytes;
    int why;
    *wait = clock_mono_ms() < r->read_retry_ms;
    if (*wait)
        return NULL;
    struct block *b = segments_fetch(q, e->segment, e->offset, false, &why, &err);
    if (b) {
        q->read_bytes += bytes;
        r->read_failures = 0;
        return b;
    }
    r->read_failures = r->read_failed_seq == seq ? r->read_failures + 1 : 1;
    r->read_failed_seq = seq;
    bool gone = why == ENOENT || why == EBADMSG || (why == EIO && r->read_failures >= READ_FAILURES_MAX);
    if (gone) {
        log_error("queue", "block %llu is lost: %s", (unsigned long long)seq, err.msg);
        q->corrupt++;
        entry_lose(q, seq, ALL_READERS, LEDGER_CORRUPT);
        return NULL;
    }
    disk_failed(q, "cannot read", err.msg, why);
    r->read_retry_ms = clock_mono_ms() + DISK_RETRY_MS;
    *wait = true;
    return NULL;
}

/* A block in RAM, unpacked; releases the lock for that. NULL when it is lost. */
static struct block *from_ram(struct queue_reader *r, const struct entry *e)
{
    struct queue *q = r->q;
    struct block *b = block_ref(e->block);
    struct err err = {0};
    uint64_t seq = e->seq;
    if (!b->raw_size)
        return b;
    pthread_mutex_unlock(&q->lock);
    struct block *opened = pack_open(b, &err);
    block_unref(b);
    pthread_mutex_lock(&q->lock);
    if (!opened) {
        log_error("queue", "block %llu is lost: %s", (unsigned long long)seq, err.msg);
        q->corrupt++;
        entry_lose(q, seq, ALL_READERS, LEDGER_CORRUPT);
    }
    return opened;
}

/* Under the lock. NULL when another one may be tried, unless *wait. */
static struct block *take_entry(struct queue_reader *r, struct entry *e, bool *wait)
{
    uint64_t seq = e->seq;
    uint32_t lane = e->lane;
    struct block *b = e->block ? from_ram(r, e) : fetch(r, e, wait);
    e = entry_find(r->q, seq);
    if (b && (!e || !entry_is_pending(e, r))) { /* dropped meanwhile, and booked */
        block_unref(b);
        return NULL;
    }
    if (b)
        r->out[lane] = block_ref(b);
    return b;
}

struct block *queue_take(struct queue_reader *r)
{
    struct queue *q = r->q;
    struct block *b = NULL;
    bool wait = false, unreadable = false;
    pthread_mutex_lock(&q->lock);
    while (!b && !wait) {
        bool thaw;
        struct log_segment *cold = cold_first(r);
        struct entry *e = choose(r, cold, &thaw);
        if (thaw && !unreadable) {
            unreadable = !cold_thaw(q, cold);
            continue;
        }
        if (!e)
            break;
        b = take_entry(r, e, &wait);
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

/* The lanes of another run are other lanes. */
static void advance_lane(struct cursor *c, const struct entry *e)
{
    if (e->run != c->run) {
        c->run = e->run;
        memset(c->acked, 0, sizeof c->acked);
    }
    c->acked[e->lane] = e->seq;
}

void queue_ack(struct queue_reader *r, struct block *b)
{
    struct queue *q = r->q;
    pthread_mutex_lock(&q->lock);
    struct entry *e = entry_find(q, b->seq);
    put_back(r, b);
    if (e && entry_is_pending(e, r)) {
        bool on_disk = q->oldest || q->spilling; /* also what this one is the last of */
        advance_lane(&r->cursor, e);
        entry_settle(q, e, r);
        if (on_disk)
            reader_store_cursor(r, STORE_UNLESS_BUSY);
    }
    pthread_mutex_unlock(&q->lock);
    block_unref(b);
}

void queue_release(struct queue_reader *r, struct block *b)
{
    pthread_mutex_lock(&r->q->lock);
    put_back(r, b);
    pthread_mutex_unlock(&r->q->lock);
    block_unref(b);
}

/* ---- state ---- */

/* The oldest block r has to deliver: whether there is one, since when, and whether it is on disk. */
static bool oldest(const struct queue_reader *r, int64_t *wall_ms, bool *on_disk)
{
    const struct queue *q = r->q;
    const struct log_segment *cold = cold_first(r);
    size_t i = reader_first(r);
    const struct entry *e = i < q->n ? entry_at(q, i) : NULL;
    if (cold && (!e || cold->first_seq < e->seq)) {
        *wall_ms = cold->oldest_wall_ms;
        *on_disk = true;
        return true;
    }
    *wall_ms = e ? e->sealed_wall_ms : 0;
    *on_disk = e && e->segment;
    return e != NULL;
}

void queue_reader_stats(const struct queue_reader *r, struct queue_reader_stats *out)
{
    *out = (struct queue_reader_stats){0};
    pthread_mutex_lock(&r->q->lock);
    snprintf(out->name, sizeof out->name, "%s", r->name);
    out->buffered_blocks = r->blocks;
    out->buffered_samples = r->samples;
    out->buffered_bytes = r->bytes;
    (void)oldest(r, &out->oldest_wall_ms, &out->behind);
    pthread_mutex_unlock(&r->q->lock);
}
