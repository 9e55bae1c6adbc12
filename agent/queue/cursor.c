/* SPDX-License-Identifier: Apache-2.0 */
/* cursor: what one endpoint has delivered, on disk and in memory. */
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

#define MAGIC "OBC2"
#define VERSION 2
#define HEAD_BYTES 192 /* what comes before the windows */
#define WINDOW_BYTES 24
#define BATCH_BYTES 40
#define MAGIC_1 "OBSC"
#define SLOT_1_BYTES 2048
#define HEAD_1_BYTES 40
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

/* ---- what it says ---- */

void cursor_init(struct cursor *c, const char *name)
{
    memset(c, 0, sizeof *c);
    memcpy(c->name, name, strnlen(name, CURSOR_NAME_MAX - 1));
    c->closed_at = CURSOR_OPEN;
    c->windows_n = 1;
}

static bool window_has(const struct cursor_window *w, uint64_t seq, uint32_t lane, uint32_t run)
{
    if (seq < w->from)
        return false;
    return seq < w->to || (run == w->run && lane < CURSOR_LANES_MAX && seq <= w->acked[lane]);
}

bool cursor_delivered(const struct cursor *c, uint64_t seq, uint32_t lane, uint32_t run)
{
    bool delivered = seq <= c->low || seq >= c->closed_at;
    for (size_t i = 0; !delivered && i < c->windows_n; i++)
        delivered = window_has(&c->windows[i], seq, lane, run);
    return delivered;
}

/* The lanes of another run are other lanes. */
void cursor_ack(struct cursor_window *w, uint64_t seq, uint32_t lane, uint32_t run)
{
    if (run != w->run) {
        w->run = run;
        memset(w->acked, 0, sizeof w->acked);
    }
    w->acked[lane] = seq;
}

static uint64_t window_end(const struct cursor_window *w)
{
    uint64_t end = w->to ? w->to - 1 : 0;
    for (size_t i = 0; i < CURSOR_LANES_MAX; i++)
        end = w->acked[i] > end ? w->acked[i] : end;
    return end;
}

uint64_t cursor_highest(const struct cursor *c)
{
    uint64_t highest = c->low;
    for (size_t i = 0; i < c->windows_n; i++) {
        uint64_t end = window_end(&c->windows[i]);
        highest = end > highest ? end : highest;
    }
    if (c->closed_at != CURSOR_OPEN && c->closed_at > highest + 1)
        highest = c->closed_at - 1;
    return highest;
}

struct cursor_window *cursor_add_window(struct cursor *c, uint64_t from, uint64_t to)
{
    size_t n = 1;
    for (size_t i = 1; i < c->windows_n; i++) {
        if (window_end(&c->windows[i]) > c->low) /* else nothing in it is behind `low` */
            c->windows[n++] = c->windows[i];
    }
    c->windows_n = n;
    if (n == CURSOR_WINDOWS_MAX)
        return NULL;
    c->windows[n] = (struct cursor_window){.from = from, .to = to};
    return &c->windows[c->windows_n++];
}

struct cursor_batch *cursor_find_batch(struct cursor *c, uint32_t lane, uint32_t run, uint64_t seq)
{
    for (size_t i = 0; i < c->batches_n; i++) {
        struct cursor_batch *b = &c->batches[i];
        if (b->lane == lane && b->run == run && seq >= b->first && seq <= b->last)
            return b;
    }
    return NULL;
}

void cursor_remove_batch(struct cursor *c, struct cursor_batch *batch)
{
    *batch = c->batches[--c->batches_n];
}

/* ---- reading ---- */

static bool read_slot_1(const uint8_t *p, struct cursor *c)
{
    if (memcmp(p, MAGIC_1, 4) != 0 || bytes_get32(p + 4) != hash_crc32c(0, p + 8, SLOT_1_BYTES - 8))
        return false;
    cursor_init(c, "");
    c->turn = bytes_get64(p + 8);
    c->low = bytes_get64(p + 16);
    c->windows[0].run = bytes_get32(p + 24);
    memcpy(c->name, p + HEAD_1_BYTES, CURSOR_NAME_MAX - 1);
    uint32_t lanes = bytes_get32(p + 28);
    for (uint32_t i = 0; i < lanes && i < CURSOR_LANES_MAX; i++)
        c->windows[0].acked[i] = bytes_get64(p + HEAD_1_BYTES + CURSOR_NAME_MAX + 8 * i);
    return true;
}

static const uint8_t *read_window(const uint8_t *p, uint32_t lanes, struct cursor_window *w)
{
    *w = (struct cursor_window){.from = bytes_get64(p), .to = bytes_get64(p + 8), .run = bytes_get32(p + 16)};
    for (uint32_t i = 0; i < lanes; i++)
        w->acked[i] = bytes_get64(p + WINDOW_BYTES + 8 * i);
    return p + WINDOW_BYTES + 8 * lanes;
}

static size_t strands_bytes(uint32_t strands)
{
    return (4 * (size_t)strands + 7) / 8 * 8;
}

/* The batch at p, and what is behind it; NULL when it does not fit. */
static const uint8_t *read_batch(const uint8_t *p, const uint8_t *end, struct cursor_batch *b)
{
    if (end - p < BATCH_BYTES)
        return NULL;
    *b = (struct cursor_batch){.first = bytes_get64(p), .last = bytes_get64(p + 8), .run = bytes_get32(p + 16),
                               .lane = bytes_get32(p + 20), .blocks = bytes_get32(p + 24),
                               .samples = bytes_get64(p + 32)};
    b->progress.strands = bytes_get32(p + 28);
    if (b->progress.strands > QUEUE_STRANDS_MAX ||
        (size_t)(end - p) < BATCH_BYTES + strands_bytes(b->progress.strands))
        return NULL;
    for (uint32_t i = 0; i < b->progress.strands; i++)
        b->progress.series[i] = bytes_get32(p + BATCH_BYTES + 4 * i);
    return p + BATCH_BYTES + strands_bytes(b->progress.strands);
}

static bool read_lists(const uint8_t *p, const uint8_t *end, struct cursor *c)
{
    uint32_t lanes = bytes_get32(p + 176), windows = bytes_get32(p + 180), batches = bytes_get32(p + 184);
    p += HEAD_BYTES;
    if (lanes > CURSOR_LANES_MAX || windows == 0 || windows > CURSOR_WINDOWS_MAX || batches > CURSOR_BATCHES_MAX ||
        (size_t)(end - p) < windows * (WINDOW_BYTES + 8 * (size_t)lanes))
        return false;
    for (uint32_t i = 0; i < windows; i++)
        p = read_window(p, lanes, &c->windows[i]);
    for (uint32_t i = 0; p && i < batches; i++)
        p = read_batch(p, end, &c->batches[i]);
    c->windows_n = windows;
    c->batches_n = batches;
    return p != NULL;
}

static bool read_slot(const uint8_t *p, struct cursor *c)
{
    uint32_t bytes = bytes_get32(p + 8);
    if (memcmp(p, MAGIC, 4) != 0 || bytes < HEAD_BYTES - 8 || bytes > CURSOR_SLOT_BYTES - 8 ||
        bytes_get32(p + 4) != hash_crc32c(0, p + 8, bytes) || bytes_get32(p + 12) != VERSION)
        return false;
    cursor_init(c, "");
    c->turn = bytes_get64(p + 16);
    c->low = bytes_get64(p + 24);
    c->key = bytes_get64(p + 32);
    c->closed_at = bytes_get64(p + 40);
    memcpy(c->name, p + 48, CURSOR_NAME_MAX - 1);
    return read_lists(p, p + 8 + bytes, c);
}

/* No cursor is written so often; a slot that says so would be the newest for ever, as counting goes round behind it. */
#define TURN_MAX (UINT64_MAX / 2)

/* Takes the slot at p when it is intact and newer than what is there. */
static bool take_newer(bool (*read)(const uint8_t *p, struct cursor *c), const uint8_t *p, bool any, struct cursor *c,
                       struct cursor *scratch)
{
    if (!read(p, scratch) || scratch->turn > TURN_MAX || (any && scratch->turn <= c->turn))
        return false;
    *c = *scratch;
    return true;
}

/* What is there of the two slots; errno, or 0. A device that fails gets a second chance. */
static int read_slots(int fd, uint8_t *file)
{
    size_t n = 0;
    for (int tries = 2; n < 2 * (size_t)CURSOR_SLOT_BYTES;) {
        ssize_t got = pread(fd, file + n, 2 * (size_t)CURSOR_SLOT_BYTES - n, (off_t)n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR && --tries == 0)
            return errno;
        n += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

bool cursor_read(const char *path, struct cursor *c)
{
    cursor_init(c, "");
    int fd = file_open(path);
    if (fd < 0)
        return false;
    uint8_t *file = xcalloc(2, CURSOR_SLOT_BYTES);
    struct cursor *scratch = xmalloc(sizeof *scratch);
    bool any = false;
    int why = read_slots(fd, file);
    if (!why) {
        any |= take_newer(read_slot_1, file, any, c, scratch);
        any |= take_newer(read_slot_1, file + SLOT_1_BYTES, any, c, scratch);
        any |= take_newer(read_slot, file, any, c, scratch);
        any |= take_newer(read_slot, file + CURSOR_SLOT_BYTES, any, c, scratch);
        /* The next slot to be written must not be the one over both of the first version. */
        if (any && memcmp(file + CURSOR_SLOT_BYTES, MAGIC, 4) != 0)
            c->turn += c->turn % 2;
    }
    close(fd);
    free(scratch);
    free(file);
    errno = why ? why : EBADMSG;
    return any;
}

/* ---- writing ---- */

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

/* How many lanes have numbers in them. */
static uint32_t lanes_in_use(const struct cursor *c)
{
    uint32_t lanes = 0;
    for (size_t i = 0; i < c->windows_n; i++) {
        for (uint32_t k = lanes; k < CURSOR_LANES_MAX; k++)
            lanes = c->windows[i].acked[k] ? k + 1 : lanes;
    }
    return lanes;
}

static uint8_t *put_window(uint8_t *p, const struct cursor_window *w, uint32_t lanes)
{
    bytes_put64(p, w->from);
    bytes_put64(p + 8, w->to);
    bytes_put32(p + 16, w->run);
    for (uint32_t i = 0; i < lanes; i++)
        bytes_put64(p + WINDOW_BYTES + 8 * i, w->acked[i]);
    return p + WINDOW_BYTES + 8 * lanes;
}

static uint8_t *put_batch(uint8_t *p, const struct cursor_batch *b)
{
    bytes_put64(p, b->first);
    bytes_put64(p + 8, b->last);
    bytes_put32(p + 16, b->run);
    bytes_put32(p + 20, b->lane);
    bytes_put32(p + 24, b->blocks);
    bytes_put32(p + 28, b->progress.strands);
    bytes_put64(p + 32, b->samples);
    for (uint32_t i = 0; i < b->progress.strands; i++)
        bytes_put32(p + BATCH_BYTES + 4 * i, b->progress.series[i]);
    return p + BATCH_BYTES + strands_bytes(b->progress.strands);
}

/* The windows that have room: with more than a hundred lanes not all do. What is left out would be sent twice after a
   crash. */
static uint32_t windows_that_fit(const struct cursor *c, uint32_t lanes)
{
    size_t fit = (CURSOR_SLOT_BYTES - HEAD_BYTES) / (WINDOW_BYTES + 8 * (size_t)lanes);
    return (uint32_t)(c->windows_n < fit ? c->windows_n : fit);
}

void cursor_encode(struct cursor *c, struct buf *out)
{
    uint32_t lanes = lanes_in_use(c), windows = windows_that_fit(c, lanes), batches = 0;
    buf_clear(out);
    uint8_t *slot = (uint8_t *)buf_reserve(out, CURSOR_SLOT_BYTES);
    memset(slot, 0, CURSOR_SLOT_BYTES);
    uint8_t *p = slot + HEAD_BYTES, *end = slot + CURSOR_SLOT_BYTES;
    for (uint32_t i = 0; i < windows; i++)
        p = put_window(p, &c->windows[i], lanes);
    for (; batches < c->batches_n && end - p > (ptrdiff_t)(BATCH_BYTES + strands_bytes(QUEUE_STRANDS_MAX)); batches++)
        p = put_batch(p, &c->batches[batches]);
    c->turn++;
    memcpy(slot, MAGIC, 4);
    uint32_t bytes = (uint32_t)(p - slot - 8);
    bytes_put32(slot + 8, bytes);
    bytes_put32(slot + 12, VERSION);
    bytes_put64(slot + 16, c->turn);
    bytes_put64(slot + 24, c->low);
    bytes_put64(slot + 32, c->key);
    bytes_put64(slot + 40, c->closed_at);
    memcpy(slot + 48, c->name, CURSOR_NAME_MAX - 1);
    bytes_put32(slot + 176, lanes);
    bytes_put32(slot + 180, windows);
    bytes_put32(slot + 184, batches);
    bytes_put32(slot + 4, hash_crc32c(0, slot + 8, bytes));
    out->n = (size_t)(p - slot);
}

bool cursor_put(int fd, uint64_t turn, struct str slot)
{
    return pwrite(fd, slot.p, slot.n, (off_t)(turn % 2 * CURSOR_SLOT_BYTES)) == (ssize_t)slot.n;
}

bool cursor_write(int fd, struct cursor *c)
{
    struct buf slot;
    buf_init(&slot, CURSOR_SLOT_BYTES);
    cursor_encode(c, &slot);
    bool ok = cursor_put(fd, c->turn, buf_str(&slot));
    buf_free(&slot);
    return ok;
}
