/* SPDX-License-Identifier: Apache-2.0 */
/* static: label sets from target groups as configuration and file_sd files write them. */
#include "source.h"

static void add_target(struct discovery_sets *sets, struct labels *l, const char *address,
                       const struct config_group *group, const char *file)
{
    labels_clear(l);
    labels_push(l, STR("__address__"), str_of(address));
    for (size_t i = 0; i < group->labels_n; i++) {
        if (!labels_has(l, group->labels[i].name))
            labels_push(l, group->labels[i].name, group->labels[i].value);
    }
    if (file)
        labels_set(l, STR("__meta_filepath"), str_of(file));
    discovery_sets_add(sets, l);
}

void discovery_static_add(struct discovery_sets *sets, const struct config_group *groups, size_t n, const char *file)
{
    struct labels l;
    labels_init(&l, NULL);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < groups[i].targets_n; k++)
            add_target(sets, &l, groups[i].targets[k], &groups[i], file);
    }
    labels_free(&l);
}
