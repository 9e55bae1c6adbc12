/* SPDX-License-Identifier: Apache-2.0 */
/* failure_log: failed scrapes as lines of JSON. */
#include "failure_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#define LINE_MAX_BYTES 16384

static void add_json(struct buf *out, struct str s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c < 0x20)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_char(out, '"');
}

void failure_log_write(const char *path, const struct target *t, int64_t wall_ms, const char *why)
{
    struct buf line;
    char time[32];
    clock_format_rfc3339(wall_ms, time);
    buf_init(&line, LINE_MAX_BYTES);
    buf_addf(&line, "{\"time\":\"%s\",\"level\":\"ERROR\",\"msg\":", time);
    add_json(&line, str_of(why));
    buf_add_c(&line, ",\"job_name\":");
    add_json(&line, t->job);
    buf_add_c(&line, ",\"target\":");
    add_json(&line, str_of(target_shown_url(t)));
    buf_add_c(&line, "}\n");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
    bool good =
        fd >= 0 && write(fd, line.p, line.n) == (ssize_t)line.n; /* one write, so that lines stay whole */
    if (!good)
        log_throttled(hash_bytes(path, strlen(path)), LOG_ERROR, "scrape", "scrape_failure_log_file %s: %s",
                      path, strerror(errno));
    if (fd >= 0)
        close(fd);
    buf_free(&line);
}
