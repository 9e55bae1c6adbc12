/* SPDX-License-Identifier: Apache-2.0 */
/* test_remote: endpoints against a scripted receiver, with a real queue: whatever the receiver does, each
   sample arrives once and in order or is in the books, and the number of requests is bounded. */
#include "receiver.h"
#include "unit.h"

#include "agent/remote/dead.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wire.h"
#include "remote.h"

#include <dirent.h>
#include <ftw.h>
#include <time.h>

/* ---- the rig ---- */

struct rig {
    char dir[64];
    char *dead, *token;
    struct ledger *ledger;
    struct queue *queue;
    struct remote *remote;
    struct receiver *r;
    struct config *config;
    int64_t seq;
    uint64_t pushed;
};

static struct config *load(const struct rig *rig, const char *path, const char *fields)
{
    char *yaml =
        xasprintf("remote_write:\n- url: http://127.0.0.1:%u%s\n  name: e\n%s\n", rig->r->port, path, fields);
    struct buf errors;
    buf_init(&errors, 1 << 16);
    struct config *config = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
    if (!config)
        fail_msg("%s%s", yaml, buf_c(&errors));
    buf_free(&errors);
    free(yaml);
    return config;
}

static void apply(struct rig *rig, const char *path, const char *fields)
{
    struct config *config = load(rig, path, fields);
    remote_apply(rig->remote, config);
    if (rig->config)
        config_unref(rig->config);
    rig->config = config;
}

static void open_remote(struct rig *rig)
{
    struct remote_options options = {
        .queue = rig->queue, .ledger = rig->ledger, .user_agent = "obsagent/test", .dead_dir = rig->dead};
    rig->remote = remote_new(&options);
}

#define QUICK "  queue_config: {min_backoff: 2ms, max_backoff: 10ms}\n  metadata_config: {send: false}\n"
#define SLOW "  queue_config: {min_backoff: 20s, max_backoff: 30s}\n"

static struct rig *rig_new(script_fn *script, const char *fields)
{
    struct rig *rig = xcalloc(1, sizeof *rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/test_remote.XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    rig->dead = file_join(rig->dir, "dead");
    rig->token = file_join(rig->dir, "token");
    rig->ledger = ledger_new();
    char *dir = file_join(rig->dir, "queue");
    struct queue_options options = {.dir = dir, .ledger = rig->ledger};
    struct err err = {0};
    rig->queue = queue_open(&options, &err);
    if (!rig->queue)
        fail_msg("%s", err.msg);
    free(dir);
    rig->r = receiver_start(script, rig);
    open_remote(rig);
    if (fields)
        apply(rig, "/w", fields);
    return rig;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void rig_free(struct rig *rig)
{
    remote_free(rig->remote);
    queue_close(rig->queue);
    receiver_stop(rig->r);
    ledger_free(rig->ledger);
    config_unref(rig->config);
    nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(rig->dead);
    free(rig->token);
    free(rig);
}

static struct block *make_block(uint32_t lane, uint32_t from, uint32_t n, int64_t ts_ms,
                                const struct block_meta *meta, const char *help)
{
    struct block_builder *b = block_builder_new(lane, 1 << 24, 1000000);
    struct block_meta with = {0};
    if (meta) {
        with = *meta;
        with.help_ref = block_builder_symbol(b, str_of(help));
    }
    uint32_t name = block_builder_symbol(b, STR("__name__")), metric = block_builder_symbol(b, STR("m"));
    uint32_t id = block_builder_symbol(b, STR("id"));
    for (uint32_t i = from; i < from + n; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        uint32_t refs[] = {name, metric, id, block_builder_symbol(b, str_of(text))};
        block_builder_sample(b, refs, 4, i, ts_ms, meta ? &with : NULL);
    }
    block_builder_job(b, STR("j"));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

/* n series with ids from `from` on, one sample each, newer than all before. */
static void push(struct rig *rig, uint32_t lane, uint32_t from, uint32_t n)
{
    queue_push(rig->queue, make_block(lane, from, n, 1000 + rig->seq++, NULL, NULL));
    rig->pushed += n;
}

/* ---- histograms and exemplars ---- */

static bool is_histogram(uint32_t id)
{
    return id % 3 == 1;
}

/* With custom buckets, which remote write 1.0 cannot carry. */
static bool is_custom(uint32_t id)
{
    return id % 15 == 10;
}

static bool has_exemplar(uint32_t id)
{
    return id % 5 == 0;
}

static void add_special(struct block_builder *b, const uint32_t refs[4], uint32_t id, int64_t ts_ms)
{
    static const char WHOLE[] = {0x08, 3, 0x20, 2}, CUSTOM[] = {0x08, 3, 0x20, 105}; /* count and schema */
    uint32_t trace[] = {refs[2], refs[3]};
    struct block_exemplar exemplar = {trace, 2, 0.5, ts_ms};
    struct block_extra extra = {.start_ts_ms = 7, .exemplars = &exemplar, .exemplars_n = has_exemplar(id)};
    if (is_histogram(id))
        extra.histogram = str_make(is_custom(id) ? CUSTOM : WHOLE, sizeof WHOLE);
    uint8_t *p = block_builder_room(b, 4 * WIRE_VARINT_MAX);
    for (size_t i = 0; i < 4; i++)
        p = wire_put_varint(p, refs[i]);
    block_builder_put_extra(b, p, id, ts_ms, NULL, &extra);
}

/* Like push, with histograms and exemplars among the series. */
static void push_mixed(struct rig *rig, uint32_t lane, uint32_t from, uint32_t n)
{
    struct block_builder *b = block_builder_new(lane, 1 << 24, 1000000);
    uint32_t name = block_builder_symbol(b, STR("__name__")), metric = block_builder_symbol(b, STR("m"));
    uint32_t id = block_builder_symbol(b, STR("id"));
    int64_t ts_ms = 1000 + rig->seq++;
    for (uint32_t i = from; i < from + n; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        uint32_t refs[] = {name, metric, id, block_builder_symbol(b, str_of(text))};
        if (is_histogram(i) || has_exemplar(i))
            add_special(b, refs, i, ts_ms);
        else
            block_builder_sample(b, refs, 4, i, ts_ms, NULL);
    }
    block_builder_job(b, STR("j"));
    queue_push(rig->queue, block_builder_seal(b));
    block_builder_free(b);
    rig->pushed += n;
}

/* How many of the ids below n. */
static uint64_t how_many(bool (*is)(uint32_t id), uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += is(i);
    return sum;
}

static void copy_status(void *ctx, const struct remote_status *status)
{
    *(struct remote_status *)ctx = *status;
}

static struct remote_status status_of(struct rig *rig)
{
    struct remote_status status = {0};
    remote_each(rig->remote, copy_status, &status);
    return status;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static bool all_settled(struct rig *rig)
{
    struct remote_status status = status_of(rig);
    return status.queue.buffered_samples == 0 && status.in_flight == 0;
}

#define WAIT_FOR(what, condition) \
    do { \
        int64_t until_ = clock_mono_ms() + 30000; \
        while (!(condition)) { \
            if (clock_mono_ms() > until_) \
                fail_msg("waited in vain for %s", what); \
            nap(); \
        } \
    } while (0)

static uint64_t lost_for(struct rig *rig, const char *reason);

/* Everything is out of the queue; `lost` samples are in the books as lost, the others arrived once and in
   order. */
static void check(struct rig *rig, uint64_t lost, const char *reason)
{
    WAIT_FOR("an empty queue", all_settled(rig));
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.lost, lost);
    assert_int_equal(books.delivered + books.lost + books.filtered, rig->pushed);
    pthread_mutex_lock(&rig->r->lock);
    assert_int_equal(rig->r->accepted, books.delivered);
    assert_int_equal(rig->r->repeated, 0);
    assert_int_equal(rig->r->disordered, 0);
    pthread_mutex_unlock(&rig->r->lock);
    if (reason)
        assert_int_equal(lost_for(rig, reason), lost);
}

struct lost_sum {
    const char *reason;
    uint64_t samples;
};

static void add_lost(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                     uint64_t samples)
{
    struct lost_sum *sum = ctx;
    if (strcmp(kind, "lost") == 0 && strcmp(reason, sum->reason) == 0) {
        assert_true(str_eq_c(endpoint, "e"));
        assert_true(str_eq_c(job, "j"));
        sum->samples += samples;
    }
}

static uint64_t lost_for(struct rig *rig, const char *reason)
{
    struct lost_sum sum = {reason, 0};
    ledger_each(rig->ledger, add_lost, &sum);
    return sum.samples;
}

/* ---- scripts ---- */

static const struct reaction GOOD = {.status = 204};

static struct reaction always_good(struct receiver *r, const struct incoming *in)
{
    (void)r;
    (void)in;
    return GOOD;
}

static struct reaction refuse_7(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->has[7] ? (struct reaction){.status = 400, .body = "series 7: out of order"} : GOOD;
}

static struct reaction refuse_several(struct receiver *r, const struct incoming *in)
{
    (void)r;
    bool guilty = in->has[0] || in->has[7] || in->has[8] || in->has[500] || in->has[999];
    return guilty ? (struct reaction){.status = in->number % 2 ? 409 : 422, .body = "no"} : GOOD;
}

static struct reaction at_most_100(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->samples > 100 ? (struct reaction){.status = 413, .body = "too many"} : GOOD;
}

static struct reaction at_most_60000_bytes(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->raw_bytes > 60000 ? (struct reaction){.status = 413, .body = "too large"} : GOOD;
}

static struct reaction only_with_new_token(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return strstr(in->head, "Authorization: Bearer new\r\n")
               ? GOOD
               : (struct reaction){.status = 401, .body = "who?"};
}

static struct reaction three_times_500(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->number < 3 ? (struct reaction){.status = 500} : GOOD;
}

static struct reaction busy_seconds(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->number < 1 ? (struct reaction){.status = 429, .headers = "Retry-After: 1\r\n"} : GOOD;
}

static struct reaction busy_date(struct receiver *r, const struct incoming *in)
{
    (void)r;
    static char header[80];
    time_t at = time(NULL) + 2;
    struct tm tm;
    strftime(header, sizeof header, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&at, &tm));
    return in->number < 1 ? (struct reaction){.status = 429, .headers = header} : GOOD;
}

static struct reaction hang_once(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->number < 1 ? (struct reaction){.how = HANG} : GOOD;
}

static struct reaction always_hang(struct receiver *r, const struct incoming *in)
{
    (void)r;
    (void)in;
    return (struct reaction){.how = HANG};
}

static struct reaction reset_twice(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->number < 2 ? (struct reaction){.how = RESET} : GOOD;
}

static struct reaction good_then_die(struct receiver *r, const struct incoming *in)
{
    (void)r;
    (void)in;
    return (struct reaction){.status = 204, .how = ANSWER_THEN_DIE};
}

static struct reaction poison_37(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->has[37] ? (struct reaction){.status = 500, .body = "unretryable"} : GOOD;
}

static struct reaction poison_ends(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->has[0] || in->has[99] ? (struct reaction){.status = 500} : GOOD;
}

static struct reaction always_503(struct receiver *r, const struct incoming *in)
{
    (void)r;
    (void)in;
    return (struct reaction){.status = 503, .body = "out"};
}

static struct reaction good_at_right_path(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return str_starts(str_of(in->path), STR("/right ")) ? GOOD
                                                        : (struct reaction){.status = 404, .body = "no such"};
}

static struct reaction no_metadata(struct receiver *r, const struct incoming *in)
{
    (void)r;
    return in->metadata ? (struct reaction){.status = 400, .body = "no metadata"} : GOOD;
}

/* ---- tests ---- */

static void test_good(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, QUICK);
    for (int i = 0; i < 20; i++) { /* nothing waits: a block is a request */
        push(rig, 0, 0, 100);
        push(rig, 1, 1000, 50);
        check(rig, 0, NULL);
        assert_int_equal(receiver_requests(rig->r), 2 * i + 2);
    }
    static const char *const HEADERS[] = {"POST /w HTTP/1.1\r\n", "\r\nContent-Encoding: snappy\r\n",
                                          "\r\nContent-Type: application/x-protobuf\r\n",
                                          "\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n",
                                          "\r\nUser-Agent: obsagent/test\r\n"};
    for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++)
        assert_non_null(strstr(rig->r->last_head, HEADERS[i]));
    assert_null(strstr(rig->r->last_head, "Retry-Attempt"));
    struct remote_status status = status_of(rig);
    assert_int_equal(status.state, REMOTE_OK);
    assert_int_equal(status.responses_2xx, 40);
    assert_int_equal(status.highest_ts_ms, 1039);
    assert_string_equal(status.last_error, "");
    assert_true(rig->r->connections_total <= 2);
    rig_free(rig);
}

static void test_ranges(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, "  queue_config: {max_samples_per_send: 30}\n");
    push(rig, 0, 0, 100);
    check(rig, 0, NULL);
    assert_int_equal(receiver_requests(rig->r), 4);
    rig_free(rig);
}

static void take_reject(void *ctx, const struct remote_reject *reject)
{
    struct remote_reject *out = ctx;
    if (out->status == 0)
        *out = *reject;
}

static void test_one_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_new(refuse_7, QUICK);
    push(rig, 0, 0, 1000);
    push(rig, 0, 0, 5);
    check(rig, 1, "rejected");
    assert_in_range(receiver_requests(rig->r), 5, 2 + 2 * 10);
    struct remote_reject reject = {0};
    remote_rejects(rig->remote, take_reject, &reject);
    assert_int_equal(reject.status, 400);
    assert_string_equal(reject.series, "m{id=\"7\"}");
    assert_string_equal(reject.message, "series 7: out of order");
    assert_int_equal(reject.samples, 1);
    assert_int_equal(status_of(rig).bisections, 10);
    assert_int_equal(status_of(rig).state, REMOTE_OK);
    rig_free(rig);
}

static void test_several_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_new(refuse_several, QUICK);
    push(rig, 0, 0, 1000);
    check(rig, 5, "rejected");
    assert_in_range(receiver_requests(rig->r), 10, 1 + 5 * 2 * 10);
    rig_free(rig);
}

static void test_drop(void **state)
{
    (void)state;
    struct rig *rig = rig_new(refuse_7, QUICK "  on_reject: drop\n");
    push(rig, 0, 0, 1000);
    check(rig, 1000, "rejected");
    push(rig, 0, 100, 100);
    check(rig, 1000, "rejected");
    assert_int_equal(receiver_requests(rig->r), 2);
    rig_free(rig);
}

static void test_413(void **state)
{
    (void)state;
    struct rig *rig = rig_new(at_most_100, QUICK);
    push(rig, 0, 0, 1000);
    check(rig, 0, NULL);
    size_t first = receiver_requests(rig->r);
    assert_in_range(first, 10, 30);
    struct remote_status status = status_of(rig);
    assert_in_range(status.learned_max_samples, 50, 100);
    assert_in_range(status.splits_413, 1, 8);
    push(rig, 0, 0, 1000);
    check(rig, 0, NULL);
    for (size_t i = first; i < receiver_requests(rig->r); i++)
        assert_int_equal(rig->r->statuses[i], 204);
    assert_in_range(receiver_requests(rig->r) - first, 10, 25);
    rig_free(rig);
}

/* One giant series is lost alone, and does not make all later requests tiny. */
static void test_giant(void **state)
{
    (void)state;
    struct rig *rig = rig_new(at_most_60000_bytes, QUICK);
    char *giant = xmalloc(100001);
    memset(giant, 'x', 100000);
    giant[100000] = '\0';
    struct block_builder *b = block_builder_new(0, 1 << 24, 100000);
    for (uint32_t i = 0; i < 200; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        uint32_t refs[] = {block_builder_symbol(b, STR("id")), block_builder_symbol(b, str_of(text)),
                           block_builder_symbol(b, STR("x")),
                           block_builder_symbol(b, i == 77 ? str_of(giant) : STR("small"))};
        block_builder_sample(b, refs, 4, 1, 1, NULL);
    }
    block_builder_job(b, STR("j"));
    queue_push(rig->queue, block_builder_seal(b));
    block_builder_free(b);
    free(giant);
    rig->pushed = 200;
    check(rig, 1, "too_large");
    size_t before = receiver_requests(rig->r);
    push(rig, 0, 1000, 1000);
    check(rig, 1, "too_large");
    assert_in_range(receiver_requests(rig->r) - before, 1, 2);
    rig_free(rig);
}

static void write_token(const struct rig *rig, const char *token)
{
    struct err err = {0};
    assert_true(file_write_atomic(rig->token, str_of(token), &err));
}

static void test_401(void **state)
{
    (void)state;
    struct rig *rig = rig_new(only_with_new_token, NULL);
    write_token(rig, "old");
    char *fields = xasprintf(QUICK "  authorization: {credentials_file: %s}\n", rig->token);
    apply(rig, "/w", fields);
    for (uint32_t lane = 0; lane < 4; lane++)
        push(rig, lane, lane * 100, 100);
    WAIT_FOR("the hold", status_of(rig).state == REMOTE_HELD_AUTH && status_of(rig).responses_4xx >= 8);
    assert_string_equal(status_of(rig).last_error, "who?");
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.lost + books.delivered, 0);
    assert_int_equal(status_of(rig).queue.buffered_samples, 400);
    write_token(rig, "new\n");
    check(rig, 0, NULL);
    assert_int_equal(status_of(rig).state, REMOTE_OK);
    free(fields);
    rig_free(rig);
}

static void test_credentials_file_gone(void **state)
{
    (void)state;
    struct rig *rig = rig_new(only_with_new_token, NULL);
    char *fields = xasprintf(QUICK "  authorization: {credentials_file: %s}\n", rig->token);
    apply(rig, "/w", fields);
    push(rig, 0, 0, 10);
    WAIT_FOR("the hold", status_of(rig).state == REMOTE_HELD_AUTH);
    assert_non_null(strstr(status_of(rig).last_error, "token"));
    assert_int_equal(receiver_requests(rig->r), 0);
    write_token(rig, "new");
    check(rig, 0, NULL);
    free(fields);
    rig_free(rig);
}

static void check_pause(script_fn *script)
{
    struct rig *rig = rig_new(script, QUICK);
    push(rig, 0, 0, 10);
    push(rig, 1, 10, 10);
    check(rig, 0, NULL);
    struct receiver *r = rig->r;
    assert_int_equal(r->statuses[0], 429);
    assert_int_equal(receiver_requests(r), 3);
    assert_in_range(r->times[receiver_requests(r) - 1] - r->times[0], 950, 4000);
    rig_free(rig);
}

static void test_429(void **state)
{
    (void)state;
    check_pause(busy_seconds);
    check_pause(busy_date);
}

static void test_500(void **state)
{
    (void)state;
    struct rig *rig = rig_new(three_times_500, QUICK);
    push(rig, 0, 0, 100);
    check(rig, 0, NULL);
    assert_int_equal(receiver_requests(rig->r), 4);
    assert_non_null(strstr(rig->r->last_head, "\r\nRetry-Attempt: 3\r\n"));
    assert_int_equal(status_of(rig).retries, 3);
    assert_int_equal(rig->r->connections_total, 2); /* a fresh one after the third failure */
    rig_free(rig);
}

static void test_hang(void **state)
{
    (void)state;
    struct rig *rig = rig_new(hang_once, QUICK "  remote_timeout: 1300ms\n");
    push(rig, 0, 0, 100);
    WAIT_FOR("the slow request to be noticed", status_of(rig).state == REMOTE_RETRYING);
    assert_int_equal(receiver_requests(rig->r), 1); /* before it ended */
    check(rig, 0, NULL);
    assert_int_equal(receiver_requests(rig->r), 2);
    assert_int_equal(status_of(rig).network_errors, 1);
    rig_free(rig);
}

static void test_reset(void **state)
{
    (void)state;
    struct rig *rig = rig_new(reset_twice, QUICK);
    push(rig, 0, 0, 100);
    check(rig, 0, NULL);
    assert_int_equal(receiver_requests(rig->r), 3);
    rig_free(rig);
}

/* With a backoff of 20 s, only the free retry can make this quick. */
static void test_dead_connection(void **state)
{
    (void)state;
    struct rig *rig = rig_new(good_then_die, SLOW);
    int64_t start = clock_mono_ms();
    for (int i = 0; i < 5; i++) {
        push(rig, 0, 0, 10);
        check(rig, 0, NULL);
    }
    assert_true(clock_mono_ms() - start < 5000);
    assert_int_equal(rig->r->connections_total, 5);
    assert_int_equal(status_of(rig).state, REMOTE_OK);
    rig_free(rig);
}

static size_t dead_files(const struct rig *rig)
{
    DIR *dir = opendir(rig->dead);
    size_t n = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += str_ends(str_of(entry->d_name), STR(".rw1.snappy"));
    if (dir)
        closedir(dir);
    return n;
}

static void test_poison(void **state)
{
    (void)state;
    struct rig *rig = rig_new(poison_37, QUICK);
    push(rig, 0, 0, 100);
    push(rig, 0, 0, 30);
    check(rig, 1, "dead");
    assert_int_equal(dead_files(rig), 1);
    assert_in_range(receiver_requests(rig->r), 15, 40);
    size_t before = receiver_requests(rig->r);
    push(rig, 0, 0, 100); /* the next time it is found sooner */
    check(rig, 2, "dead");
    assert_in_range(receiver_requests(rig->r) - before, 5, 20);
    rig_free(rig);
}

static void test_poison_at_the_ends(void **state)
{
    (void)state;
    struct rig *rig = rig_new(poison_ends, QUICK);
    push(rig, 0, 0, 100);
    push(rig, 1, 1000, 10);
    for (int i = 0; i < 40; i++) {
        push(rig, 1, 1000, 10); /* others pass meanwhile */
        nap();
    }
    check(rig, 2, "dead");
    assert_int_equal(dead_files(rig), 2);
    rig_free(rig);
}

/* The directory is bounded, and what else lies in it is left alone. */
static void test_dead_is_bounded(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, QUICK);
    struct err err = {0};
    for (int64_t i = 0; i < 120; i++)
        assert_true(dead_put(rig->dead, "a/../b", i, PROTOCOL_RW1, STR("body"), &err));
    assert_int_equal(dead_files(rig), DEAD_FILES_MAX);
    char *large = xcalloc(1, 4 << 20);
    for (int64_t i = 200; i < 205; i++)
        assert_true(dead_put(rig->dead, "e", i, PROTOCOL_RW1, str_make(large, 4 << 20), &err));
    assert_int_equal(dead_files(rig), 2);
    free(large);
    char *other = file_join(rig->dead, "notes.txt");
    assert_true(file_write_atomic(other, STR("mine"), &err));
    assert_true(dead_put(rig->dead, "e", 300, PROTOCOL_RW1, STR("body"), &err));
    assert_int_equal(access(other, F_OK), 0);
    free(other);
    rig_free(rig);
}

/* However long everything fails, nothing is given up. */
static void test_outage(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_503, QUICK);
    push(rig, 0, 0, 100);
    push(rig, 1, 1000, 100);
    push(rig, 0, 0, 100);
    WAIT_FOR("many failures", receiver_requests(rig->r) > 200);
    assert_int_equal(status_of(rig).state, REMOTE_RETRYING);
    receiver_script(rig->r, always_good);
    check(rig, 0, NULL);
    rig_free(rig);
}

static void test_reload(void **state)
{
    (void)state;
    struct rig *rig = rig_new(good_at_right_path, QUICK);
    push(rig, 0, 0, 100);
    push(rig, 1, 100, 100);
    WAIT_FOR("the hold", status_of(rig).state == REMOTE_HELD_URL);
    size_t before = receiver_requests(rig->r);
    apply(rig, "/w", QUICK); /* nothing has changed */
    assert_int_equal(status_of(rig).state, REMOTE_HELD_URL);
    apply(rig, "/right", SLOW);
    check(rig, 0, NULL);
    assert_true(receiver_requests(rig->r) >= before + 2);
    apply(rig, "/right",
          QUICK "  write_relabel_configs: [{source_labels: [id], regex: '1.', action: drop}]\n");
    push(rig, 0, 0, 100);
    check(rig, 0, NULL);
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.filtered, 10);
    rig_free(rig);
}

/* An edit in the middle of a bisection goes on where it was: what was delivered is not sent again. */
static void test_reload_in_the_middle(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, "  queue_config: {max_samples_per_send: 10, min_backoff: 2ms}\n");
    push(rig, 0, 0, 4000);
    WAIT_FOR("the first ranges", receiver_requests(rig->r) > 5);
    receiver_script(rig->r, always_503);
    WAIT_FOR("failures", status_of(rig).state == REMOTE_RETRYING);
    apply(rig, "/w", QUICK "  remote_timeout: 20s\n");
    receiver_script(rig->r, always_good);
    check(rig, 0, NULL);
    rig_free(rig);
}

static void test_remove_and_return(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_hang, QUICK);
    push(rig, 0, 0, 100);
    WAIT_FOR("the request", receiver_requests(rig->r) == 1);
    struct config *config = load(rig, "/elsewhere", "- url: http://127.0.0.1:1/none\n  name: other\n");
    config->remotes[0].name[0] = 'x'; /* e is not there any more */
    int64_t start = clock_mono_ms();
    remote_apply(rig->remote, config);
    assert_true(clock_mono_ms() - start < 1000);
    config_unref(config);
    receiver_script(rig->r, always_good);
    apply(rig, "/w", QUICK);
    check(rig, 0, NULL);
    rig_free(rig);
}

static bool has_accepted(struct rig *rig, uint64_t samples)
{
    pthread_mutex_lock(&rig->r->lock);
    bool all = rig->r->accepted == samples;
    pthread_mutex_unlock(&rig->r->lock);
    return all;
}

/* The same URL under another name is the same endpoint: what waited for the one is sent for the other. */
static void test_rename(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_hang, QUICK);
    push(rig, 0, 0, 100);
    WAIT_FOR("the request", receiver_requests(rig->r) == 1);
    struct config *config = load(rig, "/w", QUICK);
    config->remotes[0].name[0] = 'x';
    receiver_script(rig->r, always_good);
    remote_apply(rig->remote, config);
    config_unref(config);
    WAIT_FOR("its second request", receiver_requests(rig->r) == 2);
    push(rig, 0, 0, 10);
    WAIT_FOR("the next one", receiver_requests(rig->r) == 3);
    apply(rig, "/w", QUICK); /* and back, with nothing left */
    push(rig, 0, 0, 10);
    WAIT_FOR("all", has_accepted(rig, 120));
    WAIT_FOR("an empty queue", all_settled(rig));
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("x"), &books);
    assert_int_equal(books.delivered, 110);
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.delivered, 10);
    assert_int_equal(books.lost, 0);
    rig_free(rig);
}

static void test_stop_and_start(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_hang, QUICK);
    push(rig, 0, 0, 100);
    WAIT_FOR("the request", receiver_requests(rig->r) == 1);
    push(rig, 1, 100, 100);
    int64_t start = clock_mono_ms();
    remote_stop(rig->remote, start + 300);
    assert_in_range(clock_mono_ms() - start, 250, 2000);
    remote_free(rig->remote);
    receiver_script(rig->r, always_good);
    open_remote(rig);
    apply(rig, "/w", QUICK);
    check(rig, 0, NULL);
    push(rig, 0, 0, 10);
    push(rig, 0, 0, 10);
    start = clock_mono_ms();
    remote_stop(rig->remote, start + 20000); /* done much sooner: there is nothing left */
    assert_true(clock_mono_ms() - start < 5000);
    assert_int_equal(rig->r->accepted, 220);
    rig_free(rig);
}

static void *abort_later(void *ctx)
{
    for (int i = 0; i < 50; i++)
        nap();
    remote_abort(ctx);
    return NULL;
}

static void test_abort(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_hang, QUICK);
    push(rig, 0, 0, 100);
    WAIT_FOR("the request", receiver_requests(rig->r) == 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, abort_later, rig->remote), 0);
    int64_t start = clock_mono_ms();
    remote_stop(rig->remote, start + 20000);
    assert_true(clock_mono_ms() - start < 5000);
    pthread_join(thread, NULL);
    rig_free(rig);
}

static void push_described(struct rig *rig)
{
    struct block_meta meta = {.type = BLOCK_COUNTER};
    queue_push(rig->queue, make_block(0, 0, 10, 1000 + rig->seq++, &meta, "What it counts"));
    rig->pushed += 10;
}

static void test_metadata(void **state)
{
    (void)state;
    static const char FIELDS[] = "  queue_config: {min_backoff: 2ms, max_backoff: 10ms}\n"
                                 "  metadata_config: {send_interval: 1h}\n";
    struct rig *rig = rig_new(always_good, FIELDS);
    for (int i = 0; i < 5; i++) {
        push_described(rig);
        check(rig, 0, NULL);
    }
    WAIT_FOR("metadata", rig->r->metadata_requests == 1);
    assert_int_equal(rig->r->metadata_entries, 1);
    rig_free(rig);
    rig = rig_new(no_metadata, FIELDS);
    for (int i = 0; i < 5; i++) {
        push_described(rig);
        check(rig, 0, NULL);
    }
    WAIT_FOR("metadata", rig->r->metadata_requests == 1);
    push_described(rig);
    check(rig, 0, NULL);
    assert_int_equal(status_of(rig).state, REMOTE_OK);
    assert_int_equal(rig->r->metadata_requests, 1);
    rig_free(rig);
}

/* Survivors of the rules are what is bisected: a refused request never comes again in the shape of a half. */
static void test_refused_among_filtered(void **state)
{
    (void)state;
    struct rig *rig =
        rig_new(refuse_7, QUICK "  write_relabel_configs: [{source_labels: [id], regex: '[0-9]', "
                                "action: keep}]\n");
    push(rig, 0, 0, 1000);
    check(rig, 1, "rejected");
    assert_in_range(receiver_requests(rig->r), 2, 1 + 2 * 4);
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.filtered, 990);
    assert_int_equal(books.delivered, 9);
    rig_free(rig);
}

#define WANTED "  send_native_histograms: true\n  send_exemplars: true\n"

/* Each of a thousand samples, histograms among them, is delivered, filtered, or lost for the reason it should be. */
static void test_histograms_keep_the_books(void **state)
{
    static const struct {
        const char *what;
        script_fn *script;
        bool wanted;
        const char *fields;
        const char *reason; /* why `lost` samples are lost besides those that are not sent */
        uint64_t lost, filtered, unsent;
        size_t most_requests;
    } TABLE[] = {
        {"wanted", always_good, true, "", "rejected", 0, 0, 66, 1},
        {"unwanted", always_good, false, "", "rejected", 0, 0, 333, 1},
        {"one by one", always_good, false, "  max_request_bytes: 1\n", "rejected", 0, 0, 333, 667},
        {"too many, wanted", at_most_100, true, "", "too_large", 0, 0, 66, 30},
        {"too many, unwanted", at_most_100, false, "", "too_large", 0, 0, 333, 30},
        {"a histogram is refused", refuse_7, true, "", "rejected", 1, 0, 66, 1 + 2 * 10},
        {"it would be", refuse_7, false, "", "rejected", 0, 0, 333, 1},
        {"several are refused", refuse_several, true, "", "rejected", 5, 0, 66, 1 + 5 * 2 * 10},
        {"several but histograms", refuse_several, false, "", "rejected", 4, 0, 333, 1 + 4 * 2 * 10},
        {"dropped with the first", refuse_7, true, "  on_reject: drop\n", "rejected", 934, 0, 66, 1},
        {"failures at first", three_times_500, false, "", "rejected", 0, 0, 333, 4},
        {"a poisonous histogram", poison_37, true, "", "dead", 1, 0, 66, 80},
        {"it is not sent", poison_37, false, "", "dead", 0, 0, 333, 1},
        {"what is filtered is not lost", refuse_several, false,
         "  write_relabel_configs: [{source_labels: [id], regex: '.|1.', action: drop}]\n", "rejected", 2, 20, 326,
         1 + 2 * 2 * 10},
    };
    (void)state;
    assert_int_equal(how_many(is_histogram, 1000), 333);
    assert_int_equal(how_many(is_custom, 1000), 66);
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        char *fields = xasprintf(QUICK "%s%s", TABLE[i].fields, TABLE[i].wanted ? WANTED : "");
        struct rig *rig = rig_new(TABLE[i].script, fields);
        push_mixed(rig, 0, 0, 1000);
        if (TABLE[i].script == poison_37) /* others pass meanwhile */
            push(rig, 1, 2000, 10);
        WAIT_FOR(TABLE[i].what, all_settled(rig));
        uint64_t not_sent = lost_for(rig, "not_sent"), lost = lost_for(rig, TABLE[i].reason);
        if (not_sent != TABLE[i].unsent || lost != TABLE[i].lost)
            fail_msg("%s: %llu not sent, %llu %s", TABLE[i].what, (unsigned long long)not_sent,
                     (unsigned long long)lost, TABLE[i].reason);
        check(rig, TABLE[i].lost + TABLE[i].unsent, NULL);
        struct ledger_totals books;
        ledger_sum(rig->ledger, STR("e"), &books);
        assert_int_equal(books.filtered, TABLE[i].filtered);
        if (receiver_requests(rig->r) > TABLE[i].most_requests + (TABLE[i].script == poison_37))
            fail_msg("%s: %zu requests", TABLE[i].what, receiver_requests(rig->r));
        rig_free(rig);
        free(fields);
    }
}

/* A block of nothing else is through without a request, and says nothing about the receiver. */
static void test_nothing_to_send(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, QUICK);
    for (uint32_t i = 0; i < 5; i++)
        push_mixed(rig, 0, 1, 1);
    check(rig, 5, "not_sent");
    assert_int_equal(receiver_requests(rig->r), 0);
    assert_int_equal(status_of(rig).state, REMOTE_IDLE);
    rig_free(rig);
}

static void test_exemplars(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, QUICK WANTED);
    push_mixed(rig, 0, 0, 1000);
    check(rig, 66, "not_sent");
    uint64_t all = how_many(has_exemplar, 1000), left = 0;
    for (uint32_t i = 0; i < 1000; i++)
        left += has_exemplar(i) && is_custom(i);
    assert_int_equal(all, 200);
    assert_int_equal(rig->r->exemplars, all - left);
    assert_int_equal(status_of(rig).exemplars_dropped, left);
    apply(rig, "/w", QUICK "  send_native_histograms: true\n");
    push_mixed(rig, 0, 0, 1000);
    check(rig, 132, "not_sent");
    assert_int_equal(rig->r->exemplars, all - left);
    assert_int_equal(status_of(rig).exemplars_dropped, left + all);
    rig_free(rig);
}

/* What waits is sent by the settings of the moment when it is sent, and lost once at most. */
static void test_histograms_and_a_reload(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_503, QUICK);
    push_mixed(rig, 0, 0, 1000);
    push_mixed(rig, 1, 1000, 500);
    WAIT_FOR("failures", receiver_requests(rig->r) > 10);
    assert_int_equal(lost_for(rig, "not_sent"), 0);
    apply(rig, "/w", QUICK WANTED);
    size_t before = receiver_requests(rig->r); /* what is under way was made for the old configuration */
    WAIT_FOR("requests made anew", receiver_requests(rig->r) > before + 20);
    receiver_script(rig->r, always_good);
    check(rig, how_many(is_custom, 1500), "not_sent");
    apply(rig, "/w", QUICK);
    push_mixed(rig, 0, 0, 300);
    check(rig, how_many(is_custom, 1500) + how_many(is_histogram, 300), "not_sent");
    rig_free(rig);
}

static void test_histograms_and_a_restart(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, "  queue_config: {max_samples_per_send: 10, min_backoff: 2ms}\n");
    push_mixed(rig, 0, 0, 4000);
    WAIT_FOR("the first ranges", receiver_requests(rig->r) > 5);
    receiver_script(rig->r, always_hang);
    int64_t start = clock_mono_ms();
    remote_stop(rig->remote, start + 50);
    remote_free(rig->remote);
    uint64_t in_books = lost_for(rig, "not_sent"); /* of the part of the block that is through */
    assert_in_range(in_books, 1, how_many(is_histogram, 4000) - 1);
    open_remote(rig);
    receiver_script(rig->r, always_good);
    apply(rig, "/w", QUICK);
    WAIT_FOR("an empty queue", all_settled(rig));
    struct ledger_totals books;
    ledger_sum(rig->ledger, STR("e"), &books);
    assert_int_equal(books.lost, how_many(is_histogram, 4000));
    assert_int_equal(lost_for(rig, "not_sent"), books.lost);
    assert_int_equal(books.delivered + books.lost, rig->pushed);
    rig_free(rig);
}

static void test_corrupt(void **state)
{
    (void)state;
    struct rig *rig = rig_new(always_good, QUICK);
    struct block *b = make_block(0, 0, 100, 1, NULL, NULL);
    memset(b->data + b->size - 40, 0xff, 20);
    queue_push(rig->queue, b);
    rig->pushed += 100;
    push(rig, 0, 0, 10);
    check(rig, 100, "corrupt");
    rig_free(rig);
}

int main(void)
{
    if (!getenv("TEST_LOG"))
        log_set_level("error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_one_refused),
        cmocka_unit_test(test_several_refused),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_413),
        cmocka_unit_test(test_giant),
        cmocka_unit_test(test_401),
        cmocka_unit_test(test_credentials_file_gone),
        cmocka_unit_test(test_429),
        cmocka_unit_test(test_500),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_dead_connection),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_poison_at_the_ends),
        cmocka_unit_test(test_dead_is_bounded),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_reload_in_the_middle),
        cmocka_unit_test(test_remove_and_return),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_stop_and_start),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_refused_among_filtered),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_histograms_keep_the_books),
        cmocka_unit_test(test_nothing_to_send),
        cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_histograms_and_a_reload),
        cmocka_unit_test(test_histograms_and_a_restart),
    };
    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
