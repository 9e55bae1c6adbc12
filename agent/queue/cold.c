/* SPDX-License-Identifier: Apache-2.0 */
/* cold: segments whose entries are left out of RAM until a reader comes near. A segment may be left out when
   each of its records is alive, on disk alone, owed to the same readers and held by none: then the file's
   headers and one mask say all that the entries said. */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Nothing is left out below this many entries in RAM. */
#define HOT_ENTRIES 4096
/* The first entries of each reader stay, so that what was just brought back does not leave at once. */
#define HOT_AHEAD 512

struct log_segment *cold_first(const struct queue_reader *r)
{
    struct log_segment *first = NULL;
    if (!r->cold)
        return NULL;
    for (struct log_segment *s = r->q->oldest; s; s = s->next) {
        if (s->cold && (s->pending & (1u << r->slot)) && (!first || s->first_seq < first->first_seq))
            first = s;
    }
    return first;
}

/* ---- leaving out ---- */

static bool is_out_anywhere(const struct queue *q, const struct entry *e)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && entry_is_out(e, q->readers[i]))
            return true;
    }
    return false;
}

/* Before which seq each active reader will want its entries soon. */
static void near_of(const struct queue *q, uint64_t until[READERS_MAX])
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        const struct queue_reader *r = q->readers[i];
        until[i] = 0;
        if (!r || !r->active)
            continue;
        const struct log_segment *cold = cold_first(r);
        size_t end = reader_first(r) + HOT_AHEAD;
        until[i] = end < q->n ? entry_at(q, end)->seq : UINT64_MAX;
        if (cold && cold->first_seq < until[i])
            until[i] = cold->first_seq;
    }
}

static bool is_near(const uint64_t until[READERS_MAX], uint64_t seq, uint32_t pending)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if ((pending & (1u << i)) && seq < until[i])
            return true;
    }
    return false;
}

/* Where its entries begin in the array, when they may leave it. */
static bool may_leave(const struct queue *q, const struct log_segment *s, const uint64_t near[], size_t *at)
{
    if (s->cold || s == q->current || s->users || !s->entries || s->entries != s->records)
        return false;
    size_t i = *at = entry_lower(q, s->first_seq);
    if (s->entries > q->n - i)
        return false;
    const struct entry *first = entry_at(q, i);
    for (const struct entry *e = first; e < first + s->entries; e++) {
        if (e->segment != s || e->block || e->pending != first->pending || e->unclaimed != first->unclaimed ||
            e->run != first->run || is_out_anywhere(q, e))
            return false;
    }
    return !is_near(near, first->seq, first->pending);
}

static void leave_out(struct queue *q, struct log_segment *s, size_t at)
{
    const struct entry *first = entry_at(q, at);
    s->cold = true;
    s->pending = first->pending;
    s->unclaimed = first->unclaimed;
    s->run = first->run;
    s->first_seq = first->seq;
    s->last_seq = first[s->entries - 1].seq;
    s->samples = s->bytes = 0;
    s->oldest_wall_ms = first->sealed_wall_ms;
    for (const struct entry *e = first; e < first + s->entries; e++) {
        s->samples += e->samples;
        s->bytes += e->bytes;
        if (e->sealed_wall_ms < s->oldest_wall_ms)
            s->oldest_wall_ms = e->sealed_wall_ms;
    }
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (s->pending & (1u << i))
            q->readers[i]->cold++;
    }
    entry_remove(q, at, s->entries);
}

void cold_freeze(struct queue *q)
{
    uint64_t near[READERS_MAX];
    if (q->n <= HOT_ENTRIES)
        return;
    near_of(q, near);
    /* The youngest first: readers come from the old end. */
    for (struct log_segment *s = q->newest; s && q->n > HOT_ENTRIES; s = s->prev) {
        size_t at;
        if (may_leave(q, s, near, &at))
            leave_out(q, s, at);
    }
}

/* ---- bringing back ---- */

/* Not under the lock. The entries of the file in order of seq; errno of a disk that cannot read, or 0. */
static int read_entries(const struct log_segment *s, uint32_t max, struct entry *out, uint32_t *n)
{
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r;
    *n = 0;
    int fd = file_open(s->path);
    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    for (enum segment_step step; (step = segment_next(fd, &offset, &r)) != STEP_END;) {
        if (step != STEP_RECORD || *n == max || r.seq < s->first_seq || r.seq > s->last_seq)
            continue;
        if (*n && r.seq <= out[*n - 1].seq)
            continue;
        out[(*n)++] = (struct entry){.seq = r.seq, .lane = r.lane, .run = r.run, .samples = r.samples,
                                     .bytes = (uint32_t)r.size, .offset = r.offset,
                                     .sealed_wall_ms = r.sealed_wall_ms};
    }
    close(fd);
    return 0;
}

/* No longer cold for its readers, whose counts lose what is not there any more. */
static void warm(struct queue *q, struct log_segment *s, uint32_t blocks, uint64_t samples, uint64_t bytes,
                 enum ledger_reason reason)
{
    s->cold = false;
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (!(s->pending & (1u << i)))
            continue;
        r->cold--;
        if (samples < s->samples)
            reader_forget_batches(r, s->first_seq, s->last_seq);
        r->blocks -= s->entries - blocks;
        r->samples -= s->samples - samples;
        r->bytes -= s->bytes - bytes;
        if (samples < s->samples)
            ledger_lost(q->ledger, str_of(r->name), STR(""), reason, s->samples - samples);
    }
    if (s->unclaimed && samples < s->samples)
        ledger_lost(q->ledger, STR(""), STR(""), reason, s->samples - samples);
}

static void bring_back(struct queue *q, struct log_segment *s, struct entry *v, uint32_t n)
{
    uint64_t samples = 0, bytes = 0;
    uint32_t gone = s->entries - n;
    for (uint32_t i = 0; i < n; i++) {
        v[i].segment = s;
        v[i].pending = s->pending;
        v[i].unclaimed = s->unclaimed;
        samples += v[i].samples;
        bytes += v[i].bytes;
    }
    struct entry *to = entry_insert(q, entry_lower(q, s->first_seq), n);
    memcpy(to, v, n * sizeof *v);
    warm(q, s, n, samples, bytes, LEDGER_CORRUPT);
    if (gone) {
        q->corrupt += gone;
        log_error("queue", "%s: %u of %u blocks have become unreadable since it was written", s->path, gone,
                  s->entries);
    }
    segments_leave(q, s, gone);
    for (unsigned i = 0; gone && i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_update_cursor(q->readers[i]);
    }
}

/* Who needs it is told when it may be tried again. */
static void thaw_failed(struct queue *q, const struct log_segment *s, int why)
{
    disk_failed(q, "cannot read", s->path, why);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i] && (s->pending & (1u << i)))
            q->readers[i]->read_retry_ms = clock_mono_ms() + q->options.disk_retry_ms;
    }
}

bool cold_thaw(struct queue *q, struct log_segment *s)
{
    uint32_t n, max = s->entries;
    struct entry *v = xmalloc(max * sizeof *v);
    s->users++;
    pthread_mutex_unlock(&q->lock);
    int why = read_entries(s, max, v, &n);
    pthread_mutex_lock(&q->lock);
    s->users--;
    if (why)
        thaw_failed(q, s, why);
    else if (s->cold) /* nobody was faster */
        bring_back(q, s, v, n);
    else
        segments_collect(q, s);
    free(v);
    return why == 0;
}

void cold_claim(struct log_segment *s, struct queue_reader *r)
{
    s->unclaimed = false;
    s->pending |= 1u << r->slot;
    r->cold++;
    r->blocks += s->entries;
    r->samples += s->samples;
    r->bytes += s->bytes;
    if (s->first_seq < r->from_seq)
        r->from_seq = s->first_seq;
}

void cold_lose(struct queue *q, struct log_segment *s, enum ledger_reason reason)
{
    warm(q, s, 0, 0, 0, reason);
    segments_leave(q, s, s->entries);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            reader_update_cursor(q->readers[i]);
    }
}
