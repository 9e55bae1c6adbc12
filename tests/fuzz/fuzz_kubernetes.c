/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kubernetes: a Kubernetes API server's answer. The first byte says as what it is read and in which portions. */
#include <stdlib.h>

#include "label_set.h"
#include "scrape/kubernetes/object.h"
#include "scrape/kubernetes/split.h"

struct reading {
    struct kube_reader reader;
    enum kube_kind kind;
    struct kube_object *last;
};

static void read_object(struct reading *r, const json_t *json)
{
    struct err err = {0};
    struct kube_object *o = kube_object_read(&r->reader, r->kind, json, r->last, &err);
    if (!o)
        return;
    kube_object_free(r->last);
    r->last = o;
}

static bool take(void *ctx, bool item, struct str text, struct err *err)
{
    struct reading *r = ctx;
    json_t *json = json_loadb(text.p, text.n, KUBE_JSON, NULL);
    (void)err;
    if (json && item) {
        read_object(r, json);
        read_object(r, json_object_get(json, "object"));
    }
    json_decref(json);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct reading r = {.kind = n > 0 ? data[0] % KUBE_KINDS : 0};
    struct err err = {0};
    struct split s;
    if (n == 0)
        return 0;
    size_t step = 1 + (data[0] >> 4) * 7U;
    struct label_names *names = label_names_new();
    kube_reader_init(&r.reader, names);
    split_init(&s, n % 2 ? SPLIT_LIST : SPLIT_WATCH, take, &r);
    bool ok = true;
    for (size_t at = 1; ok && at < n; at += step)
        ok = split_feed(&s, str_make((const char *)data + at, n - at < step ? n - at : step), &err);
    split_free(&s);
    kube_object_free(r.last);
    kube_reader_free(&r.reader);
    label_names_release(names);
    return 0;
}
