/* SPDX-License-Identifier: Apache-2.0 */
/* period: groups as a configuration has them, sorted so that the order in the file means nothing. */
#include "period.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void group_free(struct period_group *group)
{
    for (size_t i = 0; i < group->g.members_n; i++)
        free(group->endpoints[i]);
    free(group->endpoints);
    free(group->labels);
    free(group->members);
}

void period_unref(struct period *p)
{
    if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < p->groups_n; i++)
        group_free(&p->groups[i]);
    free(p->groups);
    free(p);
}

static int by_value(const void *va, const void *vb)
{
    const uint64_t *a = va, *b = vb;
    return *a < *b ? -1 : *a > *b;
}

/* Puts the member where it belongs. */
static void add_member(struct period_group *group, uint64_t member, const char *endpoint)
{
    size_t at = group->g.members_n++;
    for (; at > 0 && group->members[at - 1] > member; at--) {
        group->members[at] = group->members[at - 1];
        group->endpoints[at] = group->endpoints[at - 1];
    }
    group->members[at] = member;
    group->endpoints[at] = xstrdup(endpoint);
}

static void set_labels(struct period_group *group, const struct config_remote *r)
{
    const struct config_names *names = r->shard_by.n ? &r->shard_by : &r->shard_ignore;
    group->g.use = r->shard_by.n ? ROUTING_ONLY : r->shard_ignore.n ? ROUTING_WITHOUT : ROUTING_ALL;
    group->labels = xcalloc(names->n + 1, sizeof *group->labels);
    for (size_t i = 0; i < names->n; i++)
        group->labels[i] = routing_name(str_of(names->v[i]));
    qsort(group->labels, names->n, sizeof *group->labels, by_value);
    group->g.labels = group->labels;
    group->g.labels_n = names->n;
}

static bool is_in(const struct config *config, size_t i, const bool *placed, const char *group)
{
    const struct config_remote *r = &config->remotes[i];
    return r->routing_shard && (!placed || placed[i]) && (!group || strcmp(r->group, group) == 0);
}

static void add_group(struct period *p, const struct config *config, size_t first, const bool *placed)
{
    const struct config_remote *r = &config->remotes[first];
    struct period_group group = {.g.replicas = (unsigned)r->replicas};
    set_labels(&group, r);
    group.members = xcalloc(config->remotes_n, sizeof *group.members);
    group.endpoints = xcalloc(config->remotes_n, sizeof *group.endpoints);
    group.g.members = group.members;
    for (size_t i = first; i < config->remotes_n; i++) {
        if (is_in(config, i, placed, r->group))
            add_member(&group, routing_name(str_of(config->remotes[i].name)), config->remotes[i].name);
    }
    size_t at = p->groups_n++;
    for (; at > 0 && p->groups[at - 1].members[0] > group.members[0]; at--)
        p->groups[at] = p->groups[at - 1];
    p->groups[at] = group;
}

struct period *period_of_config(const struct config *config, const bool *placed, uint64_t begin)
{
    struct period *p = xcalloc(1, sizeof *p);
    p->refs = 1;
    p->begin = begin;
    p->groups = xcalloc(config->remotes_n + 1, sizeof *p->groups);
    for (size_t i = 0; i < config->remotes_n; i++) {
        bool first = is_in(config, i, placed, NULL);
        for (size_t k = 0; first && k < i; k++)
            first = !is_in(config, k, placed, config->remotes[i].group);
        if (first)
            add_group(p, config, i, placed);
    }
    return p;
}

static bool same_hashes(const uint64_t *a, size_t a_n, const uint64_t *b, size_t b_n)
{
    return a_n == b_n && (a_n == 0 || memcmp(a, b, a_n * sizeof *a) == 0);
}

static bool same_group(const struct period_group *a, const struct period_group *b)
{
    if (a->g.replicas != b->g.replicas || a->g.use != b->g.use ||
        !same_hashes(a->labels, a->g.labels_n, b->labels, b->g.labels_n) ||
        !same_hashes(a->members, a->g.members_n, b->members, b->g.members_n))
        return false;
    for (size_t i = 0; i < a->g.members_n; i++) {
        if (strcmp(a->endpoints[i], b->endpoints[i]) != 0)
            return false;
    }
    return true;
}

bool period_equal(const struct period *a, const struct period *b)
{
    if (a->groups_n != b->groups_n)
        return false;
    for (size_t i = 0; i < a->groups_n; i++) {
        if (!same_group(&a->groups[i], &b->groups[i]))
            return false;
    }
    return true;
}
