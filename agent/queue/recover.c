/* SPDX-License-Identifier: Apache-2.0 */
/* recover: what an earlier run left in the directory. Nothing is wiped: what cannot be read is named and
   stepped over, what this version does not know is left alone. New data goes to new segments, never behind an
   old tail.

   It also serves a directory that could not be used at the start and comes later: what is in it is put before
   the blocks of this run, whose numbers begin far behind (see queue_open). */
#include "queue_private.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* Numbers begin so far behind the name of a file that is not read. */
#define CLEARANCE (1ull << 32)
/* And our run is so far from any that can be in it. */
#define RUN_CLEARANCE (1u << 16)
/* Segments on their way from the disk while one is looked at. */
#define READ_AHEAD 8

/* What was found. A torn record has only a header and perhaps a job table, which is then in `jobs`. Of missing ones,
   which are before record.seq, it is known how many samples they held. */
enum kind { WHOLE, TORN, MISSING };
struct found {
    struct record record;
    enum kind kind;
    struct block *jobs;
};

struct listing {
    struct cursor **cursors;
    size_t cursors_n, cursors_cap;
    struct file_list segments;
};

/* What one file holds. */
struct contents {
    bool skip; /* not ours, or not to be read by this version */
    bool empty;
    struct found *v;
    size_t n, cap;
    uint64_t size, damaged;
};

/* ---- the directory ---- */

int recover_directory(const struct queue *q, bool *held, bool *read_only, struct err *err)
{
    *held = *read_only = false;
    if (!file_make_dirs(q->dir, err))
        return -1;
    char *path = file_join(q->dir, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 && errno != ENOENT) {
        int why = errno;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        *read_only = fd >= 0;
        errno = why;
    }
    if (fd < 0) {
        err_set(err, "cannot open %s: %s", path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        *held = errno == EWOULDBLOCK;
        if (*held)
            err_set(err, "%s is in use by another process", q->dir);
        else
            err_set(err, "cannot lock %s: %s", q->dir, strerror(errno));
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

/* ---- listing, not under the lock ---- */

/* False with errno when it cannot be read now, but perhaps later. */
static bool list_cursor(struct listing *l, const char *path)
{
    char name[CURSOR_NAME_MAX];
    struct cursor *c = xmalloc(sizeof *c);
    (void)cursor_name_of(strrchr(path, '/') + 1, name);
    if (!cursor_read(path, c)) {
        int why = errno;
        if (why != EBADMSG && why != EIO) {
            free(c);
            log_throttled(LOG_KEY + 52, LOG_ERROR, "queue", "cannot read %s: %s", path, strerror(why));
            errno = why;
            return false;
        }
        if (name[0])
            log_error("queue", "%s is damaged: what is on disk will be sent to %s again", path, name);
        else
            log_error("queue", "%s is damaged, and its endpoint is unknown: it is not used", path);
        memcpy(c->name, name, sizeof name);
    }
    if (c->name[0]) {
        l->cursors = xgrow(l->cursors, &l->cursors_cap, l->cursors_n + 1, sizeof(struct cursor *));
        l->cursors[l->cursors_n++] = c;
    } else {
        free(c);
    }
    return true;
}

static bool list_directory(const struct queue *q, struct listing *l)
{
    struct file_list cursors;
    *l = (struct listing){0};
    bool ok = file_list(q->dir, cursor_is_name, &cursors, NULL) &&
              file_list(q->dir, segment_is_name, &l->segments, NULL);
    for (size_t i = 0; ok && i < cursors.n; i++)
        ok = list_cursor(l, cursors.v[i]);
    int why = errno;
    file_list_free(&cursors);
    errno = why;
    return ok;
}

static void listing_free(struct listing *l)
{
    file_list_free(&l->segments);
    for (size_t i = 0; i < l->cursors_n; i++)
        free(l->cursors[i]);
    free(l->cursors);
}

/* ---- one file, not under the lock ---- */

static struct found *note(struct contents *c, const struct record *r, enum kind kind)
{
    c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof *c->v);
    c->v[c->n] = (struct found){.record = *r, .kind = kind};
    return &c->v[c->n++];
}

/* The header tells how much was in front of it: what is not there of that is missing. *before: what is. */
static void note_missing(struct contents *c, const struct record *r, uint64_t *before)
{
    if (r->counted && r->before > *before)
        note(c, r, MISSING)->record.samples = (uint32_t)(r->before - *before);
    *before = r->counted ? r->before : *before;
    *before += r->samples;
}

static void read_records(const char *path, int fd, struct contents *c)
{
    uint64_t offset = SEGMENT_HEADER_BYTES;
    uint64_t before = 0;
    struct record r;
    for (enum segment_step step; (step = segment_next(fd, &offset, &r)) != STEP_END;) {
        if (step != STEP_CORRUPT)
            note_missing(c, &r, &before);
        if (step != STEP_CORRUPT && r.mended)
            log_warn("queue", "%s: the header at byte %llu had a wrong bit: mended", path,
                     (unsigned long long)r.offset);
        if (step == STEP_RECORD)
            (void)note(c, &r, WHOLE);
        if (step == STEP_TORN)
            note(c, &r, TORN)->jobs = segment_read_jobs(fd, r.offset);
        if (step == STEP_RECORD)
            continue;
        c->damaged++;
        log_error("queue", "%s: damaged from byte %llu to %llu, read on from there", path,
                  (unsigned long long)r.offset, (unsigned long long)offset);
    }
}

static void read_segment(const char *path, struct contents *c)
{
    *c = (struct contents){.skip = true};
    int fd = file_open(path);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size < 0) {
        log_error("queue", "cannot read %s, its data waits for the next start: %s", path, strerror(errno));
        goto out;
    }
    enum segment_kind kind = segment_check(fd);
    c->size = (uint64_t)size;
    c->empty = kind == SEGMENT_EMPTY;
    if (kind == SEGMENT_NEWER)
        log_error("queue", "%s is of a newer format: left alone, its data is not sent by this version", path);
    if (c->empty)
        log_warn("queue", "%s holds nothing: removed", path);
    if (kind == SEGMENT_NEWER || c->empty)
        goto out;
    read_records(path, fd, c);
    c->skip = kind != SEGMENT_GOOD && c->n == 0;
    if (kind == SEGMENT_FAILED && c->skip) {
        log_error("queue", "cannot read %s, its data waits for the next start", path);
        goto out;
    }
    if (kind != SEGMENT_GOOD) {
        c->damaged++;
        log_error("queue", "%s: the file's header is damaged, %zu records found behind it%s", path, c->n,
                  c->skip ? ": left alone" : "");
    }
out:
    if (fd >= 0)
        close(fd);
}

static void contents_free(struct contents *c)
{
    for (size_t i = 0; i < c->n; i++)
        block_unref(c->v[i].jobs);
    free(c->v);
}

/* The largest number in use in the directory, by names and by contents. */
static uint64_t largest_seq(const struct listing *l)
{
    uint64_t max = 0;
    for (size_t i = 0; i < l->cursors_n; i++) {
        uint64_t highest = cursor_highest(l->cursors[i]);
        max = highest > max ? highest : max;
    }
    for (size_t i = 0; i < l->segments.n; i++) {
        struct contents c;
        read_segment(l->segments.v[i], &c);
        for (size_t k = 0; k < c.n; k++)
            max = c.v[k].record.seq > max ? c.v[k].record.seq : max;
        contents_free(&c);
    }
    return max;
}

/* ---- taking over, under the lock ---- */

/* The cursors found, by the slots of their readers; NULL for a reader that has none. */
struct places {
    const struct cursor *of[READERS_MAX];
    uint64_t restored[READERS_MAX]; /* samples, not in the books yet */
    bool any;
};

/* A late cursor must not undo what this run has acknowledged; an early one is all there is. */
static void take_cursor(struct queue_reader *r, const struct cursor *found, bool late)
{
    uint64_t turn = found->turn > r->cursor.turn ? found->turn : r->cursor.turn;
    if (!late)
        r->cursor = *found;
    else if (r->cursor.windows_n == 1 && r->cursor.windows[0].run != r->q->run)
        r->cursor.windows[0] = found->windows[0];
    r->cursor.turn = turn;
    r->held_low = found->low;
}

static void take_cursors(struct queue *q, const struct listing *l, bool late, struct places *places)
{
    *places = (struct places){.any = l->cursors_n > 0};
    for (size_t i = 0; i < l->cursors_n; i++) {
        const struct cursor *found = l->cursors[i];
        struct queue_reader *r = reader_find(q, found->name);
        if (!r)
            r = reader_add(q, found->name);
        if (!r) {
            log_error("queue", "more than %d cursors in %s: what is left for %s is not kept", READERS_MAX,
                      q->dir, found->name);
            continue;
        }
        take_cursor(r, found, late);
        places->of[r->slot] = found;
        if (cursor_highest(found) >= q->next_seq)
            q->next_seq = cursor_highest(found) + 1;
        for (size_t k = 0; !late && k < found->windows_n; k++) {
            if (found->windows[k].run >= q->run)
                q->run = found->windows[k].run + 1;
        }
    }
}

static bool is_owed(const struct places *places, unsigned slot, const struct record *r)
{
    const struct cursor *c = places->of[slot];
    return c && !cursor_delivered(c, r->seq, r->lane, r->run);
}

/* Of missing records only the place is known, between others: they count as owed unless all there is delivered. */
static bool is_lost_for(const struct places *places, unsigned slot, const struct found *f)
{
    const struct cursor *c = places->of[slot];
    return f->kind == TORN ? is_owed(places, slot, &f->record) : c && c->low + 1 < f->record.seq;
}

/* Records that the end of the file cuts, or whose headers are destroyed: how much they held is known, so that is in the
   books. */
static void take_lost(struct queue *q, const struct found *f, const struct places *places)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (!is_lost_for(places, i, f))
            continue;
        struct str name = str_of(q->readers[i]->name);
        ledger_restored(q->ledger, name, f->record.samples);
        if (f->jobs)
            ledger_lost_block(q->ledger, name, f->jobs, LEDGER_CORRUPT);
        else
            ledger_lost(q->ledger, name, STR(""), LEDGER_CORRUPT, f->record.samples);
    }
    if (!places->any)
        ledger_lost(q->ledger, STR(""), STR(""), LEDGER_CORRUPT, f->record.samples);
}

static void take_record(struct queue *q, struct log_segment *s, const struct record *r, struct places *places)
{
    size_t i = entry_lower(q, r->seq);
    bool twice = i < q->n && entry_at(q, i)->seq == r->seq; /* a write that failed half-way and was repeated */
    bool owed = !places->any;
    for (unsigned k = 0; k < READERS_MAX; k++)
        owed = owed || is_owed(places, k, r);
    if (twice || !owed)
        return;
    struct entry *e = entry_insert(q, i, 1);
    *e = (struct entry){.seq = r->seq, .lane = r->lane, .run = r->run, .samples = r->samples,
                        .bytes = (uint32_t)r->size, .offset = r->offset, .sealed_wall_ms = r->sealed_wall_ms,
                        .unclaimed = !places->any};
    segments_enter(q, s, e);
    for (unsigned k = 0; k < READERS_MAX; k++) {
        if (!is_owed(places, k, r))
            continue;
        entry_claim(e, q->readers[k]);
        places->restored[k] += r->samples;
        struct cursor_batch *batch = cursor_find_batch(&q->readers[k]->cursor, r->lane, r->run, r->seq);
        if (batch) {
            batch->seen++;
            batch->seen_samples += r->samples;
        }
    }
}

/* Into the books goes what was found, at once when readers are at work on it already. */
static void book_restored(struct queue *q, struct places *places)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        if (places->restored[i])
            ledger_restored(q->ledger, str_of(q->readers[i]->name), places->restored[i]);
        places->restored[i] = 0;
    }
}

static void take_contents(struct queue *q, char *path, const struct contents *c, bool late, struct places *places)
{
    struct log_segment *s = segments_add(q, path, c->size);
    q->corrupt += c->damaged;
    s->users++;
    for (size_t i = 0; i < c->n; i++) {
        const struct record *r = &c->v[i].record;
        if (c->v[i].kind == MISSING) {
            take_lost(q, &c->v[i], places);
            continue;
        }
        if (r->seq >= q->next_seq)
            q->next_seq = r->seq + 1;
        if (!late && r->run >= q->run)
            q->run = r->run + 1;
        if (c->v[i].kind == TORN) {
            take_lost(q, &c->v[i], places);
            continue;
        }
        s->records++;
        take_record(q, s, r, places);
    }
    if (late)
        book_restored(q, places);
    s->users--;
    segments_collect(q, s);
    cold_freeze(q);
}

/* Our numbers begin far behind those of a file that is not read, so that no name of ours meets it. */
static void stay_clear(struct queue *q, const char *path)
{
    uint64_t first = strtoull(strrchr(path, '/') + sizeof SEGMENT_PREFIX, NULL, 16);
    if (first < UINT64_MAX >> 1 && first + CLEARANCE > q->next_seq)
        q->next_seq = first + CLEARANCE;
    /* Its data is still owed: a cursor that passed it now would make it look delivered when it can be read again. */
    if (first && !q->held_seq && q->run < UINT32_MAX >> 1)
        q->run += RUN_CLEARANCE;
    if (first && (!q->held_seq || first < q->held_seq))
        q->held_seq = first;
}

/* Without the lock at the start and at the end. */
static void take_segment(struct queue *q, char *path, bool late, struct places *places)
{
    struct contents c;
    read_segment(path, &c);
    pthread_mutex_lock(&q->lock);
    if (!c.skip || c.empty) {
        take_contents(q, xstrdup(path), &c, late, places); /* an empty one is deleted */
    } else {
        q->corrupt += c.damaged;
        if (!late)
            stay_clear(q, path);
    }
    pthread_mutex_unlock(&q->lock);
    contents_free(&c);
}

/* Headers lie all over a file: looked at one after the other, each waits for a disk that has nothing else to do. Told
   of whole files in advance, it reads several times as fast. Only a hint: a file that cannot be opened tells later. */
static void read_ahead(const struct file_list *segments, size_t i)
{
    int fd = i < segments->n ? open(segments->v[i], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    close(fd);
}

/* What was done of a batch is neither restored nor buffered; when not all of it is there, all of the rest is sent. */
static void take_batches(struct queue *q, struct places *places)
{
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        for (size_t k = r && places->of[i] ? r->cursor.batches_n : 0; k-- > 0;) {
            struct cursor_batch *b = &r->cursor.batches[k];
            uint64_t done = progress_sum(&b->progress);
            if (b->seen != b->blocks || b->seen_samples != b->samples || done > b->samples) {
                cursor_remove_batch(&r->cursor, b);
                continue;
            }
            r->samples -= done;
            places->restored[i] -= done;
        }
    }
}

/* After all is there. */
static void finish(struct queue *q, bool late, struct places *places)
{
    entries_trim(q);
    q->held_unclaimed = q->held_seq && !places->any;
    if (!late) {
        take_batches(q, places);
        book_restored(q, places);
    }
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (r && r->active && !places->any && reader_claim_unclaimed(r))
            log_info("queue", "%s has no cursors: what is there goes to %s", q->dir, r->name);
        if (r)
            reader_update_cursor(r);
    }
    for (unsigned i = 0; i < READERS_MAX; i++) {
        const struct queue_reader *r = q->readers[i];
        if (r && r->blocks && places->of[i])
            log_info("queue", "%llu undelivered blocks for %s found in %s", (unsigned long long)r->blocks,
                     r->name, q->dir);
    }
}

bool recover_contents(struct queue *q, bool late)
{
    struct listing l;
    struct places places;
    pthread_mutex_unlock(&q->lock);
    disk_remember_directory(q);
    bool ok = list_directory(q, &l);
    uint64_t largest = ok && late ? largest_seq(&l) : 0;
    pthread_mutex_lock(&q->lock);
    if (!ok || (late && q->n > 0 && largest >= q->first_own_seq)) {
        listing_free(&l);
        return false;
    }
    if (largest >= q->next_seq)
        q->next_seq = q->first_own_seq = largest + 1;
    take_cursors(q, &l, late, &places);
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < READ_AHEAD; i++)
        read_ahead(&l.segments, i);
    for (size_t i = 0; i < l.segments.n; i++) {
        read_ahead(&l.segments, i + READ_AHEAD);
        take_segment(q, l.segments.v[i], late, &places);
    }
    pthread_mutex_lock(&q->lock);
    finish(q, late, &places);
    listing_free(&l);
    return true;
}
