/* SPDX-License-Identifier: Apache-2.0 */
/* find_names: names that must be quoted in queries, and labels that the target has as well. Each name is told once. */
#include "find.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "map.h"

#include <stdlib.h>

#define NAMES_MAX ((size_t)1 << 14)
#define METRIC 1u
#define LABEL 2u
#define CLASH 4u

struct names {
    struct findings *to;
    const struct scrape_subject *subject;
    struct map told; /* hash of a name -> what was told of it */
};

/* True the first time. */
static bool is_news(struct names *n, struct str name, unsigned what)
{
    uint64_t key = hash_bytes(name.p, name.n);
    if (n->told.n >= NAMES_MAX && !map_find(&n->told, key)) {
        findings_cut(n->to, "names to be quoted after the first %zu", NAMES_MAX);
        return false;
    }
    uint64_t *told = map_at(&n->told, key);
    bool news = !(*told & what);
    *told |= what;
    return news;
}

static bool has_label(const struct target *t, struct str name)
{
    for (size_t i = 0; i < t->labels_n; i++) {
        if (str_eq(t->labels[i].name, name))
            return true;
    }
    return false;
}

/* The name as queries want it: alone in braces, quoted. */
static void tell_quoted(struct names *n, const struct survey_sample *s, struct str name, bool label)
{
    struct finding_at at = {.line = s->raw->line, .subject = name};
    struct labels l;
    struct buf text;
    labels_init(&l, NULL);
    buf_init(&text, SIZE_MAX);
    labels_push(&l, label ? name : STR("__name__"), label ? STR("...") : name);
    labels_format(&l, &text);
    findings_add(n->to, FINDING_QUOTED_NAME, &at, "a %s, in queries %s", label ? "label" : "metric", buf_c(&text));
    buf_free(&text);
    labels_free(&l);
}

static void check_label(struct names *n, const struct survey_sample *s, struct str name)
{
    struct finding_at at = {.line = s->raw->line, .subject = name};
    if (!labels_is_legacy_name(name) && is_news(n, name, LABEL))
        tell_quoted(n, s, name, true);
    const struct target *t = n->subject->target;
    if (!t || !has_label(t, name) || !is_news(n, name, CLASH))
        return;
    if (n->subject->job->honor_labels)
        findings_add(n->to, FINDING_LABEL_CLASH, &at, "replaces the target's %.*s (honor_labels)", STR_ARG(name));
    else
        findings_add(n->to, FINDING_LABEL_CLASH, &at, "becomes exported_%.*s", STR_ARG(name));
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct names *n = ctx;
    if (!labels_is_legacy_metric(s->name) && is_news(n, s->name, METRIC))
        tell_quoted(n, s, s->name, false);
    for (size_t i = 0; i < s->labels->n; i++) {
        if (!str_eq_c(s->labels->v[i].name, "__name__"))
            check_label(n, s, s->labels->v[i].name);
    }
}

static void on_begin(void *ctx, enum exposition_format format)
{
    struct names *n = ctx;
    (void)format;
    map_free(&n->told);
}

static void free_names(void *ctx)
{
    struct names *n = ctx;
    map_free(&n->told);
    free(n);
}

struct find_check find_names(const struct find_for *to)
{
    struct names *n = xcalloc(1, sizeof *n);
    n->to = to->findings;
    n->subject = to->subject;
    return (struct find_check){.watcher = {on_begin, on_sample, NULL, NULL, n}, .free = free_names};
}
