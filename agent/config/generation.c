/* SPDX-License-Identifier: Apache-2.0 */
/* generation: the life of a configuration, and whether its files have changed since. */
#include "generation.h"

#include <glob.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "load.h"
#include "sd_fields.h"

struct generation *generation_new(const char *path)
{
    struct generation *g = xcalloc(1, sizeof *g);
    g->config.refs = 1;
    g->config.path = xstrdup(path);
    return g;
}

void generation_add_pattern(struct generation *g, const char *pattern)
{
    g->patterns = xrealloc(g->patterns, (g->patterns_n + 1) * sizeof *g->patterns);
    g->patterns[g->patterns_n++] = xstrdup(pattern);
}

void generation_from_text(struct generation *g, struct str text)
{
    g->from_text = true;
    g->start = g->config.content_hash = hash_more(0, text);
}

static uint64_t hash_file(uint64_t h, const char *path, struct str text)
{
    return hash_more(hash_more(h, str_of(path)), text);
}

void generation_add_file(struct generation *g, const char *path, struct str text)
{
    struct config *c = &g->config;
    c->files = xrealloc(c->files, (c->files_n + 1) * sizeof *c->files);
    c->files[c->files_n++] = xstrdup(path);
    c->content_hash = hash_file(c->content_hash, path, text);
}

/* Continues *h with one file; false when it cannot be read. */
static bool hash_on_disk(const char *path, uint64_t *h)
{
    struct buf text;
    struct err err = {0};
    buf_init(&text, YAML_MAX_BYTES + 1);
    bool good = file_read(path, YAML_MAX_BYTES, &text, &err);
    if (good)
        *h = hash_file(*h, path, buf_str(&text));
    else
        log_throttled(hash_bytes(path, strlen(path)), LOG_WARN, "config",
                      "cannot tell whether it changed: %s", err.msg);
    buf_free(&text);
    return good;
}

bool config_changed_on_disk(const struct config *c)
{
    const struct generation *g = (const struct generation *)c;
    uint64_t h = g->start;
    bool good = g->from_text || hash_on_disk(c->files[0], &h);
    for (size_t i = 0; i < g->patterns_n && good; i++) {
        glob_t found;
        if (glob(g->patterns[i], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc && good; k++)
            good = hash_on_disk(found.gl_pathv[k], &h);
        globfree(&found);
    }
    return good && h != c->content_hash;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void config_groups_free(struct config_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free_texts(groups[i].targets, groups[i].targets_n);
        config_labels_free(groups[i].labels, groups[i].labels_n);
    }
    free(groups);
}

void config_job_free(struct config_job *job)
{
    free(job->job_name);
    free(job->metrics_path);
    free(job->scheme);
    free(job->scrape_failure_log_file);
    for (size_t i = 0; i < job->params_n; i++) {
        free(job->params[i].name);
        free_texts(job->params[i].values, job->params[i].values_n);
    }
    free(job->params);
    http_options_free(&job->http);
    relabel_free(job->relabel);
    relabel_free(job->metric_relabel);
    config_groups_free(job->static_groups, job->static_groups_n);
    for (size_t i = 0; i < job->file_sd_n; i++)
        free_texts(job->file_sd[i].files, job->file_sd[i].files_n);
    free(job->file_sd);
    config_sds_free(job->sd, job->sd_n);
}

static void names_free(struct config_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

void config_remote_free(struct config_remote *remote)
{
    free(remote->name);
    free(remote->url);
    free(remote->group);
    names_free(&remote->shard_by);
    names_free(&remote->shard_ignore);
    http_options_free(&remote->http);
    relabel_free(remote->write_relabel);
}

struct config *config_ref(struct config *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void config_unref(struct config *c)
{
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    struct generation *g = (struct generation *)c;
    for (size_t i = 0; i < c->jobs_n; i++)
        config_job_free(&c->jobs[i]);
    for (size_t i = 0; i < c->remotes_n; i++)
        config_remote_free(&c->remotes[i]);
    free(c->jobs);
    free(c->remotes);
    config_labels_free(c->external_labels, c->external_labels_n);
    free_texts(c->files, c->files_n);
    free_texts(g->patterns, g->patterns_n);
    free(c->path);
    free(c->yaml);
    free(g);
}
