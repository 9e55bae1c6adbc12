/* SPDX-License-Identifier: Apache-2.0 */
/* sent_labels: routing, external labels, write_relabel_configs, one series at a time. Delivery does the same for whole
   blocks (transcode.c), where names are numbers; the end is the same function. */
#include "sent_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "period.h"

struct sent_groups {
    const struct config *config;
    struct period *period;
};

struct sent_groups *sent_groups_new(const struct config *config)
{
    struct sent_groups *g = xcalloc(1, sizeof *g);
    g->config = config;
    g->period = period_of_config(config, NULL, 0);
    return g;
}

void sent_groups_free(struct sent_groups *g)
{
    if (!g)
        return;
    period_unref(g->period);
    free(g);
}

static bool is_elsewhere(const struct sent_groups *g, const char *endpoint, const struct labels *l)
{
    for (size_t i = 0; i < g->period->groups_n; i++) {
        const struct period_group *group = &g->period->groups[i];
        for (size_t k = 0; k < group->g.members_n; k++) {
            if (strcmp(group->endpoints[k], endpoint) == 0)
                return !routing_has(&group->g, group->members[k], routing_hash(&group->g, l->v, l->n));
        }
    }
    return false;
}

bool sent_labels_finish(const struct relabel_rules *rules, struct labels *l, const struct sent_trace *trace)
{
    bool kept = !rules || (trace ? relabel_apply_traced(rules, l, trace->rule, trace->ctx) : relabel_apply(rules, l));
    if (!kept)
        return false;
    labels_drop_empty(l);
    if (l->n == 0)
        return false;
    labels_sort(l);
    return true;
}

enum sent_made sent_labels_make(const struct sent_groups *g, size_t n, struct labels *l, const struct sent_trace *trace)
{
    const struct config_remote *r = &g->config->remotes[n];
    if (is_elsewhere(g, r->name, l))
        return SENT_ELSEWHERE;
    for (size_t i = 0; i < g->config->external_labels_n; i++) {
        const struct label *external = &g->config->external_labels[i];
        if (external->value.n && !labels_has(l, external->name))
            labels_push(l, external->name, external->value);
    }
    if (trace)
        trace->merged(trace->ctx, l);
    return sent_labels_finish(r->write_relabel, l, trace) ? SENT_ALL : SENT_DROPPED;
}
