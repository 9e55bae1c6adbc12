/* SPDX-License-Identifier: Apache-2.0 */
/* append_limit: soft limits on series, of a target, a job and the agent. Series that are known stay, new ones are
   remembered as kept out (SERIES_LIMITED) without labels, so that they cost nothing while there is no room, and are
   looked at again when there is. The agent's own report series never come here. */
#include "append_private.h"

#include "base/alloc.h"
#include "budget.h"

/* Series of the target that hold room: those of its last scrape, gone or not, as they may come still. */
static uint64_t held(const struct append_scrape *s)
{
    const struct series *known = &s->t->series;
    return (uint64_t)known->n - known->dropped - known->duplicates - known->limited + s->taken;
}

static bool target_room(const struct append_scrape *s)
{
    uint64_t limit = s->t->settings.series_limit;
    return limit == 0 || held(s) < limit;
}

bool append_limit_room(const struct append_scrape *s)
{
    return target_room(s) && budget_room(s->t->budget, s->t->job->job_series_limit);
}

bool append_limit_take(struct append_scrape *s)
{
    struct append_target *t = s->t;
    if (target_room(s) && budget_take(t->budget, t->job->job_series_limit)) {
        s->taken++;
        return true;
    }
    if (!t->sketch)
        t->sketch = xcalloc(1, sizeof *t->sketch);
    sketch_add(t->sketch, &s->labels);
    return false;
}

void append_limit_settle(struct append_scrape *s)
{
    if (s->taken)
        budget_add(s->t->budget, -(int64_t)s->taken);
    s->taken = 0;
}
