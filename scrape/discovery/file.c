/* SPDX-License-Identifier: Apache-2.0 */
/* file: target groups from files. Files are found by pattern and read again when stat says that they
   changed; what a file said stays in force while it is broken, and goes when the file goes. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "source.h"

#define REFRESH_MIN_MS 1000

struct group_file {
    char *path;
    struct stat st; /* when it was last read, well or not; st_ino 0 = never */
    struct discovery_sets sets;
    bool found; /* by the present look */
};

struct file_source {
    struct label_names *names;
    char **patterns;
    bool *matched; /* by pattern, at the last look */
    size_t patterns_n;
    int64_t refresh_ms;
    struct group_file *files;
    size_t files_n, files_cap;
};

struct file_source *file_source_new(const struct config_file_sd *config, struct label_names *names)
{
    struct file_source *s = xcalloc(1, sizeof *s);
    s->names = names;
    s->patterns_n = config->files_n;
    s->patterns = xcalloc(config->files_n, sizeof(char *));
    s->matched = xcalloc(config->files_n, sizeof(bool));
    for (size_t i = 0; i < config->files_n; i++) {
        s->patterns[i] = xstrdup(config->files[i]);
        s->matched[i] = true; /* so that the first miss is reported */
    }
    s->refresh_ms = config->refresh_interval_ms;
    return s;
}

static void group_file_free(struct group_file *f)
{
    discovery_sets_free(&f->sets);
    free(f->path);
}

void file_source_free(struct file_source *s)
{
    for (size_t i = 0; i < s->files_n; i++)
        group_file_free(&s->files[i]);
    for (size_t i = 0; i < s->patterns_n; i++)
        free(s->patterns[i]);
    free(s->files);
    free(s->patterns);
    free(s->matched);
    free(s);
}

bool file_source_is(const struct file_source *s, const struct config_file_sd *config)
{
    if (s->patterns_n != config->files_n || s->refresh_ms != config->refresh_interval_ms)
        return false;
    for (size_t i = 0; i < s->patterns_n; i++) {
        if (strcmp(s->patterns[i], config->files[i]) != 0)
            return false;
    }
    return true;
}

int64_t file_source_refresh_ms(const struct file_source *s)
{
    return s->refresh_ms > REFRESH_MIN_MS ? s->refresh_ms : REFRESH_MIN_MS;
}

void file_source_dirs(const struct file_source *s, void (*fn)(void *ctx, const char *dir), void *ctx)
{
    for (size_t i = 0; i < s->patterns_n; i++) {
        char *dir = file_dir(s->patterns[i]);
        fn(ctx, dir);
        free(dir);
    }
}

void file_source_add(const struct file_source *s, struct discovery_sets *sets)
{
    for (size_t i = 0; i < s->files_n; i++)
        discovery_sets_add_all(sets, &s->files[i].sets);
}

/* ---- looking ---- */

static struct group_file *find_file(struct file_source *s, const char *path)
{
    for (size_t i = 0; i < s->files_n; i++) {
        if (strcmp(s->files[i].path, path) == 0)
            return &s->files[i];
    }
    s->files = xgrow(s->files, &s->files_cap, s->files_n + 1, sizeof *s->files);
    struct group_file *f = &s->files[s->files_n++];
    *f = (struct group_file){.path = xstrdup(path)};
    discovery_sets_init(&f->sets, s->names);
    return f;
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool read_file(struct group_file *f, struct buf *errors)
{
    struct stat st;
    if (stat(f->path, &st) != 0) {
        /* Found by the pattern and gone since, or a link to nowhere. */
        if (f->st.st_ino != 0)
            buf_addf(errors, "%s: %s\n", f->path, strerror(errno));
        f->st = (struct stat){0};
        return false;
    }
    if (unchanged(&f->st, &st))
        return false;
    f->st = st;
    struct config_group *groups;
    struct discovery_sets news;
    size_t n;
    if (!config_groups_from_file(f->path, &groups, &n, errors))
        return false;
    discovery_sets_init(&news, f->sets.names);
    discovery_static_add(&news, groups, n, f->path);
    config_groups_free(groups, n);
    return discovery_sets_replace(&f->sets, &news); /* it may say what it said before: written again, or touched */
}

static bool look_at_pattern(struct file_source *s, size_t index, bool *sure, struct buf *errors)
{
    glob_t found;
    bool changed = false;
    int rc = glob(s->patterns[index], 0, NULL, &found);
    bool matched = rc == 0;
    if (rc != 0 && rc != GLOB_NOMATCH)
        *sure = false;
    if (!matched && s->matched[index])
        buf_addf(errors, "file_sd_configs: no file matches %s\n", s->patterns[index]);
    s->matched[index] = matched;
    for (size_t i = 0; matched && i < found.gl_pathc; i++) {
        struct group_file *f = find_file(s, found.gl_pathv[i]);
        if (!f->found) {
            f->found = true;
            changed |= read_file(f, errors);
        }
    }
    globfree(&found);
    return changed;
}

static bool drop_lost(struct file_source *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->files_n; i++) {
        if (s->files[i].found)
            s->files[kept++] = s->files[i];
        else
            group_file_free(&s->files[i]);
    }
    bool changed = kept < s->files_n;
    s->files_n = kept;
    return changed;
}

bool file_source_look(struct file_source *s, struct buf *errors)
{
    bool sure = true; /* false: a directory could not be read, so what was not found may still be there */
    bool changed = false;
    for (size_t i = 0; i < s->files_n; i++)
        s->files[i].found = false;
    for (size_t i = 0; i < s->patterns_n; i++)
        changed |= look_at_pattern(s, i, &sure, errors);
    return sure ? drop_lost(s) || changed : changed;
}
