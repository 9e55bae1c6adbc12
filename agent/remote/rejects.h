/* SPDX-License-Identifier: Apache-2.0 */
/* rejects: the last series that receivers refused, with their words: a ring in RAM, and on disk two files of NDJSON
   that take turns (rejects.ndjson, and rejects.old.ndjson before it), so that they can be read after a restart. */
#ifndef OBSAGENT_REMOTE_REJECTS_H
#define OBSAGENT_REMOTE_REJECTS_H

#include "remote.h"

#define REJECTS_MAX 100
#define REJECTS_FILE_BYTES (256 * 1024)

struct rejects;

/* dir NULL: nothing is kept on disk. What an earlier run left there is read. */
struct rejects *rejects_new(const char *dir);
void rejects_free(struct rejects *r);
/* Any thread; never touches the disk. */
void rejects_add(struct rejects *r, const struct remote_reject *reject);
/* Newest first. Any thread. */
void rejects_each(struct rejects *r, void (*fn)(void *ctx, const struct remote_reject *reject), void *ctx);
/* Writes what came since the last time; cheap when there is nothing. From one thread. What the ring has lost meanwhile
   is not written; a disk that fails costs the lines and a word in the log. */
void rejects_store(struct rejects *r);

#endif
