/* SPDX-License-Identifier: Apache-2.0 */
/* api_relabel: what each rule of a job would do to a set of discovered labels. */
#include "api.h"

#include <jansson.h>
#include <stdlib.h>

struct steps {
    struct buf *out;
    const struct relabel_rules *rules;
    size_t n; /* written */
};

static int by_name(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

/* One step. A rule may leave empty labels, which are none. */
static void add_step(struct steps *s, const struct labels *after, bool kept)
{
    struct labels shown;
    labels_init(&shown, NULL);
    for (size_t i = 0; kept && i < after->n; i++) {
        if (after->v[i].value.n)
            labels_push(&shown, after->v[i].name, after->v[i].value);
    }
    if (shown.n)
        qsort(shown.v, shown.n, sizeof *shown.v, by_name);
    buf_add_c(s->out, s->n ? ",{\"rule\":" : "{\"rule\":");
    relabel_json(s->rules, s->n++, s->out);
    buf_add_c(s->out, ",\"output\":");
    api_labels(s->out, shown.v, shown.n);
    buf_addf(s->out, ",\"keep\":%s}", kept ? "true" : "false");
    labels_free(&shown);
}

static void on_step(void *ctx, size_t index, int line, struct str text, const struct labels *after, bool changed,
                    bool kept)
{
    (void)index;
    (void)line;
    (void)text;
    (void)changed;
    add_step(ctx, after, kept);
}

/* Views into `root`. */
static bool read_labels(json_t *root, struct labels *l, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(root))
        return err_set(err, "error parsing labels: an object of names and values is needed");
    json_object_foreach(root, name, value)
    {
        if (!json_is_string(value))
            return err_set(err, "error parsing labels: the value of \"%s\" is not a string", name);
        labels_set(l, str_of(name), str_make(json_string_value(value), json_string_length(value)));
    }
    return true;
}

static void add_steps(struct buf *out, const struct relabel_rules *rules, struct labels *l)
{
    struct steps steps = {.out = out, .rules = rules};
    api_begin(out);
    buf_add_c(out, "{\"steps\":[");
    bool kept = relabel_apply_traced(rules, l, on_step, &steps);
    while (!kept && steps.n < relabel_count(rules)) /* behind the rule that dropped it */
        add_step(&steps, l, false);
    buf_add_c(out, "]}");
    api_end(out);
}

static const struct relabel_rules *rules_of(const struct web_view *view, const char *pool)
{
    for (size_t i = 0; view->config && i < view->config->jobs_n; i++) {
        if (strcmp(view->config->jobs[i].job_name, pool) == 0)
            return view->config->jobs[i].relabel;
    }
    return NULL;
}

bool api_relabel_steps(struct buf *out, const struct web_view *view, const char *pool, const char *labels,
                       struct err *err)
{
    if (!pool[0])
        return err_set(err, "no scrapePool parameter provided");
    if (!labels[0])
        return err_set(err, "no labels parameter provided");
    const struct relabel_rules *rules = rules_of(view, pool);
    if (!rules)
        return err_set(err, "scrape pool \"%s\" not found", pool);
    json_error_t why;
    json_t *root = json_loads(labels, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return err_set(err, "error parsing labels: %s at column %d", why.text, why.column);
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    bool good = read_labels(root, &l, err);
    if (good)
        add_steps(out, rules, &l);
    labels_free(&l);
    arena_free(&arena);
    json_decref(root);
    return good;
}
