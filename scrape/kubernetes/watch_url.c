/* SPDX-License-Identifier: Apache-2.0 */
/* watch_url: where the objects of a kind are. */
#include "watch_private.h"

#include <ctype.h>

#include "base/hash.h"

#define PAGE 500
/* The server ends a watch after so many seconds, which spreads reconnections over its replicas; a dead link that TCP
   does not notice is found then at the latest. */
#define WATCH_SECONDS 240
#define WATCH_SPREAD 60

static const struct {
    const char *group, *older; /* API versions; older NULL = there is none */
    bool cluster;              /* not in namespaces */
    bool metadata;
} apis[KUBE_KINDS] = {
    [KUBE_NODES] = {"/api/v1", NULL, true, false},
    [KUBE_PODS] = {"/api/v1", NULL, false, false},
    [KUBE_SERVICES] = {"/api/v1", NULL, false, false},
    [KUBE_ENDPOINTS] = {"/api/v1", NULL, false, false},
    [KUBE_SLICES] = {"/apis/discovery.k8s.io/v1", "/apis/discovery.k8s.io/v1beta1", false, false},
    [KUBE_INGRESSES] = {"/apis/networking.k8s.io/v1", "/apis/networking.k8s.io/v1beta1", false, false},
    [KUBE_NAMESPACES] = {"/api/v1", NULL, true, true},
    [KUBE_REPLICASETS] = {"/apis/apps/v1", NULL, false, true},
    [KUBE_JOBS] = {"/apis/batch/v1", NULL, false, true},
};

bool kube_has_older_api(enum kube_kind kind)
{
    return apis[kind].older != NULL;
}

bool kube_wants_metadata(enum kube_kind kind)
{
    return apis[kind].metadata;
}

static void add_escaped(struct buf *url, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr("-._~", *p))
            buf_add_char(url, *p);
        else
            buf_addf(url, "%%%02X", (unsigned)(unsigned char)*p);
    }
}

static void add_param(struct buf *url, const char *name, const char *value)
{
    if (!value)
        return;
    buf_addf(url, "&%s=", name);
    add_escaped(url, value);
}

static void add_path(const struct kube_watch *w, struct buf *url)
{
    buf_addf(url, "%s%s", w->access.url ? w->access.url : "", w->older_api ? apis[w->kind].older : apis[w->kind].group);
    if (w->namespace && !apis[w->kind].cluster) {
        buf_add_c(url, "/namespaces/");
        add_escaped(url, w->namespace);
    }
    buf_addf(url, "/%s", kube_kind_name(w->kind));
}

static void add_selectors(const struct kube_watch *w, struct buf *url)
{
    add_param(url, "labelSelector", w->label);
    if (w->kind == KUBE_NAMESPACES && w->namespace) {
        buf_add_c(url, "&fieldSelector=metadata.name%3D"); /* needs no right to see the others */
        add_escaped(url, w->namespace);
    } else {
        add_param(url, "fieldSelector", w->field);
    }
}

/* A first list may come from the server's cache, whatever its age; then what we know must not become older. */
static void add_list(const struct kube_watch *w, struct buf *url)
{
    buf_addf(url, "?limit=%d", PAGE);
    if (w->next)
        add_param(url, "continue", w->next);
    else if (!w->anew && !w->version)
        buf_add_c(url, "&resourceVersion=0");
}

static void add_watch(const struct kube_watch *w, struct buf *url)
{
    unsigned spread = (unsigned)(hash_bytes(&w->begun_ms, sizeof w->begun_ms) % WATCH_SPREAD);
    buf_addf(url, "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u", WATCH_SECONDS + spread);
    add_param(url, "resourceVersion", w->version);
}

char *kube_request_url(const struct kube_watch *w)
{
    struct buf url;
    buf_init(&url, (size_t)1 << 20);
    add_path(w, &url);
    if (w->phase == KUBE_LISTING)
        add_list(w, &url);
    else
        add_watch(w, &url);
    add_selectors(w, &url);
    return buf_take(&url);
}

void kube_request_text(const struct kube_watch *w, struct buf *out)
{
    struct buf more;
    buf_init(&more, 4096);
    buf_add_c(out, w->phase == KUBE_LISTING ? "LIST " : "WATCH ");
    add_path(w, out);
    add_selectors(w, &more);
    if (more.n > 0)
        buf_addf(out, "?%.*s", STR_ARG(str_skip(buf_str(&more), 1)));
    buf_free(&more);
}
