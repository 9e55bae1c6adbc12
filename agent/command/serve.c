/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a made-up target. It answers GET /metrics in whatever format is asked for, slowly or with faults if told so:
   for trying out configurations, loads, alerts and this program itself. */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "../web/listen.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "exposition.h"
#include "flags.h"
#include "offer.h"
#include "synth.h"

#define BODY_MAX ((size_t)1 << 30)
#define SERIES_MAX 10000000
#define CONNECTIONS_MAX 512 /* each has a thread while it is there */
#define IDLE_S 120

/* What a faulty answer is. */
enum fault { FAULT_STATUS, FAULT_CUT, FAULT_GARBAGE, FAULT_HANG };

struct serve {
    const char *listen, *path, *churn, *error_rate, *error_kind, *format;
    struct synth_settings synth;
    int64_t latency_ms, spread_ms, step_ms;
    double faults; /* share of answers */
    enum fault fault;
    bool fixed;    /* the format is `offer`, whatever is asked for */
    struct offer offer;

    int64_t start_ms;
    pthread_mutex_t lock;
    pthread_cond_t over; /* `stopping` has been set */
    bool stopping;
    uint64_t requests, failed;
};

/* ---- one answer ---- */

/* Sleeps, but not longer than we run. */
static void hold_back(struct serve *s, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->over, &s->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&s->lock);
}

/* A number out of 0 .. 1 that goes with the request. */
static double draw(const struct serve *s, uint64_t request, uint64_t what)
{
    return (double)(synth_random(s->synth.seed, request, what) >> 11) / (double)(1ull << 53);
}

static bool accepts_gzip(struct MHD_Connection *c)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    return value && strcasestr(value, "gzip") && !strcasestr(value, "gzip;q=0");
}

static bool pack(struct buf *body)
{
    z_stream z = {0};
    struct buf packed;
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&z, (uLong)body->n);
    buf_init(&packed, room);
    z.next_in = (Bytef *)body->p;
    z.avail_in = (uInt)body->n;
    z.next_out = (Bytef *)buf_reserve(&packed, room);
    z.avail_out = (uInt)room;
    bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    packed.n = z.total_out;
    deflateEnd(&z);
    if (ok) {
        buf_free(body);
        *body = packed;
    } else {
        buf_free(&packed);
    }
    return ok;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned status, const char *text, const char *type)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

/* A body whose end never comes, as when its sender dies. */
struct torn {
    struct buf body;
};

static ssize_t read_torn(void *ctx, uint64_t at, char *to, size_t max)
{
    struct torn *t = ctx;
    size_t half = t->body.n / 2;
    if (at >= half)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = half - (size_t)at;
    n = n < max ? n : max;
    memcpy(to, t->body.p + at, n);
    return (ssize_t)n;
}

static void free_torn(void *ctx)
{
    struct torn *t = ctx;
    buf_free(&t->body);
    free(t);
}

/* Takes the body. */
static struct MHD_Response *respond(struct buf *body, bool torn)
{
    uint64_t n = body->n;
    if (!torn)
        return MHD_create_response_from_buffer((size_t)n, buf_take(body), MHD_RESPMEM_MUST_FREE);
    struct torn *t = xcalloc(1, sizeof *t);
    t->body = *body;
    return MHD_create_response_from_callback(n, 64 * 1024, read_torn, t, free_torn);
}

static enum MHD_Result send_body(struct serve *s, struct MHD_Connection *c, uint64_t request, bool torn, bool garbage)
{
    struct offer offer = s->offer;
    if (!s->fixed)
        offer = offer_choose(str_of(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT)));
    int64_t age_ms = s->step_ms ? (int64_t)request * s->step_ms : clock_mono_ms() - s->start_ms;
    struct buf body;
    buf_init(&body, BODY_MAX);
    if (garbage)
        buf_add_c(&body, "synth_events_00_total{id=\"0\" 1 2 3\n");
    if (!synth_write(&s->synth, offer.format, age_ms, clock_wall_ms(), &body)) {
        buf_free(&body);
        return say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the body is too large\n", "text/plain");
    }
    bool packed = accepts_gzip(c) && pack(&body);
    struct MHD_Response *r = respond(&body, torn);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, offer.type);
    if (packed)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    enum MHD_Result result = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return result;
}

/* Number of this request, from 0, and whether it is to go wrong. */
static uint64_t count_request(struct serve *s, bool *fails)
{
    pthread_mutex_lock(&s->lock);
    uint64_t request = s->requests++;
    *fails = draw(s, request, 1) < s->faults;
    s->failed += *fails;
    pthread_mutex_unlock(&s->lock);
    return request;
}

static enum MHD_Result answer_metrics(struct serve *s, struct MHD_Connection *c)
{
    bool fails;
    uint64_t request = count_request(s, &fails);
    int64_t delay_ms = s->latency_ms + (int64_t)(draw(s, request, 2) * (double)s->spread_ms);
    if (delay_ms > 0)
        hold_back(s, delay_ms);
    if (fails && s->fault == FAULT_HANG)
        hold_back(s, INT32_MAX);
    if (fails && (s->fault == FAULT_STATUS || s->fault == FAULT_HANG))
        return say(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "a made-up error\n", "text/plain");
    return send_body(s, c, request, fails && s->fault == FAULT_CUT, fails && s->fault == FAULT_GARBAGE);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_n, void **state)
{
    (void)version;
    (void)data;
    struct serve *s = ctx;
    if (!*state) { /* the first call is for the headers */
        *state = s;
        return MHD_YES;
    }
    if (*data_n) {
        *data_n = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is all there is\n", "text/plain");
    if (strcmp(url, s->path) == 0)
        return answer_metrics(s, c);
    return say(c, MHD_HTTP_NOT_FOUND, "a made-up target of obsagent serve; its metrics are elsewhere\n", "text/plain");
}

/* ---- the server ---- */

static bool run_server(struct serve *s, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct listen_socket socket;
    if (!listen_open(s->listen, &socket, err))
        return false;
    s->start_ms = clock_mono_ms();
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, socket.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!daemon) {
        close(socket.fd);
        return err_set(err, "cannot start the server");
    }
    log_info("serve", "%llu series at http://%s%s", (unsigned long long)s->synth.series, socket.shown, s->path);
    int sig;
    sigwait(&set, &sig);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->over);
    pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(daemon);
    log_info("serve", "answered %llu requests, %llu of them with a fault", (unsigned long long)s->requests,
             (unsigned long long)s->failed);
    return true;
}

/* ---- the command line ---- */

/* "0.05" or "5%". */
static bool read_share(const char *name, const char *text, double *out)
{
    struct str s = str_trim(str_of(text));
    bool percent = s.n > 1 && s.p[s.n - 1] == '%';
    s.n -= percent;
    if (exposition_parse_value(s, out)) {
        if (percent)
            *out /= 100;
        if (*out >= 0 && *out <= 1)
            return true;
    }
    fprintf(stderr, "--%s is a share such as 0.05 or 5%%, not \"%s\"\n", name, text);
    return false;
}

static bool read_fault(const char *word, enum fault *out)
{
    static const char *const WORDS[] = {"status", "cut", "garbage", "hang"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(word, WORDS[i]) == 0) {
            *out = (enum fault)i;
            return true;
        }
    }
    fprintf(stderr, "--error-kind is status, cut, garbage or hang\n");
    return false;
}

static bool complain(const char *message)
{
    fprintf(stderr, "%s (obsagent serve --help)\n", message);
    return false;
}

static bool check(struct serve *s, int positional_n)
{
    if (positional_n)
        return complain("serve takes no arguments, only flags");
    if (s->synth.series > SERIES_MAX)
        return complain("--series is 10000000 at most");
    if (s->latency_ms < 0 || s->spread_ms < 0 || s->step_ms < 0 || s->synth.period_ms <= 0)
        return complain("a duration is negative or, for --churn-period, zero");
    if (s->path[0] != '/')
        return complain("--path begins with /");
    s->fixed = strcmp(s->format, "auto") != 0;
    if (s->fixed && !offer_named(s->format, &s->offer))
        return complain("--format is auto, text, openmetrics or protobuf");
    return read_share("churn", s->churn, &s->synth.churn) && read_share("error-rate", s->error_rate, &s->faults) &&
           read_fault(s->error_kind, &s->fault);
}

static const char TEXT[] =
    "A made-up target: counters, gauges and histograms for trying out configurations, loads and alerts. It answers in\n"
    "the text format, OpenMetrics or protobuf, whichever is asked for, packed if asked for. The same seed makes the\n"
    "same series and, at the same age, the same values; counters only grow while their series lives.\n"
    "SIGTERM or SIGINT ends it.";

static enum flag_outcome read_flags(struct serve *s, int argc, char **argv)
{
    const struct flag flags[] = {
        {"listen", FLAG_STRING, &s->listen, "ADDR", "address to listen on; port 0 takes a free one (127.0.0.1:9110)"},
        {"path", FLAG_STRING, &s->path, "PATH", "where the metrics are (/metrics)"},
        {"series", FLAG_U64, &s->synth.series, "N",
         "series of a scrape; of a quarter of them twelve each are a histogram (1000)"},
        {"churn", FLAG_STRING, &s->churn, "SHARE", "replace so many series by new ones in each period, 0.05 or 5% (0)"},
        {"churn-period", FLAG_DURATION, &s->synth.period_ms, "DURATION", "the period of --churn (1m)"},
        {"latency", FLAG_DURATION, &s->latency_ms, "DURATION", "wait so long before each answer (0s)"},
        {"latency-spread", FLAG_DURATION, &s->spread_ms, "DURATION", "and up to so much longer (0s)"},
        {"error-rate", FLAG_STRING, &s->error_rate, "SHARE", "so many of the answers go wrong, 0.05 or 5% (0)"},
        {"error-kind", FLAG_STRING, &s->error_kind, "status|cut|garbage|hang",
         "how: status 500, half of a body, a line that cannot be read, no answer (status)"},
        {"format", FLAG_STRING, &s->format, "auto|text|openmetrics|protobuf",
         "answer in it, whatever is asked for (auto)"},
        {"native-histograms", FLAG_BOOL, &s->synth.native, NULL, "protobuf has native histograms, too"},
        {"exemplars", FLAG_BOOL, &s->synth.exemplars, NULL, "histograms have an exemplar in OpenMetrics and protobuf"},
        {"seed", FLAG_U64, &s->synth.seed, "N", "names and values follow from it (1)"},
        {"step", FLAG_DURATION, &s->step_ms, "DURATION",
         "each request makes the target older by so much, not the clock (0s: the clock)"},
    };
    const struct flag_command command = {"obsagent serve [flags]", TEXT, flags, sizeof flags / sizeof flags[0]};
    int positional_n = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional_n);
    flags_free(&command);
    if (outcome == FLAGS_OK && !check(s, positional_n))
        return FLAGS_USAGE;
    return outcome;
}

int command_serve(int argc, char **argv)
{
    struct serve s = {
        .listen = "127.0.0.1:9110",
        .path = "/metrics",
        .churn = "0",
        .error_rate = "0",
        .error_kind = "status",
        .format = "auto",
        .synth = {.series = 1000, .period_ms = 60 * 1000, .seed = 1},
    };
    enum flag_outcome outcome = read_flags(&s, argc, argv);
    if (outcome != FLAGS_OK)
        return outcome == FLAGS_HELP ? 0 : 2;
    struct err err = {0};
    pthread_condattr_t attributes;
    pthread_mutex_init(&s.lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s.over, &attributes);
    pthread_condattr_destroy(&attributes);
    bool ok = run_server(&s, &err);
    if (!ok)
        fprintf(stderr, "serve: %s\n", err.msg);
    pthread_cond_destroy(&s.over);
    pthread_mutex_destroy(&s.lock);
    return ok ? 0 : 1;
}
