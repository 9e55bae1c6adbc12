/* SPDX-License-Identifier: Apache-2.0 */
/* analysis: what looks at a scrape beside the survey: findings, cardinality, explanations. A module has a maker in the
   table of scrape_analyses.c, which makes one for each target when the flags ask for it. It watches the samples go by
   and then adds its part to the report; scrape and report need not know what it is.

   To add one: a field in struct scrape_flags (scrape_flags.h), its row in scrape_flags.c, a maker in the table. */
#ifndef OBSAGENT_COMMAND_ANALYSIS_H
#define OBSAGENT_COMMAND_ANALYSIS_H

#include "base/buf.h"
#include "paint.h"
#include "probe.h"
#include "scrape_flags.h"
#include "survey.h"
#include "target.h"

/* Whose exposition it is. */
struct scrape_subject {
    const char *name;             /* as the report calls it: a URL, a file, "-" */
    const struct config *config;  /* never NULL: without --config.file one with a single job and defaults */
    const struct config_job *job; /* never NULL */
    const struct target *target;  /* with the labels that its series get; NULL for a file */
};

/* One scrape that is over. */
struct scrape_done {
    unsigned round; /* 0; 1 is the second scrape of --twice */
    const struct scrape_subject *subject;
    const struct probe_result *probe;
    const struct survey_counts *counts;
    int64_t started_ms; /* our clock: Unix time */
};

/* Every callback may be NULL. watcher sees every body, done is called after each; then text, or json, or junit is
   called once, and free. */
struct analysis {
    struct survey_watcher watcher; /* its ctx is the analysis's own, given to the other callbacks as well */
    void (*done)(void *ctx, const struct scrape_done *done);
    /* Lines of the report for people, with an own heading. */
    void (*text)(void *ctx, const struct paint *paint, struct buf *out);
    /* Further fields of the report's object, each as `"key":value,` with the comma. */
    void (*json)(void *ctx, struct buf *out);
    /* Further test cases: add(to, name, failure) for each, failure NULL when it passed. */
    void (*junit)(void *ctx, void (*add)(void *to, const char *name, const char *failure), void *to);
    /* How many things it has found that shall make the exit code 3. */
    size_t (*findings)(void *ctx);
    /* Whether it has found what shall make the exit code 1. */
    bool (*failed)(void *ctx);
    void (*free)(void *ctx);
};

/* Fills *out and returns true when the flags ask for it. */
typedef bool analysis_maker(const struct scrape_flags *flags, const struct scrape_subject *subject,
                            struct analysis *out);

#define ANALYSES_MAX 8

struct analyses {
    struct analysis v[ANALYSES_MAX];
    size_t n;
};

void analyses_make(struct analyses *a, const struct scrape_flags *flags, const struct scrape_subject *subject);
void analyses_free(struct analyses *a);

#endif
