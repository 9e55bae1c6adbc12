/* SPDX-License-Identifier: Apache-2.0 */
/* cursor: what one endpoint has delivered, on disk. */
#include "cursor.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC "OBSC"
#define SLOT_BYTES 2048
#define HEAD_BYTES 40
#define PREFIX "cursor-"
#define HASHED PREFIX "~"
#define FILE_NAME_MAX 200 /* a file's name has 255 bytes at most */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

char *cursor_path(const char *dir, const char *name)
{
    struct buf b;
    buf_init(&b, 4096 + strlen(dir));
    buf_addf(&b, "%s/" PREFIX, dir);
    size_t start = b.n;
    for (const char *p = name; *p; p++) {
        if (is_plain(*p))
            buf_add_char(&b, *p);
        else
            buf_addf(&b, "%%%02x", (unsigned char)*p);
    }
    if (b.n - start <= FILE_NAME_MAX)
        return buf_take(&b);
    buf_clear(&b);
    buf_addf(&b, "%s/" HASHED "%016llx", dir, (unsigned long long)hash_bytes(name, strlen(name)));
    return buf_take(&b);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool cursor_name_of(const char *file_name, char out[CURSOR_NAME_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    if (strncmp(file_name, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    if (strncmp(file_name, HASHED, sizeof HASHED - 1) == 0)
        return strlen(file_name) == sizeof HASHED - 1 + 16;
    for (const char *p = file_name + sizeof PREFIX - 1; *p; p++) {
        char c = *p;
        if (c == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0 || high + low == 0)
                return false;
            c = (char)(high << 4 | low);
            p += 2;
        } else if (!is_plain(c)) {
            return false;
        }
        if (n + 1 >= CURSOR_NAME_MAX)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

bool cursor_is_name(const char *file_name)
{
    char name[CURSOR_NAME_MAX];
    return cursor_name_of(file_name, name);
}

static bool read_slot(const uint8_t *p, struct cursor *c)
{
    if (memcmp(p, MAGIC, 4) != 0 || bytes_get32(p + 4) != hash_crc32c(0, p + 8, SLOT_BYTES - 8))
        return false;
    *c = (struct cursor){.turn = bytes_get64(p + 8), .low = bytes_get64(p + 16),
                         .run = bytes_get32(p + 24)};
    memcpy(c->name, p + HEAD_BYTES, CURSOR_NAME_MAX - 1);
    uint32_t lanes = bytes_get32(p + 28);
    for (uint32_t i = 0; i < lanes && i < CURSOR_LANES_MAX; i++)
        c->acked[i] = bytes_get64(p + HEAD_BYTES + CURSOR_NAME_MAX + 8 * i);
    return true;
}

bool cursor_read(const char *path, struct cursor *c)
{
    uint8_t file[2 * SLOT_BYTES] = {0};
    struct cursor slots[2];
    *c = (struct cursor){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, file, sizeof file, 0);
    close(fd);
    bool good[2] = {n > 0 && read_slot(file, &slots[0]),
                    n > SLOT_BYTES && read_slot(file + SLOT_BYTES, &slots[1])};
    if (!good[0] && !good[1])
        return false;
    *c = good[0] && (!good[1] || slots[0].turn > slots[1].turn) ? slots[0] : slots[1];
    return true;
}

static bool sync_directory_of(const char *path)
{
    char *dir = file_dir(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return ok;
}

int cursor_open(const char *path, bool *created, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    *created = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        err_set(err, "cannot open %s: %s", path, strerror(errno));
    else if (*created && !sync_directory_of(path))
        err_set(err, "cannot sync the directory of %s", path); /* it works until the power is cut */
    return fd;
}

bool cursor_write(int fd, struct cursor *c)
{
    uint8_t slot[SLOT_BYTES] = {0};
    c->turn++;
    memcpy(slot, MAGIC, 4);
    bytes_put64(slot + 8, c->turn);
    bytes_put64(slot + 16, c->low);
    bytes_put32(slot + 24, c->run);
    bytes_put32(slot + 28, CURSOR_LANES_MAX);
    memcpy(slot + HEAD_BYTES, c->name, CURSOR_NAME_MAX - 1);
    for (size_t i = 0; i < CURSOR_LANES_MAX; i++)
        bytes_put64(slot + HEAD_BYTES + CURSOR_NAME_MAX + 8 * i, c->acked[i]);
    bytes_put32(slot + 4, hash_crc32c(0, slot + 8, SLOT_BYTES - 8));
    return pwrite(fd, slot, sizeof slot, (off_t)(c->turn % 2 * SLOT_BYTES)) == SLOT_BYTES;
}

bool cursor_delivered(const struct cursor *c, uint64_t seq, uint32_t lane, uint32_t run)
{
    return seq <= c->low || (run == c->run && lane < CURSOR_LANES_MAX && seq <= c->acked[lane]);
}
