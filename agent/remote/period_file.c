/* SPDX-License-Identifier: Apache-2.0 */
/* period_file: periods as JSON, and back from what may be anything. */
#include "period.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define VERSION 1

static const char *const USES[] = {"all", "only", "without"};

/* ---- writing ---- */

static json_t *hex(uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

/* A list that misses an item would mean something else: then there is none. */
static json_t *whole(json_t *list, size_t n)
{
    if (json_array_size(list) == n)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *group_to_json(const struct period_group *group)
{
    json_t *names = json_array(), *members = json_array();
    for (size_t i = 0; i < group->g.labels_n; i++)
        json_array_append_new(names, hex(group->labels[i]));
    for (size_t i = 0; i < group->g.members_n; i++)
        json_array_append_new(members, json_pack("{s:o, s:s}", "name", hex(group->members[i]), "endpoint",
                                                 group->endpoints[i]));
    names = whole(names, group->g.labels_n);
    members = whole(members, group->g.members_n);
    return json_pack("{s:I, s:s, s:o, s:o}", "replicas", (json_int_t)group->g.replicas, "labels", USES[group->g.use],
                     "names", names, "members", members);
}

static json_t *period_to_json(const struct period *p)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < p->groups_n; i++)
        json_array_append_new(groups, group_to_json(&p->groups[i]));
    return json_pack("{s:I, s:o}", "begin", (json_int_t)p->begin, "groups", whole(groups, p->groups_n));
}

bool periods_to_json(const struct periods *list, struct buf *out, struct err *err)
{
    json_t *periods = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(periods, period_to_json(list->v[i]));
    json_t *root = json_pack("{s:i, s:o}", "version", VERSION, "periods", whole(periods, list->n));
    if (root && list->unsure_from != PERIOD_SURE)
        json_object_set_new(root, "unsure_from", json_integer((json_int_t)list->unsure_from));
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    bool good = text && buf_add_c(out, text);
    if (!good) /* a name that is not UTF-8 */
        err_set(err, "groups of endpoints cannot be written down");
    free(text);
    json_decref(root);
    return good;
}

/* ---- reading ---- */

static bool unhex(const json_t *v, uint64_t *hash)
{
    const char *text = json_string_value(v);
    char *end;
    *hash = text ? strtoull(text, &end, 16) : 0;
    return text && strlen(text) == 16 && *end == '\0';
}

static bool read_members(const json_t *list, struct period_group *group)
{
    size_t n = json_array_size(list);
    if (n == 0 || n > ROUTING_MEMBERS_MAX)
        return false;
    group->members = xcalloc(n, sizeof *group->members);
    group->endpoints = xcalloc(n, sizeof *group->endpoints);
    group->g.members = group->members;
    for (size_t i = 0; i < n; i++) {
        const json_t *member = json_array_get(list, i);
        const char *endpoint = json_string_value(json_object_get(member, "endpoint"));
        if (!endpoint || !unhex(json_object_get(member, "name"), &group->members[i]) ||
            (i > 0 && group->members[i] <= group->members[i - 1]))
            return false;
        group->endpoints[group->g.members_n++] = xstrdup(endpoint);
    }
    return true;
}

static bool read_labels(const json_t *list, struct period_group *group)
{
    size_t n = json_array_size(list);
    group->labels = xcalloc(n + 1, sizeof *group->labels);
    group->g.labels = group->labels;
    group->g.labels_n = n;
    for (size_t i = 0; i < n; i++) {
        if (!unhex(json_array_get(list, i), &group->labels[i]))
            return false;
    }
    return json_is_array(list);
}

static bool read_group(const json_t *v, struct period_group *group)
{
    json_int_t replicas = json_integer_value(json_object_get(v, "replicas"));
    const char *use = json_string_value(json_object_get(v, "labels"));
    size_t i = 0, uses = sizeof USES / sizeof *USES;
    while (use && i < uses && strcmp(USES[i], use) != 0)
        i++;
    group->g.use = (enum routing_labels)i;
    group->g.replicas = replicas > 0 && replicas <= ROUTING_MEMBERS_MAX ? (unsigned)replicas : 0;
    return use && i < uses && group->g.replicas && read_labels(json_object_get(v, "names"), group) &&
           read_members(json_object_get(v, "members"), group);
}

static struct period *read_period(const json_t *v)
{
    const json_t *begin = json_object_get(v, "begin"), *groups = json_object_get(v, "groups");
    size_t n = json_array_size(groups);
    bool good = json_is_integer(begin) && json_integer_value(begin) >= 0 && json_is_array(groups);
    struct period *p = xcalloc(1, sizeof *p);
    p->refs = 1;
    p->begin = good ? (uint64_t)json_integer_value(begin) : 0;
    p->groups = xcalloc(n + 1, sizeof *p->groups);
    while (good && p->groups_n < n) {
        struct period_group *group = &p->groups[p->groups_n++];
        good = read_group(json_array_get(groups, p->groups_n - 1), group);
    }
    if (!good) {
        period_unref(p);
        p = NULL;
    }
    return p;
}

static bool read_list(const json_t *root, struct periods *out)
{
    const json_t *list = json_object_get(root, "periods"), *unsure = json_object_get(root, "unsure_from");
    size_t n = json_array_size(list);
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_array(list) || n > PERIODS_MAX ||
        (unsure && json_integer_value(unsure) <= 0))
        return false;
    while (out->n < n) {
        struct period *p = read_period(json_array_get(list, out->n));
        if (!p)
            return false;
        out->v[out->n++] = p;
        if (out->n > 1 && p->begin <= out->v[out->n - 2]->begin)
            return false;
    }
    out->unsure_from = unsure ? (uint64_t)json_integer_value(unsure) : PERIOD_SURE;
    return true;
}

bool periods_from_json(struct str text, struct periods *out, struct err *err)
{
    json_error_t why;
    *out = (struct periods){.unsure_from = PERIOD_SURE};
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    bool good = root && read_list(root, out);
    if (!root)
        err_set(err, "line %d: %s", why.line, why.text);
    else if (!good)
        err_set(err, "no list of groups of endpoints");
    while (!good && out->n)
        period_unref(out->v[--out->n]);
    json_decref(root);
    return good;
}
