/* SPDX-License-Identifier: Apache-2.0 */
/* rehearsal: one body through the agent's own scrape path, with the target's labels, rules and report series, as if it
   had been scraped in earnest; nothing leaves. It tells whether the agent would take the body, what would be left after
   relabeling, and how large that is on the wire and on the disk.

   Limits are lifted, so that how far a target is beyond one can be told: who asks compares. */
#ifndef OBSAGENT_COMMAND_REHEARSAL_H
#define OBSAGENT_COMMAND_REHEARSAL_H

#include "analysis.h"

enum rehearsal_way { REHEARSAL_RW1, REHEARSAL_RW2, REHEARSAL_VM, REHEARSAL_DISK, REHEARSAL_WAYS };

struct rehearsal_result {
    bool up;
    struct err why; /* not up */
    uint64_t scraped, post_relabel, series;
    uint64_t dropped_future;                 /* samples more than ten minutes ahead */
    uint64_t most_labels, longest_name, longest_value; /* after relabeling, __name__ counted; of scraped series */
    uint64_t sent;                           /* samples of a scrape, the agent's own report series among them */
    uint64_t bytes[REHEARSAL_WAYS];          /* of a scrape, packed: bodies of requests, records of the log */
    uint64_t meta_bytes[REHEARSAL_WAYS];     /* once a minute on top: HELP, TYPE and UNIT, if not with each scrape */
};

struct rehearsal;

/* interval_ms: how often it would be scraped. */
struct rehearsal *rehearsal_new(const struct scrape_subject *subject, int64_t interval_ms, int64_t now_ms);
void rehearsal_free(struct rehearsal *r);
/* Before the first byte; the text format when it is never called. */
void rehearsal_begin(struct rehearsal *r, enum exposition_format format);
void rehearsal_feed(struct rehearsal *r, const void *bytes, size_t n);
/* complete: the whole body has arrived. */
void rehearsal_end(struct rehearsal *r, bool complete, double seconds, uint64_t raw_bytes,
                   struct rehearsal_result *out);

/* Bytes of a day at this interval, that of rehearsal_new. */
double rehearsal_per_day(const struct rehearsal_result *r, enum rehearsal_way way, int64_t interval_ms);
/* How reports call it: "rw1" ... */
const char *rehearsal_way_name(enum rehearsal_way way);

#endif
