/* SPDX-License-Identifier: Apache-2.0 */
/* contract_set: names of families, types and names of labels, gathered, kept in a file, compared. */
#include "contract_set.h"

#include "base/alloc.h"
#include "base/file.h"
#include "probe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)256 << 20)
#define FAMILIES_MAX ((size_t)1 << 17)
#define LABELS_MAX ((size_t)256)

static const char *const TYPES[] = {
    [BLOCK_UNSPECIFIED] = "untyped",      [BLOCK_COUNTER] = "counter",
    [BLOCK_GAUGE] = "gauge",              [BLOCK_HISTOGRAM] = "histogram",
    [BLOCK_GAUGEHISTOGRAM] = "gaugehistogram", [BLOCK_SUMMARY] = "summary",
    [BLOCK_INFO] = "info",                [BLOCK_STATESET] = "stateset",
};
#define TYPES_N (sizeof TYPES / sizeof *TYPES)

const char *contract_type_name(enum block_metric_type type)
{
    return TYPES[type];
}

/* ---- the set ---- */

static void family_free(struct contract_family *f)
{
    for (size_t i = 0; i < f->labels_n; i++)
        free(f->labels[i]);
    free(f->labels);
    free(f->name);
}

static void clear(struct contract_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        family_free(&set->v[i]);
    set->n = 0;
    set->cut = false;
}

void contract_set_free(struct contract_set *set)
{
    clear(set);
    free(set->v);
    *set = (struct contract_set){0};
}

static struct contract_family *family_at(struct contract_set *set, size_t index)
{
    if (index >= FAMILIES_MAX) {
        set->cut = true;
        return NULL;
    }
    if (index >= set->n) {
        set->v = xgrow(set->v, &set->cap, index + 1, sizeof *set->v);
        memset(set->v + set->n, 0, (index + 1 - set->n) * sizeof *set->v);
        set->n = index + 1;
    }
    return &set->v[index];
}

static bool add_label(struct contract_family *f, struct str name)
{
    for (size_t i = 0; i < f->labels_n; i++) {
        if (str_eq_c(name, f->labels[i]))
            return true;
    }
    if (f->labels_n == LABELS_MAX)
        return false;
    f->labels = xgrow(f->labels, &f->labels_cap, f->labels_n + 1, sizeof *f->labels);
    f->labels[f->labels_n++] = str_dup(name);
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct contract_family *)a)->name, ((const struct contract_family *)b)->name);
}

static void sort(struct contract_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->v[i].labels_n)
            qsort(set->v[i].labels, set->v[i].labels_n, sizeof *set->v[i].labels, by_text);
    }
    if (set->n)
        qsort(set->v, set->n, sizeof *set->v, by_name);
}

/* ---- from a body ---- */

static void on_begin(void *ctx, enum exposition_format format)
{
    (void)format;
    clear(ctx);
}

static bool is_own(const struct survey_family *family, struct str label)
{
    enum block_metric_type type = family->lint.type;
    return str_eq_c(label, "__name__") ||
           ((type == BLOCK_HISTOGRAM || type == BLOCK_GAUGEHISTOGRAM) && str_eq_c(label, "le")) ||
           (type == BLOCK_SUMMARY && str_eq_c(label, "quantile"));
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct contract_set *set = ctx;
    struct contract_family *f = family_at(set, s->family_index);
    if (!f)
        return;
    f->sampled = true;
    for (size_t i = 0; i < s->labels->n; i++) {
        struct str name = s->labels->v[i].name;
        if (!is_own(s->family, name) && !add_label(f, name))
            set->cut = true;
    }
}

/* Now the names and types are known; families that were only helped along are none. */
static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct contract_set *set = ctx;
    size_t kept = 0;
    for (size_t i = 0; i < counts->families_n; i++) {
        const struct survey_family *from = &counts->families[i];
        struct contract_family *f = family_at(set, i);
        if (!f || (!f->sampled && from->lint.type == BLOCK_UNSPECIFIED))
            continue;
        f->name = survey_plain_name(from, counts->format);
        f->type = from->lint.type;
        set->v[kept++] = *f;
    }
    set->n = kept;
    sort(set);
}

struct survey_watcher contract_set_watcher(struct contract_set *set)
{
    return (struct survey_watcher){on_begin, on_sample, NULL, on_end, set};
}

/* ---- the file ---- */

void contract_set_write(const struct contract_set *set, struct buf *out)
{
    buf_add_c(out, "{\"contract_version\":1,\"families\":[");
    for (size_t i = 0; i < set->n; i++) {
        const struct contract_family *f = &set->v[i];
        buf_add_c(out, i ? ",\n{\"name\":" : "\n{\"name\":");
        buf_add_json(out, str_of(f->name));
        buf_addf(out, ",\"type\":\"%s\",\"labels\":%s", TYPES[f->type], f->sampled ? "[" : "null");
        for (size_t l = 0; f->sampled && l < f->labels_n; l++) {
            buf_add_c(out, l ? "," : "");
            buf_add_json(out, str_of(f->labels[l]));
        }
        buf_add_c(out, f->sampled ? "]}" : "}");
    }
    buf_add_c(out, "\n]}\n");
}

static bool read_family(struct contract_set *set, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *type = json_string_value(json_object_get(json, "type"));
    json_t *labels = json_object_get(json, "labels"), *label;
    size_t i, t = 0;
    while (type && t < TYPES_N && strcmp(type, TYPES[t]) != 0)
        t++;
    if (!name || !type || t == TYPES_N || !(json_is_array(labels) || json_is_null(labels)))
        return false;
    struct contract_family *f = family_at(set, set->n);
    if (!f)
        return false;
    f->name = xstrdup(name);
    f->type = (enum block_metric_type)t;
    f->sampled = json_is_array(labels);
    json_array_foreach(labels, i, label) {
        if (!json_is_string(label) || !add_label(f, str_of(json_string_value(label))))
            return false;
    }
    return true;
}

static bool read_saved(const json_t *json, const char *path, struct contract_set *set, struct err *err)
{
    json_t *families = json_object_get(json, "families"), *family;
    size_t i;
    if (json_integer_value(json_object_get(json, "contract_version")) != 1 || !json_is_array(families))
        return err_set(err, "%s: was not written by --save, or by a newer version", path);
    json_array_foreach(families, i, family) {
        if (!read_family(set, family))
            return err_set(err, "%s: family %zu is not as --save writes it", path, i + 1);
    }
    sort(set);
    return true;
}

static void begin(void *ctx, enum exposition_format format)
{
    survey_begin(ctx, format);
}

static void feed(void *ctx, const void *bytes, size_t n)
{
    survey_feed(ctx, bytes, n);
}

static bool read_body(const char *path, struct contract_set *set, struct err *err)
{
    struct survey *s = survey_new(1);
    struct survey_watcher watcher = contract_set_watcher(set);
    struct probe_request request = {.begin = begin, .sink = feed, .ctx = s, .max_raw = FILE_MAX};
    struct probe_result result;
    struct survey_counts counts;
    survey_watch(s, &watcher);
    probe_file(path, &request, &result);
    survey_finish(s);
    survey_counts(s, &counts);
    bool good = !err_is(&result.error) && counts.errors == 0;
    if (err_is(&result.error))
        *err = result.error;
    else if (!good)
        err_set(err, "%s: neither written by --save nor an exposition: line %llu: %s", path,
                (unsigned long long)counts.first_errors[0].line, counts.first_errors[0].why);
    survey_free(s);
    return good;
}

/* A body of half a gigabyte need not be in memory to see that it is no JSON. */
static bool is_saved(const char *path)
{
    char start[64];
    FILE *f = fopen(path, "re");
    struct str text = str_make(start, f ? fread(start, 1, sizeof start, f) : 0);
    if (f)
        fclose(f);
    return str_starts(text, STR("{")) && str_starts(str_trim(str_skip(text, 1)), STR("\"contract_version\""));
}

bool contract_set_read(const char *path, struct contract_set *set, struct err *err)
{
    if (!is_saved(path))
        return read_body(path, set, err);
    struct buf text;
    json_error_t why;
    buf_init(&text, FILE_MAX);
    bool good = file_read(path, FILE_MAX, &text, err);
    json_t *json = good ? json_loadb(text.p, text.n, 0, &why) : NULL;
    buf_free(&text);
    if (good)
        good = json ? read_saved(json, path, set, err) : err_set(err, "%s:%d: %s", path, why.line, why.text);
    json_decref(json);
    return good;
}

/* ---- comparing ---- */

struct comparison {
    void (*tell)(void *ctx, const struct contract_change *change);
    void *ctx;
};

static void compare_labels(const struct comparison *c, const struct contract_family *was,
                           const struct contract_family *now)
{
    struct contract_change change = {.family = now->name, .was = was->type, .now = now->type};
    size_t i = 0, k = 0;
    if (!was->sampled || !now->sampled)
        return;
    while (i < was->labels_n || k < now->labels_n) {
        int order = i == was->labels_n ? 1 : k == now->labels_n ? -1 : strcmp(was->labels[i], now->labels[k]);
        if (order) {
            change.kind = order < 0 ? CONTRACT_LABEL_GONE : CONTRACT_LABEL_NEW;
            change.label = order < 0 ? was->labels[i] : now->labels[k];
            c->tell(c->ctx, &change);
        }
        i += order <= 0;
        k += order >= 0;
    }
}

void contract_set_compare(const struct contract_set *was, const struct contract_set *now,
                          void (*tell)(void *ctx, const struct contract_change *change), void *ctx)
{
    struct comparison c = {tell, ctx};
    size_t i = 0, k = 0;
    while (i < was->n || k < now->n) {
        const struct contract_family *a = i < was->n ? &was->v[i] : NULL, *b = k < now->n ? &now->v[k] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
        struct contract_change change = {.family = order > 0 ? b->name : a->name};
        change.was = order <= 0 ? a->type : BLOCK_UNSPECIFIED;
        change.now = order >= 0 ? b->type : BLOCK_UNSPECIFIED;
        change.kind = order < 0 ? CONTRACT_FAMILY_GONE : order > 0 ? CONTRACT_FAMILY_NEW : CONTRACT_TYPE_CHANGED;
        if (order || change.was != change.now)
            tell(ctx, &change);
        if (!order)
            compare_labels(&c, a, b);
        i += order <= 0;
        k += order >= 0;
    }
}
