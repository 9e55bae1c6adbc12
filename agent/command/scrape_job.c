/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_job: the targets of a job, found, relabeled and told apart as in the agent. */
#include "scrape_private.h"

#include "base/alloc.h"
#include "discovery.h"
#include "explain.h"

#include <stdio.h>
#include <stdlib.h>

#define ERRORS_MAX ((size_t)1 << 20)
#define LABELS_MAX ((size_t)1 << 20)
#define DISCOVERY_MS 15000

struct walk {
    const struct scrape_flags *flags;
    struct config *config;
    const struct config_job *job;
    const char *saved;
    /* Keys of the targets scraped so far: as in the agent, what several sources name is one target. */
    uint64_t *seen;
    size_t seen_n, seen_cap;
    bool found; /* one that --target means */
};

static bool is_new(struct walk *w, uint64_t key)
{
    for (size_t i = 0; i < w->seen_n; i++) {
        if (w->seen[i] == key)
            return false;
    }
    w->seen = xgrow(w->seen, &w->seen_cap, w->seen_n + 1, sizeof *w->seen);
    w->seen[w->seen_n++] = key;
    return true;
}

static struct str value_of(const struct label *labels, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(labels[i].name, name))
            return labels[i].value;
    }
    return STR_NULL;
}

static bool has_address(const struct target *t, struct str wanted)
{
    struct labels found;
    labels_init(&found, NULL);
    target_discovered(t, &found);
    bool has = str_eq(wanted, labels_get(&found, STR("__address__")));
    labels_free(&found);
    return has;
}

static bool is_meant(const struct scrape_flags *f, const struct target *t)
{
    struct str wanted = str_of(f->target);
    return !f->target || (t->url && str_eq_c(wanted, t->url)) ||
           str_eq(wanted, value_of(t->labels, t->labels_n, "instance")) || has_address(t, wanted);
}

static enum scrape_exit scrape_target(struct walk *w, struct target *t)
{
    struct subject subject;
    subject_of_target(w->flags, w->config, w->job, t, w->saved, &subject);
    enum scrape_exit code = scrape_one(w->flags, &subject);
    subject_free(&subject);
    return code;
}

static void explain_dropped(const struct walk *w, const struct target *t)
{
    struct buf out;
    if (!w->flags->explain || w->flags->json)
        return;
    buf_init(&out, LABELS_MAX);
    explain_target_text(w->job, t, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
}

static enum scrape_exit scrape_set(struct walk *w, const struct labels *set)
{
    struct err err = {0};
    struct buf text;
    enum scrape_exit code = SCRAPE_GOOD;
    struct target *t = target_build(w->job, set, &err);
    buf_init(&text, LABELS_MAX);
    labels_format(set, &text);
    if (!t) {
        fprintf(stderr, "%s: %s\n", buf_c(&text), err.msg);
        code = SCRAPE_FAILED;
    } else if (!is_meant(w->flags, t) || (w->saved && w->found)) {
        /* another one, or the saved body has had its target */
    } else if (t->dropped) {
        w->found = true;
        fprintf(stderr, "%s: dropped by rule %zu of relabel_configs\n", buf_c(&text), t->dropped_by + 1);
        explain_dropped(w, t);
    } else if (is_new(w, t->key)) {
        w->found = true;
        code = scrape_target(w, t);
    }
    if (t)
        target_unref(t);
    buf_free(&text);
    return code;
}

static const struct config_job *find_job(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->jobs_n; i++) {
        if (strcmp(c->jobs[i].job_name, name) == 0)
            return &c->jobs[i];
    }
    fprintf(stderr, "Job %s not found. Select one of:\n", name);
    for (size_t i = 0; i < c->jobs_n; i++)
        fprintf(stderr, "  %s\n", c->jobs[i].job_name);
    return NULL;
}

static enum scrape_exit scrape_sets(struct walk *w)
{
    struct arena arena;
    struct labels *sets = NULL;
    struct buf errors;
    arena_init(&arena);
    buf_init(&errors, ERRORS_MAX);
    int64_t limit_ms = w->flags->wait_ms > DISCOVERY_MS ? w->flags->wait_ms : DISCOVERY_MS;
    size_t n = scrape_discover(w->config, w->job, limit_ms, &arena, &sets, &errors);
    enum scrape_exit code = errors.n ? SCRAPE_FAILED : SCRAPE_GOOD;
    fputs(buf_c(&errors), stderr);
    for (size_t i = 0; i < n; i++)
        code = scrape_worse(code, scrape_set(w, &sets[i]));
    if (n == 0) {
        fprintf(stderr, "job %s has no targets\n", w->job->job_name);
        code = SCRAPE_FAILED;
    } else if (w->flags->target && !w->found) {
        fprintf(stderr, "job %s has no target %s\n", w->job->job_name, w->flags->target);
        code = SCRAPE_FAILED;
    }
    free(w->seen);
    buf_free(&errors);
    arena_free(&arena); /* the sets lie in it */
    return code;
}

enum scrape_exit scrape_job(const struct scrape_flags *f, const char *saved)
{
    struct buf errors;
    enum scrape_exit code = SCRAPE_FAILED;
    buf_init(&errors, ERRORS_MAX);
    struct config *c = config_load(f->config_file, NULL, false, &errors);
    if (c) {
        struct walk w = {.flags = f, .config = c, .job = find_job(c, f->job), .saved = saved};
        if (w.job)
            code = scrape_sets(&w);
        config_unref(c);
    }
    fputs(buf_c(&errors), stderr);
    buf_free(&errors);
    return code;
}
