/* SPDX-License-Identifier: Apache-2.0 */
/* page_relabel: what each rule of a job does to a set of labels, pasted or picked from a list. */
#include "page.h"

#include <jansson.h>

#include "base/err.h"

#define LABELS_MAX 256 /* more nobody pastes; and the page stays one that a browser shows */

struct steps {
    struct buf *out;
    struct labels before; /* as the rule before it left them */
    bool any;
};

/* ---- the labels given ---- */

static bool read_json(struct str text, struct labels *l, struct err *err)
{
    json_error_t why;
    const char *name;
    json_t *value, *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    bool good = json_is_object(root) || err_set(err, "neither {name=\"value\", ...} nor a JSON object");
    json_object_foreach(root, name, value) {
        if (good && !json_is_string(value))
            good = err_set(err, "the value of %s is no text", name);
        else if (good)
            labels_set(l, arena_str(l->arena, str_of(name)),
                       arena_str(l->arena, str_make(json_string_value(value), json_string_length(value))));
    }
    json_decref(root);
    return good;
}

/* {a="b"} as PromQL has it, or {"a": "b"}. */
static bool read_labels(const char *given, struct labels *l, struct err *err)
{
    struct str text = str_trim(str_of(given));
    struct err promql = {0}, json = {0};
    if (labels_parse(l, text, &promql))
        return l->n <= LABELS_MAX || err_set(err, "more than %d labels", LABELS_MAX);
    labels_clear(l);
    if (read_json(text, l, &json))
        return l->n <= LABELS_MAX || err_set(err, "more than %d labels", LABELS_MAX);
    return err_set(err, "%s", promql.msg);
}

/* ---- steps ---- */

static void add_chip(struct buf *out, const char *css, struct str name, struct str value)
{
    buf_addf(out, "<span class=\"chip %s\"><i>", css);
    buf_add_html(out, name);
    buf_add_c(out, "=</i>");
    buf_add_html(out, value);
    buf_add_c(out, "</span>");
}

/* What came, went, or has another value. Empty labels are none. */
static void add_difference(struct buf *out, const struct labels *before, const struct labels *after)
{
    for (size_t i = 0; i < before->n; i++) {
        struct str now = labels_get(after, before->v[i].name);
        if (before->v[i].value.n > 0 && !str_eq(now, before->v[i].value))
            add_chip(out, "del", before->v[i].name, before->v[i].value);
    }
    for (size_t i = 0; i < after->n; i++) {
        struct str was = labels_get(before, after->v[i].name);
        if (after->v[i].value.n > 0 && !str_eq(was, after->v[i].value))
            add_chip(out, "add", after->v[i].name, after->v[i].value);
    }
}

static void on_step(void *ctx, size_t index, int line, struct str text, const struct labels *after, bool changed,
                    bool kept)
{
    struct steps *s = ctx;
    struct buf *out = s->out;
    s->any = true;
    buf_addf(out, "<li><b>%zu</b> ", index + 1);
    page_badge(out, !kept ? "bad" : changed ? "warn" : "dim", !kept ? "drops it" : changed ? "changes" : "no effect");
    if (line > 0)
        buf_addf(out, " <span class=\"dim\">line %d</span>", line);
    buf_add_c(out, "<div><span class=\"chip\">");
    buf_add_html(out, text);
    buf_add_c(out, "</span></div>");
    if (kept && changed) {
        buf_add_c(out, "<div>");
        add_difference(out, &s->before, after);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</li>\n");
    labels_copy(&s->before, after);
}

static void add_result(struct buf *out, struct labels *l, bool kept)
{
    buf_add_c(out, "<h2>In the end</h2>\n<p id=\"result\">");
    if (kept) {
        labels_drop_empty(l);
        labels_sort(l);
        page_labels(out, l->v, l->n, NULL);
    } else {
        buf_add_c(out, "It is dropped.");
    }
    buf_add_c(out, "</p>\n");
}

static void run_rules(struct buf *out, const struct relabel_rules *rules, struct labels *l)
{
    struct arena arena;
    struct steps steps = {.out = out};
    arena_init(&arena);
    labels_init(&steps.before, &arena);
    labels_copy(&steps.before, l);
    buf_add_c(out, "<h2>Rule by rule</h2>\n<ol class=\"steps\">\n");
    bool kept = !rules || relabel_apply_traced(rules, l, on_step, &steps);
    if (!steps.any)
        buf_add_c(out, "<li>This job has no such rules.</li>\n");
    buf_add_c(out, "</ol>\n");
    add_result(out, l, kept);
    labels_free(&steps.before);
    arena_free(&arena);
}

/* ---- the page ---- */

static void add_form(struct buf *out, const struct web_view *v, const struct page_relabel *given)
{
    page_form_begin(out, "/relabel");
    page_select_job(out, v, given->job);
    page_select(out, "kind", "Rules");
    page_option(out, "target", "relabel_configs (of targets)", given->kind);
    page_option(out, "metric", "metric_relabel_configs (of series)", given->kind);
    page_select_end(out);
    buf_add_c(out, "<label class=\"full\">Labels, as {name=\"value\", …} or JSON "
                   "<textarea name=\"labels\" rows=\"5\">\n");
    page_text(out, given->labels);
    buf_add_c(out, "</textarea></label><button>Show each step</button></form>\n");
}

static const struct config_job *job_named(const struct web_view *v, const char *name)
{
    for (size_t i = 0; v->config && i < v->config->jobs_n; i++) {
        if (strcmp(v->config->jobs[i].job_name, name) == 0)
            return &v->config->jobs[i];
    }
    return NULL;
}

static void add_answer(struct buf *out, const struct web_view *v, const struct page_relabel *given)
{
    struct arena arena;
    struct labels l;
    struct err err = {0};
    const struct config_job *job = job_named(v, given->job);
    arena_init(&arena);
    labels_init(&l, &arena);
    if (!job)
        err_set(&err, given->job[0] ? "there is no such job" : "choose a job");
    else if (read_labels(given->labels, &l, &err))
        run_rules(out, strcmp(given->kind, "metric") == 0 ? job->metric_relabel : job->relabel, &l);
    if (err_is(&err)) {
        buf_add_c(out, "<p class=\"note\" role=\"alert\">");
        page_text(out, err.msg);
        buf_add_c(out, "</p>\n");
    }
    labels_free(&l);
    arena_free(&arena);
}

void page_relabel(struct buf *out, const struct web_view *view, const struct page_relabel *given)
{
    page_begin(out, "Relabel", "/relabel");
    buf_add_c(out, "<p class=\"dim\">What each rule of a job does to a set of labels. Paste one, or pick a target "
                   "under <a href=\"/service-discovery\">Discovery</a>. Nothing is changed by trying.</p>\n");
    add_form(out, view, given);
    if (given->labels[0])
        add_answer(out, view, given);
    page_end(out, view);
}

void page_relabel_link(struct buf *out, const struct target *t, const struct labels *found)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    labels_format(found, &text);
    buf_add_c(out, " <a class=\"dim\" href=\"/relabel?kind=target&amp;job=");
    page_url_escaped(out, t->job);
    buf_add_c(out, "&amp;labels=");
    page_url_escaped(out, buf_str(&text));
    buf_add_c(out, "\">step by step</a>");
    buf_free(&text);
}
