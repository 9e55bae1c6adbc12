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
   pushed from now on is not kept for this reader; what others keep of it on disk is, from the next start on. */
void queue_reader_close(struct queue_reader *r);
/* Own caps of the endpoint; 0 = none. */
void queue_reader_limits(struct queue_reader *r, uint64_t max_bytes, int64_t max_age_ms);

/* The next block in order whose lane has none out for this reader; NULL when there is none. The reference
   belongs to the caller until queue_ack or queue_release. Blocks of an earlier run all come before those of
   this run. May read from disk. Only from the reader's own thread. */
struct block *queue_take(struct queue_reader *r);
/* Done with the block, whatever became of its samples (the caller has booked them): the cursor moves past
   it. */
void queue_ack(struct queue_reader *r, struct block *b);
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
