/* SPDX-License-Identifier: Apache-2.0 */
/* segment: the bytes of the log: encoding records, checking and reading them back, finding the next good
   one. */
#include "segment.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "bytes.h"
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define SEGMENT_MAGIC "OBSQSEG\n"
#define RECORD_MAGIC "OBSR"
#define FLAG_ZSTD 1u
#define FLAG_HOLDS_SHIFT 1 /* the bits of block.holds */
#define FLAG_HOLDS_MASK 7u
#define FLAG_COUNTED 128u
#define BEFORE_SHIFT 8
#define BEFORE_MAX (UINT32_MAX >> BEFORE_SHIFT)
#define RESYNC_CHUNK 65536
#define PAGE ((size_t)4096)

/* What is there of the range; -1 and errno when the disk fails, also the second time. */
static ssize_t read_some(int fd, uint64_t offset, void *out, size_t n)
{
    size_t done = 0;
    for (int tries = 2; done < n;) {
        ssize_t got = pread(fd, (char *)out + done, n - done, (off_t)(offset + done));
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR && --tries == 0)
            return -1;
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

/* The whole range or nothing; errno is EBADMSG when the file ends before it. */
static bool read_at(int fd, uint64_t offset, void *out, size_t n)
{
    ssize_t got = read_some(fd, offset, out, n);
    if (got >= 0)
        errno = EBADMSG;
    return got == (ssize_t)n;
}

bool segment_is_name(const char *file_name)
{
    struct str s = str_of(file_name);
    return str_starts(s, STR(SEGMENT_PREFIX)) && str_ends(s, STR(SEGMENT_SUFFIX));
}

/* ---- segment header ---- */

static uint32_t segment_crc(const uint8_t *h)
{
    return hash_crc32c(hash_crc32c(0, h, 12), h + 16, SEGMENT_HEADER_BYTES - 16);
}

void segment_header(uint64_t first_seq, struct buf *out)
{
    uint8_t h[SEGMENT_HEADER_BYTES] = {0};
    memcpy(h, SEGMENT_MAGIC, 8);
    bytes_put32(h + 8, SEGMENT_VERSION);
    bytes_put64(h + 16, first_seq);
    bytes_put64(h + 24, (uint64_t)clock_wall_ms());
    bytes_put32(h + 12, segment_crc(h));
    buf_add(out, h, sizeof h);
}

static bool is_begun(const uint8_t *h, size_t n)
{
    static const uint8_t zeros[SEGMENT_HEADER_BYTES];
    return memcmp(h, SEGMENT_MAGIC, n < 8 ? n : 8) == 0 || memcmp(h, zeros, n) == 0;
}

enum segment_kind segment_check(int fd)
{
    uint8_t h[SEGMENT_HEADER_BYTES];
    ssize_t n = read_some(fd, 0, h, sizeof h);
    if (n < 0)
        return SEGMENT_FAILED;
    if (n < SEGMENT_HEADER_BYTES)
        return is_begun(h, (size_t)n) ? SEGMENT_EMPTY : SEGMENT_FOREIGN;
    if (memcmp(h, SEGMENT_MAGIC, 8) != 0)
        return SEGMENT_FOREIGN;
    if (bytes_get32(h + 12) != segment_crc(h))
        return SEGMENT_DAMAGED;
    return bytes_get32(h + 8) > SEGMENT_VERSION ? SEGMENT_NEWER : SEGMENT_GOOD;
}

/* ---- records, out ---- */

static void add_jobs(const struct block *b, struct buf *out)
{
    for (size_t i = 0; i < b->jobs_n; i++) {
        uint8_t h[6];
        size_t n = b->jobs[i].name.n < UINT16_MAX ? b->jobs[i].name.n : UINT16_MAX;
        bytes_put32(h, b->jobs[i].samples);
        h[4] = (uint8_t)n;
        h[5] = (uint8_t)(n >> 8);
        buf_add(out, h, sizeof h);
        buf_add(out, b->jobs[i].name.p, n);
    }
}

/* Compresses into scratch; false when that gains nothing. */
static bool compress(const struct block *b, struct buf *scratch)
{
    buf_clear(scratch);
    size_t bound = ZSTD_compressBound(b->size);
    char *room = buf_reserve(scratch, bound);
    size_t n = room ? ZSTD_compress(room, bound, b->data, b->size, PACK_ZSTD_LEVEL) : b->size;
    if (ZSTD_isError(n) || n >= b->size)
        return false;
    scratch->n = n;
    return true;
}

static uint32_t flags_of(const struct block *b, bool zstd, uint64_t before)
{
    uint32_t flags = (zstd ? FLAG_ZSTD : 0) | b->holds << FLAG_HOLDS_SHIFT;
    return before <= BEFORE_MAX ? flags | FLAG_COUNTED | (uint32_t)before << BEFORE_SHIFT : flags;
}

void segment_encode(const struct block *b, uint32_t run, uint64_t before, struct buf *scratch, struct buf *out)
{
    size_t start = out->n;
    struct str payload = str_make((const char *)b->data, b->size);
    bool zstd = b->raw_size > 0;
    size_t raw_size = zstd ? b->raw_size : b->size;
    if (!zstd && compress(b, scratch)) {
        zstd = true;
        payload = buf_str(scratch);
    }
    uint8_t empty[RECORD_HEADER_BYTES] = {0};
    buf_add(out, empty, sizeof empty);
    add_jobs(b, out);
    size_t jobs_bytes = out->n - start - RECORD_HEADER_BYTES;
    uint8_t *h = (uint8_t *)out->p + start;
    memcpy(h, RECORD_MAGIC, 4);
    bytes_put64(h + 8, b->seq);
    bytes_put32(h + 16, b->lane);
    bytes_put32(h + 20, run);
    bytes_put32(h + 24, flags_of(b, zstd, before));
    bytes_put32(h + 28, b->series);
    bytes_put32(h + 32, b->samples);
    bytes_put32(h + 36, (uint32_t)jobs_bytes);
    bytes_put32(h + 40, (uint32_t)payload.n);
    bytes_put32(h + 44, (uint32_t)raw_size);
    bytes_put32(h + 48, hash_crc32c(0, payload.p, payload.n));
    bytes_put32(h + 52, hash_crc32c(0, h + RECORD_HEADER_BYTES, jobs_bytes));
    bytes_put64(h + 56, (uint64_t)b->min_ts_ms);
    bytes_put64(h + 64, (uint64_t)b->max_ts_ms);
    bytes_put64(h + 72, (uint64_t)b->sealed_wall_ms);
    bytes_put32(h + 4, hash_crc32c(0, h + 8, RECORD_HEADER_BYTES - 8));
    buf_add_str(out, payload);
}

/* ---- records, in ---- */

static void parse_header(const uint8_t *h, struct record *r)
{
    *r = (struct record){
        .seq = bytes_get64(h + 8),
        .lane = bytes_get32(h + 16),
        .run = bytes_get32(h + 20),
        .compressed = (bytes_get32(h + 24) & FLAG_ZSTD) != 0,
        .counted = (bytes_get32(h + 24) & FLAG_COUNTED) != 0,
        .before = bytes_get32(h + 24) >> BEFORE_SHIFT,
        .holds = bytes_get32(h + 24) >> FLAG_HOLDS_SHIFT & FLAG_HOLDS_MASK,
        .series = bytes_get32(h + 28),
        .samples = bytes_get32(h + 32),
        .jobs_bytes = bytes_get32(h + 36),
        .stored_bytes = bytes_get32(h + 40),
        .raw_bytes = bytes_get32(h + 44),
        .payload_crc = bytes_get32(h + 48),
        .jobs_crc = bytes_get32(h + 52),
        .min_ts_ms = (int64_t)bytes_get64(h + 56),
        .max_ts_ms = (int64_t)bytes_get64(h + 64),
        .sealed_wall_ms = (int64_t)bytes_get64(h + 72),
    };
    r->size = (uint64_t)RECORD_HEADER_BYTES + r->jobs_bytes + r->stored_bytes;
}

/* A lane that no block can have would never be delivered: such a record is none. */
static bool plausible(const struct record *r)
{
    return r->lane < BLOCK_LANES_MAX && r->jobs_bytes <= RECORD_JOBS_MAX &&
           r->stored_bytes <= RECORD_PAYLOAD_MAX && r->raw_bytes <= RECORD_PAYLOAD_MAX;
}

static bool is_header(const uint8_t *h)
{
    return memcmp(h, RECORD_MAGIC, 4) == 0 &&
           hash_crc32c(0, h + 8, RECORD_HEADER_BYTES - 8) == bytes_get32(h + 4);
}

/* Turns the one bit back that is wrong. No two headers differ in so few bits that this could make one into another: the
   CRC tells four of them apart at this length. Only where a header is expected. */
static bool mend_header(uint8_t *h)
{
    for (size_t bit = 0; bit < 8 * RECORD_HEADER_BYTES; bit++) {
        h[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (is_header(h))
            return true;
        h[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return false;
}

static bool read_header(int fd, uint64_t offset, struct record *r)
{
    uint8_t h[RECORD_HEADER_BYTES];
    *r = (struct record){0};
    if (!read_at(fd, offset, h, sizeof h))
        return false;
    errno = EBADMSG;
    bool intact = is_header(h);
    if (!intact && !mend_header(h))
        return false;
    parse_header(h, r);
    r->mended = !intact;
    r->offset = offset;
    return plausible(r);
}

/* The next place at or behind `from` where an intact header begins; the end of the file otherwise. */
static uint64_t resync(int fd, uint64_t from, uint64_t end)
{
    uint8_t chunk[RESYNC_CHUNK];
    size_t max = sizeof chunk;
    while (from + RECORD_HEADER_BYTES <= end) {
        size_t n = end - from < max ? (size_t)(end - from) : max;
        if (!read_at(fd, from, chunk, n)) { /* page by page around a place that cannot be read */
            from = max == PAGE ? (from / PAGE + 1) * PAGE : from;
            max = PAGE;
            continue;
        }
        size_t last = n - RECORD_HEADER_BYTES;
        for (size_t i = 0; i <= last; i++) {
            const uint8_t *hit = memmem(chunk + i, last - i + 4, RECORD_MAGIC, 4);
            if (!hit)
                break;
            i = (size_t)(hit - chunk);
            if (is_header(hit))
                return from + i;
        }
        from += last + 1;
    }
    return end;
}

enum segment_step segment_next(int fd, uint64_t *offset, struct record *r)
{
    struct stat st;
    uint64_t end = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    if (*offset >= end)
        return STEP_END;
    bool known = read_header(fd, *offset, r);
    if (known && r->size <= end - *offset) {
        *offset += r->size;
        return STEP_RECORD;
    }
    r->offset = *offset;
    *offset = resync(fd, *offset + 1, end);
    return known ? STEP_TORN : STEP_CORRUPT;
}

static bool parse_jobs(const uint8_t *p, size_t n, struct block_job **v, size_t *jobs)
{
    size_t cap = 0;
    *v = NULL;
    *jobs = 0;
    while (n >= 6) {
        size_t name = (size_t)p[4] | (size_t)p[5] << 8;
        if (name > n - 6)
            return false;
        *v = xgrow(*v, &cap, *jobs + 1, sizeof **v);
        (*v)[(*jobs)++] = (struct block_job){str_make((const char *)p + 6, name), bytes_get32(p)};
        p += 6 + name;
        n -= 6 + name;
    }
    return n == 0;
}

/* The table with its names behind it, in the one allocation that block_unref frees. */
static struct block_job *own_jobs(const struct block_job *v, size_t n)
{
    size_t names = 0;
    for (size_t i = 0; i < n; i++)
        names += v[i].name.n;
    struct block_job *out = xmalloc(n * sizeof *out + names);
    char *at = (char *)(out + n);
    for (size_t i = 0; i < n; i++) {
        memcpy(at, v[i].name.p, v[i].name.n);
        out[i] = (struct block_job){str_make(at, v[i].name.n), v[i].samples};
        at += v[i].name.n;
    }
    return out;
}

static bool counts_all(const struct block_job *v, size_t n, uint32_t samples)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i].samples;
    return sum == samples;
}

/* The record's job table into b. A damaged one costs the names, not the samples. False when the disk
   fails. */
static bool read_jobs(int fd, const struct record *r, struct block *b)
{
    uint8_t *table = xmalloc(r->jobs_bytes);
    struct block_job *views = NULL, nameless = {STR(""), r->samples};
    size_t n = 0;
    bool read = read_at(fd, r->offset + RECORD_HEADER_BYTES, table, r->jobs_bytes);
    bool good = read && hash_crc32c(0, table, r->jobs_bytes) == r->jobs_crc &&
                parse_jobs(table, r->jobs_bytes, &views, &n) && counts_all(views, n, r->samples);
    b->jobs = good ? own_jobs(views, n) : own_jobs(&nameless, 1);
    b->jobs_n = good ? n : 1;
    int why = errno;
    free(views);
    free(table);
    errno = why;
    return read || why == EBADMSG;
}

/* The record without its payload; NULL with errno. */
static struct block *read_head(int fd, uint64_t offset, struct record *r)
{
    if (!read_header(fd, offset, r))
        return NULL;
    struct block *b = xcalloc(1, sizeof *b);
    *b = (struct block){.refs = 1, .seq = r->seq, .lane = r->lane, .series = r->series, .samples = r->samples,
                        .min_ts_ms = r->min_ts_ms, .max_ts_ms = r->max_ts_ms,
                        .sealed_wall_ms = r->sealed_wall_ms, .holds = r->holds};
    if (!read_jobs(fd, r, b)) {
        int why = errno;
        block_unref(b);
        errno = why;
        return NULL;
    }
    return b;
}

struct block *segment_read_jobs(int fd, uint64_t offset)
{
    struct record r;
    return read_head(fd, offset, &r);
}

/* Moves the payload into b, unpacked; takes it over in any case. False with errno. */
static bool unpack(const struct record *r, uint8_t *payload, struct block *b)
{
    errno = EBADMSG;
    if (!r->compressed) {
        b->data = payload;
        b->size = r->stored_bytes;
        return r->stored_bytes == r->raw_bytes;
    }
    /* The frame says how much it holds: no memory for what is not there. */
    if (ZSTD_getFrameContentSize(payload, r->stored_bytes) != r->raw_bytes) {
        free(payload);
        errno = EBADMSG;
        return false;
    }
    b->data = xmalloc(r->raw_bytes);
    b->size = r->raw_bytes;
    bool good = pack_unzip(b->data, r->raw_bytes, payload, r->stored_bytes);
    int why = errno;
    free(payload);
    errno = why;
    return good;
}

/* The payload, checked; NULL with errno. */
static uint8_t *read_payload(int fd, const struct record *r)
{
    uint8_t *payload = xmalloc(r->stored_bytes);
    bool read = read_at(fd, r->offset + RECORD_HEADER_BYTES + r->jobs_bytes, payload, r->stored_bytes);
    int why = read ? EBADMSG : errno;
    if (read && hash_crc32c(0, payload, r->stored_bytes) == r->payload_crc)
        return payload;
    free(payload);
    errno = why;
    return NULL;
}

struct block *segment_read(int fd, uint64_t offset, struct err *err)
{
    struct record r;
    struct block *b = read_head(fd, offset, &r);
    uint8_t *payload = b ? read_payload(fd, &r) : NULL;
    int why = errno;
    if (payload && unpack(&r, payload, b))
        return b;
    if (payload)
        why = errno;
    err_set(err, "the record at byte %llu %s", (unsigned long long)offset,
            why == EBADMSG ? "is damaged" : strerror(why));
    block_unref(b);
    errno = why;
    return NULL;
}
