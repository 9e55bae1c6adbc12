/* SPDX-License-Identifier: Apache-2.0 */
/* dead: a bounded directory of set-aside requests. Names begin with the time, so that their order is their
   age. */
#include "dead.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

static const char *const SUFFIXES[PROTOCOLS] = {
    [PROTOCOL_RW1] = ".rw1.snappy", [PROTOCOL_RW2] = ".rw2.snappy", [PROTOCOL_VM] = ".rw1.zstd"};

static int is_ours(const struct dirent *entry)
{
    struct str name = str_of(entry->d_name);
    bool ours = false;
    for (size_t i = 0; i < PROTOCOLS; i++)
        ours = ours || str_ends(name, str_of(SUFFIXES[i]));
    return ours && name.p[0] >= '0' && name.p[0] <= '9';
}

static uint64_t size_in(const char *dir, const char *name)
{
    char *path = file_join(dir, name);
    struct stat st;
    uint64_t size = stat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    free(path);
    return size;
}

static void remove_in(const char *dir, const char *name)
{
    char *path = file_join(dir, name);
    unlink(path);
    free(path);
}

/* Walks from the newest to the oldest and removes what is past a limit. */
static void keep_newest(const char *dir)
{
    struct dirent **names;
    int n = scandir(dir, &names, is_ours, alphasort);
    uint64_t bytes = 0, files = 0;
    for (int i = n - 1; i >= 0; i--) {
        bytes += size_in(dir, names[i]->d_name);
        files++;
        if (files > DEAD_FILES_MAX || bytes > DEAD_BYTES_MAX)
            remove_in(dir, names[i]->d_name);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

bool dead_put(const char *dir, const char *endpoint, int64_t wall_ms, enum protocol protocol, struct str body,
              struct err *err)
{
    static atomic_uint counter;
    if (!file_make_dirs(dir, err))
        return false;
    char plain[64];
    size_t n = 0;
    for (; endpoint[n] && n < sizeof plain - 1; n++)
        plain[n] = is_plain(endpoint[n]) ? endpoint[n] : '_';
    plain[n] = '\0';
    char *name =
        xasprintf("%013" PRId64 "-%06u-%s%s", wall_ms, atomic_fetch_add(&counter, 1) % 1000000, plain,
                           SUFFIXES[protocol]);
    char *path = file_join(dir, name);
    bool ok = file_write_atomic(path, body, err);
    free(path);
    free(name);
    keep_newest(dir);
    return ok;
}
