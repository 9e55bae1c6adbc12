/* SPDX-License-Identifier: Apache-2.0 */
/* queue_private: the inside of the queue, shared by the files of this room.

   One array of entries, in order of seq, is the log as RAM knows it: an entry a block that somebody still has
   to deliver, 72 bytes wherever its bytes are. Each entry has a bit for each reader that has not delivered
   it; an entry without bits leaves. A block is in RAM, or in a segment, or (while it is being spilled) in
   both.

   RAM does not grow with the backlog: past some thousand entries, those of whole segments that nobody will
   need soon are taken out of the array ("cold"): the segment keeps their sums, and its headers are read again
   when a reader comes near. A segment is cold only when all its records are owed to the same readers, so that
   nothing is forgotten by leaving the entries out.

        seq ->   [ entries | cold segment | cold segment | entries of the newest segments | entries in RAM ]
                   ^ readers that are behind                                 readers that are up ^

   What each kind of damage on disk costs is a table in the README, and with numbers in test_queue_damage.c.

   Everything here is guarded by queue.lock, except bytes of segments, which never change once an entry points
   at them (a segment with `users` is not deleted), and a reader's cursor file, which has a lock of its own.
   No thread touches the disk while it holds queue.lock: a slow disk holds up those who need it and nobody
   else. */
#ifndef OBSAGENT_QUEUE_PRIVATE_H
#define OBSAGENT_QUEUE_PRIVATE_H

#include "cursor.h"
#include "queue.h"
#include "segment.h"

#include <pthread.h>

#define READERS_MAX 32
#define ALL_READERS UINT32_MAX
/* Keys of throttled lines in this room are this and a small number. */
#define LOG_KEY 0x7175657565000000ull

struct log_segment {
    struct log_segment *prev, *next; /* older, newer */
    char *path;
    uint64_t size;
    uint64_t first_seq; /* no live entry of it is before */
    uint32_t records;   /* in the file, dead ones included */
    uint32_t entries;   /* live ones, in the array or left out */
    uint32_t users;     /* threads reading it without the lock */

    bool cold; /* the rest only then */
    bool unclaimed;
    uint32_t pending;
    uint32_t run;
    uint64_t samples, bytes, last_seq;
    int64_t oldest_wall_ms;
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

/* Blocks that a reader has taken from one lane, in order; references of ours. */
struct held {
    struct block **v;
    size_t n, cap;
};

struct queue_reader {
    struct queue *q;
    unsigned slot; /* its bit in entry.pending */
    bool active;   /* opened; else only remembered, its blocks kept */
    bool owed;     /* what is pushed is kept for it: it is open, or was or will be in a moment */
    bool kept;     /* stays owed when it is closed */
    char name[CURSOR_NAME_MAX];
    void (*notify)(void *ctx);
    void *ctx;
    unsigned notifying; /* calls of notify under way without the lock */
    unsigned storing;   /* threads at its cursor file without the lock */
    bool failing;
    uint64_t max_bytes;
    int64_t max_age_ms;

    uint64_t from_seq; /* nothing before it is pending for this reader */
    uint32_t cold;     /* cold segments that are pending for it */
    bool fresh_first;
    uint64_t fresh_from; /* the fresh stream begins here; CURSOR_OPEN = there is none */
    uint64_t fresh_seq;  /* nothing in it before this is pending */
    struct held out[2][CURSOR_LANES_MAX]; /* by stream */
    uint64_t blocks, samples, bytes;      /* pending */
    uint64_t scraped_at_close;           /* to book what was scraped while it was closed */
    int64_t read_retry_ms;               /* not before, after the disk failed to read */
    uint64_t read_failed_seq;
    unsigned read_failures; /* of that block, in a row */

    uint64_t held_low;    /* it had delivered up to here when q->held_seq was found: that stays so */
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
    int lock_fd; /* -1 while the directory is not ours */
    int dir_fd;  /* the directory that was locked, whatever has its name now; -1 = unknown */

    pthread_mutex_t lock;
    pthread_cond_t wake;  /* the writer */
    pthread_cond_t quiet; /* a notify has returned */
    pthread_t writer;
    bool writer_runs, stopping;

    struct entry *v;
    size_t head, n, cap; /* entries are v[head..head+n) */
    size_t dead;         /* of them, those that nobody needs, behind others */
    uint64_t next_seq;
    uint64_t held_seq; /* the first of a file that could not be read now: no stored cursor passes it; 0 = none */
    bool held_unclaimed;    /* and the first reader that comes owes it */
    uint64_t first_own_seq; /* of this run */
    uint32_t run;
    uint64_t unspilled_from; /* nothing before this seq is only in RAM */
    uint64_t scraped;        /* samples pushed */
    int64_t opened_ms;       /* monotonic */

    struct log_segment *oldest, *newest;
    struct log_segment *current; /* being written, through current_fd, by the writer alone */
    struct log_segment *doomed;  /* nobody needs them: the writer deletes the files */
    int current_fd;
    uint64_t current_samples; /* of all records in it */
    struct queue_reader *readers[READERS_MAX];

    uint64_t ram_bytes, ram_blocks, disk_bytes, disk_blocks, segments;
    uint64_t written_bytes, read_bytes, fsyncs, corrupt;
    char disk_error[256];
    bool disk_full;        /* that error is one */
    int64_t disk_retry_ms; /* not before */
    bool dirty;            /* written since the last fsync */
    bool spilling;         /* records are on their way to the disk */
    int64_t io_since_ms;   /* the writer is at the disk since; 0 = it is not */
    int64_t last_sync_ms, last_spill_ms, last_look_ms;
};

/* ---- entries.c; all under the lock ---- */

struct entry *entry_at(const struct queue *q, size_t i);
/* NULL when it has left (or is left out with its segment). */
struct entry *entry_find(const struct queue *q, uint64_t seq);
/* Index of the first entry with this seq or a later one. */
size_t entry_lower(const struct queue *q, uint64_t seq);
/* Makes room for n entries at index i; the first of them, all zero. */
struct entry *entry_insert(struct queue *q, size_t i, size_t n);
/* Takes n entries from index i out of the array, whatever they hold. */
void entry_remove(struct queue *q, size_t i, size_t n);
bool entry_is_pending(const struct entry *e, const struct queue_reader *r);
/* The reader holds it: taken, not yet acknowledged. */
bool entry_is_out(const struct entry *e, const struct queue_reader *r);
/* Counts e as pending for r. */
void entry_claim(struct entry *e, struct queue_reader *r);
/* The reader has nothing to do with it any more: counts, cursor, and the entry's end when it was the last. */
void entry_settle(struct queue *q, struct entry *e, struct queue_reader *r);
void entry_set_block(struct queue *q, struct entry *e, struct block *b);
/* Forgets the RAM copy. */
void entry_drop_block(struct queue *q, struct entry *e);
/* Removes entries without readers from the front. */
void entries_trim(struct queue *q);
/* Books the entry as lost for the readers in mask that have it pending and do not hold it, and settles them.
   May release the lock to read the job table from disk; entries may have moved afterwards. */
void entry_lose(struct queue *q, uint64_t seq, uint32_t mask, enum ledger_reason reason);
/* Gives an entry that a reader holds, and whose segment is about to go, a place in RAM alone. */
void entry_leave_segment(struct queue *q, struct entry *e);
/* The oldest block that is only in RAM is lost for everybody. False when there is none that may go. */
bool entries_drop_oldest_in_ram(struct queue *q);

/* ---- segments.c; all under the lock ---- */

struct log_segment *segments_add(struct queue *q, char *path, uint64_t size);
/* The entry's bytes are in s now; one record more of it is alive. */
void segments_enter(struct queue *q, struct log_segment *s, struct entry *e);
/* n of its entries are gone; the segment too, when that was the last. */
void segments_leave(struct queue *q, struct log_segment *s, uint32_t n);
/* Dooms s when nobody needs it: no entry, no user, not being written. */
void segments_collect(struct queue *q, struct log_segment *s);
/* Deletes the files of doomed segments. Releases the lock meanwhile. For the writer. */
void segments_bury(struct queue *q);
void segments_free(struct log_segment *list);
/* Reads a record; only its job table when `jobs`. Releases the lock meanwhile. NULL with err and *why:
   EBADMSG or ENOENT when it is gone for good, else what the disk said. */
struct block *segments_fetch(struct queue *q, struct log_segment *s, uint64_t offset, bool jobs, int *why,
                             struct err *err) MUSTCHECK;

/* ---- cold.c; all under the lock ---- */

/* Leaves out entries of segments that nobody needs soon until few are left. */
void cold_freeze(struct queue *q);
/* Brings the entries of s back; releases the lock meanwhile. False when the disk does not let it. What is
   missing from the file since is booked as corrupt. */
bool cold_thaw(struct queue *q, struct log_segment *s);
/* The first cold segment that r has to deliver, or NULL. */
struct log_segment *cold_first(const struct queue_reader *r);
/* Counts an unclaimed cold segment as pending for r. */
void cold_claim(struct log_segment *s, struct queue_reader *r);
/* Books all of a cold segment as lost for all its readers, by its sums, without reading it. */
void cold_lose(struct queue *q, struct log_segment *s, enum ledger_reason reason);

/* ---- recover.c ---- */

/* Makes the directory, takes its lock: a file descriptor, -1 with err when it cannot be used; *held when
   another process has it, *read_only when it can only be read. Not under the lock. */
int recover_directory(const struct queue *q, bool *held, bool *read_only, struct err *err) MUSTCHECK;
/* Reads cursors and segments of the directory into q. Under the lock, which a late call releases while it
   reads. `late`: blocks of this run exist already; false when what is found cannot be put before them. */
bool recover_contents(struct queue *q, bool late) MUSTCHECK;

/* ---- reader.c, reader_take.c, reader_ack.c, reader_cursor.c, reader_switch.c ---- */

/* A slot for a reader of this name, remembered only; NULL when all are taken. Under the lock. */
struct queue_reader *reader_add(struct queue *q, const char *name);
struct queue_reader *reader_find(const struct queue *q, const char *name);
/* The one of this name, added when there is none and room. */
struct queue_reader *reader_of(struct queue *q, const char *name, bool *is_new);
/* From here on it is owed what is pushed, or no longer. Under the lock. */
void reader_expect(struct queue_reader *r, bool is_new);
void reader_end_owing(struct queue_reader *r);
/* Gives everything unclaimed to r. Under the lock. True when there was something. */
bool reader_claim_unclaimed(struct queue_reader *r);
void reader_free(struct queue_reader *r);

/* The first entry in the array that is pending for r, or q->n. Under the lock. */
size_t reader_first(const struct queue_reader *r);
/* Begins a fresh stream with what is pushed next, unless there is no room for its place in the cursor. */
void reader_begin_fresh(struct queue_reader *r);
/* Blocks of [from, to] are lost or missing: a batch with one of them is no batch any more, what was done of it counts
   as buffered again. Under the lock. */
void reader_forget_batches(struct queue_reader *r, uint64_t from, uint64_t to);
void reader_forget_batch(struct queue_reader *r, struct cursor_batch *batch);
uint64_t progress_sum(const struct queue_progress *p);
/* Puts b into what r holds, or takes it out; a reference of r's. */
void held_add(struct held *h, struct block *b);
bool held_remove(struct held *h, const struct block *b);
/* Brings the cursor up to what is pending; under the lock. */
void reader_update_cursor(struct queue_reader *r);
enum store_how { STORE_UNLESS_BUSY, STORE, STORE_SYNC };
/* Writes the cursor as of now. Under the lock, which it releases meanwhile. STORE_UNLESS_BUSY leaves it to
   the writer when somebody else is at the file or the disk hangs. */
void reader_store_cursor(struct queue_reader *r, enum store_how how);
/* Stores all that changed. Under the lock, which it releases meanwhile. */
void reader_store_cursors(struct queue *q, enum store_how how);
/* The file has gone: the next store makes a new one. Under the lock, which it releases meanwhile. */
void reader_forget_file(struct queue_reader *r);

/* ---- disk.c; under the lock; all but disk_failed for the writer ---- */

/* Remembers which directory it is that was locked. Not under the lock. */
void disk_remember_directory(struct queue *q);
/* Between these two the writer is at the disk, without the lock. */
void disk_begin(struct queue *q);
void disk_end(struct queue *q);
void disk_failed_because(struct queue *q, const char *text);
void disk_failed(struct queue *q, const char *what, const char *path, int why);
void disk_recovered(struct queue *q);
/* The directory is there and ours: takes it when it comes late, makes it anew when it has gone. */
bool disk_ready(struct queue *q);
/* Bytes of the file system, used or not; UINT64_MAX when it cannot be asked. Not under the lock. */
uint64_t disk_size(const struct queue *q);
/* errno when the file system has no room for n bytes and a segment to spare, or cannot tell; else 0. Not
   under the lock. */
int disk_room(const struct queue *q, uint64_t n);
/* Sees whether an error is over, by writing a little. */
void disk_probe(struct queue *q);
/* Books what is in segments that somebody has removed. */
void disk_look(struct queue *q);

/* ---- spill.c; for the writer, under the lock ---- */

struct spill;
struct spill *spill_new(void);
void spill_free(struct spill *s);
/* The first entry that is only in RAM, or NULL. */
struct entry *spill_first(struct queue *q);
/* Writes one batch of them, lock released meanwhile. */
void spill_some(struct queue *q, struct spill *s);
/* Closes the segment that is being written; the next spill begins a new one. */
void spill_rotate(struct queue *q);
void spill_sync(struct queue *q);

/* ---- caps.c; for the writer, under the lock ---- */

void caps_keep(struct queue *q);
/* All that is in s goes, for everybody; what a reader holds moves to RAM. */
void caps_drop_segment(struct queue *q, struct log_segment *s, enum ledger_reason reason);

/* ---- queue.c, writer.c ---- */

/* Default sizes for a file system of so many bytes. Under the lock. */
void queue_set_sizes(struct queue *q, uint64_t fs_bytes);
void *writer_run(void *arg);

#endif
