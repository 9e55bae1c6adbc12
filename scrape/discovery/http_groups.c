/* SPDX-License-Identifier: Apache-2.0 */
/* http_groups: reads groups as prometheus discovery/targetgroup does: strictly, all of the body or nothing. */
#include "http_groups.h"

#include <strings.h>

#include "sd_get.h"

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

static bool read_labels(const json_t *object, struct labels *labels, struct err *err)
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
        labels_set(labels, str_of(name), text_of(value));
    }
    return true;
}

/* The group's labels stand in `labels`; each target replaces __address__. */
static bool add_targets(const json_t *targets, struct labels *labels, struct discovery_sets *sets, struct err *err)
{
    size_t i;
    json_t *target;
    if (targets && !json_is_null(targets) && !json_is_array(targets))
        return err_set(err, "targets: want a list, not %s", type_name(targets));
    json_array_foreach(targets, i, target) {
        if (!json_is_string(target))
            return err_set(err, "targets: want strings, not %s", type_name(target));
        labels_set(labels, STR("__address__"), text_of(target));
        discovery_sets_add(sets, labels);
    }
    return true;
}

static bool read_group(const json_t *group, const char *url, struct labels *labels, struct discovery_sets *sets,
                       struct err *err)
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
    labels_clear(labels);
    if (!read_labels(json_object_get(group, "labels"), labels, err))
        return false;
    labels_set(labels, STR("__meta_url"), str_of(url));
    return add_targets(json_object_get(group, "targets"), labels, sets, err);
}

bool http_groups_read(struct str body, const char *url, struct discovery_sets *sets, struct err *err)
{
    struct labels labels;
    size_t i;
    json_t *group, *groups = sd_json(body, err);
    if (!groups)
        return false;
    labels_init(&labels, NULL);
    bool good = json_is_array(groups) || json_is_null(groups);
    if (!good)
        err_set(err, "want a list of target groups, not %s", type_name(groups));
    json_array_foreach(groups, i, group) {
        good = read_group(group, url, &labels, sets, err);
        if (!good) {
            err_prefix(err, "group %zu", i + 1);
            break;
        }
    }
    labels_free(&labels);
    json_decref(groups);
    return good;
}
