/* SPDX-License-Identifier: Apache-2.0 */
/* file: whole small files, read with a limit and written so that a crash leaves the old or the new one. */
#ifndef OBSAGENT_BASE_FILE_H
#define OBSAGENT_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's contents to out; fails when it is larger than `max` bytes. The message names the path. */
bool file_read(const char *path, size_t max, struct buf *out, struct err *err) MUSTCHECK;
/* Opens for reading; -1 and errno. What may pass (an error of the device, no memory, no descriptor left) is tried again
   for some milliseconds. */
int file_open(const char *path) MUSTCHECK;
/* Writes path.tmp, fsyncs it, renames it over path, fsyncs the directory. Mode 0644. */
bool file_write_atomic(const char *path, struct str data, struct err *err) MUSTCHECK;
/* mkdir -p; an existing directory is fine. */
bool file_make_dirs(const char *path, struct err *err) MUSTCHECK;
/* Paths of the entries of a directory, sorted by name. */
struct file_list {
    char **v;
    size_t n, cap;
};
/* Those in dir whose names `wanted` takes. Free with file_list_free, also after an error. */
bool file_list(const char *dir, bool (*wanted)(const char *name), struct file_list *out, struct err *err) MUSTCHECK;
void file_list_free(struct file_list *list);
/* Joins dir and path unless path is absolute. Caller frees. */
char *file_join(const char *dir, const char *path);
/* The directory part of path ("." when there is none). Caller frees. */
char *file_dir(const char *path);

#endif
