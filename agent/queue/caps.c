/* SPDX-License-Identifier: Apache-2.0 */
/* caps: what goes when there is too much: whole segments, oldest first, when the disk's share is used up;
   blocks in RAM when there is no disk; the oldest blocks of one endpoint past its own caps. All of it is
   booked. */
#include "queue_private.h"

#include "base/clock.h"
#include "base/log.h"

/* The first entry of s, which has some. */
static struct entry *first_of(struct queue *q, const struct log_segment *s)
{
    size_t i = entry_lower(q, s->first_seq);
    while (i < q->n && entry_at(q, i)->segment != s)
        i++;
    return i < q->n ? entry_at(q, i) : NULL;
}

void caps_drop_segment(struct queue *q, struct log_segment *s, enum ledger_reason reason)
{
    s->users++;
    if (s == q->current)
        spill_rotate(q);
    while (s->entries) {
        if (s->cold && !cold_thaw(q, s) && s->cold)
            cold_lose(q, s, reason); /* by its sums: the names of the jobs cannot be read */
        if (!s->entries)
            break;
        struct entry *e = first_of(q, s);
        if (!e) {
            log_error("queue", "BUG: %s counts %u entries that are not there", s->path, s->entries);
            break;
        }
        uint64_t seq = e->seq;
        if (e->unclaimed) {
            e->unclaimed = false;
            e->segment = NULL;
            ledger_lost(q->ledger, STR(""), STR(""), reason, e->samples);
            segments_leave(q, s, 1);
            entries_trim(q);
            continue;
        }
        entry_lose(q, seq, ALL_READERS, reason);
        e = entry_find(q, seq);
        if (e && e->segment == s)
            entry_leave_segment(q, e);
    }
    s->users--;
    segments_collect(q, s);
}

/* ---- all together ---- */

static void keep_disk_cap(struct queue *q)
{
    while (q->disk_bytes > q->max_bytes && q->oldest->next && q->oldest->entries) {
        log_throttled(LOG_KEY + 4, LOG_ERROR, "queue",
                      "the buffer has reached its cap of %llu bytes: the oldest blocks are dropped",
                      (unsigned long long)q->max_bytes);
        caps_drop_segment(q, q->oldest, LEDGER_OVERFLOW);
    }
}

/* A disk that cannot be written is of no help, but what is on it can be read: it is kept. Only a full one
   gains by dropping there, one segment at a time and then trying again. */
static void keep_ram_cap(struct queue *q)
{
    while (q->disk_error[0] && q->ram_bytes > q->options.ram_max_bytes) {
        log_throttled(LOG_KEY + 5, LOG_ERROR, "queue",
                      "no disk and RAM has reached its cap of %zu bytes: the oldest blocks are dropped",
                      q->options.ram_max_bytes);
        if (q->disk_full && q->oldest && q->oldest->entries) {
            caps_drop_segment(q, q->oldest, LEDGER_DISK);
            q->disk_retry_ms = 0;
            return;
        }
        if (!entries_drop_oldest_in_ram(q))
            return;
    }
}

/* ---- one reader ---- */

struct clocks {
    int64_t wall_ms, up_ms;
};

/* Blocks of this run are no older than the process, whatever a clock that was set meanwhile says. */
static bool is_too_old(const struct queue *q, const struct clocks *now, int64_t sealed_ms, uint32_t run,
                       int64_t max_ms)
{
    int64_t age = now->wall_ms - sealed_ms;
    if (run == q->run && age > now->up_ms)
        age = now->up_ms;
    return age > max_ms;
}

/* The oldest blocks go, for it alone. */
static void keep_reader_caps(struct queue *q, struct queue_reader *r, const struct clocks *now)
{
    int64_t age = q->options.max_age_ms;
    if (r->max_age_ms && r->max_age_ms < age)
        age = r->max_age_ms;
    for (;;) {
        struct log_segment *cold = cold_first(r);
        size_t i = reader_first(r);
        while (i < q->n && (!entry_is_pending(entry_at(q, i), r) || entry_is_out(entry_at(q, i), r)))
            i++;
        const struct entry *e = i < q->n ? entry_at(q, i) : NULL;
        if (e && cold && cold->first_seq < e->seq)
            e = NULL;
        if (!e && !cold)
            return;
        int64_t sealed_ms = e ? e->sealed_wall_ms : cold->oldest_wall_ms;
        bool old = is_too_old(q, now, sealed_ms, e ? e->run : cold->run, age);
        bool over = r->max_bytes && r->bytes > r->max_bytes;
        if (!old && !over)
            return;
        if (!e && !cold_thaw(q, cold))
            return;
        if (!e)
            continue;
        log_throttled(LOG_KEY + 6 + r->slot, LOG_ERROR, "queue", "the oldest blocks for %s are dropped: %s",
                      r->name, old ? "older than the allowed age" : "its cap is reached");
        entry_lose(q, e->seq, 1u << r->slot, old ? LEDGER_TOO_OLD : LEDGER_OVERFLOW);
    }
}

void caps_keep(struct queue *q)
{
    const struct clocks now = {clock_wall_ms(), clock_mono_ms() - q->opened_ms};
    keep_disk_cap(q);
    keep_ram_cap(q);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (q->readers[i])
            keep_reader_caps(q, q->readers[i], &now);
    }
}
