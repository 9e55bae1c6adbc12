/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_findings: any bytes as two bodies for the analyses of the scrape tester: findings, lint, families, cardinality.
   The first byte chooses the format, the second the size of the pieces. One piece or many must give the same report; it
   is JSON; and a body beside itself has no changes. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command/cardinality.h"
#include "agent/command/contract.h"
#include "agent/command/contract_set.h"
#include "agent/command/find.h"
#include "agent/command/report.h"

#define REQUIRE(c) ((c) ? (void)0 : abort())
#define OUT_MAX ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static analysis_maker *const MAKERS[] = {find_make, contract_make, cardinality_make};
#define MAKERS_N (sizeof MAKERS / sizeof *MAKERS)

struct body {
    const uint8_t *data;
    size_t n, piece;
    enum exposition_format format;
};

static void scrape(const struct body *b, struct analysis *analyses, unsigned round, struct buf *out)
{
    struct survey *s = survey_new(10);
    struct survey_counts counts;
    struct probe_result probe = {.raw_bytes = b->n};
    struct scrape_done done = {.round = round, .probe = &probe, .counts = &counts, .started_ms = 1};
    for (size_t i = 0; i < MAKERS_N; i++)
        survey_watch(s, &analyses[i].watcher);
    survey_begin(s, b->format);
    for (size_t at = 0; at < b->n; at += b->piece)
        survey_feed(s, b->data + at, b->n - at < b->piece ? b->n - at : b->piece);
    survey_finish(s);
    survey_counts(s, &counts);
    for (size_t i = 0; i < MAKERS_N; i++) {
        if (analyses[i].done)
            analyses[i].done(analyses[i].watcher.ctx, &done);
    }
    struct report report = {.counts = &counts, .lint_rules = RULE_SET_ALL};
    report_json_lint(&report, out);
    buf_add_char(out, '\n');
    report_lint(&report, out);
    survey_free(s);
}

static void require_json(struct analysis *a, struct buf *out)
{
    struct buf json;
    buf_init(&json, OUT_MAX);
    buf_add_char(&json, '{');
    a->json(a->watcher.ctx, &json);
    buf_add_c(&json, "\"end\":0}");
    json_t *read = json_loadb(json.p, json.n, 0, NULL);
    REQUIRE(read);
    json_t *changes = json_object_get(json_object_get(read, "contract"), "changes");
    REQUIRE(!changes || json_integer_value(changes) == 0);
    buf_add_str(out, buf_str(&json));
    json_decref(read);
    buf_free(&json);
}

/* The body twice, and everything that is said of it. */
static void report(const struct body *b, struct buf *out)
{
    struct config_job job = {.honor_timestamps = true};
    struct scrape_subject subject = {.name = "fuzz", .job = &job};
    struct scrape_flags flags = {.max_errors = 10, .cardinality = true, .top = 5, .twice_ms = 1};
    struct paint plain = {.on = false};
    struct analysis analyses[MAKERS_N];
    buf_init(out, OUT_MAX);
    for (size_t i = 0; i < MAKERS_N; i++)
        REQUIRE(MAKERS[i](&flags, &subject, &analyses[i]));
    scrape(b, analyses, 0, out);
    scrape(b, analyses, 1, out);
    for (size_t i = 0; i < MAKERS_N; i++) {
        analyses[i].text(analyses[i].watcher.ctx, &plain, out);
        require_json(&analyses[i], out);
        analyses[i].free(analyses[i].watcher.ctx);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf whole, parts;
    if (n < 2)
        return 0;
    struct body b = {data + 2, n - 2, n, (enum exposition_format)(data[0] % 3)};
    report(&b, &whole);
    b.piece = data[1] % 64 + 1u;
    report(&b, &parts);
    bool same = str_eq(buf_str(&whole), buf_str(&parts));
    if (!same)
        fprintf(stderr, "whole: %s\nparts: %s\n", buf_c(&whole), buf_c(&parts));
    REQUIRE(same);
    buf_free(&whole);
    buf_free(&parts);
    return 0;
}
