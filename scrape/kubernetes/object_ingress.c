/* SPDX-License-Identifier: Apache-2.0 */
/* object_ingress: ingresses, one target for each rule and path. */
#include "object.h"

#define INGRESS KUBE "ingress_"

/* A host of spec.tls covers it: the same, or a wildcard for its first part. */
static bool covers(struct str pattern, struct str host)
{
    if (str_eq(pattern, host))
        return true;
    size_t dot = str_find_char(host, '.');
    return str_starts(pattern, STR("*.")) && dot > 0 && str_eq(str_skip(pattern, 1), str_skip(host, dot));
}

static bool has_tls(const json_t *spec, struct str host)
{
    size_t i, k;
    json_t *tls, *pattern;
    bool found = false;
    json_array_foreach(json_object_get(spec, "tls"), i, tls) {
        json_array_foreach(json_object_get(tls, "hosts"), k, pattern)
            found |= covers(str_of(json_string_value(pattern)), host);
    }
    return found;
}

static void put_path(struct kube_reader *r, const json_t *spec, struct str host, struct str path)
{
    kube_put(r, INGRESS "class_name", kube_text(spec, "ingressClassName"));
    kube_put(r, "__address__", host);
    kube_put(r, INGRESS "scheme", has_tls(spec, host) ? STR("https") : STR("http"));
    kube_put(r, INGRESS "host", host);
    kube_put(r, INGRESS "path", path.n > 0 ? path : STR("/"));
    kube_end_target(r);
}

void kube_read_ingress(struct kube_reader *r, const json_t *json)
{
    const json_t *spec = json_object_get(json, "spec");
    size_t i, k;
    json_t *rule, *path;
    json_array_foreach(json_object_get(spec, "rules"), i, rule) {
        const json_t *paths = json_object_get(json_object_get(rule, "http"), "paths");
        if (json_array_size(paths) == 0)
            put_path(r, spec, kube_text(rule, "host"), STR("/"));
        json_array_foreach(paths, k, path)
            put_path(r, spec, kube_text(rule, "host"), kube_text(path, "path"));
    }
}
