/* SPDX-License-Identifier: Apache-2.0 */
/* inject: calls of the C library, and of zstd, that fail when a test says so. The linker sends the calls of our own
   code here (INJECT in the Makefile); what the library calls itself is not touched. */
#ifndef OBSAGENT_TESTS_INJECT_H
#define OBSAGENT_TESTS_INJECT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd_errors.h>

enum inject_call {
    INJECT_NOTHING, INJECT_OPEN, INJECT_OPENDIR, INJECT_WRITE, INJECT_PWRITE, INJECT_PREAD, INJECT_FSYNC,
    INJECT_FDATASYNC, INJECT_FTRUNCATE, INJECT_FALLOCATE, INJECT_UNLINK, INJECT_RENAME, INJECT_STATVFS, INJECT_MMAP,
    INJECT_MALLOC, /* and calloc, realloc */
    INJECT_ZSTD    /* finds no memory, in either direction */
};

/* The from-th call of this kind (1 = the first) and those behind it, `count` in all, fail. */
struct inject {
    atomic_int call;
    atomic_uint from, count, seen, failed;
    atomic_int error; /* errno; 0 = a read or a write is short */
};

static struct inject inject;

#define INJECT_FN __attribute__((unused))

INJECT_FN static void inject_set(enum inject_call call, unsigned from, unsigned count, int error)
{
    atomic_store(&inject.call, INJECT_NOTHING);
    atomic_store(&inject.from, from);
    atomic_store(&inject.count, count);
    atomic_store(&inject.error, error);
    atomic_store(&inject.seen, 0);
    atomic_store(&inject.failed, 0);
    atomic_store(&inject.call, (int)call);
}

INJECT_FN static void inject_stop(void)
{
    atomic_store(&inject.call, INJECT_NOTHING);
}

static bool inject_hits(enum inject_call call)
{
    if (atomic_load(&inject.call) != (int)call)
        return false;
    unsigned n = atomic_fetch_add(&inject.seen, 1) + 1, from = atomic_load(&inject.from);
    if (n < from || n - from >= atomic_load(&inject.count))
        return false;
    atomic_fetch_add(&inject.failed, 1);
    errno = atomic_load(&inject.error);
    return true;
}

#define INJECT_INT(kind, name, parameters, arguments) \
    int __real_##name parameters; \
    int __wrap_##name parameters \
    { \
        return inject_hits(kind) ? -1 : __real_##name arguments; \
    }

INJECT_INT(INJECT_FSYNC, fsync, (int fd), (fd))
INJECT_INT(INJECT_FTRUNCATE, ftruncate, (int fd, off_t n), (fd, n))
INJECT_INT(INJECT_FALLOCATE, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
INJECT_INT(INJECT_UNLINK, unlink, (const char *path), (path))
INJECT_INT(INJECT_RENAME, rename, (const char *from, const char *to), (from, to))
INJECT_INT(INJECT_STATVFS, statvfs, (const char *path, struct statvfs *fs), (path, fs))

/* Made quick: what a test wants of it is whether it fails. */
int __wrap_fdatasync(int fd)
{
    (void)fd;
    return inject_hits(INJECT_FDATASYNC) ? -1 : 0;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return inject_hits(INJECT_OPEN) ? -1 : __real_open(path, flags, mode);
}

#define INJECT_BYTES(kind, name, parameters, arguments) \
    ssize_t __real_##name parameters; \
    ssize_t __wrap_##name parameters \
    { \
        if (inject_hits(kind)) { \
            if (errno) \
                return -1; \
            n = n / 2 + 1; \
        } \
        return __real_##name arguments; \
    }

INJECT_BYTES(INJECT_WRITE, write, (int fd, const void *p, size_t n), (fd, p, n))
INJECT_BYTES(INJECT_PWRITE, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
INJECT_BYTES(INJECT_PREAD, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))

#define INJECT_POINTER(kind, type, failed, name, parameters, arguments) \
    type __real_##name parameters; \
    type __wrap_##name parameters \
    { \
        return inject_hits(kind) ? failed : __real_##name arguments; \
    }

INJECT_POINTER(INJECT_OPENDIR, DIR *, NULL, opendir, (const char *path), (path))
INJECT_POINTER(INJECT_MMAP, void *, MAP_FAILED, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
               (p, n, prot, flags, fd, at))
INJECT_POINTER(INJECT_MALLOC, void *, NULL, malloc, (size_t n), (n))
INJECT_POINTER(INJECT_MALLOC, void *, NULL, calloc, (size_t count, size_t n), (count, n))
INJECT_POINTER(INJECT_MALLOC, void *, NULL, realloc, (void *p, size_t n), (p, n))

#define INJECT_NO_MEMORY ((size_t)0 - ZSTD_error_memory_allocation)

INJECT_POINTER(INJECT_ZSTD, size_t, INJECT_NO_MEMORY, ZSTD_compress,
               (void *to, size_t room, const void *p, size_t n, int level), (to, room, p, n, level))
INJECT_POINTER(INJECT_ZSTD, size_t, INJECT_NO_MEMORY, ZSTD_decompress,
               (void *to, size_t room, const void *p, size_t n), (to, room, p, n))

#endif
