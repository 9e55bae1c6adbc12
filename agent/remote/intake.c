/* SPDX-License-Identifier: Apache-2.0 */
/* intake: what an endpoint takes from the queue, and how much at once. Healthy, a block is a batch and a request.
   With a backlog small blocks come together until a request is full, and when answers take long, several requests'
   worth come at once, cut into strands. */
#include "endpoint_private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"

/* Of a batch as it waits, packed or not. */
#define BATCH_BYTES ((uint64_t)8 << 20)
/* More would take memory for little: a few requests under way hide most of a long way. */
#define STRANDS_MAX 4u
/* Strands, and shares in a group, are never equally long: so much of a full request is aimed at. */
#define STRAND_FILL 0.9

static unsigned count_lanes(const struct endpoint *e, enum lane_state state)
{
    unsigned n = 0;
    for (size_t i = 0; i < e->lanes_n; i++)
        n += e->lanes[i]->state == state;
    return n;
}

static struct lane *free_lane(struct endpoint *e)
{
    for (size_t i = 0; i < e->lanes_n; i++) {
        if (e->lanes[i]->state == LANE_FREE)
            return e->lanes[i];
    }
    e->lanes = xgrow(e->lanes, &e->lanes_cap, e->lanes_n + 1, sizeof(struct lane *));
    return e->lanes[e->lanes_n++] = lane_new(e);
}

/* What cannot be read is lost now, and known by job. */
static void book_unreadable(struct endpoint *e, const struct batch *b)
{
    for (size_t i = 0; b->lost && i < b->n; i++) {
        const struct block *block = b->blocks[i];
        struct str job = block->jobs_n == 1 ? block->jobs[0].name : STR("");
        if (b->lost[i] == block->samples)
            ledger_lost_block(e->options.ledger, str_of(e->name), block, LEDGER_CORRUPT);
        else if (b->lost[i])
            ledger_lost(e->options.ledger, str_of(e->name), job, LEDGER_CORRUPT, b->lost[i]);
    }
}

void endpoint_batch_done(struct endpoint *e, struct batch *b)
{
    book_unreadable(e, b);
    queue_ack_all(e->reader, b->blocks, b->n);
    batch_free(b);
}

static uint64_t sum_samples(struct block *const *blocks, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += blocks[i]->samples;
    return sum;
}

/* Samples of a full request. */
static uint64_t full_request(struct endpoint *e)
{
    uint64_t limit = e->settings->max_request_bytes;
    if (e->learned_bytes && clock_wall_ms() - e->learned_ms > PROTOCOL_DAY_MS)
        e->learned_bytes = 0; /* the receiver may take more by now */
    if (e->learned_bytes && (limit == 0 || e->learned_bytes < limit))
        limit = e->learned_bytes;
    uint64_t full = pace_full_request(&e->pace, e->settings->max_samples_per_send, limit);
    return full ? full : ENDPOINT_SAMPLES_DEFAULT;
}

/* How many of the blocks belong to one period, whose route it is; the others go back. A batch that was under way before
   lies in one, unless its period is not known any more: then all of it is sent. */
static size_t keep_to_period(struct endpoint *e, struct block **blocks, size_t n, bool again, struct route *route,
                             struct period **period)
{
    uint64_t until;
    *route = (struct route){0};
    *period = NULL;
    if (!e->options.membership)
        return n;
    *period = membership_route(e->options.membership, e->name, blocks[0]->seq, route, &until);
    e->part = route->group ? (double)route->group->replicas / (double)route->group->members_n : 1;
    if (again && blocks[n - 1]->seq >= until) {
        membership_release(*period);
        *route = (struct route){0};
        *period = NULL;
        return n;
    }
    for (; blocks[n - 1]->seq >= until; n--)
        queue_release(e->reader, blocks[n - 1]);
    return n;
}

static bool take_stream(struct endpoint *e, enum queue_stream stream, unsigned strands)
{
    struct block *blocks[QUEUE_BATCH_MAX];
    struct queue_progress progress;
    uint64_t full = full_request(e);
    if (e->part > 0 && e->part < 1) /* the rest of what is taken is not sent */
        full = (uint64_t)((double)full / e->part * STRAND_FILL);
    uint64_t most = strands > 1 ? (uint64_t)((double)(strands * full) * STRAND_FILL) : full;
    const struct queue_wish wish = {
        .stream = stream, .blocks = QUEUE_BATCH_MAX, .samples = most, .bytes = BATCH_BYTES};
    size_t n = queue_take_some(e->reader, &wish, blocks, &progress);
    if (n == 0)
        return false;
    struct route route;
    struct period *period;
    n = keep_to_period(e, blocks, n, progress.strands > 0, &route, &period);
    uint64_t samples = sum_samples(blocks, n);
    unsigned wanted = (unsigned)((samples + full - 1) / full);
    strands = n == 1 || wanted < 2 ? 1 : wanted < strands ? wanted : strands;
    struct batch *b = batch_new(e->copier, blocks, n, stream, strands, &progress);
    b->route = route;
    b->period = period;
    if (b->open == 0)
        endpoint_batch_done(e, b);
    else
        for (unsigned k = 0; k < b->progress.strands; k++) {
            if (b->strands[k])
                lane_take(free_lane(e), b, k);
        }
    return true;
}

bool endpoint_take(struct endpoint *e)
{
    unsigned free_lanes = ENDPOINT_LANES_MAX - (unsigned)e->lanes_n + count_lanes(e, LANE_FREE);
    if (free_lanes < QUEUE_STRANDS_MAX)
        return false;
    if (take_stream(e, QUEUE_FRESH, 1))
        return true;
    unsigned room = pace_room(&e->pace, count_lanes(e, LANE_SENDING));
    return room && take_stream(e, QUEUE_BACKLOG, pace_strands(&e->pace, room, STRANDS_MAX));
}
