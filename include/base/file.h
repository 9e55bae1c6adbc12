/* SPDX-License-Identifier: Apache-2.0 */
/* file: whole small files, read with a limit and written so that a crash leaves the old or the new one. */
#ifndef OBSAGENT_BASE_FILE_H
#define OBSAGENT_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's contents to out; fails when it is larger than `max` bytes. The message names the path. */
bool file_read(const char *path, size_t max, struct buf *out, struct err *err) MUSTCHECK;
/* Writes path.tmp, fsyncs it, renames it over path, fsyncs the directory. Mode 0644. */
bool file_write_atomic(const char *path, struct str data, struct err *err) MUSTCHECK;
/* mkdir -p; an existing directory is fine. */
bool file_make_dirs(const char *path, struct err *err) MUSTCHECK;
/* Joins dir and path unless path is absolute. Caller frees. */
char *file_join(const char *dir, const char *path);
/* The directory part of path ("." when there is none). Caller frees. */
char *file_dir(const char *path);

#endif
