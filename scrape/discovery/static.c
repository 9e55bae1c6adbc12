/* SPDX-License-Identifier: Apache-2.0 */
/* static: label sets from target groups as configuration and file_sd files write them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "source.h"

void discovery_sets_init(struct discovery_sets *sets, struct arena *arena)
{
    *sets = (struct discovery_sets){.arena = arena};
}

void discovery_sets_free(struct discovery_sets *sets)
{
    for (size_t i = 0; i < sets->n; i++)
        labels_free(&sets->v[i]);
    free(sets->v);
    *sets = (struct discovery_sets){0};
}

static void add_target(struct discovery_sets *sets, const char *address, const struct config_group *group,
                       const char *file)
{
    sets->v = xgrow(sets->v, &sets->cap, sets->n + 1, sizeof *sets->v);
    struct labels *l = &sets->v[sets->n++];
    labels_init(l, sets->arena);
    labels_push(l, STR("__address__"), str_of(address));
    for (size_t i = 0; i < group->labels_n; i++) {
        if (!labels_has(l, group->labels[i].name))
            labels_push(l, group->labels[i].name, group->labels[i].value);
    }
    if (file)
        labels_set(l, STR("__meta_filepath"), str_of(file));
}

void discovery_static_add(struct discovery_sets *sets, const struct config_group *groups, size_t n,
                          const char *file)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < groups[i].targets_n; k++)
            add_target(sets, groups[i].targets[k], &groups[i], file);
    }
}
