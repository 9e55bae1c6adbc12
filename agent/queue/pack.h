/* SPDX-License-Identifier: Apache-2.0 */
/* pack: blocks compressed while they wait in RAM. A burst (a target with a million series, a fleet that went stale at
   once) comes faster than any receiver or disk takes it; packed it needs a fifth of the room, and what is spilled
   afterwards goes to the disk as it is. */
#ifndef OBSAGENT_QUEUE_PACK_H
#define OBSAGENT_QUEUE_PACK_H

#include "base/err.h"
#include "block.h"

#define PACK_ZSTD_LEVEL 1

/* Compresses the bytes of a block that nobody else holds yet. What does not shrink stays as it is. */
void pack_block(struct block *b);
/* A new block with the bytes as they were; the caller owns the reference. NULL with err when that fails. */
struct block *pack_open(const struct block *packed, struct err *err) MUSTCHECK;

/* Unpacks n bytes at p into to, which has exactly `room`. False with errno: ENOMEM when there was no memory for it,
   also after a few tries, else EBADMSG. */
bool pack_unzip(void *to, size_t room, const void *p, size_t n) MUSTCHECK;

#endif
