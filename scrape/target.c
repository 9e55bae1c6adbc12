/* SPDX-License-Identifier: Apache-2.0 */
/* target: from discovered labels to a target, as Prometheus's PopulateLabels and Target.URL do it.
   A target is one allocation: the struct, its labels, then all bytes; what discovery found is shared. */
#include "target.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/hide.h"
#include "base/units.h"
#include "target_url.h"

/* ---- labels ---- */

static void set_default(struct labels *l, struct str name, const char *value)
{
    if (labels_get(l, name).n == 0)
        labels_set(l, name, str_of(value));
}

static void set_default_duration(struct labels *l, struct str name, int64_t ms)
{
    char text[48];
    units_format_duration(ms, text);
    set_default(l, name, arena_strdup(l->arena, text));
}

static void set_default_flag(struct labels *l, struct str name, bool on)
{
    set_default(l, name, on ? "true" : "false");
}

static void add_defaults(struct labels *l, const struct config_job *job)
{
    set_default(l, STR("job"), job->job_name);
    set_default_duration(l, STR("__scrape_interval__"), job->scrape_interval_ms);
    set_default_duration(l, STR("__scrape_timeout__"), job->scrape_timeout_ms);
    set_default(l, STR("__metrics_path__"), job->metrics_path);
    set_default(l, STR("__scheme__"), job->scheme);
    set_default_flag(l, STR("__convert_classic_histograms_to_nhcb__"), job->convert_classic_histograms_to_nhcb);
    set_default_flag(l, STR("__always_scrape_classic_histograms__"), job->always_scrape_classic_histograms);
    set_default_flag(l, STR("__scrape_native_histograms__"), job->scrape_native_histograms);
    for (size_t i = 0; i < job->params_n; i++) {
        const struct config_param *p = &job->params[i];
        if (p->values_n > 0)
            set_default(l, str_of(arena_printf(l->arena, "__param_%s", p->name)), p->values[0]);
    }
}

static bool parse_time(const struct labels *l, struct str name, const char *what, int64_t *ms,
                       struct err *err)
{
    struct err why = {0};
    if (!units_parse_duration(labels_get(l, name), ms, &why))
        return err_set(err, "error parsing scrape %s: %s", what, why.msg);
    if (*ms == 0)
        return err_set(err, "scrape %s cannot be 0", what);
    return true;
}

static bool check_address(const struct labels *l, struct err *err)
{
    struct str address = labels_get(l, STR("__address__"));
    if (address.n == 0)
        return err_set(err, "no address");
    if (str_find_char(address, '/') < address.n)
        return err_set(err, "\"%.*s\" is not a valid hostname", STR_ARG(address));
    return true;
}

static bool check_timing(const struct labels *l, int64_t *interval_ms, int64_t *timeout_ms, struct err *err)
{
    struct str interval = STR("__scrape_interval__"), timeout = STR("__scrape_timeout__");
    if (!parse_time(l, interval, "interval", interval_ms, err) ||
        !parse_time(l, timeout, "timeout", timeout_ms, err))
        return false;
    if (*timeout_ms > *interval_ms)
        return err_set(err, "scrape timeout cannot be greater than scrape interval (\"%.*s\" > \"%.*s\")",
                       STR_ARG(labels_get(l, timeout)), STR_ARG(labels_get(l, interval)));
    return true;
}

/* The labels that samples get: those not starting with "__", and instance. */
static bool keep_public(const struct labels *all, struct labels *public, struct err *err)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct label *label = &all->v[i];
        if (!str_is_utf8(label->value))
            return err_set(err, "invalid label value for \"%.*s\": it is not UTF-8", STR_ARG(label->name));
        if (label->value.n > 0 && !str_starts(label->name, STR("__")))
            labels_push(public, label->name, label->value);
    }
    if (!labels_has(public, STR("instance")))
        labels_push(public, STR("instance"), labels_get(all, STR("__address__")));
    labels_sort(public);
    return true;
}

/* ---- packing ---- */

static size_t labels_bytes(const struct labels *l)
{
    size_t n = l->n * sizeof(struct label);
    for (size_t i = 0; i < l->n; i++)
        n += l->v[i].name.n + l->v[i].value.n;
    return n;
}

static struct str pack(char **at, struct str s)
{
    char *p = *at;
    if (s.n)
        memcpy(p, s.p, s.n);
    *at += s.n;
    return str_make(p, s.n);
}

static char *pack_c(char **at, struct str s)
{
    char *p = *at;
    pack(at, s);
    *(*at)++ = '\0';
    return p;
}

static void pack_labels(struct label *to, const struct labels *from, char **at)
{
    for (size_t i = 0; i < from->n; i++)
        to[i] = (struct label){pack(at, from->v[i].name), pack(at, from->v[i].value)};
}

static struct target *target_pack(struct str job, struct label_set *found, struct label_set *defaults,
                                  const struct labels *public, struct str url, struct str unix_socket)
{
    struct buf shown;
    buf_init(&shown, TARGET_URL_MAX + 64);
    hide_url(url, &shown);
    bool hidden = !str_eq(buf_str(&shown), url);
    size_t bytes = sizeof(struct target) + labels_bytes(public) + job.n + url.n + shown.n + unix_socket.n + 3;
    struct target *t = xmalloc(bytes);
    *t = (struct target){.refs = 1, .found = label_set_ref(found), .defaults = label_set_ref(defaults)};
    t->labels = (struct label *)(t + 1);
    t->labels_n = public->n;
    char *at = (char *)(t->labels + public->n);
    pack_labels(t->labels, public, &at);
    t->job = pack(&at, job);
    t->url = url.p ? pack_c(&at, url) : NULL;
    t->clean_url = hidden ? pack_c(&at, buf_str(&shown)) : NULL;
    buf_free(&shown);
    t->unix_socket = unix_socket.n ? pack_c(&at, unix_socket) : NULL;
    return t;
}

/* What discovery found, then what it left to the job, sorted. */
static void merge_discovered(const struct label_set *found, const struct label_set *defaults, struct labels *out)
{
    struct labels more;
    labels_init(&more, out->arena);
    label_set_add(found, out);
    label_set_add(defaults, &more);
    size_t n = out->n;
    for (size_t i = 0; i < more.n; i++) {
        size_t k = 0;
        while (k < n && !str_eq(out->v[k].name, more.v[i].name))
            k++;
        if (k == n)
            labels_push(out, more.v[i].name, more.v[i].value);
    }
    labels_free(&more);
    labels_sort(out);
}

void target_discovered(const struct target *t, struct labels *out)
{
    merge_discovered(t->found, t->defaults, out);
    for (size_t i = 0; i < out->n; i++) {
        if (hide_label(out->v[i].name))
            out->v[i].value = STR("<secret>");
    }
}

struct label_set *target_defaults(const struct config_job *job)
{
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    add_defaults(&l, job);
    struct label_set *s = label_set_new(NULL, &l);
    labels_free(&l);
    arena_free(&arena);
    return s;
}

/* ---- settings ---- */

static bool bad_label(struct str name, struct str text, const char *what, struct err *err)
{
    return err_set(err, "label %.*s: \"%.*s\" is not %s", STR_ARG(name), STR_ARG(text), what);
}

/* What the label says, when there is one. */
static bool label_count(const struct labels *l, struct str name, uint64_t *v, struct err *err)
{
    struct str text = labels_get(l, name);
    return text.n == 0 || units_parse_u64(text, v) || bad_label(name, text, "a whole number of at least 0", err);
}

/* Go's strconv.ParseBool, not YAML's words. */
static bool label_flag(const struct labels *l, struct str name, bool *v, struct err *err)
{
    static const char *const words[] = {"1", "t", "T", "true",  "True",  "TRUE",
                                        "0", "f", "F", "false", "False", "FALSE"};
    const size_t n = sizeof words / sizeof *words;
    struct str text = labels_get(l, name);
    size_t i = 0;
    while (i < n && !str_eq_c(text, words[i]))
        i++;
    if (i < n)
        *v = i < n / 2;
    return text.n == 0 || i < n || bad_label(name, text, "true or false", err);
}

/* vmagent's sizes; what is not above 0 is ignored, as there. */
static bool label_size(const struct labels *l, struct str name, uint64_t *v, struct err *err)
{
    struct str text = labels_get(l, name);
    uint64_t size = 0;
    bool negative = str_starts(text, STR("-"));
    if (text.n > 0 && !units_parse_size_vm(str_skip(text, negative), &size))
        return bad_label(name, text, "a size", err);
    *v = size > 0 && !negative ? size : *v;
    return true;
}

/* A target's own labels may change what its job says. */
static bool read_settings(const struct config_job *job, const struct labels *l, struct target_settings *s,
                          struct err *err)
{
    bool ignored;
    *s = target_settings_of(job);
    return label_count(l, STR("__sample_limit__"), &s->sample_limit, err) &&
           label_count(l, STR("__label_limit__"), &s->label_limit, err) &&
           label_count(l, STR("__series_limit__"), &s->series_limit, err) &&
           label_size(l, STR("__max_scrape_size__"), &s->body_size_limit, err) &&
           label_flag(l, STR("__stream_parse__"), &ignored, err) &&
           label_flag(l, STR("__scrape_native_histograms__"), &s->native_histograms, err) &&
           label_flag(l, STR("__always_scrape_classic_histograms__"), &s->classic_histograms_too, err) &&
           label_flag(l, STR("__convert_classic_histograms_to_nhcb__"), &s->nhcb, err);
}

/* ---- building ---- */

struct target_settings target_settings_of(const struct config_job *job)
{
    return (struct target_settings){
        .sample_limit = job->sample_limit,
        .label_limit = job->label_limit,
        .series_limit = job->series_limit,
        .body_size_limit = job->body_size_limit,
        .native_histograms = job->scrape_native_histograms,
        .classic_histograms_too = job->always_scrape_classic_histograms,
        .nhcb = job->convert_classic_histograms_to_nhcb,
    };
}

static void set_identity(struct target *t, const struct config_job *job, const struct labels *public)
{
    uint64_t place[] = {hash_bytes(t->url, strlen(t->url)), labels_hash(public)};
    t->phase = hash_bytes(place, sizeof place);
    uint64_t socket = t->unix_socket ? hash_bytes(t->unix_socket, strlen(t->unix_socket)) : 0;
    const struct target_settings *s = &t->settings;
    uint64_t flags = (uint64_t)s->native_histograms | (uint64_t)s->classic_histograms_too << 1 | (uint64_t)s->nhcb << 2;
    uint64_t series[] = {t->phase, job->series_hash, socket, flags, s->label_limit};
    t->series_key = hash_bytes(series, sizeof series);
    uint64_t all[] = {t->series_key,  job->hash,       (uint64_t)t->interval_ms, (uint64_t)t->timeout_ms,
                      s->sample_limit, s->series_limit, s->body_size_limit};
    t->key = hash_bytes(all, sizeof all);
}

/* What a target is made from. */
struct material {
    const struct config_job *job;
    struct label_set *found, *defaults;
};

static struct target *build_kept(const struct material *m, const struct labels *after, struct err *err)
{
    const struct config_job *job = m->job;
    int64_t interval_ms, timeout_ms;
    struct target_settings settings;
    if (!check_address(after, err) || !check_timing(after, &interval_ms, &timeout_ms, err) ||
        !read_settings(job, after, &settings, err))
        return NULL;
    struct labels public;
    labels_init(&public, after->arena);
    struct target *t = NULL;
    if (keep_public(after, &public, err)) {
        struct buf url;
        buf_init(&url, TARGET_URL_MAX);
        target_url(job, after, &url);
        if (url.overflow) {
            err_set(err, "the URL is longer than %d bytes", TARGET_URL_MAX);
        } else {
            t = target_pack(str_of(job->job_name), m->found, m->defaults, &public, buf_str(&url),
                            labels_get(after, STR("__unix_socket__")));
            t->interval_ms = interval_ms;
            t->timeout_ms = timeout_ms;
            t->settings = settings;
            t->align_ms = job->scrape_align_interval_ms;
            t->offset_ms = job->scrape_offset_ms;
            set_identity(t, job, &public);
        }
        buf_free(&url);
    }
    labels_free(&public);
    return t;
}

static void note_drop(void *ctx, size_t index, int line, struct str text, const struct labels *after,
                      bool changed, bool kept)
{
    (void)line;
    (void)text;
    (void)after;
    (void)changed;
    if (!kept)
        *(size_t *)ctx = index;
}

static struct target *build_dropped(const struct material *m, const struct labels *before, struct labels *scratch)
{
    const struct config_job *job = m->job;
    struct labels none = {0};
    struct target *t = target_pack(str_of(job->job_name), m->found, m->defaults, &none, STR_NULL, STR_NULL);
    t->dropped = true;
    t->drop = TARGET_BY_RULE;
    /* Only now, because tracing renders each rule. */
    labels_copy(scratch, before);
    bool kept = relabel_apply_traced(job->relabel, scratch, note_drop, &t->dropped_by);
    (void)kept;
    t->interval_ms = job->scrape_interval_ms;
    t->timeout_ms = job->scrape_timeout_ms;
    t->phase = labels_hash(before);
    uint64_t all[] = {t->phase, job->hash};
    t->key = hash_bytes(all, sizeof all);
    return t;
}

struct target *target_build_shared(const struct config_job *job, struct label_set *found, struct label_set *defaults,
                                   struct err *err)
{
    const struct material m = {job, found, defaults};
    struct arena arena;
    struct labels before, after;
    arena_init(&arena);
    labels_init(&before, &arena);
    labels_init(&after, &arena);
    merge_discovered(found, defaults, &before);
    labels_copy(&after, &before);
    struct target *t = relabel_apply(job->relabel, &after) ? build_kept(&m, &after, err)
                                                           : build_dropped(&m, &before, &after);
    labels_free(&before);
    labels_free(&after);
    arena_free(&arena);
    return t;
}

struct target *target_build(const struct config_job *job, const struct labels *discovered, struct err *err)
{
    struct label_set *found = label_set_new(NULL, discovered), *defaults = target_defaults(job);
    struct target *t = target_build_shared(job, found, defaults, err);
    label_set_unref(found);
    label_set_unref(defaults);
    return t;
}

struct target *target_with_label(const struct target *t, struct str name, struct str value)
{
    struct arena arena;
    struct labels public;
    arena_init(&arena);
    labels_init(&public, &arena);
    for (size_t i = 0; i < t->labels_n; i++)
        labels_push(&public, t->labels[i].name, t->labels[i].value);
    labels_set(&public, name, value);
    labels_sort(&public);
    struct target *made = target_pack(t->job, t->found, t->defaults, &public, str_of(t->url),
                                      t->unix_socket ? str_of(t->unix_socket) : STR_NULL);
    made->interval_ms = t->interval_ms;
    made->timeout_ms = t->timeout_ms;
    made->align_ms = t->align_ms;
    made->offset_ms = t->offset_ms;
    made->settings = t->settings;
    made->phase = t->phase;
    uint64_t more[] = {t->key, hash_bytes(name.p, name.n), hash_bytes(value.p ? value.p : "", value.n)};
    uint64_t series[] = {t->series_key, more[1], more[2]};
    made->key = hash_bytes(more, sizeof more);
    made->series_key = hash_bytes(series, sizeof series);
    labels_free(&public);
    arena_free(&arena);
    return made;
}

struct target *target_ref(struct target *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void target_unref(struct target *t)
{
    if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    label_set_unref(t->found);
    label_set_unref(t->defaults);
    free(t);
}
