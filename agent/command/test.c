/* SPDX-License-Identifier: Apache-2.0 */
/* test: tests of relabel rules from files, without a network: what is given goes the way that it goes in the agent, and
   what comes out is compared. */
#include "command.h"

#include "base/alloc.h"
#include "flags.h"
#include "junit.h"
#include "rule_tests.h"
#include "sent_labels.h"
#include "series_labels.h"
#include "steps.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)64 << 20)

enum came { CAME_LABELS, CAME_DROPPED, CAME_WRONG };

/* One series of a test, or its target, on its way. */
struct trial {
    const struct rule_tests *file;
    const struct rule_test *test;
    const struct sent_groups *groups;
    struct arena arena;
    struct labels given, labels;
    struct buf *told; /* the steps */
    enum came came;
    const char *why; /* it did not come out */
};

/* ---- the way ---- */

static struct steps steps_for(struct trial *t, const char *list)
{
    if (list)
        buf_addf(t->told, "  %s:\n", list);
    return (struct steps){.out = t->told, .indent = "    "};
}

static void set_dropped(struct trial *t, const char *why)
{
    t->came = CAME_DROPPED;
    t->why = why;
}

static void set_wrong(struct trial *t, const char *where, const struct err *err)
{
    t->came = CAME_WRONG;
    t->why = arena_printf(&t->arena, "%s%s", where, err->msg);
}

static const struct config_job *job_of(const struct trial *t)
{
    const struct config *c = t->file->config;
    for (size_t i = 0; t->test->job && i < c->jobs_n; i++) {
        if (strcmp(c->jobs[i].job_name, t->test->job) == 0)
            return &c->jobs[i];
    }
    return NULL;
}

static void nothing(void *ctx, const struct labels *l)
{
    (void)ctx;
    (void)l;
}

/* The target that the labels given make in the job, or NULL with what came of it instead. */
static struct target *make_target(struct trial *t, const struct config_job *job)
{
    struct err err = {0};
    struct labels found;
    labels_init(&found, &t->arena);
    for (size_t i = 0; i < t->test->target_n; i++)
        labels_push(&found, t->test->target[i].name, t->test->target[i].value);
    struct target *target = target_build(job, &found, &err);
    struct steps steps = steps_for(t, relabel_count(job->relabel) ? "relabel_configs" : NULL);
    if (target)
        target_discovered(target, (labels_clear(&found), &found));
    bool kept = relabel_apply_traced(job->relabel, &found, steps_rule, &steps);
    labels_free(&found);
    if (!target) {
        set_wrong(t, "no target: ", &err);
    } else if (target->dropped || !kept) {
        set_dropped(t, "the target is dropped");
        target_unref(target);
        target = NULL;
    }
    return target;
}

static void take_labels(struct labels *out, const struct label *labels, size_t n)
{
    labels_clear(out);
    for (size_t i = 0; i < n; i++)
        labels_push(out, labels[i].name, labels[i].value);
}

static void through_job(struct trial *t, const struct config_job *job, bool is_series)
{
    struct target *target = t->test->has_target ? make_target(t, job) : NULL;
    struct err err = {0};
    if (t->came == CAME_LABELS && !is_series) {
        struct labels copy;
        labels_init(&copy, &t->arena);
        take_labels(&copy, target->labels, target->labels_n);
        labels_copy(&t->labels, &copy);
        labels_free(&copy);
    } else if (t->came == CAME_LABELS) {
        struct steps steps = steps_for(t, relabel_count(job->metric_relabel) ? "metric_relabel_configs" : NULL);
        const struct series_trace trace = {nothing, steps_rule, &steps};
        const struct series_origin origin = {job, target ? target->labels : NULL, target ? target->labels_n : 0,
                                             target ? target->settings.label_limit : job->label_limit};
        enum series_made made = series_labels_make(&origin, BLOCK_UNSPECIFIED, &t->labels, &trace, &err);
        struct labels kept;
        labels_init(&kept, &t->arena);
        labels_copy(&kept, &t->labels); /* the target's labels go with it */
        labels_copy(&t->labels, &kept);
        labels_free(&kept);
        if (made == SERIES_IS_DROPPED)
            set_dropped(t, "the series is dropped");
        else if (made == SERIES_IS_WRONG)
            set_wrong(t, "the scrape fails: ", &err);
    }
    target_unref(target);
}

static void through_rules(struct trial *t, const struct relabel_rules *rules)
{
    struct steps steps = steps_for(t, "rules");
    if (!relabel_apply_traced(rules, &t->labels, steps_rule, &steps) || t->labels.n == 0)
        set_dropped(t, "dropped");
}

static void to_remote(struct trial *t)
{
    const struct config *c = t->file->config;
    size_t i = 0;
    while (strcmp(c->remotes[i].name, t->test->remote) != 0)
        i++;
    struct steps steps = steps_for(t, relabel_count(c->remotes[i].write_relabel) ? "write_relabel_configs" : NULL);
    const struct sent_trace trace = {nothing, steps_rule, &steps};
    labels_sort(&t->labels);
    enum sent_made made = sent_labels_make(t->groups, i, &t->labels, &trace);
    if (made == SENT_DROPPED)
        set_dropped(t, "the endpoint's rules drop it");
    else if (made == SENT_ELSEWHERE)
        set_dropped(t, "others of the endpoint's group are sent it");
}

static void go(struct trial *t, const char *series)
{
    struct err err = {0};
    const struct config_job *job = job_of(t);
    const struct relabel_rules *shared = job || t->test->remote ? NULL : t->file->rules;
    const struct relabel_rules *rules = t->test->rules ? t->test->rules : shared;
    t->came = CAME_LABELS;
    t->why = NULL;
    if (!series)
        take_labels(&t->labels, t->test->target, t->test->target_n);
    else if (!labels_parse(&t->labels, str_of(series), &err)) /* which was tried when the file was loaded */
        set_wrong(t, "", &err);
    labels_drop_empty(&t->labels);
    labels_copy(&t->given, &t->labels);
    if (job && t->came == CAME_LABELS)
        through_job(t, job, series != NULL);
    if (rules && t->came == CAME_LABELS)
        through_rules(t, rules);
    if (t->test->remote && t->came == CAME_LABELS)
        to_remote(t);
    labels_drop_empty(&t->labels);
    labels_sort(&t->labels);
}

/* ---- what was expected ---- */

static bool same(const struct labels *l, const struct label *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(labels_get(l, want[i].name), want[i].value))
            return false;
    }
    return l->n == n;
}

static bool is_met(const struct trial *t, const struct rule_test_outcome *o)
{
    switch (o->expect) {
    case RULE_TEST_DROPPED:
        return t->came == CAME_DROPPED;
    case RULE_TEST_KEPT:
        return t->came == CAME_LABELS;
    case RULE_TEST_UNCHANGED:
        return t->came == CAME_LABELS && same(&t->labels, t->given.v, t->given.n);
    case RULE_TEST_LABELS:
        return t->came == CAME_LABELS && same(&t->labels, o->labels, o->labels_n);
    }
    return false;
}

static bool has_all(const struct trial *t)
{
    for (size_t i = 0; i < t->test->has_n; i++) {
        if (!str_eq(labels_get(&t->labels, t->test->has[i].name), t->test->has[i].value))
            return false;
    }
    return t->came == CAME_LABELS || t->test->has_n == 0;
}

/* ---- what is said of a failure ---- */

static void add_label(struct buf *out, char sign, const struct label *l)
{
    buf_addf(out, "    %c %.*s=", sign, STR_ARG(l->name));
    buf_add_json(out, l->value);
    buf_add_char(out, '\n');
}

/* Label by label: - is missing, + is too much. */
static void add_difference(const struct trial *t, const struct label *want, size_t n, bool exactly, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        struct str got = labels_get(&t->labels, want[i].name);
        if (str_eq(got, want[i].value))
            continue;
        if (want[i].value.n)
            add_label(out, '-', &want[i]);
        if (got.n)
            add_label(out, '+', &(struct label){want[i].name, got});
    }
    for (size_t i = 0; exactly && i < t->labels.n; i++) {
        size_t k = 0;
        while (k < n && !str_eq(want[k].name, t->labels.v[i].name))
            k++;
        if (k == n)
            add_label(out, '+', &t->labels.v[i]);
    }
}

static void add_line(struct buf *out, const char *head, const struct labels *l)
{
    buf_add_c(out, head);
    steps_labels(out, l);
    buf_add_char(out, '\n');
}

static void add_expected(const struct trial *t, const struct rule_test_outcome *o, struct buf *out)
{
    struct labels want = {.v = o->labels, .n = o->labels_n};
    if (o->expect == RULE_TEST_LABELS)
        add_line(out, "  expected: ", &want);
    else if (o->expect == RULE_TEST_UNCHANGED)
        add_line(out, "  expected: ", &t->given);
    else
        buf_addf(out, "  expected: (%s)\n", o->expect == RULE_TEST_DROPPED ? "dropped" : "kept");
}

static void add_failure(const struct trial *t, const struct rule_test_outcome *o, struct buf *out)
{
    add_line(out, "  given:    ", &t->given);
    if (o)
        add_expected(t, o, out);
    if (t->came == CAME_LABELS)
        add_line(out, "  got:      ", &t->labels);
    else
        buf_addf(out, "  got:      (%s)\n", t->why);
    if (o && o->expect == RULE_TEST_LABELS && t->came == CAME_LABELS)
        add_difference(t, o->labels, o->labels_n, true, out);
    else if (o && o->expect == RULE_TEST_UNCHANGED && t->came == CAME_LABELS)
        add_difference(t, t->given.v, t->given.n, true, out);
    if (!has_all(t)) {
        buf_add_c(out, "  has not:\n");
        add_difference(t, t->test->has, t->test->has_n, false, out);
    }
    buf_add_str(out, buf_str(t->told));
}

/* One series of a test: true when all is as expected, else `out` says what is not. */
static bool try_one(struct trial *t, const char *series, const struct rule_test_outcome *o, struct buf *out)
{
    buf_clear(t->told);
    labels_clear(&t->labels);
    labels_clear(&t->given);
    arena_reset(&t->arena);
    go(t, series);
    bool good = (!o || is_met(t, o)) && has_all(t);
    if (!good)
        add_failure(t, o, out);
    return good;
}

/* ---- files ---- */

struct run {
    const char *path;
    bool verbose, want_junit;
    struct junit junit;
    size_t tests, failed;
};

static void report_test(struct run *run, const struct rule_test *test, struct buf *failure)
{
    char *name = test->name && test->name[0] ? xstrdup(test->name) : xasprintf("line %d", test->line);
    run->tests++;
    run->failed += failure->n > 0;
    if (run->want_junit)
        junit_case(&run->junit, name, failure->n ? buf_c(failure) : NULL);
    else if (failure->n)
        printf("%s:%d: %s: FAILED\n%s", run->path, test->line, name, buf_c(failure));
    else if (run->verbose)
        printf("%s:%d: %s: ok\n", run->path, test->line, name);
    free(name);
}

static void run_test(struct run *run, struct trial *t)
{
    const struct rule_test *test = t->test;
    struct buf failure;
    buf_init(&failure, TEXT_MAX);
    for (size_t i = 0; i < (test->series_n ? test->series_n : 1); i++) {
        const struct rule_test_outcome *o = test->outcomes_n > 1 ? &test->outcomes[i] : test->outcomes;
        (void)try_one(t, test->series_n ? test->series[i] : NULL, o, &failure);
    }
    report_test(run, test, &failure);
    buf_free(&failure);
}

static void run_tests(struct run *run, const struct rule_tests *file)
{
    struct buf told;
    struct trial t = {.file = file, .told = &told};
    struct sent_groups *groups = file->config ? sent_groups_new(file->config) : NULL;
    t.groups = groups;
    buf_init(&told, TEXT_MAX);
    arena_init(&t.arena);
    labels_init(&t.given, &t.arena);
    labels_init(&t.labels, &t.arena);
    for (size_t i = 0; i < file->n; i++) {
        t.test = &file->v[i];
        run_test(run, &t);
    }
    labels_free(&t.given);
    labels_free(&t.labels);
    arena_free(&t.arena);
    buf_free(&told);
    sent_groups_free(groups);
}

/* False when the file is bad or a test failed. */
static bool run_file(struct run *run, struct buf *xml)
{
    struct rule_tests file;
    struct buf errors;
    buf_init(&errors, TEXT_MAX);
    run->tests = run->failed = 0;
    bool good = rule_tests_load(run->path, &file, &errors);
    fputs(buf_c(&errors), stderr);
    junit_begin(&run->junit, run->path);
    if (good) {
        run_tests(run, &file);
        rule_tests_free(&file);
    } else if (run->want_junit) {
        junit_case(&run->junit, "the file", buf_c(&errors));
    }
    junit_end(&run->junit, 0, xml);
    if (good && !run->want_junit)
        printf("%s: %zu test%s, %zu failed\n", run->path, run->tests, run->tests == 1 ? "" : "s", run->failed);
    buf_free(&errors);
    return good && run->failed == 0;
}

int command_test(int argc, char **argv)
{
    struct run run = {0};
    const struct flag flags[] = {
        {"junit", FLAG_BOOL, &run.want_junit, NULL, "print the results as XML for a CI"},
        {"verbose", FLAG_BOOL, &run.verbose, NULL, "name the tests that passed, too"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent test FILE... [flags]",
        .text = "Runs tests of relabel rules: labels of a target or series go in, what comes out is compared, with a\n"
                "line for each label that differs and what each rule did. Nothing is asked of a network.\n"
                "\n"
                "  config: obsagent.yml\n"
                "  tests:\n"
                "  - {job: node, target: {__address__: 'a:9100'}, expect: {instance: 'a:9100', job: node}}\n"
                "  - {job: node, series: [go_goroutines, 'up'], expect: [dropped, kept]}\n"
                "  - {job: node, remote: main, series: 'up', has: {cluster: east}}\n"
                "\n"
                "obsagent help config rule_test has all fields. Exit code 1 when a test failed or a file is bad.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    struct buf xml;
    int files = 0;
    bool good = true;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &files);
    if (outcome == FLAGS_HELP)
        return 0;
    if (outcome == FLAGS_OK && files == 0)
        fprintf(stderr, "test needs a file of tests (obsagent test --help)\n");
    if (outcome == FLAGS_USAGE || files == 0)
        return 2;
    buf_init(&xml, TEXT_MAX);
    for (int i = 1; i <= files; i++) {
        run.path = argv[i];
        good = run_file(&run, &xml) && good;
    }
    if (run.want_junit)
        printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n%s</testsuites>\n", buf_c(&xml));
    buf_free(&xml);
    return good ? 0 : 1;
}
