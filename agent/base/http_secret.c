/* SPDX-License-Identifier: Apache-2.0 */
/* http_secret: secrets and PEM from configuration or files. File contents are kept by path for the whole
   process until stat says they changed, so that a thousand targets with one token cost one stat each and
   no read. Kubernetes swaps a symlink when it rotates a secret: the inode changes. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "http_private.h"

#define FILES_MAX 256                  /* remembered; the one used longest ago makes room */
#define FILE_BYTES_MAX (4u * 1024 * 1024) /* a CA bundle is about 220 KB */

struct cached_file {
    char *path;
    struct timespec mtime;
    off_t size;
    ino_t inode;
    dev_t device;
    bool stale; /* http_options_reread: read it whatever stat says */
    unsigned generation;
    uint64_t used;
    char *bytes;
    size_t n;
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached_file files[FILES_MAX];
static size_t files_n;
static uint64_t files_clock;

static void wipe(char *p, size_t n)
{
    if (p)
        explicit_bzero(p, n);
    free(p);
}

void http_secret_free(char *text)
{
    wipe(text, text ? strlen(text) : 0);
}

static struct cached_file *find_file(const char *path)
{
    for (size_t i = 0; i < files_n; i++) {
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    }
    return NULL;
}

static struct cached_file *new_file(const char *path)
{
    struct cached_file *f = &files[0];
    if (files_n < FILES_MAX) {
        f = &files[files_n++];
    } else {
        for (size_t i = 1; i < files_n; i++)
            f = files[i].used < f->used ? &files[i] : f;
        free(f->path);
        wipe(f->bytes, f->n);
    }
    *f = (struct cached_file){.path = xstrdup(path), .stale = true};
    return f;
}

static bool is_current(const struct cached_file *f, const struct stat *st)
{
    return !f->stale && f->size == st->st_size && f->inode == st->st_ino && f->device == st->st_dev &&
           f->mtime.tv_sec == st->st_mtim.tv_sec && f->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* Call with files_lock held. The result is valid until it is given up. stat comes before the read, so a
   write in between is seen the next time. */
static const struct cached_file *load_file(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        err_set(err, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    struct cached_file *f = find_file(path);
    if (!f)
        f = new_file(path);
    f->used = ++files_clock;
    if (is_current(f, &st))
        return f;
    struct buf bytes;
    buf_init(&bytes, FILE_BYTES_MAX);
    if (!file_read(path, FILE_BYTES_MAX, &bytes, err)) {
        buf_free(&bytes);
        return NULL;
    }
    wipe(f->bytes, f->n);
    f->n = bytes.n;
    f->bytes = buf_take(&bytes);
    f->mtime = st.st_mtim;
    f->size = st.st_size;
    f->inode = st.st_ino;
    f->device = st.st_dev;
    f->stale = false;
    f->generation++;
    return f;
}

bool http_pem_read(const struct http_secret *s, char **out, size_t *n, unsigned *generation, struct err *err)
{
    *out = NULL;
    *n = 0;
    *generation = 0;
    if (!s->file) {
        *out = xstrdup(s->value);
        *n = s->value ? strlen(s->value) : 0;
        return true;
    }
    pthread_mutex_lock(&files_lock);
    const struct cached_file *f = load_file(s->file, err);
    if (f) {
        *out = str_dup(str_make(f->bytes, f->n));
        *n = f->n;
        *generation = f->generation;
    }
    pthread_mutex_unlock(&files_lock);
    return f != NULL;
}

bool http_secret_read(const struct http_secret *s, char **out, struct err *err)
{
    size_t n;
    unsigned generation;
    if (!http_pem_read(s, out, &n, &generation, err))
        return false;
    if (s->file) {
        char *p = *out;
        while (n > 0 && memchr(" \t\r\n", p[n - 1], 4))
            p[--n] = '\0';
        if (strlen(p) != n) {
            http_secret_free(p);
            *out = NULL;
            return err_set(err, "%s: contains a NUL byte", s->file);
        }
    }
    return true;
}

void http_secret_forget(const struct http_secret *s)
{
    if (!s->file)
        return;
    pthread_mutex_lock(&files_lock);
    struct cached_file *f = find_file(s->file);
    if (f)
        f->stale = true;
    pthread_mutex_unlock(&files_lock);
}
