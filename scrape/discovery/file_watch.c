/* SPDX-License-Identifier: Apache-2.0 */
/* file_watch: an inotify descriptor on the loop. */
#include "file_watch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

#define COALESCE_MS 200

struct file_watch {
    struct loop *loop;
    loop_fn *fn;
    void *ctx;
    int fd;
    struct loop_timer soon;
};

static void on_inotify(void *ctx, int fd, uint32_t events)
{
    struct file_watch *w = ctx;
    char drop[4096];
    (void)events;
    while (read(fd, drop, sizeof drop) > 0)
        continue;
    if (w->soon.slot == 0)
        loop_timer_set(w->loop, &w->soon, loop_now(w->loop) + COALESCE_MS, w->fn, w->ctx);
}

struct file_watch *file_watch_new(struct loop *loop, loop_fn *fn, void *ctx)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        log_warn("discovery", "no inotify: files are looked at once per refresh_interval");
        return NULL;
    }
    struct file_watch *w = xcalloc(1, sizeof *w);
    *w = (struct file_watch){.loop = loop, .fn = fn, .ctx = ctx, .fd = fd};
    loop_fd_set(loop, fd, EPOLLIN, on_inotify, w);
    return w;
}

void file_watch_free(struct file_watch *w)
{
    if (!w)
        return;
    loop_timer_clear(w->loop, &w->soon);
    loop_fd_clear(w->loop, w->fd);
    close(w->fd);
    free(w);
}

void file_watch_add(struct file_watch *w, const char *dir)
{
    uint32_t what = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
    if (w && inotify_add_watch(w->fd, dir, what | IN_ONLYDIR) < 0)
        log_debug("discovery", "cannot watch %s, its files are looked at once per refresh_interval", dir);
}
