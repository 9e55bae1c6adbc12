/* SPDX-License-Identifier: Apache-2.0 */
/* hold_shift: a block written anew with other timestamps. */
#include "block_copy.h"
#include "hold.h"

static bool copy_all(struct block_copier *c, const struct block_shift *shift, struct block_builder *to, uint64_t *moved,
                     struct err *err)
{
    const struct block_copy_how how = {.shift = shift, .moved = moved};
    struct str job;
    block_copier_symbols(c, 0, to);
    while (block_copier_next(c, err)) {
        if (!block_copier_put(c, 0, to, &how))
            return err_set(err, "a series cannot be read");
        if (block_copier_job_ends(c, &job))
            block_builder_job(to, job);
    }
    return !err_is(err);
}

struct block *hold_shift(const struct block *b, int64_t from_ms, int64_t to_ms, int64_t shift_ms,
                         uint64_t *moved_n, struct err *err)
{
    const struct block_shift shift = {from_ms, to_ms, shift_ms};
    struct block_copier *c = block_copier_new();
    struct block_builder *to = block_builder_new(b->lane, SIZE_MAX, UINT32_MAX);
    *moved_n = 0;
    bool ok = block_copier_open(c, b, err) && copy_all(c, &shift, to, moved_n, err);
    struct block *out = ok ? block_builder_seal(to) : NULL;
    block_builder_free(to);
    block_copier_free(c);
    return out;
}
