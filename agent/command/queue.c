/* SPDX-License-Identifier: Apache-2.0 */
/* queue: looks into the disk buffer of an agent: what waits for whom, the samples themselves, and dropping
   them. */
#include "command.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include "flags.h"
#include "ledger.h"
#include "queue.h"
#include "labels.h"
#include "sample_json.h"
#include "sink_decode.h"

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
    bool all, yes;

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

static bool block_json(struct queue_command *c, const struct block *b, struct err *err)
{
    struct sink_counts counts = {0};
    return sink_decode(SINK_RW2, str_make((const char *)b->data, b->size), &c->out, false, &counts, err);
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
    if (c->endpoint && !queue_cursor_pending(c->dir, c->endpoint, record))
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

static int cat(struct queue_command *c)
{
    struct err err = {0};
    uint64_t corrupt;
    if (strcmp(c->format, "text") != 0 && strcmp(c->format, "ndjson") != 0) {
        fprintf(stderr, "--format: \"%s\" is not text or ndjson\n", c->format);
        return 2;
    }
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

int command_queue(int argc, char **argv)
{
    struct queue_command c = {.format = "text"};
    const struct flag flags[] = {
        {"format", FLAG_STRING, &c.format, "text|ndjson", "cat: how samples are written (text)"},
        {"endpoint", FLAG_STRING, &c.endpoint, "NAME",
         "cat: only what this endpoint has not delivered; drop: whose"},
        {"limit", FLAG_U64, &c.limit, "N", "cat: at most so many samples"},
        {"all", FLAG_BOOL, &c.all, NULL, "drop: of every endpoint"},
        {"yes", FLAG_BOOL, &c.yes, NULL, "drop: really"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent queue ls|cat|drop DIR [flags]",
        .text = "ls shows what waits for each endpoint, cat prints the samples, drop deletes them (of a stopped\n"
                "agent). ls and cat change nothing and may be used beside a running agent.\n"
                "cat's text is name{labels} value timestamp; histograms, and start timestamps and exemplars behind\n"
                "that, are the JSON that obsagent sink --help explains, as are the lines of ndjson.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
    if (outcome == FLAGS_HELP)
        return 0;
    const char *verb = outcome == FLAGS_OK && positional == 2 ? argv[1] : "";
    c.dir = argv[positional];
    if (strcmp(verb, "ls") == 0)
        return list(&c);
    if (strcmp(verb, "cat") == 0)
        return cat(&c);
    if (strcmp(verb, "drop") == 0)
        return drop(&c);
    if (outcome == FLAGS_OK)
        fprintf(stderr, "usage: %s (--help)\n", command.synopsis);
    return 2;
}
