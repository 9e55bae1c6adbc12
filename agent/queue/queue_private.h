/* SPDX-License-Identifier: Apache-2.0 */
/* queue_private: the inside of the queue, shared by the files of this room.

   One array of entries, in order of seq, is the log as RAM knows it: an entry a block that somebody still has to
   deliver, about 70 bytes wherever its bytes are. Each entry has a bit for each reader that has not delivered it; an
   entry without bits leaves. A block is in RAM, or in a segment, or (while it is being spilled) in both.

   Everything here is guarded by queue.lock, except bytes of segments, which never change once an entry points at them
   (a segment with `users` is not closed), and a reader's cursor file, which has a lock of its own so that a slow disk
   holds up nobody else. */
#ifndef OBSAGENT_QUEUE_PRIVATE_H
#define OBSAGENT_QUEUE_PRIVATE_H

#include "cursor.h"
#include "queue.h"
#include "segment.h"

#include <pthread.h>

#define READERS_MAX 32
#define DISK_RETRY_MS 3000

struct log_segment {
    struct log_segment *next; /* older first */
    char *path;
    int fd;
    uint64_t first_seq;
    uint64_t size;
    uint32_t entries; /* that point here */
    uint32_t users;   /* threads reading it without the lock */
};

struct entry {
    uint64_t seq;
    uint32_t lane, run;
    uint32_t pending; /* a bit for each reader that still has to deliver it */
    bool unclaimed;   /* from a directory without cursors: waits for the first reader */
    uint32_t samples;
    uint32_t bytes;              /* as stored: raw in RAM, compressed on disk */
    struct log_segment *segment; /* NULL while only in RAM */
    uint64_t offset;
    struct block *block; /* NULL while only on disk */
    int64_t sealed_wall_ms;
    int64_t pushed_ms; /* monotonic */
};

struct queue_reader {
    struct queue *q;
    unsigned slot; /* its bit in entry.pending */
    bool active;   /* opened; else only remembered, its blocks kept */
    bool restored; /* what was found on disk has been booked */
    char name[CURSOR_NAME_MAX];
    void (*notify)(void *ctx);
    void *ctx;
    unsigned notifying; /* calls of notify under way without the lock */
    bool failing;
    uint64_t max_bytes;
    int64_t max_age_ms;

    uint64_t from_seq; /* nothing before it is pending for this reader */
    struct block *out[CURSOR_LANES_MAX]; /* taken and not yet acknowledged; a reference of ours */
    uint64_t blocks, samples, bytes;     /* pending */
    uint64_t scraped_at_close;           /* to book what was scraped while it was closed */

    struct cursor cursor; /* what the file says or will say */
    pthread_mutex_t cursor_lock;
    int cursor_fd; /* -1 when the disk does not let us */
    bool cursor_dirty;
};

struct queue {
    struct queue_options options;
    char *dir;
    uint64_t max_bytes;
    struct ledger *ledger;
    int lock_fd;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the writer */
    pthread_cond_t quiet; /* a notify has returned */
    pthread_t writer;
    bool writer_runs, stopping;

    struct entry *v;
    size_t head, n, cap; /* entries are v[head..head+n) */
    uint64_t next_seq;
    uint32_t run;
    uint64_t unspilled_from; /* nothing before this seq is only in RAM */
    uint64_t scraped;        /* samples pushed */

    struct log_segment *oldest, *newest, *current; /* current: being written */
    struct queue_reader *readers[READERS_MAX];

    uint64_t ram_bytes, ram_blocks, disk_bytes;
    uint64_t written_bytes, read_bytes, fsyncs, corrupt;
    char disk_error[256];
    int64_t disk_retry_ms; /* not before */
    bool dirty;            /* written since the last fsync */
    int64_t last_sync_ms, last_spill_ms;
};

/* ---- entries.c; all under the lock ---- */

struct entry *entry_at(const struct queue *q, size_t i);
/* NULL when it has left. */
struct entry *entry_find(const struct queue *q, uint64_t seq);
/* Index of the first entry with this seq or a later one. */
size_t entry_lower(const struct queue *q, uint64_t seq);
struct entry *entry_push(struct queue *q);
/* The reader has nothing to do with it any more: counts, cursor, and the entry's end when it was the last. Segments
   that nobody needs now are unlinked. */
void entry_settle(struct queue *q, struct entry *e, struct queue_reader *r);
/* Forgets the RAM copy. */
void entry_drop_block(struct queue *q, struct entry *e);
void entry_set_block(struct queue *q, struct entry *e, struct block *b);
/* Counts e as pending for r. */
void entry_claim(struct entry *e, struct queue_reader *r);
/* Removes entries without readers from the front. */
void entries_trim(struct queue *q);
/* Books e as lost for the readers in mask that have it pending and not out, and settles them. May release the lock to
   read the job table from disk; entries may have moved afterwards. */
void entry_lose(struct queue *q, uint64_t seq, uint32_t mask, enum ledger_reason reason);
bool entry_is_out(const struct entry *e, const struct queue_reader *r);

/* ---- segments, entries.c ---- */

struct log_segment *segments_add(struct queue *q, char *path, int fd, uint64_t first_seq, uint64_t size);
/* Deletes those that hold nothing anybody needs; the current one only when `also_current`. */
void segments_collect(struct queue *q, bool also_current);

/* ---- recover.c ---- */

/* Makes the directory, takes its lock. False with err when it cannot be used; *held when another process has it. */
bool recover_directory(struct queue *q, bool *held, struct err *err) MUSTCHECK;
/* Reads cursors and segments of the directory into q. */
void recover_contents(struct queue *q);

/* ---- reader.c ---- */

struct queue_reader *reader_add(struct queue *q, const char *name);
/* Brings the cursor up to what is pending; under the lock. */
void reader_update_cursor(struct queue_reader *r);
/* Writes the cursor as of now; not under the lock. */
void reader_store_cursor(struct queue_reader *r, bool sync);
void reader_free(struct queue_reader *r);

/* ---- writer.c ---- */

void *writer_run(void *arg);

#endif
