/* SPDX-License-Identifier: Apache-2.0 */
/* reader_take: which blocks a reader gets next, and how they come from RAM or disk. */
#include "pack.h"
#include "queue_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

/* How far behind the first pending block a free lane is looked for. */
#define LOOKAHEAD 4096
/* A cold segment is brought back when fewer blocks than this are before it. */
#define THAW_AHEAD 64
/* A block that the disk fails to read so often, disk_retry_ms apart, is lost: the others are behind it. */
#define READ_FAILURES_MAX 5
/* What has waited for so long in the fresh stream is not fresh any more. */
#define FRESH_MS 5000

/* ---- which ---- */

/* The cold segment that bounds what can be seen of the stream now, or NULL. */
static struct log_segment *cold_of(const struct queue_reader *r, enum queue_stream stream)
{
    struct log_segment *cold = cold_first(r);
    return stream == QUEUE_BACKLOG && cold && cold->first_seq < r->fresh_from ? cold : NULL;
}

/* A lane of the stream is free when nothing older of it is under way, in the other one either: without a fresh stream
   the backlog reaches what was taken as fresh before. */
static bool lane_is_free(const struct queue_reader *r, enum queue_stream stream, const struct entry *e)
{
    if (e->lane >= CURSOR_LANES_MAX || r->out[stream][e->lane].n)
        return false;
    const struct held *other = &r->out[QUEUE_FRESH][e->lane];
    return stream == QUEUE_FRESH || other->n == 0 || other->v[0]->seq > e->seq;
}

/* Where the stream begins in the array. */
static size_t stream_start(struct queue_reader *r, enum queue_stream stream)
{
    const struct queue *q = r->q;
    if (stream == QUEUE_BACKLOG)
        return reader_first(r);
    size_t i = entry_lower(q, r->fresh_seq);
    while (i < q->n && !entry_is_pending(entry_at(q, i), r))
        i++;
    r->fresh_seq = i < q->n ? entry_at(q, i)->seq : q->next_seq;
    return i;
}

/* The first pending entry of a free lane, of the oldest run that has any: runs do not mix, because their
   lanes may hold the same series. Nothing behind the cold segment is looked at; *thaw when it is near. */
static struct entry *choose(struct queue_reader *r, enum queue_stream stream, const struct log_segment *cold,
                            bool *thaw)
{
    const struct queue *q = r->q;
    struct entry *found = NULL;
    uint32_t run = 0;
    size_t ahead = 0, first = stream_start(r, stream);
    uint64_t end = stream == QUEUE_BACKLOG ? r->fresh_from : CURSOR_OPEN;
    for (size_t i = first; i < q->n && i < first + LOOKAHEAD; i++) {
        struct entry *e = entry_at(q, i);
        if (e->seq >= end || (cold && e->seq > cold->first_seq))
            break;
        if (!entry_is_pending(e, r))
            continue;
        run = ahead == 0 ? e->run : run;
        if (e->run != run || (found && ahead >= THAW_AHEAD))
            break;
        ahead++;
        if (!found && lane_is_free(r, stream, e))
            found = e;
        if (found && !cold)
            break;
    }
    *thaw = cold && (ahead == 0 || (ahead < THAW_AHEAD && cold->run == run));
    return found;
}

/* ---- the fresh stream ---- */

static bool holds_any(const struct queue_reader *r, enum queue_stream stream)
{
    for (size_t lane = 0; lane < CURSOR_LANES_MAX; lane++) {
        if (r->out[stream][lane].n)
            return true;
    }
    return false;
}

/* What waits in it is old: an outage is just over, or the receiver takes less than comes. */
static bool is_late(struct queue_reader *r)
{
    const struct queue *q = r->q;
    for (const struct log_segment *s = q->oldest; s && r->cold; s = s->next) {
        if (s->cold && s->first_seq >= r->fresh_from && (s->pending & (1u << r->slot)))
            return true;
    }
    size_t i = stream_start(r, QUEUE_FRESH);
    return i < q->n && clock_mono_ms() - entry_at(q, i)->pushed_ms > FRESH_MS;
}

/* False while the stream must not be taken from: what is out of it has to end first, so that the order of the backlog,
   which takes over the rest, holds. */
static bool fresh_is_ready(struct queue_reader *r)
{
    if (r->fresh_first && r->fresh_from == CURSOR_OPEN) /* there was no room for its place */
        reader_begin_fresh(r);
    if (r->fresh_from == CURSOR_OPEN)
        return false;
    if (!is_late(r))
        return true;
    if (holds_any(r, QUEUE_FRESH))
        return false;
    reader_begin_fresh(r);
    return true;
}

/* ---- how ---- */

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
    r->read_retry_ms = clock_mono_ms() + q->options.disk_retry_ms;
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
static struct block *take_entry(struct queue_reader *r, enum queue_stream stream, struct entry *e, bool *wait)
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
        held_add(&r->out[stream][lane], block_ref(b));
    return b;
}

/* ---- the first, and those behind it ---- */

static struct block *take_first(struct queue_reader *r, enum queue_stream stream)
{
    struct queue *q = r->q;
    struct block *b = NULL;
    bool wait = false, unreadable = false;
    while (!b && !wait) {
        bool thaw;
        struct log_segment *cold = cold_of(r, stream);
        struct entry *e = choose(r, stream, cold, &thaw);
        if (thaw && !unreadable) {
            unreadable = !cold_thaw(q, cold);
            continue;
        }
        if (!e)
            break;
        b = take_entry(r, stream, e, &wait);
    }
    return b;
}

/* The next pending entry of the lane of `last`; NULL when none is in sight. `until`: as far as a batch from before
   goes, for which cold segments are brought back. */
static struct entry *next_of_lane(struct queue_reader *r, enum queue_stream stream, uint64_t last, uint32_t lane,
                                  uint32_t run, uint64_t until)
{
    struct queue *q = r->q;
    uint64_t end = stream == QUEUE_BACKLOG ? r->fresh_from : CURSOR_OPEN;
    for (bool thawed = true; thawed;) {
        struct log_segment *cold = cold_first(r);
        size_t first = entry_lower(q, last + 1);
        for (size_t i = first; i < q->n && i < first + LOOKAHEAD; i++) {
            struct entry *e = entry_at(q, i);
            if (e->seq >= end || (cold && e->seq > cold->first_seq))
                break;
            if (!entry_is_pending(e, r))
                continue;
            if (e->run != run)
                return NULL;
            if (e->lane == lane)
                return entry_is_out(e, r) ? NULL : e;
        }
        thawed = cold && cold->first_seq <= until && cold_thaw(q, cold);
    }
    return NULL;
}

static bool has_room(const struct queue_wish *wish, const struct entry *e, size_t n, uint64_t samples, uint64_t bytes)
{
    return n < wish->blocks && n < QUEUE_BATCH_MAX && samples + e->samples <= wish->samples &&
           bytes + e->bytes <= wish->bytes;
}

/* The blocks behind out[0] in its lane. */
static size_t take_more(struct queue_reader *r, const struct queue_wish *wish, uint32_t run, uint64_t until,
                        struct block **out)
{
    uint64_t samples = out[0]->samples, bytes = out[0]->size;
    uint32_t lane = out[0]->lane;
    size_t n = 1;
    bool wait = false;
    while (!wait && (until || n < wish->blocks)) {
        struct entry *e = next_of_lane(r, wish->stream, out[n - 1]->seq, lane, run, until);
        if (!e || n == QUEUE_BATCH_MAX || (until ? e->seq > until : !has_room(wish, e, n, samples, bytes)))
            break;
        struct cursor_batch *other = cursor_find_batch(&r->cursor, lane, run, e->seq);
        if (!until && other) /* comes by itself */
            break;
        samples += e->samples;
        bytes += e->bytes;
        struct block *b = take_entry(r, wish->stream, e, &wait);
        if (b)
            out[n++] = b;
        else if (until)
            break;
    }
    return n;
}

static uint64_t sum_samples(struct block *const *blocks, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += blocks[i]->samples;
    return sum;
}

/* A batch from before is whole, or it is none, and only its first block goes out. */
static size_t take_batch(struct queue_reader *r, const struct queue_wish *wish, uint32_t run, struct block **out,
                         struct queue_progress *progress)
{
    uint64_t first = out[0]->seq;
    uint32_t lane = out[0]->lane;
    struct cursor_batch *batch = cursor_find_batch(&r->cursor, lane, run, first);
    size_t n = take_more(r, wish, run, batch ? batch->last : 0, out);
    batch = batch ? cursor_find_batch(&r->cursor, lane, run, first) : NULL;
    if (!batch)
        return n;
    if (batch->first == first && batch->blocks == n && batch->samples == sum_samples(out, n)) {
        *progress = batch->progress;
        return n;
    }
    reader_forget_batch(r, batch);
    for (; n > 1; n--) {
        (void)held_remove(&r->out[wish->stream][lane], out[n - 1]);
        block_unref(out[n - 1]);
    }
    return n;
}

size_t queue_take_some(struct queue_reader *r, const struct queue_wish *wish, struct block **out,
                       struct queue_progress *progress)
{
    struct queue *q = r->q;
    size_t n = 0;
    progress->strands = 0;
    pthread_mutex_lock(&q->lock);
    if (wish->stream == QUEUE_BACKLOG || fresh_is_ready(r))
        out[0] = take_first(r, wish->stream);
    else
        out[0] = NULL;
    const struct entry *e = out[0] ? entry_find(q, out[0]->seq) : NULL;
    if (out[0])
        n = e ? take_batch(r, wish, e->run, out, progress) : 1;
    pthread_mutex_unlock(&q->lock);
    return n;
}

struct block *queue_take(struct queue_reader *r)
{
    struct block *out[QUEUE_BATCH_MAX];
    struct queue_progress progress;
    for (int stream = QUEUE_FRESH; stream >= QUEUE_BACKLOG; stream--) {
        const struct queue_wish wish = {.stream = (enum queue_stream)stream, .blocks = 1};
        size_t n = queue_take_some(r, &wish, out, &progress);
        for (; n > 1; n--) /* who takes one by one knows of no batches */
            queue_release(r, out[n - 1]);
        if (n)
            return out[0];
    }
    return NULL;
}
