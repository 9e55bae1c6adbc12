/* SPDX-License-Identifier: Apache-2.0 */
/* reader: an endpoint's place in the log: its slot and name, opening and closing, what waits for it. */
#include "queue_private.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
        r->held_low = q->held_unclaimed ? 0 : q->next_seq - 1;
        r->fresh_from = CURSOR_OPEN;
        snprintf(r->name, sizeof r->name, "%s", name);
        cursor_init(&r->cursor, name);
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
    for (size_t lane = 0; lane < CURSOR_LANES_MAX; lane++) {
        free(r->out[QUEUE_BACKLOG][lane].v);
        free(r->out[QUEUE_FRESH][lane].v);
    }
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

/* Nobody has it, and nothing waits for it. */
static bool is_spare(const struct queue_reader *r)
{
    return !r->active && !r->owed && !r->blocks && !r->notifying && !r->storing;
}

/* Deletes a file under the lock: only for what happens seldom. */
static void forget(struct queue *q, unsigned slot)
{
    char *path = q->lock_fd >= 0 ? cursor_path(q->dir, q->readers[slot]->name) : NULL;
    if (path)
        unlink(path);
    free(path);
    reader_free(q->readers[slot]);
    q->readers[slot] = NULL;
}

/* Forgets a spare name. False when there is none. It happens after a good thirty renamings. */
static bool make_room(struct queue *q)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (is_spare(q->readers[i])) {
            forget(q, i);
            return true;
        }
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
    uint64_t out = sum.delivered + sum.filtered + sum.routed + sum.lost + sum.absent;
    return out > sum.restored ? out - sum.restored : 0;
}

/* Nothing that was pushed while the reader was closed is owed to it, also when others keep it on disk. */
static void skip_closed_time(struct queue_reader *r)
{
    struct cursor *c = &r->cursor;
    if (c->closed_at != CURSOR_OPEN && c->closed_at < r->q->next_seq)
        (void)cursor_add_window(c, c->closed_at, r->q->next_seq); /* no room: after a restart it is sent as well */
    c->closed_at = CURSOR_OPEN;
}

/* Under the lock: claims what nobody has claimed, and books what was scraped without the reader. */
void reader_expect(struct queue_reader *r, bool is_new)
{
    struct queue *q = r->q;
    if (r->owed)
        return;
    if (is_new)
        r->scraped_at_close = booked_before(q, r->name);
    skip_closed_time(r);
    reader_claim_unclaimed(r);
    if (q->scraped > r->scraped_at_close)
        ledger_absent(q->ledger, str_of(r->name), q->scraped - r->scraped_at_close);
    r->owed = true;
    reader_update_cursor(r);
}

struct queue_reader *reader_of(struct queue *q, const char *name, bool *is_new)
{
    struct queue_reader *r = reader_find(q, name);
    *is_new = r == NULL;
    if (*is_new)
        r = reader_add(q, name);
    if (!r && make_room(q))
        r = reader_add(q, name);
    return r;
}

struct queue_reader *queue_reader_open(struct queue *q, const char *name, void (*notify)(void *ctx),
                                       void *ctx, struct err *err)
{
    if (strlen(name) >= CURSOR_NAME_MAX) {
        err_set(err, "the endpoint's name is longer than %d bytes", CURSOR_NAME_MAX - 1);
        return NULL;
    }
    pthread_mutex_lock(&q->lock);
    bool is_new;
    struct queue_reader *r = reader_of(q, name, &is_new);
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
        reader_expect(r, is_new);
        r->active = true;
        reader_store_cursor(r, STORE);
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

void reader_end_owing(struct queue_reader *r)
{
    r->owed = r->kept = false;
    r->scraped_at_close = r->q->scraped;
}

static void give_back_all(struct held *h)
{
    while (h->n)
        block_unref(h->v[--h->n]);
}

void queue_reader_close(struct queue_reader *r)
{
    struct queue *q = r->q;
    pthread_mutex_lock(&q->lock);
    for (size_t lane = 0; lane < CURSOR_LANES_MAX; lane++) {
        give_back_all(&r->out[QUEUE_BACKLOG][lane]);
        give_back_all(&r->out[QUEUE_FRESH][lane]);
    }
    r->active = false;
    r->fresh_from = CURSOR_OPEN;
    if (r->owed && !r->kept)
        reader_end_owing(r); /* now: the wait below lets others push */
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

void queue_reader_key(struct queue_reader *r, uint64_t key)
{
    pthread_mutex_lock(&r->q->lock);
    r->cursor_dirty = r->cursor_dirty || r->cursor.key != key;
    r->cursor.key = key;
    pthread_mutex_unlock(&r->q->lock);
}

void reader_begin_fresh(struct queue_reader *r)
{
    if (!cursor_add_window(&r->cursor, r->q->next_seq, 0))
        return;
    r->fresh_from = r->fresh_seq = r->q->next_seq;
    r->cursor_dirty = true;
}

void queue_reader_drain(struct queue_reader *r, bool fresh_first)
{
    pthread_mutex_lock(&r->q->lock);
    if (fresh_first && !r->fresh_first)
        reader_begin_fresh(r);
    else if (!fresh_first)
        r->fresh_from = CURSOR_OPEN;
    r->fresh_first = fresh_first;
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

/* ---- names ---- */

size_t queue_idle_readers(struct queue *q, struct queue_idle *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&q->lock);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        const struct queue_reader *r = q->readers[i];
        if (!r || r->active)
            continue;
        if (n < max) {
            out[n] = (struct queue_idle){.key = r->cursor.key, .blocks = r->blocks, .owed = r->owed};
            memcpy(out[n].name, r->name, sizeof out[n].name);
        }
        n++;
    }
    pthread_mutex_unlock(&q->lock);
    return n;
}

bool queue_knows(struct queue *q, const char *name)
{
    pthread_mutex_lock(&q->lock);
    bool known = reader_find(q, name) != NULL;
    pthread_mutex_unlock(&q->lock);
    return known;
}

bool queue_name_is_spare(struct queue *q, const char *name)
{
    pthread_mutex_lock(&q->lock);
    const struct queue_reader *r = reader_find(q, name);
    bool spare = !r || is_spare(r);
    pthread_mutex_unlock(&q->lock);
    return spare;
}

/* Under the lock, which it releases meanwhile. The file of the new name is there before the one of the old name goes: a
   crash leaves both, and a reader too many, but never none. */
static void move_file(struct queue_reader *r, const char *old_name)
{
    struct queue *q = r->q;
    reader_forget_file(r);
    reader_store_cursor(r, STORE_SYNC);
    if (r->cursor_dirty || q->lock_fd < 0)
        return;
    char *path = cursor_path(q->dir, old_name);
    unlink(path);
    free(path);
}

bool queue_reader_rename(struct queue *q, const char *from, const char *to)
{
    char old_name[CURSOR_NAME_MAX];
    pthread_mutex_lock(&q->lock);
    struct queue_reader *r = reader_find(q, from);
    struct queue_reader *before = reader_find(q, to); /* which once had that name and left nothing behind */
    bool can = r && r != before && !r->active && !r->notifying && !r->storing && (!before || is_spare(before)) &&
               strlen(to) < CURSOR_NAME_MAX;
    if (can) {
        if (before)
            forget(q, before->slot);
        /* In the books it is as if the one name had lost sight of these samples and the other one had found them. */
        ledger_absent(q->ledger, str_of(from), r->samples);
        r->scraped_at_close = booked_before(q, to);
        if (r->owed && q->scraped > r->scraped_at_close)
            ledger_absent(q->ledger, str_of(to), q->scraped - r->scraped_at_close);
        ledger_restored(q->ledger, str_of(to), r->samples);
        memcpy(old_name, r->name, sizeof old_name);
        snprintf(r->name, sizeof r->name, "%s", to);
        memset(r->cursor.name, 0, sizeof r->cursor.name);
        memcpy(r->cursor.name, r->name, strlen(r->name));
        move_file(r, old_name);
    }
    pthread_mutex_unlock(&q->lock);
    return can;
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
