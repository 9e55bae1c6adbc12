/* SPDX-License-Identifier: Apache-2.0 */
/* append_labels: from the text of an unknown series to its final labels, and to their numbers. */
#include "append_private.h"

#include <stdio.h>

#include "base/wire.h"

enum series_made append_labels_make(struct append_scrape *s, const struct exposition_sample *sample)
{
    struct err why = {0};
    arena_reset(&s->arena);
    if (!(s->format == EXPOSITION_OPENMETRICS ? exposition_parse_series_strict
                                              : exposition_parse_series)(sample->series, &s->labels, &why)) {
        unsigned long long column = 0;
        int skip = 0;
        s->scraped--; /* the parser let it pass unread: it was no sample */
        if (sscanf(why.msg, "column %llu: %n", &column, &skip) != 1)
            skip = 0;
        err_set(&s->err, "line %llu, column %llu: %s", (unsigned long long)sample->line,
                column + sample->column - 1, why.msg + skip);
        return SERIES_IS_WRONG;
    }
    const struct append_target *t = s->t;
    const struct series_origin origin = {t->job, t->labels, t->labels_n, t->settings.label_limit};
    return series_labels_make(&origin, (enum block_metric_type)s->header.type, &s->labels, NULL, &s->err);
}

void append_labels_encode(struct append_worker *w, const struct labels *l, struct buf *out)
{
    for (size_t i = 0; i < l->n; i++) {
        uint32_t id = symbols_pair(w->symbols, l->v[i].name, l->v[i].value);
        uint8_t *p = (uint8_t *)buf_reserve(out, WIRE_VARINT_MAX);
        if (p)
            out->n += (size_t)(wire_put_varint(p, id) - p);
    }
}
