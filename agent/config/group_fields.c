/* SPDX-License-Identifier: Apache-2.0 */
/* group_fields: endpoints that share the series: what belongs to routing: shard, and what members of a group must agree
   on. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "load.h"

/* Label names at most; a longer list is a mistake. */
#define NAMES_MAX 64

void load_names(struct load *l, const struct node *value, void *to)
{
    struct config_names *names = to;
    struct str name;
    if (!node_is_list(l, value, "label names"))
        return;
    if (value->n > NAMES_MAX) {
        problem_add(&l->problems, value->at, "more than %d label names", NAMES_MAX);
        return;
    }
    names->v = xcalloc(value->n + 1, sizeof *names->v);
    for (size_t i = 0; i < value->n; i++) {
        if (!node_text(l, value->items[i], "a label name", &name))
            continue;
        if (name.n == 0)
            problem_add(&l->problems, value->items[i]->at, "an empty label name");
        names->v[names->n++] = str_dup(name);
    }
}

void show_names(struct dump *d, const struct field *f, const void *from)
{
    const struct config_names *names = from;
    if (names->n)
        dump_name(d, f->name);
    for (size_t i = 0; i < names->n; i++)
        dump_item(d, str_of(names->v[i]));
}

/* ---- one endpoint ---- */

void check_group(struct load *l, const struct node *node, const struct config_remote *r)
{
    static const char *const FIELDS_OF_SHARD[] = {"group", "shard_by", "shard_ignore"};
    if (r->routing_shard && !field_given(node, "group"))
        problem_add(&l->problems, field_place(node, "routing"), "routing: shard needs a group");
    for (size_t i = 0; !r->routing_shard && i < sizeof FIELDS_OF_SHARD / sizeof *FIELDS_OF_SHARD; i++) {
        if (field_given(node, FIELDS_OF_SHARD[i]))
            problem_add(&l->problems, field_place(node, FIELDS_OF_SHARD[i]), "%s needs routing: shard",
                        FIELDS_OF_SHARD[i]);
    }
    if (!r->routing_shard && r->replicas > 1)
        problem_add(&l->problems, field_place(node, "replicas"), "replicas needs routing: shard");
    if (r->shard_by.n && r->shard_ignore.n)
        problem_add(&l->problems, field_place(node, "shard_ignore"),
                    "at most one of shard_by & shard_ignore must be configured");
}

/* ---- its group ---- */

static bool same_group(const struct config_remote *a, const struct config_remote *b)
{
    return a->routing_shard && b->routing_shard && a->group && b->group && *a->group && strcmp(a->group, b->group) == 0;
}

/* As sets. */
static bool has_all(const struct config_names *a, const struct config_names *of)
{
    for (size_t i = 0; i < of->n; i++) {
        size_t k = 0;
        while (k < a->n && strcmp(a->v[k], of->v[i]) != 0)
            k++;
        if (k == a->n)
            return false;
    }
    return true;
}

static bool same_names(const struct config_names *a, const struct config_names *b)
{
    return has_all(a, b) && has_all(b, a);
}

static void disagree(struct load *l, const struct remote_draft *a, const struct remote_draft *b, const char *field)
{
    struct place first = field_place(a->node, field);
    problem_add(&l->problems, field_place(b->node, field),
                "%s is not that of the group's first endpoint (%s:%d:%d): all of group \"%s\" must agree", field,
                first.file->name, first.line, first.col, b->remote.group);
}

static void check_members(struct load *l, size_t first)
{
    const struct remote_draft *a = &l->remotes[first];
    uint64_t members = 0;
    for (size_t i = first; i < l->remotes_n; i++) {
        const struct remote_draft *b = &l->remotes[i];
        if (!same_group(&a->remote, &b->remote))
            continue;
        members++;
        if (a->remote.replicas != b->remote.replicas)
            disagree(l, a, b, "replicas");
        if (!same_names(&a->remote.shard_by, &b->remote.shard_by))
            disagree(l, a, b, "shard_by");
        if (!same_names(&a->remote.shard_ignore, &b->remote.shard_ignore))
            disagree(l, a, b, "shard_ignore");
    }
    if (a->remote.replicas > members)
        problem_add(&l->problems, field_place(a->node, "replicas"),
                    "replicas: %llu are more than the %llu endpoint%s of group \"%s\"",
                    (unsigned long long)a->remote.replicas, (unsigned long long)members, members == 1 ? "" : "s",
                    a->remote.group);
}

void check_remote_groups(struct load *l)
{
    for (size_t i = 0; i < l->remotes_n; i++) {
        const struct config_remote *r = &l->remotes[i].remote;
        bool first = r->routing_shard && r->group && *r->group;
        for (size_t k = 0; first && k < i; k++)
            first = !same_group(&l->remotes[k].remote, r);
        if (first)
            check_members(l, i);
    }
}
