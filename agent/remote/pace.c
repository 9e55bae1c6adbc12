/* SPDX-License-Identifier: Apache-2.0 */
/* pace: the window of requests, and the bucket of bytes. */
#include "pace.h"

#define SMOOTH 0.2
#define STEP_MIN_MS 100
#define STEP_SPREAD_MS 200
/* The bucket holds what may be sent in so long. */
#define BURST_S 1.0

void pace_init(struct pace *p, int64_t now_ms)
{
    *p = (struct pace){.window = PACE_WINDOW_MIN, .opened_ms = now_ms, .tokens_ms = now_ms};
}

void pace_accepted(struct pace *p, int64_t now_ms, int64_t took_ms)
{
    p->answer_ms += SMOOTH * ((double)took_ms - p->answer_ms);
    if (p->window >= PACE_WINDOW_MAX || now_ms - p->opened_ms < p->step_ms)
        return;
    p->window++;
    p->opened_ms = now_ms;
    if (p->window == PACE_WINDOW_MAX)
        p->step_ms = 0;
}

void pace_refused(struct pace *p)
{
    p->window = p->window / 2 > PACE_WINDOW_MIN ? p->window / 2 : PACE_WINDOW_MIN;
}

void pace_resumed(struct pace *p, int64_t outage_ms, int64_t now_ms, uint64_t random)
{
    if (outage_ms < PACE_LONG_OUTAGE_MS)
        return;
    p->window = PACE_WINDOW_MIN;
    p->step_ms = STEP_MIN_MS + (int64_t)(random % STEP_SPREAD_MS);
    p->opened_ms = now_ms;
}

unsigned pace_room(const struct pace *p, unsigned under_way)
{
    return p->window > under_way ? p->window - under_way : 0;
}

unsigned pace_strands(const struct pace *p, unsigned room, unsigned max)
{
    if (p->answer_ms < PACE_FAR_MS || room < 2)
        return 1;
    return room < max ? room : max;
}

/* ---- bytes ---- */

static void refill(struct pace *p, int64_t now_ms)
{
    double full = (double)p->rate * BURST_S;
    p->tokens += (double)(now_ms - p->tokens_ms) / 1000 * (double)p->rate;
    p->tokens = p->tokens < full ? p->tokens : full;
    p->tokens_ms = now_ms;
}

void pace_set_rate(struct pace *p, uint64_t bytes_per_s, int64_t now_ms)
{
    if (bytes_per_s == p->rate)
        return;
    p->rate = bytes_per_s;
    p->tokens = (double)bytes_per_s * BURST_S;
    p->tokens_ms = now_ms;
}

int64_t pace_wait_ms(struct pace *p, bool fresh, int64_t now_ms)
{
    if (p->rate == 0)
        return 0;
    refill(p, now_ms);
    double least = fresh ? -(double)p->rate * BURST_S : 0;
    return p->tokens >= least ? 0 : 1 + (int64_t)((least - p->tokens) * 1000 / (double)p->rate);
}

void pace_spend(struct pace *p, uint64_t bytes)
{
    if (p->rate)
        p->tokens -= (double)bytes;
}

/* ---- sizes ---- */

void pace_note_size(struct pace *p, uint64_t raw_bytes, uint64_t samples)
{
    if (samples == 0)
        return;
    double each = (double)raw_bytes / (double)samples;
    p->sample_bytes += (p->sample_bytes > 0 ? SMOOTH : 1) * (each - p->sample_bytes);
}

uint64_t pace_full_request(const struct pace *p, uint64_t max_samples, uint64_t max_bytes)
{
    if (p->sample_bytes <= 0 || max_bytes == 0)
        return max_samples;
    uint64_t fit = (uint64_t)((double)max_bytes / p->sample_bytes);
    return fit && fit < max_samples ? fit : max_samples;
}
