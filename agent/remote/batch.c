/* SPDX-License-Identifier: Apache-2.0 */
/* batch: blocks of one lane put together, and cut into strands by a hash of the series' labels. The same blocks always
   give the same strands, also in a later run: that is how a batch can go on where it was. */
#include "batch.h"

#include <stdlib.h>

#include "base/alloc.h"

static bool put(struct block_copier *copier, struct block_builder **to, unsigned strands, struct err *err)
{
    unsigned i = strands > 1 ? (unsigned)(block_copier_hash(copier) % strands) : 0;
    struct str job;
    if (!block_copier_put(copier, i, to[i], NULL))
        return err_set(err, "a series cannot be read");
    if (!block_copier_job_ends(copier, &job))
        return true;
    for (unsigned k = 0; k < strands; k++)
        block_builder_job(to[k], job);
    return true;
}

/* Returns how many of its samples are in no builder. */
static uint64_t add_block(struct block_copier *copier, const struct block *b, struct block_builder **to,
                          unsigned strands)
{
    struct err err = {0};
    uint64_t added = 0;
    bool good = block_copier_open(copier, b, &err);
    while (good && block_copier_next(copier, &err)) {
        good = put(copier, to, strands, &err);
        added += good;
    }
    /* What was added of a block that broke off belongs to some job of it. */
    for (unsigned k = 0; k < strands && b->jobs_n; k++)
        block_builder_job(to[k], b->jobs[b->jobs_n - 1].name);
    return b->samples > added ? b->samples - added : 0;
}

static void note_lost(struct batch *b, size_t i, uint64_t samples)
{
    if (!b->lost)
        b->lost = xcalloc(b->n, sizeof *b->lost);
    b->lost[i] = samples;
    b->unreadable += samples;
}

static void cut(struct batch *b, struct block_copier *copier)
{
    unsigned strands = b->progress.strands;
    struct block_builder *to[QUEUE_STRANDS_MAX];
    for (unsigned k = 0; k < strands; k++)
        to[k] = block_builder_new(b->blocks[0]->lane, SIZE_MAX, UINT32_MAX);
    for (size_t i = 0; i < b->n; i++) {
        uint64_t missing = add_block(copier, b->blocks[i], to, strands);
        if (missing)
            note_lost(b, i, missing);
    }
    for (unsigned k = 0; k < strands; k++) {
        b->strands[k] = block_builder_seal(to[k]);
        if (b->strands[k])
            b->strands[k]->seq = b->blocks[0]->seq;
        block_builder_free(to[k]);
    }
}

struct batch *batch_new(struct block_copier *copier, struct block *const *blocks, size_t n, enum queue_stream stream,
                        unsigned strands, const struct queue_progress *progress)
{
    struct batch *b = xcalloc(1, sizeof *b);
    b->blocks = xmalloc(n * sizeof(struct block *));
    memcpy(b->blocks, blocks, n * sizeof(struct block *));
    b->n = n;
    b->stream = stream;
    b->countable = true;
    for (size_t i = 0; i < n; i++)
        b->countable = b->countable && blocks[i]->series == blocks[i]->samples;
    b->progress = *progress;
    if (b->progress.strands == 0)
        b->progress = (struct queue_progress){.strands = b->countable ? strands : 1};
    if (n == 1 && b->progress.strands == 1)
        b->strands[0] = block_ref(blocks[0]);
    else
        cut(b, copier);
    b->countable = b->countable && b->unreadable == 0;
    for (unsigned k = 0; k < b->progress.strands; k++) {
        struct block *strand = b->strands[k];
        if (strand && b->progress.series[k] >= strand->series) {
            block_unref(strand);
            b->strands[k] = NULL;
        }
        b->open += b->strands[k] != NULL;
    }
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (unsigned k = 0; k < QUEUE_STRANDS_MAX; k++)
        block_unref(b->strands[k]);
    membership_release(b->period);
    free(b->blocks);
    free(b->lost);
    free(b);
}
