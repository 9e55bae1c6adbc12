/* SPDX-License-Identifier: Apache-2.0 */
/* watch: what an API server has of one kind of object, kept up to date: LIST in pages, then WATCH for ever. Shared by
   all sources that look at the same. Rules: Kubernetes API concepts, and client-go's reflector where those leave a
   choice. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_WATCH_H
#define OBSAGENT_SCRAPE_KUBERNETES_WATCH_H

#include "map.h"
#include "object.h"

#include "../discovery/source.h"

struct kube_watch;

/* Which objects. Texts are copied. */
struct kube_spec {
    enum kube_kind kind;
    const char *namespace;     /* NULL = all; not for nodes */
    const char *label, *field; /* selectors, NULL = none */
};

enum kube_news {
    KUBE_CHANGED, /* the object of the key is new, different or gone */
    KUBE_GOOD,    /* a look was good after bad ones, or the first list is complete */
    KUBE_FAILED,  /* a request failed: kube_watch_error; the key is 1 when it says something else than before, or 0 */
};

struct kube_listener {
    void (*fn)(void *ctx, struct kube_watch *watch, enum kube_news news, uint64_t key);
    void *ctx;
};

/* Joins the watch, which is started unless there is one like it. The first request is made later, never in here. Calls
   come in the loop's thread; fn must neither join nor leave. */
struct kube_watch *kube_watch_join(const struct source *source, const struct kube_spec *spec,
                                   struct kube_listener listener);
/* The last one that leaves stops it. */
void kube_watch_leave(struct kube_watch *watch, void *ctx);

enum kube_kind kube_watch_kind(const struct kube_watch *watch);
/* NULL = all. */
const char *kube_watch_namespace(const struct kube_watch *watch);
/* A list was complete once: what is not among the objects does not exist. */
bool kube_watch_listed(const struct kube_watch *watch);
/* It was not, and will not be unless somebody gives us rights: the server has refused. */
bool kube_watch_denied(const struct kube_watch *watch);
/* Why the last request failed, "" when it was good. */
const char *kube_watch_error(const struct kube_watch *watch);
/* Of struct kube_object, by key. */
const struct kube_map *kube_watch_objects(const struct kube_watch *watch);

/* Frees what watches share; called when all are left. */
void kube_hub_free(struct kube_hub *hub);

#endif
