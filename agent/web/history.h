/* SPDX-License-Identifier: Apache-2.0 */
/* history: what the agent did in the last half hour, one point every few seconds, for plots. A ring of fixed size. */
#ifndef OBSAGENT_WEB_HISTORY_H
#define OBSAGENT_WEB_HISTORY_H

#include "base/buf.h"

#include <stdint.h>

struct web_sources;

#define HISTORY_INTERVAL_MS 5000
#define HISTORY_POINTS 361 /* 30 minutes and where the first of them begins */

/* Answers of receivers by class. */
enum history_answer { HISTORY_2XX, HISTORY_3XX, HISTORY_4XX, HISTORY_5XX, HISTORY_NO_ANSWER, HISTORY_ANSWERS };

struct history_point {
    uint64_t number; /* how many were taken before it; history_add sets it */
    int64_t wall_ms, mono_ms;
    uint64_t scraped, delivered, lost; /* samples since start; the last two over all endpoints */
    uint64_t answers[HISTORY_ANSWERS]; /* since start */
    uint64_t buffered_samples, buffered_bytes; /* not delivered, over all endpoints */
    uint64_t ram_bytes, disk_bytes;    /* of the buffer */
    double delay_s;                    /* age of the oldest sample that an endpoint still owes */
    double cpu_s;                      /* since start */
    uint64_t rss_bytes;                /* 0 = unknown */
};

struct history;

struct history *history_new(void);
void history_free(struct history *h);
/* Takes a point when one is due. From one thread. */
void history_tick(struct history *h, const struct web_sources *sources, int64_t mono_ms);
/* Adds a point; forgets the oldest one when full. Thread-safe, as all that follows. */
void history_add(struct history *h, const struct history_point *p);
/* Copies the points, oldest first; `out` has room for HISTORY_POINTS. Returns how many there are. */
size_t history_copy(struct history *h, struct history_point *out);

/* What a plot shows of point i: v[0 .. i] are looked at. NAN where it is not known, as a rate at the first point. */
enum history_value {
    HISTORY_SCRAPED_RATE,
    HISTORY_DELIVERED_RATE,
    HISTORY_LOST_RATE,
    HISTORY_DELAY,
    HISTORY_BUFFERED_SAMPLES,
    HISTORY_BUFFERED_BYTES,
    HISTORY_RAM_BYTES,
    HISTORY_DISK_BYTES,
    HISTORY_RATE_2XX,
    HISTORY_RATE_3XX,
    HISTORY_RATE_4XX,
    HISTORY_RATE_5XX,
    HISTORY_RATE_NO_ANSWER,
    HISTORY_CPU,
    HISTORY_RSS,
    HISTORY_VALUES
};
double history_value(const struct history_point *v, size_t i, enum history_value what);
/* As in the JSON: "scraped_per_second" ... */
const char *history_value_name(enum history_value what);

/* The data of /api/v1/status/history: {"interval_seconds":5,"next":7,"time":[ms, ..],"scraped_per_second":[number or
   null, ..] ...}, of the points with number `from` and later; `next` is what to ask for the next time. */
void history_json(const struct history_point *v, size_t n, uint64_t from, struct buf *out);

/* By how many bytes a second the buffer has grown lately; negative when it shrinks, 0 when it does not move or too
   little is known. */
double history_growth(const struct history_point *v, size_t n);
/* The same of samples scraped, a second; 0 when too little is known. */
double history_scraped(const struct history_point *v, size_t n);

#endif
