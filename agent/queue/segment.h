/* SPDX-License-Identifier: Apache-2.0 */
/* segment: the files of the log. A segment is a header and records; a record is a block, readable on its own.

   segment   | "OBSQSEG\n" | version u32 | crc u32 | first seq u64 | created ms i64 |           32 bytes
   record    | "OBSR" | header crc u32 | seq u64 | lane u32 | run u32 | flags u32 | series u32 | samples u32 |
             | jobs bytes u32 | stored bytes u32 | raw bytes u32 | payload crc u32 | jobs crc u32 |
             | min ts i64 | max ts i64 | sealed ms i64 |                                        80 bytes
             | jobs: {samples u32, name bytes u16, name} ... | payload: block data, zstd when smaller |

   Flags: 1 = the payload is compressed; 2, 4, 8 = the block's BLOCK_HOLDS_ bits (none in what older versions wrote).
   128 = the 24 bits from 256 on are how many samples all records before this one in the file hold, so that it is known
   how many a destroyed header held.

   All numbers are little-endian; the CRCs are CRC-32C. The header's covers the 72 bytes behind it and nothing
   else: whether a record begins at some byte is decided by 80 bytes, however damaged the rest is, and how
   many samples it holds is known even when its payload is not. */
#ifndef OBSAGENT_QUEUE_SEGMENT_H
#define OBSAGENT_QUEUE_SEGMENT_H

#include "base/buf.h"
#include "base/err.h"
#include "block.h"

#define SEGMENT_VERSION 1
#define SEGMENT_HEADER_BYTES 32
#define RECORD_HEADER_BYTES 80
#define RECORD_JOBS_MAX (16 * 1024 * 1024)
#define RECORD_PAYLOAD_MAX (256 * 1024 * 1024)

/* A record's header as read; `jobs` are views into memory of the reader. */
struct record {
    uint64_t seq;
    uint32_t lane, run;
    bool compressed;
    bool counted;    /* `before` is known: it is not in files of the first releases */
    uint32_t before; /* samples of the records before it in the file */
    bool mended;     /* one bit of the header was wrong */
    uint32_t holds; /* of the block */
    uint32_t series, samples;
    uint32_t jobs_bytes, stored_bytes, raw_bytes;
    uint32_t payload_crc, jobs_crc;
    int64_t min_ts_ms, max_ts_ms, sealed_wall_ms;
    uint64_t offset; /* of the record in its file */
    uint64_t size;   /* header, jobs and payload */
};

/* File names are this, the first seq in 16 hexadecimal digits, and the suffix: sorted by name is sorted by seq. */
#define SEGMENT_PREFIX "seg-"
#define SEGMENT_SUFFIX ".log"
bool segment_is_name(const char *file_name);

/* ---- writing ---- */

/* Appends the header of a new segment to out. */
void segment_header(uint64_t first_seq, struct buf *out);
/* Appends a whole record behind others of `before` samples in the file; scratch is reused between calls. */
void segment_encode(const struct block *b, uint32_t run, uint64_t before, struct buf *scratch, struct buf *out);

/* ---- reading; bytes are not trusted ---- */

enum segment_kind {
    SEGMENT_GOOD,
    SEGMENT_NEWER,   /* of a later version, whose header has the same form: not to be touched */
    SEGMENT_EMPTY,   /* a crash came right after it was made: part of a header, or zeros, and no more */
    SEGMENT_DAMAGED, /* ours, but the header is bad: there may be records behind it */
    SEGMENT_FOREIGN, /* does not begin like one: perhaps damaged, perhaps another's */
    SEGMENT_FAILED   /* the disk does not let it be read; errno */
};
/* What a file is, by its header. */
enum segment_kind segment_check(int fd);

enum segment_step {
    STEP_RECORD,  /* *r is filled, its header is intact (the payload has not been looked at) */
    STEP_TORN,    /* *r is filled, its header is intact, but the file ends before the record does */
    STEP_CORRUPT, /* bytes were skipped to the next intact header or the end; r->offset is where that began. A header
                     with one wrong bit is none of these: the CRC tells which one it is */
    STEP_END
};
/* The record at *offset; moves *offset behind it. */
enum segment_step segment_next(int fd, uint64_t *offset, struct record *r);
/* Reads the record's block, payload checked and unpacked; the caller owns the reference. NULL with err and
   errno when that fails: EBADMSG for damage, else what the disk said. When only the job table is damaged, all
   samples are in a job without a name. */
struct block *segment_read(int fd, uint64_t offset, struct err *err) MUSTCHECK;
/* A block without data: only what the header and the job table say; for booking losses. NULL with errno, as
   above, when even that is gone. */
struct block *segment_read_jobs(int fd, uint64_t offset) MUSTCHECK;

#endif
