/* SPDX-License-Identifier: Apache-2.0 */
/* pace: how much of a backlog an endpoint may have under way, and how fast. The window of requests opens while the
   receiver accepts and is halved when it says that it has too much, as TCP does; after a long outage it opens slowly,
   each agent's at a pace of its own, so that a receiver that comes back does not meet all of them at once. A rate limit
   is a bucket of bytes that fresh data may overdraw and a backlog may not. Pure: time is given, milliseconds,
   monotonic. */
#ifndef OBSAGENT_REMOTE_PACE_H
#define OBSAGENT_REMOTE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_WINDOW_MIN 2u
#define PACE_WINDOW_MAX 64u
/* An outage of so long is a long one. */
#define PACE_LONG_OUTAGE_MS 60000
/* Answers that take so long make strands worth their while. */
#define PACE_FAR_MS 10

struct pace {
    unsigned window;
    int64_t step_ms;  /* between two openings; 0 = with each answer */
    int64_t opened_ms;
    double answer_ms; /* smoothed */
    uint64_t rate;    /* bytes a second, 0 = no limit */
    double tokens;    /* bytes that may be sent now; below 0 = overdrawn */
    int64_t tokens_ms;
    double sample_bytes; /* before compression, smoothed; 0 = unknown */
};

void pace_init(struct pace *p, int64_t now_ms);
void pace_set_rate(struct pace *p, uint64_t bytes_per_s, int64_t now_ms);
/* A request was accepted after took_ms. */
void pace_accepted(struct pace *p, int64_t now_ms, int64_t took_ms);
/* The receiver has too much to do, or is not there. */
void pace_refused(struct pace *p);
/* The first request is accepted after an outage. random: any 64 bits. */
void pace_resumed(struct pace *p, int64_t outage_ms, int64_t now_ms, uint64_t random);
/* How many more requests of a backlog may start beside those under way. */
unsigned pace_room(const struct pace *p, unsigned under_way);
/* Into how many strands a batch may be cut. */
unsigned pace_strands(const struct pace *p, unsigned room, unsigned max);

/* How long the next request has to wait. Fresh data waits only when more than a second's worth is overdrawn. */
int64_t pace_wait_ms(struct pace *p, bool fresh, int64_t now_ms);
void pace_spend(struct pace *p, uint64_t bytes);

/* A request of so many bytes held so many samples. */
void pace_note_size(struct pace *p, uint64_t raw_bytes, uint64_t samples);
/* How many samples make a full request: max_samples, or fewer when max_bytes (0 = none) allows only those. */
uint64_t pace_full_request(const struct pace *p, uint64_t max_samples, uint64_t max_bytes);

#endif
