/* SPDX-License-Identifier: Apache-2.0 */
/* object: the part of reading that all kinds have in common. */
#include "object.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

static const struct kind {
    const char *name;
    const char *role; /* of META(role); NULL = has none */
    void (*more)(struct kube_reader *r, const json_t *json); /* labels of the whole object */
    void (*targets)(struct kube_reader *r, const json_t *json);
    const char *owner; /* the kind of the controller that counts */
} kinds[KUBE_KINDS] = {
    [KUBE_NODES] = {"nodes", "node", NULL, kube_read_node, NULL},
    [KUBE_PODS] = {"pods", "pod", kube_read_pod_labels, kube_read_pod, NULL},
    [KUBE_SERVICES] = {"services", "service", NULL, kube_read_service, NULL},
    [KUBE_ENDPOINTS] = {"endpoints", "endpoints", NULL, kube_read_endpoints, NULL},
    [KUBE_SLICES] = {"endpointslices", "endpointslice", kube_read_slice_labels, kube_read_slice, NULL},
    [KUBE_INGRESSES] = {"ingresses", "ingress", NULL, kube_read_ingress, NULL},
    [KUBE_NAMESPACES] = {"namespaces", "namespace", NULL, NULL, NULL},
    [KUBE_REPLICASETS] = {"replicasets", NULL, NULL, NULL, "Deployment"},
    [KUBE_JOBS] = {"jobs", NULL, NULL, NULL, "CronJob"},
};

uint64_t kube_key(enum kube_kind kind, struct str namespace, struct str name)
{
    return hash_more(hash_more((uint64_t)kind + 1, namespace), name);
}

const char *kube_kind_name(enum kube_kind kind)
{
    return kinds[kind].name;
}

/* ---- JSON ---- */

struct str kube_text(const json_t *object, const char *member)
{
    const json_t *v = json_object_get(object, member);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_NULL;
}

struct str kube_number(struct kube_reader *r, const json_t *object, const char *member)
{
    const json_t *v = json_object_get(object, member);
    return json_is_integer(v) ? str_of(arena_printf(&r->arena, "%lld", (long long)json_integer_value(v))) : STR_NULL;
}

const json_t *kube_controller(const json_t *metadata)
{
    size_t i;
    json_t *owner;
    json_array_foreach(json_object_get(metadata, "ownerReferences"), i, owner) {
        if (json_is_true(json_object_get(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* ---- labels ---- */

void kube_put(struct kube_reader *r, const char *name, struct str value)
{
    if (value.n > 0)
        labels_push(&r->labels, str_of(name), value);
}

void kube_put_under(struct kube_reader *r, const char *name, struct str suffix, struct str value)
{
    size_t n = strlen(name);
    char *whole = arena_alloc(&r->arena, n + suffix.n + 1);
    memcpy(whole, name, n);
    for (size_t i = 0; i < suffix.n; i++)
        whole[n + i] = (char)(isalnum((unsigned char)suffix.p[i]) ? suffix.p[i] : '_');
    if (value.n > 0)
        labels_push(&r->labels, str_make(whole, n + suffix.n), value);
}

/* A map of texts: ROLE_WHAT_key = value and ROLE_WHATpresent_key = "true". */
static void put_texts(struct kube_reader *r, const char *role, const char *what, const json_t *texts)
{
    const char *name = arena_printf(&r->arena, KUBE "%s_%s_", role, what);
    const char *present = arena_printf(&r->arena, KUBE "%s_%spresent_", role, what);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)texts, key, value) {
        if (!json_is_string(value))
            continue;
        kube_put_under(r, name, str_of(key), str_make(json_string_value(value), json_string_length(value)));
        kube_put_under(r, present, str_of(key), STR("true"));
    }
}

static void put_meta(struct kube_reader *r, const char *role, bool nameless, const json_t *metadata)
{
    if (!nameless)
        kube_put(r, arena_printf(&r->arena, KUBE "%s_name", role), kube_text(metadata, "name"));
    put_texts(r, role, "label", json_object_get(metadata, "labels"));
    put_texts(r, role, "annotation", json_object_get(metadata, "annotations"));
}

struct str kube_join(struct kube_reader *r, struct str host, struct str port)
{
    bool v6 = str_find_char(host, ':') < host.n;
    return str_of(arena_printf(&r->arena, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", STR_ARG(host), STR_ARG(port)));
}

void kube_end_target(struct kube_reader *r)
{
    r->targets = xgrow(r->targets, &r->targets_cap, r->targets_n + 1, sizeof(struct label_set *));
    r->targets[r->targets_n++] = label_set_over(r->names, r->base, &r->labels);
    labels_clear(&r->labels);
}

/* ---- reading ---- */

void kube_reader_init(struct kube_reader *r, struct label_names *names)
{
    *r = (struct kube_reader){.names = names};
    arena_init(&r->arena);
    labels_init(&r->labels, &r->arena);
}

void kube_reader_free(struct kube_reader *r)
{
    labels_free(&r->labels);
    arena_free(&r->arena);
    free(r->targets);
}

/* Replaces an equal set by the one that is known. */
static struct label_set *keep(struct label_set *new, struct label_set *old)
{
    if (!old || new == old || !label_set_equal(new, old))
        return new;
    label_set_unref(new);
    return label_set_ref(old);
}

/* How far ahead an equal one is looked for: so many may have come or gone together. */
#define WINDOW 8

void kube_keep_equal(struct label_set **v, size_t n, struct label_set *const *old, size_t old_n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = at, end = at + WINDOW < old_n ? at + WINDOW : old_n;
        while (k < end && !label_set_equal(v[i], old[k]))
            k++;
        if (k < end) {
            v[i] = keep(v[i], old[k]);
            at = k + 1;
        }
    }
}

/* Something else (an Argo Rollout, say) may control it, too. */
static void put_owner(struct kube_reader *r, const char *kind, const json_t *controller)
{
    if (str_eq_c(kube_text(controller, "kind"), kind))
        kube_put(r, KUBE_OWNER, kube_text(controller, "name"));
}

static void read_base(struct kube_reader *r, enum kube_kind kind, const json_t *json, const struct kube_object *old)
{
    const json_t *metadata = json_object_get(json, "metadata");
    if (kind != KUBE_NAMESPACES && kinds[kind].role)
        kube_put(r, KUBE "namespace", kube_text(metadata, "namespace"));
    if (kinds[kind].role)
        put_meta(r, kinds[kind].role, kind == KUBE_NAMESPACES, metadata);
    else
        put_owner(r, kinds[kind].owner, kube_controller(metadata));
    if (kinds[kind].more)
        kinds[kind].more(r, json);
    r->base = keep(label_set_new(r->names, &r->labels), old ? old->labels : NULL);
    labels_clear(&r->labels);
}

struct kube_object *kube_object_read(struct kube_reader *r, enum kube_kind kind, const json_t *json,
                                     const struct kube_object *old, struct err *err)
{
    const json_t *metadata = json_object_get(json, "metadata");
    struct str name = kube_text(metadata, "name");
    if (name.n == 0) {
        err_set(err, "an object of %s has no metadata.name", kinds[kind].name);
        return NULL;
    }
    r->targets_n = 0;
    read_base(r, kind, json, old);
    if (kinds[kind].targets)
        kinds[kind].targets(r, json);
    if (old)
        kube_keep_equal(r->targets, r->targets_n, old->targets, old->targets_n);
    struct kube_object *o = xmalloc(sizeof *o + r->targets_n * sizeof *o->targets);
    *o = (struct kube_object){.key = kube_key(kind, kube_text(metadata, "namespace"), name),
                              .labels = r->base,
                              .family = kind == KUBE_SERVICES ? kube_read_service_family(json) : '\0',
                              .targets_n = r->targets_n};
    if (r->targets_n > 0)
        memcpy(o->targets, r->targets, r->targets_n * sizeof *o->targets);
    labels_clear(&r->labels);
    arena_reset(&r->arena);
    return o;
}

void kube_object_free(struct kube_object *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->targets_n; i++)
        label_set_unref(o->targets[i]);
    label_set_unref(o->labels);
    free(o);
}

bool kube_object_same(const struct kube_object *a, const struct kube_object *b)
{
    return a->labels == b->labels && a->family == b->family && a->targets_n == b->targets_n &&
           (a->targets_n == 0 || memcmp(a->targets, b->targets, a->targets_n * sizeof *a->targets) == 0);
}
