/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_discover: what a job's sources name, looked up once. Services that are asked over the network are asked by the
   agent's own discovery, which runs until each of them has answered, or for a while. */
#include "scrape_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "command.h"
#include "discovery.h"

#include <stdlib.h>

#define TICK_MS 50
#define SETTLE_MS 400 /* news are told at most once in 200 ms */

struct look {
    struct loop *loop;
    struct discovery *discovery;
    struct loop_timer timer;
    int64_t end_ms, news_ms;
    struct label_set **sets; /* referenced */
    size_t n, cap;
};

static void forget(struct look *l)
{
    for (size_t i = 0; i < l->n; i++)
        label_set_unref(l->sets[i]);
    l->n = 0;
}

static void on_update(void *ctx, const struct config_job *job, struct label_set *const *sets, size_t n)
{
    struct look *l = ctx;
    (void)job; /* there is one */
    forget(l);
    l->sets = xgrow(l->sets, &l->cap, n + 1, sizeof *l->sets);
    for (; l->n < n; l->n++)
        l->sets[l->n] = label_set_ref(sets[l->n]);
    l->news_ms = clock_mono_ms();
}

static void on_tick(void *ctx)
{
    struct look *l = ctx;
    int64_t now = clock_mono_ms();
    bool settled = discovery_waiting(l->discovery) == 0 && now - l->news_ms >= SETTLE_MS;
    if (settled || now >= l->end_ms)
        loop_stop(l->loop);
    else
        loop_timer_set(l->loop, &l->timer, now + TICK_MS, on_tick, l);
}

static void tell_source(void *ctx, const struct discovery_source_status *s)
{
    if (!s->looked)
        buf_addf(ctx, "%s: %s: no answer in time\n", s->kind, s->detail);
    else if (s->error[0])
        buf_addf(ctx, "%s: %s\n", s->kind, s->error);
}

static void copy_sets(const struct look *l, struct arena *arena, struct labels **sets)
{
    *sets = arena_alloc(arena, (l->n + 1) * sizeof **sets);
    for (size_t i = 0; i < l->n; i++)
        discovery_copy_set(&(*sets)[i], l->sets[i], arena);
}

/* Only this job's services are to be asked: a configuration with no other. The copy is on our stack, and what discovery
   takes of it are references that it gives back. */
static void look_around(struct look *l, const struct config *config, const struct config_job *job, struct buf *errors)
{
    struct config one = *config;
    one.refs = 1;
    one.jobs = (struct config_job *)job;
    one.jobs_n = 1;
    (void)log_set_level("error"); /* what its sources warn of is told below */
    l->loop = loop_new();
    l->discovery = discovery_new(l->loop, OBSAGENT_USER_AGENT, on_update, l);
    l->news_ms = clock_mono_ms();
    discovery_apply(l->discovery, &one);
    loop_timer_set(l->loop, &l->timer, clock_mono_ms() + TICK_MS, on_tick, l);
    loop_run(l->loop);
    discovery_each_source(l->discovery, tell_source, errors);
    discovery_free(l->discovery);
    loop_free(l->loop);
    (void)log_set_level("info");
}

size_t scrape_discover(const struct config *config, const struct config_job *job, int64_t limit_ms, struct arena *arena,
                       struct labels **sets, struct buf *errors)
{
    struct look l = {.end_ms = clock_mono_ms() + limit_ms};
    if (job->sd_n == 0)
        return discovery_once(job, arena, sets, errors);
    look_around(&l, config, job, errors);
    copy_sets(&l, arena, sets);
    size_t n = l.n;
    forget(&l);
    free(l.sets);
    return n;
}
