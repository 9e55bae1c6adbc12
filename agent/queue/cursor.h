/* SPDX-License-Identifier: Apache-2.0 */
/* cursor: what one endpoint has delivered, on disk. Two slots in one small file are written in turn, so a
   torn write leaves the one before.

   file     | slot 0: 16 KiB | slot 1: 16 KiB |
   slot     | "OBC2" | crc u32 | bytes u32 | 2 u32 | turn u64 | low u64 | key u64 | closed at u64 |
            | name, 128 bytes, 0-padded | lanes u32 | windows u32 | batches u32 | 0 u32 | windows | batches |
   window   | from u64 | to u64 | run u32 | 0 u32 | acked seq u64 for each lane |
   batch    | first u64 | last u64 | run u32 | lane u32 | blocks u32 | strands u32 | samples u64 |
            | series done u32 for each strand | filled to a multiple of 8
   The crc is CRC-32C over `bytes` bytes behind it.

   The first version ("OBSC", slots of 2048 bytes at 0 and 2048: crc u32, turn u64, low u64, run u32, lanes u32, 0 u64,
   name, acked) is read as well; the first slot written over it is the one that leaves its newer half whole. */
#ifndef OBSAGENT_QUEUE_CURSOR_H
#define OBSAGENT_QUEUE_CURSOR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "block.h"
#include "queue.h"

#include <stdint.h>

#define CURSOR_LANES_MAX BLOCK_LANES_MAX
#define CURSOR_NAME_MAX 128
#define CURSOR_SLOT_BYTES 16384
#define CURSOR_WINDOWS_MAX 24
#define CURSOR_BATCHES_MAX 24
#define CURSOR_OPEN UINT64_MAX

/* Of what begins at `from`, this is delivered: each lane of `run` up to acked[lane], and everything before `to`. The
   first window of a cursor begins at 0 and belongs to those who deliver in order; further ones begin where newer data
   was given a way of its own past the older (then `to` is 0), or are a time in which nothing was owed. */
struct cursor_window {
    uint64_t from, to;
    uint32_t run;
    uint64_t acked[CURSOR_LANES_MAX];
};

/* A batch that is half through: the blocks of a lane from first to last that are not delivered, how many they are and
   hold, and how much of each strand is done. Without all of them there it means nothing. */
struct cursor_batch {
    uint64_t first, last;
    uint32_t run, lane;
    uint32_t blocks;
    uint64_t samples;
    struct queue_progress progress;
    uint32_t seen; /* not stored: what recovering has found of it */
    uint64_t seen_samples;
};

/* Zero-initialised, with windows_n 1 and closed_at CURSOR_OPEN (cursor_init), it has delivered nothing. */
struct cursor {
    char name[CURSOR_NAME_MAX];
    uint64_t key; /* of where it delivers to, 0 = unknown: a new name may take over by it */
    uint64_t turn;
    uint64_t low;       /* everything up to here is delivered */
    uint64_t closed_at; /* from here on nothing is owed; CURSOR_OPEN */
    size_t windows_n, batches_n;
    struct cursor_window windows[CURSOR_WINDOWS_MAX];
    struct cursor_batch batches[CURSOR_BATCHES_MAX];
};

void cursor_init(struct cursor *c, const char *name);
/* The file of an endpoint's cursor in dir: the name, escaped, or its hash when that is too long for a file.
   Caller frees. */
char *cursor_path(const char *dir, const char *name);
/* Whether a directory entry is a cursor. Its endpoint's name goes to out, "" when the file's name does not
   tell it (then it stands inside). */
bool cursor_name_of(const char *file_name, char out[CURSOR_NAME_MAX]);
bool cursor_is_name(const char *file_name);
/* Reads the newer intact slot. False when there is none; *c is then a cursor that has delivered nothing, and errno is
   EBADMSG, or what the disk says. */
bool cursor_read(const char *path, struct cursor *c) MUSTCHECK;
/* Opens the file for writing; -1 and err. *created: it was not there, and its name is on disk for good
   now. */
int cursor_open(const char *path, bool *created, struct err *err) MUSTCHECK;
/* The next turn as the bytes of its slot, replacing out; c->turn rises. Batches that have no room are left out: their
   blocks would be sent again whole. */
void cursor_encode(struct cursor *c, struct buf *out);
/* Writes what cursor_encode made for this turn; not synced. False on a failing disk. */
bool cursor_put(int fd, uint64_t turn, struct str slot) MUSTCHECK;
/* Both in one. */
bool cursor_write(int fd, struct cursor *c) MUSTCHECK;
/* Nothing of this block is owed (any more). */
bool cursor_delivered(const struct cursor *c, uint64_t seq, uint32_t lane, uint32_t run);

/* The highest number in it. */
uint64_t cursor_highest(const struct cursor *c);
/* Records that the lane is delivered up to seq in this window. */
void cursor_ack(struct cursor_window *w, uint64_t seq, uint32_t lane, uint32_t run);
/* A further window; NULL when there is no room. Earlier ones that `low` has passed make some. */
struct cursor_window *cursor_add_window(struct cursor *c, uint64_t from, uint64_t to);
/* The batch of this lane, or NULL. */
struct cursor_batch *cursor_find_batch(struct cursor *c, uint32_t lane, uint32_t run, uint64_t seq);
void cursor_remove_batch(struct cursor *c, struct cursor_batch *batch);

#endif
