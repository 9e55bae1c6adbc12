/* SPDX-License-Identifier: Apache-2.0 */
/* file_watch: directories under inotify, because editors and Kubernetes replace files and links rather than write into
   them. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_FILE_WATCH_H
#define OBSAGENT_SCRAPE_DISCOVERY_FILE_WATCH_H

#include "base/loop.h"

struct file_watch;

/* fn(ctx) soon after something happened in one of the directories, once for what comes close together. NULL where there
   is no inotify (logged): files are then only looked at in intervals. */
struct file_watch *file_watch_new(struct loop *loop, loop_fn *fn, void *ctx);
void file_watch_free(struct file_watch *w);
/* Again for a known directory changes nothing; a missing one may be tried again later. w may be NULL. */
void file_watch_add(struct file_watch *w, const char *dir);

#endif
