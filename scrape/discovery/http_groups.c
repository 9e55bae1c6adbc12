/* SPDX-License-Identifier: Apache-2.0 */
/* http_groups: reads groups as prometheus discovery/targetgroup does: strictly, all of the body or nothing. */
#include "http_groups.h"

#include <strings.h>

#include "sd_get.h"

#define SETS_MAX ((size_t)256 << 20) /* a small body can multiply many labels by many targets */

/* ---- the media type ---- */

static bool takes(struct str *s, const char *lower)
{
    size_t n = strlen(lower);
    if (s->n < n || strncasecmp(s->p, lower, n) != 0)
        return false;
    *s = str_skip(*s, n);
    return true;
}

bool http_groups_type(struct str content_type)
{
    struct str s = str_trim(content_type);
    if (!takes(&s, "application/json"))
        return false;
    if (s.n == 0)
        return true;
    if (!takes(&s, ";"))
        return false;
    s = str_trim(s);
    return (takes(&s, "charset=utf-8") || takes(&s, "charset=\"utf-8\"")) && s.n == 0;
}

/* ---- groups ---- */

static const char *type_name(const json_t *v)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list", [JSON_STRING] = "a string", [JSON_INTEGER] = "a number",
        [JSON_REAL] = "a number", [JSON_TRUE] = "true", [JSON_FALSE] = "false", [JSON_NULL] = "null",
    };
    return names[json_typeof(v)];
}

static struct str text_of(const json_t *v)
{
    return str_make(json_string_value(v), json_string_length(v));
}

struct reading {
    const char *url;
    struct labels labels; /* __address__ first: each target replaces its value */
    struct discovery_sets *sets;
    size_t room; /* bytes that further sets may take */
};

static void begin_group(struct reading *r)
{
    labels_clear(&r->labels);
    labels_push(&r->labels, STR("__address__"), STR_NULL);
    labels_push(&r->labels, STR("__meta_url"), str_of(r->url));
}

/* A JSON object has each key once, so only our own two need a look. */
static bool read_labels(struct reading *r, const json_t *object, struct err *err)
{
    const char *name;
    json_t *value;
    if (object && !json_is_null(object) && !json_is_object(object))
        return err_set(err, "labels: want an object, not %s", type_name(object));
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        if (!*name)
            return err_set(err, "\"\" is not a valid label name");
        if (!json_is_string(value))
            return err_set(err, "label %s: want a string, not %s", name, type_name(value));
        if (strcmp(name, "__address__") != 0 && strcmp(name, "__meta_url") != 0)
            labels_push(&r->labels, str_of(name), text_of(value));
    }
    return true;
}

static size_t size_of(const struct labels *labels)
{
    size_t n = 0;
    for (size_t i = 0; i < labels->n; i++)
        n += labels->v[i].name.n + labels->v[i].value.n + sizeof(struct label);
    return n;
}

static bool add_targets(struct reading *r, const json_t *targets, struct err *err)
{
    size_t i, n = json_array_size(targets), size = size_of(&r->labels);
    json_t *target;
    if (targets && !json_is_null(targets) && !json_is_array(targets))
        return err_set(err, "targets: want a list, not %s", type_name(targets));
    if (n > 0 && r->room / n < size)
        return err_set(err, "the labels of all targets take more than %zu MiB", SETS_MAX >> 20);
    r->room -= n * size;
    json_array_foreach(targets, i, target) {
        if (!json_is_string(target))
            return err_set(err, "targets: want strings, not %s", type_name(target));
        r->labels.v[0].value = text_of(target);
        discovery_sets_add(r->sets, &r->labels);
    }
    return true;
}

static bool read_group(struct reading *r, const json_t *group, struct err *err)
{
    const char *key;
    json_t *value;
    if (json_is_null(group))
        return err_set(err, "nil target group item found");
    if (!json_is_object(group))
        return err_set(err, "want an object, not %s", type_name(group));
    json_object_foreach((json_t *)(uintptr_t)group, key, value) {
        if (strcmp(key, "targets") != 0 && strcmp(key, "labels") != 0)
            return err_set(err, "unknown field \"%s\"", key);
    }
    begin_group(r);
    return read_labels(r, json_object_get(group, "labels"), err) &&
           add_targets(r, json_object_get(group, "targets"), err);
}

bool http_groups_read(struct str body, const char *url, struct discovery_sets *sets, struct err *err)
{
    struct reading r = {.url = url, .sets = sets, .room = SETS_MAX};
    size_t i;
    json_t *group, *groups = sd_json(body, err);
    if (!groups)
        return false;
    labels_init(&r.labels, NULL);
    bool good = json_is_array(groups) || json_is_null(groups);
    if (!good)
        err_set(err, "want a list of target groups, not %s", type_name(groups));
    json_array_foreach(groups, i, group) {
        good = read_group(&r, group, err);
        if (!good) {
            err_prefix(err, "group %zu", i + 1);
            break;
        }
    }
    labels_free(&r.labels);
    json_decref(groups);
    return good;
}
