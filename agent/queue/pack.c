/* SPDX-License-Identifier: Apache-2.0 */
/* pack: blocks compressed while they wait in RAM. */
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"

#define UNZIP_TRIES 5
#define UNZIP_WAIT_US 20000

bool pack_unzip(void *to, size_t room, const void *p, size_t n)
{
    size_t got = 0;
    for (int i = 0; i < UNZIP_TRIES; i++) {
        got = ZSTD_decompress(to, room, p, n);
        if (ZSTD_getErrorCode(got) != ZSTD_error_memory_allocation)
            break;
        usleep(UNZIP_WAIT_US);
    }
    errno = ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation ? ENOMEM : EBADMSG;
    return got == room;
}

void pack_block(struct block *b)
{
    if (b->raw_size || b->size == 0)
        return;
    size_t bound = ZSTD_compressBound(b->size);
    uint8_t *out = xmalloc(bound);
    size_t n = ZSTD_compress(out, bound, b->data, b->size, PACK_ZSTD_LEVEL);
    if (ZSTD_isError(n) || n >= b->size) {
        free(out);
        return;
    }
    free(b->data);
    b->data = xrealloc(out, n);
    b->raw_size = b->size;
    b->size = n;
}

static void copy_jobs(struct block *to, const struct block *from)
{
    size_t names = 0;
    for (size_t i = 0; i < from->jobs_n; i++)
        names += from->jobs[i].name.n;
    to->jobs = xmalloc(from->jobs_n * sizeof *to->jobs + names);
    char *at = (char *)(to->jobs + from->jobs_n);
    for (size_t i = 0; i < from->jobs_n; i++) {
        struct str name = from->jobs[i].name;
        if (name.n)
            memcpy(at, name.p, name.n);
        to->jobs[i] = (struct block_job){str_make(at, name.n), from->jobs[i].samples};
        at += name.n;
    }
}

struct block *pack_open(const struct block *packed, struct err *err)
{
    uint8_t *data = xmalloc(packed->raw_size);
    if (!pack_unzip(data, packed->raw_size, packed->data, packed->size)) {
        err_set(err, "a block packed in RAM cannot be unpacked: %s", strerror(errno));
        free(data);
        return NULL;
    }
    struct block *b = xmalloc(sizeof *b);
    *b = *packed;
    b->refs = 1;
    b->data = data;
    b->size = packed->raw_size;
    b->raw_size = 0;
    copy_jobs(b, packed);
    return b;
}
