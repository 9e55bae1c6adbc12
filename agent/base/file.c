/* SPDX-License-Identifier: Apache-2.0 */
/* file: whole small files, read with a limit and written so that a crash leaves the old or the new one. */
#include "base/file.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536
#define OPEN_TRIES 3
#define OPEN_WAIT_US 5000

/* Appends what fd still has; one byte over `max` is enough to know that it is too much. */
static bool read_rest(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
    size_t total = 0;
    for (;;) {
        char chunk[READ_STEP];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return true;
        total += (size_t)n;
        if (total > max || !buf_add(out, chunk, (size_t)n))
            return err_set(err, "%s is larger than %zu bytes", path, max);
    }
}

int file_open(const char *path)
{
    for (int i = 0;; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool stays = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM;
        if (fd >= 0 || stays || i == OPEN_TRIES)
            return fd;
        usleep(OPEN_WAIT_US);
    }
}

bool file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "cannot open %s: %s", path, strerror(errno));
    bool ok = read_rest(fd, path, max, out, err);
    close(fd);
    return ok;
}

static bool write_all(int fd, struct str data)
{
    while (data.n) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = str_skip(data, (size_t)n);
    }
    return true;
}

static void sync_dir_of(const char *path)
{
    char *dir = file_dir(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(dir);
}

bool file_write_atomic(const char *path, struct str data, struct err *err)
{
    bool ok = false;
    char *tmp = xasprintf("%s.tmp", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        err_set(err, "cannot create %s: %s", tmp, strerror(errno));
        goto out;
    }
    if (!write_all(fd, data) || fsync(fd) != 0) {
        err_set(err, "cannot write %s: %s", tmp, strerror(errno));
        goto out;
    }
    if (rename(tmp, path) != 0) {
        err_set(err, "cannot rename %s to %s: %s", tmp, path, strerror(errno));
        goto out;
    }
    sync_dir_of(path);
    ok = true;
out:
    if (fd >= 0)
        close(fd);
    if (!ok && fd >= 0)
        unlink(tmp);
    free(tmp);
    return ok;
}

static bool make_dir(const char *path, struct err *err)
{
    struct stat st;
    if (mkdir(path, 0755) == 0)
        return true;
    int why = errno;
    if (why == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    return err_set(err, "cannot make directory %s: %s", path, strerror(why == EEXIST ? ENOTDIR : why));
}

bool file_make_dirs(const char *path, struct err *err)
{
    bool ok = true;
    char *copy = xstrdup(path);
    for (char *p = copy; ok && *p; p++) {
        if (*p != '/' || p == copy)
            continue;
        *p = '\0';
        ok = make_dir(copy, err);
        *p = '/';
    }
    ok = ok && make_dir(copy, err);
    free(copy);
    return ok;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool file_list(const char *dir, bool (*wanted)(const char *name), struct file_list *out, struct err *err)
{
    *out = (struct file_list){0};
    DIR *d = opendir(dir);
    if (!d)
        return err_set(err, "cannot open %s: %s", dir, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!wanted(e->d_name))
            continue;
        out->v = xgrow(out->v, &out->cap, out->n + 1, sizeof *out->v);
        out->v[out->n++] = file_join(dir, e->d_name);
    }
    closedir(d);
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, by_path);
    return true;
}

void file_list_free(struct file_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct file_list){0};
}

char *file_join(const char *dir, const char *path)
{
    if (path[0] == '/')
        return xstrdup(path);
    size_t n = strlen(dir);
    return xasprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", path);
}

char *file_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return str_dup(str_make(path, slash == path ? 1 : (size_t)(slash - path)));
}
