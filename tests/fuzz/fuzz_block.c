/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_block: any bytes as a block. What reads well is written again from what was read, and must read the
   same. */
#include <stdint.h>
#include <stdlib.h>

#include "block.h"

static struct block *rewrite(struct block_reader *r)
{
    struct block_builder *b = block_builder_new(0, 0, 0);
    struct block_series s;
    struct err err = {0};
    for (uint32_t i = 1; i < block_reader_symbols(r); i++)
        if (block_builder_symbol(b, block_reader_symbol(r, i)) != i)
            abort();
    while (block_reader_next(r, &s, &err)) {
        for (size_t i = 0; i < s.refs_n; i++)
            if (!block_reader_symbol(r, s.refs[i]).p && s.refs[i] >= block_reader_symbols(r))
                abort();
        for (size_t i = 0; i < s.samples; i++) {
            double value;
            int64_t ts;
            struct block_meta meta = {s.type, s.help_ref, s.unit_ref};
            if (!block_series_sample(&s, i, &value, &ts))
                abort();
            block_builder_sample(b, s.refs, s.refs_n, value, ts, s.has_meta ? &meta : NULL);
        }
    }
    struct block *out = err_is(&err) ? NULL : block_builder_seal(b);
    block_builder_free(b);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct block_reader *first, *second;
    struct err err = {0};
    if (!first) {
        first = block_reader_new();
        second = block_reader_new();
    }
    if (!block_reader_open(first, data, n, &err))
        return 0;
    struct block *once = rewrite(first);
    if (!once)
        return 0;
    if (!block_reader_open(second, once->data, once->size, &err))
        abort();
    struct block *twice = rewrite(second);
    if (!twice || twice->size != once->size || memcmp(twice->data, once->data, once->size) != 0)
        abort();
    block_unref(once);
    block_unref(twice);
    return 0;
}
