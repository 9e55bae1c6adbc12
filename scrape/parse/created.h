/* SPDX-License-Identifier: Apache-2.0 */
/* created: which samples a _created line of OpenMetrics speaks of. */
#ifndef OBSAGENT_SCRAPE_PARSE_CREATED_H
#define OBSAGENT_SCRAPE_PARSE_CREATED_H

#include "base/buf.h"
#include "block.h"
#include "exposition.h"

enum created_line { CREATED_FOREIGN, CREATED_OPENING, CREATED_POINT, CREATED_LINE };

/* The metric point at hand, as far as the lines so far tell. */
struct created {
    struct buf family; /* its name as written, without quotes */
    enum block_metric_type type;
    bool counts;              /* the type is one that has _created */
    struct buf before;        /* the labels of the line before, as written */
    enum created_line before_kind;
    uint32_t point; /* samples of the point so far */
};

void created_init(struct created *c, size_t max_line);
void created_free(struct created *c);
void created_begin(struct created *c);
/* A HELP, TYPE or UNIT line; the name as written, without quotes. */
void created_header(struct created *c, struct str family);
/* What the TYPE line of that family says. */
void created_type(struct created *c, enum block_metric_type type);
/* A sample of the family; sets start_ts_ms and started of a _created line that is the last of a point. */
void created_sample(struct created *c, struct exposition_sample *s);

#endif
