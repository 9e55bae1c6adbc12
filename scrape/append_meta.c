/* SPDX-License-Identifier: Apache-2.0 */
/* append_meta: what a target's last good scrape said of its metric families. */
#include "append_private.h"

static struct str text_of(const struct append_target *t, uint32_t id)
{
    return id == SERIES_NONE ? STR_NULL : symbols_text(t->worker->symbols, id);
}

void append_target_metadata(const struct append_target *t, append_metadata_fn *fn, void *ctx)
{
    uint32_t last = SERIES_NONE;
    for (uint32_t i = 0; i < t->series.families_n; i++) {
        const struct series_family *f = &t->series.families[i];
        /* A family that goes on behind samples of other names is told once. */
        if (!f->member || (!f->announced && f->name == last))
            continue;
        last = f->name;
        struct append_metadata meta = {
            .name = text_of(t, f->name),
            .help = text_of(t, f->help),
            .unit = text_of(t, f->unit),
            .type = (enum block_metric_type)f->type,
        };
        fn(ctx, &meta);
    }
}
