/* SPDX-License-Identifier: Apache-2.0 */
/* queue: one log of blocks with a cursor per endpoint. Healthy: blocks pass through RAM, nothing touches the
   disk. Behind: blocks go to segment files, and any crash leaves what was written readable. */
#ifndef OBSAGENT_QUEUE_H
#define OBSAGENT_QUEUE_H

#include "base/err.h"
#include "block.h"
#include "ledger.h"

#include <stdint.h>

struct queue_options {
    const char *dir;          /* created when missing; locked for this process */
    uint64_t max_bytes;       /* on disk, all segments; 0 = 1 GiB or 10 % of the file system, whichever is less */
    int64_t max_age_ms;       /* 0 = 7 days */
    size_t ram_max_bytes;     /* 0 = 32 MiB */
    size_t segment_bytes;     /* 0 = 4 MiB */
    int64_t spill_after_ms;   /* 0 = 700: a block not delivered for so long goes to disk */
    int64_t fsync_interval_ms;/* 0 = 1000 */
    int64_t disk_retry_ms;    /* 0 = 3000: so long after an error the disk is tried again */
    bool always;              /* durability=always: every block is written at once */
    struct ledger *ledger;
};

struct queue;
struct queue_reader;

/* Opens dir, finds what earlier runs left (bad records are skipped, counted as corrupt and named in the log;
   nothing is wiped), starts the writer thread. Fails only for a directory that another process holds. A
   directory that cannot be used at all gives a queue that lives in RAM and says so (queue_stats.disk_error),
   trying again every few seconds. */
struct queue *queue_open(const struct queue_options *options, struct err *err) MUSTCHECK;
/* All readers closed before. Everything not delivered everywhere is on disk afterwards. */
void queue_close(struct queue *q);

/* Takes over one reference, gives the block its seq, books it as scraped. Never waits for disk or network;
   any thread. */
void queue_push(struct queue *q, struct block *b);

/* An endpoint's place in the log, found by name in the directory; a new name starts at what is pushed from
   now on, except that the very first reader ever of a directory starts at the oldest block. notify(ctx) is
   called (any thread, no locks held, must not block: post to a loop) when queue_take may have something
   new. */
struct queue_reader *queue_reader_open(struct queue *q, const char *name, void (*notify)(void *ctx),
                                       void *ctx, struct err *err) MUSTCHECK;
/* Blocks taken and not acknowledged stay undelivered; the cursor stays on disk when anything is left. What is
   pushed from now on is not kept for this reader, also when it is opened again. */
void queue_reader_close(struct queue_reader *r);
/* A number that stands for where the reader's endpoint delivers to, kept with its cursor; 0 = unknown. */
void queue_reader_key(struct queue_reader *r, uint64_t key);

/* A name with a cursor that nobody has opened. */
struct queue_idle {
    char name[128];
    uint64_t key;
    uint64_t blocks; /* that it has not delivered */
    bool owed;       /* kept (queue_reader_keep): more are coming until the switch */
};
/* At most max of them; returns how many there are. */
size_t queue_idle_readers(struct queue *q, struct queue_idle *out, size_t max);
bool queue_knows(struct queue *q, const char *name);
/* Nobody has a reader of this name, and nothing waits for one: it is not known, or has delivered everything. */
bool queue_name_is_spare(struct queue *q, const char *name);
/* Gives the place of an idle name to another one, which must be spare. False when that cannot be. */
bool queue_reader_rename(struct queue *q, const char *from, const char *to);
/* What is pushed after the reader of this name is closed stays owed to it, until queue_switch. */
void queue_reader_keep(struct queue *q, const char *name);
/* From one point of the log on blocks are owed to the readers of these names and to no others, in one step for all of
   them. Those that are not open yet are to be opened, others that are open to be closed. Returns the number of the
   first block that is pushed afterwards; placed[i] is false when there was no room for names[i]. */
uint64_t queue_switch(struct queue *q, const char *const *names, size_t n, bool *placed);
/* Numbers of blocks: nothing is owed to anybody before *oldest, and *next is what the next one will have. */
void queue_range(struct queue *q, uint64_t *oldest, uint64_t *next);
/* Own caps of the endpoint; 0 = none. */
void queue_reader_limits(struct queue_reader *r, uint64_t max_bytes, int64_t max_age_ms);

/* Two streams instead of one: what is pushed from now on is taken beside what waited before, and does not wait for it.
   Each stream keeps the order of each lane. What waits too long in the fresh stream, as after an outage, belongs to the
   backlog then. False: one stream again, the oldest first. */
void queue_reader_drain(struct queue_reader *r, bool fresh_first);

/* How far a batch has come that its owner cuts into strands: of each, how many series (from its start) are through. */
#define QUEUE_STRANDS_MAX 8
struct queue_progress {
    uint32_t strands; /* 0 = nothing is known of the batch */
    uint32_t series[QUEUE_STRANDS_MAX];
};

enum queue_stream { QUEUE_BACKLOG, QUEUE_FRESH };

/* What to take: at most so many blocks (1 ..), samples and bytes as they wait; the first block comes in any case. */
struct queue_wish {
    enum queue_stream stream;
    size_t blocks;
    uint64_t samples, bytes;
};

/* The next blocks in order of one lane that has none out in this stream: returns how many (0 = none), in out, which has
   room for QUEUE_BATCH_MAX. The references belong to the caller until queue_ack or queue_release. Blocks of an earlier
   run all come before those of this run. When they were under way before (in an earlier run even), exactly the same
   ones come again, whatever is wished, and *progress tells what need not be sent once more; strands is 0 otherwise.
   May read from disk. Only from the reader's own thread. */
#define QUEUE_BATCH_MAX 256
size_t queue_take_some(struct queue_reader *r, const struct queue_wish *wish, struct block **out,
                       struct queue_progress *progress);
/* One block of any stream, fresh ones first; NULL when there is none. */
struct block *queue_take(struct queue_reader *r);
/* Done with these blocks, whatever became of their samples (the caller has booked them): the cursor moves past
   them. They are what one queue_take_some returned. */
void queue_ack_all(struct queue_reader *r, struct block *const *blocks, size_t n);
void queue_ack(struct queue_reader *r, struct block *b);
/* Of the batch, which stays out, this much is through and booked by the caller: it counts as buffered no longer, and is
   not sent again after a restart. Only for batches in which each series has one sample. */
void queue_note_progress(struct queue_reader *r, struct block *const *blocks, size_t n,
                         const struct queue_progress *progress);
/* Gives it back undelivered; the next queue_take of the lane returns it again. */
void queue_release(struct queue_reader *r, struct block *b);
/* The endpoint says whether it is failing: while any is, blocks go to disk at once. */
void queue_reader_failing(struct queue_reader *r, bool failing);

struct queue_reader_stats {
    char name[128];
    uint64_t buffered_blocks, buffered_samples, buffered_bytes; /* not acknowledged, wherever they are */
    int64_t oldest_wall_ms; /* of the oldest buffered block, 0 = none */
    bool behind;
};
struct queue_stats {
    uint64_t ram_blocks, ram_bytes, disk_bytes, disk_bytes_max, segments;
    uint64_t disk_written_bytes_total, disk_read_bytes_total, fsyncs_total, corrupt_records_total;
    char disk_error[256]; /* "" = fine */
};
void queue_stats(struct queue *q, struct queue_stats *out);
void queue_reader_stats(const struct queue_reader *r, struct queue_reader_stats *out);
/* True while any reader fails or the disk is in use: the scraper then seals early. */
bool queue_urgent(const struct queue *q);

/* Offline reading for `obsagent queue`: visits every intact record of a directory in order, without changing
   it. */
struct queue_record {
    const char *segment;
    uint64_t offset;
    uint32_t run; /* of the agent that wrote it: lanes of different runs are different lanes */
    const struct block *block;
};
struct queue_cursor_info {
    char name[128];
    uint64_t acked_seq; /* everything up to here is delivered */
    uint64_t pending_blocks, pending_samples, pending_bytes;
    int64_t oldest_wall_ms;
};
bool queue_scan(const char *dir, bool (*fn)(void *ctx, const struct queue_record *record), void *ctx,
                uint64_t *corrupt_records, struct err *err) MUSTCHECK;
/* Cursors of a directory, at most max; returns how many there are. */
size_t queue_cursors(const char *dir, struct queue_cursor_info *out, size_t max, struct err *err);
/* Whether the named endpoint has not yet delivered this record. */
bool queue_cursor_pending(const char *dir, const char *name, const struct queue_record *record);

#endif
