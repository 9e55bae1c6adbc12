/* SPDX-License-Identifier: Apache-2.0 */
/* classic: the lines of one classic histogram, collected to become a native one with custom buckets. */
#ifndef OBSAGENT_SCRAPE_PARSE_CLASSIC_H
#define OBSAGENT_SCRAPE_PARSE_CLASSIC_H

#include "histogram.h"

#define CLASSIC_BUCKETS_MAX ((size_t)10000)

struct classic_bucket {
    double le, count; /* cumulative, as exposed */
    uint32_t nth;
};

/* Zeroed is empty. */
struct classic {
    struct classic_bucket *v;
    size_t n, cap;
    double count, sum;
    bool has_count, unsorted, wrong;
};

void classic_clear(struct classic *c);
void classic_free(struct classic *c);
/* In any order; of two with the same le the first counts. */
void classic_bucket(struct classic *c, double le, double count);
void classic_count(struct classic *c, double count);
void classic_sum(struct classic *c, double sum);
/* Fills h (as for histogram_fit). False when no histogram comes of it, with Prometheus's reason: a negative count,
   counts that fall, a total that is not that of the last bucket; or too many buckets. */
bool classic_convert(struct classic *c, struct histogram *h, struct err *err) MUSTCHECK;

#endif
