/* SPDX-License-Identifier: Apache-2.0 */
/* api_metadata: what targets say of their metrics: by target, written out as it comes, and by metric, where the same
   said by many targets is one entry. */
#include "api.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/units.h"

#include <stdlib.h>

/* Something said of a metric; texts live in the arena. */
struct saying {
    struct str metric, help, unit;
    enum block_metric_type type;
    uint64_t hash;
};

struct api_metadata {
    struct api_metadata_query query;
    struct relabel_rules *match; /* one rule that keeps the targets asked for; NULL = all */
    struct buf *out;
    size_t n; /* entries written */
    const struct target *target; /* of the latest entry */
    bool wanted;                 /* whether that is asked for */

    struct arena arena;
    struct saying *sayings; /* each once */
    size_t sayings_n, sayings_cap;
    uint32_t *table; /* numbers of sayings + 1 by hash */
    size_t table_cap;
};

/* ---- the question ---- */

static bool read_limit(const char *text, const char *name, int64_t *limit, struct err *err)
{
    *limit = -1;
    return !text[0] || units_parse_i64(str_of(text), limit) || err_set(err, "%s must be a number", name);
}

static struct relabel_rules *compile_match(const char *match, struct err *err)
{
    struct str selector = str_of(match);
    struct relabel_source rule = {
        .given = RELABEL_ACTION | RELABEL_IF, .action = STR("keep"), .ifs = &selector, .ifs_n = 1};
    struct err why = {0};
    size_t bad_rule;
    enum relabel_field bad_field;
    struct relabel_rules *rules = relabel_compile(&rule, 1, &why, &bad_rule, &bad_field);
    if (!rules)
        err_set(err, "invalid parameter \"match_target\": %s", why.msg);
    return rules;
}

struct api_metadata *api_metadata_new(const struct api_metadata_query *query, struct buf *out, struct err *err)
{
    struct relabel_rules *match = NULL;
    if (query->match_target[0] && !(match = compile_match(query->match_target, err)))
        return NULL;
    struct api_metadata *m = xcalloc(1, sizeof *m);
    m->query = *query;
    m->match = match;
    m->out = out;
    arena_init(&m->arena);
    return m;
}

bool api_metadata_limits(struct api_metadata_query *query, const char *limit, const char *per_metric, struct err *err)
{
    return read_limit(limit, "limit", &query->limit, err) &&
           read_limit(per_metric, "limit_per_metric", &query->limit_per_metric, err);
}

void api_metadata_free(struct api_metadata *m)
{
    relabel_free(m->match);
    arena_free(&m->arena);
    free(m->sayings);
    free(m->table);
    free(m);
}

/* ---- by target ---- */

static void add_key(struct buf *out, const char *key, struct str value)
{
    buf_addf(out, "\"%s\":", key);
    buf_add_json(out, value);
}

static void add_entry(struct buf *out, struct str help, struct str unit, enum block_metric_type type)
{
    static const char *const TYPES[] = {
        [BLOCK_UNSPECIFIED] = "unknown", [BLOCK_COUNTER] = "counter", [BLOCK_GAUGE] = "gauge",
        [BLOCK_HISTOGRAM] = "histogram", [BLOCK_GAUGEHISTOGRAM] = "gaugehistogram", [BLOCK_SUMMARY] = "summary",
        [BLOCK_INFO] = "info", [BLOCK_STATESET] = "stateset"};
    add_key(out, "type", str_of(TYPES[type]));
    buf_add_char(out, ',');
    add_key(out, "help", help);
    buf_add_char(out, ',');
    add_key(out, "unit", unit);
}

static bool target_matches(const struct api_metadata *m, const struct target *t)
{
    if (!m->match)
        return true;
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    for (size_t i = 0; i < t->labels_n; i++)
        labels_push(&l, t->labels[i].name, t->labels[i].value);
    bool yes = relabel_apply(m->match, &l);
    labels_free(&l);
    arena_free(&arena);
    return yes;
}

void api_metadata_by_target(void *ctx, const struct scrape_metadata *meta)
{
    struct api_metadata *m = ctx;
    const struct target *t = meta->target;
    if (t != m->target) { /* as in Prometheus, the limit ends the list between targets only */
        m->target = t;
        m->wanted = (m->query.limit < 0 || m->n < (size_t)m->query.limit) && target_matches(m, t);
    }
    if (!m->wanted || (m->query.metric[0] && !str_eq_c(meta->metric, m->query.metric)))
        return;
    buf_add_c(m->out, m->n++ ? ",{\"target\":" : "{\"target\":");
    api_labels(m->out, t->labels, t->labels_n);
    buf_add_char(m->out, ',');
    if (!m->query.metric[0]) {
        add_key(m->out, "metric", meta->metric);
        buf_add_char(m->out, ',');
    }
    add_entry(m->out, meta->help, meta->unit, meta->type);
    buf_add_char(m->out, '}');
}

/* ---- by metric ---- */

static void table_put(struct api_metadata *m, uint32_t number)
{
    size_t i = (size_t)m->sayings[number].hash & (m->table_cap - 1);
    while (m->table[i])
        i = (i + 1) & (m->table_cap - 1);
    m->table[i] = number + 1;
}

static void table_grow(struct api_metadata *m)
{
    if (m->sayings_n * 2 < m->table_cap)
        return;
    free(m->table);
    m->table_cap = m->table_cap ? m->table_cap * 2 : 256;
    m->table = xcalloc(m->table_cap, sizeof *m->table);
    for (size_t i = 0; i < m->sayings_n; i++)
        table_put(m, (uint32_t)i);
}

static bool is_known(const struct api_metadata *m, const struct saying *s)
{
    size_t i = (size_t)s->hash & (m->table_cap - 1);
    for (; m->table[i]; i = (i + 1) & (m->table_cap - 1)) {
        const struct saying *other = &m->sayings[m->table[i] - 1];
        if (other->hash == s->hash && other->type == s->type && str_eq(other->metric, s->metric) &&
            str_eq(other->help, s->help) && str_eq(other->unit, s->unit))
            return true;
    }
    return false;
}

void api_metadata_by_metric(void *ctx, const struct scrape_metadata *meta)
{
    struct api_metadata *m = ctx;
    struct saying s = {meta->metric, meta->help, meta->unit, meta->type, 0};
    if (m->query.metric[0] && !str_eq_c(meta->metric, m->query.metric))
        return;
    s.hash = hash_more(hash_more(hash_more((uint64_t)s.type, s.metric), s.help), s.unit);
    table_grow(m);
    if (is_known(m, &s))
        return;
    s.metric = arena_str(&m->arena, s.metric);
    s.help = arena_str(&m->arena, s.help);
    s.unit = arena_str(&m->arena, s.unit);
    m->sayings = xgrow(m->sayings, &m->sayings_cap, m->sayings_n + 1, sizeof *m->sayings);
    m->sayings[m->sayings_n] = s;
    table_put(m, (uint32_t)m->sayings_n++);
}

/* Always the same order, whichever worker answered first. */
static int by_metric(const void *a, const void *b)
{
    const struct saying *x = a, *y = b;
    int r = str_cmp(x->metric, y->metric);
    if (r == 0)
        r = (x->type > y->type) - (x->type < y->type);
    if (r == 0)
        r = str_cmp(x->help, y->help);
    return r ? r : str_cmp(x->unit, y->unit);
}

static void add_metrics(struct api_metadata *m)
{
    const struct saying *s = m->sayings;
    int64_t metrics = 0, entries = 0, each = m->query.limit_per_metric > 0 ? m->query.limit_per_metric : INT64_MAX;
    if (m->sayings_n)
        qsort(m->sayings, m->sayings_n, sizeof *m->sayings, by_metric);
    for (size_t i = 0; i < m->sayings_n; i++) {
        bool first = i == 0 || !str_eq(s[i - 1].metric, s[i].metric);
        if (first) {
            if (m->query.limit >= 0 && metrics >= m->query.limit)
                break;
            buf_add_c(m->out, metrics++ ? "]," : "");
            buf_add_json(m->out, s[i].metric);
            buf_add_c(m->out, ":[");
            entries = 0;
        }
        if (entries >= each)
            continue;
        buf_add_c(m->out, entries++ ? ",{" : "{");
        add_entry(m->out, s[i].help, s[i].unit, s[i].type);
        buf_add_char(m->out, '}');
    }
    buf_add_c(m->out, metrics ? "]" : "");
}

/* ---- the answer ---- */

void api_metadata_begin(struct api_metadata *m, bool by_metric_name)
{
    api_begin(m->out);
    buf_add_char(m->out, by_metric_name ? '{' : '[');
}

void api_metadata_end(struct api_metadata *m, bool by_metric_name, bool complete)
{
    if (by_metric_name)
        add_metrics(m);
    buf_add_char(m->out, by_metric_name ? '}' : ']');
    if (!complete)
        buf_add_c(m->out, ",\"warnings\":[\"not all scrape workers answered in time: some metadata is missing\"]");
    api_end(m->out);
}
