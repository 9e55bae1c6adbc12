/* SPDX-License-Identifier: Apache-2.0 */
/* cursor: what one endpoint has delivered, on disk. Two slots in one small file are written in turn, so a
   torn write leaves the one before.

   file  | slot 0: 2048 bytes | slot 1: 2048 bytes |
   slot  | "OBSC" | crc u32 | turn u64 | low u64 | run u32 | lanes u32 | 0 u64 | name, 128 bytes, 0-padded |
         | acked seq u64 for each lane |
   A block is delivered when seq <= low, or when it is of `run` and seq <= acked[lane]. */
#ifndef OBSAGENT_QUEUE_CURSOR_H
#define OBSAGENT_QUEUE_CURSOR_H

#include "base/err.h"
#include "base/str.h"
#include "block.h"

#include <stdint.h>

#define CURSOR_LANES_MAX BLOCK_LANES_MAX
#define CURSOR_NAME_MAX 128

struct cursor {
    char name[CURSOR_NAME_MAX];
    uint64_t turn;
    uint64_t low;
    uint32_t run;
    uint64_t acked[CURSOR_LANES_MAX];
};

/* The file of an endpoint's cursor in dir: the name, escaped, or its hash when that is too long for a file.
   Caller frees. */
char *cursor_path(const char *dir, const char *name);
/* Whether a directory entry is a cursor. Its endpoint's name goes to out, "" when the file's name does not
   tell it (then it stands inside). */
bool cursor_name_of(const char *file_name, char out[CURSOR_NAME_MAX]);
bool cursor_is_name(const char *file_name);
/* Reads the newer intact slot. False when there is none; *c is then a cursor that has delivered nothing. */
bool cursor_read(const char *path, struct cursor *c) MUSTCHECK;
/* Opens the file for writing; -1 and err. *created: it was not there, and its name is on disk for good
   now. */
int cursor_open(const char *path, bool *created, struct err *err) MUSTCHECK;
/* Writes the next turn into its slot; not synced. False on a failing disk. */
bool cursor_write(int fd, struct cursor *c) MUSTCHECK;
bool cursor_delivered(const struct cursor *c, uint64_t seq, uint32_t lane, uint32_t run);

#endif
