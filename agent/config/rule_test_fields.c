/* SPDX-License-Identifier: Apache-2.0 */
/* rule_test_fields: the file that `obsagent test` reads. */
#include "rule_tests.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "load.h"

/* ---- what is expected ---- */

static void take_labels(struct rule_test_outcome *out, const struct labels *l)
{
    out->expect = RULE_TEST_LABELS;
    out->labels = xcalloc(l->n + 1, sizeof *out->labels);
    for (size_t i = 0; i < l->n; i++)
        out->labels[out->labels_n++] = (struct label){str_make(str_dup(l->v[i].name), l->v[i].name.n),
                                                      str_make(str_dup(l->v[i].value), l->v[i].value.n)};
}

/* One of the words, or a series. */
static void read_text(struct load *l, const struct node *value, struct rule_test_outcome *out)
{
    static const char words[] = "dropped|kept|unchanged";
    struct err err = {0};
    struct labels labels;
    struct str text;
    if (!node_text(l, value, "expect", &text))
        return;
    int word = words_index(words, text);
    if (word >= 0) {
        out->expect = RULE_TEST_DROPPED + (enum rule_test_expect)word;
        return;
    }
    labels_init(&labels, &l->arena);
    if (labels_parse(&labels, text, &err)) {
        labels_drop_empty(&labels);
        labels_sort(&labels);
        take_labels(out, &labels);
    } else {
        problem_add(&l->problems, value->at, "expect: \"%.*s\" is neither dropped, kept, unchanged nor a series: %s",
                    STR_ARG(text), err.msg);
    }
    labels_free(&labels);
}

static void read_outcome(struct load *l, const struct node *value, struct rule_test_outcome *out)
{
    struct label *map = NULL;
    size_t n = 0;
    out->line = value->at.line;
    if (value->kind != NODE_MAP) {
        read_text(l, value, out);
        return;
    }
    struct labels labels;
    labels_init(&labels, &l->arena);
    load_labels(l, value, &map, &n);
    for (size_t i = 0; i < n; i++)
        labels_push(&labels, map[i].name, map[i].value);
    labels_drop_empty(&labels);
    take_labels(out, &labels);
    labels_free(&labels);
    config_labels_free(map, n);
}

static void load_expect(struct load *l, const struct node *value, void *to)
{
    struct rule_test *t = to;
    bool list = value->kind == NODE_LIST;
    t->outcomes_n = list ? value->n : 1;
    t->outcomes = xcalloc(t->outcomes_n + 1, sizeof *t->outcomes);
    for (size_t i = 0; i < t->outcomes_n; i++)
        read_outcome(l, list ? value->items[i] : value, &t->outcomes[i]);
}

/* ---- what is given ---- */

static void load_series(struct load *l, const struct node *value, void *to)
{
    struct rule_test *t = to;
    bool list = value->kind == NODE_LIST;
    size_t n = list ? value->n : 1;
    t->series = xcalloc(n + 1, sizeof *t->series);
    for (size_t i = 0; i < n; i++) {
        const struct node *item = list ? value->items[i] : value;
        struct labels labels;
        struct str text;
        struct err err = {0};
        labels_init(&labels, &l->arena);
        if (node_text(l, item, "series", &text)) {
            if (!labels_parse(&labels, text, &err))
                problem_add(&l->problems, item->at, "series: \"%.*s\": %s", STR_ARG(text), err.msg);
            t->series[t->series_n++] = str_dup(text);
        }
        labels_free(&labels);
    }
}

static void load_target(struct load *l, const struct node *value, void *to)
{
    struct rule_test *t = to;
    t->has_target = true;
    load_labels(l, value, &t->target, &t->target_n);
}

static void load_has(struct load *l, const struct node *value, void *to)
{
    struct rule_test *t = to;
    load_labels(l, value, &t->has, &t->has_n);
}

static void load_own_rules(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null relabeling rule", &((struct rule_test *)to)->rules);
}

static void load_file_rules(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null relabeling rule", &((struct rule_tests *)to)->rules);
}

/* ---- a test ---- */

static void check_test(struct load *l, const struct node *node, void *to)
{
    struct rule_test *t = to;
    t->line = node->at.line;
    if (!t->has_target && !t->series_n)
        problem_add(&l->problems, node->at, "a test needs series, a target, or both");
    if (!t->outcomes_n && !t->has_n)
        problem_add(&l->problems, node->at, "a test needs expect, has, or both");
    size_t cases = t->series_n ? t->series_n : 1;
    if (t->outcomes_n > 1 && t->outcomes_n != cases)
        problem_add(&l->problems, field_place(node, "expect"), "%zu outcomes are expected of %zu series", t->outcomes_n,
                    cases);
    if (t->job && t->rules)
        problem_add(&l->problems, field_place(node, "rules"), "rules go without job, which has its own");
    if (t->has_target && t->series_n && !t->job)
        problem_add(&l->problems, field_place(node, "target"),
                    "a target gives its labels to series by the rules of a job, which is missing");
    if (t->remote && !t->series_n)
        problem_add(&l->problems, field_place(node, "remote"), "what is sent are series, which are missing");
}

#define AT(member) .at = offsetof(struct rule_test, member)

static const struct field test_fields[] = {
    {"name", FIELD_TEXT, AT(name), .help = "what is being tested, for the report"},
    {"job", FIELD_TEXT, AT(job),
     .help = "whose rules: the target's labels come of its relabel_configs and defaults, the series of "
             "metric_relabel_configs, as in the agent"},
    {"rules", FIELD_OWN, .load = load_own_rules, .section = &section_relabel,
     .help = "instead of a job; nothing but these rules is applied to the labels given"},
    {"target", FIELD_OWN, .load = load_target,
     .help = "labels as discovery finds them; with series: of the target that exposes them"},
    {"series", FIELD_OWN, .load = load_series, .help = "name{a=\"b\"}, or a list of them"},
    {"remote", FIELD_TEXT, AT(remote), .help = "the series are looked at as this endpoint is sent them: with external "
                                               "labels, after write_relabel_configs"},
    {"expect", FIELD_OWN, .load = load_expect,
     .help = "dropped, kept, unchanged, a series, or a mapping of all its labels; a list: one for each series"},
    {"has", FIELD_OWN, .load = load_has,
     .help = "labels that must be among those that come out; an empty value: no such label"},
};

const struct section section_rule_test = {
    .name = "rule_test",
    .help = "one test of a file of rule_tests",
    FIELDS(test_fields),
    .check = check_test,
};

/* ---- the file ---- */

static void load_tests(struct load *l, const struct node *value, void *to)
{
    struct rule_tests *all = to;
    if (!node_is_list(l, value, "tests"))
        return;
    all->v = xcalloc(value->n + 1, sizeof *all->v);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = node_map_at(l, value, i, "rule_test", "empty or null test");
        if (item)
            section_load(l, &section_rule_test, item, &all->v[all->n++]);
    }
}

static const struct field file_fields[] = {
    {"config", FIELD_PATH, .at = offsetof(struct rule_tests, config_file),
     .help = "the configuration that job and remote are of"},
    {"rules", FIELD_OWN, .load = load_file_rules, .section = &section_relabel,
     .help = "of tests that have none and name neither job nor remote"},
    {"tests", FIELD_OWN, .load = load_tests, .section = &section_rule_test, .help = "what is given, what is expected"},
};

const struct section section_rule_tests = {
    .name = "rule_tests",
    .help = "a file for obsagent test",
    FIELDS(file_fields),
};

static bool has_job(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->jobs_n; i++) {
        if (strcmp(c->jobs[i].job_name, name) == 0)
            return true;
    }
    return false;
}

static bool has_remote(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->remotes_n; i++) {
        if (strcmp(c->remotes[i].name, name) == 0)
            return true;
    }
    return false;
}

static void check_names(struct load *l, const struct node *node, const struct rule_tests *all,
                        const struct rule_test *t)
{
    const char *file = all->config_file && all->config_file[0] ? all->config_file : NULL;
    if ((t->job || t->remote) && !file)
        problem_add(&l->problems, node->at, "job and remote need a config at the top of the file");
    if (t->job && all->config && !has_job(all->config, t->job))
        problem_add(&l->problems, field_place(node, "job"), "no job \"%s\" in %s", t->job, file);
    if (t->remote && all->config && !has_remote(all->config, t->remote))
        problem_add(&l->problems, field_place(node, "remote"), "no remote_write \"%s\" in %s", t->remote, file);
}

/* After all of the file: its configuration, and what tests name of it. */
static void read_tests(struct load *l, const struct node *root, void *to, struct buf *errors)
{
    struct rule_tests *all = to;
    section_defaults(l, &section_rule_tests, all);
    section_load(l, &section_rule_tests, root, all);
    const struct node *tests = node_get(root, "tests");
    if (!tests || tests->kind != NODE_LIST || !tests->n)
        problem_add(&l->problems, root->at, "no tests");
    if (all->config_file && all->config_file[0])
        all->config = config_load(all->config_file, NULL, false, errors);
    for (size_t i = 0; tests && tests->kind == NODE_LIST && i < tests->n && i < all->n; i++)
        check_names(l, tests->items[i], all, &all->v[i]);
}

bool rule_tests_load(const char *path, struct rule_tests *out, struct buf *errors)
{
    *out = (struct rule_tests){0};
    if (load_part(path, read_tests, out, errors))
        return true;
    rule_tests_free(out);
    return false;
}

static void test_free(struct rule_test *t)
{
    free(t->name);
    free(t->job);
    free(t->remote);
    relabel_free(t->rules);
    config_labels_free(t->target, t->target_n);
    config_labels_free(t->has, t->has_n);
    for (size_t i = 0; i < t->series_n; i++)
        free(t->series[i]);
    for (size_t i = 0; i < t->outcomes_n; i++)
        config_labels_free(t->outcomes[i].labels, t->outcomes[i].labels_n);
    free(t->series);
    free(t->outcomes);
}

void rule_tests_free(struct rule_tests *t)
{
    for (size_t i = 0; i < t->n; i++)
        test_free(&t->v[i]);
    free(t->v);
    free(t->config_file);
    relabel_free(t->rules);
    if (t->config)
        config_unref(t->config);
    *t = (struct rule_tests){0};
}
