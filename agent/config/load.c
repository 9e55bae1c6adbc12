/* SPDX-License-Identifier: Apache-2.0 */
/* load: a configuration from text to an immutable generation: read, include, finish, check, swap nothing. */
#include "load.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

/* Included files at most; a pattern that matches more is a mistake. */
#define INCLUDED_MAX 1000

/* Zeroes it and sets the defaults; makes the generation. */
static void load_init(struct load *l, const char *path, bool check_files)
{
    *l = (struct load){.check_files = check_files, .generation = generation_new(path)};
    arena_init(&l->arena);
    l->problems.arena = &l->arena;
    section_defaults(l, &section_global, &l->global);
}

/* Frees everything that was not moved out, but not the generation. */
static void load_free(struct load *l)
{
    for (size_t i = 0; i < l->jobs_n; i++)
        config_job_free(&l->jobs[i].job);
    for (size_t i = 0; i < l->remotes_n; i++)
        config_remote_free(&l->remotes[i].remote);
    relabel_free(l->global.relabel);
    relabel_free(l->global.metric_relabel);
    free(l->global.scrape_failure_log_file);
    config_labels_free(l->global.external_labels, l->global.external_labels_n);
    free(l->jobs);
    free(l->remotes);
    free(l->includes);
    problems_free(&l->problems);
    arena_free(&l->arena);
}

/* Makes the record of a document; relative paths in it are joined to the directory of `path`. */
static const struct yaml_file *load_open(struct load *l, const char *name, const char *path)
{
    char cwd[PATH_MAX];
    char *dir = file_dir(path);
    char *absolute = file_join(getcwd(cwd, sizeof cwd) ? cwd : ".", strcmp(dir, ".") == 0 ? "" : dir);
    size_t n = strlen(absolute);
    while (n > 1 && absolute[n - 1] == '/')
        absolute[--n] = '\0';
    struct yaml_file *file = arena_alloc(&l->arena, sizeof *file);
    file->name = arena_strdup(&l->arena, name);
    file->dir = arena_strdup(&l->arena, absolute);
    file->order = l->files_n++;
    free(absolute);
    free(dir);
    return file;
}

const struct node *load_read(struct load *l, const char *path)
{
    const struct yaml_file *file = load_open(l, path, path);
    struct buf text;
    struct err err = {0};
    buf_init(&text, YAML_MAX_BYTES + 1);
    const struct node *root = NULL;
    if (file_read(path, YAML_MAX_BYTES, &text, &err)) {
        generation_add_file(l->generation, path, buf_str(&text));
        root = yaml_parse(&l->arena, file, buf_str(&text), &l->problems);
    } else {
        problem_add(&l->problems, (struct place){file, 1, 1}, "%s", err.msg);
    }
    buf_free(&text);
    return root;
}

static void read_document(struct load *l, const struct node *root)
{
    if (root)
        section_load(l, &section_document, root, l);
}

/* Prometheus wants a mapping with scrape_configs, vmagent a list. */
static void read_included(struct load *l, const char *path)
{
    const struct node *root = load_read(l, path);
    if (root && root->kind == NODE_LIST)
        load_scrape_configs(l, root, NULL);
    else if (root)
        section_load(l, &section_included, root, l);
}

static void include_pattern(struct load *l, const struct node *item)
{
    const struct config *c = &l->generation->config;
    char *pattern = file_join(item->at.file->dir, item->text.p);
    generation_add_pattern(l->generation, pattern);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && c->files_n <= INCLUDED_MAX; i++)
            read_included(l, found.gl_pathv[i]);
        if (c->files_n > INCLUDED_MAX)
            problem_add(&l->problems, item->at, "more than %d included files", INCLUDED_MAX);
        globfree(&found);
    } else if (!strchr(pattern, '*')) {
        if (l->check_files)
            problem_add(&l->problems, item->at, "\"%s\" does not point to an existing file", pattern);
        else
            log_warn("config", "scrape config file %s does not exist", pattern);
    }
    free(pattern);
}

static int by_job_name(const void *va, const void *vb)
{
    const struct job_draft *const *a = va, *const *b = vb;
    const char *na = (*a)->job.job_name, *nb = (*b)->job.job_name;
    int r = strcmp(na ? na : "", nb ? nb : "");
    return r ? r : (*a < *b ? -1 : *a > *b);
}

/* The second of two jobs with one name is the wrong one; sorting keeps thousands of jobs cheap. */
static void check_job_names(struct load *l)
{
    if (l->jobs_n == 0)
        return;
    const struct job_draft **sorted = xcalloc(l->jobs_n, sizeof *sorted);
    for (size_t i = 0; i < l->jobs_n; i++)
        sorted[i] = &l->jobs[i];
    qsort(sorted, l->jobs_n, sizeof *sorted, by_job_name);
    for (size_t i = 1; i < l->jobs_n; i++) {
        const char *name = sorted[i]->job.job_name, *before = sorted[i - 1]->job.job_name;
        if (name && *name && before && strcmp(name, before) == 0)
            problem_add(&l->problems, field_place(sorted[i]->node, "job_name"),
                        "found multiple scrape configs with job name \"%s\"", name);
    }
    free(sorted);
}

static void check_remote_names(struct load *l)
{
    for (size_t i = 1; i < l->remotes_n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct config_remote *a = &l->remotes[k].remote, *b = &l->remotes[i].remote;
            if (!*b->url || strcmp(a->name, b->name) != 0)
                continue;
            if (b->name_given || a->name_given)
                problem_add(&l->problems, field_place(l->remotes[i].node, "name"),
                            "found multiple remote write configs with job name \"%s\"", b->name);
            else
                problem_add(&l->problems, field_place(l->remotes[i].node, "url"),
                            "found multiple remote write configs with job name \"%s\": give endpoints of one "
                            "url a name each",
                            b->name);
            break;
        }
}

static void finish(struct load *l)
{
    struct global *g = &l->global;
    if (g->scrape_interval_ms == 0)
        g->scrape_interval_ms = GLOBAL_INTERVAL_MS;
    if (g->scrape_timeout_ms == 0)
        g->scrape_timeout_ms =
            g->scrape_interval_ms < GLOBAL_TIMEOUT_MS ? g->scrape_interval_ms : GLOBAL_TIMEOUT_MS;
    if (g->legacy_names && !g->escaping_given)
        g->name_escaping = CONFIG_UNDERSCORES;
    for (size_t i = 0; i < l->jobs_n; i++)
        job_finish(l, &l->jobs[i]);
    for (size_t i = 0; i < l->remotes_n; i++)
        remote_finish(l, &l->remotes[i]);
    check_job_names(l);
    check_remote_names(l);
    check_remote_groups(l);
}

/* Moves what was loaded into the generation. */
static void move_out(struct load *l, struct config *c)
{
    c->jobs = xcalloc(l->jobs_n + 1, sizeof *c->jobs);
    for (size_t i = 0; i < l->jobs_n; i++)
        c->jobs[c->jobs_n++] = l->jobs[i].job;
    c->remotes = xcalloc(l->remotes_n + 1, sizeof *c->remotes);
    for (size_t i = 0; i < l->remotes_n; i++)
        c->remotes[c->remotes_n++] = l->remotes[i].remote;
    l->jobs_n = l->remotes_n = 0;
    c->external_labels = l->global.external_labels;
    c->external_labels_n = l->global.external_labels_n;
    l->global.external_labels = NULL;
    l->global.external_labels_n = 0;
    c->scrape_interval_ms = l->global.scrape_interval_ms;
    c->scrape_timeout_ms = l->global.scrape_timeout_ms;
    c->total_series_limit = l->global.total_series_limit;
    c->yaml = dump_config(c, &l->global);
}

/* From the main document on: the command line's, the included ones, and what needs them all. */
static struct config *load_rest(struct load *l, const struct node *root, const struct config_extra *extra,
                                struct buf *errors)
{
    read_document(l, root);
    if (extra && extra->yaml) {
        const struct yaml_file *file = load_open(l, "command line", ".");
        read_document(l, yaml_parse(&l->arena, file, str_of(extra->yaml), &l->problems));
    }
    for (size_t i = 0; i < l->includes_n; i++)
        include_pattern(l, l->includes[i]);
    finish(l);
    struct config *config = &l->generation->config;
    if (l->problems.n == 0) {
        move_out(l, config);
    } else {
        problems_print(&l->problems, errors);
        config_unref(config);
        config = NULL;
    }
    load_free(l);
    return config;
}

struct config *config_load(const char *path, const struct config_extra *extra, bool check_files,
                           struct buf *errors)
{
    struct load l;
    load_init(&l, path, check_files);
    return load_rest(&l, load_read(&l, path), extra, errors);
}

struct config *config_load_text(const char *name, struct str yaml, const struct config_extra *extra,
                                bool check_files, struct buf *errors)
{
    struct load l;
    load_init(&l, name, check_files);
    generation_from_text(l.generation, yaml);
    const struct node *root = yaml_parse(&l.arena, load_open(&l, name, name), yaml, &l.problems);
    return load_rest(&l, root, extra, errors);
}

/* Parts of files. */

#define TARGET_RULES "relabel_configs"
#define METRIC_RULES "metric_relabel_configs"

/* The rules of a mapping. Whoever does not say which gets metric_relabel_configs, or relabel_configs where there are no
   others; *field becomes the one that was taken. */
static const struct node *choose_rules(const struct node *map, const char **field)
{
    const struct node *rules = node_get(map, *field);
    if (!rules && strcmp(*field, METRIC_RULES) == 0 && node_get(map, TARGET_RULES)) {
        *field = TARGET_RULES;
        rules = node_get(map, TARGET_RULES);
    }
    return rules;
}

/* The list of rules of a file without jobs, or of one job of it. */
static const struct node *find_rules(struct load *l, const struct node *root, const char *job, const char **field)
{
    if (root->kind == NODE_LIST && !job)
        return root;
    const struct node *rules = NULL;
    const struct node *jobs = root->kind == NODE_LIST ? root : node_get(root, "scrape_configs");
    if (!job) {
        rules = choose_rules(root, field);
        if (!rules)
            problem_add(&l->problems, root->at, jobs ? "name a job with --job to choose its %s"
                                                     : "no list of rules and no %s", *field);
        return rules;
    }
    for (size_t i = 0; jobs && jobs->kind == NODE_LIST && i < jobs->n; i++) {
        const struct node *name = node_get(jobs->items[i], "job_name");
        if (!name || name->kind != NODE_SCALAR || !str_eq_c(name->text, job))
            continue;
        rules = choose_rules(jobs->items[i], field);
        return rules ? rules : jobs->items[i];
    }
    problem_add(&l->problems, root->at, "no job \"%s\" in this file", job);
    return NULL;
}

struct relabel_rules *config_relabel_rules_from_file(const char *path, const char *job, bool target_rules,
                                                     struct buf *errors)
{
    static const char null_rule[] = "empty or null relabeling rule";
    const char *field = target_rules ? TARGET_RULES : METRIC_RULES;
    struct load l;
    load_init(&l, path, false);
    struct relabel_rules *global = NULL, *own = NULL, *all = NULL;
    const struct node *root = load_read(&l, path);
    const struct node *rules = root ? find_rules(&l, root, job, &field) : NULL;
    const struct node *first = job ? node_get(node_get(root, "global"), field) : NULL;
    if (first)
        load_relabel(&l, first, null_rule, &global);
    if (rules && rules->kind != NODE_MAP)
        load_relabel(&l, rules, null_rule, &own);
    if (l.problems.n == 0)
        all = relabel_concat(global, own);
    else
        problems_print(&l.problems, errors);
    relabel_free(global);
    relabel_free(own);
    config_unref(&l.generation->config);
    load_free(&l);
    return all;
}

bool load_part(const char *path, void (*read)(struct load *l, const struct node *root, void *to, struct buf *errors),
               void *to, struct buf *errors)
{
    struct load l;
    size_t before = errors->n;
    load_init(&l, path, false);
    const struct node *root = load_read(&l, path);
    if (root)
        read(&l, root, to, errors);
    problems_print(&l.problems, errors);
    config_unref(&l.generation->config);
    load_free(&l);
    return errors->n == before && !errors->overflow;
}

bool config_groups_from_file(const char *path, struct config_group **groups, size_t *n, struct buf *errors)
{
    struct load l;
    load_init(&l, path, false);
    *groups = NULL;
    *n = 0;
    const struct node *root = load_read(&l, path);
    if (root)
        load_groups(&l, root, groups, n);
    bool good = l.problems.n == 0;
    if (!good) {
        problems_print(&l.problems, errors);
        config_groups_free(*groups, *n);
        *groups = NULL;
        *n = 0;
    }
    config_unref(&l.generation->config);
    load_free(&l);
    return good;
}
