/* SPDX-License-Identifier: Apache-2.0 */
/* sink: a remote-write receiver for trying things out. It answers as the specifications say and as strictly,
   and writes what it gets as one JSON object per sample. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "../web/listen.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "flags.h"
#include "sink_decode.h"

#define DECOMPRESSED_FACTOR 16 /* a body may decompress to so many times --max-body */
#define TOKEN_BYTES_MAX (64 * 1024)
#define CONNECTION_BYTES (128 * 1024)
#define KEEP_BYTES (4u << 20) /* of buffers, between requests */

struct sink {
    const char *listen;
    const char *token_file;
    const char *out;
    uint64_t max_body;
    bool discard, metadata;
    bool print_summary;

    int fd; /* of out; -1 = nothing is written */
    /* Used by the server's only thread. */
    struct buf raw, json;
    uint64_t requests, refused, body_bytes;
    struct sink_counts counts;
};

/* One request while its body arrives. */
struct upload {
    struct buf body;
    bool too_large;
};

struct answer {
    unsigned status;
    char text[640];
    bool rw2;
    struct sink_counts written; /* of an RW2 message */
};

/* ---- deciding ---- */

static struct answer refuse(unsigned status, const char *why)
{
    struct answer a = {.status = status};
    snprintf(a.text, sizeof a.text, "%s\n", why);
    return a;
}

static struct str header_of(struct MHD_Connection *c, const char *name)
{
    return str_trim(str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, name)));
}

static bool same_secret(struct str a, struct str b)
{
    unsigned char difference = a.n != b.n;
    for (size_t i = 0; i < a.n && i < b.n; i++)
        difference |= (unsigned char)(a.p[i] ^ b.p[i]);
    return difference == 0;
}

/* The file is read for each request, so that a token can be changed while we run. */
static bool is_authorized(const struct sink *sink, struct MHD_Connection *c)
{
    if (!sink->token_file)
        return true;
    struct buf token;
    struct err err = {0};
    buf_init(&token, TOKEN_BYTES_MAX);
    bool ok = file_read(sink->token_file, TOKEN_BYTES_MAX, &token, &err);
    if (!ok)
        log_error("sink", "%s", err.msg);
    struct str given = header_of(c, MHD_HTTP_HEADER_AUTHORIZATION);
    ok = ok && given.n > 7 && strncasecmp(given.p, "Bearer ", 7) == 0 &&
         same_secret(str_trim(str_skip(given, 7)), str_trim(buf_str(&token)));
    buf_free(&token);
    return ok;
}

static bool equal_fold(struct str a, const char *b)
{
    return a.n == strlen(b) && (a.n == 0 || strncasecmp(a.p, b, a.n) == 0);
}

/* The value of the parameter `proto` of a content type, without quotes. */
static struct str proto_of(struct str type)
{
    for (size_t at = str_find_char(type, ';'); at < type.n; at = str_find_char(type, ';')) {
        type = str_trim(str_skip(type, at + 1));
        if (type.n >= 6 && strncasecmp(type.p, "proto=", 6) == 0) {
            struct str value = str_skip(type, 6);
            value.n = str_find_char(value, ';');
            value = str_trim(value);
            if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
                value = str_make(value.p + 1, value.n - 2);
            return value;
        }
    }
    return STR_NULL;
}

/* As Prometheus does, no header at all stands for RW1 in snappy. */
static bool understand(struct MHD_Connection *c, enum sink_message *message, enum sink_encoding *encoding)
{
    struct str type = header_of(c, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct str base = str_trim(str_make(type.p, str_find_char(type, ';')));
    struct str proto = proto_of(type);
    if (base.n && !equal_fold(base, "application/x-protobuf"))
        return false;
    if (proto.n == 0 || str_eq_c(proto, "prometheus.WriteRequest"))
        *message = SINK_RW1;
    else if (str_eq_c(proto, "io.prometheus.write.v2.Request"))
        *message = SINK_RW2;
    else
        return false;
    struct str coding = header_of(c, MHD_HTTP_HEADER_CONTENT_ENCODING);
    *encoding = equal_fold(coding, "zstd") ? SINK_ZSTD : SINK_SNAPPY;
    return coding.n == 0 || *encoding == SINK_ZSTD || equal_fold(coding, "snappy");
}

/* In one piece, so that lines are whole whenever somebody looks. */
static bool write_out(const struct sink *sink, struct str json)
{
    while (json.n) {
        ssize_t n = write(sink->fd, json.p, json.n);
        if (n < 0 && errno != EINTR) {
            log_error("sink", "%s: %s", sink->out, strerror(errno));
            return false;
        }
        if (n > 0)
            json = str_skip(json, (size_t)n);
    }
    return true;
}

static struct answer receive(struct sink *sink, struct MHD_Connection *c, const struct upload *upload)
{
    enum sink_message message;
    enum sink_encoding encoding;
    struct err err = {0};
    if (!is_authorized(sink, c))
        return refuse(MHD_HTTP_UNAUTHORIZED, "missing or wrong bearer token");
    if (upload->too_large)
        return refuse(MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than --max-body");
    if (!understand(c, &message, &encoding))
        return refuse(
            MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
            "remote write 1.0 and 2.0 are understood, in snappy or zstd; not this content type or encoding");
    struct answer a = {.status = MHD_HTTP_NO_CONTENT, .rw2 = message == SINK_RW2};
    struct sink_counts counts = {0};
    buf_clear(&sink->json);
    bool ok = sink_decompress(encoding, buf_str(&upload->body), &sink->raw, &err) &&
              sink_decode(message, buf_str(&sink->raw), sink->fd >= 0 ? &sink->json : NULL,
                          sink->metadata, &counts, &err);
    if (!ok) {
        struct answer bad = refuse(MHD_HTTP_BAD_REQUEST, err.msg);
        bad.rw2 = a.rw2;
        return bad;
    }
    if (sink->fd >= 0 && !write_out(sink, buf_str(&sink->json)))
        return refuse(MHD_HTTP_INTERNAL_SERVER_ERROR, "cannot write");
    buf_trim(&sink->raw, KEEP_BYTES);
    buf_trim(&sink->json, KEEP_BYTES);
    sink->counts.series += counts.series;
    sink->counts.samples += counts.samples;
    sink->counts.histograms += counts.histograms;
    sink->counts.exemplars += counts.exemplars;
    sink->counts.metadata += counts.metadata;
    a.written = counts;
    return a;
}

/* ---- answering ---- */

static void add_count(struct MHD_Response *response, const char *name, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    MHD_add_response_header(response, name, text);
}

static enum MHD_Result reply(struct MHD_Connection *c, const struct answer *a, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(a->text), (void *)(uintptr_t)a->text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (a->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (a->rw2) {
        add_count(response, "X-Prometheus-Remote-Write-Samples-Written", a->written.samples);
        add_count(response, "X-Prometheus-Remote-Write-Histograms-Written", a->written.histograms);
        add_count(response, "X-Prometheus-Remote-Write-Exemplars-Written", a->written.exemplars);
    }
    enum MHD_Result result = MHD_queue_response(c, a->status, response);
    MHD_destroy_response(response);
    return result;
}

static void summarize(const struct sink *s, char *out, size_t n)
{
    snprintf(out, n,
             "{\"requests\":%llu,\"refused\":%llu,\"series\":%llu,\"samples\":%llu,\"histograms\":%llu,"
             "\"exemplars\":%llu,\"metadata\":%llu,\"body_bytes\":%llu}\n",
             (unsigned long long)s->requests, (unsigned long long)s->refused,
             (unsigned long long)s->counts.series, (unsigned long long)s->counts.samples,
             (unsigned long long)s->counts.histograms, (unsigned long long)s->counts.exemplars,
             (unsigned long long)s->counts.metadata, (unsigned long long)s->body_bytes);
}

static enum MHD_Result reply_counts(const struct sink *sink, struct MHD_Connection *c)
{
    struct answer a = {.status = MHD_HTTP_OK};
    summarize(sink, a.text, sizeof a.text);
    return reply(c, &a, "application/json");
}

static enum MHD_Result reply_post(struct sink *sink, struct MHD_Connection *c, const struct upload *upload)
{
    struct answer a = receive(sink, c, upload);
    sink->requests++;
    sink->body_bytes += upload->body.n;
    if (a.status >= 300) {
        sink->refused++;
        log_throttled(a.status, LOG_WARN, "sink", "refused with %u: %s", a.status, a.text);
    }
    return reply(c, &a, "text/plain; charset=utf-8");
}

/* ---- the server ---- */

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_n, void **state)
{
    (void)url;
    (void)version;
    struct sink *sink = ctx;
    struct upload *upload = *state;
    if (!upload) {
        *state = upload = xcalloc(1, sizeof *upload);
        buf_init(&upload->body, sink->max_body);
        return MHD_YES;
    }
    if (*data_n) { /* a body past the limit is read to its end, so that the sender gets to see the answer */
        if (!upload->too_large && !buf_add(&upload->body, data, *data_n)) {
            upload->too_large = true;
            buf_free(&upload->body);
        }
        *data_n = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) == 0)
        return reply_post(sink, c, upload);
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        return reply_counts(sink, c);
    struct answer a = refuse(MHD_HTTP_METHOD_NOT_ALLOWED, "POST a remote-write request, or GET the counts");
    return reply(c, &a, "text/plain; charset=utf-8");
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)ctx;
    (void)c;
    (void)code;
    struct upload *upload = *state;
    if (!upload)
        return;
    buf_free(&upload->body);
    free(upload);
    *state = NULL;
}

static bool open_out(struct sink *sink, struct err *err)
{
    sink->fd = -1;
    if (sink->discard || !sink->out)
        return true;
    if (strcmp(sink->out, "-") == 0)
        sink->fd = STDOUT_FILENO;
    else
        sink->fd = open(sink->out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return sink->fd >= 0 || err_set(err, "%s: %s", sink->out, strerror(errno));
}

static bool serve(struct sink *sink, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct listen_socket socket;
    if (!open_out(sink, err) || !listen_open(sink->listen, &socket, err))
        return false;
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, on_request, sink,
                         MHD_OPTION_LISTEN_SOCKET, socket.fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (!daemon) {
        close(socket.fd);
        return err_set(err, "cannot start the server");
    }
    log_info("sink", "listening on %s", socket.shown);
    int sig;
    sigwait(&set, &sig);
    MHD_stop_daemon(daemon);
    return true;
}

int command_sink(int argc, char **argv)
{
    struct sink sink = {.listen = "127.0.0.1:9009", .out = "-", .max_body = 32 << 20, .fd = -1};
    const struct flag flags[] = {
        {"listen", FLAG_STRING, &sink.listen, "ADDR",
         "address to listen on; port 0 takes a free one (127.0.0.1:9009)"},
        {"token-file", FLAG_STRING, &sink.token_file, "FILE",
         "demand the bearer token in FILE, which is read again for each request"},
        {"out", FLAG_STRING, &sink.out, "FILE", "append one JSON object per sample; - is stdout (-)"},
        {"metadata", FLAG_BOOL, &sink.metadata, NULL, "write a line for each piece of metadata, too"},
        {"discard", FLAG_BOOL, &sink.discard, NULL, "decode and check, but write nothing"},
        {"max-body", FLAG_SIZE, &sink.max_body, "BYTES", "answer 413 to larger bodies (32MiB)"},
        {"print-summary", FLAG_BOOL, &sink.print_summary, NULL,
         "print the counts as JSON on stdout at the end"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent sink [flags]",
        .text = "Receives remote write 1.0 and 2.0 (snappy or zstd) by POST on any path, checks it strictly, "
                "and writes\n"
                "{\"labels\":{...},\"t\":ms,\"v\":number or \"NaN\", \"+Inf\", \"-Inf\", \"stale\"} for each "
                "sample.\n"
                "A native histogram has \"h\" for \"v\": \"stale\" or {\"count\",\"sum\",\"schema\",\n"
                "\"zero_threshold\",\"zero_count\",\"negative\",\"positive\",\"custom_values\",\"reset_hint\"}, "
                "where a side is\n"
                "{\"spans\":[[offset,length],...],\"deltas\":[...]} or, of floats, with \"counts\"; what is empty is "
                "left out.\n"
                "\"st\":ms is the start timestamp. \"exemplars\":[{\"labels\":{...},\"v\":number,\"t\":ms},...] stand "
                "with the last\n"
                "sample of their series, or without one. With --metadata:\n"
                "{\"metadata\":{\"name\":..,\"type\":..,\"help\":..,\"unit\":..}}.\n"
                "GET shows what has come so far.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional_n = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional_n);
    if (outcome != FLAGS_OK || positional_n > 0) {
        if (outcome == FLAGS_OK)
            fprintf(stderr, "sink takes no arguments, only flags\n");
        return outcome == FLAGS_HELP ? 0 : 2;
    }
    struct err err = {0};
    buf_init(&sink.raw, sink.max_body * DECOMPRESSED_FACTOR);
    buf_init(&sink.json, SIZE_MAX / 2);
    bool ok = serve(&sink, &err);
    if (!ok)
        fprintf(stderr, "sink: %s\n", err.msg);
    if (ok && sink.print_summary) {
        char text[640];
        summarize(&sink, text, sizeof text);
        fputs(text, stdout);
    }
    if (sink.fd > STDOUT_FILENO)
        close(sink.fd);
    buf_free(&sink.raw);
    buf_free(&sink.json);
    flags_free(&command);
    return ok ? 0 : 1;
}
