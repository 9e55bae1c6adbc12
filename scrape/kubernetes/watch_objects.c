/* SPDX-License-Identifier: Apache-2.0 */
/* watch_objects: what answers and events do to the objects that are known. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "watch_private.h"

#define GONE 410

void kube_tell(struct kube_watch *w, enum kube_news news, uint64_t key)
{
    for (size_t i = 0; i < w->listeners_n; i++)
        w->listeners[i].fn(w->listeners[i].ctx, w, news, key);
}

static void set_text(char **to, struct str text)
{
    free(*to);
    *to = text.n > 0 ? str_dup(text) : NULL;
}

static void delete_object(struct kube_watch *w, uint64_t key)
{
    struct kube_object *old = kube_map_del(&w->objects, key);
    kube_object_free(old);
    if (old)
        kube_tell(w, KUBE_CHANGED, key);
}

static uint64_t key_of(const struct kube_watch *w, const json_t *json)
{
    const json_t *metadata = json_object_get(json, "metadata");
    return kube_key(w->kind, kube_text(metadata, "namespace"), kube_text(metadata, "name"));
}

/* An object that cannot be read costs itself only. */
static void put_object(struct kube_watch *w, const json_t *json)
{
    uint64_t key = key_of(w, json);
    struct kube_object *old = kube_map_get(&w->objects, key);
    struct err err = {0};
    struct kube_object *new = kube_object_read(&w->hub->reader, w->kind, json, old, &err);
    if (w->phase == KUBE_LISTING && !kube_map_put(&w->seen, key, w))
        w->fresh = true;
    if (!new) {
        log_throttled((uint64_t)w->kind, LOG_WARN, "discovery", "kubernetes_sd_configs: %s", err.msg);
    } else if (old && kube_object_same(old, new)) {
        kube_object_free(new);
    } else {
        kube_map_put(&w->objects, key, new);
        kube_object_free(old);
        kube_tell(w, KUBE_CHANGED, key);
    }
}

void kube_list_complete(struct kube_watch *w)
{
    uint64_t *gone = xcalloc(w->objects.n + 1, sizeof *gone);
    size_t n = 0;
    for (size_t i = 0; i < w->objects.slots_n; i++) {
        if (w->objects.slots[i].value && !kube_map_get(&w->seen, w->objects.slots[i].key))
            gone[n++] = w->objects.slots[i].key;
    }
    for (size_t i = 0; i < n; i++)
        delete_object(w, gone[i]);
    free(gone);
    kube_map_free(&w->seen);
}

void kube_forget_objects(struct kube_watch *w)
{
    for (size_t i = 0; i < w->objects.slots_n; i++)
        kube_object_free(w->objects.slots[i].value);
    kube_map_free(&w->objects);
    kube_map_free(&w->seen);
}

/* ---- pieces ---- */

static void take_list_metadata(struct kube_watch *w, const json_t *metadata)
{
    set_text(&w->page_version, kube_text(metadata, "resourceVersion"));
    set_text(&w->page_next, kube_text(metadata, "continue"));
}

/* An event that ends the watch. */
static bool take_error(struct kube_watch *w, const json_t *status, struct err *err)
{
    struct str message = kube_text(status, "message");
    const json_t *code = json_object_get(status, "code");
    w->expired = json_integer_value(code) == GONE || str_eq_c(kube_text(status, "reason"), "Expired");
    return err_set(err, "%.*s", STR_ARG(message.n > 0 ? message : STR("an ERROR event without a message")));
}

static bool take_event(struct kube_watch *w, const json_t *event, struct err *err)
{
    struct str type = kube_text(event, "type");
    const json_t *object = json_object_get(event, "object");
    struct str version = kube_text(json_object_get(object, "metadata"), "resourceVersion");
    if (str_eq_c(type, "ERROR"))
        return take_error(w, object, err);
    if (!json_is_object(object))
        return err_set(err, "an event without an object");
    if (str_eq_c(type, "ADDED") || str_eq_c(type, "MODIFIED"))
        put_object(w, object);
    else if (str_eq_c(type, "DELETED"))
        delete_object(w, key_of(w, object));
    else if (!str_eq_c(type, "BOOKMARK"))
        return err_set(err, "an event of an unknown type");
    if (version.n > 0)
        set_text(&w->version, version);
    w->events = true;
    return true;
}

bool kube_take_piece(void *ctx, bool item, struct str json, struct err *err)
{
    struct kube_watch *w = ctx;
    json_error_t why;
    bool ok = true;
    json_t *root = json_loadb(json.p, json.n, KUBE_JSON, &why);
    if (!root)
        return err_set(err, "%s %s is no JSON: %.*s", w->phase == KUBE_LISTING ? "an object of" : "an event of",
                       kube_kind_name(w->kind), hide_quoted(why.text), why.text);
    if (w->phase == KUBE_WATCHING)
        ok = take_event(w, root, err);
    else if (item)
        put_object(w, root);
    else
        take_list_metadata(w, root);
    json_decref(root);
    return ok;
}
