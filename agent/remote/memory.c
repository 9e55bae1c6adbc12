/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what an endpoint has found out about its receiver, on disk. */
#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"

#define VERSION 1
#define FILE_MAX 65536

/* Names of endpoints may hold anything: the file is called by their hash, and tells the name. */
static char *path_of(const char *dir, const char *endpoint)
{
    return xasprintf("%s/endpoint-%016" PRIx64 ".json", dir, hash_bytes(endpoint, strlen(endpoint)));
}

static bool take(const json_t *root, const char *endpoint, uint64_t key, struct memory *out)
{
    const char *name = json_string_value(json_object_get(root, "endpoint"));
    const char *hex = json_string_value(json_object_get(root, "key"));
    const char *protocol = json_string_value(json_object_get(root, "protocol"));
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !name || strcmp(name, endpoint) != 0 ||
        !hex || strtoull(hex, NULL, 16) != key || !protocol || !protocol_from_name(str_of(protocol), &out->protocol))
        return false;
    json_int_t bytes = json_integer_value(json_object_get(root, "max_request_bytes"));
    out->key = key;
    out->confirmed = json_is_true(json_object_get(root, "confirmed"));
    out->probe_ms = json_integer_value(json_object_get(root, "probe_ms"));
    out->max_request_bytes = bytes > 0 ? (uint64_t)bytes : 0;
    out->learned_ms = json_integer_value(json_object_get(root, "learned_ms"));
    return true;
}

bool memory_read(const char *dir, const char *endpoint, uint64_t key, struct memory *out, struct err *err)
{
    struct buf text;
    json_error_t why;
    char *path = path_of(dir, endpoint);
    *out = (struct memory){0};
    buf_init(&text, FILE_MAX);
    bool there = access(path, F_OK) == 0, good = false;
    if (there && file_read(path, FILE_MAX, &text, err)) {
        json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
        if (!root)
            err_set(err, "%s: line %d: %s", path, why.line, why.text);
        good = root && take(root, endpoint, key, out);
        json_decref(root);
    }
    buf_free(&text);
    free(path);
    return good;
}

bool memory_write(const char *dir, const char *endpoint, const struct memory *m, struct err *err)
{
    char hex[24];
    snprintf(hex, sizeof hex, "%016" PRIx64, m->key);
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "version", VERSION, "endpoint", endpoint,
                             "key", hex, "protocol", protocol_name(m->protocol), "confirmed", (int)m->confirmed,
                             "probe_ms", (json_int_t)m->probe_ms, "max_request_bytes",
                             (json_int_t)m->max_request_bytes, "learned_ms", (json_int_t)m->learned_ms);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) /* a name that is not UTF-8 */
        return err_set(err, "what endpoint %s has learned cannot be written down", endpoint);
    char *path = path_of(dir, endpoint);
    bool ok = file_write_atomic(path, str_of(text), err);
    free(path);
    free(text);
    return ok;
}
