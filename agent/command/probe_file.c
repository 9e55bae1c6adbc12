/* SPDX-License-Identifier: Apache-2.0 */
/* probe_file: an exposition from a file or standard input, packed or not. */
#include "probe_private.h"

#include "../../scrape/negotiate.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)

static enum probe_packing packing_of(const unsigned char *bytes, size_t n)
{
    static const unsigned char ZSTD[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return PROBE_GZIP;
    return n >= sizeof ZSTD && memcmp(bytes, ZSTD, sizeof ZSTD) == 0 ? PROBE_ZSTD : PROBE_PLAIN;
}

static void read_all(struct probe *p, int fd, const char *path)
{
    unsigned char *bytes = xmalloc(CHUNK);
    for (;;) {
        ssize_t n = read(fd, bytes, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err_set(&p->out->error, "%s: %s", path, strerror(errno));
        if (n <= 0)
            break;
        if (p->out->wire_bytes == 0)
            probe_unpack(p, packing_of(bytes, (size_t)n));
        if (!probe_take(p, bytes, (size_t)n))
            break;
    }
    probe_end(p);
    free(bytes);
}

/* An OpenMetrics file says so at its end, which of a pipe nobody can know before. */
static bool ends_as_openmetrics(int fd)
{
    char last[6];
    off_t size = lseek(fd, 0, SEEK_END);
    bool found = size >= (off_t)sizeof last && pread(fd, last, sizeof last, size - (off_t)sizeof last) == sizeof last &&
                 memcmp(last, "# EOF\n", sizeof last) == 0;
    if (size >= 0 && lseek(fd, 0, SEEK_SET) != 0)
        return false;
    return found;
}

void probe_file(const char *path, const struct probe_request *request, struct probe_result *out)
{
    struct probe p = {.request = request, .out = out};
    bool standard = strcmp(path, "-") == 0;
    *out = (struct probe_result){0};
    int64_t start = clock_mono_ns();
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set(&out->error, "%s: %s", path, strerror(errno));
        return;
    }
    if (request->protocols && request->protocols->n) {
        p.known = true;
        out->format = negotiate_format_of(request->protocols->v[0]);
    } else if (!standard && (str_ends(str_of(path), STR(".om")) || ends_as_openmetrics(fd))) {
        p.known = true;
        out->format = EXPOSITION_OPENMETRICS;
    }
    read_all(&p, fd, standard ? "standard input" : path);
    if (!standard)
        close(fd);
    out->seconds = (double)(clock_mono_ns() - start) / 1e9;
}
