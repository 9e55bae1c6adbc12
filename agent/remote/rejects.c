/* SPDX-License-Identifier: Apache-2.0 */
/* rejects: the last series that receivers refused, in RAM and on disk. */
#include "rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#define CURRENT "rejects.ndjson"
#define OLD "rejects.old.ndjson"
#define LINE_MAX_BYTES 16384

struct rejects {
    pthread_mutex_t lock;
    struct remote_reject *ring[REJECTS_MAX]; /* allocated as needed */
    uint64_t added;                          /* ever; the next goes to added % REJECTS_MAX */
    uint64_t stored;
    char *dir;
};

/* ---- lines ---- */

static void copy_text(const json_t *root, const char *key, char *out, size_t n)
{
    const char *text = json_string_value(json_object_get(root, key));
    snprintf(out, n, "%s", text ? text : "");
}

static bool parse_line(struct str line, struct remote_reject *out)
{
    json_t *root = json_loadb(line.p, line.n, 0, NULL);
    *out = (struct remote_reject){0};
    if (!json_is_object(root)) { /* torn, when the power went */
        json_decref(root);
        return false;
    }
    out->wall_ms = json_integer_value(json_object_get(root, "time_ms"));
    out->status = (long)json_integer_value(json_object_get(root, "status"));
    out->samples = (uint64_t)json_integer_value(json_object_get(root, "samples"));
    copy_text(root, "endpoint", out->endpoint, sizeof out->endpoint);
    copy_text(root, "series", out->series, sizeof out->series);
    copy_text(root, "message", out->message, sizeof out->message);
    json_decref(root);
    return true;
}

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_addf(out, ",\"%s\":", key);
    buf_add_json(out, str_of(text));
}

void remote_reject_json(const struct remote_reject *r, struct buf *out)
{
    buf_addf(out, "{\"time_ms\":%lld,\"status\":%ld,\"samples\":%llu", (long long)r->wall_ms, r->status,
             (unsigned long long)r->samples);
    add_text(out, "endpoint", r->endpoint);
    add_text(out, "series", r->series);
    add_text(out, "message", r->message);
    buf_add_c(out, "}\n");
}

static bool read_file(const char *dir, const char *name, void (*fn)(void *ctx, const struct remote_reject *reject),
                      void *ctx, struct err *err)
{
    struct buf text;
    char *path = file_join(dir, name);
    buf_init(&text, 4 * REJECTS_FILE_BYTES);
    bool there = access(path, F_OK) == 0;
    bool ok = !there || file_read(path, 4 * REJECTS_FILE_BYTES, &text, err);
    for (struct str rest = buf_str(&text); ok && rest.n;) {
        struct remote_reject reject;
        size_t end = str_find_char(rest, '\n');
        if (parse_line(str_make(rest.p, end), &reject))
            fn(ctx, &reject);
        rest = str_skip(rest, end < rest.n ? end + 1 : end);
    }
    buf_free(&text);
    free(path);
    return ok;
}

bool remote_rejects_read(const char *dir, void (*fn)(void *ctx, const struct remote_reject *reject), void *ctx,
                         struct err *err)
{
    return read_file(dir, OLD, fn, ctx, err) && read_file(dir, CURRENT, fn, ctx, err);
}

/* ---- the ring ---- */

void rejects_add(struct rejects *r, const struct remote_reject *reject)
{
    pthread_mutex_lock(&r->lock);
    struct remote_reject **slot = &r->ring[r->added % REJECTS_MAX];
    if (!*slot)
        *slot = xmalloc(sizeof **slot);
    **slot = *reject;
    r->added++;
    pthread_mutex_unlock(&r->lock);
}

static void take_old(void *ctx, const struct remote_reject *reject)
{
    rejects_add(ctx, reject);
}

struct rejects *rejects_new(const char *dir)
{
    struct rejects *r = xcalloc(1, sizeof *r);
    struct err err = {0};
    pthread_mutex_init(&r->lock, NULL);
    r->dir = xstrdup(dir);
    if (dir && !remote_rejects_read(dir, take_old, r, &err))
        log_warn("remote", "earlier rejects are not shown: %s", err.msg);
    r->stored = r->added;
    return r;
}

void rejects_free(struct rejects *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < REJECTS_MAX; i++)
        free(r->ring[i]);
    pthread_mutex_destroy(&r->lock);
    free(r->dir);
    free(r);
}

void rejects_each(struct rejects *r, void (*fn)(void *ctx, const struct remote_reject *reject), void *ctx)
{
    pthread_mutex_lock(&r->lock);
    for (uint64_t i = r->added; i > 0 && r->added - i < REJECTS_MAX; i--)
        fn(ctx, r->ring[(i - 1) % REJECTS_MAX]);
    pthread_mutex_unlock(&r->lock);
}

/* ---- the disk ---- */

/* The lines of what is new; false when there is none. */
static bool collect(struct rejects *r, struct buf *lines)
{
    pthread_mutex_lock(&r->lock);
    uint64_t from = r->added > REJECTS_MAX && r->stored < r->added - REJECTS_MAX ? r->added - REJECTS_MAX : r->stored;
    for (uint64_t i = from; i < r->added; i++)
        remote_reject_json(r->ring[i % REJECTS_MAX], lines);
    r->stored = r->added;
    pthread_mutex_unlock(&r->lock);
    return lines->n > 0;
}

/* Errno, or 0. A torn line is left behind by a crash; it is skipped when it is read. */
static int append(const char *dir, struct str lines)
{
    char *path = file_join(dir, CURRENT), *old = file_join(dir, OLD);
    struct stat st;
    int why = 0;
    if (stat(path, &st) == 0 && st.st_size > REJECTS_FILE_BYTES && rename(path, old) != 0)
        why = errno;
    int fd = why ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (!why && fd < 0)
        why = errno;
    if (fd >= 0 && write(fd, lines.p, lines.n) != (ssize_t)lines.n)
        why = errno ? errno : ENOSPC;
    if (fd >= 0)
        close(fd);
    free(path);
    free(old);
    return why;
}

void rejects_store(struct rejects *r)
{
    struct buf lines;
    buf_init(&lines, REJECTS_MAX * LINE_MAX_BYTES);
    int why = r->dir && collect(r, &lines) ? append(r->dir, buf_str(&lines)) : 0;
    if (why)
        log_throttled(0x72656a6563747300ull, LOG_WARN, "remote", "rejects are not kept in %s: %s", r->dir,
                      strerror(why));
    buf_free(&lines);
}
