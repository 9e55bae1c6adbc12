/* SPDX-License-Identifier: Apache-2.0 */
/* queue: looks into the disk buffer of an agent: what waits for whom, the samples themselves, and dropping
   them. */
#include "command.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include "block_copy.h"
#include "flags.h"
#include "ledger.h"
#include "queue.h"
#include "queue_filter.h"
#include "queue_replay.h"
#include "remote.h"
#include "labels.h"
#include "sample_json.h"
#include "sink_decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CURSORS_MAX 64
#define TEXT_MAX ((size_t)256 << 20)
#define SEGMENT_BYTES ((size_t)4 << 20)
/* The name under which blocks are dropped that belong to no endpoint yet. */
#define NOBODY "nobody"

struct queue_command {
    const char *dir;
    const char *format;
    const char *endpoint;
    uint64_t limit;
    bool all, yes, rejects;
    struct queue_filter filter;
    struct queue_replay_options replay;

    struct block_reader *reader;
    struct arena arena;
    struct buf out;
    uint64_t samples, blocks, bytes;
    bool failed;

    struct segment_sum { /* ls: of the file being read */
        char *path;
        uint64_t samples, blocks;
        int64_t oldest_ms, youngest_ms;
    } segment;
};

/* ---- ls ---- */

/* The file that has been read to its end, as a row. */
static void print_segment(struct queue_command *c)
{
    struct segment_sum *s = &c->segment;
    struct stat st;
    char size[32] = "-", from[32], to[32];
    if (!s->path)
        return;
    if (stat(s->path, &st) == 0) {
        units_format_size((uint64_t)st.st_size, size);
        c->bytes += (uint64_t)st.st_size;
    }
    clock_format_rfc3339(s->oldest_ms, from);
    clock_format_rfc3339(s->youngest_ms, to);
    printf("%-24s %10llu %12llu %12s  %.19sZ to %.19sZ\n", strrchr(s->path, '/') + 1,
           (unsigned long long)s->blocks, (unsigned long long)s->samples, size, from, to);
    free(s->path);
    s->path = NULL;
}

static bool count_block(void *ctx, const struct queue_record *record)
{
    struct queue_command *c = ctx;
    struct segment_sum *s = &c->segment;
    int64_t sealed_ms = record->block->sealed_wall_ms;
    if (!s->path || strcmp(s->path, record->segment) != 0) {
        print_segment(c);
        *s = (struct segment_sum){.path = xstrdup(record->segment), .oldest_ms = sealed_ms,
                                  .youngest_ms = sealed_ms};
    }
    s->blocks++;
    s->samples += record->block->samples;
    s->oldest_ms = sealed_ms < s->oldest_ms ? sealed_ms : s->oldest_ms;
    s->youngest_ms = sealed_ms > s->youngest_ms ? sealed_ms : s->youngest_ms;
    c->blocks++;
    c->samples += record->block->samples;
    return true;
}

static void print_cursor(const struct queue_cursor_info *info)
{
    char size[32], age[48] = "-";
    units_format_size(info->pending_bytes, size);
    if (info->oldest_wall_ms)
        units_format_duration((clock_wall_ms() - info->oldest_wall_ms) / 1000 * 1000, age);
    printf("%-24s %10llu %12llu %12s %12s %14llu\n", info->name, (unsigned long long)info->pending_blocks,
           (unsigned long long)info->pending_samples, size, age, (unsigned long long)info->acked_seq);
}

static int list(struct queue_command *c)
{
    struct queue_cursor_info cursors[CURSORS_MAX];
    struct err err = {0};
    uint64_t corrupt;
    char size[32];
    size_t n = queue_cursors(c->dir, cursors, CURSORS_MAX, &err);
    if (err_is(&err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    printf("%-24s %10s %12s %12s %12s %14s\n", "ENDPOINT", "BLOCKS", "SAMPLES", "BYTES", "OLDEST",
           "DELIVERED TO");
    for (size_t i = 0; i < n && i < CURSORS_MAX; i++)
        print_cursor(&cursors[i]);
    printf("\n%-24s %10s %12s %12s  %s\n", "SEGMENT", "BLOCKS", "SAMPLES", "BYTES", "SEALED");
    bool ok = queue_scan(c->dir, count_block, c, &corrupt, &err);
    print_segment(c);
    if (!ok) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    units_format_size(c->bytes, size);
    printf("\non disk: %llu blocks, %llu samples, %s, %llu corrupt records\n", (unsigned long long)c->blocks,
           (unsigned long long)c->samples, size, (unsigned long long)corrupt);
    return 0;
}

/* ---- cat ---- */

static void series_labels(const struct queue_command *c, const struct block_series *s, struct labels *l)
{
    labels_clear(l);
    for (size_t i = 0; i + 1 < s->refs_n; i += 2)
        labels_push(l, block_reader_symbol(c->reader, s->refs[i]),
                    block_reader_symbol(c->reader, s->refs[i + 1]));
}

static void add_value(struct buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits == BLOCK_STALE_BITS)
        buf_add_c(out, "stale");
    else
        buf_add_double(out, value);
}

/* What a series has besides, as a last column: {"st":ms,"exemplars":[...]}, the exemplars with its last sample. */
static void add_extras(struct queue_command *c, const struct block_series *s, bool last, int64_t start_ts_ms)
{
    size_t n = last ? s->exemplars : 0;
    if (n == 0 && start_ts_ms == 0)
        return;
    buf_add_c(&c->out, " {");
    if (start_ts_ms)
        buf_addf(&c->out, "\"st\":%lld%s", (long long)start_ts_ms, n ? "," : "");
    for (size_t i = 0; i < n; i++) {
        struct block_exemplar e;
        struct labels l;
        if (!block_series_exemplar(c->reader, s, i, &e))
            continue;
        labels_init(&l, &c->arena);
        for (size_t k = 0; k + 1 < e.refs_n; k += 2)
            labels_push(&l, block_reader_symbol(c->reader, e.refs[k]), block_reader_symbol(c->reader, e.refs[k + 1]));
        buf_add_c(&c->out, i ? "," : "\"exemplars\":[");
        json_add_exemplar(&c->out, l.v, l.n, e.value, e.ts_ms);
        labels_free(&l);
    }
    buf_add_c(&c->out, n ? "]}" : "}");
}

static bool add_point(struct queue_command *c, const struct block_series *s, size_t i, struct err *err)
{
    double value;
    int64_t ts_ms, start_ts_ms, unused;
    struct str message;
    if (s->is_histogram) {
        if (!block_series_histogram(s, i, &message, &ts_ms, &start_ts_ms) ||
            !json_add_histogram(&c->out, message, &unused, &unused, err))
            return false;
    } else {
        if (!block_series_sample(s, i, &value, &ts_ms))
            return false;
        start_ts_ms = i ? 0 : s->start_ts_ms;
        add_value(&c->out, value);
    }
    buf_addf(&c->out, " %lld", (long long)ts_ms);
    add_extras(c, s, i + 1 == s->samples, start_ts_ms);
    return true;
}

/* name{labels} value timestamp extras, a line a sample. */
static bool block_text(struct queue_command *c, const struct block *b, struct err *err)
{
    struct block_series s;
    struct labels l;
    if (!block_reader_open(c->reader, b->data, b->size, err))
        return false;
    labels_init(&l, &c->arena);
    while (block_reader_next(c->reader, &s, err)) {
        series_labels(c, &s, &l);
        for (size_t i = 0; i < s.samples; i++) {
            size_t line = c->out.n;
            if (!queue_filter_passes(&c->filter, &l, s.ts_ms))
                continue;
            labels_format(&l, &c->out);
            buf_add_char(&c->out, ' ');
            if (add_point(c, &s, i, err))
                buf_add_char(&c->out, '\n');
            else
                c->out.n = line;
        }
    }
    labels_free(&l);
    return !err_is(err);
}

/* A copy with just the series that pass the filter; NULL when there are none, or err. */
static struct block *filtered(struct queue_command *c, const struct block *b, struct err *err)
{
    struct block_builder *to = block_builder_new(b->lane, SIZE_MAX, UINT32_MAX);
    struct block_copier *copier = block_copier_new();
    struct block_series s;
    struct labels l;
    labels_init(&l, &c->arena);
    bool good = block_reader_open(c->reader, b->data, b->size, err);
    block_copier_borrow(copier, c->reader);
    while (good && block_reader_next(c->reader, &s, err)) {
        series_labels(c, &s, &l);
        block_copier_present(copier, &s);
        if (queue_filter_passes(&c->filter, &l, s.ts_ms))
            good = block_copier_put(copier, 0, to, NULL);
    }
    struct block *out = good ? block_builder_seal(to) : NULL;
    labels_free(&l);
    block_copier_free(copier);
    block_builder_free(to);
    return out;
}

static bool block_json(struct queue_command *c, const struct block *b, struct err *err)
{
    struct sink_counts counts = {0};
    if (queue_filter_is_open(&c->filter))
        return sink_decode(SINK_RW2, str_make((const char *)b->data, b->size), &c->out, false, &counts, err);
    struct block *some = filtered(c, b, err);
    bool good = !some || sink_decode(SINK_RW2, str_make((const char *)some->data, some->size), &c->out, false, &counts,
                                     err);
    block_unref(some);
    return good && !err_is(err);
}

/* Prints whole lines, as many as the limit still allows; false when it is reached. */
static bool print_lines(struct queue_command *c)
{
    struct str text = buf_str(&c->out);
    while (text.n) {
        size_t end = str_find_char(text, '\n');
        if (c->limit && c->samples >= c->limit)
            return false;
        fwrite(text.p, 1, end, stdout);
        putchar('\n');
        c->samples++;
        text = str_skip(text, end + 1);
    }
    return !c->limit || c->samples < c->limit;
}

static bool print_block(void *ctx, const struct queue_record *record)
{
    struct queue_command *c = ctx;
    struct err err = {0};
    if (queue_filter_skips(&c->filter, record->block) ||
        (c->endpoint && !queue_cursor_pending(c->dir, c->endpoint, record)))
        return true;
    buf_clear(&c->out);
    arena_reset(&c->arena);
    bool json = strcmp(c->format, "ndjson") == 0;
    if (!(json ? block_json(c, record->block, &err) : block_text(c, record->block, &err))) {
        fprintf(stderr, "%s at byte %llu: %s\n", record->segment, (unsigned long long)record->offset,
                err.msg);
        c->failed = true;
    }
    return print_lines(c);
}

static void print_reject(void *ctx, const struct remote_reject *r)
{
    struct queue_command *c = ctx;
    char time[32];
    if (c->endpoint && strcmp(c->endpoint, r->endpoint) != 0)
        return;
    clock_format_rfc3339(r->wall_ms, time);
    buf_clear(&c->out);
    if (strcmp(c->format, "ndjson") == 0)
        remote_reject_json(r, &c->out);
    else
        buf_addf(&c->out, "%.19sZ %s status %ld, %llu samples of %s: %s\n", time, r->endpoint, r->status,
                 (unsigned long long)r->samples, r->series, r->message);
    fwrite(c->out.p, 1, c->out.n, stdout);
}

static int cat_rejects(struct queue_command *c)
{
    struct err err = {0};
    struct stat st;
    buf_init(&c->out, TEXT_MAX);
    bool ok = stat(c->dir, &st) == 0 ? remote_rejects_read(c->dir, print_reject, c, &err)
                                     : err_set(&err, "cannot read %s: %s", c->dir, strerror(errno));
    buf_free(&c->out);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    return ok ? 0 : 1;
}

static int cat(struct queue_command *c)
{
    struct err err = {0};
    uint64_t corrupt;
    if (strcmp(c->format, "text") != 0 && strcmp(c->format, "ndjson") != 0) {
        fprintf(stderr, "--format: \"%s\" is not text or ndjson\n", c->format);
        return 2;
    }
    if (c->rejects)
        return cat_rejects(c);
    c->reader = block_reader_new();
    arena_init(&c->arena);
    buf_init(&c->out, TEXT_MAX);
    bool ok = queue_scan(c->dir, print_block, c, &corrupt, &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.msg);
    if (corrupt)
        fprintf(stderr, "%llu corrupt records skipped\n", (unsigned long long)corrupt);
    buf_free(&c->out);
    arena_free(&c->arena);
    block_reader_free(c->reader);
    return ok && !c->failed ? 0 : 1;
}

/* ---- drop ---- */

static void ignore_notify(void *ctx)
{
    (void)ctx;
}

/* Everything the endpoint still has to deliver is acknowledged undelivered. */
static bool drop_endpoint(struct queue_command *c, struct queue *q, const char *name, struct err *err)
{
    struct queue_reader *r = queue_reader_open(q, name, ignore_notify, NULL, err);
    if (!r)
        return false;
    for (struct block *b; (b = queue_take(r));) {
        c->blocks++;
        c->samples += b->samples;
        queue_ack(r, b);
    }
    queue_reader_close(r);
    return true;
}

/* Those that are chosen of the names found. */
static bool drop_names(struct queue_command *c, struct queue *q, const struct queue_cursor_info *cursors,
                       size_t n, struct err *err)
{
    struct queue_stats stats;
    bool known = false;
    queue_stats(q, &stats);
    if (stats.disk_error[0])
        return err_set(err, "%s", stats.disk_error);
    for (size_t i = 0; i < n; i++) {
        if (!c->all && strcmp(cursors[i].name, c->endpoint) != 0)
            continue;
        known = true;
        if (!drop_endpoint(c, q, cursors[i].name, err))
            return false;
    }
    if (known)
        return true;
    if (c->all) /* blocks may be there that no endpoint has come for yet */
        return drop_endpoint(c, q, NOBODY, err);
    return err_set(err, "no endpoint \"%s\" in %s (obsagent queue ls lists them)", c->endpoint, c->dir);
}

static bool drop_chosen(struct queue_command *c, struct err *err)
{
    struct queue_cursor_info cursors[CURSORS_MAX];
    size_t n = queue_cursors(c->dir, cursors, CURSORS_MAX, err);
    if (err_is(err))
        return false;
    struct ledger *ledger = ledger_new();
    /* The agent's caps are not ours: what they would drop stays. */
    struct queue_options options = {.dir = c->dir, .ledger = ledger, .max_bytes = UINT64_MAX,
                                    .max_age_ms = INT64_MAX / 2, .segment_bytes = SEGMENT_BYTES};
    struct queue *q = queue_open(&options, err);
    bool ok = q && drop_names(c, q, cursors, n < CURSORS_MAX ? n : CURSORS_MAX, err);
    if (q)
        queue_close(q);
    ledger_free(ledger);
    return ok;
}

static int drop(struct queue_command *c)
{
    struct err err = {0};
    if (!c->all == !c->endpoint) {
        fprintf(stderr, "queue drop needs --endpoint=NAME or --all\n");
        return 2;
    }
    if (!c->yes) {
        fprintf(stderr, "queue drop deletes undelivered samples for good: add --yes\n");
        return 2;
    }
    if (!drop_chosen(c, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    printf("dropped %llu blocks, %llu samples\n", (unsigned long long)c->blocks,
           (unsigned long long)c->samples);
    return 0;
}

static int run_verb(struct queue_command *c, const char *verb, const char *usage)
{
    if (strcmp(verb, "ls") == 0)
        return list(c);
    if (strcmp(verb, "cat") == 0)
        return cat(c);
    if (strcmp(verb, "drop") == 0)
        return drop(c);
    if (strcmp(verb, "replay") == 0)
        return queue_replay(&c->replay);
    fprintf(stderr, "usage: %s (--help)\n", usage);
    return 2;
}

int command_queue(int argc, char **argv)
{
    struct queue_command c = {.format = "text", .replay = {.give_up_ms = 60000}};
    struct queue_replay_options *r = &c.replay;
    const struct flag flags[] = {
        {"format", FLAG_STRING, &c.format, "text|ndjson", "cat: how samples are written (text)"},
        {"endpoint", FLAG_STRING, &c.endpoint, "NAME",
         "cat, replay: only what this endpoint has not delivered; drop: whose"},
        {"match", FLAG_LIST, &c.filter.match, "SELECTOR",
         "cat, replay: only series like '{job=\"app\",__name__=~\"http_.*\"}'; repeatable, one must match"},
        {"from", FLAG_STRING, &c.filter.from, "TIME", "cat, replay: 2026-01-31T12:00:00Z, Unix seconds, or -90m"},
        {"to", FLAG_STRING, &c.filter.to, "TIME", "cat, replay: the same"},
        {"limit", FLAG_U64, &c.limit, "N", "cat: at most so many samples"},
        {"rejects", FLAG_BOOL, &c.rejects, NULL, "cat: not samples, but the last series that receivers refused"},
        {"all", FLAG_BOOL, &c.all, NULL, "drop: of every endpoint"},
        {"yes", FLAG_BOOL, &c.yes, NULL, "drop: really"},
        {"url", FLAG_STRING, &r->url, "URL", "replay: where to"},
        {"bearer-token-file", FLAG_STRING, &r->bearer_token_file, "FILE", "replay: with this token"},
        {"protocol", FLAG_STRING, &r->protocol, "rw1|rw2|vm|auto", "replay: in this protocol (rw1)"},
        {"rate-limit", FLAG_STRING, &r->rate_limit, "BYTES", "replay: bytes a second"},
        {"config.file", FLAG_STRING, &r->config_file, "FILE", "replay: with the settings of an endpoint in there"},
        {"remote", FLAG_STRING, &r->remote, "NAME", "replay: of this one"},
        {"give-up", FLAG_DURATION, &r->give_up_ms, "DURATION",
         "replay: end when the receiver takes nothing for so long (1m)"},
        {"dry-run", FLAG_BOOL, &r->dry_run, NULL, "replay: only count what would be sent"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent queue ls|cat|drop|replay DIR [flags]",
        .text = "ls shows what waits for each endpoint, cat prints the samples, replay sends them to a receiver by\n"
                "hand, drop deletes them (of a stopped agent). All but drop change nothing in DIR and may be used\n"
                "beside a running agent.\n"
                "cat's text is name{labels} value timestamp; histograms, and start timestamps and exemplars behind\n"
                "that, are the JSON that obsagent sink --help explains, as are the lines of ndjson.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional = 0, code = 2;
    struct err err = {0};
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
    if (outcome == FLAGS_HELP) {
        code = 0;
    } else if (outcome == FLAGS_OK && !queue_filter_prepare(&c.filter, &err)) {
        fprintf(stderr, "%s\n", err.msg);
    } else if (outcome == FLAGS_OK) {
        c.dir = c.replay.dir = argv[positional];
        c.replay.endpoint = c.endpoint;
        c.replay.filter = &c.filter;
        code = run_verb(&c, positional == 2 ? argv[1] : "", command.synopsis);
    }
    queue_filter_free(&c.filter);
    flags_free(&command);
    return code;
}
