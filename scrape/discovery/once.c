/* SPDX-License-Identifier: Apache-2.0 */
/* once: a job's label sets without a loop, for commands that look and end. */
#include "discovery.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "source.h"

void discovery_copy_set(struct labels *to, const struct label_set *from, struct arena *arena)
{
    struct labels views;
    labels_init(&views, arena);
    label_set_add(from, &views);
    *to = (struct labels){.n = views.n, .cap = views.n, .arena = arena};
    to->v = arena_alloc(arena, (views.n + 1) * sizeof *to->v);
    for (size_t i = 0; i < views.n; i++)
        to->v[i] = (struct label){arena_str(arena, views.v[i].name), arena_str(arena, views.v[i].value)};
    labels_free(&views);
}

size_t discovery_once(const struct config_job *job, struct arena *arena, struct labels **out, struct buf *errors)
{
    struct discovery_sets sets;
    discovery_sets_init(&sets, NULL);
    discovery_static_add(&sets, job->static_groups, job->static_groups_n, NULL);
    for (size_t i = 0; i < job->file_sd_n; i++) {
        struct file_source *file = file_source_new(&job->file_sd[i], NULL);
        file_source_look(file, errors);
        file_source_add(file, &sets);
        file_source_free(file);
    }
    size_t n = sets.n;
    *out = arena_alloc(arena, (n + 1) * sizeof **out);
    for (size_t i = 0; i < n; i++)
        discovery_copy_set(&(*out)[i], sets.v[i], arena);
    discovery_sets_free(&sets);
    return n;
}
