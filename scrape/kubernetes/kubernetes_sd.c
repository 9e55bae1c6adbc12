/* SPDX-License-Identifier: Apache-2.0 */
/* kubernetes_sd: one kubernetes_sd_config: watches what its role needs and keeps the targets of each object, so that a
   change costs only the objects that it touches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "join.h"

#define BUILD_MS 50        /* changes that come together are joined together */
#define BUILD_SPACE 5      /* ... and so many times as long as joining them took, so that it is never all we do */
#define BUILD_MAX_MS 500
#define NAMESPACE_MS 10000 /* until the service account's namespace is looked for again */

/* The targets of one object. */
struct entry {
    struct label_set **sets;
    size_t n;
    uint64_t *deps;
    size_t deps_n;
};

struct kubernetes_sd {
    struct source source;
    struct kube_joiner joiner; /* its watches are ours */
    size_t watches_cap;
    struct kube_map entries; /* by key of the role's objects */
    struct kube_map dirty;   /* keys of objects to join again */
    struct kube_map moved;   /* keys of other objects that changed */
    bool *built;             /* by watch: one of the role's objects, which have been joined */
    struct loop_timer timer;
    int64_t took_ms; /* the last joining */
};

/* ---- entries ---- */

static void entry_free(struct entry *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n; i++)
        label_set_unref(e->sets[i]);
    free(e->sets);
    free(e->deps);
    free(e);
}

static struct entry *entry_new(struct kubernetes_sd *s, const struct kube_object *o, const struct entry *old)
{
    struct discovery_sets sets;
    struct entry *e = xcalloc(1, sizeof *e);
    discovery_sets_init(&sets, s->joiner.names);
    kube_join_object(&s->joiner, o, &sets);
    if (old)
        kube_keep_equal(sets.v, sets.n, old->sets, old->n);
    e->n = sets.n;
    e->sets = sets.n > 0 ? xrealloc(sets.v, sets.n * sizeof(struct label_set *)) : NULL;
    if (sets.n == 0)
        free(sets.v);
    e->deps_n = s->joiner.deps_n;
    e->deps = e->deps_n > 0 ? xmalloc(e->deps_n * sizeof *e->deps) : NULL;
    if (e->deps_n > 0)
        memcpy(e->deps, s->joiner.deps, e->deps_n * sizeof *e->deps);
    return e;
}

static bool entries_differ(const struct entry *a, const struct entry *b)
{
    size_t n = a ? a->n : 0, m = b ? b->n : 0;
    return n != m || (n > 0 && memcmp(a->sets, b->sets, n * sizeof(struct label_set *)) != 0);
}

/* ---- building ---- */

static const struct kube_object *find_object(const struct kubernetes_sd *s, uint64_t key)
{
    enum kube_kind kind = kube_role_kind(s->joiner.config->role);
    const struct kube_object *o = NULL;
    for (size_t i = 0; i < s->joiner.watches_n && !o; i++) {
        if (kube_watch_kind(s->joiner.watches[i]) == kind)
            o = kube_map_get(kube_watch_objects(s->joiner.watches[i]), key);
    }
    return o;
}

static bool build_object(struct kubernetes_sd *s, uint64_t key)
{
    const struct kube_object *o = find_object(s, key);
    struct entry *old = kube_map_get(&s->entries, key);
    struct entry *new = o ? entry_new(s, o, old) : NULL;
    bool changed = entries_differ(old, new);
    if (new)
        kube_map_put(&s->entries, key, new);
    else
        kube_map_del(&s->entries, key);
    entry_free(old);
    return changed;
}

static void mark(struct kubernetes_sd *s, struct kube_map *map, uint64_t key)
{
    kube_map_put(map, key, s);
}

/* Objects whose labels need something that changed. */
static void mark_dependents(struct kubernetes_sd *s)
{
    for (size_t i = 0; s->moved.n > 0 && i < s->entries.slots_n; i++) {
        const struct entry *e = s->entries.slots[i].value;
        for (size_t k = 0; e && k < e->deps_n; k++) {
            if (kube_map_get(&s->moved, e->deps[k])) {
                mark(s, &s->dirty, s->entries.slots[i].key);
                break;
            }
        }
    }
    kube_map_free(&s->moved);
}

static bool is_of_role(const struct kubernetes_sd *s, const struct kube_watch *w)
{
    return kube_watch_kind(w) == kube_role_kind(s->joiner.config->role);
}

/* All that objects of the watch may be joined with has been listed once. */
static bool is_ready(const struct kubernetes_sd *s, const struct kube_watch *w)
{
    const char *namespace = kube_watch_namespace(w);
    bool ready = true;
    for (size_t i = 0; i < s->joiner.watches_n; i++) {
        const char *other = kube_watch_namespace(s->joiner.watches[i]);
        if (!namespace || !other || strcmp(namespace, other) == 0)
            ready &= kube_watch_listed(s->joiner.watches[i]);
    }
    return ready;
}

/* All is known that we are let see, and that is something. */
static bool is_settled(const struct kubernetes_sd *s)
{
    bool built = false, settled = true;
    for (size_t i = 0; i < s->joiner.watches_n; i++) {
        const struct kube_watch *w = s->joiner.watches[i];
        built |= s->built[i];
        settled &= kube_watch_listed(w) || kube_watch_denied(w);
    }
    return built && settled;
}

/* Joins the objects of watches that have become ready: before, they would be joined with nothing. A namespace that we
   are not let into does not hold up the others. */
static void mark_ready(struct kubernetes_sd *s)
{
    for (size_t i = 0; i < s->joiner.watches_n; i++) {
        const struct kube_watch *w = s->joiner.watches[i];
        const struct kube_map *objects = kube_watch_objects(w);
        if (s->built[i] || !is_of_role(s, w))
            continue;
        s->built[i] = is_ready(s, w);
        for (size_t k = 0; s->built[i] && k < objects->slots_n; k++) {
            if (objects->slots[k].value)
                mark(s, &s->dirty, objects->slots[k].key);
        }
    }
}

/* What one of the watches says, NULL when all is well. */
static const char *error_of(const struct kubernetes_sd *s)
{
    const char *error = "";
    for (size_t i = 0; i < s->joiner.watches_n && !*error; i++)
        error = kube_watch_error(s->joiner.watches[i]);
    return *error ? error : NULL;
}

static void tell(struct kubernetes_sd *s, bool changed)
{
    const char *error = error_of(s);
    bool all = is_settled(s);
    bool first = all && !s->source.known;
    if (all && !error) {
        source_good(&s->source, changed);
        return;
    }
    s->source.known |= all; /* lists are enough, should watching not be allowed */
    if (error)
        snprintf(s->source.error, sizeof s->source.error, "%s", error);
    if (changed || first)
        source_changed(&s->source);
}

static void build(void *ctx)
{
    struct kubernetes_sd *s = ctx;
    int64_t begun_ms = clock_mono_ms();
    bool changed = false;
    mark_ready(s);
    mark_dependents(s);
    for (size_t i = 0; i < s->dirty.slots_n; i++) {
        if (s->dirty.slots[i].value)
            changed |= build_object(s, s->dirty.slots[i].key);
    }
    kube_map_free(&s->dirty);
    s->took_ms = clock_mono_ms() - begun_ms;
    tell(s, changed);
}

static void build_soon(struct kubernetes_sd *s, int64_t ms)
{
    struct loop *loop = s->source.host->loop;
    if (s->timer.slot == 0)
        loop_timer_set(loop, &s->timer, loop_now(loop) + ms, build, s);
}

/* Of the role's objects, those that wait for others are not looked at yet. */
static bool is_waiting(const struct kubernetes_sd *s, const struct kube_watch *w)
{
    bool waits = is_of_role(s, w);
    for (size_t i = 0; i < s->joiner.watches_n && waits; i++)
        waits = s->joiner.watches[i] != w || !s->built[i];
    return waits;
}

static void build_changes(struct kubernetes_sd *s)
{
    int64_t ms = BUILD_MS + BUILD_SPACE * s->took_ms;
    build_soon(s, ms < BUILD_MAX_MS ? ms : BUILD_MAX_MS);
}

static void on_news(void *ctx, struct kube_watch *watch, enum kube_news news, uint64_t key)
{
    struct kubernetes_sd *s = ctx;
    switch (news) {
    case KUBE_CHANGED:
        if (is_waiting(s, watch))
            break;
        mark(s, is_of_role(s, watch) ? &s->dirty : &s->moved, key);
        build_changes(s);
        break;
    case KUBE_GOOD:
        build_soon(s, s->source.known ? BUILD_MS : 0);
        break;
    case KUBE_FAILED:
        if (key || !s->source.looked)
            source_failed(&s->source, "%s", kube_watch_error(watch));
        else
            s->source.failures++;
        if (!s->source.known)
            build_changes(s); /* perhaps that settles it */
        break;
    }
}

/* ---- beginning ---- */

/* Of the selectors, the one for the kind. */
static void select_objects(const struct config_kubernetes_sd *c, struct kube_spec *spec)
{
    for (size_t i = 0; i < c->selectors_n; i++) {
        if (kube_role_kind(c->selectors[i].role) == spec->kind) {
            spec->label = c->selectors[i].label;
            spec->field = c->selectors[i].field;
        }
    }
}

static void join_watch(struct kubernetes_sd *s, enum kube_kind kind, const char *namespace)
{
    struct kube_joiner *j = &s->joiner;
    struct kube_spec spec = {.kind = kind, .namespace = kind == KUBE_NODES ? NULL : namespace};
    select_objects(j->config, &spec);
    j->watches = xgrow(j->watches, &s->watches_cap, j->watches_n + 1, sizeof(struct kube_watch *));
    j->watches[j->watches_n++] = kube_watch_join(&s->source, &spec, (struct kube_listener){on_news, s});
}

static bool named_before(const struct config_texts *names, size_t i, const char *own)
{
    bool before = own && strcmp(names->v[i], own) == 0;
    for (size_t k = 0; k < i; k++)
        before |= strcmp(names->v[i], names->v[k]) == 0;
    return before;
}

static void join_watches(struct kubernetes_sd *s, const char *own)
{
    const struct config_texts *names = &s->joiner.config->namespaces;
    unsigned kinds = kube_needed_kinds(s->joiner.config);
    bool all = names->n == 0 && !own;
    for (enum kube_kind kind = 0; kind < KUBE_KINDS; kind++) {
        bool wanted = kinds & 1U << kind;
        if (wanted && (all || kind == KUBE_NODES)) {
            join_watch(s, kind, NULL);
            continue;
        }
        for (size_t i = 0; wanted && i < names->n; i++) {
            if (!named_before(names, i, own))
                join_watch(s, kind, names->v[i]);
        }
        if (wanted && own)
            join_watch(s, kind, own);
    }
    s->built = xcalloc(s->joiner.watches_n + 1, sizeof *s->built);
    build_soon(s, 0); /* all of them may have been there already */
}

static void begin(void *ctx)
{
    struct kubernetes_sd *s = ctx;
    struct err err = {0};
    struct loop *loop = s->source.host->loop;
    bool wanted = s->joiner.config->own_namespace;
    char *own = wanted ? kube_own_namespace(&err) : NULL;
    if (wanted && !own) {
        source_failed(&s->source, "namespaces.own_namespace: %s", err.msg);
        loop_timer_set(loop, &s->timer, loop_now(loop) + NAMESPACE_MS, begin, s);
        return;
    }
    join_watches(s, own);
    free(own);
}

static struct source *open_kubernetes(const struct config_sd *config, struct source_host *host)
{
    struct kubernetes_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_kubernetes, config, host);
    kube_joiner_init(&s->joiner, &config->kubernetes, host->names);
    if (config->kubernetes.own_namespace)
        loop_timer_set(host->loop, &s->timer, loop_now(host->loop), begin, s);
    else
        begin(s);
    return &s->source;
}

static void add(const struct source *source, struct discovery_sets *sets)
{
    const struct kubernetes_sd *s = (const struct kubernetes_sd *)source;
    for (size_t i = 0; i < s->entries.slots_n; i++) {
        const struct entry *e = s->entries.slots[i].value;
        for (size_t k = 0; e && k < e->n; k++)
            discovery_sets_take(sets, label_set_ref(e->sets[k]));
    }
}

static void describe(const struct source *source, struct buf *out)
{
    const struct config_kubernetes_sd *c = &source->config->kubernetes;
    static const char *const roles[CONFIG_KUBE_ROLES] = {"node", "pod", "service", "endpoints", "endpointslice",
                                                         "ingress"};
    buf_addf(out, "role %s of ", roles[c->role]);
    if (c->api_server)
        config_show_url(out, c->api_server);
    else
        buf_addf(out, "%s", c->kubeconfig_file ? c->kubeconfig_file : "the cluster around");
    for (size_t i = 0; i < c->namespaces.n; i++)
        buf_addf(out, "%s %s", i == 0 ? ", namespaces" : ",", c->namespaces.v[i]);
    if (c->own_namespace)
        buf_add_c(out, ", own namespace");
}

static void close_kubernetes(struct source *source)
{
    struct kubernetes_sd *s = (struct kubernetes_sd *)source;
    loop_timer_clear(source->host->loop, &s->timer);
    for (size_t i = 0; i < s->joiner.watches_n; i++)
        kube_watch_leave(s->joiner.watches[i], s);
    for (size_t i = 0; i < s->entries.slots_n; i++)
        entry_free(s->entries.slots[i].value);
    kube_map_free(&s->entries);
    kube_map_free(&s->dirty);
    kube_map_free(&s->moved);
    free(s->built);
    free(s->joiner.watches);
    kube_joiner_free(&s->joiner);
    free(s);
}

const struct source_kind source_kubernetes = {"kubernetes_sd_configs", open_kubernetes, add, describe,
                                              close_kubernetes};
