/* SPDX-License-Identifier: Apache-2.0 */
/* load: both ends of the benchmark: one cheap server that answers every GET with a page of series and counts the
   samples of every remote-write POST. Pages are made once, plain and gzipped, in a few variants that each connection
   is served in turn, so that values change. It listens on all addresses: targets spread over 127.0.0.0/8 have
   connections of their own to it. Run it twice, as targets and as receiver, so that neither waits for the other.

   Counting walks the message without building anything: a row of the benchmark says nothing when part of the samples
   never arrived, and bytes alone cannot tell.

   usage: load PORT SERIES      GET /stats tells what it has seen, as JSON */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define VARIANTS 8
#define SERIES_PER_FAMILY 20
#define READ_BYTES (256 * 1024)
#define HEAD_MAX 8192
#define EVENTS 256
#define BODY_MAX (64u << 20)
#define STALE_BITS 0x7ff0000000000002u

enum encoding { ENCODING_SNAPPY, ENCODING_ZSTD };

struct page {
    struct buf plain, gzip; /* whole responses, head included */
};

struct connection {
    int fd;
    char head[HEAD_MAX];
    size_t head_n;
    struct buf body;    /* of a POST, as it came */
    uint64_t body_left; /* of it */
    enum encoding encoding;
    bool rw2;
    const char *out;
    size_t out_n;
    unsigned served;
};

struct server {
    int epoll, listener;
    struct page pages[VARIANTS];
    struct buf raw; /* the last body, decompressed */
    uint64_t connections, gets, posts, post_bytes, bad_posts, samples, stale;
    char answer[512];
};

/* ---- pages ---- */

static void add_family(struct buf *b, unsigned family, unsigned from, unsigned to, unsigned variant)
{
    static const char *const METHODS[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const BOUNDS[] = {"0.005", "0.05", "0.25", "1", "+Inf"};
    buf_addf(b, "# HELP app_requests_%03u_duration_seconds Time that requests of group %u took.\n", family, family);
    buf_addf(b, "# TYPE app_requests_%03u_duration_seconds gauge\n", family);
    for (unsigned i = from; i < to; i++) {
        uint64_t value = (uint64_t)(i + 1) * 7919 + (i % 3 ? variant * 131 : 0);
        buf_addf(b, "app_requests_%03u_duration_seconds{route=\"/api/v1/items/%02u\",", family, i % 50);
        buf_addf(b, "method=\"%s\",status=\"200\",le=\"%s\"} ", METHODS[i % 4], BOUNDS[i % 5]);
        if (i % 4 == 0)
            buf_addf(b, "%.6f\n", (double)value / 1000);
        else
            buf_addf(b, "%llu\n", (unsigned long long)value);
    }
}

static void make_text(struct buf *b, unsigned series, unsigned variant)
{
    for (unsigned from = 0, family = 0; from < series; from += SERIES_PER_FAMILY, family++) {
        unsigned to = from + SERIES_PER_FAMILY < series ? from + SERIES_PER_FAMILY : series;
        add_family(b, family, from, to, variant);
    }
}

static void add_head(struct buf *b, size_t n, const char *encoding)
{
    buf_add_c(b, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    buf_addf(b, "%sContent-Length: %zu\r\n\r\n", encoding, n);
}

static void gzip_text(const struct buf *text, struct buf *out)
{
    z_stream z = {0};
    size_t bound = compressBound((uLong)text->n) + 64;
    char *room = xmalloc(bound);
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_in = (Bytef *)text->p;
    z.avail_in = (uInt)text->n;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)bound;
    deflate(&z, Z_FINISH);
    add_head(out, z.total_out, "Content-Encoding: gzip\r\n");
    buf_add(out, room, z.total_out);
    deflateEnd(&z);
    free(room);
}

static void make_pages(struct server *s, unsigned series)
{
    for (unsigned i = 0; i < VARIANTS; i++) {
        struct buf text;
        buf_init(&text, SIZE_MAX / 2);
        buf_init(&s->pages[i].plain, SIZE_MAX / 2);
        buf_init(&s->pages[i].gzip, SIZE_MAX / 2);
        make_text(&text, series, i);
        add_head(&s->pages[i].plain, text.n, "");
        buf_add_str(&s->pages[i].plain, buf_str(&text));
        gzip_text(&text, &s->pages[i].gzip);
        buf_free(&text);
    }
}

/* ---- counting what arrives ---- */

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t read_varint(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; c->p < c->end && shift < 64; shift += 7) {
        uint8_t byte = *c->p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    c->bad = true;
    return 0;
}

/* The next field: its number, and what is in it when it is a message or a fixed64. 0 at the end or when broken. */
static uint64_t read_field(struct cursor *c, struct cursor *inner)
{
    static const uint64_t FIXED[] = {[1] = 8, [5] = 4};
    if (c->p >= c->end)
        return 0;
    uint64_t tag = read_varint(c), type = tag & 7;
    *inner = (struct cursor){0};
    if (type == 0) {
        read_varint(c);
        return c->bad ? 0 : tag >> 3;
    }
    uint64_t n = type == 2 ? read_varint(c) : type == 1 || type == 5 ? FIXED[type] : UINT64_MAX;
    if (c->bad || n > (uint64_t)(c->end - c->p)) {
        c->bad = true;
        return 0;
    }
    *inner = (struct cursor){c->p, c->p + n, false};
    c->p += n;
    return tag >> 3;
}

static void count_series(struct server *s, struct cursor series)
{
    struct cursor sample, value;
    for (uint64_t field; (field = read_field(&series, &sample));) {
        if (field != 2)
            continue;
        uint64_t bits = 0;
        while ((field = read_field(&sample, &value))) {
            if (field == 1 && value.end - value.p == 8)
                memcpy(&bits, value.p, 8);
        }
        if (bits == STALE_BITS)
            s->stale++;
        else
            s->samples++;
    }
}

/* Samples are field 2 of a series in both versions; series are field 1 of version 1 and field 5 of version 2. */
static bool count_request(struct server *s, struct str body, bool rw2)
{
    struct cursor c = {(const uint8_t *)body.p, (const uint8_t *)body.p + body.n, false}, series;
    for (uint64_t field; (field = read_field(&c, &series));) {
        if (field == (rw2 ? 5 : 1))
            count_series(s, series);
    }
    return !c.bad;
}

static bool decompress(struct buf *out, struct str in, enum encoding encoding)
{
    size_t n = 0;
    buf_clear(out);
    if (encoding == ENCODING_SNAPPY) {
        if (snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK || !buf_reserve(out, n + 1))
            return false;
        out->n = n;
        return snappy_uncompress(in.p, in.n, out->p, &out->n) == SNAPPY_OK;
    }
    unsigned long long size = ZSTD_getFrameContentSize(in.p, in.n);
    if (size > BODY_MAX)
        size = BODY_MAX - 1; /* not known, or broken: then decompressing fails */
    if (!buf_reserve(out, (size_t)size + 1))
        return false;
    n = ZSTD_decompress(out->p, (size_t)size, in.p, in.n);
    out->n = ZSTD_isError(n) ? 0 : n;
    return !ZSTD_isError(n);
}

/* ---- connections ---- */

static void watch(struct server *s, struct connection *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(s->epoll, op, c->fd, &e);
}

static void drop(struct connection *c)
{
    close(c->fd);
    buf_free(&c->body);
    free(c);
}

static void accept_all(struct server *s)
{
    for (int fd; (fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int one = 1;
        struct connection *c = xcalloc(1, sizeof *c);
        c->fd = fd;
        buf_init(&c->body, BODY_MAX);
        s->connections++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(s, c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Value of a header, in lower case head; empty when absent. */
static struct str header(struct str head, const char *name)
{
    size_t at = str_find(head, str_of(name));
    struct str rest = str_skip(head, at + strlen(name));
    return str_trim(str_make(rest.p, at < head.n ? str_find_char(rest, '\r') : 0));
}

static void answer_stats(struct server *s, struct connection *c)
{
    char body[384];
    int n = snprintf(body, sizeof body,
                     "{\"connections\":%llu,\"gets\":%llu,\"posts\":%llu,\"post_bytes\":%llu,\"bad_posts\":%llu,"
                     "\"samples\":%llu,\"stale\":%llu}\n",
                     (unsigned long long)s->connections, (unsigned long long)s->gets, (unsigned long long)s->posts,
                     (unsigned long long)s->post_bytes, (unsigned long long)s->bad_posts,
                     (unsigned long long)s->samples, (unsigned long long)s->stale);
    int m = snprintf(s->answer, sizeof s->answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, body);
    c->out = s->answer;
    c->out_n = (size_t)m;
}

static void answer_get(struct server *s, struct connection *c, struct str head)
{
    if (str_starts(head, STR("get /stats"))) {
        answer_stats(s, c);
        return;
    }
    struct str accepted = header(head, "\r\naccept-encoding:");
    const struct page *page = &s->pages[c->served++ % VARIANTS];
    const struct buf *b = str_find(accepted, STR("gzip")) < accepted.n ? &page->gzip : &page->plain;
    s->gets++;
    c->out = b->p;
    c->out_n = b->n;
}

/* A whole body is there. Senders of version 2 fall back to version 1 when nobody confirms what was written. */
static void answer_post(struct server *s, struct connection *c)
{
    static const char DONE[] = "HTTP/1.1 204 No Content\r\n\r\n";
    static const char DONE_RW2[] = "HTTP/1.1 204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: 1\r\n"
                                   "X-Prometheus-Remote-Write-Histograms-Written: 0\r\n"
                                   "X-Prometheus-Remote-Write-Exemplars-Written: 0\r\n\r\n";
    static const char BAD[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    bool good = decompress(&s->raw, buf_str(&c->body), c->encoding) && count_request(s, buf_str(&s->raw), c->rw2);
    s->posts++;
    s->post_bytes += c->body.n;
    s->bad_posts += !good;
    c->out = !good ? BAD : c->rw2 ? DONE_RW2 : DONE;
    c->out_n = !good ? sizeof BAD - 1 : c->rw2 ? sizeof DONE_RW2 - 1 : sizeof DONE - 1;
}

static bool take_body(struct server *s, struct connection *c, const char *p, uint64_t n)
{
    n = n < c->body_left ? n : c->body_left;
    if (!buf_add(&c->body, p, (size_t)n))
        return false;
    c->body_left -= n;
    if (c->body_left == 0)
        answer_post(s, c);
    return true;
}

/* A whole request head is there; what came behind it belongs to the body. False when it makes no sense. */
static bool take_request(struct server *s, struct connection *c, size_t head_n)
{
    size_t extra = c->head_n - head_n;
    for (size_t i = 0; i < head_n; i++) {
        if (c->head[i] >= 'A' && c->head[i] <= 'Z')
            c->head[i] |= 0x20;
    }
    struct str head = str_make(c->head, head_n), type = header(head, "\r\ncontent-type:");
    c->head_n = 0;
    if (str_starts(head, STR("get "))) {
        answer_get(s, c, head);
        return true;
    }
    if (!units_parse_u64(header(head, "\r\ncontent-length:"), &c->body_left) || c->body_left == 0)
        return false;
    c->encoding = str_eq(header(head, "\r\ncontent-encoding:"), STR("zstd")) ? ENCODING_ZSTD : ENCODING_SNAPPY;
    c->rw2 = str_find(type, STR("io.prometheus.write.v2")) < type.n;
    buf_clear(&c->body);
    return take_body(s, c, c->head + head_n, extra);
}

/* False when the connection is over. */
static bool send_out(struct server *s, struct connection *c)
{
    while (c->out_n) {
        ssize_t n = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(s, c, EPOLL_CTL_MOD, EPOLLOUT);
            return true;
        }
        if (n <= 0)
            return false;
        c->out += n;
        c->out_n -= (size_t)n;
    }
    watch(s, c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static bool take_bytes(struct server *s, struct connection *c)
{
    static char chunk[READ_BYTES];
    ssize_t n = recv(c->fd, chunk, c->body_left ? sizeof chunk : HEAD_MAX - c->head_n, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (c->body_left) {
        if (!take_body(s, c, chunk, (uint64_t)n))
            return false;
    } else {
        memcpy(c->head + c->head_n, chunk, (size_t)n);
        c->head_n += (size_t)n;
        size_t end = str_find(str_make(c->head, c->head_n), STR("\r\n\r\n"));
        if (end < c->head_n ? !take_request(s, c, end + 4) : c->head_n == HEAD_MAX)
            return false;
    }
    return c->out_n == 0 || send_out(s, c);
}

static bool start_listening(struct server *s, uint16_t port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    return bind(s->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(s->listener, 4096) == 0 &&
           epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) == 0;
}

static void serve(struct server *s)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(s->epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            bool good = true;
            if (!c)
                accept_all(s);
            else if (events[i].events & EPOLLOUT)
                good = send_out(s, c);
            else
                good = take_bytes(s, c);
            if (!good)
                drop(c);
        }
    }
}

int main(int argc, char **argv)
{
    static struct server s;
    uint64_t port, series;
    if (argc != 3 || !units_parse_u64(str_of(argv[1]), &port) || !units_parse_u64(str_of(argv[2]), &series)) {
        fprintf(stderr, "usage: load PORT SERIES\n");
        return 2;
    }
    struct rlimit files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    make_pages(&s, (unsigned)series);
    buf_init(&s.raw, BODY_MAX);
    if (!start_listening(&s, (uint16_t)port)) {
        fprintf(stderr, "load: port %llu: %s\n", (unsigned long long)port, strerror(errno));
        return 1;
    }
    serve(&s);
    return 0;
}
